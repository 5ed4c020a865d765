//! postern-certs

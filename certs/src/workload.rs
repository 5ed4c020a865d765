//! What the SPIFFE Workload API last said, as plain values: this crate reads no socket.

/// Our X.509-SVIDs and the bundles of trust domains. Empty where there is no Workload API.
#[derive(Debug, Clone, Default)]
pub struct Workload {}

//! Who the peer is and who we are: verified peers, SPIFFE IDs, the TLS of a listener and towards an upstream, and a throw-away CA.
//!
//! A listener's TLS is loaded whole from its settings ([`ListenerTls::load`]), and so is an upstream's
//! ([`UpstreamTls::load`]); a reload makes a new one beside the old one. Who called is a [`VerifiedPeer`], and only a checked chain makes one. Nothing here opens a socket.

mod authority;
mod certificate;
mod client;
mod identities;
mod listener;
mod peer;
mod problem;
mod revocation;
mod rules;
mod spiffe;
mod strength;
mod trust;
mod unknown;
mod upstream;
mod verifier;
mod workload;

pub use authority::{Authority, AuthorityError, Issued, KeyType, Template};
pub use client::{ClientTlsError, client_config, client_config_with};
pub use listener::{Ending, ListenerTls};
pub use peer::VerifiedPeer;
pub use problem::{CertFault, CertProblem};
pub use rules::PeerRefusal;
pub use spiffe::{SpiffeError, SpiffeGlob, SpiffeId};
pub use strength::is_fips;
pub use upstream::UpstreamTls;
pub use workload::{MessageFault, MessageSvid, Workload, WorkloadMessage, Workloads};

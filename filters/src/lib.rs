//! The decision machine: who asks, may they, is the content safe, and what is written down. Pure: no sockets, no
//! clock of its own; any filter runs in a unit test from a hand-written request.

pub mod audit;
pub mod authz;
pub mod dialect;
pub mod json;
pub mod limit;
mod principal;
mod reason;
pub mod scan;
mod text;
pub mod token;

pub use principal::{Assurance, Principal, SpiffeSubject};
pub use reason::Reason;
pub use text::{ContentFinding, Edit, Judgement, TextGuard, TextGuards, TextStep};

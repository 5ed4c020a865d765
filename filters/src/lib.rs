//! The decision machine: who asks, may they, is the content safe, and what is written down. Pure: no sockets, no
//! clock of its own; any filter runs in a unit test from a hand-written request.

// The tests' ways to requests and chains are shared with tests outside, which know the crate by this name.
#[cfg(test)]
extern crate self as postern_filters;

mod answer;
pub mod audit;
pub mod authz;
mod builtin;
mod chain;
pub mod challenge;
mod compile;
mod context;
pub mod contract;
mod course;
pub mod dialect;
pub mod encoding;
pub mod explain;
pub mod external;
mod filter;
pub mod forwarded;
pub mod hello;
pub mod json;
pub mod limit;
mod media;
mod message;
mod mutant;
mod need;
mod output;
pub mod path;
mod permit;
mod principal;
pub mod proxy_protocol;
mod reason;
mod request;
pub mod scan;
pub mod schema;
mod source;
pub mod structured;
#[cfg(test)]
mod testing;
mod text;
pub mod token;
mod verdict;

pub use answer::{AnswerHead, AnswerStream, AnswerWay, CheckedAnswer};
pub use builtin::Browser;
pub use chain::Chain;
pub use compile::{Chains, Kept, UpstreamSecrets, check, compile, compile_without_keys};
pub use context::{Context, Random, Seen};
pub use message::{Message, MessageLimits, PartText};
pub use need::{Given, IntrospectionGiven, IntrospectionWanted, KeysGiven, KeysWanted, Need, Progress, WhyKeys};
pub use permit::{Checked, Permit};
pub use principal::{Assurance, Principal, SpiffeSubject};
pub use reason::Reason;
pub use request::RequestView;
pub use source::{Peer, Source, UnixPeer};
pub use text::{ContentFinding, Edit, Judgement, TextGuard, TextGuards, TextStep};
pub use verdict::{FilterError, Flow, Refusal, Verdict};

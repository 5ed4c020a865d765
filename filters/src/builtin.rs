//! The filters, one file each, in the order of the chain.

mod assure;
mod authorize;
mod browser;
mod conform;
mod content;
mod cors;
mod cross_site;
mod decode;
mod digest;
mod exceptions;
mod frame;
mod identify;
mod limits;
mod models;
mod parse;
mod prompts;
mod rehearse;
mod tenant;

pub(crate) use assure::Assure;
pub(crate) use authorize::Authorize;
pub use browser::Browser;
pub(crate) use conform::Conform;
pub(crate) use content::{Content, Verdicts, blocked};
pub(crate) use cors::Cors;
pub(crate) use cross_site::CrossSite;
pub(crate) use decode::Decode;
pub(crate) use digest::Digest;
pub(crate) use exceptions::Exceptions;
pub(crate) use frame::Frame;
pub(crate) use identify::Identify;
pub(crate) use limits::Limits;
pub(crate) use models::Models;
pub(crate) use parse::Parse;
pub(crate) use prompts::Prompts;
pub(crate) use rehearse::{Blame, Rehearse};
pub(crate) use tenant::OfTenant;

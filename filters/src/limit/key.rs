//! What is counted together.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, HeaderName};
use postern_config::LimitKey;

use super::{LimitError, Stage, Tokens};
use crate::{Principal, Source};

/// What a key is made of. What is not known yet is absent.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub principal: Option<&'a Principal>,
    pub source: Source,
    pub route: &'a str,
    pub model: Option<&'a str>,
    pub headers: Option<&'a HeaderMap>,
    pub tokens: Tokens,
}

/// A part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Principal,
    Tenant,
    SourceIp,
    Route,
    Model,
    Header(HeaderName),
}

impl Kind {
    /// `[Route, Tenant]` counts the same as `[Tenant, Route]`, and as either written twice.
    pub(super) fn all(limit: &str, keys: &[LimitKey]) -> Result<Vec<Self>, LimitError> {
        let mut keys = keys.to_vec();
        keys.sort();
        keys.dedup();
        let kind = |key: LimitKey| {
            Ok(match key {
                LimitKey::Principal => Self::Principal,
                LimitKey::Tenant => Self::Tenant,
                LimitKey::SourceIp => Self::SourceIp,
                LimitKey::Route => Self::Route,
                LimitKey::Model => Self::Model,
                LimitKey::Header(name) => {
                    let unnamed = |_| LimitError::Header { limit: limit.to_owned(), header: name.clone() };
                    Self::Header(HeaderName::from_bytes(name.as_bytes()).map_err(unnamed)?)
                }
            })
        };
        keys.into_iter().map(kind).collect()
    }

    /// As a manifest writes it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Principal => "Principal".to_owned(),
            Self::Tenant => "Tenant".to_owned(),
            Self::SourceIp => "SourceIp".to_owned(),
            Self::Route => "Route".to_owned(),
            Self::Model => "Model".to_owned(),
            Self::Header(name) => format!("Header:{name}"),
        }
    }

    /// Tells what a request is for it, piece by piece, in the same words on every machine.
    pub(super) fn tell(&self, facts: &Facts<'_>, to: &mut dyn FnMut(&[u8])) {
        // Present and absent are told apart, as an empty value is one.
        let mut maybe = |value: Option<&str>| {
            to(&[u8::from(value.is_some())]);
            to(value.unwrap_or_default().as_bytes());
        };
        match self {
            Self::Principal => {
                let principal = facts.principal;
                maybe(principal.map(|principal| principal.kind.as_str()));
                maybe(principal.map(|principal| principal.issuer.as_str()));
                maybe(principal.map(|principal| principal.subject.as_str()));
            }
            Self::Tenant => maybe(facts.principal.map(|principal| principal.tenant.as_str())),
            Self::Route => maybe(Some(facts.route)),
            Self::Model => maybe(facts.model),
            Self::Header(name) => maybe(sole(facts.headers, name)),
            Self::SourceIp => match network(facts.source) {
                Source::Ip(ip) => maybe(Some(&ip.to_canonical().to_string())),
                Source::User(uid) => maybe(Some(&format!("user {uid}"))),
            },
        }
    }

    /// The earliest stage at which it is known.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::SourceIp | Self::Route | Self::Header(_) => Stage::Address,
            Self::Principal | Self::Tenant => Stage::Principal,
            Self::Model => Stage::Model,
        }
    }
}

/// A key as it is stored: 128 bits of keyed hash. Of fixed size, so that a long name costs no memory, and with secrets
/// of the process, so that nobody can choose two names that share a budget or crowd one shard (attack 46).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) low: u64,
    pub(super) high: u64,
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

/// Secrets of a store.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets(RandomState, RandomState);

impl Secrets {
    pub(super) fn digest(&self, kinds: &[Kind], facts: &Facts<'_>) -> Digest {
        let parts = Parts { kinds, facts };
        Digest { low: self.0.hash_one(&parts), high: self.1.hash_one(&parts) }
    }
}

struct Parts<'a> {
    kinds: &'a [Kind],
    facts: &'a Facts<'a>,
}

impl Hash for Parts<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for kind in self.kinds {
            match kind {
                // INVARIANT: limits over these are judged where there is a principal; were there none, it would count together.
                Kind::Principal => {
                    if let Some(principal) = self.facts.principal {
                        // `str` hashes with an end mark, so that two neighbours cannot trade characters.
                        principal.kind.hash(state);
                        principal.issuer.hash(state);
                        principal.subject.hash(state);
                    }
                }
                Kind::Tenant => self.facts.principal.map(|principal| &principal.tenant).hash(state),
                Kind::SourceIp => network(self.facts.source).hash(state),
                Kind::Route => self.facts.route.hash(state),
                Kind::Model => self.facts.model.hash(state),
                Kind::Header(name) => sole(self.facts.headers, name).hash(state),
            }
        }
    }
}

/// The one value of a header. Absent, repeated and unreadable are one case, counted together: none of them is a way to a
/// budget of one's own.
fn sole<'h>(headers: Option<&'h HeaderMap>, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers?.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// An address as one customer has it: an IPv4 address, or an IPv6 /64, within which a client takes any address it
/// likes. An IPv4 address written as IPv6 is itself. A user over a Unix socket is one source, whatever it starts.
fn network(source: Source) -> Source {
    let Source::Ip(ip) = source else { return source };
    Source::Ip(match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    })
}

//! What is counted together.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use postern_config::LimitKey;

use crate::{Principal, Source};

/// What a key is made of.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) principal: Option<&'a Principal>,
    pub(super) source: Source,
    pub(super) route: &'a str,
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
    pub(super) fn digest(&self, kinds: &[LimitKey], facts: &Facts<'_>) -> Digest {
        let parts = Parts { kinds, facts };
        Digest { low: self.0.hash_one(&parts), high: self.1.hash_one(&parts) }
    }
}

struct Parts<'a> {
    kinds: &'a [LimitKey],
    facts: &'a Facts<'a>,
}

impl Hash for Parts<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for kind in self.kinds {
            match (kind, self.facts.principal) {
                // `str` hashes with an end mark, so that two neighbours cannot trade characters.
                (LimitKey::Principal, Some(principal)) => {
                    principal.kind.hash(state);
                    principal.issuer.hash(state);
                    principal.subject.hash(state);
                }
                (LimitKey::Tenant, Some(principal)) => principal.tenant.hash(state),
                // INVARIANT: these limits are in the step that has a principal; were one not, it would count together.
                (LimitKey::Principal | LimitKey::Tenant, None) => {}
                (LimitKey::SourceIp, _) => network(self.facts.source).hash(state),
                (LimitKey::Route, _) => self.facts.route.hash(state),
            }
        }
    }
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

//! Which certificate is presented for which name: an exclusive choice for each host.

use std::collections::BTreeMap;

use super::PV_CONFLICT;
use crate::decode::At;
use crate::manifest::{self, CertificatePolicy, CertificateSource, Manifest};
use crate::resolve::attach::Place;
use crate::{IdentitySource, OwnIdentity, Report};

pub(super) type Policies<'m> = Vec<(Place, &'m Manifest, &'m CertificatePolicy)>;

type Chosen<'m> = (Place, &'m Manifest, &'m At<manifest::CertificateIdentity>);

/// For each host the most specific level wins, two at one level conflict. A host is chosen for by name: one that a
/// wildcard or an identity for every host would cover as well is another host here, and comes first.
pub(super) fn presented(policies: &Policies<'_>, report: &mut Report) -> Vec<OwnIdentity> {
    let mut offered: BTreeMap<String, Vec<Chosen<'_>>> = BTreeMap::new();
    for (place, manifest, policy) in policies {
        for identity in &policy.identities {
            let hosts: Vec<String> = match identity.hosts.as_slice() {
                [] => vec![String::new()],
                hosts => hosts.iter().map(|host| host.as_str().to_owned()).collect(),
            };
            for host in hosts {
                offered.entry(host).or_default().push((*place, manifest, identity));
            }
        }
    }
    grouped(offered.into_iter().filter_map(|(host, offers)| Some((chosen(&host, &offers, report)?, host))).collect())
}

fn chosen<'m>(host: &str, offers: &[Chosen<'m>], report: &mut Report) -> Option<&'m At<manifest::CertificateIdentity>> {
    let level = offers.iter().map(|(place, ..)| *place).max()?;
    let mut best = offers.iter().filter(|(place, ..)| *place == level);
    let (_, by, first) = best.next()?;
    for (_, _, other) in best.filter(|(_, _, other)| !same_identity(first, other)) {
        let shown = if host.is_empty() { "every host".to_owned() } else { format!("`{host}`") };
        let message = format!("{} presents another certificate for {shown}", by.id);
        other.name.error(report, PV_CONFLICT, message, "keep one, or attach one to the listener");
    }
    Some(first)
}

fn same_identity(a: &manifest::CertificateIdentity, b: &manifest::CertificateIdentity) -> bool {
    source(a) == source(b)
}

fn source(identity: &manifest::CertificateIdentity) -> IdentitySource {
    match &identity.source.value {
        CertificateSource::Files(files) => {
            IdentitySource::Files { cert: files.cert_from.value.clone(), key: files.key_from.value.clone() }
        }
        CertificateSource::Spiffe(spiffe) => IdentitySource::Spiffe {
            socket: spiffe.socket.as_ref().map(|socket| socket.value.clone()),
            id: spiffe.spiffe_id.as_ref().map(|id| id.as_str().to_owned()),
        },
    }
}

/// One identity for all the hosts it was chosen for; exact hosts first, then wildcards, then the one for any host.
fn grouped(mut entries: Vec<(&At<manifest::CertificateIdentity>, String)>) -> Vec<OwnIdentity> {
    let mut made: Vec<OwnIdentity> = Vec::new();
    let rank = |host: &str| match host {
        "" => 2,
        host if host.starts_with("*.") => 1,
        _ => 0,
    };
    entries.sort_by(|a, b| (rank(&a.1), &a.1).cmp(&(rank(&b.1), &b.1)));
    for (identity, host) in entries {
        let source = source(identity);
        let any = host.is_empty();
        let same = |other: &&mut OwnIdentity| {
            other.source == source
                && other.hosts.is_empty() == any
                && other.hosts.first().is_none_or(|first| first.starts_with("*.") == host.starts_with("*."))
        };
        match made.iter_mut().find(same) {
            Some(other) if !any => other.hosts.push(host),
            Some(_) => {}
            None => made.push(OwnIdentity {
                name: identity.name.as_str().to_owned(),
                hosts: if any { Vec::new() } else { vec![host] },
                source,
            }),
        }
    }
    made
}

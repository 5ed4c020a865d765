//! CertificatePolicy and EncryptionPolicy: what is presented, accepted and demanded on a listener and towards an upstream.

mod identities;
mod trust;

use std::time::Duration;

use super::attach::{Attachments, Place, of, tighten};
use crate::bootstrap::{ListenerSpec, UpstreamSpec};
use crate::decode::At;
use crate::manifest::{CertificatePolicy, EncryptionPolicy, Kind, Manifest, OnUnavailable};
use crate::{
    Anchor, ClientAuth, Code, CryptoProfile, Expected, ForwardCertificate, Hsts, KeyExchange, ListenerTls, PeerTrust,
    Report, TlsVersion, UpstreamTls, Waived, Waiver,
};
use identities::Policies;
use trust::Merged;

const PV_SHAPE: Code = Code(2);
const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);
const PV_TRUST: Code = Code(31);
const PV_UNKNOWN: Code = Code(33);

const DEFAULT_WARNING: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn listener(
    index: usize,
    spec: &ListenerSpec,
    attached: &Attachments<'_>,
    report: &mut Report,
) -> Option<ListenerTls> {
    let policies: Policies<'_> = of!(attached.on_listener(index), CertificatePolicy).collect();
    let identities = identities::presented(&policies, report);
    if identities.is_empty() && attached.may_miss(Kind::CertificatePolicy) {
        return None;
    }
    if identities.is_empty() {
        let message = format!("listener `{}` has no certificate to present", spec.name.as_str());
        let help = "attach a CertificatePolicy with `identities` to the gateway or the listener, or use `protocol: http` on loopback";
        spec.name.error(report, PV_TRUST, message, help);
        return None;
    }
    let (client_auth, trust) = client_trust(index, spec, trust::merge(&policies), attached, report)?;
    let mut deny_after_expiry = None;
    for (_, _, policy) in &policies {
        let written = policy.rotation.deny_after_expiry.written().map(|deny| deny.value);
        tighten(&mut deny_after_expiry, written, |a, b| a | b);
    }
    let strength = Strength::merge(of!(attached.on_listener(index), EncryptionPolicy));
    Some(ListenerTls {
        identities,
        client_auth,
        trust,
        min_version: strength.min_version.unwrap_or(TlsVersion::V1_3),
        key_exchange: strength.key_exchange,
        profile: strength.profile,
        hsts: strength.hsts,
        warn_before: warn_before(&policies),
        deny_after_expiry: deny_after_expiry.unwrap_or(true),
        forward: forward(&policies, report),
    })
}

/// An exclusive choice: the listener's own before the gateway's, and one of each.
fn forward(policies: &Policies<'_>, report: &mut Report) -> ForwardCertificate {
    let mut chosen: Option<(Place, ForwardCertificate)> = None;
    let written = |policy: &CertificatePolicy| Some(policy.forward.as_ref()?.header.written()?.clone());
    for (place, _, policy) in policies {
        let Some(header) = written(policy) else { continue };
        match chosen {
            Some((level, other)) if level == *place && other != header.value => {
                let message = "another manifest of the same level tells the client certificate differently";
                header.error(report, PV_CONFLICT, message, "keep one, or attach one to the listener");
            }
            Some((level, _)) if level >= *place => {}
            _ => chosen = Some((*place, header.value)),
        }
    }
    chosen.map_or(ForwardCertificate::None, |(_, header)| header)
}

fn warn_before(policies: &Policies<'_>) -> Duration {
    let mut before = None;
    for (_, _, policy) in policies {
        tighten(&mut before, policy.rotation.warn_before.written().map(|before| before.value), Duration::max);
    }
    before.unwrap_or(DEFAULT_WARNING)
}

/// What clients of a listener must present, where the listener asks at all. `None` after a problem was reported.
fn client_trust(
    index: usize,
    spec: &ListenerSpec,
    merged: Merged<'_>,
    attached: &Attachments<'_>,
    report: &mut Report,
) -> Option<(ClientAuth, PeerTrust)> {
    let Merged { mut trust, client_auth, lists_anchors, allows_unknown, place } = merged;
    let default = if *spec.internal { ClientAuth::Required } else { ClientAuth::Off };
    let client_auth = client_auth.unwrap_or(default);
    if client_auth != ClientAuth::Off && place.is_none() && attached.may_miss(Kind::CertificatePolicy) {
        return None;
    }
    if client_auth == ClientAuth::Off {
        return Some((client_auth, trust));
    }
    trust.unknown = unknown(allows_unknown, Place::Listener(index), attached, report);
    let name = spec.name.as_str();
    let mut problems = Vec::new();
    if trust.anchors.is_empty() && lists_anchors {
        problems.push((
            format!("no authority is left that every manifest of listener `{name}` trusts"),
            "let the `trust.anchors` of the manifests name the same files; a further manifest never adds one",
        ));
    } else if trust.anchors.is_empty() {
        problems.push((
            format!("listener `{name}` asks for client certificates and trusts no authority"),
            "add `trust.anchors` to a CertificatePolicy of the gateway or the listener",
        ));
    }
    if trust.names.iter().any(Vec::is_empty) {
        problems.push((
            format!("listener `{name}` accepts no client certificate: a list of `trust.names` is empty"),
            "list the SPIFFE ID globs or host names that may connect",
        ));
    }
    if let Some(domains) = only_domains(&trust)
        && trust.names.iter().any(|list| !list.is_empty() && !list.iter().any(|name| is_of(name, &domains)))
    {
        problems.push((
            format!(
                "listener `{name}` accepts no client certificate: `trust.names` lists no SPIFFE ID of {}",
                domains.join(", ")
            ),
            "list SPIFFE IDs of the trust domain of the anchor: its bundle vouches for nothing else",
        ));
    }
    problems.extend(impossible(&trust, "client certificate"));
    let good = problems.is_empty();
    for (message, help) in problems {
        match place {
            Some(trust) => trust.error(report, PV_TRUST, message, help),
            None => spec.name.error(report, PV_TRUST, message, help),
        }
    }
    good.then_some((client_auth, trust))
}

/// The trust domains of the anchors, where there is no other anchor.
fn only_domains(trust: &PeerTrust) -> Option<Vec<&str>> {
    fn domain(anchor: &Anchor) -> Option<&str> {
        match anchor {
            Anchor::Spiffe { trust_domain, .. } => Some(trust_domain),
            Anchor::Pem(_) => None,
        }
    }
    let domains: Option<Vec<&str>> = trust.anchors.iter().map(domain).collect();
    domains.filter(|domains| !domains.is_empty())
}

/// Whether a SPIFFE ID, or a glob on them, is of one of these trust domains.
fn is_of(name: &str, domains: &[&str]) -> bool {
    let domain = name.strip_prefix("spiffe://").map(|id| id.split('/').next().unwrap_or_default());
    domain.is_some_and(|domain| domains.contains(&domain))
}

/// The exception that lets pass what no list covers, where a manifest asks for that.
fn unknown(
    written: Option<&At<OnUnavailable>>,
    place: Place,
    attached: &Attachments<'_>,
    report: &mut Report,
) -> Option<Waived> {
    let written = written?;
    attached.waive(Waiver::UnknownRevocation, place, || {
        let message = "certificates would pass although nobody can say whether they are revoked";
        written.error(report, PV_UNKNOWN, message, "write `Deny`, and keep the lists current");
    })
}

/// Demands that no certificate meets.
fn impossible(trust: &PeerTrust, what: &str) -> Vec<(String, &'static str)> {
    let mut problems = Vec::new();
    if trust.max_lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
        problems.push((format!("`maxLifetime` is 0, so no {what} is accepted"), "use a lifetime such as `90d`"));
    }
    if trust.curves.is_empty() {
        problems.push((
            "no curve is left that every manifest allows".to_owned(),
            "let the `curves` of the manifests overlap",
        ));
    }
    problems
}

/// How an upstream is called; `None` where it is called without TLS.
pub(super) fn upstream(
    index: usize,
    spec: &UpstreamSpec,
    server_name: String,
    attached: &Attachments<'_>,
    report: &mut Report,
) -> Option<UpstreamTls> {
    if !spec.is_https() {
        return None;
    }
    let policies: Policies<'_> = of!(attached.on_upstream(index), CertificatePolicy).collect();
    for (_, manifest, _) in &policies {
        listeners_only(manifest, attached, report);
    }
    let strength = Strength::merge(of!(attached.on_upstream(index), EncryptionPolicy));
    let identity = identities::presented(&policies, report).into_iter().find(|identity| identity.hosts.is_empty());
    let merged = trust::merge(&policies);
    let expected = expected(spec, &merged, report);
    let mut problems = impossible(&merged.trust, "certificate of the upstream");
    if merged.trust.anchors.is_empty() && merged.lists_anchors {
        problems.push((
            format!("no authority is left that every manifest of upstream `{}` trusts", spec.name.as_str()),
            "let the `trust.anchors` of the manifests name the same files; a further manifest never adds one",
        ));
    }
    problems.extend(only_domains(&merged.trust).and_then(|domains| unvouched(spec, &expected, &domains)));
    if let Some(place) = merged.place {
        problems.into_iter().for_each(|(message, help)| place.error(report, PV_TRUST, message, help));
    }
    let mut trust = merged.trust;
    trust.unknown = unknown(merged.allows_unknown, Place::Upstream(index), attached, report);
    // The name of the bootstrap is always checked; a manifest without names adds nothing to it.
    trust.names.retain(|list| !list.is_empty());
    Some(UpstreamTls {
        server_name,
        expected,
        trust,
        // Many services of others are not there yet (§10); AEAD and forward secrecy are all that we speak of 1.2.
        min_version: strength.min_version.unwrap_or(TlsVersion::V1_2),
        key_exchange: strength.key_exchange,
        profile: strength.profile,
        identity,
        warn_before: warn_before(&policies),
    })
}

fn expected(spec: &UpstreamSpec, merged: &Merged<'_>, report: &mut Report) -> Expected {
    let Some(id) = &spec.tls.spiffe_id else { return Expected::ServerName };
    if let Some(name) = &spec.tls.server_name {
        let help = "keep the one that its certificate carries";
        name.error(report, PV_SHAPE, "`serverName` and `spiffeId` both say whom to expect", help);
    }
    if !merged.lists_anchors {
        let message = format!("nothing says which authority vouches for `{}`", id.as_str());
        let help = "attach a CertificatePolicy with `trust.anchors` to the upstream: the system's authorities issue no SPIFFE IDs";
        id.error(report, PV_TRUST, message, help);
    }
    Expected::Spiffe(id.as_str().to_owned())
}

/// An upstream that none of the trust domains can vouch for.
fn unvouched(spec: &UpstreamSpec, expected: &Expected, domains: &[&str]) -> Option<(String, &'static str)> {
    match expected {
        Expected::ServerName => Some((
            format!(
                "upstream `{}` is expected by its host name, which the bundle of a trust domain vouches for in no case",
                spec.name.as_str()
            ),
            "write `tls: {spiffeId: …}` for the upstream in the bootstrap, or add an anchor with `caFrom`",
        )),
        Expected::Spiffe(id) if !is_of(id, domains) => Some((
            format!("no anchor vouches for `{id}`, which the bootstrap expects of upstream `{}`", spec.name.as_str()),
            "add an anchor with the trust domain of that ID, or one with `caFrom`",
        )),
        Expected::Spiffe(_) => None,
    }
}

/// Fields that act on listeners alone do not stand in a manifest of upstreams alone: somebody believes that they act.
fn listeners_only(manifest: &Manifest, attached: &Attachments<'_>, report: &mut Report) {
    let crate::manifest::Spec::CertificatePolicy(policy) = &manifest.spec else { return };
    for identity in policy.identities.iter().filter(|identity| !identity.hosts.is_empty()) {
        let message = format!(
            "identity `{}` is for the names that clients ask for, and an upstream asks for none",
            identity.name.as_str()
        );
        identity.name.error(
            report,
            PV_BLIND,
            message,
            "attach a manifest of its own to the upstream, with an identity without `hosts`",
        );
    }
    if attached.places(manifest).any(|place| !matches!(place, Place::Upstream(_))) {
        return;
    }
    if let Some(auth) = policy.trust.as_ref().and_then(|trust| trust.client_auth.as_ref()) {
        let (code, message) = match auth.value {
            ClientAuth::Off => {
                (PV_TRUST, "the certificate of an upstream is always checked; `clientAuth` does not turn it off")
            }
            _ => (PV_BLIND, "`clientAuth` is about the clients of a listener"),
        };
        auth.error(report, code, message, "remove `clientAuth`, or attach the manifest to a listener");
    }
    if let Some(forward) = &policy.forward {
        let help = "remove `forward`, or attach the manifest to the listener whose clients it is about";
        forward.error(report, PV_BLIND, "`forward` is about the clients of a listener", help);
    }
    if let Some(deny) = policy.rotation.deny_after_expiry.written() {
        let help = "remove it, or attach the manifest to a listener";
        deny.error(report, PV_BLIND, "`denyAfterExpiry` is about the clients of a listener", help);
    }
}

/// EncryptionPolicy, merged.
struct Strength {
    min_version: Option<TlsVersion>,
    key_exchange: KeyExchange,
    profile: CryptoProfile,
    hsts: Option<Hsts>,
}

impl Strength {
    fn merge<'m>(policies: impl Iterator<Item = (Place, &'m Manifest, &'m EncryptionPolicy)>) -> Self {
        let (mut min_version, mut exchange, mut profile, mut hsts) = (None, None, None, None);
        for (_, _, policy) in policies {
            let transit = &policy.in_transit;
            tighten(&mut min_version, transit.min_version.written().map(|v| v.value), TlsVersion::max);
            tighten(&mut profile, transit.profile.written().map(|p| p.value), CryptoProfile::max);
            tighten(&mut exchange, transit.key_exchange.written().map(|k| k.value), KeyExchange::max);
            let written = transit
                .hsts
                .as_ref()
                .map(|hsts| Hsts { max_age: hsts.max_age.value, include_subdomains: *hsts.include_subdomains });
            tighten(&mut hsts, written, |a: Hsts, b: Hsts| Hsts {
                max_age: a.max_age.max(b.max_age),
                include_subdomains: a.include_subdomains | b.include_subdomains,
            });
        }
        Self {
            min_version,
            key_exchange: exchange.unwrap_or(KeyExchange::HybridPreferred),
            profile: profile.unwrap_or(CryptoProfile::Default),
            hsts,
        }
    }
}

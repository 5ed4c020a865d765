//! CertificatePolicy and EncryptionPolicy: what a listener presents, accepts, and demands of a connection.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attach::{Attachments, Place, of, tighten};
use crate::bootstrap::ListenerSpec;
use crate::decode::At;
use crate::manifest::{self, CertificateSource, Kind, Manifest};
use crate::{
    ClientAuth, ClientTrust, Code, Curve, Hsts, KeyExchange, ListenerTls, Material, Report, ServerIdentity, TlsVersion,
};

const PV_CONFLICT: Code = Code(5);
const PV_TRUST: Code = Code(31);

const DEFAULT_RSA_BITS: u32 = 2048;
const DEFAULT_CURVES: [Curve; 3] = [Curve::P256, Curve::P384, Curve::Ed25519];
const DEFAULT_WARNING: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn listener(
    index: usize,
    spec: &ListenerSpec,
    attached: &Attachments<'_>,
    report: &mut Report,
) -> Option<ListenerTls> {
    let identities = identities(index, attached, report);
    if identities.is_empty() && attached.may_miss(Kind::CertificatePolicy) {
        return None;
    }
    if identities.is_empty() {
        let message = format!("listener `{}` has no certificate to present", spec.name.as_str());
        let help = "attach a CertificatePolicy with `identities` to the gateway or the listener, or use `protocol: http` on loopback";
        spec.name.error(report, PV_TRUST, message, help);
        return None;
    }
    let trust = trust(index, spec, attached, report)?;
    let (mut warn_before, mut deny_after_expiry) = (None, None);
    for (_, _, policy) in of!(attached.on_listener(index), CertificatePolicy) {
        let rotation = &policy.rotation;
        tighten(&mut warn_before, rotation.warn_before.written().map(|before| before.value), Duration::max);
        tighten(&mut deny_after_expiry, rotation.deny_after_expiry.written().map(|deny| deny.value), |a, b| a | b);
    }
    let (min_version, key_exchange, hsts) = encryption(index, attached);
    Some(ListenerTls {
        identities,
        trust,
        min_version,
        key_exchange,
        hsts,
        warn_before: warn_before.unwrap_or(DEFAULT_WARNING),
        deny_after_expiry: deny_after_expiry.unwrap_or(true),
    })
}

type Chosen<'m> = (Place, &'m Manifest, &'m At<manifest::CertificateIdentity>);

/// An exclusive choice for each host: the most specific level wins, two at one level conflict. A host is chosen for by
/// name: one that a wildcard or an identity for every host would cover as well is another host here, and comes first.
fn identities(index: usize, attached: &Attachments<'_>, report: &mut Report) -> Vec<ServerIdentity> {
    let mut offered: BTreeMap<String, Vec<Chosen<'_>>> = BTreeMap::new();
    for (place, manifest, policy) in of!(attached.on_listener(index), CertificatePolicy) {
        for identity in &policy.identities {
            let hosts: Vec<String> = match identity.hosts.as_slice() {
                [] => vec![String::new()],
                hosts => hosts.iter().map(|host| host.as_str().to_owned()).collect(),
            };
            for host in hosts {
                offered.entry(host).or_default().push((place, manifest, identity));
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
    let (CertificateSource::Files(a), CertificateSource::Files(b)) = (&a.source.value, &b.source.value);
    a.cert_from.value == b.cert_from.value && a.key_from.value == b.key_from.value
}

/// One identity for all the hosts it was chosen for; exact hosts first, then wildcards, then the one for any host.
fn grouped(mut entries: Vec<(&At<manifest::CertificateIdentity>, String)>) -> Vec<ServerIdentity> {
    let mut made: Vec<ServerIdentity> = Vec::new();
    let rank = |host: &str| match host {
        "" => 2,
        host if host.starts_with("*.") => 1,
        _ => 0,
    };
    entries.sort_by(|a, b| (rank(&a.1), &a.1).cmp(&(rank(&b.1), &b.1)));
    for (identity, host) in entries {
        let CertificateSource::Files(files) = &identity.source.value;
        let (cert, key) = (files.cert_from.value.clone(), files.key_from.value.clone());
        let any = host.is_empty();
        let same = |other: &&mut ServerIdentity| {
            other.cert == cert
                && other.key == key
                && other.hosts.is_empty() == any
                && other.hosts.first().is_none_or(|first| first.starts_with("*.") == host.starts_with("*."))
        };
        match made.iter_mut().find(same) {
            Some(other) if !any => other.hosts.push(host),
            Some(_) => {}
            None => made.push(ServerIdentity {
                name: identity.name.as_str().to_owned(),
                hosts: if any { Vec::new() } else { vec![host] },
                cert,
                key,
            }),
        }
    }
    made
}

fn trust(index: usize, spec: &ListenerSpec, attached: &Attachments<'_>, report: &mut Report) -> Option<ClientTrust> {
    let mut anchors: Option<Vec<Material>> = None;
    let mut names: Vec<Vec<String>> = Vec::new();
    let (mut client_auth, mut rsa, mut lifetime) = (None, None, None);
    let mut curves: Option<Vec<Curve>> = None;
    let mut place = None;
    for (_, _, policy) in of!(attached.on_listener(index), CertificatePolicy) {
        let Some(trust) = &policy.trust else { continue };
        place = Some(trust);
        if !trust.anchors.is_empty() {
            let written: Vec<Material> = trust.anchors.iter().map(|anchor| anchor.ca_from.value.clone()).collect();
            anchors = Some(in_both(anchors, written));
        }
        names.push(trust.names.iter().map(|name| name.as_str().to_owned()).collect());
        tighten(&mut client_auth, trust.client_auth.as_ref().map(|auth| auth.value), ClientAuth::max);
        tighten(&mut rsa, trust.min_rsa_bits.written().map(|bits| bits.value.0), u32::max);
        tighten(&mut lifetime, trust.max_lifetime.as_ref().map(|lifetime| lifetime.value), Duration::min);
        if let Some(written) = trust.curves.written() {
            curves = Some(in_both(curves, written.iter().map(|curve| curve.value).collect()));
        }
    }
    let listed = anchors.is_some();
    let anchors = anchors.unwrap_or_default();
    let default = if *spec.internal { ClientAuth::Required } else { ClientAuth::Off };
    let client_auth = client_auth.unwrap_or(default);
    if client_auth != ClientAuth::Off && place.is_none() && attached.may_miss(Kind::CertificatePolicy) {
        return None;
    }
    let curves: Vec<Curve> = curves.unwrap_or_else(|| DEFAULT_CURVES.to_vec());
    let mut good = true;
    let mut refuse = |message: String, help: &str| {
        match place {
            Some(trust) => trust.error(report, PV_TRUST, message, help),
            None => spec.name.error(report, PV_TRUST, message, help),
        }
        good = false;
    };
    if client_auth != ClientAuth::Off {
        if anchors.is_empty() && listed {
            refuse(
                format!("no authority is left that every manifest of listener `{}` trusts", spec.name.as_str()),
                "let the `trust.anchors` of the manifests name the same files; a further manifest never adds one",
            );
        } else if anchors.is_empty() {
            refuse(
                format!("listener `{}` asks for client certificates and trusts no authority", spec.name.as_str()),
                "add `trust.anchors` to a CertificatePolicy of the gateway or the listener",
            );
        }
        if names.iter().any(Vec::is_empty) {
            refuse(
                format!(
                    "listener `{}` accepts no client certificate: a list of `trust.names` is empty",
                    spec.name.as_str()
                ),
                "list the SPIFFE ID globs or host names that may connect",
            );
        }
        if lifetime.is_some_and(|lifetime: Duration| lifetime.is_zero()) {
            refuse(
                "`maxLifetime` is 0, so no client certificate is accepted".to_owned(),
                "use a lifetime such as `90d`",
            );
        }
        if curves.is_empty() {
            refuse(
                "no curve is left that every manifest allows".to_owned(),
                "let the `curves` of the manifests overlap",
            );
        }
    }
    good.then(|| ClientTrust {
        client_auth,
        anchors,
        names,
        min_rsa_bits: rsa.unwrap_or(DEFAULT_RSA_BITS),
        curves,
        max_lifetime: lifetime,
    })
}

/// An allow list of authorities or curves: only what every manifest lists stays, whatever their order.
fn in_both<T: Ord>(merged: Option<Vec<T>>, mut written: Vec<T>) -> Vec<T> {
    written.sort();
    written.dedup();
    if let Some(merged) = merged {
        written.retain(|item| merged.contains(item));
    }
    written
}

fn encryption(index: usize, attached: &Attachments<'_>) -> (TlsVersion, KeyExchange, Option<Hsts>) {
    let (mut version, mut exchange, mut hsts) = (None, None, None);
    for (_, _, policy) in of!(attached.on_listener(index), EncryptionPolicy) {
        let transit = &policy.in_transit;
        tighten(&mut version, transit.min_version.written().map(|v| v.value), TlsVersion::max);
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
    (version.unwrap_or(TlsVersion::V1_3), exchange.unwrap_or(KeyExchange::HybridPreferred), hsts)
}

//! Whom we believe: the `trust` of all manifests of one place, merged. Every manifest can only take away.

use std::time::Duration;

use super::identities::Policies;
use crate::decode::At;
use crate::manifest::{self, CertificatePolicy, OnUnavailable};
use crate::resolve::attach::tighten;
use crate::{Anchor, ClientAuth, Curve, Material, PeerTrust};

const DEFAULT_RSA_BITS: u32 = 2048;
const DEFAULT_CURVES: [Curve; 3] = [Curve::P256, Curve::P384, Curve::Ed25519];

/// The `trust` of one place.
pub(super) struct Merged<'m> {
    pub(super) trust: PeerTrust,
    pub(super) client_auth: Option<ClientAuth>,
    /// Some manifest lists anchors; none may be left.
    pub(super) lists_anchors: bool,
    /// Every manifest that says so lets pass what no list covers; one of them.
    pub(super) allows_unknown: Option<&'m At<OnUnavailable>>,
    /// A `trust` that was written, for problems.
    pub(super) place: Option<&'m At<manifest::Trust>>,
}

pub(super) fn merge<'m>(policies: &Policies<'m>) -> Merged<'m> {
    let mut anchors: Option<Vec<Anchor>> = None;
    let mut curves: Option<Vec<Curve>> = None;
    let (mut names, mut crls) = (Vec::new(), Vec::new());
    let (mut client_auth, mut rsa, mut lifetime) = (None, None, None);
    let mut place = None;
    let (mut allowing, mut denied) = (None, false);
    for (_, _, policy) in policies {
        let Some(trust) = written(policy) else { continue };
        place = Some(trust);
        if !trust.anchors.is_empty() {
            anchors = Some(in_both(anchors, trust.anchors.iter().filter_map(|written| anchor(written)).collect()));
        }
        names.push(trust.names.iter().map(|name| name.as_str().to_owned()).collect());
        crls.extend(crl(trust).cloned());
        match trust.revocation.as_ref().and_then(|revocation| revocation.on_unavailable.written()) {
            Some(written) if written.value == OnUnavailable::Allow => allowing = Some(written),
            Some(_) => denied = true,
            None => {}
        }
        tighten(&mut client_auth, trust.client_auth.as_ref().map(|auth| auth.value), ClientAuth::max);
        tighten(&mut rsa, trust.min_rsa_bits.written().map(|bits| bits.value.0), u32::max);
        tighten(&mut lifetime, trust.max_lifetime.as_ref().map(|lifetime| lifetime.value), Duration::min);
        if let Some(written) = trust.curves.written() {
            curves = Some(in_both(curves, written.iter().map(|curve| curve.value).collect()));
        }
    }
    crls.sort();
    crls.dedup();
    let trust = PeerTrust {
        names,
        crls,
        unknown: None,
        min_rsa_bits: rsa.unwrap_or(DEFAULT_RSA_BITS),
        curves: curves.unwrap_or_else(|| DEFAULT_CURVES.to_vec()),
        max_lifetime: lifetime,
        anchors: anchors.clone().unwrap_or_default(),
    };
    let allows_unknown = allowing.filter(|_| !denied);
    Merged { trust, client_auth, lists_anchors: anchors.is_some(), allows_unknown, place }
}

fn written<'m>(policy: &&'m CertificatePolicy) -> Option<&'m At<manifest::Trust>> {
    let policy: &'m CertificatePolicy = policy;
    policy.trust.as_ref()
}

/// INVARIANT: an anchor is one of the two, its check has seen to it.
fn anchor(written: &manifest::Anchor) -> Option<Anchor> {
    match (&written.ca_from, &written.spiffe_trust_domain) {
        (Some(material), _) => Some(Anchor::Pem(material.value.clone())),
        (None, domain) => Some(Anchor::Spiffe {
            socket: written.socket.as_ref().map(|socket| socket.value.clone()),
            trust_domain: domain.as_ref()?.as_str().to_owned(),
        }),
    }
}

fn crl(trust: &manifest::Trust) -> Option<&Material> {
    let revocation = trust.revocation.as_ref()?;
    Some(&revocation.crl_from.value)
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

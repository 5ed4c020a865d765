//! What is believed at one place: anchors, revocation lists and rules, loaded whole.

use std::sync::Arc;

use postern_config::{Anchor, Material, PeerTrust};
use rustls::RootCertStore;
use rustls_pki_types::CertificateRevocationListDer;

use crate::certificate::Certificate;
use crate::identities::{certificates, validity};
use crate::revocation::Lists;
use crate::rules::PeerRules;
use crate::{CertFault, CertProblem};

/// Loaded trust.
pub(crate) struct Trust {
    pub(crate) roots: RootCertStore,
    pub(crate) crls: Vec<CertificateRevocationListDer<'static>>,
    pub(crate) rules: PeerRules,
    /// For warnings.
    pub(crate) anchors: Vec<(Material, Vec<Certificate>)>,
    /// Unix seconds at which the first revocation list is over.
    pub(crate) lists_end: Option<i64>,
}

impl Trust {
    /// `None` only after something was pushed to `problems`. Without anchors in `settings` those of the system are taken
    /// where `system` says so.
    pub(crate) fn load(settings: &PeerTrust, system: bool, now: i64, problems: &mut Vec<CertProblem>) -> Option<Self> {
        let before = problems.len();
        let mut roots = RootCertStore::empty();
        let mut anchors = Vec::new();
        for anchor in &settings.anchors {
            let Anchor::Pem(material) = anchor;
            anchors.extend(pem(settings, material, &mut roots, now, problems));
        }
        if settings.anchors.is_empty() && system {
            system_roots(&mut roots).map_err(|fault| problems.push(fault.nowhere())).ok();
        }
        let lists = Lists::load(&settings.crls, now, problems);
        let rules = PeerRules::new(settings, Arc::new(lists.revoked))
            .map_err(|faults| problems.extend(faults.into_iter().map(CertFault::nowhere)))
            .ok()?;
        // Anchors that could not be read are named already; that none is left then is no news.
        if roots.is_empty() && problems.len() == before {
            problems.push(CertFault::NoAnchors.nowhere());
        }
        let trust = Self { roots, crls: lists.ders, rules, anchors, lists_end: lists.next_update };
        (problems.len() == before).then_some(trust)
    }
}

fn pem(
    settings: &PeerTrust,
    material: &Material,
    store: &mut RootCertStore,
    now: i64,
    problems: &mut Vec<CertProblem>,
) -> Option<(Material, Vec<Certificate>)> {
    let (ders, chain) = certificates(material, problems)?;
    for (index, (der, certificate)) in ders.into_iter().zip(&chain).enumerate() {
        let added = anchor(settings, index, certificate, now)
            .and_then(|()| store.add(der).map_err(|e| CertFault::Malformed { index, reason: e.to_string() }));
        added.map_err(|fault| problems.push(fault.at(material))).ok();
    }
    Some((material.clone(), chain))
}

/// An anchor's own signature is never relied on, so only its key, its dates and its right to issue count.
fn anchor(settings: &PeerTrust, index: usize, certificate: &Certificate, now: i64) -> Result<(), CertFault> {
    validity(index, certificate, now)?;
    if !certificate.is_ca {
        return Err(CertFault::NotAnAuthority { index });
    }
    if !certificate.key.is_accepted(settings.min_rsa_bits, &settings.curves) {
        return Err(CertFault::WeakKey { index, key: certificate.key.to_string() });
    }
    Ok(())
}

/// The authorities of the machine, or of the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. One of them that cannot
/// be read vouches for nobody; that is no reason to do without the others.
fn system_roots(store: &mut RootCertStore) -> Result<(), CertFault> {
    let found = rustls_native_certs::load_native_certs().map_err(|e| CertFault::SystemRoots(e.to_string()))?;
    store.add_parsable_certificates(found);
    if store.is_empty() {
        return Err(CertFault::SystemRoots("there is none".to_owned()));
    }
    Ok(())
}

//! What is believed at one place: anchors, revocation lists and rules, loaded whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::{Anchor, Curve, Material, PeerTrust, WorkloadSocket};
use rustls::RootCertStore;
use rustls_pki_types::CertificateRevocationListDer;

use crate::certificate::Certificate;
use crate::identities::{certificates, validity};
use crate::revocation::{Lists, Revoked};
use crate::rules::PeerRules;
use crate::unknown::Unknown;
use crate::{CertFault, CertProblem, Workloads};

/// Loaded trust: what comes from files, and whose bundles count besides.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Of files: they vouch for anybody.
    pub(crate) roots: RootCertStore,
    pub(crate) crls: Vec<CertificateRevocationListDer<'static>>,
    pub(crate) rules: PeerRules,
    /// For warnings.
    pub(crate) anchors: Vec<(Material, Vec<Certificate>)>,
    /// Unix seconds at which the first revocation list is over.
    pub(crate) lists_end: Option<i64>,
    /// Trust domains, and which Workload API gives the bundle.
    pub(crate) domains: Vec<(Option<WorkloadSocket>, String)>,
    /// What may pass although no list covers it.
    pub(crate) unknown: Option<Unknown>,
    min_rsa_bits: u32,
    curves: Vec<Curve>,
}

/// What vouches for the SVIDs of one trust domain, and for nobody else (SPI-03).
#[derive(Debug)]
pub(crate) struct Authorities {
    pub(crate) roots: RootCertStore,
    pub(crate) revoked: Vec<Arc<Revoked>>,
}

impl Trust {
    /// `None` only after something was pushed to `problems`. Without anchors in `settings` those of the system are taken
    /// where `system` says so.
    pub(crate) fn load(
        settings: &PeerTrust,
        system: bool,
        workloads: &Workloads,
        now: i64,
        problems: &mut Vec<CertProblem>,
    ) -> Option<Self> {
        let before = problems.len();
        let mut roots = RootCertStore::empty();
        let (mut anchors, mut domains) = (Vec::new(), Vec::new());
        for anchor in &settings.anchors {
            match anchor {
                Anchor::Pem(material) => anchors.extend(pem(settings, material, &mut roots, now, problems)),
                Anchor::Spiffe { socket, trust_domain } => {
                    let faults = bundle_faults(settings, socket.as_ref(), trust_domain, workloads);
                    problems.extend(faults.into_iter().map(CertFault::nowhere));
                    domains.push((socket.clone(), trust_domain.clone()));
                }
            }
        }
        if settings.anchors.is_empty() && system {
            system_roots(&mut roots).map_err(|fault| problems.push(fault.nowhere())).ok();
        }
        let lists = Lists::load(&settings.crls, settings.unknown.is_some(), now, problems);
        let rules = PeerRules::new(settings, Arc::new(lists.revoked))
            .map_err(|faults| problems.extend(faults.into_iter().map(CertFault::nowhere)))
            .ok()?;
        // Anchors that could not be read are named already; that none is left then is no news.
        if roots.is_empty() && domains.is_empty() && problems.len() == before {
            problems.push(CertFault::NoAnchors.nowhere());
        }
        let trust = Self {
            roots,
            crls: lists.ders,
            rules,
            anchors,
            lists_end: lists.next_update,
            unknown: settings.unknown.clone().map(|waived| Unknown::new(waived, lists.missing)),
            domains,
            min_rsa_bits: settings.min_rsa_bits,
            curves: settings.curves.clone(),
        };
        (problems.len() == before).then_some(trust)
    }

    /// By trust domain what vouches for it now. One whose bundle was taken back, or holds no key that is accepted, is not there.
    pub(crate) fn authorities(&self, workloads: &Workloads) -> BTreeMap<String, Authorities> {
        let mut all: BTreeMap<String, Authorities> = BTreeMap::new();
        for (socket, domain) in &self.domains {
            let Some(workload) = workloads.get(socket.as_ref()) else { continue };
            let mut roots = RootCertStore::empty();
            for (der, certificate) in workload.bundle(domain).iter().flat_map(|bundle| &bundle.0) {
                if certificate.key.is_accepted(self.min_rsa_bits, &self.curves) {
                    // What webpki cannot use vouches for nobody.
                    let _ = roots.add(der.clone());
                }
            }
            if roots.is_empty() {
                continue;
            }
            match all.get_mut(domain) {
                Some(known) => {
                    known.roots.extend(roots.roots.iter().cloned());
                    known.revoked.push(workload.revoked().clone());
                }
                None => {
                    all.insert(domain.clone(), Authorities { roots, revoked: vec![workload.revoked().clone()] });
                }
            }
        }
        all
    }
}

/// What keeps a trust domain from being an anchor.
fn bundle_faults(
    settings: &PeerTrust,
    socket: Option<&WorkloadSocket>,
    domain: &str,
    workloads: &Workloads,
) -> Vec<CertFault> {
    let Some(workload) = workloads.get(socket) else { return vec![CertFault::NoWorkload] };
    let Some(bundle) = workload.bundle(domain) else { return vec![CertFault::NoBundle(domain.to_owned())] };
    let weak = |(index, (_, one)): (usize, &(_, Certificate))| {
        let accepted = one.key.is_accepted(settings.min_rsa_bits, &settings.curves);
        (!accepted).then(|| CertFault::WeakKey { index, key: one.key.to_string() })
    };
    bundle.0.iter().enumerate().filter_map(weak).collect()
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

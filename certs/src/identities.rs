//! What we present: certificates with their keys; on a listener chosen by SNI.

use std::sync::Arc;

use postern_config::{IdentitySource, Material, OwnIdentity, host_matches};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};

use crate::certificate::Certificate;
use crate::listener::date;
use crate::{CertFault, CertProblem};

/// The identities of a listener, in the order of their manifests.
#[derive(Debug)]
pub(crate) struct Identities(Vec<Identity>);

#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    hosts: Vec<String>,
    pub(crate) material: Material,
    /// Leaf first.
    pub(crate) chain: Vec<Certificate>,
    key: Arc<CertifiedKey>,
}

impl Identity {
    /// No hosts means every name, and a handshake without a name.
    fn answers(&self, sni: Option<&str>) -> bool {
        self.hosts.is_empty() || sni.is_some_and(|sni| self.hosts.iter().any(|host| host_matches(host, sni)))
    }

    pub(crate) fn covers(&self, host: &str) -> bool {
        self.chain.first().is_some_and(|leaf| leaf.covers(host))
    }

    pub(crate) fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    /// `None` only after something was pushed to `problems`.
    pub(crate) fn load(
        settings: &OwnIdentity,
        role: Role,
        provider: &CryptoProvider,
        now: i64,
        problems: &mut Vec<CertProblem>,
    ) -> Option<Self> {
        let before = problems.len();
        let IdentitySource::Files { cert, key: key_from } = &settings.source;
        let chain = certificates(cert, problems);
        let key = private_key(key_from).map_err(|fault| problems.push(fault.at(key_from))).ok();
        let (ders, chain) = chain?;
        let faults = check(settings, role, &chain, now);
        problems.extend(faults.into_iter().map(|fault| fault.at(cert)));
        let key = certified(cert, ders, key?, provider).map_err(|fault| problems.push(fault.at(key_from))).ok()?;
        (problems.len() == before).then(|| Self {
            name: settings.name.clone(),
            hosts: settings.hosts.clone(),
            material: cert.clone(),
            chain,
            key: Arc::new(key),
        })
    }
}

/// On which side of a handshake an identity is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

impl Identities {
    /// Loads all; every problem of every identity is pushed to `problems`.
    pub(crate) fn load(
        settings: &[OwnIdentity],
        provider: &CryptoProvider,
        now: i64,
        problems: &mut Vec<CertProblem>,
    ) -> Self {
        if settings.is_empty() {
            problems.push(CertFault::NoIdentity.nowhere());
        }
        Self(settings.iter().filter_map(|one| Identity::load(one, Role::Server, provider, now, problems)).collect())
    }

    pub(crate) fn select(&self, sni: Option<&str>) -> Option<&Identity> {
        self.0.iter().find(|identity| identity.answers(sni))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.0.iter()
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.select(hello.server_name()).map(|identity| identity.key.clone())
    }
}

/// What a presented chain must be, besides readable.
fn check(settings: &OwnIdentity, role: Role, chain: &[Certificate], now: i64) -> Vec<CertFault> {
    let mut faults = Vec::new();
    for (index, certificate) in chain.iter().enumerate() {
        faults.extend(validity(index, certificate, now).err());
        if !certificate.key.is_presentable() {
            let key = certificate.key.to_string();
            faults.push(CertFault::WeakKey { index, key });
        }
        // Nobody relies on the signature of a root that is sent along; a leaf's counts even if it names itself.
        let root = index > 0 && certificate.is_ca && certificate.self_issued;
        if !certificate.strong_signature && !root {
            faults.push(CertFault::WeakSignature { index });
        }
    }
    let Some(leaf) = chain.first() else { return faults };
    match (role, leaf.extended) {
        (Role::Server, Some((_, false))) => faults.push(CertFault::Role { index: 0, role: "servers" }),
        (Role::Client, Some((false, _))) => faults.push(CertFault::Role { index: 0, role: "clients" }),
        _ => {}
    }
    if role == Role::Server && leaf.dns.is_empty() && leaf.ips.is_empty() {
        faults.push(CertFault::NoNames);
    }
    faults.extend(
        settings.hosts.iter().filter(|host| !leaf.covers(host)).map(|host| CertFault::NotCovered(host.clone())),
    );
    faults
}

pub(crate) fn validity(index: usize, certificate: &Certificate, now: i64) -> Result<(), CertFault> {
    if now > certificate.not_after {
        return Err(CertFault::Expired { index, not_after: date(certificate.not_after) });
    }
    if now < certificate.not_before {
        return Err(CertFault::NotYetValid { index, not_before: date(certificate.not_before) });
    }
    Ok(())
}

type Chain = (Vec<CertificateDer<'static>>, Vec<Certificate>);

/// All certificates of a PEM file; `None` only after something was pushed to `problems`.
pub(crate) fn certificates(material: &Material, problems: &mut Vec<CertProblem>) -> Option<Chain> {
    let ders = pem_certificates(material).map_err(|fault| problems.push(fault.at(material))).ok()?;
    let mut chain = Vec::with_capacity(ders.len());
    for (index, der) in ders.iter().enumerate() {
        match Certificate::read(der) {
            Ok(certificate) => chain.push(certificate),
            Err(reason) => problems.push(CertFault::Malformed { index, reason }.at(material)),
        }
    }
    (chain.len() == ders.len()).then_some((ders, chain))
}

fn pem_certificates(material: &Material) -> Result<Vec<CertificateDer<'static>>, CertFault> {
    let bytes = material.read_public()?;
    let ders: Vec<_> = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(CertFault::NotPem)?;
    if ders.is_empty() { Err(CertFault::NoCertificate) } else { Ok(ders) }
}

fn private_key(material: &Material) -> Result<PrivateKeyDer<'static>, CertFault> {
    let bytes = material.read_secret()?;
    PrivateKeyDer::from_pem_slice(bytes.expose()).map_err(|e| match e {
        pem::Error::NoItemsFound => CertFault::NoKey,
        other => CertFault::NotPem(other),
    })
}

/// rustls takes the key over and wipes its bytes.
fn certified(
    cert: &Material,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertFault> {
    let key = provider.key_provider.load_private_key(key).map_err(CertFault::UnusableKey)?;
    if key.choose_scheme(&provider.signature_verification_algorithms.supported_schemes()).is_none() {
        return Err(CertFault::NotApproved);
    }
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertFault::KeyMismatch { certificate: cert.clone() }),
        Err(other) => Err(CertFault::UnusableKey(other)),
    }
}

//! What we present: certificates with their keys; on a listener chosen by SNI.

use std::sync::Arc;

use postern_config::{IdentitySource, Material, OwnIdentity, WorkloadSocket, host_matches};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};

use crate::certificate::Certificate;
use crate::listener::date;
use crate::strength::signs;
use crate::{CertFault, CertProblem, SpiffeId, Workloads};

/// The identities of a listener, in the order of their manifests.
#[derive(Debug)]
pub(crate) struct Identities(Vec<Identity>);

#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) name: String,
    hosts: Vec<String>,
    pub(crate) origin: Origin,
    /// Leaf first; empty where the agent took the SVID back.
    pub(crate) chain: Vec<Certificate>,
    /// `None` there too: then a handshake ends.
    key: Option<Arc<CertifiedKey>>,
}

/// Where an identity comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// With the file of the chain.
    Files(Material),
    /// The SVID with this ID, or the first.
    Workload { socket: Option<WorkloadSocket>, id: Option<SpiffeId> },
}

impl Identity {
    /// No hosts means every name, and a handshake without a name.
    fn answers(&self, sni: Option<&str>) -> bool {
        self.hosts.is_empty() || sni.is_some_and(|sni| self.hosts.iter().any(|host| host_matches(host, sni)))
    }

    pub(crate) fn key(&self) -> Option<Arc<CertifiedKey>> {
        self.key.clone()
    }

    /// The file it comes from, where it comes from one.
    pub(crate) fn file(&self) -> Option<&Material> {
        match &self.origin {
            Origin::Files(material) => Some(material),
            Origin::Workload { .. } => None,
        }
    }

    /// The SPIFFE ID of what is presented, where that is an X.509-SVID.
    pub(crate) fn spiffe(&self) -> Option<SpiffeId> {
        match self.chain.first()?.uris.as_slice() {
            [uri] => SpiffeId::parse(uri).ok(),
            _ => None,
        }
    }

    /// Whether what this presented is still ours: an agent may have taken the SVID back, or it has ended.
    pub(crate) fn is_held(&self, workloads: &Workloads) -> bool {
        let (Origin::Workload { socket, .. }, Some(id)) = (&self.origin, self.spiffe()) else { return true };
        workloads.get(socket.as_ref()).is_none_or(|workload| workload.svid(Some(&id)).is_some())
    }

    /// The same identity by what agents say now. An SVID that was taken back is not presented any more, nor is one whose key
    /// `provider` does not approve.
    pub(crate) fn renewed(&self, workloads: &Workloads, provider: &CryptoProvider) -> Self {
        let Origin::Workload { socket, id } = &self.origin else { return self.clone() };
        let svid = workloads.svid(socket.as_ref(), id.as_ref()).ok().filter(|svid| signs(&*svid.key.key, provider));
        let (chain, key) = svid.map(|svid| (svid.chain.clone(), svid.key.clone())).unzip();
        Self { chain: chain.unwrap_or_default(), key, ..self.clone() }
    }

    /// `None` only after something was pushed to `problems`.
    pub(crate) fn load(
        settings: &OwnIdentity,
        role: Role,
        provider: &CryptoProvider,
        workloads: &Workloads,
        now: i64,
        problems: &mut Vec<CertProblem>,
    ) -> Option<Self> {
        let before = problems.len();
        let (cert, key_from) = match &settings.source {
            IdentitySource::Files { cert, key } => (cert, key),
            IdentitySource::Spiffe { socket, id } => {
                let svid = Self::of_workload(settings, socket.as_ref(), id.as_deref(), workloads);
                return svid.map_err(|fault| problems.push(fault.nowhere())).ok();
            }
        };
        let chain = certificates(cert, problems);
        let key = private_key(key_from).map_err(|fault| problems.push(fault.at(key_from))).ok();
        let (ders, chain) = chain?;
        let faults = check(settings, role, &chain, now);
        problems.extend(faults.into_iter().map(|fault| fault.at(cert)));
        let key = certified(cert, ders, key?, provider).map_err(|fault| problems.push(fault.at(key_from))).ok()?;
        (problems.len() == before).then(|| Self {
            name: settings.name.clone(),
            hosts: settings.hosts.clone(),
            origin: Origin::Files(cert.clone()),
            chain,
            key: Some(Arc::new(key)),
        })
    }

    /// Whoever believes an SVID looks at its ID: it needs no name of a host. It was checked when it came.
    fn of_workload(
        settings: &OwnIdentity,
        socket: Option<&WorkloadSocket>,
        id: Option<&str>,
        workloads: &Workloads,
    ) -> Result<Self, CertFault> {
        let parsed = id.map(SpiffeId::parse).transpose();
        let id =
            parsed.map_err(|source| CertFault::ExpectedSpiffe { name: id.unwrap_or_default().to_owned(), source })?;
        let svid = workloads.svid(socket, id.as_ref())?;
        Ok(Self {
            name: settings.name.clone(),
            hosts: settings.hosts.clone(),
            chain: svid.chain.clone(),
            key: Some(svid.key.clone()),
            origin: Origin::Workload { socket: socket.cloned(), id },
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
        workloads: &Workloads,
        now: i64,
        problems: &mut Vec<CertProblem>,
    ) -> Self {
        if settings.is_empty() {
            problems.push(CertFault::NoIdentity.nowhere());
        }
        let mut load = |one| Identity::load(one, Role::Server, provider, workloads, now, problems);
        Self(settings.iter().filter_map(&mut load).collect())
    }

    /// The same identities by what agents say now.
    pub(crate) fn renewed(&self, workloads: &Workloads, provider: &CryptoProvider) -> Self {
        Self(self.0.iter().map(|identity| identity.renewed(workloads, provider)).collect())
    }

    /// Whether what is presented to this SNI speaks for `host`. An SVID carries no name of a host: it speaks for those that
    /// it would be presented for.
    pub(crate) fn covers(&self, sni: Option<&str>, host: &str) -> bool {
        let Some(identity) = self.select(sni) else { return false };
        match identity.origin {
            Origin::Files(_) => identity.chain.first().is_some_and(|leaf| leaf.covers(host)),
            Origin::Workload { .. } => self.select(Some(host)).is_some_and(|other| std::ptr::eq(other, identity)),
        }
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
        self.select(hello.server_name()).and_then(Identity::key)
    }
}

/// What a presented chain must be, besides readable.
fn check(settings: &OwnIdentity, role: Role, chain: &[Certificate], now: i64) -> Vec<CertFault> {
    let mut faults = presentable(chain, now);
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

/// What every certificate of a presented chain must be.
pub(crate) fn presentable(chain: &[Certificate], now: i64) -> Vec<CertFault> {
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
    if !signs(&*key, provider) {
        return Err(CertFault::NotApproved);
    }
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertFault::KeyMismatch { certificate: cert.clone() }),
        Err(other) => Err(CertFault::UnusableKey(other)),
    }
}

//! What SPIFFE Workload APIs say, as plain values: this crate reads no socket.
//!
//! A message is read whole or not at all. It holds everything that is true at its moment, so what it does not name is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::{Redacted, WorkloadSocket};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::certificate::Certificate;
use crate::identities::presentable;
use crate::revocation::Revoked;
use crate::rules::svid;
use crate::{CertFault, SpiffeError, SpiffeId};

/// SVIDs, bundles and revocation lists of one message.
const MAX_ITEMS: usize = 256;
/// Certificates of one chain or bundle.
const MAX_CERTIFICATES: usize = 256;

/// One `X509SVIDResponse`, as it came.
#[derive(Debug, Default)]
pub struct WorkloadMessage {
    pub svids: Vec<MessageSvid>,
    /// DER.
    pub crls: Vec<Vec<u8>>,
    /// ID of a trust domain, and its certificates in DER, one behind the other.
    pub federated: Vec<(String, Vec<u8>)>,
}

/// One `X509SVID`, as it came.
#[derive(Debug)]
pub struct MessageSvid {
    pub spiffe_id: String,
    /// DER, one behind the other, own certificate first.
    pub chain: Vec<u8>,
    /// PKCS #8 in DER.
    pub key: Redacted<Vec<u8>>,
    /// Certificates of the trust domain's authorities in DER, one behind the other.
    pub bundle: Vec<u8>,
}

/// Why a message changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum MessageFault {
    #[error("it holds no SVID")]
    Empty,
    #[error("it holds more than {MAX_ITEMS} {0}")]
    TooMany(&'static str),
    #[error("SVID {index}: {fault}")]
    Svid { index: usize, fault: CertFault },
    #[error("the bundle of trust domain `{domain}`: {fault}")]
    Bundle { domain: String, fault: CertFault },
    #[error("it holds two different bundles of trust domain `{0}`")]
    TwoBundles(String),
    #[error("federated bundle {index} is of no trust domain: {source}")]
    Federated { index: usize, source: SpiffeError },
    #[error("federated bundle {index} is under the ID of a workload")]
    FederatedPath { index: usize },
    #[error("revocation list {index}: {fault}")]
    List { index: usize, fault: CertFault },
}

/// What one Workload API last said, read and checked. The default is what it says to whom it gives nothing.
#[derive(Debug, Default)]
pub struct Workload {
    svids: Vec<Svid>,
    /// By trust domain.
    bundles: BTreeMap<String, Bundle>,
    revoked: Arc<Revoked>,
}

/// An X.509-SVID of ours.
#[derive(Debug, Clone)]
pub(crate) struct Svid {
    pub(crate) id: SpiffeId,
    /// Leaf first.
    pub(crate) chain: Vec<Certificate>,
    pub(crate) key: Arc<CertifiedKey>,
}

/// The authorities of one trust domain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bundle(pub(crate) Vec<(CertificateDer<'static>, Certificate)>);

impl Workload {
    /// Reads and checks `message` at `now` (unix seconds): each SVID is what the X509-SVID specification demands and fits its
    /// key, and bundles hold nothing but authorities. Of a bundle's certificates those that have ended are left out.
    ///
    /// # Errors
    /// The first [`MessageFault`]; nothing of the message is to be used then.
    pub fn read(message: &WorkloadMessage, now: i64) -> Result<Self, MessageFault> {
        let counted = [
            (message.svids.len(), "SVIDs"),
            (message.crls.len(), "revocation lists"),
            (message.federated.len(), "federated bundles"),
        ];
        if let Some((_, what)) = counted.into_iter().find(|(count, _)| *count > MAX_ITEMS) {
            return Err(MessageFault::TooMany(what));
        }
        if message.svids.is_empty() {
            return Err(MessageFault::Empty);
        }
        let mut read = Self::default();
        for (index, given) in message.svids.iter().enumerate() {
            let svid = Svid::read(given, now).map_err(|fault| MessageFault::Svid { index, fault })?;
            read.add_bundle(svid.id.trust_domain(), &given.bundle, now, true)?;
            read.svids.push(svid);
        }
        for (index, (id, bundle)) in message.federated.iter().enumerate() {
            let id = SpiffeId::parse(id).map_err(|source| MessageFault::Federated { index, source })?;
            if id.segments().next().is_some() {
                return Err(MessageFault::FederatedPath { index });
            }
            read.add_bundle(id.trust_domain(), bundle, now, false)?;
        }
        let mut revoked = Revoked::default();
        for (index, list) in message.crls.iter().enumerate() {
            revoked.add(index, list).map_err(|fault| MessageFault::List { index, fault })?;
        }
        read.revoked = Arc::new(revoked);
        Ok(read)
    }

    /// An empty bundle of another domain is one that was taken back.
    fn add_bundle(&mut self, domain: &str, ders: &[u8], now: i64, own: bool) -> Result<(), MessageFault> {
        let failed = |fault| MessageFault::Bundle { domain: domain.to_owned(), fault };
        if ders.is_empty() && own {
            return Err(failed(CertFault::NoCertificate));
        }
        let bundle = Bundle::read(ders, now).map_err(failed)?;
        match self.bundles.get(domain) {
            Some(known) if known.ders().ne(bundle.ders()) => Err(MessageFault::TwoBundles(domain.to_owned())),
            Some(_) => Ok(()),
            None => {
                if !bundle.0.is_empty() {
                    self.bundles.insert(domain.to_owned(), bundle);
                }
                Ok(())
            }
        }
    }

    /// Nothing is ours, and nobody is vouched for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.svids.is_empty() && self.bundles.is_empty()
    }

    /// Unix seconds of the last moment at which all of it is valid.
    #[must_use]
    pub fn ends(&self) -> Option<i64> {
        let ours = self.svids.iter().flat_map(|svid| &svid.chain);
        let theirs = self.bundles.values().flat_map(|bundle| bundle.0.iter().map(|(_, certificate)| certificate));
        ours.chain(theirs).map(|certificate| certificate.not_after).min()
    }

    /// What of it is valid at `now` (unix seconds): the agent may be gone, and nothing of it outlives its end.
    #[must_use]
    pub fn at(&self, now: i64) -> Self {
        let lives = |certificate: &Certificate| certificate.not_after >= now;
        let svids = self.svids.iter().filter(|svid| svid.chain.iter().all(lives)).cloned().collect();
        let bundle = |bundle: &Bundle| Bundle(bundle.0.iter().filter(|(_, one)| lives(one)).cloned().collect());
        let bundles = self.bundles.iter().map(|(domain, known)| (domain.clone(), bundle(known)));
        let bundles = bundles.filter(|(_, bundle)| !bundle.0.is_empty()).collect();
        Self { svids, bundles, revoked: self.revoked.clone() }
    }

    /// Our SVIDs, and the unix seconds at which each ends; the first is the default one.
    pub fn svids(&self) -> impl Iterator<Item = (&SpiffeId, i64)> {
        let end = |svid: &Svid| svid.chain.iter().map(|one| one.not_after).min().unwrap_or(0);
        self.svids.iter().map(move |svid| (&svid.id, end(svid)))
    }

    /// Trust domains whose bundle it holds.
    pub fn trust_domains(&self) -> impl Iterator<Item = &str> {
        self.bundles.keys().map(String::as_str)
    }

    /// The SVID with this ID, or the first.
    pub(crate) fn svid(&self, id: Option<&SpiffeId>) -> Option<&Svid> {
        self.svids.iter().find(|svid| id.is_none_or(|id| svid.id == *id))
    }

    pub(crate) fn bundle(&self, domain: &str) -> Option<&Bundle> {
        self.bundles.get(domain)
    }

    pub(crate) fn revoked(&self) -> &Arc<Revoked> {
        &self.revoked
    }
}

impl Svid {
    fn read(given: &MessageSvid, now: i64) -> Result<Self, CertFault> {
        let (ders, chain) = certificates(&given.chain)?;
        let leaf = chain.first().ok_or(CertFault::NoCertificate)?;
        let Some(id) = svid(leaf).map_err(CertFault::NoSvidLeaf)? else {
            return Err(CertFault::NoId);
        };
        if id.as_str() != given.spiffe_id {
            return Err(CertFault::OtherId(id));
        }
        if let Some(fault) = presentable(&chain, now).into_iter().next() {
            return Err(fault);
        }
        if given.key.expose().is_empty() {
            return Err(CertFault::NoKey);
        }
        // rustls takes this copy over and wipes it; ours is wiped when `given` is dropped.
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(given.key.expose().clone()));
        let key = default_provider().key_provider.load_private_key(key).map_err(CertFault::UnusableKey)?;
        let key = CertifiedKey::new(ders, key);
        match key.keys_match() {
            Ok(()) => Ok(Self { id, chain, key: Arc::new(key) }),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertFault::OtherKey),
            Err(other) => Err(CertFault::UnusableKey(other)),
        }
    }
}

impl Bundle {
    fn read(ders: &[u8], now: i64) -> Result<Self, CertFault> {
        let (ders, certificates) = certificates(ders)?;
        let mut bundle = Vec::new();
        for (index, (der, certificate)) in ders.into_iter().zip(certificates).enumerate() {
            if !certificate.is_ca || certificate.usage.is_some_and(|usage| !usage.signs_certificates) {
                return Err(CertFault::NotAnAuthority { index });
            }
            // The next authority may be announced before its time, and the last one may be listed after it.
            if certificate.not_after >= now {
                bundle.push((der, certificate));
            }
        }
        Ok(Self(bundle))
    }

    fn ders(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter().map(|(der, _)| der)
    }
}

type Chain = (Vec<CertificateDer<'static>>, Vec<Certificate>);

/// Certificates that stand one behind the other.
fn certificates(mut rest: &[u8]) -> Result<Chain, CertFault> {
    let (mut ders, mut chain) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let index = chain.len();
        if index >= MAX_CERTIFICATES {
            return Err(CertFault::Malformed { index, reason: "there are too many".to_owned() });
        }
        let (after, _) = X509Certificate::from_der(rest)
            .map_err(|e| CertFault::Malformed { index, reason: format!("not an X.509 certificate: {e}") })?;
        let der = rest.get(..rest.len().saturating_sub(after.len())).unwrap_or_default();
        chain.push(Certificate::read(der).map_err(|reason| CertFault::Malformed { index, reason })?);
        ders.push(CertificateDer::from(der.to_vec()));
        rest = after;
    }
    Ok((ders, chain))
}

/// What each Workload API that a set names last said. The one without a place is the one that the environment names.
#[derive(Debug, Clone, Default)]
pub struct Workloads(BTreeMap<Option<WorkloadSocket>, Arc<Workload>>);

impl Workloads {
    pub fn insert(&mut self, socket: Option<WorkloadSocket>, workload: Arc<Workload>) {
        self.0.insert(socket, workload);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the two are of the same messages.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let pairs = || self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs().all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(a.1, b.1))
    }

    pub(crate) fn get(&self, socket: Option<&WorkloadSocket>) -> Option<&Arc<Workload>> {
        self.0.iter().find(|(known, _)| known.as_ref() == socket).map(|(_, workload)| workload)
    }

    /// The SVID with this ID, or the first.
    pub(crate) fn svid(&self, socket: Option<&WorkloadSocket>, id: Option<&SpiffeId>) -> Result<&Svid, CertFault> {
        let workload = self.get(socket).ok_or(CertFault::NoWorkload)?;
        workload.svid(id).ok_or_else(|| match id {
            Some(id) => CertFault::NoSvid(id.clone()),
            None => CertFault::NoSvidAtAll,
        })
    }
}

impl FromIterator<(Option<WorkloadSocket>, Arc<Workload>)> for Workloads {
    fn from_iter<I: IntoIterator<Item = (Option<WorkloadSocket>, Arc<Workload>)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

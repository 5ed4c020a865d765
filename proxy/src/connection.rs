//! One accepted connection: its number, its peer, and how many requests it carried.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use crate::guard::Admitted;
use crate::shared::Shared;
use postern_certs::{ListenerTls, VerifiedPeer};
use postern_config::{ClientAuth, ConnectionGuard, Hsts, ListenerTls as Settings, TlsVersion};
use postern_filters::token::{NamedCertificate, PeerFacts};
use postern_filters::{Peer, SpiffeSubject};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;

use crate::connections::Cut;

use crate::standing::Standing;
use crate::workload::Workload;

/// Facts about a connection that do not change while it is open.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Counts from 1 over the life of the process.
    pub(crate) number: u64,
    pub(crate) listener: String,
    /// Who it is from; where a trusted proxy relays it, by that one's word.
    pub(crate) source: Peer,
    /// The other end, where that is not who it is from.
    pub(crate) through: Option<Peer>,
    pub(crate) tls: Option<TlsFacts>,
    /// Where it is the workload that calls.
    pub(crate) workload: Option<Workload>,
    /// Its place among the others; nothing where it was refused one.
    pub(crate) admitted: Option<Arc<Admitted>>,
    pub(crate) opened: Instant,
    /// Records of this connection so far; each carries its number, so that an omission shows.
    sequence: AtomicU32,
    /// Set once, when it has to end whatever it does.
    cut: watch::Sender<Option<Cut>>,
    /// Its streams that outlive a load of policy; at most as many as it has streams open.
    standing: Mutex<Vec<Weak<Standing>>>,
}

/// What the handshake settled.
#[derive(Debug)]
pub(crate) struct TlsFacts {
    /// Lower case.
    pub(crate) server_name: Option<String>,
    pub(crate) peer: Option<VerifiedPeer>,
    pub(crate) facts: Option<PeerFacts>,
    /// What the client presented, leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// As records show it.
    pub(crate) recorded: Arc<postern_filters::audit::TlsFacts>,
    pub(crate) version: TlsVersion,
    pub(crate) hsts: Option<Hsts>,
    /// The last TLS of the listener under which the client was believed.
    pub(crate) trusted: Mutex<Weak<ListenerTls>>,
    /// The listener's TLS as it was at the handshake: it knows which names the presented certificate covers.
    pub(crate) listener: Arc<ListenerTls>,
}

impl Connection {
    pub(crate) fn new(number: u64, listener: String, source: Peer, tls: Option<TlsFacts>) -> Self {
        Self {
            number,
            listener,
            source,
            through: None,
            tls,
            workload: None,
            admitted: None,
            opened: Instant::now(),
            sequence: AtomicU32::new(0),
            cut: watch::Sender::new(None),
            standing: Mutex::default(),
        }
    }

    /// The same connection, of a workload that was let in.
    pub(crate) fn of_workload(self, workload: Option<Workload>) -> Self {
        Self { workload, ..self }
    }

    /// As it is, but relayed by `through`.
    pub(crate) fn through(self, through: Option<Peer>) -> Self {
        Self { through, ..self }
    }

    /// With its place among the others.
    pub(crate) fn placed(self, admitted: Arc<Admitted>) -> Self {
        Self { admitted: Some(admitted), ..self }
    }

    /// What held for its listener when it came.
    pub(crate) fn guard(&self) -> ConnectionGuard {
        self.admitted.as_ref().map_or_else(ConnectionGuard::default, |admitted| admitted.guard.settings.clone())
    }

    /// Most lines and bytes of a request's headers.
    pub(crate) fn head_limits(&self) -> (usize, usize) {
        let default = || {
            let guard = ConnectionGuard::default();
            (guard.max_headers, guard.max_header_size)
        };
        let of =
            |admitted: &Arc<Admitted>| (admitted.guard.settings.max_headers, admitted.guard.settings.max_header_size);
        self.admitted.as_ref().map_or_else(default, of)
    }

    /// Returns once its address is banned.
    pub(crate) async fn banished(&self, shared: &Shared) {
        match &self.admitted {
            Some(admitted) => admitted.banished(shared).await,
            None => std::future::pending().await,
        }
    }

    /// Ends the connection. False where it was told before.
    pub(crate) fn cut(&self, cut: Cut) -> bool {
        self.cut.send_if_modified(|told| {
            let first = told.is_none();
            if first {
                *told = Some(cut);
            }
            first
        })
    }

    /// Why it has to end, if it has to.
    pub(crate) fn told(&self) -> Option<Cut> {
        self.cut.borrow().clone()
    }

    /// Returns once the connection has to end.
    pub(crate) async fn was_cut(&self) -> Cut {
        let mut told = self.cut.subscribe();
        match told.wait_for(Option::is_some).await.ok().and_then(|cut| cut.clone()) {
            Some(cut) => cut,
            // The sender is ours, so it is there as long as we are.
            None => std::future::pending().await,
        }
    }

    /// Whether the client was believed although no current list covers its certificate.
    pub(crate) fn revocation_is_unknown(&self) -> bool {
        let peer = self.tls.as_ref().and_then(|tls| tls.peer.as_ref());
        peer.is_some_and(VerifiedPeer::revocation_is_unknown)
    }

    /// Notes a stream that every set from here on judges.
    pub(crate) fn stands(&self, stream: &Arc<Standing>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.retain(|other| other.strong_count() > 0);
        standing.push(Arc::downgrade(stream));
    }

    /// The streams that are open.
    pub(crate) fn streams(&self) -> Vec<Arc<Standing>> {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.iter().filter_map(Weak::upgrade).collect()
    }

    /// Has the next look at its trust verify again.
    pub(crate) fn forget_trust(&self) {
        if let Some(tls) = &self.tls {
            *tls.trusted.lock().unwrap_or_else(PoisonError::into_inner) = Weak::new();
        }
    }

    /// The number of the next record of this connection, from 0.
    pub(crate) fn next_sequence(&self) -> u32 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn requests(&self) -> u32 {
        self.sequence.load(Ordering::Relaxed)
    }

    /// Last unix second at which every certificate that the client presented is valid.
    pub(crate) fn valid_until(&self) -> Option<i64> {
        Some(self.tls.as_ref()?.peer.as_ref()?.valid_until())
    }

    pub(crate) fn peer_facts(&self) -> Option<&PeerFacts> {
        match &self.workload {
            Some(workload) => workload.facts(),
            None => self.tls.as_ref()?.facts.as_ref(),
        }
    }

    /// Whether today's trust still believes who the client was at the handshake. A reload may have taken an authority or
    /// a name away; a connection that stays open must not outlive that. Checked once per connection and reload.
    ///
    /// # Errors
    /// Why a handshake of today would fail.
    pub(crate) fn is_trusted(&self, current: &Arc<ListenerTls>, settings: &Settings) -> Result<(), String> {
        let Some(tls) = &self.tls else { return Ok(()) };
        let mut trusted = tls.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if std::ptr::eq(trusted.as_ptr(), Arc::as_ptr(current)) {
            return Ok(());
        }
        if tls.version < settings.min_version {
            return Err("its TLS version is too old".to_owned());
        }
        if tls.listener.profile() < settings.profile {
            return Err("it was made under another crypto profile".to_owned());
        }
        if !tls.chain.is_empty() {
            current.peer(&tls.chain).map_err(|error| error.to_string())?;
        } else if settings.client_auth == ClientAuth::Required {
            return Err("a client certificate is required".to_owned());
        }
        if !current.still_holds(&tls.listener, tls.server_name.as_deref()) {
            return Err("what we presented to it was taken back, or has ended".to_owned());
        }
        *trusted = Arc::downgrade(current);
        Ok(())
    }

    /// Whether the presented certificate speaks for `host` (RFC 9110 §15.5.20).
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.listener.covers(tls.server_name.as_deref(), host))
    }
}

/// What filters may know of a verified peer.
pub(crate) fn peer_facts(peer: &VerifiedPeer) -> PeerFacts {
    PeerFacts {
        spiffe: peer.spiffe().map(|id| SpiffeSubject {
            id: id.to_string(),
            not_before: peer.not_before(),
            not_after: peer.not_after(),
        }),
        named: peer.spiffe().is_none().then(|| NamedCertificate {
            name: peer.sole_dns_name().map(str::to_owned),
            not_before: peer.not_before(),
            not_after: peer.not_after(),
        }),
        leaf_sha256: Some(*peer.leaf_sha256()),
        not_after: peer.not_after(),
    }
}

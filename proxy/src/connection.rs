//! One accepted connection: its number, its peer, and how many requests it carried.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use postern_certs::{ListenerTls, VerifiedPeer};
use postern_config::{ClientAuth, Hsts, ListenerTls as Settings};
use postern_filters::token::PeerFacts;
use postern_filters::{Peer, SpiffeSubject};
use rustls_pki_types::CertificateDer;

use crate::workload::Workload;

/// Facts about a connection that do not change while it is open.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Counts from 1 over the life of the process.
    pub(crate) number: u64,
    pub(crate) listener: String,
    pub(crate) source: Peer,
    pub(crate) tls: Option<TlsFacts>,
    /// Where it is the workload that calls.
    pub(crate) workload: Option<Workload>,
    pub(crate) opened: Instant,
    /// Records of this connection so far; each carries its number, so that an omission shows.
    sequence: AtomicU32,
}

/// What the handshake settled.
#[derive(Debug)]
pub(crate) struct TlsFacts {
    /// Lower case.
    pub(crate) server_name: Option<String>,
    pub(crate) facts: Option<PeerFacts>,
    /// What the client presented, leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// As records show it.
    pub(crate) recorded: Arc<postern_filters::audit::TlsFacts>,
    /// Whether a certificate that expires while the connection is open ends what it may do.
    pub(crate) deny_after_expiry: bool,
    pub(crate) hsts: Option<Hsts>,
    /// The last TLS of the listener under which the client was believed.
    pub(crate) trusted: Mutex<Weak<ListenerTls>>,
    /// The listener's TLS as it was at the handshake: it knows which names the presented certificate covers.
    pub(crate) listener: Arc<ListenerTls>,
}

impl Connection {
    pub(crate) fn new(number: u64, listener: String, source: Peer, tls: Option<TlsFacts>) -> Self {
        Self { number, listener, source, tls, workload: None, opened: Instant::now(), sequence: AtomicU32::new(0) }
    }

    /// The same connection, of a workload that was let in.
    pub(crate) fn of_workload(self, workload: Option<Workload>) -> Self {
        Self { workload, ..self }
    }

    /// The number of the next record of this connection, from 0.
    pub(crate) fn next_sequence(&self) -> u32 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn requests(&self) -> u32 {
        self.sequence.load(Ordering::Relaxed)
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
        if !tls.chain.is_empty() {
            current.peer(&tls.chain).map_err(|error| error.to_string())?;
        } else if settings.client_auth == ClientAuth::Required {
            return Err("a client certificate is required".to_owned());
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
        leaf_sha256: Some(*peer.leaf_sha256()),
        not_after: peer.not_after(),
    }
}

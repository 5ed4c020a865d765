//! Upstreams: named endpoints, how one of them is chosen, called, watched and, where that is safe, called again.
//!
//! `call` is one request; `connect`, `dial` and `pool` are its connection, `conversation` what is said on it.

mod balance;
mod breaker;
mod budget;
mod call;
mod connect;
mod conversation;
mod dial;
mod endpoint;
mod failure;
mod h2_stream;
mod health;
mod judge;
mod pool;
mod resolve;
mod socket;
mod tend;
mod upload;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use postern_certs::{CertProblem, Ending, UpstreamTls, Workloads};
use postern_config::Upstream as Settings;
use postern_filters::UpstreamSecrets;
use tokio::task::AbortHandle;

use balance::Turns;
pub(crate) use balance::hash_of;
use breaker::Breaker;
use budget::RetryBudget;
pub(crate) use call::{Answering, Ask, Told};
pub(crate) use conversation::{Conversation, clean_trailers, is_idempotent};
use dial::{Dialler, PeerTls, alpn};
use endpoint::Endpoint;
pub(crate) use failure::{Failure, FailureKind};
pub(crate) use h2_stream::Outlet;
pub(crate) use socket::try_socket;
pub(crate) use upload::Upload;

use crate::clock::Clock;
use crate::credentials::{self, CredentialError, Held, Running};
use crate::egress::Egress;

/// An upstream, ready to be called.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) settings: Settings,
    pub(crate) credentials: Arc<[Held]>,
    endpoints: Vec<Arc<Endpoint>>,
    turns: Turns,
    breaker: Breaker,
    budget: RetryBudget,
    dialler: Dialler,
    tending: OnceLock<AbortHandle>,
    clock: OnceLock<Arc<dyn Clock>>,
    /// Connections that hung on an exception were let go.
    let_go: AtomicBool,
}

/// Why an upstream cannot be made. Names places, never a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("endpoint `{0}` is not an address")]
    BadEndpoint(String),
    #[error("{0}")]
    Tls(CertProblem),
    #[error("it is called over TLS, and nothing says whom to expect")]
    NoTls,
}

/// Endpoints of an upstream by their state.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct States {
    pub(crate) usable: i64,
    pub(crate) down: i64,
    pub(crate) ejected: i64,
    /// The circuit breaker refuses at the moment.
    pub(crate) open: bool,
}

impl Upstream {
    /// Reads the credentials of `settings`, and what its TLS needs; `own_calls` says where the proxy itself may call, `running` is the
    /// upstream of this name in the set that runs. Comes with what of that ends soon.
    ///
    /// # Errors
    /// Everything that cannot be had.
    pub(crate) fn prepare(
        settings: Settings,
        own_calls: Option<&postern_config::Egress>,
        workloads: &Workloads,
        running: Option<&Self>,
        now: i64,
    ) -> Result<(Self, Vec<Ending>), Vec<UpstreamError>> {
        let mut errors = Vec::new();
        let mut credentials = Vec::new();
        let place = credentials::Place { upstream: &settings.name, own_calls };
        for credential in &settings.credentials {
            let running = running.and_then(|running| running.held(&credential.name, &settings));
            Held::read(credential, place, running.as_ref(), now)
                .map_or_else(|error| errors.push(error.into()), |held| credentials.push(held));
        }
        let mut endpoints = Vec::new();
        for endpoint in &settings.endpoints {
            match Endpoint::new(endpoint, Egress::of_upstream(settings.egress.clone())) {
                Some(endpoint) => endpoints.push(Arc::new(endpoint)),
                None => errors.push(UpstreamError::BadEndpoint(endpoint.authority.clone())),
            }
        }
        let tls = settings.tls.as_ref().map(|tls| UpstreamTls::load(tls, workloads, now)).transpose();
        let tls = tls.unwrap_or_else(|problems| {
            errors.extend(problems.into_iter().map(UpstreamError::Tls));
            None
        });
        // INVARIANT: an https upstream has TLS of its own here; nothing else would verify it.
        if settings.https != tls.is_some() && errors.is_empty() {
            errors.push(UpstreamError::NoTls);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let endings = tls.as_ref().map(|tls| tls.warnings(now)).unwrap_or_default();
        Ok((Self::of(settings, credentials.into(), endpoints, tls.map(Arc::new)), endings))
    }

    fn of(
        settings: Settings,
        credentials: Arc<[Held]>,
        endpoints: Vec<Arc<Endpoint>>,
        tls: Option<Arc<UpstreamTls>>,
    ) -> Self {
        let peer = tls.as_ref().map(|tls| PeerTls {
            config: tls.client_config(&[alpn(settings.protocol)]),
            name: tls.server_name(),
            open: Arc::default(),
            made_by: tls.clone(),
        });
        Self {
            endpoints,
            turns: Turns::default(),
            breaker: Breaker::new(settings.circuit_breaker),
            budget: RetryBudget::new(settings.retries.budget),
            dialler: Dialler { protocol: settings.protocol, tls: peer },
            tending: OnceLock::new(),
            clock: OnceLock::new(),
            let_go: AtomicBool::new(false),
            settings,
            credentials,
        }
    }

    /// The credential of this name, as a new set with these `settings` finds it.
    fn held(&self, name: &str, settings: &Settings) -> Option<Running<'_>> {
        let held = self.credentials.iter().find(|held| &*held.name == name)?;
        let written = self.settings.credentials.iter().find(|credential| credential.name == name)?;
        let expected =
            |settings: &Settings| settings.tls.as_ref().map(|tls| (tls.server_name.clone(), tls.expected.clone()));
        let places = |settings: &Settings| settings.endpoints.iter().map(|one| one.place.clone()).collect::<Vec<_>>();
        // An address more, and an old secret could go where it never went.
        let same_upstream = places(&self.settings) == places(settings)
            && self.settings.base_path == settings.base_path
            && expected(&self.settings) == expected(settings);
        Some(Running { held, inject: &written.inject, same_upstream })
    }

    /// Says which secrets it is shown.
    pub(crate) fn tell_secrets(&self, secrets: &mut UpstreamSecrets) {
        self.credentials.iter().for_each(|held| held.tell_secrets(&self.settings.name, secrets));
    }

    /// Whether a request may be sent once more, beyond the retries of a call.
    pub(crate) fn take_retry(&self) -> bool {
        self.budget.take_retry()
    }

    /// The same upstream by what agents say now, with connections of its own: none that was made before is used again.
    /// `None` where nothing of its TLS comes from an agent.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub(crate) fn renewed(&self, workloads: &Workloads) -> Result<Option<Self>, CertProblem> {
        let tls = self.dialler.tls.as_ref().map(|peer| peer.made_by.renewed(workloads));
        let Some(tls) = tls.transpose()?.flatten() else {
            return Ok(None);
        };
        let endpoints = self.endpoints.iter().map(|endpoint| Arc::new(endpoint.renewed())).collect();
        Ok(Some(Self::of(self.settings.clone(), self.credentials.clone(), endpoints, Some(Arc::new(tls)))))
    }

    /// Takes over what `old` knows: which endpoints are in order, and how much is in use. Connections stay behind, but they are
    /// judged by what is believed now.
    pub(crate) fn adopt(&mut self, old: &Self) {
        self.breaker.adopt(&old.breaker);
        if let (Some(peer), Some(known)) = (&mut self.dialler.tls, &old.dialler.tls) {
            peer.open = known.open.clone();
        }
        for endpoint in &mut self.endpoints {
            let known = old.endpoints.iter().find(|known| known.label == endpoint.label);
            if let (Some(known), Some(endpoint)) = (known, Arc::get_mut(endpoint)) {
                endpoint.health = known.health.clone();
                if self.settings.health.is_none() {
                    endpoint.health.forget_answers();
                }
            }
        }
    }

    /// Closes connections, of sets before this one too, that it would not make.
    pub(crate) fn judge(&self) {
        if let Some(peer) = &self.dialler.tls {
            peer.open.judge(&peer.made_by, &self.settings.name);
        }
    }

    /// Begins to tend it. Ends when it is dropped.
    pub(crate) fn start(self: &Arc<Self>, clock: &Arc<dyn Clock>) {
        let _ = self.clock.set(clock.clone());
        let task = tokio::spawn(tend::run(Arc::downgrade(self), self.settings.health.clone(), clock.clone()));
        if let Err(second) = self.tending.set(task.abort_handle()) {
            second.abort();
        }
    }

    /// Whether it is not called any more, because the exception that allowed it has ended.
    fn is_over(&self, clock: &dyn Clock) -> bool {
        self.settings.plaintext.as_ref().is_some_and(|waived| waived.has_ended(clock.unix_ms()))
    }

    /// Lets go of connections once that were made while certificates could pass that no list covers.
    fn let_go(&self) {
        let unknown = self.settings.tls.as_ref().and_then(|tls| tls.trust.unknown.as_ref());
        let (Some(waived), Some(clock)) = (unknown, self.clock.get()) else { return };
        if waived.has_ended(clock.unix_ms()) && !self.let_go.swap(true, Ordering::Relaxed) {
            self.endpoints.iter().for_each(|endpoint| endpoint.pool.clear());
        }
    }

    /// Handshakes that passed although no current list covered the upstream's chain; nothing where none may.
    pub(crate) fn unknown_passed(&self) -> Option<u64> {
        self.settings.tls.as_ref()?.trust.unknown.as_ref()?;
        self.dialler.tls.as_ref().map(|tls| tls.made_by.unknown_passed())
    }

    pub(crate) fn states(&self) -> States {
        let mut states = States { open: self.breaker.is_open(), ..States::default() };
        for endpoint in &self.endpoints {
            let state = match (endpoint.health.is_down(), endpoint.health.is_ejected()) {
                (true, _) => &mut states.down,
                (false, true) => &mut states.ejected,
                (false, false) => &mut states.usable,
            };
            *state = state.saturating_add(1);
        }
        states
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(task) = self.tending.get() {
            task.abort();
        }
    }
}

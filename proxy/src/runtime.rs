//! The one thing that a reload swaps: a snapshot, and everything that was made from it.

mod materials;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postern_certs::{ListenerTls, Workloads};
use postern_config::{Bind, Report, Route, Snapshot, Waived};
use postern_filters::audit::SecretRef;
use postern_filters::limit::LimitStore;
use postern_filters::{Chains, Reason, Refusal, UpstreamSecrets};
use tracing::warn;

use crate::clock::Clock;
use crate::credentials::{Held, TxnKeys};
use crate::egress::Egress;
use crate::guard::{Gate, Guards, ListenerGuard, RouteGuard};
use crate::outside::limits::Target;
use crate::outside::{Outside, Setup};
use crate::spiffe::{self, Agents, Places};
use crate::upstream::{States, Upstream};
use crate::{build, credentials, login};

/// A compiled policy set, ready to serve.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) chains: Arc<Chains>,
    /// Who may connect.
    pub(crate) gate: Arc<Gate>,
    /// By route: who may use it, and where its calls may go.
    networks: Arc<HashMap<String, Network>>,
    guards: Arc<Guards>,
    /// What its own calls need.
    pub(crate) setup: Arc<Setup>,
    pub(crate) txn: Arc<TxnKeys>,
    /// The store that replicas share.
    pub(crate) store: Option<Arc<Target>>,
    /// Where agents are asked, and what they said when it was made.
    pub(crate) places: Places,
    pub(crate) workloads: Workloads,
    listeners: HashMap<String, Arc<ListenerTls>>,
    upstreams: Vec<Arc<Upstream>>,
    /// Problems that do not stop a load.
    pub(crate) warnings: Vec<String>,
    /// Files whose change means a reload.
    pub(crate) files: Vec<PathBuf>,
}

/// NetworkPolicy of a route, compiled.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) gate: Gate,
    pub(crate) egress: Egress,
}

/// Why a set does not load. All of it is told, not only the first problem.
#[derive(Debug, thiserror::Error)]
#[error("{report}{}", material.join("\n"))]
pub struct LoadError {
    /// Problems in the files, with positions.
    pub report: Report,
    /// Problems in what the files point at: keys, certificates, secrets.
    pub material: Vec<String>,
    /// Secrets that were read all the same.
    pub(crate) read: Vec<SecretRef>,
}

impl LoadError {
    /// A problem that is not in a file.
    pub(crate) fn because(why: String) -> Self {
        Self { material: vec![format!("error: {why}")], ..Self::in_files(Report::new()) }
    }

    /// Found before anything else was read.
    fn in_files(report: Report) -> Self {
        Self { report, material: Vec::new(), read: Vec::new() }
    }
}

impl Runtime {
    /// Reads, merges and compiles everything that `config` names, and waits for the agents that it needs. `running` is the set that
    /// it would follow. For a thread that may wait.
    ///
    /// # Errors
    /// [`LoadError`], complete: nothing was changed.
    pub(crate) fn load(
        config: &Path,
        limits: &LimitStore,
        outside: &Outside,
        agents: &Agents,
        running: Option<&Self>,
        now: i64,
    ) -> Result<Self, LoadError> {
        let loaded = postern_config::load(config, now).map_err(LoadError::in_files)?;
        let mut warnings: Vec<String> = loaded.warnings.problems().iter().map(ToString::to_string).collect();
        let snapshot = loaded.snapshot;
        let mut unbuilt = Report::new();
        build::check(&snapshot, config, &mut unbuilt);
        if unbuilt.has_errors() {
            return Err(LoadError::in_files(unbuilt));
        }
        let mut problems = Vec::new();
        let places = spiffe::places(&snapshot);
        let workloads = said(agents, &places, &mut problems);
        let (mut listeners, mut upstreams) = (HashMap::new(), Vec::new());
        // Without an agent's word each place that needs it would be named, and there is one problem.
        if let Some(workloads) = &workloads {
            listeners = load_listeners(&snapshot, workloads, now, &mut warnings, &mut problems);
            upstreams = load_upstreams(&snapshot, workloads, running, now, &mut warnings, &mut problems);
        }
        let mut secrets = UpstreamSecrets::default();
        upstreams.iter().for_each(|upstream| upstream.tell_secrets(&mut secrets));
        // INVARIANT: where a secret is not among them there is a problem already.
        let kept = login::keep(&snapshot, outside);
        let chains = postern_filters::compile(&snapshot, limits, outside.rings(), &kept, &secrets);
        let setup = Setup::load(&snapshot, &mut problems);
        let (gate, networks) = load_networks(&snapshot, &mut problems);
        let guards = Guards::compile(&snapshot, limits, &mut problems);
        let store = snapshot.shared.as_ref().and_then(|settings| {
            let target = Target::of(settings).map_err(|why| problems.push(format!("error: shared store: {why}")));
            target.ok().map(Arc::new)
        });
        credentials::check_fingerprints(&snapshot, &mut problems);
        let txn = Arc::new(TxnKeys::load(&snapshot, &mut problems));
        let chains = match chains {
            Ok(chains) if problems.is_empty() => chains,
            refused => {
                let report = refused.err().unwrap_or_default();
                return Err(LoadError { report, material: problems, read: credentials::read_by(&snapshot) });
            }
        };
        let mut files = loaded.files;
        files.extend(materials::files(&snapshot));
        files.sort();
        files.dedup();
        Ok(Self {
            snapshot: Arc::new(snapshot),
            chains: Arc::new(chains),
            gate: Arc::new(gate),
            networks: Arc::new(networks),
            guards: Arc::new(guards),
            setup: Arc::new(setup),
            txn,
            store,
            places,
            workloads: workloads.unwrap_or_default(),
            listeners,
            upstreams,
            warnings,
            files,
        })
    }

    /// The same set by what agents say now: TLS that comes from them is made anew, everything else is shared. Nothing is read.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub(crate) fn renewed(&self, workloads: Workloads) -> Result<Self, String> {
        let mut listeners = HashMap::new();
        for (name, tls) in &self.listeners {
            let renewed = tls.renewed(&workloads).map_err(|e| format!("listener `{name}`: {e}"))?;
            listeners.insert(name.clone(), renewed.map_or_else(|| tls.clone(), Arc::new));
        }
        let mut upstreams = Vec::new();
        for upstream in &self.upstreams {
            let name = &upstream.settings.name;
            let renewed = upstream.renewed(&workloads).map_err(|e| format!("upstream `{name}`: {e}"))?;
            upstreams.push(renewed.map_or_else(|| upstream.clone(), Arc::new));
        }
        Ok(Self {
            snapshot: self.snapshot.clone(),
            chains: self.chains.clone(),
            gate: self.gate.clone(),
            networks: self.networks.clone(),
            guards: self.guards.clone(),
            setup: self.setup.clone(),
            txn: self.txn.clone(),
            store: self.store.clone(),
            places: self.places.clone(),
            workloads,
            listeners,
            upstreams,
            warnings: Vec::new(),
            files: self.files.clone(),
        })
    }

    /// Logs what does not stop a load, and what is allowed against the rules.
    pub(crate) fn tell(&self) {
        for warning in &self.warnings {
            warn!("{warning}");
        }
        for exception in &self.snapshot.exceptions {
            warn!(reason = exception.reason, "exception: {exception}");
        }
        let own = rustix::process::geteuid().as_raw();
        for listener in &self.snapshot.listeners {
            let others = listener.outbound.as_ref().and_then(|outbound| outbound.uids.as_deref()).unwrap_or_default();
            let closed = matches!(listener.bind, Bind::Unix { mode, .. } if mode & 0o060 == 0);
            if closed && own != 0 && others.iter().any(|user| *user != own) {
                let name = &listener.name;
                warn!(
                    "listener `{name}` lets users in who cannot open its socket: give it `mode: \"0660\"` and a group of theirs"
                );
            }
        }
    }

    /// The TLS of a listener, and the settings it was made from; `None` where it is plain, or not there.
    pub(crate) fn tls_of(&self, name: &str) -> Option<(&Arc<ListenerTls>, &postern_config::ListenerTls)> {
        let settings = self.snapshot.listeners.iter().find(|listener| listener.name == name)?.tls.as_ref();
        self.listeners.get(name).zip(settings)
    }

    /// The exception without which a listener would have to speak TLS.
    pub(crate) fn plaintext(&self, name: &str) -> Option<&Waived> {
        self.snapshot.listeners.iter().find(|listener| listener.name == name)?.plaintext.as_ref()
    }

    /// Where certificates may pass that no current list covers, and how many did.
    pub(crate) fn unknown_passed(&self) -> impl Iterator<Item = (String, u64)> {
        let may = |name: &str| self.tls_of(name).is_some_and(|(_, settings)| settings.trust.unknown.is_some());
        let listeners = self.listeners.iter().filter(move |(name, _)| may(name));
        let listeners = listeners.map(|(name, tls)| (format!("listener {name}"), tls.unknown_passed()));
        let upstreams = self
            .upstreams
            .iter()
            .filter_map(|upstream| Some((format!("upstream {}", upstream.settings.name), upstream.unknown_passed()?)));
        listeners.chain(upstreams)
    }

    /// Seconds that are left of every exception; none or less of one that has ended.
    pub(crate) fn exceptions_left(&self, now: i64) -> impl Iterator<Item = i64> {
        self.snapshot.exceptions.iter().map(move |exception| exception.until.saturating_sub(now))
    }

    /// Seconds that are left of every certificate we present on a listener: its name, the identity's, and the time.
    pub(crate) fn certificates_left(&self, now: i64) -> Vec<(String, String, i64)> {
        let of = |(listener, tls): (&String, &Arc<ListenerTls>)| -> Vec<(String, String, i64)> {
            tls.identities().map(|(name, end)| (listener.clone(), name.to_owned(), end.saturating_sub(now))).collect()
        };
        self.listeners.iter().flat_map(of).collect()
    }

    /// The upstream of a route.
    ///
    /// # Errors
    /// A refusal where the route is for tunnels.
    pub(crate) fn upstream(&self, route: &Route) -> Result<&Arc<Upstream>, Refusal> {
        let upstream = route.upstream.and_then(|index| self.upstreams.get(index));
        upstream.ok_or_else(|| Refusal::new(Reason::NotPermitted, "the route takes tunnels and nothing else"))
    }

    /// Goes on with what `old` knows about upstreams that stay.
    pub(crate) fn adopt(&mut self, old: &Self) {
        for upstream in &mut self.upstreams {
            let known = old.upstreams.iter().find(|known| known.settings.name == upstream.settings.name);
            if let (Some(upstream), Some(known)) = (Arc::get_mut(upstream), known) {
                upstream.adopt(known);
            }
        }
    }

    /// Begins what goes on beside requests. It ends when the set is dropped.
    pub(crate) fn start(&self, clock: &Arc<dyn Clock>) {
        self.upstreams.iter().for_each(|upstream| upstream.start(clock));
    }

    /// Closes connections to upstreams that this set would not make. Verifying is work.
    pub(crate) fn judge_upstreams(&self) {
        self.upstreams.iter().for_each(|upstream| upstream.judge());
    }

    /// Every upstream with the states of its endpoints.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = (&str, States)> {
        self.upstreams.iter().map(|upstream| (upstream.settings.name.as_str(), upstream.states()))
    }

    /// Every credential with its upstream.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = (&str, &Held)> {
        self.upstreams
            .iter()
            .flat_map(|upstream| upstream.credentials.iter().map(|held| (upstream.settings.name.as_str(), held)))
    }

    /// Who may use a route and where its calls may go; every route has one.
    pub(crate) fn network(&self, route: &str) -> Option<&Network> {
        self.networks.get(route)
    }

    /// What holds for connections of a listener.
    pub(crate) fn listener_guard(&self, name: &str) -> &Arc<ListenerGuard> {
        self.guards.listener(name)
    }

    /// What holds for requests of a route on a listener; nothing where the listener is gone.
    pub(crate) fn route_guard(&self, route: &str, listener: &str) -> Option<&RouteGuard> {
        self.guards.route(route, listener)
    }

    /// Most connections of all listeners together.
    pub(crate) fn most_connections(&self) -> usize {
        usize::try_from(self.snapshot.max_connections).unwrap_or(usize::MAX)
    }

    /// What of a new set cannot be taken over while running; nothing where all of it can.
    pub(crate) fn needs_restart(&self, new: &Self) -> Option<&'static str> {
        if self.snapshot.state_dir != new.snapshot.state_dir {
            return Some("`state.dir` changed");
        }
        let (old, new) = (&self.snapshot.audit, &new.snapshot.audit);
        let same = old.origin == new.origin
            && old.dir == new.dir
            // A running log signs with one key; that another one has the same name does not make it the same.
            && old.key == new.key
            && old.checkpoint_interval == new.checkpoint_interval
            && old.redact == new.redact;
        (!same).then_some("the audit log's origin, key, place or interval changed")
    }
}

/// What agents say; `None` after a problem.
fn said(agents: &Agents, places: &Places, problems: &mut Vec<String>) -> Option<Workloads> {
    if places.is_empty() {
        return Some(Workloads::default());
    }
    let first = tokio::runtime::Handle::current().block_on(agents.first(places));
    first.map_err(|why| problems.extend(why)).ok()
}

fn load_listeners(
    snapshot: &Snapshot,
    workloads: &Workloads,
    now: i64,
    warnings: &mut Vec<String>,
    problems: &mut Vec<String>,
) -> HashMap<String, Arc<ListenerTls>> {
    let mut loaded = HashMap::new();
    for listener in &snapshot.listeners {
        let Some(settings) = &listener.tls else { continue };
        match ListenerTls::load(settings, workloads, now) {
            Ok(tls) => {
                warnings.extend(tls.warnings(now).iter().map(|w| format!("listener `{}`: {w}", listener.name)));
                loaded.insert(listener.name.clone(), Arc::new(tls));
            }
            Err(errors) => problems.extend(errors.iter().map(|e| format!("error: listener `{}`: {e}", listener.name))),
        }
    }
    loaded
}

fn load_upstreams(
    snapshot: &Snapshot,
    workloads: &Workloads,
    running: Option<&Runtime>,
    now: i64,
    warnings: &mut Vec<String>,
    problems: &mut Vec<String>,
) -> Vec<Arc<Upstream>> {
    let mut loaded = Vec::new();
    for settings in &snapshot.upstreams {
        let known = running.into_iter().flat_map(|running| &running.upstreams);
        let known = known.map(|known| &**known).find(|known| known.settings.name == settings.name);
        match Upstream::prepare(settings.clone(), snapshot.own_egress.as_ref(), workloads, known, now) {
            Ok((upstream, endings)) => {
                warnings.extend(endings.iter().map(|ending| format!("upstream `{}`: {ending}", settings.name)));
                loaded.push(Arc::new(upstream));
            }
            Err(errors) => problems.extend(errors.iter().map(|e| format!("error: upstream `{}`: {e}", settings.name))),
        }
    }
    loaded
}

fn load_networks(snapshot: &Snapshot, problems: &mut Vec<String>) -> (Gate, HashMap<String, Network>) {
    let mut compile = |ingress: &postern_config::Ingress| {
        Gate::compile(ingress).inspect_err(|error| problems.push(format!("error: NetworkPolicy: {error}"))).ok()
    };
    let gate = compile(&snapshot.ingress).unwrap_or_default();
    let networks = snapshot.routes.iter().filter_map(|route| {
        let network = &route.policy.network;
        let egress = if route.is_tunnel() { Egress::of_caller } else { Egress::of_upstream }(network.egress.clone());
        Some((route.name.clone(), Network { gate: compile(&network.ingress)?, egress }))
    });
    (gate, networks.collect())
}

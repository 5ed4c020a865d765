//! SPIFFE Workload APIs: who we are and whom trust domains vouch for, as an agent of this machine says it.
//!
//! Each place that a set names has one task (`agent`), which keeps what was said last. Whoever loads a set waits for the first
//! word; from then on what changes is taken into the running set at once, without a reload. Lost agents change nothing; what
//! they said ends with its certificates.

mod agent;
mod call;
mod message;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_certs::Workloads;
use postern_config::{Anchor, IdentitySource, OwnIdentity, PeerTrust, Snapshot, WorkloadSocket};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

use agent::{Listening, State};

use crate::clock::Clock;
use crate::connections;
use crate::shared::Shared;

/// How long a start or a reload waits for the first word of an agent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked for what has ended.
const TICK: Duration = Duration::from_millis(250);

/// Where agents are asked, as manifests say it: `None` is where the environment says.
pub(crate) type Places = Vec<Option<WorkloadSocket>>;

/// The Workload APIs that are listened to. As many as sets name.
#[derive(Debug)]
pub(crate) struct Agents {
    known: Mutex<HashMap<WorkloadSocket, Agent>>,
    changed: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Agent {
    state: watch::Sender<State>,
    task: AbortHandle,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One Workload API, for metrics.
pub(crate) struct Heard {
    pub(crate) socket: String,
    pub(crate) connected: bool,
    /// SPIFFE IDs of ours, and the unix seconds at which each SVID ends.
    pub(crate) svids: Vec<(String, i64)>,
}

/// Where `snapshot` needs an agent.
pub(crate) fn places(snapshot: &Snapshot) -> Places {
    let mut places = Places::new();
    for tls in snapshot.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        places.extend(tls.identities.iter().filter_map(of_identity).chain(of_trust(&tls.trust)));
    }
    for tls in snapshot.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref()) {
        places.extend(tls.identity.iter().filter_map(of_identity).chain(of_trust(&tls.trust)));
    }
    places.sort();
    places.dedup();
    places
}

fn of_identity(identity: &OwnIdentity) -> Option<Option<WorkloadSocket>> {
    match &identity.source {
        IdentitySource::Spiffe { socket, .. } => Some(socket.clone()),
        IdentitySource::Files { .. } => None,
    }
}

fn of_trust(trust: &PeerTrust) -> impl Iterator<Item = Option<WorkloadSocket>> {
    trust.anchors.iter().filter_map(|anchor| match anchor {
        Anchor::Spiffe { socket, .. } => Some(socket.clone()),
        Anchor::Pem(_) => None,
    })
}

/// Where that is.
fn resolved(place: Option<&WorkloadSocket>) -> Result<WorkloadSocket, String> {
    let name = WorkloadSocket::VARIABLE;
    match (place, std::env::var(name)) {
        (Some(socket), _) => Ok(socket.clone()),
        (None, Ok(text)) => WorkloadSocket::parse(&text)
            .map_err(|help| format!("error: `{name}` of the environment is not the socket of a Workload API: {help}")),
        (None, Err(_)) => Err(format!(
            "error: nothing says where the SPIFFE Workload API is: write `socket` beside `Spiffe` and `spiffeTrustDomain`, or \
             set `{name}` in the environment"
        )),
    }
}

impl Agents {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { known: Mutex::default(), changed: Arc::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkloadSocket, Agent>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the agents at `places` say, each within [`PATIENCE`] of its first call.
    ///
    /// # Errors
    /// A line for each that says nothing.
    pub(crate) async fn first(&self, places: &Places) -> Result<Workloads, Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        let mut problems = Vec::new();
        let mut sockets = Vec::new();
        for place in places {
            match resolved(place.as_ref()) {
                Ok(socket) => sockets.push(socket),
                Err(problem) => problems.push(problem),
            }
        }
        // All of them are called before one is waited for.
        let states: Vec<_> = sockets.into_iter().map(|socket| (self.listen(&socket), socket)).collect();
        for (state, socket) in states {
            problems.extend(heard(state, &socket, deadline).await.err());
        }
        problems.dedup();
        if problems.is_empty() { Ok(self.now(places)) } else { Err(problems) }
    }

    fn listen(&self, socket: &WorkloadSocket) -> watch::Receiver<State> {
        let mut known = self.lock();
        let agent = known.entry(socket.clone()).or_insert_with(|| {
            let state = watch::Sender::default();
            let (changed, clock) = (self.changed.clone(), self.clock.clone());
            let listening = Listening { socket: socket.clone(), state: state.clone(), changed, clock };
            Agent { state, task: tokio::spawn(listening.run()).abort_handle() }
        });
        agent.state.subscribe()
    }

    /// What the agents at `places` said last.
    pub(crate) fn now(&self, places: &Places) -> Workloads {
        let known = self.lock();
        let said = |place: &Option<WorkloadSocket>| {
            let socket = resolved(place.as_ref()).ok()?;
            Some((place.clone(), known.get(&socket)?.state.borrow().workload.clone()?))
        };
        places.iter().filter_map(said).collect()
    }

    /// Listens to those at `places` and to no others.
    pub(crate) fn keep(&self, places: &Places) {
        let kept: Vec<WorkloadSocket> = places.iter().filter_map(|place| resolved(place.as_ref()).ok()).collect();
        self.lock().retain(|socket, _| kept.contains(socket));
    }

    /// Lets go of what has ended by now.
    fn purge(&self) {
        let now = self.clock.unix_ms() / 1000;
        for agent in self.lock().values() {
            agent.state.send_if_modified(|state| {
                let over = |end: i64| end < now;
                let Some(known) = state.workload.as_ref().filter(|known| known.ends().is_some_and(over)) else {
                    return false;
                };
                state.workload = Some(Arc::new(known.at(now)));
                true
            });
        }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        let of = |(socket, agent): (&WorkloadSocket, &Agent)| {
            let state = agent.state.borrow();
            let svids = state.workload.iter().flat_map(|workload| workload.svids());
            Heard {
                socket: socket.to_string(),
                connected: state.connected,
                svids: svids.map(|(id, end)| (id.to_string(), end)).collect(),
            }
        };
        self.lock().iter().map(of).collect()
    }
}

/// Waits until an agent has given us anything. One that says until the deadline that it has nothing for us is heard, too:
/// what a set lacks then is named place by place.
async fn heard(mut state: watch::Receiver<State>, socket: &WorkloadSocket, deadline: Instant) -> Result<(), String> {
    let given = state.wait_for(|state| state.workload.as_ref().is_some_and(|known| !known.is_empty()));
    if tokio::time::timeout_at(deadline, given).await.is_ok() {
        return Ok(());
    }
    let state = state.borrow();
    let trouble = if state.trouble.is_empty() { "it does not answer" } else { &state.trouble };
    Err(format!("error: the SPIFFE Workload API at `{socket}` gave nothing within {} s: {trouble}", PATIENCE.as_secs()))
}

/// Takes what agents say into the running set, until `stop` turns true.
pub(crate) async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = shared.agents.changed.notified() => {}
            _ = tick.tick() => {}
        }
        if shared.runtime.load().places.is_empty() {
            continue;
        }
        let renewing = shared.clone();
        // TLS is made anew there: beside the runtime's threads. A panic in there does not end the watch.
        let renewed = tokio::task::spawn_blocking(move || {
            renewing.agents.purge();
            renewing.renew()
        });
        let renewed = renewed.await;
        if renewed.unwrap_or(false) {
            connections::judge(&shared).await;
        }
    }
}

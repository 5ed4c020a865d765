//! Keeps the key rings of issuers filled (attacks 34 and 35): one keeper for each source, which lives on across reloads.
//!
//! A keeper fetches when it begins, then in the background at the pace the issuer asks for, within bounds, and for a request
//! only where that may help: never more often than [`UNKNOWN_EVERY`] for keys that tokens name, and [`AGAIN`] where there are
//! none. What is not a key set of that issuer changes nothing: the keys of before stay in use until they are too old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postern_config::{KeySource, KeysAt};
use postern_filters::token::{KeyRing, KeyRings, KeySet, MAX_METADATA, jwks_uri, metadata_urls};
use postern_filters::{KeysGiven, KeysWanted, WhyKeys};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::calls::{self, Calls};
use crate::clock::Clock;
use crate::outbound::{Answer, Request, Url};

/// How often keys are fetched where the issuer says nothing.
const EVERY: Duration = Duration::from_secs(600);
/// The least and the most that an issuer may ask for.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// At most one fetch in this time for keys that tokens name: anybody can name one.
const UNKNOWN_EVERY: Duration = Duration::from_secs(60);
/// Pauses after failures: doubled each time.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Longest wait of a request for a fetch.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keepers of a process.
pub(crate) struct Keepers {
    pub(crate) rings: KeyRings,
    known: Mutex<HashMap<KeySource, Keeper>>,
    calls: Arc<Calls>,
    clock: Arc<dyn Clock>,
    /// Rung when an issuer took a key away.
    pub(crate) changed: Arc<Notify>,
}

struct Keeper {
    ring: Arc<KeyRing>,
    state: watch::Sender<State>,
    wake: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a keeper is about.
#[derive(Debug, Clone)]
struct State {
    /// Fetches that have come to an end.
    ended: u64,
    fetching: bool,
    /// Why the last fetch failed, if it did.
    trouble: Option<String>,
    /// From when on a request may have keys fetched that it lacks altogether.
    again: Instant,
    /// From when on a request may have keys fetched because its token names an unknown one.
    unknown: Instant,
    fetched: u64,
    failed: u64,
}

/// How one source stands, for metrics and people.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) source: String,
    /// Number of keys, and seconds since the issuer was last heard.
    pub(crate) keys: Option<(usize, i64)>,
    pub(crate) trouble: Option<String>,
    pub(crate) fetched: u64,
    pub(crate) failed: u64,
}

impl Keepers {
    pub(super) fn new(rings: KeyRings, calls: Arc<Calls>, clock: Arc<dyn Clock>) -> Self {
        Self { rings, known: Mutex::default(), calls, clock, changed: Arc::default() }
    }

    /// Keeps the rings of `sources`, and no others.
    pub(super) fn keep(&self, sources: &[KeySource]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|source, _| sources.contains(source));
        for source in sources {
            known.entry(source.clone()).or_insert_with(|| self.begin(source));
        }
    }

    fn begin(&self, source: &KeySource) -> Keeper {
        let now = Instant::now();
        let state = State { ended: 0, fetching: true, trouble: None, again: now, unknown: now, fetched: 0, failed: 0 };
        let (state, wake) = (watch::Sender::new(state), Arc::<Notify>::default());
        let ring = self.rings.of(source);
        let keeping = Keeping {
            ring: ring.clone(),
            state: state.clone(),
            wake: wake.clone(),
            calls: self.calls.clone(),
            clock: self.clock.clone(),
            changed: self.changed.clone(),
        };
        Keeper { ring, state, wake, task: tokio::spawn(keeping.run()).abort_handle() }
    }

    /// Has keys fetched where that may help, and waits for them.
    pub(super) async fn answer(&self, wanted: KeysWanted) -> KeysGiven {
        let Some((mut state, before)) = self.order(&wanted) else {
            return KeysGiven::Away("the running policy does not fetch these keys".to_owned());
        };
        let Some(before) = before else {
            let trouble = state.borrow().trouble.clone();
            return trouble.filter(|_| wanted.why == WhyKeys::None).map_or(KeysGiven::NotAgain, KeysGiven::Away);
        };
        let ended = tokio::time::timeout(PATIENCE, state.wait_for(|state| state.ended > before)).await;
        match ended {
            Ok(Ok(state)) => state.trouble.clone().map_or(KeysGiven::Current, KeysGiven::Away),
            Ok(Err(_)) => KeysGiven::Away("the running policy does not fetch these keys any more".to_owned()),
            Err(_) => KeysGiven::Away(format!("they did not come within {} s", PATIENCE.as_secs())),
        }
    }

    /// The fetch that `wanted` has to wait for: the one that is on its way, or one that begins now. None where none may.
    fn order(&self, wanted: &KeysWanted) -> Option<(watch::Receiver<State>, Option<u64>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let keeper = known.get(wanted.ring.source())?;
        let (now, mut before) = (Instant::now(), None);
        keeper.state.send_if_modified(|state| {
            let may = match wanted.why {
                WhyKeys::None => now >= state.again,
                WhyKeys::Unknown => now >= state.unknown,
            };
            if state.fetching {
                before = Some(state.ended);
            } else if may {
                before = Some(state.ended);
                state.fetching = true;
                if wanted.why == WhyKeys::Unknown {
                    state.unknown = now + UNKNOWN_EVERY;
                }
                keeper.wake.notify_one();
            }
            false
        });
        Some((keeper.state.subscribe(), before))
    }

    /// Every source, as it stands at `now`.
    pub(crate) fn standing(&self, now: i64) -> Vec<Standing> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(source, keeper): (&KeySource, &Keeper)| {
            let state = keeper.state.borrow();
            let keys = keeper.ring.standing();
            Standing {
                source: place(source).to_owned(),
                keys: keys.map(|(keys, heard)| (keys, now.saturating_sub(heard))),
                trouble: state.trouble.clone(),
                fetched: state.fetched,
                failed: state.failed,
            }
        };
        known.iter().map(of).collect()
    }
}

/// The URL of a source without its query, or its issuer.
fn place(source: &KeySource) -> &str {
    match &source.at {
        KeysAt::Url(url) => url.split('?').next().unwrap_or(url),
        KeysAt::Issuer(issuer) => issuer,
    }
}

/// What one keeper does.
struct Keeping {
    ring: Arc<KeyRing>,
    state: watch::Sender<State>,
    wake: Arc<Notify>,
    calls: Arc<Calls>,
    clock: Arc<dyn Clock>,
    changed: Arc<Notify>,
}

impl Keeping {
    async fn run(self) {
        let mut last = Vec::new();
        let mut failures = 0_u32;
        loop {
            self.state.send_modify(|state| state.fetching = true);
            let outcome = self.fetch(&mut last).await;
            let pause = match &outcome {
                Ok(pause) => {
                    failures = 0;
                    *pause
                }
                Err(_) => {
                    failures = failures.saturating_add(1);
                    let doubled = AGAIN.0.saturating_mul(1_u32.checked_shl(failures.min(10) - 1).unwrap_or(u32::MAX));
                    doubled.min(AGAIN.1)
                }
            };
            self.tell(outcome.err());
            let due = tokio::time::sleep(jittered(pause));
            tokio::select! {
                () = due => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Says how a fetch ended; the same trouble is told once.
    fn tell(&self, trouble: Option<String>) {
        let source = place(self.ring.source());
        let known = self.state.borrow().trouble.clone();
        match (&known, &trouble) {
            (known, Some(why)) if known.as_ref() != Some(why) => {
                let held = self.ring.standing().map_or(0, |(keys, _)| keys);
                warn!("error.type" = "keys", source, held, why, "the keys of an issuer could not be fetched");
            }
            (Some(_), None) => info!(source, "the keys of an issuer can be fetched again"),
            _ => {}
        }
        let now = Instant::now();
        self.state.send_modify(|state| {
            state.ended = state.ended.saturating_add(1);
            state.fetching = false;
            state.again = now + AGAIN.0;
            match &trouble {
                None => state.fetched = state.fetched.saturating_add(1),
                Some(_) => state.failed = state.failed.saturating_add(1),
            }
            state.trouble = trouble;
        });
    }

    /// Fetches the keys, and puts them into the ring where they are others than the `last`. Returns when to fetch again.
    async fn fetch(&self, last: &mut Vec<u8>) -> Result<Duration, String> {
        let source = self.ring.source();
        let url = match &source.at {
            KeysAt::Url(url) => url.clone(),
            KeysAt::Issuer(issuer) => self.discover(issuer).await?,
        };
        let answer = self.get(&url, KeySet::MAX_FETCHED).await?;
        let said = |error: postern_filters::token::KeySetError| format!("`{}`: {error}", url_shown(&url));
        if answer.status != http::StatusCode::OK {
            return Err(format!("`{}` answered {}", url_shown(&url), answer.status.as_u16()));
        }
        let now = self.clock.unix_ms() / 1000;
        if *last == *answer.body && self.ring.standing().is_some() {
            self.ring.confirm(now);
        } else {
            let (keys, passed_over) = KeySet::parse_published(&answer.body).map_err(said)?;
            let first = self.ring.standing().is_none();
            info!(source = place(source), keys = keys.len(), passed_over, "the keys of an issuer were taken over");
            self.ring.put(keys, now);
            last.clear();
            last.extend_from_slice(&answer.body);
            if !first {
                self.changed.notify_one();
            }
        }
        Ok(answer.max_age.unwrap_or(EVERY).clamp(BOUNDS.0, BOUNDS.1))
    }

    /// Where the issuer says that its keys are.
    async fn discover(&self, issuer: &str) -> Result<String, String> {
        let mut absent = String::new();
        for url in metadata_urls(issuer) {
            let answer = self.get(&url, MAX_METADATA).await?;
            match answer.status.as_u16() {
                200 => {
                    let uri = jwks_uri(&answer.body, issuer).map_err(|error| format!("`{url}`: {error}"))?;
                    let parsed = Url::parse(&uri).map_err(|error| format!("`jwks_uri` of `{url}`: {error}"))?;
                    if !parsed.is_https() && issuer.starts_with("https:") {
                        return Err(format!("`jwks_uri` of `{url}` is not https"));
                    }
                    return Ok(uri);
                }
                status @ 400..=499 => absent = format!("`{url}` answered {status}"),
                status => return Err(format!("`{url}` answered {status}")),
            }
        }
        Err(format!("{absent}; the issuer publishes no metadata: name its keys with `jwksUrl`"))
    }

    async fn get(&self, url: &str, body: usize) -> Result<Answer, String> {
        let parsed = Url::parse(url).map_err(|error| format!("`{}`: {error}", url_shown(url)))?;
        let request = Request::get(parsed).limits(calls::limits(body));
        let answered = self.calls.send(self.ring.source().ca.as_ref(), request).await;
        answered.map_err(|error| format!("`{}`: {error}", url_shown(url)))
    }
}

fn url_shown(url: &str) -> String {
    url.split('?').next().unwrap_or_default().chars().take(200).collect()
}

/// Between three quarters and the whole of it, so that replicas do not all come at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without chance it is the whole.
    let part = if aws_lc_rs::rand::fill(&mut byte).is_ok() { u32::from(byte[0]) } else { 255 };
    pause.saturating_mul(part.saturating_add(765)) / 1020
}

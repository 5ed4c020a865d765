//! Asks issuers about tokens (RFC 7662). What they say is kept for as long as policy lets it be used, in a bounded memory that
//! survives reloads; requests with one token ask once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use postern_config::{IntrospectionSource, Redacted};
use postern_filters::token::{IntrospectionAnswer, MAX_ANSWER, question};
use postern_filters::{IntrospectionGiven, IntrospectionWanted};
use quick_cache::sync::Cache;
use tokio::time::Instant;
use tracing::{info, warn};

use super::calls::{self, Calls};
use crate::clock::Clock;
use crate::outbound::{Request, Url};

/// Answers about active tokens that are kept.
const ACTIVE: usize = 4096;
/// Answers about others. They have a memory of their own: whoever sends what nobody issued drives no good answer out.
const OTHERS: usize = 4096;
/// How long it is kept that a token is not active; one that was issued a moment ago may have been too early.
const OTHERS_FOR: Duration = Duration::from_secs(5);
/// Questions on their way. More would only wait for each other.
const AT_ONCE: usize = 1024;
/// How long nobody is asked again after a failure.
const PAUSE: Duration = Duration::from_secs(1);

type Said = Result<Arc<IntrospectionAnswer>, Arc<str>>;
type Asking = Shared<BoxFuture<'static, Said>>;

/// Where, and SHA-256 of the token.
type Key = (Arc<IntrospectionSource>, [u8; 32]);

/// Asks, and remembers.
pub(crate) struct Introspections {
    calls: Arc<Calls>,
    clock: Arc<dyn Clock>,
    active: Cache<Key, Arc<IntrospectionAnswer>>,
    others: Cache<Key, Arc<IntrospectionAnswer>>,
    asking: Mutex<HashMap<Key, WeakShared<BoxFuture<'static, Said>>>>,
    sources: Arc<Mutex<HashMap<Arc<IntrospectionSource>, Source>>>,
}

/// How one source stands.
#[derive(Debug, Default)]
struct Source {
    /// What went wrong last, and until when that stands.
    trouble: Option<(Arc<str>, Instant)>,
    answered: AtomicU64,
    failed: AtomicU64,
}

/// How one source stands, for metrics.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) source: String,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
}

impl Introspections {
    pub(super) fn new(calls: Arc<Calls>, clock: Arc<dyn Clock>) -> Self {
        Self {
            calls,
            clock,
            active: Cache::new(ACTIVE),
            others: Cache::new(OTHERS),
            asking: Mutex::default(),
            sources: Arc::default(),
        }
    }

    /// Forgets what is known of other sources than `kept`.
    pub(super) fn keep(&self, kept: impl Fn(&IntrospectionSource) -> bool) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).retain(|source, _| kept(source));
    }

    pub(super) async fn answer(&self, wanted: IntrospectionWanted) -> IntrospectionGiven {
        let key = (wanted.source.clone(), wanted.token_sha256);
        if let Some(answer) = self.remembered(&key, wanted.fresh_for) {
            return IntrospectionGiven::Answer(answer);
        }
        if let Some(why) = self.trouble(&wanted.source) {
            return IntrospectionGiven::Away(why.to_string());
        }
        let Some(asking) = self.join(&key, &wanted) else {
            return IntrospectionGiven::Away(format!("{AT_ONCE} questions are on their way to the issuer"));
        };
        let said = asking.await;
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        match said {
            Ok(answer) => {
                let memory = if answer.is_active() { &self.active } else { &self.others };
                memory.insert(key, answer.clone());
                IntrospectionGiven::Answer(answer)
            }
            Err(why) => IntrospectionGiven::Away(why.to_string()),
        }
    }

    fn remembered(&self, key: &Key, fresh_for: Duration) -> Option<Arc<IntrospectionAnswer>> {
        let now = self.clock.unix_ms() / 1000;
        let within = |answer: &Arc<IntrospectionAnswer>, limit: Duration| {
            let age = now.saturating_sub(answer.asked_at());
            // A clock that was set back makes nothing fresh.
            (0..i64::try_from(limit.as_secs()).unwrap_or(i64::MAX)).contains(&age)
        };
        let active = self.active.get(key).filter(|answer| within(answer, fresh_for));
        active.or_else(|| self.others.get(key).filter(|answer| within(answer, fresh_for.min(OTHERS_FOR))))
    }

    fn trouble(&self, source: &Arc<IntrospectionSource>) -> Option<Arc<str>> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let (why, until) = sources.get(source)?.trouble.as_ref()?;
        (Instant::now() < *until).then(|| why.clone())
    }

    /// The question that is on its way for `key`, or a new one; `None` where there are too many. It is made by those who wait
    /// for it, so that it ends when nobody does any more.
    fn join(&self, key: &Key, wanted: &IntrospectionWanted) -> Option<Asking> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = asking.get(key).and_then(WeakShared::upgrade) {
            return Some(known);
        }
        if asking.len() >= AT_ONCE {
            asking.retain(|_, known| known.upgrade().is_some());
            if asking.len() >= AT_ONCE {
                return None;
            }
        }
        let asked_at = self.clock.unix_ms() / 1000;
        let (calls, sources, wanted) = (self.calls.clone(), self.sources.clone(), wanted.clone());
        let question = async move {
            let said = ask(&calls, &wanted, asked_at).await.map_err(Arc::from);
            note(&sources, &wanted.source, &said);
            said
        };
        let question = question.boxed().shared();
        asking.insert(key.clone(), question.downgrade()?);
        Some(question)
    }

    pub(crate) fn standing(&self) -> Vec<Standing> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(at, source): (&Arc<IntrospectionSource>, &Source)| Standing {
            source: place(at).to_owned(),
            answered: source.answered.load(Ordering::Relaxed),
            failed: source.failed.load(Ordering::Relaxed),
        };
        sources.iter().map(of).collect()
    }
}

fn place(source: &IntrospectionSource) -> &str {
    source.url.split('?').next().unwrap_or(&source.url)
}

/// Remembers how a question ended.
fn note(sources: &Mutex<HashMap<Arc<IntrospectionSource>, Source>>, at: &Arc<IntrospectionSource>, said: &Said) {
    let mut sources = sources.lock().unwrap_or_else(PoisonError::into_inner);
    let source = sources.entry(at.clone()).or_default();
    match said {
        Ok(_) => {
            source.answered.fetch_add(1, Ordering::Relaxed);
            if source.trouble.take().is_some() {
                info!(source = place(at), "an issuer can be asked about tokens again");
            }
        }
        Err(why) => {
            source.failed.fetch_add(1, Ordering::Relaxed);
            if source.trouble.as_ref().is_none_or(|(known, _)| known != why) {
                warn!(
                    "error.type" = "introspection",
                    source = place(at),
                    why = &**why,
                    "an issuer could not be asked about a token"
                );
            }
            source.trouble = Some((why.clone(), Instant::now() + PAUSE));
        }
    }
}

/// One question. The token is in its body and nowhere else.
async fn ask(calls: &Calls, wanted: &IntrospectionWanted, asked_at: i64) -> Result<Arc<IntrospectionAnswer>, String> {
    let url = Url::parse(&wanted.source.url).map_err(|error| error.to_string())?;
    let host = url.host().to_owned();
    let auth = calls.auth(&wanted.source).ok_or("the running policy does not ask there")?;
    let text = |text: &str| Redacted::new(text.as_bytes().to_vec());
    let request = Request::post(url, question(&wanted.token))
        .header(AUTHORIZATION, auth.as_ref().clone())
        .header(CONTENT_TYPE, text("application/x-www-form-urlencoded"))
        .header(ACCEPT, text("application/json"))
        .limits(calls::limits(MAX_ANSWER));
    let answer = calls.send(wanted.source.ca.as_ref(), request).await.map_err(|error| error.to_string())?;
    match answer.status.as_u16() {
        200 => {}
        401 | 403 => {
            let status = answer.status.as_u16();
            return Err(format!("`{host}` answered {status}: it does not know us by what `clientAuthFrom` says"));
        }
        status => return Err(format!("`{host}` answered {status}")),
    }
    let said = IntrospectionAnswer::read(&answer.body, asked_at);
    said.map(Arc::new).map_err(|error| format!("`{host}`: {error}"))
}

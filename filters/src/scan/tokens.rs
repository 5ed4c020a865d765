//! Tokens that stand for values in what a model sees, and the way back for the caller they came from.
//!
//! A token is a keyed hash of the value, the detector and whoever shares it, so that a value has one token for one principal (or
//! tenant) and nobody can compare those of another. The way back is kept for one exchange and ends with it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use postern_config::{Redacted, TokenRule, TokenScope};

use crate::Principal;

static OF_PROCESS: LazyLock<TokenKey> =
    LazyLock::new(|| TokenKey(hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok().map(Arc::new)));

/// What tokens are made with. Without one none are made, and values are taken out instead.
#[derive(Debug, Clone)]
pub struct TokenKey(Option<Arc<hmac::Key>>);

impl TokenKey {
    /// Made at start, and never to leave the process.
    #[must_use]
    pub fn of_process() -> Self {
        OF_PROCESS.clone()
    }

    /// One that replicas share.
    #[must_use]
    pub fn from_seed(seed: &[u8]) -> Self {
        Self(Some(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, seed))))
    }
}

/// How every token begins.
pub(super) const PREFIX: &str = "tok_";
/// Characters of the hash in a token: 80 bits.
const HASH: usize = 16;
/// The longest there is: of the longest name of a detector.
pub(super) const MAX_TOKEN: usize = PREFIX.len() + 63 + 1 + HASH;
/// Values that one exchange can have put back; a further one is taken out for good.
const MOST: usize = 1_000;

/// How a route makes its tokens.
#[derive(Debug, Clone)]
pub(crate) struct TokenMaker {
    pub(crate) key: TokenKey,
    /// How long the way back lasts.
    pub(crate) lasts: Duration,
}

/// The tokens of one exchange.
pub struct TokenMap {
    key: TokenKey,
    lasts: Duration,
    principal: String,
    tenant: String,
    made: Mutex<BTreeMap<String, Made>>,
}

/// Shows how many there are.
impl fmt::Debug for TokenMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenMap({})", self.made.lock().unwrap_or_else(PoisonError::into_inner).len())
    }
}

struct Made {
    detector: String,
    /// Only where a rule puts it back.
    value: Option<Redacted<String>>,
}

impl TokenMap {
    /// For a request of `principal`. Of callers that nobody recognised each exchange is for itself.
    pub(crate) fn new(maker: &TokenMaker, principal: Option<&Principal>, tenant: Option<&str>) -> Self {
        static EXCHANGES: AtomicU64 = AtomicU64::new(0);
        let own = || format!("exchange {}", EXCHANGES.fetch_add(1, Ordering::Relaxed));
        let principal = principal.filter(|one| !one.is_anonymous()).map_or_else(own, |one| format!("principal {one}"));
        let tenant = tenant.map_or_else(|| principal.clone(), |tenant| format!("tenant {tenant}"));
        Self { key: maker.key.clone(), lasts: maker.lasts, principal, tenant, made: Mutex::default() }
    }

    /// The token for `value`; nothing where none can be made.
    pub(crate) fn make(&self, rule: TokenRule, detector: &str, value: &str) -> Option<String> {
        let scope = match rule.scope {
            TokenScope::Principal => &self.principal,
            TokenScope::Tenant => &self.tenant,
        };
        let mut context = hmac::Context::with_key(self.key.0.as_deref()?);
        for part in [scope.as_str(), detector, value] {
            context.update(&u64::try_from(part.len()).ok()?.to_be_bytes());
            context.update(part.as_bytes());
        }
        let token = format!("{PREFIX}{detector}_{}", letters(context.sign().as_ref()));
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.contains_key(&token) && made.len() >= MOST {
            return None;
        }
        let entry = made.entry(token.clone()).or_insert_with(|| Made { detector: detector.to_owned(), value: None });
        if rule.restore && entry.value.is_none() {
            entry.value = Some(Redacted::new(value.to_owned()));
        }
        Some(token)
    }

    /// How long values may be put back, from the beginning of the exchange.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.lasts
    }

    /// Whether some of them are put back.
    #[must_use]
    pub fn restores(&self) -> bool {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).values().any(|made| made.value.is_some())
    }

    /// Those that are put back, each with its detector and its value, if `keep` says so.
    pub(super) fn back(&self, keep: impl Fn(&str, &str) -> bool) -> BTreeMap<String, Redacted<String>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = made.iter().filter_map(|(token, made)| Some((token, &made.detector, made.value.as_ref()?)));
        let kept = known.filter(|(_, detector, value)| keep(detector, value.expose()));
        kept.map(|(token, _, value)| (token.clone(), Redacted::new(value.expose().clone()))).collect()
    }
}

/// Base32 in small letters.
fn letters(hash: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = |at: usize| {
        (0..5).fold(0_usize, |sum, bit| {
            let place = at * 5 + bit;
            let byte = hash.get(place / 8).copied().unwrap_or_default();
            sum << 1 | usize::from(byte >> (7 - place % 8) & 1)
        })
    };
    (0..HASH).filter_map(|at| ALPHABET.get(bits(at))).map(|letter| char::from(*letter)).collect()
}

//! All verifiers of a route, and a bounded memory of tokens that passed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use serde_json::Value;

use super::binding::Sender;
use super::claims::Claims;
use super::introspection::Introspector;
use super::{Excerpt, JwtVerifier, MAX_TOKEN_BYTES, SvidVerifier, TokenError, VerifiedToken, jws, jwt_svid, sha256};
use crate::{Given, IntrospectionGiven};

/// `iss` of a token, believed by nobody: only good for choosing whose keys to try.
///
/// # Errors
/// [`TokenError`] for a token that is too large, not three parts, or whose claims have no `iss` text.
pub fn issuer_of(token: &str) -> Result<String, TokenError> {
    let claims = Claims::new(jws::unverified_claims(token)?);
    Ok(claims.required_text("iss")?.to_owned())
}

/// Tokens that were verified, for all routes of the process. Entries of a [`TokenSet`] that is gone are never found
/// again and make room for others.
pub struct TokenCache {
    entries: Cache<Key, Arc<Entry>>,
}

/// SHA-256 of the token and number of the set. A set is made anew with its providers, keys and snapshot, so one number
/// stands for all of them.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    token: [u8; 32],
    set: u64,
}

struct Entry {
    by: By,
    token: Arc<VerifiedToken>,
}

/// Who said that a token is good.
#[derive(Debug, Clone, Copy)]
enum By {
    /// The verifier of this index.
    Verifier(usize),
    /// The verifier of workloads of this index.
    Svid(usize),
    /// Its issuer, whose word is used until then (Unix seconds).
    Issuer { until: i64 },
}

impl TokenCache {
    pub const DEFAULT_ENTRIES: usize = 10_000;

    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self { entries: Cache::new(entries) }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::new(Self::DEFAULT_ENTRIES)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("entries", &self.entries.len()).finish()
    }
}

/// The verifiers of one route.
#[derive(Debug)]
pub struct TokenSet {
    number: u64,
    verifiers: Vec<JwtVerifier>,
    /// Those of workloads' own tokens.
    svids: Vec<SvidVerifier>,
    /// Reads what the issuer of all other tokens says.
    introspector: Option<Introspector>,
    cache: Arc<TokenCache>,
}

impl TokenSet {
    /// `verifiers` may be empty: then every token is refused, as nobody recognises it.
    #[must_use]
    pub fn new(verifiers: Vec<JwtVerifier>, cache: Arc<TokenCache>) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Self { number: NUMBER.fetch_add(1, Ordering::Relaxed), verifiers, svids: Vec::new(), introspector: None, cache }
    }

    /// Has the tokens of workloads verified as well.
    #[must_use]
    pub fn with_svids(mut self, svids: Vec<SvidVerifier>) -> Self {
        self.svids = svids;
        self
    }

    /// Has tokens that are of no verifier's issuer asked about.
    #[must_use]
    pub fn asking(mut self, introspector: Introspector) -> Self {
        self.introspector = Some(introspector);
        self
    }

    /// Verifies `token`, or finds it among those verified before. Validity at `now` (Unix seconds), audience and sender
    /// are checked on every call; `sender` is who sends the token this time. `given` is the answer to what an earlier call for the
    /// same token needed to know.
    ///
    /// # Errors
    /// [`TokenError`]; refusals are not remembered. Some say what would have to be known first.
    pub fn authenticate<'s>(
        &self,
        token: &str,
        sender: impl Into<Sender<'s>>,
        now: i64,
        given: Option<&Given>,
    ) -> Result<Arc<VerifiedToken>, TokenError> {
        let sender = sender.into();
        // Before hashing: what is too large costs nothing.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge { bytes: token.len(), max: MAX_TOKEN_BYTES });
        }
        let key = Key { token: sha256(token.as_bytes()), set: self.number };
        if let Some(entry) = self.cache.entries.get(&key) {
            match self.recheck(&entry, now) {
                Ok(true) => {
                    entry.token.check_binding(sender)?;
                    return Ok(Arc::clone(&entry.token));
                }
                Ok(false) => drop(self.cache.entries.remove(&key)),
                Err(error) => {
                    self.cache.entries.remove(&key);
                    return Err(error.after(given));
                }
            }
        }
        let (by, verified) = match &self.introspector {
            Some(introspector) if !self.is_signed_by_ours(token) => {
                let (until, verified) = ask(introspector, token, key.token, now, given)?;
                (By::Issuer { until }, verified)
            }
            _ => self.verify(token, now).map_err(|error| error.after(given))?,
        };
        let verified = Arc::new(verified);
        // Remembered before its sender is checked: a thief's attempt must not cost a signature each time.
        self.cache.entries.insert(key, Arc::new(Entry { by, token: Arc::clone(&verified) }));
        verified.check_binding(sender)?;
        Ok(verified)
    }

    /// Whether a token that was good is good still; `false` where that has to be found out anew.
    fn recheck(&self, entry: &Entry, now: i64) -> Result<bool, TokenError> {
        entry.token.window.check(now)?;
        match entry.by {
            By::Issuer { until } => Ok(now < until),
            By::Svid(index) => {
                let verifier = self.svids.get(index).ok_or(TokenError::Audience)?;
                verifier.check_audience(&entry.token.audiences).map(|()| true)
            }
            By::Verifier(index) => {
                let verifier = self.verifiers.get(index).ok_or(TokenError::Audience)?;
                verifier.check_audience(&entry.token.audiences)?;
                verifier.is_current(entry.token.generation, now)
            }
        }
    }

    /// Whether it has the shape of a signed token, and says that it is of an issuer whose keys we know, or of a workload.
    fn is_signed_by_ours(&self, token: &str) -> bool {
        let Ok(claims) = jws::unverified_claims(token).map(Claims::new) else { return false };
        self.is_of_issuer(&claims) || self.is_of_workload(&claims)
    }

    fn is_of_issuer(&self, claims: &Claims) -> bool {
        let issuer = claims.get("iss").and_then(Value::as_str);
        self.verifiers.iter().any(|verifier| Some(verifier.issuer()) == issuer)
    }

    /// An issuer whose keys are known is asked first: what it says of a SPIFFE ID is its own.
    fn is_of_workload(&self, claims: &Claims) -> bool {
        !self.svids.is_empty() && !self.is_of_issuer(claims) && jwt_svid::is_meant(claims)
    }

    /// The one verifier that accepts the token. Two would mean two principals, and one that cannot tell may be a second.
    fn verify(&self, token: &str, now: i64) -> Result<(By, VerifiedToken), TokenError> {
        let claims = Claims::new(jws::unverified_claims(token)?);
        if self.is_of_workload(&claims) {
            let svids = self.svids.iter().enumerate();
            return only(
                svids.map(|(index, verifier)| (By::Svid(index), verifier.verify(token, now))),
                TokenError::Missing,
            );
        }
        let issuer = claims.required_text("iss")?;
        let ours = self.verifiers.iter().enumerate().filter(|(_, verifier)| verifier.issuer() == issuer);
        let verified = ours.map(|(index, verifier)| (By::Verifier(index), verifier.verify(token, now)));
        only(verified, TokenError::UnknownIssuer(Excerpt::of(issuer)))
    }
}

/// The one that is good, among what verifiers found; `none` where there is none of them.
fn only(
    found: impl Iterator<Item = (By, Result<VerifiedToken, TokenError>)>,
    none: TokenError,
) -> Result<(By, VerifiedToken), TokenError> {
    let mut accepted: Option<(By, VerifiedToken)> = None;
    let mut refused: Option<TokenError> = None;
    for (by, verified) in found {
        match (verified, &accepted) {
            (Ok(token), None) => accepted = Some((by, token)),
            (Ok(token), Some((_, first))) => {
                let name = |t: &VerifiedToken| t.principal.authn.provider.clone();
                return Err(TokenError::SeveralProviders(name(first), name(&token)));
            }
            (Err(error), _) if error.is_undecided() => return Err(error),
            // The first one stands, unless another says what would help.
            (Err(error), _) if refused.is_none() || error.need().is_some() => refused = Some(error),
            (Err(_), _) => {}
        }
    }
    accepted.ok_or_else(|| refused.unwrap_or(none))
}

/// What the issuer says about a token, and until when that is used.
fn ask(
    introspector: &Introspector,
    token: &str,
    token_sha256: [u8; 32],
    now: i64,
    given: Option<&Given>,
) -> Result<(i64, VerifiedToken), TokenError> {
    match given {
        Some(Given::Introspection(IntrospectionGiven::Answer(answer))) => {
            Ok((introspector.used_until(answer), introspector.verify(answer, now)?))
        }
        Some(Given::Introspection(IntrospectionGiven::Away(why))) => Err(introspector.away(why)),
        _ => Err(introspector.wanted(token, token_sha256)),
    }
}

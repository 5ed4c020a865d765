//! All verifiers of a route, and a bounded memory of tokens that passed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use super::claims::Claims;
use super::{Excerpt, JwtVerifier, MAX_TOKEN_BYTES, TokenError, VerifiedToken, jws, sha256};

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
    verifier: usize,
    token: Arc<VerifiedToken>,
}

impl TokenCache {
    pub const DEFAULT_ENTRIES: usize = 10_000;

    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self { entries: Cache::new(entries) }
    }

    /// Forgets everything; a revocation does this.
    pub fn clear(&self) {
        self.entries.clear();
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
    cache: Arc<TokenCache>,
}

impl TokenSet {
    /// `verifiers` may be empty: then every token is refused, as nobody recognises it.
    #[must_use]
    pub fn new(verifiers: Vec<JwtVerifier>, cache: Arc<TokenCache>) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Self { number: NUMBER.fetch_add(1, Ordering::Relaxed), verifiers, cache }
    }

    /// Verifies `token`, or finds it among those verified before. Validity at `now` (Unix seconds), audience and sender
    /// are checked on every call; `leaf_sha256` is the digest of this connection's client certificate.
    ///
    /// # Errors
    /// [`TokenError`]; refusals are not remembered.
    pub fn authenticate(
        &self,
        token: &str,
        leaf_sha256: Option<&[u8; 32]>,
        now: i64,
    ) -> Result<Arc<VerifiedToken>, TokenError> {
        // Before hashing: what is too large costs nothing.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge { bytes: token.len(), max: MAX_TOKEN_BYTES });
        }
        let key = Key { token: sha256(token.as_bytes()), set: self.number };
        if let Some(entry) = self.cache.entries.get(&key) {
            if let Err(error) = self.recheck(&entry, now) {
                self.cache.entries.remove(&key);
                return Err(error);
            }
            entry.token.check_binding(leaf_sha256)?;
            return Ok(Arc::clone(&entry.token));
        }
        let (verifier, verified) = self.verify(token, now)?;
        let verified = Arc::new(verified);
        // Remembered before its sender is checked: a thief's attempt must not cost a signature each time.
        self.cache.entries.insert(key, Arc::new(Entry { verifier, token: Arc::clone(&verified) }));
        verified.check_binding(leaf_sha256)?;
        Ok(verified)
    }

    fn recheck(&self, entry: &Entry, now: i64) -> Result<(), TokenError> {
        entry.token.window.check(now)?;
        let verifier = self.verifiers.get(entry.verifier).ok_or(TokenError::Audience)?;
        verifier.check_audience(&entry.token.audiences)
    }

    /// The one verifier that accepts the token. Two would mean two principals.
    fn verify(&self, token: &str, now: i64) -> Result<(usize, VerifiedToken), TokenError> {
        let issuer = issuer_of(token)?;
        let mut accepted: Option<(usize, VerifiedToken)> = None;
        let mut refused = None;
        for (index, verifier) in self.verifiers.iter().enumerate().filter(|(_, v)| v.issuer() == issuer) {
            match (verifier.verify(token, now), &accepted) {
                (Ok(token), None) => accepted = Some((index, token)),
                (Ok(token), Some((_, first))) => {
                    let name = |t: &VerifiedToken| t.principal.authn.provider.clone();
                    return Err(TokenError::SeveralProviders(name(first), name(&token)));
                }
                (Err(error), _) => refused = refused.or(Some(error)),
            }
        }
        let unknown = || TokenError::UnknownIssuer(Excerpt::of(&issuer));
        accepted.ok_or_else(|| refused.unwrap_or_else(unknown))
    }
}

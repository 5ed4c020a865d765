//! A JWK set (RFC 7517 §5). One from a file is usable as a whole, or refused with the key named. One that an issuer publishes
//! may also hold keys that are for others.

use std::fmt;

use serde_json::Value;

use super::key::Key;
use super::{Excerpt, TokenError, strict};

/// The keys of one issuer. Every key in it verifies something: a key that was dropped in silence would be an outage, or
/// a rotation that never happened.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    pub const MAX_KEYS: usize = 100;
    pub const MAX_BYTES: usize = 1 << 20;
    /// Longest set that is fetched.
    pub const MAX_FETCHED: usize = 512 << 10;

    /// Reads a JWK set. RFC 7517 §5 lets a reader skip keys that it cannot use; this one does not.
    ///
    /// # Errors
    /// [`KeySetError`] for text that is not one JSON object with unique names, no key, more than 100, or any key that
    /// is symmetric, private, not for signatures, of an algorithm outside [`postern_config::JwtAlgorithm`], an RSA key
    /// outside 2048–8192 bits or with a known weakness, malformed, or not to be told apart from another by its `kid`.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        Self::read(text, false).map(|(keys, _)| keys)
    }

    /// Reads the JWK set of an issuer that publishes keys for others as well: those that no signature is checked with here
    /// (for encryption, of an unknown type, curve or algorithm) are passed over, as RFC 7517 §5 asks. Returns how many.
    ///
    /// # Errors
    /// As [`KeySet::parse`] for everything else: a set with a secret in it, or a key that is broken, is not believed.
    pub fn parse_published(text: &[u8]) -> Result<(Self, usize), KeySetError> {
        Self::read(text, true)
    }

    /// Reads the bundle of a trust domain: its keys for JWT-SVIDs (SPIFFE Trust Domain and Bundle §4.2). Other keys are passed over.
    /// None is an answer as well: nothing that the domain signed is good any more.
    ///
    /// # Errors
    /// As [`KeySet::parse`] for a key for JWT-SVIDs that is broken, has no `kid` or that of another.
    pub fn parse_bundle(text: &[u8]) -> Result<Self, KeySetError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, jwk) in jwks(text)?.iter().enumerate() {
            let refuse = |problem| KeySetError::Key { key: KeyName::of(index, jwk), problem };
            let mut members = jwk.as_object().ok_or_else(|| refuse(KeyProblem::NotAnObject))?.clone();
            if members.get("use").and_then(Value::as_str) != Some("jwt-svid") {
                continue;
            }
            members.remove("use");
            match Key::parse(&members) {
                Err(problem) if problem.is_for_others() => {}
                Ok(key) if key.id.is_none() => return Err(refuse(KeyProblem::IdMissing)),
                Ok(key) if keys.iter().any(|other| other.id == key.id) => return Err(refuse(KeyProblem::IdTwice)),
                read => keys.push(read.map_err(refuse)?),
            }
        }
        Ok(Self { keys })
    }

    fn read(text: &[u8], published: bool) -> Result<(Self, usize), KeySetError> {
        let jwks = jwks(text)?;
        let mut keys: Vec<Key> = Vec::with_capacity(jwks.len());
        let mut passed_over = 0_usize;
        for (index, jwk) in jwks.iter().enumerate() {
            let refuse = |problem| KeySetError::Key { key: KeyName::of(index, jwk), problem };
            let key = match jwk.as_object().ok_or(KeyProblem::NotAnObject).and_then(Key::parse) {
                Err(problem) if published && problem.is_for_others() => {
                    passed_over = passed_over.saturating_add(1);
                    continue;
                }
                read => read.map_err(refuse)?,
            };
            if jwks.len() > 1 && key.id.is_none() {
                return Err(refuse(KeyProblem::IdMissing));
            }
            if keys.iter().any(|other| other.id == key.id) {
                return Err(refuse(KeyProblem::IdTwice));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeySetError::NoKeys) } else { Ok((Self { keys }, passed_over)) }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key a token names. `kid` is compared and nothing else: it never becomes a path, a query or a URL.
    pub(super) fn find(&self, kid: Option<&str>) -> Result<&Key, TokenError> {
        match (kid, self.keys.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(TokenError::KeyIdMissing),
            (Some(kid), keys) => keys
                .iter()
                .find(|key| key.id.as_deref() == Some(kid))
                .ok_or_else(|| TokenError::UnknownKey(Excerpt::of(kid))),
        }
    }
}

/// The members of a set, none of them read yet.
fn jwks(text: &[u8]) -> Result<Vec<Value>, KeySetError> {
    if text.len() > KeySet::MAX_BYTES {
        return Err(KeySetError::TooLarge { bytes: text.len(), max: KeySet::MAX_BYTES });
    }
    let mut set = strict::object(text).map_err(KeySetError::Json)?;
    let Some(Value::Array(jwks)) = set.remove("keys") else { return Err(KeySetError::NoKeys) };
    if jwks.len() > KeySet::MAX_KEYS {
        return Err(KeySetError::TooMany { count: jwks.len(), max: KeySet::MAX_KEYS });
    }
    Ok(jwks)
}

impl KeyProblem {
    /// Whether the key may be a good one, for something else.
    fn is_for_others(self) -> bool {
        matches!(self, Self::Type | Self::Curve | Self::Algorithm | Self::Purpose)
    }
}

/// Why a JWK set was refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("the key set has {bytes} bytes, more than the allowed {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("the key set is not a JSON object with unique names: {0}")]
    Json(#[source] serde_json::Error),
    #[error("the key set has no `keys`")]
    NoKeys,
    #[error("the key set has {count} keys, more than the allowed {max}")]
    TooMany { count: usize, max: usize },
    #[error("key {key} {problem}")]
    Key { key: KeyName, problem: KeyProblem },
    #[error("no key is of an algorithm that provider `{0}` accepts")]
    NoKeyForProvider(String),
    #[error("provider `{provider}` {problem}")]
    Provider { provider: String, problem: &'static str },
}

/// A key as errors name it: by `kid`, else by its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyName {
    Id(Excerpt),
    /// Counted from 1.
    Place(usize),
}

impl KeyName {
    fn of(index: usize, jwk: &Value) -> Self {
        jwk.get("kid").and_then(Value::as_str).map_or(Self::Place(index + 1), |id| Self::Id(Excerpt::of(id)))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "`{id}`"),
            Self::Place(place) => write!(f, "number {place}"),
        }
    }
}

/// What is wrong with a key. Reads on after "key `a`".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    #[error("is not an object")]
    NotAnObject,
    #[error("is symmetric; whoever can check a token with it can also make one")]
    Symmetric,
    #[error("has the private member `{0}`; only public keys belong in the set, and this one is spent")]
    Private(&'static str),
    #[error("is of an unknown `kty`")]
    Type,
    #[error("is on a curve that no accepted algorithm uses")]
    Curve,
    #[error("has an `alg` that is unknown or not one of its type")]
    Algorithm,
    #[error("is not for signatures, by its `use` or `key_ops`")]
    Purpose,
    #[error("has a missing or malformed `{0}`")]
    Member(&'static str),
    #[error("has {0} bits, where RSA needs 2048 to 8192")]
    RsaSize(usize),
    #[error("has a modulus that can be factored (CVE-2017-15361)")]
    Roca,
    #[error("is not a valid public key")]
    Unusable,
    #[error("has no `kid`, which a set of several keys needs")]
    IdMissing,
    #[error("has the `kid` of another key")]
    IdTwice,
}

//! Keys that callers hold: found by their digest, compared in constant time.

mod made;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_config::values::Time;
use postern_config::{Carried, Provider, ProviderKind, SenderConstraint};
use serde_json::{Map, Value};

use super::binding::Binding;
use super::delegation::Chain;
use super::verified::Window;
pub use made::{MadeKey, MadeKeyError};

use super::{TokenError, VerifiedToken, claims, sha256, strict, subject};
use crate::{Assurance, Principal};

/// Characters behind the prefix: 22 of 64 kinds hold 128 bits.
const MIN_RANDOM: usize = 22;

/// Longest key, prefix included.
const MAX_KEY: usize = 256;

/// The keys of one provider. The keys themselves are not in it: what is known of one is found by its SHA-256, at a cost
/// that does not grow with their number.
pub struct ApiKeys {
    provider: String,
    prefix: String,
    /// By the first eight bytes of the digest.
    entries: HashMap<u64, Entry>,
}

struct Entry {
    digest: [u8; 32],
    /// What the key stands for, as a token would.
    verified: Arc<VerifiedToken>,
}

impl ApiKeys {
    /// Most keys of one file.
    pub const MAX_KEYS: usize = 10_000;

    /// Reads what is known of the keys of `provider`: one JSON object a line, empty lines aside.
    ///
    /// # Errors
    /// [`ApiKeysError`] for a file without a key, and for the first line that is not an entry, names a tenant that the
    /// provider may not assert, or repeats the `id` or `sha256` of another.
    pub fn parse(provider: &Provider, text: &[u8]) -> Result<Self, ApiKeysError> {
        let ProviderKind::ApiKey(settings) = &provider.kind else { return Err(ApiKeysError::Provider) };
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut digests: HashMap<u64, usize> = HashMap::new();
        let mut entries = HashMap::new();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let number = index + 1;
            let refuse = |problem| ApiKeysError::Line { line: number, problem };
            if entries.len() >= Self::MAX_KEYS {
                return Err(refuse(EntryProblem::TooMany));
            }
            let entry = entry(provider, &settings.issuer, line).map_err(refuse)?;
            if let Some(first) = lines.insert(entry.verified.principal.subject.clone(), number) {
                return Err(refuse(EntryProblem::SameId(first)));
            }
            // Two keys whose digests merely begin alike do not happen; that one is there twice does.
            if let Some(first) = digests.insert(slot(&entry.digest), number) {
                return Err(refuse(EntryProblem::SameDigest(first)));
            }
            entries.insert(slot(&entry.digest), entry);
        }
        if entries.is_empty() {
            return Err(ApiKeysError::Empty);
        }
        Ok(Self { provider: provider.name.clone(), prefix: settings.prefix.clone(), entries })
    }

    /// Whether `text` is meant as one of these keys: it begins as they do.
    #[must_use]
    pub fn are_meant_by(&self, text: &str) -> bool {
        text.starts_with(&self.prefix)
    }

    /// What `key` stands for at `now` (Unix seconds).
    ///
    /// # Errors
    /// [`TokenError::KeyShape`] for what none of the keys can be, [`TokenError::NotAKey`] for what none is, and
    /// [`TokenError::Expired`] from `notAfter` on.
    pub fn authenticate(&self, key: &str, now: i64) -> Result<Arc<VerifiedToken>, TokenError> {
        let random = key.strip_prefix(&self.prefix).filter(|_| key.len() <= MAX_KEY).ok_or(TokenError::KeyShape)?;
        let of_a_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if random.len() < MIN_RANDOM || !random.bytes().all(of_a_key) {
            return Err(TokenError::KeyShape);
        }
        let digest = sha256(key.as_bytes());
        let unknown = || TokenError::NotAKey(self.provider.clone());
        let entry = self.entries.get(&slot(&digest)).ok_or_else(unknown)?;
        verify_slices_are_equal(&entry.digest, &digest).map_err(|_differ| unknown())?;
        entry.verified.window.check(now)?;
        Ok(Arc::clone(&entry.verified))
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("provider", &self.provider).field("keys", &self.entries.len()).finish()
    }
}

/// Where a digest is looked for. A caller cannot choose it: that would take a preimage.
fn slot(digest: &[u8; 32]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn entry(provider: &Provider, issuer: &str, line: &[u8]) -> Result<Entry, EntryProblem> {
    let members = strict::object(line).map_err(|_source| EntryProblem::Json)?;
    if let Some(other) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(EntryProblem::Unknown(super::Excerpt::of(other)));
    }
    let id = subject::not_spiffe("id", text(&members, "id")?).map_err(|_refused| EntryProblem::Member("id"))?;
    let tenant = text(&members, "tenant")?;
    let until = Time::parse(text(&members, "notAfter")?).ok_or(EntryProblem::Member("notAfter"))?.0;
    let principal = Principal {
        kind: provider.principal,
        issuer: issuer.to_owned(),
        subject: id.to_owned(),
        tenant: subject::may_assert(provider, tenant).map_err(|_refused| EntryProblem::Tenant)?,
        groups: groups(&members)?,
        scopes: Vec::new(),
        tags: Vec::new(),
        authn: Assurance {
            provider: provider.name.clone(),
            method: Principal::BY_KEY.to_owned(),
            // Nobody says when somebody last was there to use it: as long ago as can be.
            authenticated_at: 0,
            expires_at: until,
            ..Assurance::default()
        },
        on_behalf_of: None,
    };
    let window = Window { exp: until, not_before: 0, issued_at: 0, max_age: i64::MAX, skew: 0 };
    let digest = digest(text(&members, "sha256")?).ok_or(EntryProblem::Member("sha256"))?;
    Ok(Entry { digest, verified: Arc::new(of_key(principal, window)) })
}

fn of_key(principal: Principal, window: Window) -> VerifiedToken {
    VerifiedToken {
        principal: Arc::new(principal),
        delegate: None,
        actor: None,
        chain: Chain::default(),
        binding: Binding::default(),
        exp: window.exp,
        key_id: None,
        prepared: OnceLock::new(),
        audiences: Vec::new(),
        generation: 0,
        window,
        constraint: SenderConstraint::None,
        carried: Carried::Authorization,
    }
}

const MEMBERS: [&str; 5] = ["id", "sha256", "tenant", "groups", "notAfter"];

fn text<'m>(members: &'m Map<String, Value>, name: &'static str) -> Result<&'m str, EntryProblem> {
    let value = members.get(name).ok_or(EntryProblem::Member(name))?;
    claims::text(name, value).map_err(|_refused| EntryProblem::Member(name))
}

fn groups(members: &Map<String, Value>) -> Result<Vec<String>, EntryProblem> {
    let wrong = || EntryProblem::Member("groups");
    match members.get("groups") {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            let text = |item| claims::text("groups", item).map(str::to_owned).map_err(|_refused| wrong());
            items.iter().map(text).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// 64 lower-case hex digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 64 || !text.bytes().all(lower) {
        return None;
    }
    let mut out = [0; 32];
    for (to, at) in out.iter_mut().zip((0..64).step_by(2)) {
        *to = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(out)
}

/// Why a list of keys was refused as a whole. Repeats nothing of a line but a member's name: the line may hold the key itself.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeysError {
    #[error("the provider is not of type ApiKey")]
    Provider,
    #[error("no key is in it")]
    Empty,
    #[error("line {line} {problem}")]
    Line { line: usize, problem: EntryProblem },
}

/// What is wrong with a line. Reads on after "line 3".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    #[error("is not a JSON object with unique names")]
    Json,
    #[error("has the member `{0}`, which is none of `id`, `sha256`, `tenant`, `groups`, `notAfter`")]
    Unknown(super::Excerpt),
    #[error("has a missing or malformed `{0}`")]
    Member(&'static str),
    #[error("names a tenant that the provider may not assert")]
    Tenant,
    #[error("has the `id` of line {0}")]
    SameId(usize),
    #[error("has the `sha256` of line {0}")]
    SameDigest(usize),
    #[error("is one too many: a file holds at most 10000 keys")]
    TooMany,
}

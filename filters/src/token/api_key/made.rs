//! Makes a key, and the line that tells a proxy of it.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_config::values::{Time, key_prefix_is_sound};
use postern_config::{ApiKeyProvider, Material, PrincipalType, Provider, ProviderKind, Redacted, TenantSource};
use serde_json::json;

use super::{EntryProblem, entry, sha256};

/// Random bytes of a key: twice what is asked for.
const RANDOM: usize = 32;

/// A key that did not exist before. Whoever gets [`MadeKey::key`] is the only one to have it.
#[derive(Debug)]
pub struct MadeKey {
    pub key: Redacted<Vec<u8>>,
    /// The line of `keysFrom`.
    pub line: String,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum MadeKeyError {
    #[error("`{0}` cannot be a prefix of keys: 3 to 32 letters, digits, `_` and `-`, the last of them `_` or `-`")]
    Prefix(String),
    #[error("the line {0}")]
    Line(#[from] EntryProblem),
    #[error("no random numbers could be had")]
    Random(#[source] aws_lc_rs::error::Unspecified),
}

impl MadeKey {
    /// A key of 256 random bits that begins with `prefix`, for `id` of `tenant`, good until `until` (Unix seconds).
    ///
    /// # Errors
    /// [`MadeKeyError`] for what could not stand in a list of keys.
    pub fn new(prefix: &str, id: &str, tenant: &str, groups: &[String], until: i64) -> Result<Self, MadeKeyError> {
        if !key_prefix_is_sound(prefix) {
            return Err(MadeKeyError::Prefix(prefix.to_owned()));
        }
        let mut random = Redacted::new(vec![0; RANDOM]);
        rand::fill(random.expose_mut()).map_err(MadeKeyError::Random)?;
        // Encoded into the one buffer that is wiped: no other copy of the key is left in memory.
        let mut key = Vec::with_capacity(prefix.len() + 2 * RANDOM);
        key.extend_from_slice(prefix.as_bytes());
        key.resize(prefix.len() + 2 * RANDOM, 0);
        let written = key
            .get_mut(prefix.len()..)
            .and_then(|room| URL_SAFE_NO_PAD.encode_slice(random.expose(), room).ok())
            .unwrap_or_default();
        key.truncate(prefix.len() + written);
        let key = Redacted::new(key);
        let digest: String = sha256(key.expose()).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut line = json!({"id": id, "sha256": digest, "tenant": tenant, "notAfter": Time(until).to_string()});
        if let Some(members) = line.as_object_mut().filter(|_| !groups.is_empty()) {
            members.insert("groups".to_owned(), json!(groups));
        }
        let line = line.to_string();
        entry(&provider(prefix, tenant), "https://keys.example", line.as_bytes())?;
        Ok(Self { key, line })
    }
}

/// One that any sound line is right for.
fn provider(prefix: &str, tenant: &str) -> Provider {
    Provider {
        name: String::new(),
        kind: ProviderKind::ApiKey(Box::new(ApiKeyProvider {
            issuer: String::new(),
            prefix: prefix.to_owned(),
            keys: Material::Env(String::new()),
        })),
        principal: PrincipalType::ServiceAccount,
        tenant: TenantSource::Key,
        tenants: vec![tenant.to_owned()],
    }
}

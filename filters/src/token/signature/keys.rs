//! The keys of senders, and who holds them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use postern_config::{Carried, HttpSignatureProvider, Provider, ProviderKind, SenderConstraint};
use serde_json::{Map, Value};

use crate::token::binding::Binding;
use crate::token::claims::Claims;
use crate::token::delegation::Chain;
use crate::token::verified::Window;
use crate::token::{Excerpt, KeySet, KeySetError, TokenError, VerifiedToken, strict, subject};
use crate::{Assurance, Principal};

/// The keys of one provider.
pub struct SignatureKeys {
    pub(super) provider: String,
    pub(super) settings: HttpSignatureProvider,
    pub(super) keys: KeySet,
    /// By the `kid` of their key.
    pub(super) holders: HashMap<String, Arc<VerifiedToken>>,
}

/// Why a key set was refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum SignatureKeysError {
    #[error("the provider is not of type HttpSignature")]
    Provider,
    #[error(transparent)]
    Keys(#[from] KeySetError),
    #[error("key number {0} has no `kid`, which signatures name as `keyid`")]
    NoId(usize),
    #[error("key `{0}` is of no algorithm that the provider accepts")]
    Algorithm(Excerpt),
    #[error("key `{id}` says something of its holder that cannot be believed")]
    Holder {
        id: Excerpt,
        #[source]
        source: Box<TokenError>,
    },
}

impl SignatureKeys {
    /// Reads the keys of `provider`: a JWK set whose members say who holds each key.
    ///
    /// # Errors
    /// [`SignatureKeysError`] for a set that cannot be used as a whole: a key that no signature could be checked with, or of a
    /// holder whom the provider may not assert.
    pub fn parse(provider: &Provider, text: &[u8]) -> Result<Self, SignatureKeysError> {
        let ProviderKind::HttpSignature(settings) = &provider.kind else { return Err(SignatureKeysError::Provider) };
        let keys = KeySet::parse(text)?;
        // It was read once, so it is an object with a list of objects.
        let whole = strict::object(text).map_err(KeySetError::Json)?;
        let jwks = whole.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut holders = HashMap::with_capacity(jwks.len());
        for (key, (index, jwk)) in keys.keys().iter().zip(jwks.iter().enumerate()) {
            let id = key.id.as_deref().ok_or(SignatureKeysError::NoId(index + 1))?;
            if !settings.algorithms.iter().any(|algorithm| key.allows(algorithm.of_keys())) {
                return Err(SignatureKeysError::Algorithm(Excerpt::of(id)));
            }
            let says = jwk.as_object().cloned().unwrap_or_default();
            let holder = holder(provider, settings, id, says)
                .map_err(|source| SignatureKeysError::Holder { id: Excerpt::of(id), source: Box::new(source) })?;
            holders.insert(id.to_owned(), Arc::new(holder));
        }
        Ok(Self { provider: provider.name.clone(), settings: settings.as_ref().clone(), keys, holders })
    }
}

impl fmt::Debug for SignatureKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureKeys").field("provider", &self.provider).field("keys", &self.keys.len()).finish()
    }
}

/// What a key stands for, as a token would.
fn holder(
    provider: &Provider,
    settings: &HttpSignatureProvider,
    id: &str,
    says: Map<String, Value>,
) -> Result<VerifiedToken, TokenError> {
    let says = Claims::new(says);
    let subject = subject::not_spiffe(&settings.id_claim, says.required_text(&settings.id_claim)?)?;
    let until = says.time("exp")?.unwrap_or(i64::MAX);
    let groups = settings.groups_claim.as_deref().map(|name| says.texts(name)).transpose()?.unwrap_or_default();
    let principal = Principal {
        kind: provider.principal,
        issuer: settings.issuer.clone(),
        subject: subject.to_owned(),
        tenant: subject::tenant(provider, &says)?,
        groups,
        scopes: Vec::new(),
        tags: subject::tags(&settings.tags, &says)?,
        authn: Assurance {
            provider: provider.name.clone(),
            method: Principal::BY_SIGNATURE.to_owned(),
            // A machine signs; nobody says when a person last was there.
            authenticated_at: 0,
            // Whoever sees a signature cannot make another one.
            sender_bound: true,
            expires_at: until,
            ..Assurance::default()
        },
        on_behalf_of: None,
    };
    Ok(VerifiedToken {
        carried: Carried::Authorization,
        principal: Arc::new(principal),
        delegate: None,
        actor: None,
        chain: Chain::default(),
        binding: Binding::default(),
        exp: until,
        key_id: Some(id.to_owned()),
        prepared: OnceLock::new(),
        audiences: Vec::new(),
        generation: 0,
        window: Window { exp: until, not_before: 0, issued_at: 0, max_age: i64::MAX, skew: 0 },
        constraint: SenderConstraint::None,
    })
}

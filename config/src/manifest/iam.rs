//! IAMPolicy: who can be recognised at all, and what is known about them.

mod api_key;
mod assurance;
mod browser;
mod forwarding;
mod http_signature;
mod introspection;
mod jwt;
mod key_place;
mod mapping;
mod mtls;
mod resource;
mod spiffe;
mod tenancy;
mod txn_token;

use std::time::Duration;

pub use api_key::*;
pub use assurance::*;
pub use browser::*;
pub use http_signature::*;
pub use introspection::*;
pub use jwt::*;
pub use mapping::*;
pub use mtls::*;
pub use resource::*;
pub use spiffe::*;
pub use tenancy::*;
pub use txn_token::*;

use crate::TokenForwarding;
use crate::decode::{At, Setting, spec, tagged};
use crate::values::Name;

spec! {
    /// Who can be recognised at all, and what is known about them. A provider is *recognised* where an IAMPolicy attaches it,
    /// and *accepted* only where an APIAccessPolicy names it.
    pub struct IamPolicy {
        /// The ways to be recognised.
        [E] providers: At<Vec<At<Provider>>>,
        /// How strongly whoever asks must have proven who they are. Demands of several manifests all hold.
        [E] assurance: Option<At<AssuranceDemand>>,
        /// Whose the resources are.
        [E] tenancy: Option<At<Tenancy>>,
        /// Where clients get their tokens. That of a route replaces that of the gateway.
        [E] protected_resource: Option<At<ProtectedResource>>,
        /// What becomes of the caller's token. It never reaches an upstream: the MCP specification forbids it, and PV-014 has
        /// no waiver.
        [E] token_forwarding: Setting<TokenForwarding> = "Strip",
        /// How transaction tokens are made, where `tokenForwarding: TxnToken` asks for them. Those of a route replace those of the gateway.
        [E] txn_tokens: Option<At<TxnTokens>>,
        /// How accounts come and go.
        [D] lifecycle: Option<At<Lifecycle>>,
    }
    later {
        /// Streams of revocation events (CAEP, RISC).
        [E] "revocation",
    }
}

tagged! {
    /// One way to be recognised.
    pub enum Provider {
        /// Signed tokens of one issuer (RFC 7519, RFC 8725, RFC 9068).
        Jwt(Box<JwtProvider>),
        /// Tokens that their issuer is asked about (RFC 7662).
        Introspection(Box<IntrospectionProvider>),
        /// X.509-SVIDs presented over mTLS.
        Spiffe(Box<SpiffeProvider>),
        /// Keys that callers hold.
        ApiKey(Box<ApiKeyProvider>),
        /// Client certificates that are not SVIDs.
        Mtls(Box<MtlsProvider>),
        /// Transaction tokens, beside the certificate of the workload that brings one.
        TxnToken(Box<TxnTokenProvider>),
        /// Requests that their sender signed (RFC 9421).
        HttpSignature(Box<HttpSignatureProvider>),
    }
}

impl Provider {
    #[must_use]
    pub fn name(&self) -> &At<Name> {
        match self {
            Self::Jwt(jwt) => &jwt.name,
            Self::Introspection(introspection) => &introspection.name,
            Self::Spiffe(spiffe) => &spiffe.name,
            Self::ApiKey(keys) => &keys.name,
            Self::Mtls(mtls) => &mtls.name,
            Self::TxnToken(txn) => &txn.name,
            Self::HttpSignature(signed) => &signed.name,
        }
    }

    /// Where the tenant of its principals comes from; `None` where each key names its own.
    #[must_use]
    pub fn tenant(&self) -> Option<&At<TenantFrom>> {
        match self {
            Self::Jwt(jwt) => Some(&jwt.tenant),
            Self::Introspection(introspection) => Some(&introspection.tenant),
            Self::Spiffe(spiffe) => Some(&spiffe.tenant),
            Self::Mtls(mtls) => Some(&mtls.tenant),
            Self::TxnToken(txn) => Some(&txn.tenant),
            Self::HttpSignature(signed) => Some(&signed.tenant),
            Self::ApiKey(_) => None,
        }
    }

    /// The tenants it may assert.
    #[must_use]
    pub fn tenants(&self) -> &[At<String>] {
        match self {
            Self::Jwt(jwt) => &jwt.tenants,
            Self::Introspection(introspection) => &introspection.tenants,
            Self::Spiffe(spiffe) => &spiffe.tenants,
            Self::ApiKey(keys) => &keys.tenants,
            Self::Mtls(mtls) => &mtls.tenants,
            Self::TxnToken(txn) => &txn.tenants,
            Self::HttpSignature(signed) => &signed.tenants,
        }
    }
}

spec! {
    /// How accounts come and go.
    pub struct Lifecycle {
        /// What happens when somebody joins.
        [D] joiner: Option<At<String>>,
        /// What happens when somebody changes places.
        [D] mover: Option<At<String>>,
        /// What happens when somebody leaves.
        [D] leaver: Option<At<String>>,
        /// How often accounts are reviewed.
        [D] review_every: Option<At<Duration>>,
    }
}

//! Who is recognised.

use std::time::Duration;

use super::{HttpSignatureProvider, JwtSvids, OwnKey, SpiffeProvider, Waived};
use crate::Material;

/// IAMPolicy and `APIAccessPolicy.authentication`, merged.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Providers recognised on the route.
    pub providers: Vec<Provider>,
    /// One per APIAccessPolicy that demands authentication; each must hold. Empty exactly where the route is open.
    pub demands: Vec<Demand>,
    /// Who brings no credential is let in as nobody in particular. Only ever by an exception.
    pub is_open: bool,
}

impl Identity {
    /// The providers that browsers can log in with, with how. At most one in a set that loads.
    pub fn browsers(&self) -> impl Iterator<Item = (&str, &BrowserLogin)> {
        self.providers.iter().filter_map(|provider| match &provider.kind {
            ProviderKind::Jwt(jwt) => Some((provider.name.as_str(), jwt.browser.as_ref()?)),
            _ => None,
        })
    }
}

#[derive(Debug, Clone)]
pub struct Demand {
    /// Indices into [`Identity::providers`], not empty.
    pub providers: Vec<usize>,
    pub require: Require,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Require {
    AnyOf,
    AllOf,
}

#[derive(Debug, Clone)]
pub struct Provider {
    pub name: String,
    pub kind: ProviderKind,
    pub principal: PrincipalType,
    /// Where the tenant of a principal comes from.
    pub tenant: TenantSource,
    /// The tenants this provider may assert; a principal of any other is refused.
    pub tenants: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum ProviderKind {
    Jwt(Box<JwtProvider>),
    Introspection(Box<IntrospectionProvider>),
    /// X.509-SVIDs presented over mTLS, and JWT-SVIDs.
    Spiffe(Box<SpiffeProvider>),
    ApiKey(Box<ApiKeyProvider>),
    /// Client certificates that are not SVIDs.
    Mtls(Box<MtlsProvider>),
    HttpSignature(Box<HttpSignatureProvider>),
}

impl ProviderKind {
    /// The issuer that its principals are of; `None` for workloads, whose trust domain is in their names.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::Jwt(jwt) => Some(&jwt.issuer),
            Self::Introspection(asked) => Some(&asked.issuer),
            Self::Spiffe(_) => None,
            Self::ApiKey(keys) => Some(&keys.issuer),
            Self::Mtls(mtls) => Some(&mtls.issuer),
            Self::HttpSignature(signed) => Some(&signed.issuer),
        }
    }

    /// The exception by which its credentials need not be bound to their sender.
    #[must_use]
    pub fn unbound(&self) -> Option<&Waived> {
        match self {
            Self::Jwt(jwt) => jwt.unbound.as_ref(),
            Self::Introspection(asked) => asked.unbound.as_ref(),
            Self::Spiffe(spiffe) => spiffe.tokens.as_ref()?.unbound.as_ref(),
            Self::ApiKey(_) | Self::Mtls(_) | Self::HttpSignature(_) => None,
        }
    }

    /// Whether its credential is a certificate, which a connection has beside what a request presents.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        matches!(self, Self::Spiffe(_) | Self::Mtls(_))
    }

    /// The JWT-SVIDs that it takes.
    #[must_use]
    pub fn jwt_svids(&self) -> Option<&JwtSvids> {
        match self {
            Self::Spiffe(spiffe) => spiffe.tokens.as_ref(),
            _ => None,
        }
    }

    /// Whether it takes a credential that a request presents, beside what its connection has.
    #[must_use]
    pub fn is_presented(&self) -> bool {
        !self.is_certificate() || self.jwt_svids().is_some()
    }

    /// Whether its credential is a signature over the request.
    #[must_use]
    pub fn signs_requests(&self) -> bool {
        matches!(self, Self::HttpSignature(_))
    }

    /// Files and variables that it reads.
    pub fn material(&self) -> impl Iterator<Item = &Material> {
        let login = match self {
            Self::Jwt(jwt) => jwt.browser.as_ref(),
            _ => None,
        };
        let (first, second) = match self {
            Self::Jwt(jwt) => match &jwt.keys {
                JwtKeys::Material(from) => (Some(from), None),
                JwtKeys::Fetched { source, .. } => (source.ca.as_ref(), None),
            },
            Self::Introspection(asked) => (Some(&asked.at.client_auth), asked.at.ca.as_ref()),
            Self::Spiffe(_) | Self::Mtls(_) => (None, None),
            Self::ApiKey(keys) => (Some(&keys.keys), None),
            Self::HttpSignature(signed) => (Some(&signed.keys), None),
        };
        let bundles = self.jwt_svids().into_iter().flat_map(|svids| svids.bundles.iter().map(|(_, from)| from));
        first.into_iter().chain(second).chain(bundles).chain(login.into_iter().flat_map(BrowserLogin::material))
    }
}

/// Client certificates that are not SVIDs.
#[derive(Debug, Clone)]
pub struct MtlsProvider {
    pub issuer: String,
}

/// Keys that callers hold.
#[derive(Debug, Clone)]
pub struct ApiKeyProvider {
    pub issuer: String,
    /// How every key begins.
    pub prefix: String,
    /// JSON lines: what is known of each key.
    pub keys: Material,
}

#[derive(Debug, Clone)]
pub struct JwtProvider {
    pub issuer: String,
    /// Not empty; a token must carry one of them.
    pub audiences: Vec<String>,
    /// Not empty; all asymmetric.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Accepted `typ` values, compared without case and without an `application/` prefix.
    pub token_types: Vec<String>,
    pub keys: JwtKeys,
    pub max_token_age: Duration,
    pub clock_skew: Duration,
    pub sender_constraint: SenderConstraint,
    /// Why tokens may be unbound on a route that executes. Once it has ended, they may not.
    pub unbound: Option<Waived>,
    pub id_claim: String,
    pub actor_claim: String,
    pub groups_claim: Option<String>,
    pub scopes_claim: String,
    /// Tag name and RFC 6901 pointer into the claims.
    pub tags: Vec<(String, String)>,
    /// Where the route lets browsers log in.
    pub browser: Option<BrowserLogin>,
    pub carried: Carried,
}

/// How tokens of a provider come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// In `Authorization`: they say who asks.
    Authorization,
    /// In `Txn-Token`: they say for whom a workload asks, which a certificate has to prove.
    TxnToken,
}

/// How browsers log in, and how long that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserLogin {
    pub client_id: String,
    pub client_secret: Option<Material>,
    /// Authorities that are believed of the issuer; those of the machine where none are named.
    pub ca: Option<Material>,
    /// `openid` is the first.
    pub scopes: Vec<String>,
    /// Three paths, each of them another.
    pub callback: String,
    pub logout: String,
    pub back_channel: String,
    pub session_age: Duration,
    pub idle_timeout: Duration,
    pub key: OwnKey,
}

impl BrowserLogin {
    /// Its places on every host of the route.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        [&self.callback, &self.logout, &self.back_channel].into_iter().map(String::as_str)
    }

    fn material(&self) -> impl Iterator<Item = &Material> {
        let key = match &self.key {
            OwnKey::Material { from, .. } => Some(from),
            OwnKey::Generate { .. } => None,
        };
        self.client_secret.as_ref().into_iter().chain(&self.ca).chain(key)
    }
}

/// Where the keys of a provider come from.
#[derive(Debug, Clone)]
pub enum JwtKeys {
    /// A JWK set on disk.
    Material(Material),
    /// Fetched over the network. They are good for `max_age` after the issuer was last heard.
    Fetched { source: KeySource, max_age: Duration },
}

/// Tokens that their issuer is asked about.
#[derive(Debug, Clone)]
pub struct IntrospectionProvider {
    pub issuer: String,
    /// Not empty; an answer must carry one of them.
    pub audiences: Vec<String>,
    pub at: IntrospectionSource,
    pub cache_for: Duration,
    pub max_token_age: Duration,
    pub clock_skew: Duration,
    pub sender_constraint: SenderConstraint,
    /// Why tokens may be unbound on a route that executes. Once it has ended, they may not.
    pub unbound: Option<Waived>,
    pub id_claim: String,
    pub actor_claim: String,
    pub groups_claim: Option<String>,
    pub scopes_claim: String,
    /// Tag name and RFC 6901 pointer into the answer.
    pub tags: Vec<(String, String)>,
}

/// Where an issuer is asked about tokens, and how we prove there who we are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntrospectionSource {
    pub url: String,
    /// `id:secret`.
    pub client_auth: Material,
    /// Authorities that are believed there, and no others; PEM. Without them, those of the machine.
    pub ca: Option<Material>,
}

/// Where an issuer publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeySource {
    pub at: KeysAt,
    /// Authorities that are believed there, and no others; PEM. Without them, those of the machine.
    pub ca: Option<Material>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeysAt {
    /// A JWK set at this URL.
    Url(String),
    /// A JWK set that the metadata of this issuer names.
    Issuer(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JwtAlgorithm {
    ES256,
    ES384,
    EdDSA,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SenderConstraint {
    /// A bearer token is enough.
    None,
    /// The token must be bound to its sender, by `Mtls` or `Dpop`.
    Any,
    /// RFC 9449: `cnf.jkt` is the thumbprint of the key that signs each request's proof.
    Dpop,
    /// The same, and each proof has a nonce of ours.
    DpopNonce,
    /// RFC 8705: `cnf.x5t#S256` is the digest of the client certificate.
    Mtls,
}

impl SenderConstraint {
    /// Whether each request has to prove a key.
    #[must_use]
    pub fn is_of_proofs(self) -> bool {
        matches!(self, Self::Dpop | Self::DpopNonce)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalType {
    User,
    ServiceAccount,
    Agent,
    Component,
    /// Nobody in particular: who came without a credential to a route that is open by an exception.
    Anonymous,
}

impl PrincipalType {
    pub const ALL: [Self; 5] = [Self::User, Self::ServiceAccount, Self::Agent, Self::Component, Self::Anonymous];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ServiceAccount => "ServiceAccount",
            Self::Agent => "Agent",
            Self::Component => "Component",
            Self::Anonymous => "Anonymous",
        }
    }
}

#[derive(Debug, Clone)]
pub enum TenantSource {
    /// RFC 6901 pointer into the claims.
    Claim(String),
    /// Index of a path segment of the SPIFFE ID, from 0: in `spiffe://td/ns/acme/sa/x` segment 1 is `acme`.
    SpiffeSegment(usize),
    Value(String),
    /// Every key names its own.
    Key,
}

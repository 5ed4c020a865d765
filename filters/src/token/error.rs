//! Why a credential was refused.

use std::fmt;

use super::SignatureProblem;
use super::session::{CookieError, SessionError};
use crate::{Given, IntrospectionWanted, KeysGiven, KeysWanted, Need, Reason};

/// Why a presented credential was refused, or that none was. Never contains a token or a signature; names that a caller
/// chose (`kid`, `iss`, …) are cut and escaped by [`Excerpt`].
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("no credential was presented")]
    Missing,
    #[error("{0} `authorization` headers, where one is allowed")]
    Repeated(usize),
    #[error("the `authorization` header is not `Bearer` or `DPoP` and one token")]
    NotBearer,
    #[error("more than one credential was presented, so it does not say who asks")]
    SeveralCredentials,
    #[error("what was presented as an API key is not of the form of one")]
    KeyShape,
    #[error("what was presented is none of the keys of provider `{0}`")]
    NotAKey(String),
    #[error("the token has {bytes} bytes, more than the allowed {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("the token does not have exactly three parts")]
    Parts,
    #[error("the {part} of the token is not canonical base64url without padding")]
    Encoding {
        part: TokenPart,
        #[source]
        source: base64::DecodeError,
    },
    #[error("the {part} of the token is not a JSON object with unique names")]
    Json {
        part: TokenPart,
        #[source]
        source: serde_json::Error,
    },
    #[error("the header has `{0}`, which is refused")]
    HeaderMember(&'static str),
    #[error("`{0}` in the header is missing or not a string of at most 256 bytes")]
    HeaderText(&'static str),
    #[error("algorithm `{0}` is not one of the provider's")]
    Algorithm(Excerpt),
    #[error("token type `{0}` is not one of the provider's")]
    TokenType(Excerpt),
    #[error("the token names no key, and there is more than one")]
    KeyIdMissing,
    #[error("no key has the id `{0}`")]
    UnknownKey(Excerpt),
    #[error("the issuer publishes no key with the id `{key}`")]
    UnpublishedKey { key: Excerpt, wants: KeysWanted },
    #[error("the keys of provider `{provider}` are not known")]
    NoKeys { provider: String, wants: KeysWanted },
    #[error("the keys of provider `{provider}` were last confirmed {age} s ago, more than the allowed {max} s")]
    StaleKeys { provider: String, age: i64, max: i64, wants: KeysWanted },
    #[error("the issuer of provider `{provider}` has to be asked about the token")]
    Unasked { provider: String, wants: IntrospectionWanted },
    #[error("provider `{provider}` cannot tell who asks: {why}")]
    Away { provider: String, why: String },
    #[error("the issuer says that the token is not active")]
    Inactive,
    #[error("algorithm `{0}` does not belong to the key the token names")]
    KeyAlgorithm(&'static str),
    #[error("the signature has {bytes} bytes instead of {want}")]
    SignatureLength { bytes: usize, want: usize },
    #[error("the signature does not match")]
    Signature,
    #[error("claim `{claim}` {problem}")]
    Claim { claim: String, problem: &'static str },
    #[error("no provider of the route has issuer `{0}`")]
    UnknownIssuer(Excerpt),
    #[error("the issuer is not `{0}`")]
    Issuer(String),
    #[error("providers `{0}` and `{1}` both accept the token, so it does not say who asks")]
    SeveralProviders(String, String),
    #[error("the token is for another audience")]
    Audience,
    #[error("the token expired at {0}")]
    Expired(i64),
    #[error("the token is not valid before {0}")]
    NotYetValid(i64),
    #[error("the token was issued at {0}, which is in the future")]
    IssuedInFuture(i64),
    #[error("the token was issued at {issued_at}, more than {max_seconds} s ago")]
    TooOld { issued_at: i64, max_seconds: i64 },
    #[error("provider `{provider}` may not assert tenant `{tenant}`")]
    Tenant { provider: String, tenant: Excerpt },
    #[error("the token is not bound to its sender, which provider `{0}` demands")]
    NotBound(String),
    #[error("the token is not bound to its sender, and {0}")]
    NoLongerUnbound(String),
    #[error("the token is bound to another client certificate")]
    OtherSender,
    #[error("the signature of the request {0}")]
    Signed(#[from] SignatureProblem),
    #[error("the proof {0}")]
    Proof(#[from] ProofProblem),
    #[error("the token is bound to a key, and no proof of that key came with it")]
    ProofMissing,
    #[error("the token is bound to another key than the one that proves the request")]
    OtherKey,
    #[error("a proof came with what is bound to no key")]
    ProofForNothing,
    #[error("the token is bound by `{0}`, which cannot be checked")]
    UnknownBinding(Excerpt),
    #[error("{0}")]
    Cookie(#[source] CookieError),
    #[error("a session came without TLS")]
    PlainSession,
    #[error(transparent)]
    Session(Box<SessionError>),
    #[error("a session and a token are two answers to who asks")]
    SessionAndToken,
    #[error("the client certificate does not have one DNS name and no other, which provider `{0}` takes")]
    CertificateName(String),
    #[error("the SPIFFE ID is malformed")]
    SpiffeId,
    #[error("provider `{0}` cannot make a principal of an SVID")]
    NotSpiffe(String),
    #[error("the header of a JWT-SVID names a key, an algorithm and a type, and nothing else")]
    SvidHeader,
    #[error("no provider of the route recognises the SVID `{0}`")]
    UnknownSvid(Excerpt),
    #[error("providers `{0}` and `{1}` both recognise the SVID, so it does not say who asks")]
    SeveralSvidProviders(String, String),
    #[error("the token does not let `{actor}` act for its subject (`may_act`)")]
    MayNotAct { actor: Excerpt },
    #[error("the token names actor `{actor}`, which did not authenticate")]
    Actor { actor: Excerpt },
    #[error("a certificate of type {svid} and a token of type {token} are two answers to who asks")]
    Combination { svid: &'static str, token: &'static str },
    #[error("the agent is of tenant `{agent}`, the user of tenant `{user}`")]
    TenantsDiffer { agent: String, user: String },
    #[error("none of the presented credentials is accepted here; one of {0} is")]
    NotAccepted(String),
    #[error("principals of type {0} do not exist here")]
    IdentityType(&'static str),
    #[error(
        "a transaction token says for whom somebody asks and not who does: no certificate of a workload is recognised beside it"
    )]
    TxnAlone,
    #[error("the credentials are incomplete; {0} are demanded")]
    Incomplete(String),
}

impl TokenError {
    /// The public reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Proof(ProofProblem::Undecided) | Self::Signed(SignatureProblem::Undecided) => Reason::Undecided,
            Self::Missing | Self::Incomplete(_) | Self::TxnAlone => Reason::CredentialMissing,
            Self::TenantsDiffer { .. } => Reason::OtherTenant,
            Self::Session(error) => match **error {
                // What is sealed in it makes no principal by the policy of today: another login may.
                SessionError::Claims(_) => Reason::SessionEnded,
                _ => error.reason(),
            },
            // A good token would have been refused as well: its holder is not told to get another one.
            Self::NoKeys { .. } | Self::StaleKeys { .. } | Self::Unasked { .. } | Self::Away { .. } => {
                Reason::Undecided
            }
            // No other credential of the same caller would do.
            Self::IdentityType(_) => Reason::NotPermitted,
            _ => Reason::CredentialInvalid,
        }
    }

    /// What would have to be known to say more.
    #[must_use]
    pub fn need(&self) -> Option<Need> {
        match self {
            Self::NoKeys { wants, .. } | Self::StaleKeys { wants, .. } | Self::UnpublishedKey { wants, .. } => {
                Some(Need::Keys(wants.clone()))
            }
            Self::Unasked { wants, .. } => Some(Need::Introspection(wants.clone())),
            _ => None,
        }
    }

    /// Whether it says nothing about the token.
    pub(super) fn is_undecided(&self) -> bool {
        self.reason() == Reason::Undecided
    }

    /// The error that stands once nobody knows more: with why, where that is known.
    pub(super) fn after(self, given: Option<&Given>) -> Self {
        match (self, given) {
            (Self::NoKeys { provider, .. }, Some(Given::Keys(KeysGiven::Away(why)))) => {
                Self::Away { why: format!("its keys are not known: {why}"), provider }
            }
            (Self::StaleKeys { provider, age, max, .. }, Some(Given::Keys(KeysGiven::Away(why)))) => {
                let why = format!("its keys were last confirmed {age} s ago, more than the allowed {max} s: {why}");
                Self::Away { why, provider }
            }
            (error, _) => error,
        }
    }

    pub(super) fn claim(claim: &str, problem: &'static str) -> Self {
        Self::Claim { claim: claim.to_owned(), problem }
    }
}

impl From<SessionError> for TokenError {
    fn from(error: SessionError) -> Self {
        Self::Session(Box::new(error))
    }
}

/// What is wrong with the proof of a key. Reads on after "the proof".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofProblem {
    #[error("is missing, repeated or not visible ASCII")]
    Header,
    #[error("is not of type `dpop+jwt`")]
    Type,
    #[error("is of an algorithm that is not accepted")]
    Algorithm,
    #[error("has no usable public key in its `jwk`")]
    Key,
    #[error("is for another method")]
    Method,
    #[error("is for another URI")]
    Uri,
    #[error("is for another token")]
    Token,
    #[error("has no nonce of this process, or one that is too old")]
    Nonce,
    #[error("is too old, or of the future")]
    Age,
    #[error("was used before")]
    Replayed,
    #[error("cannot be told from those used before: the memory of them is full")]
    Undecided,
}

/// A part of a token, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPart {
    Header,
    Claims,
    Signature,
}

impl fmt::Display for TokenPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        })
    }
}

/// The first 64 characters of a name that a caller chose, escaped: it ends up in logs (attack 52).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    const CHARS: usize = 64;

    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut out: String = text.chars().take(Self::CHARS).flat_map(char::escape_debug).collect();
        if text.chars().nth(Self::CHARS).is_some() {
            out.push('…');
        }
        Self(out)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

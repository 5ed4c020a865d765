//! Who asks, once authenticated.

use std::fmt;
use std::sync::Arc;

use postern_config::PrincipalType;

/// An authenticated caller. Made by the identify stage only; never changed afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub kind: PrincipalType,
    /// Issuer of the credential: the `iss` of a token, or the trust domain of an SVID (`spiffe://example.org`).
    pub issuer: String,
    /// `sub` at the issuer, or the whole SPIFFE ID.
    pub subject: String,
    pub tenant: String,
    pub groups: Vec<String>,
    pub scopes: Vec<String>,
    /// Tag name and its values.
    pub tags: Vec<(String, Vec<String>)>,
    pub authn: Assurance,
    /// The User an Agent acts for. Only ever set on an Agent.
    pub on_behalf_of: Option<Arc<Principal>>,
}

/// How the caller proved who it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assurance {
    /// Name of the provider.
    pub provider: String,
    /// `jwt`, `txn-token`, `session` for a browser, `spiffe`, `jwt-svid`, `mtls`, `api-key`, `http-signature`, `socket` for the workload
    /// behind an outbound listener, or `none` for who is anonymous.
    pub method: String,
    pub acr: String,
    pub amr: Vec<String>,
    /// Unix seconds at which the user authenticated (`auth_time`, else `iat`; for an SVID its `notBefore`).
    pub authenticated_at: i64,
    /// `auth_time`, where the credential says it: the person was there then, whenever the credential was issued.
    pub auth_time: Option<i64>,
    /// Whether the credential is bound to the TLS connection.
    pub sender_bound: bool,
    /// Unix seconds at which the credential ends.
    pub expires_at: i64,
    /// Who acted for the User before, by the word of the token, the latest first. They are recorded and decide nothing.
    pub prior_actors: Vec<String>,
}

/// What an X.509-SVID says, as [`Principal`]s are made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeSubject {
    /// `spiffe://example.org/ns/acme/sa/bot`.
    pub id: String,
    pub not_before: i64,
    pub not_after: i64,
}

impl Principal {
    /// Who came without a credential. Everybody who does is the same one, of the tenant of what is asked.
    pub(crate) fn anonymous(tenant: &str) -> Self {
        Self {
            kind: PrincipalType::Anonymous,
            issuer: String::new(),
            subject: "anonymous".to_owned(),
            tenant: tenant.to_owned(),
            groups: Vec::new(),
            scopes: Vec::new(),
            tags: Vec::new(),
            // Nothing was proven, at no time; nothing ends.
            authn: Assurance { method: "none".to_owned(), expires_at: i64::MAX, ..Assurance::default() },
            on_behalf_of: None,
        }
    }

    /// Whether it stands for whoever came without a credential.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.kind == PrincipalType::Anonymous
    }

    /// [`Assurance::method`] of a workload that a listener names and the kernel vouches for.
    pub(crate) const BY_SOCKET: &'static str = "socket";

    /// [`Assurance::method`] of whoever holds an API key.
    pub(crate) const BY_KEY: &'static str = "api-key";

    /// [`Assurance::method`] of a workload that brings a token of its own.
    pub(crate) const BY_JWT_SVID: &'static str = "jwt-svid";

    /// [`Assurance::method`] of whoever signed the request.
    pub(crate) const BY_SIGNATURE: &'static str = "http-signature";

    /// [`Assurance::method`] of whoever holds a certificate that is no SVID.
    pub(crate) const BY_CERTIFICATE: &'static str = "mtls";

    /// For whom a workload asks, as a transaction token says.
    pub(crate) const BY_TXN: &'static str = "txn-token";

    /// Whether a transaction token says who this is.
    #[must_use]
    pub fn is_by_txn(&self) -> bool {
        self.authn.method == Self::BY_TXN
    }

    /// [`Assurance::method`] of a user who logged in with a browser.
    pub(crate) const BY_SESSION: &'static str = "session";

    /// Whether it is a user who logged in with a browser.
    #[must_use]
    pub fn is_by_session(&self) -> bool {
        self.authn.method == Self::BY_SESSION
    }

    /// Whether the subject is a SPIFFE ID: by the credential, not by the look of the subject, as an issuer may write what it
    /// likes into `sub`.
    pub(crate) fn is_workload(&self) -> bool {
        matches!(self.authn.method.as_str(), "spiffe" | Self::BY_SOCKET | Self::BY_JWT_SVID)
    }

    /// How many parties act for a user, one for the other: none where it asks for itself.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.on_behalf_of.as_ref().map_or(0, |_| self.authn.prior_actors.len().saturating_add(1))
    }

    /// Qualified id: `issuer|subject`, or the SPIFFE ID. Cedar entity id, limit key and name in records.
    #[must_use]
    pub fn id(&self) -> String {
        if self.is_workload() || self.is_anonymous() {
            self.subject.clone()
        } else {
            format!("{}|{}", self.issuer, self.subject)
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind.as_str(), self.id())?;
        if let Some(user) = &self.on_behalf_of {
            write!(f, " for {user}")?;
        }
        Ok(())
    }
}

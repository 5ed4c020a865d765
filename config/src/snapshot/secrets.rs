//! What the proxy proves itself with to an upstream, after resolution.

use std::time::Duration;

use super::{ContentAction, Part, Waived};
use crate::Material;

/// Something the proxy shows an upstream, so that nobody else has to hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// As records name it; unique for an upstream.
    pub name: String,
    pub inject: Inject,
    pub rotation: Option<Rotation>,
}

/// How secrets are replaced, and how old they may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Past this age it is told.
    pub max_age: Option<Duration>,
    /// How long after a replacement the old secret may still be shown.
    pub overlap: Duration,
    /// How long past `max_age` the secret is still shown; `None`: for ever.
    pub grace: Option<Duration>,
}

/// The secrets of an upstream are looked for in what its routes carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeakDetection {
    /// `SecretManagement/default/openai-key`.
    pub owner: String,
    /// Sorted.
    pub parts: Vec<Part>,
    pub action: ContentAction,
}

/// What becomes of the caller's token on its way to an upstream. It never goes there itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenForwarding {
    Strip,
    /// Its upstream has a credential that is made from it.
    Exchange,
    /// A transaction token takes its place.
    TxnToken,
}

/// How a credential comes into a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inject {
    Header {
        value: Material,
        /// Lower case.
        header: String,
        /// Text before and after the secret: `Bearer {secret}` is `("Bearer ", "")`.
        format: (String, String),
    },
    /// In the query of the URL, which an exception has to allow. Once that has ended, the upstream is not called.
    Query { value: Material, name: String, waived: Option<Waived> },
    /// The connection presents the upstream's own identity, which has this name.
    Certificate { identity: String },
    /// As `Authorization: Bearer`, what another token is exchanged for.
    Exchange(Box<Exchange>),
}

/// A token service, and what it is asked for (RFC 8693).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// A token of our own; `None` for the caller's.
    pub subject: Option<Material>,
    pub url: String,
    pub audience: String,
    /// Sorted.
    pub scopes: Vec<String>,
    /// `id:secret`.
    pub client_auth: Material,
    /// Authorities that are believed there, and no others; PEM. Without them, those of the machine.
    pub ca: Option<Material>,
}

impl Credential {
    /// Where its secrets are: none where TLS holds them.
    pub fn secrets(&self) -> impl Iterator<Item = &Material> {
        let (value, client) = match &self.inject {
            Inject::Header { value, .. } | Inject::Query { value, .. } => (Some(value), None),
            Inject::Certificate { .. } => (None, None),
            Inject::Exchange(exchange) => (exchange.subject.as_ref(), Some(&exchange.client_auth)),
        };
        value.into_iter().chain(client)
    }

    /// Everything that it is made from, authorities included.
    pub fn materials(&self) -> impl Iterator<Item = &Material> {
        let ca = match &self.inject {
            Inject::Exchange(exchange) => exchange.ca.as_ref(),
            Inject::Header { .. } | Inject::Query { .. } | Inject::Certificate { .. } => None,
        };
        self.secrets().chain(ca)
    }

    /// Whether it is made from the caller's token.
    #[must_use]
    pub fn is_of_caller(&self) -> bool {
        matches!(&self.inject, Inject::Exchange(exchange) if exchange.subject.is_none())
    }

    /// The exception that it hangs on.
    #[must_use]
    pub fn waived(&self) -> Option<&Waived> {
        match &self.inject {
            Inject::Query { waived, .. } => waived.as_ref(),
            Inject::Header { .. } | Inject::Certificate { .. } | Inject::Exchange(_) => None,
        }
    }
}

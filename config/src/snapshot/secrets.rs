//! What the proxy proves itself with to an upstream, after resolution.

use super::Waived;
use crate::Material;

/// Something the proxy shows an upstream, so that nobody else has to hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// As records name it; unique for an upstream.
    pub name: String,
    pub inject: Inject,
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
}

impl Credential {
    /// Where its secret is; `None` where TLS holds it.
    #[must_use]
    pub fn value(&self) -> Option<&Material> {
        match &self.inject {
            Inject::Header { value, .. } | Inject::Query { value, .. } => Some(value),
            Inject::Certificate { .. } => None,
        }
    }

    /// The exception that it hangs on.
    #[must_use]
    pub fn waived(&self) -> Option<&Waived> {
        match &self.inject {
            Inject::Query { waived, .. } => waived.as_ref(),
            Inject::Header { .. } | Inject::Certificate { .. } => None,
        }
    }
}

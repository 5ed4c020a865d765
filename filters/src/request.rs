//! A request as filters see it: parsed once, canonical, borrowed from the connection.

use http::{HeaderMap, HeaderName};

use crate::Source;
use crate::token::PeerFacts;

/// The head of a request. Everything in it was checked by the frame: the path is canonical, the host is lower case and
/// without port, and no header name occurs in two spellings.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    pub method: &'a str,
    pub host: &'a str,
    /// Port of the authority, where it names one.
    pub port: Option<u16>,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub source: Source,
    pub tls: bool,
    /// What the handshake proved about the peer, where it presented a certificate.
    pub peer: Option<&'a PeerFacts>,
    /// Name of the listener, as `sectionName` refers to it.
    pub listener: &'a str,
}

impl<'a> RequestView<'a> {
    /// The value of a header that occurs exactly once and is visible ASCII. Absent, repeated and anything else are one
    /// case: a second value must not be a way around the first.
    #[must_use]
    pub fn sole_header(&self, name: &HeaderName) -> Option<&'a str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        if values.next().is_some() {
            return None;
        }
        first.to_str().ok()
    }

    /// Media type of the body, lower case and without parameters; `None` where absent, repeated or not readable. Readers
    /// of bodies want the whole header: a charset changes what the bytes say.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        let value = self.sole_header(&http::header::CONTENT_TYPE)?;
        crate::media::read(value).map(|(essence, _)| essence)
    }

    /// Methods that do not change state (RFC 9110 §9.2.1).
    #[must_use]
    pub fn is_safe_method(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }
}

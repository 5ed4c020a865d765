//! Why a call of ours came to nothing. Hosts, limits and causes; never what was sent, and never what came.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::url::UrlError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("`{0}` is not https, and only https leaves this machine")]
    NotHttps(String),
    #[error("header `{0}` is not the caller's to set")]
    Header(String),
    /// Policy, or the lookup, allows no address.
    #[error("{0}")]
    NotAdmitted(String),
    #[error("{address} could not be connected to: {source}")]
    Connect { address: SocketAddr, source: std::io::Error },
    #[error("the TLS handshake with `{host}` failed: {source}")]
    Tls { host: String, source: std::io::Error },
    #[error("`{0}` cannot be a name in a certificate")]
    NotAName(String),
    #[error("{0} took too long")]
    Late(Step),
    #[error("`{host}` answered {status}, a redirect, and none is followed; use the address it leads to")]
    Redirect { host: String, status: u16 },
    #[error("`{host}` answered {status}, which is no answer to this call")]
    Status { host: String, status: u16 },
    #[error("the head of the answer is malformed, has more than {lines} lines or more than {bytes} bytes")]
    Head { bytes: usize, lines: usize },
    #[error("header `{0}` of the answer is repeated or not visible ASCII")]
    AnswerHeader(&'static str),
    #[error("the answer is encoded, and nothing is decompressed")]
    Encoded,
    #[error("the answer has more than {0} bytes")]
    Body(usize),
    #[error("`{host}` broke off: {what}")]
    Broken { host: String, what: String },
}

/// What a deadline was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Room,
    Connect(Duration),
    Handshake(Duration),
    FirstByte(Duration),
    Whole,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, limit) = match self {
            Self::Room => ("the wait for other calls", None),
            Self::Connect(limit) => ("lookup and connection", Some(limit)),
            Self::Handshake(limit) => ("the TLS handshake", Some(limit)),
            Self::FirstByte(limit) => ("the head of the answer", Some(limit)),
            Self::Whole => ("the whole call", None),
        };
        match limit {
            Some(limit) => write!(f, "{what} (limit {limit:?})"),
            None => f.write_str(what),
        }
    }
}

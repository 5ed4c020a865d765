//! Transaction tokens that we make for upstreams.

use std::time::Duration;

use super::{JwtAlgorithm, OwnKey};

/// What goes into every one of them, and who signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnTokens {
    pub issuer: String,
    /// The trust domain of the upstream.
    pub audience: String,
    pub lifetime: Duration,
    pub key: TokenKey,
}

/// A key of ours that signs tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenKey {
    pub key: OwnKey,
    /// ES256 or EdDSA.
    pub algorithm: JwtAlgorithm,
}

//! Requests that their sender signed.

use std::time::Duration;

use super::JwtAlgorithm;
use crate::Material;

/// Keys of senders, and what their signatures cover.
#[derive(Debug, Clone)]
pub struct HttpSignatureProvider {
    pub issuer: String,
    /// A JWK set.
    pub keys: Material,
    /// Not empty; all asymmetric.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// That of every signature; `None` where they have none.
    pub tag: Option<String>,
    /// Lower-case header names that a signature covers where the request has them.
    pub components: Vec<String>,
    pub max_age: Duration,
    pub clock_skew: Duration,
    /// Member of a key with the principal's id.
    pub id_claim: String,
    pub groups_claim: Option<String>,
    /// Tag name and RFC 6901 pointer into the key.
    pub tags: Vec<(String, String)>,
}

/// Algorithms of RFC 9421 §3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureAlgorithm {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    RsaPss,
    RsaPkcs1,
}

impl SignatureAlgorithm {
    /// As its registry writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256-sha256",
            Self::EcdsaP384 => "ecdsa-p384-sha384",
            Self::RsaPss => "rsa-pss-sha512",
            Self::RsaPkcs1 => "rsa-v1_5-sha256",
        }
    }

    /// The same algorithm, as keys name it.
    #[must_use]
    pub fn of_keys(self) -> JwtAlgorithm {
        match self {
            Self::Ed25519 => JwtAlgorithm::EdDSA,
            Self::EcdsaP256 => JwtAlgorithm::ES256,
            Self::EcdsaP384 => JwtAlgorithm::ES384,
            Self::RsaPss => JwtAlgorithm::PS512,
            Self::RsaPkcs1 => JwtAlgorithm::RS256,
        }
    }
}

//! KeyManagementPolicy: named keys of the proxy.

use crate::Material;
use crate::decode::{At, spec, tagged, words};
use crate::values::Name;

use super::Nothing;

spec! {
    /// The proxy's own keys, by name.
    pub struct KeyManagementPolicy {
        /// The keys, unique by name.
        [E] keys: At<Vec<At<KeySpec>>>,
        /// Who else can restore a key.
        [D] escrow: Option<At<Escrow>>,
        /// How keys come to be.
        [D] ceremony: Option<At<Ceremony>>,
    }
}

spec! {
    /// One key.
    pub struct KeySpec {
        /// Named by other manifests.
        [E] name: At<Name>,
        /// The one thing it is used for.
        [E] purpose: At<KeyPurpose>,
        /// Its algorithm.
        [E] algorithm: At<KeyAlgorithm>,
        /// Where it comes from.
        [E] source: At<KeySource>,
        /// Publishes the public half at the health address.
        [E] publish: Option<At<Publication>>,
    }
    later {
        /// Replaces the key regularly.
        [E] "rotation",
        /// Erases old keys.
        [E] "destroy",
    }
}

words! {
    /// What a key is used for.
    pub enum KeyPurpose {
        /// Signs checkpoints of the audit log.
        AuditSigning = "AuditSigning",
        /// Seals what browsers keep for us: their sessions.
        StateSealing = "StateSealing",
        /// Signs transaction tokens.
        TokenSigning = "TokenSigning",
        /// Makes the tokens of `action: Tokenize`, so that all replicas and every restart make the same. One of the set.
        Tokenization = "Tokenization",
    }
    later { "ReportSigning", "DataEncryption" }
}

words! {
    /// How a public half is published.
    pub enum Publication {
        /// In the JWK set at `/jwks.json` (RFC 7517). Only keys that sign tokens.
        Jwks = "Jwks",
    }
    later { "Vkey" }
}

words! {
    /// Algorithm of a key.
    pub enum KeyAlgorithm {
        /// RFC 8032.
        Ed25519 = "Ed25519",
        /// AES with a key of 256 bits, in GCM (NIST SP 800-38D).
        Aes256 = "AES-256",
        /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4). The seed is the private scalar, big-endian.
        Es256 = "ES256",
        /// RFC 2104 with SHA-256.
        HmacSha256 = "HMAC-SHA-256",
    }
    later { "ML-DSA-44" }
}

impl KeyPurpose {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuditSigning => "AuditSigning",
            Self::StateSealing => "StateSealing",
            Self::TokenSigning => "TokenSigning",
            Self::Tokenization => "Tokenization",
        }
    }
}

impl KeyAlgorithm {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::Aes256 => "AES-256",
            Self::Es256 => "ES256",
            Self::HmacSha256 => "HMAC-SHA-256",
        }
    }
}

tagged! {
    /// Where a key comes from.
    pub enum KeySource {
        /// Made on first use and kept in the state directory, mode 0600.
        Generate(Nothing),
        /// 32 bytes, raw, in base64 or in hexadecimal.
        Material(KeyMaterial),
    }
    later { "Kms" }
}

spec! {
    /// A key that exists already.
    pub struct KeyMaterial {
        /// The seed; a file that group or others may read is refused.
        [E] from: At<Material>,
    }
}

spec! {
    /// Who else can restore a key.
    pub struct Escrow {
        /// Who.
        [D] holder: Option<At<String>>,
        /// How.
        [D] procedure: Option<At<String>>,
        /// How many must agree.
        [D] quorum: Option<At<String>>,
    }
}

spec! {
    /// How keys come to be.
    pub struct Ceremony {
        /// How.
        [D] procedure: Option<At<String>>,
        /// Who is present.
        [D] witnesses: Option<At<String>>,
    }
}

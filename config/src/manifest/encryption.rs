//! EncryptionPolicy: how strong connections must be.

use std::time::Duration;

use crate::decode::{At, Setting, spec, words};
use crate::values::WebUrl;
use crate::{CryptoProfile, KeyExchange, TlsVersion};

spec! {
    /// How strong connections must be.
    pub struct EncryptionPolicy {
        /// Connections with us.
        [E] in_transit: Setting<InTransit> = "{}",
        /// What the upstream's operator claims about stored data.
        [D] upstream_at_rest: Option<At<UpstreamAtRest>>,
        /// What is claimed about data in use; a proxy cannot see it.
        [D] in_use: Option<At<InUse>>,
    }
    later {
        /// Encryption of the proxy's own files.
        [E] "atRest",
    }
}

spec! {
    /// Strength of TLS.
    pub struct InTransit {
        /// Oldest version. Below 1.2 is PV-030.
        [E] min_version: Setting<TlsVersion> = "TLSv1.3",
        /// Suites, groups and signature schemes as one choice.
        [E] profile: Setting<CryptoProfile> = "Default",
        /// Key exchange; hybrid is X25519MLKEM768, with `profile: Fips` SecP256r1MLKEM768.
        [E] key_exchange: Setting<KeyExchange> = "HybridPreferred",
        /// Tells browsers to stay with https (RFC 6797).
        [E] hsts: Option<At<HstsSpec>>,
        /// Connections without TLS.
        [E] plaintext: Setting<Plaintext> = "Deny",
    }
}

words! {
    /// Suites, groups and signature schemes.
    impl CryptoProfile {
        /// AEAD suites with forward secrecy.
        (CryptoProfile::Default) = "Default",
        /// What NIST approves, done by a validated module: AES-GCM, P-256 and P-384, ECDSA and RSA with SHA-2. The hybrid group is
        /// SecP256r1MLKEM768 then. A binary that was not built with the feature `fips` refuses it at start.
        (CryptoProfile::Fips) = "Fips",
    }
}

words! {
    /// Key exchange.
    impl KeyExchange {
        /// X25519 and the NIST curves; with `profile: Fips` the NIST curves.
        (KeyExchange::Classical) = "Classical",
        /// The hybrid group first, the classical groups for peers without it.
        (KeyExchange::HybridPreferred) = "HybridPreferred",
        /// The hybrid group only.
        (KeyExchange::HybridRequired) = "HybridRequired",
    }
}

words! {
    /// Connections without TLS.
    pub enum Plaintext {
        /// There are none. A listener of protocol `http` is for this machine only (PV-030).
        Deny = "Deny",
    }
}

spec! {
    /// `Strict-Transport-Security`.
    pub struct HstsSpec {
        /// How long browsers remember it.
        [E] max_age: At<Duration>,
        /// Whether it holds for hosts below.
        [E] include_subdomains: Setting<bool> = "false",
    }
}

spec! {
    /// What an upstream's operator claims about stored data.
    pub struct UpstreamAtRest {
        /// The claim.
        [D] claim: At<String>,
        /// Where the evidence is.
        [D] evidence_url: Option<At<WebUrl>>,
    }
}

spec! {
    /// What is claimed about data in use.
    pub struct InUse {
        /// Type of the trusted execution environment.
        [D] claim: At<String>,
        /// How it is attested.
        [D] attestation: Option<At<String>>,
    }
}

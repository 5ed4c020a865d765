//! How strong TLS is: versions, suites, groups and signatures that a profile and a demand on the key exchange leave.
//!
//! `Fips` leaves what NIST approves for TLS (SP 800-52 rev. 2, SP 800-186, SP 800-56C rev. 2) and rustls has. That is half of it: the
//! other half is that a validated module does the work, which only a binary built for it has ([`is_fips`]).

use postern_config::{CryptoProfile, KeyExchange, TlsVersion};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms};
use rustls::sign::SigningKey;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SignatureScheme, SupportedProtocolVersion};
use webpki::aws_lc_rs as algorithms;

/// Whether this binary does its cryptography in the module that was made for validation, and that module's self-tests passed.
#[must_use]
pub fn is_fips() -> bool {
    aws_lc_rs::try_fips_mode().is_ok()
}

pub(crate) fn provider(profile: CryptoProfile, key_exchange: KeyExchange) -> CryptoProvider {
    let mut provider = default_provider();
    provider.kx_groups = groups(profile, key_exchange);
    if profile == CryptoProfile::Fips {
        provider.cipher_suites.retain(|suite| is_approved(suite.suite()));
        provider.signature_verification_algorithms = APPROVED_SIGNATURES;
    }
    provider
}

/// Groups, the first one preferred.
fn groups(profile: CryptoProfile, key_exchange: KeyExchange) -> Vec<&'static dyn SupportedKxGroup> {
    match (profile, key_exchange) {
        (CryptoProfile::Default, KeyExchange::Classical) => vec![X25519, SECP256R1, SECP384R1],
        (CryptoProfile::Default, KeyExchange::HybridPreferred) => vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        (CryptoProfile::Default, KeyExchange::HybridRequired) => vec![X25519MLKEM768],
        (CryptoProfile::Fips, KeyExchange::Classical) => vec![SECP256R1, SECP384R1],
        // A concatenated secret is approved if what stands first is (SP 800-56C rev. 2 §2): P-256 here, whatever becomes of the
        // module's ML-KEM. X25519MLKEM768 has ML-KEM first, so it is approved only with that, and X25519 never is.
        (CryptoProfile::Fips, KeyExchange::HybridPreferred) => vec![SECP256R1MLKEM768, SECP256R1, SECP384R1],
        (CryptoProfile::Fips, KeyExchange::HybridRequired) => vec![SECP256R1MLKEM768],
    }
}

/// AES-GCM, in 1.2 with ECDHE.
fn is_approved(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
    )
}

/// ECDSA over P-256 and P-384, and RSA of 2048 bits at least, with SHA-2 (FIPS 186-5). It approves Ed25519 too, but not every
/// version of the module has it inside its boundary.
const APPROVED_SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        algorithms::ECDSA_P256_SHA256,
        algorithms::ECDSA_P256_SHA384,
        algorithms::ECDSA_P384_SHA256,
        algorithms::ECDSA_P384_SHA384,
        algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        algorithms::RSA_PKCS1_2048_8192_SHA256,
        algorithms::RSA_PKCS1_2048_8192_SHA384,
        algorithms::RSA_PKCS1_2048_8192_SHA512,
    ],
    mapping: &[
        // TLS 1.2 does not fix the curve by the scheme.
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[algorithms::ECDSA_P384_SHA384, algorithms::ECDSA_P256_SHA384]),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256]),
        (SignatureScheme::RSA_PSS_SHA512, &[algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[algorithms::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[algorithms::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[algorithms::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

/// Whether a key of ours signs by something that we would believe ourselves.
pub(crate) fn signs(key: &dyn SigningKey, provider: &CryptoProvider) -> bool {
    key.choose_scheme(&provider.signature_verification_algorithms.supported_schemes()).is_some()
}

/// TLS 1.2 has no hybrid key exchange, so who demands one does not speak it.
pub(crate) fn versions(least: TlsVersion, key_exchange: KeyExchange) -> Vec<&'static SupportedProtocolVersion> {
    match (least, key_exchange) {
        (TlsVersion::V1_3, _) | (_, KeyExchange::HybridRequired) => vec![&TLS13],
        (TlsVersion::V1_2, _) => vec![&TLS13, &TLS12],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::crypto::aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite};
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

    use super::*;
    use crate::{Authority, KeyType, Template};

    #[test]
    fn a_profile_and_a_demand_leave_these_groups() {
        use CryptoProfile::{Default, Fips};
        use KeyExchange::{Classical, HybridPreferred, HybridRequired};
        for (profile, key_exchange, want) in [
            (Default, Classical, "X25519 secp256r1 secp384r1"),
            (Default, HybridPreferred, "X25519MLKEM768 X25519 secp256r1 secp384r1"),
            (Default, HybridRequired, "X25519MLKEM768"),
            (Fips, Classical, "secp256r1 secp384r1"),
            (Fips, HybridPreferred, "secp256r1MLKEM768 secp256r1 secp384r1"),
            (Fips, HybridRequired, "secp256r1MLKEM768"),
        ] {
            let groups = provider(profile, key_exchange).kx_groups;
            let names: Vec<String> = groups.iter().map(|group| format!("{:?}", group.name())).collect();
            assert_eq!(names.join(" "), want, "{profile:?} {key_exchange:?}");
        }
    }

    #[test]
    fn fips_leaves_aes_gcm_and_no_curve_of_edwards() {
        let fips = provider(CryptoProfile::Fips, KeyExchange::HybridPreferred);
        let suites: Vec<String> = fips.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
        assert_eq!(suites.len(), 6, "{suites:?}");
        assert!(suites.iter().all(|suite| suite.contains("_AES_") && suite.contains("_GCM_")), "{suites:?}");
        let schemes = fips.signature_verification_algorithms.supported_schemes();
        assert_eq!(schemes.len(), 8);
        let edwards = [SignatureScheme::ED25519, SignatureScheme::ED448];
        assert!(!edwards.iter().any(|scheme| schemes.contains(scheme)), "{schemes:?}");
        let default = provider(CryptoProfile::Default, KeyExchange::HybridPreferred);
        assert!(is_fips() || default.cipher_suites.len() > 6, "a binary of the module has no others at all");
        // What no module does is not approved, whatever is left of it: this build has none, or has all of it.
        assert_eq!(fips.fips(), is_fips());
    }

    fn handshake(server: ServerConfig, client: ClientConfig) -> Result<(), rustls::Error> {
        let mut client = ClientConnection::new(Arc::new(client), ServerName::try_from("localhost").unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        for _ in 0..8 {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            server.read_tls(&mut bytes.as_slice()).unwrap();
            server.process_new_packets()?;
            bytes.clear();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            client.read_tls(&mut bytes.as_slice()).unwrap();
            client.process_new_packets()?;
            if !client.is_handshaking() && !server.is_handshaking() {
                return Ok(());
            }
        }
        Err(rustls::Error::HandshakeNotComplete)
    }

    #[test]
    fn a_listener_of_the_profile_takes_what_is_approved_and_nothing_else() {
        let ca = Authority::new("Strength CA", UnixTime::now()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.ca_pem().as_bytes()).unwrap()).unwrap();
        type Groups = Vec<&'static dyn SupportedKxGroup>;
        let all_suites = default_provider().cipher_suites;
        let cases: Vec<(&str, Groups, Vec<SupportedCipherSuite>, KeyType, bool)> = vec![
            ("P-256", vec![SECP256R1], all_suites.clone(), KeyType::P256, true),
            ("P-384", vec![SECP384R1], all_suites.clone(), KeyType::P256, true),
            ("P-256 with ML-KEM", vec![SECP256R1MLKEM768], all_suites.clone(), KeyType::P256, true),
            ("X25519", vec![X25519], all_suites.clone(), KeyType::P256, false),
            ("X25519 with ML-KEM", vec![X25519MLKEM768], all_suites.clone(), KeyType::P256, false),
            ("AES-GCM", vec![SECP256R1], vec![TLS13_AES_128_GCM_SHA256], KeyType::P256, true),
            ("ChaCha20", vec![SECP256R1], vec![TLS13_CHACHA20_POLY1305_SHA256], KeyType::P256, false),
            ("a client's Ed25519 key", vec![SECP256R1], all_suites, KeyType::Ed25519, false),
        ];
        for (case, kx_groups, cipher_suites, key, want) in cases {
            let fips = Arc::new(provider(CryptoProfile::Fips, KeyExchange::HybridPreferred));
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), fips.clone());
            let own = ca.server(&["localhost"]).unwrap();
            let server = ServerConfig::builder_with_provider(fips)
                .with_protocol_versions(&versions(TlsVersion::V1_2, KeyExchange::HybridPreferred))
                .unwrap()
                .with_client_cert_verifier(verifier.build().unwrap())
                .with_single_cert(
                    CertificateDer::pem_slice_iter(own.cert_pem.as_bytes()).collect::<Result<_, _>>().unwrap(),
                    PrivateKeyDer::from_pem_slice(own.key_pem.expose().as_bytes()).unwrap(),
                )
                .unwrap();
            let caller = ca.issue(&Template { key, ..Template::svid("spiffe://example.org/a") }).unwrap();
            let client = ClientConfig::builder_with_provider(Arc::new(CryptoProvider {
                kx_groups,
                cipher_suites,
                ..default_provider()
            }))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(
                CertificateDer::pem_slice_iter(caller.cert_pem.as_bytes()).collect::<Result<_, _>>().unwrap(),
                PrivateKeyDer::from_pem_slice(caller.key_pem.expose().as_bytes()).unwrap(),
            )
            .unwrap();
            let shaken = handshake(server, client);
            assert_eq!(shaken.is_ok(), want, "{case}: {shaken:?}");
        }
    }
}

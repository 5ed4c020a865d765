//! Every knob of EncryptionPolicy, seen by clients that offer exactly one version, group or suite.

use std::sync::Arc;

use postern_certs::Issued;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::house::{Ask, House, within};

/// A client that offers no more than this.
pub(crate) fn client_of(
    house: &House,
    identity: Option<&Issued>,
    versions: &[&'static SupportedProtocolVersion],
    group: Option<&'static dyn SupportedKxGroup>,
    suite: Option<SupportedCipherSuite>,
) -> ClientConfig {
    let mut provider: CryptoProvider = default_provider();
    if let Some(group) = group {
        provider.kx_groups = vec![group];
    }
    if let Some(suite) = suite {
        provider.cipher_suites = vec![suite];
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(house.ca_pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(issued) => {
            let chain = vec![issued.der.clone()];
            let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

pub(crate) async fn connect(
    house: &House,
    listener: &str,
    client: ClientConfig,
) -> Result<TlsStream<TcpStream>, String> {
    connect_as(house, listener, &Arc::new(client), "localhost").await
}

async fn connect_as(
    house: &House,
    listener: &str,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<TlsStream<TcpStream>, String> {
    let tcp = TcpStream::connect(house.address(listener)).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    within("a handshake", TlsConnector::from(client.clone()).connect(name, tcp)).await.map_err(|e| e.to_string())
}

#[tokio::test]
async fn the_group_of_the_key_exchange_is_the_policys() {
    let groups: [(&str, &'static dyn SupportedKxGroup); 4] = [
        ("X25519MLKEM768", kx_group::X25519MLKEM768),
        ("X25519", kx_group::X25519),
        ("P-256", kx_group::SECP256R1),
        ("P-384", kx_group::SECP384R1),
    ];
    for (word, taken) in [
        ("Classical", [false, true, true, true]),
        ("HybridPreferred", [true, true, true, true]),
        ("HybridRequired", [true, false, false, false]),
    ] {
        let change = format!("keyExchange: {word}");
        let house = House::plan().with("manifests/tls.yaml", "keyExchange: HybridPreferred", &change).start().await;
        for ((name, group), want) in groups.into_iter().zip(taken) {
            let client = client_of(&house, None, &[&TLS13], Some(group), None);
            let outcome = connect(&house, "open", client).await;
            assert_eq!(outcome.is_ok(), want, "{word}: {name}: {:?}", outcome.err());
        }
        let all = client_of(&house, None, &[&TLS13], None, None);
        let stream = connect(&house, "open", all).await.unwrap();
        let chosen = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
        let hybrid = chosen == rustls::NamedGroup::X25519MLKEM768;
        assert_eq!(hybrid, word != "Classical", "{word}: {chosen:?} of all");
        drop(stream);
        house.stop().await;
    }
}

#[tokio::test]
async fn the_oldest_version_and_its_suites_are_the_policys() {
    for (word, exchange, old) in [
        ("TLSv1.3", "HybridPreferred", false),
        ("TLSv1.2", "HybridPreferred", true),
        // TLS 1.2 has no hybrid groups.
        ("TLSv1.2", "HybridRequired", false),
    ] {
        let plan = House::plan()
            .with("manifests/tls.yaml", "minVersion: TLSv1.3", &format!("minVersion: {word}"))
            .with("manifests/tls.yaml", "keyExchange: HybridPreferred", &format!("keyExchange: {exchange}"));
        let house = plan.start().await;
        let classical = connect(&house, "open", client_of(&house, None, &[&TLS12], None, None)).await;
        assert_eq!(classical.is_ok(), old, "{word} {exchange}");
        connect(&house, "open", client_of(&house, None, &[&TLS13], None, None)).await.unwrap();
        if old {
            for (suite, want) in [
                (cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, true),
                (cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true),
                (cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true),
                // The house's key is no RSA key.
                (cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, false),
            ] {
                let client = client_of(&house, None, &[&TLS12], None, Some(suite));
                assert_eq!(connect(&house, "open", client).await.is_ok(), want, "{suite:?}");
            }
        }
        drop(classical);
        house.stop().await;
    }
}

#[tokio::test]
async fn attack_54_nothing_is_resumed_where_client_certificates_are_asked_for() {
    let house = House::start().await;
    for listener in ["public", "open"] {
        let client = Arc::new(client_of(&house, Some(&house.who.mia.issued), &[&TLS13], None, None));
        for _ in 0..3 {
            let mut stream = connect_as(&house, listener, &client, "localhost").await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full), "{listener}");
            // A whole answer: a ticket would have come before it.
            ask(&mut stream).await;
            assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0, "{listener}");
        }
    }
    house.stop().await;
}

async fn ask(stream: &mut TlsStream<TcpStream>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    stream.write_all(b"GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    within("an answer", stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn early_data_is_never_taken() {
    let house = House::start().await;
    let mut client = client_of(&house, None, &[&TLS13], None, None);
    client.enable_early_data = true;
    let client = Arc::new(client);
    for _ in 0..2 {
        let mut stream = connect_as(&house, "open", &client, "localhost").await.unwrap();
        ask(&mut stream).await;
        assert!(!stream.get_ref().1.is_early_data_accepted());
    }
    house.stop().await;
}

#[tokio::test]
async fn attack_29_another_authority_on_the_same_connection_is_misdirected() {
    let house = House::start().await;
    let ask = |authority: &str| Ask::get("/orders").h2().authority(authority);
    assert_eq!(house.call(&house.who.mia, ask("ai.house.test")).await.status, 200, "the certificate covers it");
    assert_eq!(house.call(&house.who.mia, ask("other.house.test")).await.status, 421);
    assert_eq!(house.plain.count(), 1);
    house.stop().await;
}

//! Whom a listener believes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use postern_certs::{Authority, Issued, KeyType, Template};
use postern_config::{Anchor, ClientAuth, Redacted};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData, SanType, SignatureAlgorithm};
use rustls::{CertificateError, Error};
use rustls_pki_types::{CertificateDer, UnixTime};
use support::{BOT, World, client, handshake, refusal};

fn svid() -> Template {
    Template::svid(BOT)
}

#[test]
fn an_svid_of_the_trust_domain_is_accepted_and_told_apart() {
    let world = World::new();
    let tls = world.load().unwrap();
    let issued = world.ca.issue(&svid()).unwrap();
    let connected = handshake(&tls.server_config(), &Arc::new(world.client(Some(&issued))), "localhost").unwrap();
    let peer = tls.peer(connected.server.peer_certificates().unwrap()).unwrap();
    assert_eq!(peer.spiffe().unwrap().as_str(), BOT);
    assert_eq!(peer.issuer(), "test root");
    assert_eq!(
        peer.leaf_sha256().as_slice(),
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &issued.der).as_ref()
    );
    assert_eq!(peer.not_after() - peer.not_before(), 86_400 + 3600);
    assert_eq!(peer.valid_until(), peer.not_after());
    assert_eq!(peer.serial(), "03");
    assert_eq!(connected.server.alpn_protocol(), Some(&b"h2"[..]));
}

#[test]
fn refuses_every_leaf_that_is_not_a_workload_of_ours() {
    let world = World::new();
    let tls = world.load().unwrap();
    let stranger = Authority::new("test root", UnixTime::now()).unwrap();
    let cases: Vec<(&str, Issued, &str)> = vec![
        ("other CA of the same name", stranger.issue(&svid()).unwrap(), "BadSignature"),
        ("expired", world.ca.issue(&Template { ends: -1, ..svid() }).unwrap(), "Expired"),
        ("not yet valid", world.ca.issue(&Template { begins: 60, ..svid() }).unwrap(), "NotValidYet"),
        (
            "wrong trust domain",
            world.ca.issue(&Template::svid("spiffe://evil.org/ns/acme/sa/bot")).unwrap(),
            "none of the leaf's names is accepted",
        ),
        (
            "trust domain with a tail",
            world.ca.issue(&Template::svid("spiffe://example.org.evil/a")).unwrap(),
            "none of the leaf's names is accepted",
        ),
        (
            "no name at all",
            world.ca.issue(&Template { uris: vec![], ..svid() }).unwrap(),
            "none of the leaf's names is accepted",
        ),
        (
            "host where SPIFFE is asked",
            world.ca.issue(&Template { uris: vec![], hosts: vec!["example.org".into()], ..svid() }).unwrap(),
            "none of the leaf's names is accepted",
        ),
        (
            "two SPIFFE IDs",
            world.ca.issue(&Template { uris: vec![BOT.into(), "spiffe://example.org/b".into()], ..svid() }).unwrap(),
            "and 2 URI names; an X.509-SVID has exactly one",
        ),
        (
            "a URI beside the SPIFFE ID",
            world.ca.issue(&Template { uris: vec!["https://x".into(), BOT.into()], ..svid() }).unwrap(),
            "and 2 URI names; an X.509-SVID has exactly one",
        ),
        (
            "the trust domain itself",
            world.ca.issue(&Template::svid("spiffe://example.org")).unwrap(),
            "has no path, so it is a trust domain",
        ),
        (
            "scheme in capitals",
            world.ca.issue(&Template::svid("SPIFFE://example.org/a")).unwrap(),
            "SPIFFE ID is malformed: ",
        ),
        (
            "dots in the path",
            world.ca.issue(&Template::svid("spiffe://example.org/a/../b")).unwrap(),
            "SPIFFE ID is malformed: ",
        ),
        (
            "NUL in the URI, attack 30",
            world.ca.issue(&Template::svid("spiffe://example.org/a\0b")).unwrap(),
            "cannot be read",
        ),
        (
            "NUL in a DNS name, attack 30",
            world.ca.issue(&Template { hosts: vec!["a\0.b".into()], ..svid() }).unwrap(),
            "cannot be read",
        ),
        ("an authority as leaf", world.ca.issue(&Template { is_ca: true, ..svid() }).unwrap(), "CaUsedAsEndEntity"),
        (
            "no key usage",
            world.ca.issue(&Template { key_usage: false, ..svid() }).unwrap(),
            "without a critical key usage",
        ),
        (
            "only for clients",
            world.ca.issue(&Template { for_servers: false, ..svid() }).unwrap(),
            "leaves out clients or servers",
        ),
        ("only for servers", world.ca.issue(&Template { for_clients: false, ..svid() }).unwrap(), "InvalidPurpose"),
        (
            "P-521 key",
            world.ca.issue(&Template { key: KeyType::P521, ..svid() }).unwrap(),
            "certificate 0 of the chain has a key that is not accepted: P-521",
        ),
    ];
    for (case, issued, want) in cases {
        let error = handshake(&tls.server_config(), &Arc::new(world.client(Some(&issued))), "localhost")
            .map(|_| ())
            .expect_err(case);
        let got = refusal(&error);
        assert!(got.contains(want), "{case}: {got}");
        tls.peer(std::slice::from_ref(&issued.der)).expect_err(case);
    }
}

#[test]
fn every_key_kind_of_the_list_is_accepted() {
    let world = World::new();
    let tls = world.load().unwrap();
    for key in [KeyType::P256, KeyType::P384, KeyType::Ed25519, KeyType::Rsa2048] {
        let issued = world.ca.issue(&Template { key, ..svid() }).unwrap();
        handshake(&tls.server_config(), &Arc::new(world.client(Some(&issued))), "localhost")
            .unwrap_or_else(|e| panic!("{key:?}: {e}"));
    }
}

#[test]
fn no_certificate_is_refused_where_required_and_accepted_where_optional() {
    let mut world = World::new();
    let anonymous = Arc::new(world.client(None));
    let required = world.load().unwrap();
    let error = handshake(&required.server_config(), &anonymous, "localhost").map(|_| ()).unwrap_err();
    assert_eq!(error, Error::NoCertificatesPresented);

    world.settings.client_auth = ClientAuth::Optional;
    let optional = world.load().unwrap();
    let connected = handshake(&optional.server_config(), &anonymous, "localhost").unwrap();
    assert!(connected.server.peer_certificates().is_none());

    // Optional is no pardon for a bad one.
    let evil = world.ca.issue(&Template::svid("spiffe://evil.org/a")).unwrap();
    handshake(&optional.server_config(), &Arc::new(world.client(Some(&evil))), "localhost").map(|_| ()).unwrap_err();
}

#[test]
fn no_peer_is_proved_where_certificates_are_off() {
    let mut world = World::new();
    world.settings.client_auth = ClientAuth::Off;
    let tls = world.load().unwrap();
    let issued = world.ca.issue(&svid()).unwrap();
    tls.peer(&[issued.der]).unwrap_err();
}

#[test]
fn names_of_every_manifest_must_match_and_an_empty_list_matches_nobody() {
    let mut world = World::new();
    let hosts = Template { hosts: vec!["api.example.com".into(), "*.wild.example".into()], ..svid() };
    let issued = world.ca.issue(&hosts).unwrap();
    let lists = |lists: &[&[&str]]| -> Vec<Vec<String>> {
        lists.iter().map(|list| list.iter().map(|name| (*name).to_owned()).collect()).collect()
    };
    for (names, want) in [
        (lists(&[&["spiffe://example.org/ns/*/sa/bot"]]), true),
        (lists(&[&["spiffe://example.org/ns/acme/sa/other", "spiffe://example.org/**"]]), true),
        (lists(&[&["spiffe://example.org/**"], &["spiffe://example.org/ns/acme/**"]]), true),
        (lists(&[&["spiffe://example.org/**"], &["spiffe://example.org/ns/globex/**"]]), false),
        (lists(&[&["spiffe://example.org/**"], &[]]), false),
        (lists(&[&[]]), false),
        (lists(&[]), false),
        (lists(&[&["api.example.com"]]), true),
        (lists(&[&["API.example.com"]]), true),
        (lists(&[&["*.example.com"]]), true),
        (lists(&[&["example.com"]]), false),
        (lists(&[&["*.wild.example"]]), false), // attack 30: a wildcard of the peer names nobody
        (lists(&[&["a.wild.example"]]), false),
        (lists(&[&["spiffe://example.org/*"]]), false),
    ] {
        world.settings.trust.names = names.clone();
        let tls = world.load().unwrap();
        let got = handshake(&tls.server_config(), &Arc::new(world.client(Some(&issued))), "localhost");
        assert_eq!(got.is_ok(), want, "{names:?}");
    }
}

#[test]
fn a_leaf_that_lives_too_long_is_refused() {
    let mut world = World::new();
    world.settings.trust.max_lifetime = Some(Duration::from_secs(86_400));
    let tls = world.load().unwrap();
    for (ends, want) in [(86_400 - 3600, true), (86_400 - 3599, false)] {
        let issued = world.ca.issue(&Template { ends, ..svid() }).unwrap();
        let got = handshake(&tls.server_config(), &Arc::new(world.client(Some(&issued))), "localhost");
        assert_eq!(got.is_ok(), want, "{ends}");
    }
}

#[test]
fn a_chain_through_an_intermediate_ends_with_its_first_certificate_to_end() {
    let world = World::new();
    let tls = world.load().unwrap();
    let below = world.ca.intermediate("issuing").unwrap();
    let leaf = below.issue(&Template { ends: 10 * 86_400, ..svid() }).unwrap();
    let chained = Issued { cert_pem: format!("{}{}", leaf.cert_pem, below.ca_pem()), ..leaf };
    let connected = handshake(&tls.server_config(), &Arc::new(world.client(Some(&chained))), "localhost").unwrap();
    let peer = tls.peer(connected.server.peer_certificates().unwrap()).unwrap();
    assert!(peer.valid_until() < peer.not_after(), "the intermediate ends first");
    assert_eq!(peer.issuer(), "issuing");
}

#[test]
fn a_certificate_that_ends_while_we_run_is_refused_from_then_on() {
    let world = World::new();
    let tls = world.load().unwrap();
    let issued = world.ca.issue(&svid()).unwrap();
    let config = Arc::new(client(&world.ca, Some(&issued)));
    handshake(&tls.server_config(), &config, "localhost").unwrap();
    world.clock.advance(86_401);
    let error = handshake(&tls.server_config(), &config, "localhost").map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })), "{error:?}");
    tls.peer(&[issued.der]).unwrap_err();
}

/// A public key of 1024 bits; nobody has the private one, and nobody gets as far as to need it.
struct Rsa1024(Vec<u8>);

impl Rsa1024 {
    fn new() -> Self {
        let mut der = vec![0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00, 0xc1];
        der.extend([0x5b; 127]);
        der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        Self(der)
    }
}

impl PublicKeyData for Rsa1024 {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// An RSA root of its own, and its issuer, for what [`Authority`] does not make.
fn rsa_root(world: &mut World) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap()).unwrap();
    world.settings.trust.anchors = vec![Anchor::Pem(world.file("rsa.pem", root.pem().as_bytes(), 0o644))];
    root
}

fn bot_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(BOT.try_into().unwrap())];
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params
}

#[test]
fn an_rsa_key_of_1024_bits_is_refused() {
    let mut world = World::new();
    let root = rsa_root(&mut world);
    let tls = world.load().unwrap();
    let leaf = bot_params().signed_by(&Rsa1024::new(), &root).unwrap();
    let error = tls.peer(&[leaf.der().clone()]).unwrap_err();
    assert_eq!(refusal(&error), "certificate 0 of the chain has a key that is not accepted: RSA of 1024 bits");
}

#[test]
fn a_sha1_signature_is_refused_in_every_certificate_that_is_presented() {
    let mut world = World::new();
    let root = rsa_root(&mut world);
    let tls = world.load().unwrap();
    let good = bot_params().signed_by(&KeyPair::generate().unwrap(), &root).unwrap().der().clone();
    tls.peer(std::slice::from_ref(&good)).unwrap();
    let sha1 = with_sha1(&good);
    tls.peer(std::slice::from_ref(&sha1)).unwrap_err();
    // webpki builds its path without the extra certificate; we still do not take it.
    let error = tls.peer(&[good, sha1]).unwrap_err();
    assert_eq!(refusal(&error), "certificate 1 of the chain is signed with an algorithm that is not accepted");
}

/// The same certificate, said to be signed with sha1WithRSAEncryption.
fn with_sha1(der: &CertificateDer<'_>) -> CertificateDer<'static> {
    let sha256 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
    let mut bytes = der.to_vec();
    let at: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i..].starts_with(&sha256)).collect();
    assert_eq!(at.len(), 2, "in the body and beside the signature");
    for at in at {
        bytes[at + 8] = 0x05;
    }
    CertificateDer::from(bytes)
}

#[test]
fn our_own_certificate_signed_with_sha1_does_not_load() {
    let mut world = World::new();
    let root = rsa_root(&mut world);
    let key = KeyPair::generate().unwrap();
    let good = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
    let issued = |der: CertificateDer<'static>| Issued {
        serial: 0,
        cert_pem: pem_of(&der),
        key_pem: Redacted::new(key.serialize_pem()),
        der,
    };
    world.settings.identities = vec![world.identity("good", &[], &issued(good.der().clone()))];
    world.load().unwrap();
    world.settings.identities = vec![world.identity("bad", &[], &issued(with_sha1(good.der())))];
    let problems = world.load().unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains("SHA-1"), "{}", problems[0]);
}

fn pem_of(der: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

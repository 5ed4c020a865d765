//! What a listener presents and speaks, and what keeps it from loading.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use postern_certs::{KeyType, Template};
use postern_config::{Anchor, ClientAuth, CryptoProfile, KeyExchange, Material, TlsVersion};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::{ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use support::{BOT, World, files, handshake};

fn client_with(
    world: &World,
    groups: &[&'static dyn rustls::crypto::SupportedKxGroup],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.ca.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = rustls::crypto::CryptoProvider { kx_groups: groups.to_vec(), ..default_provider() };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn open_world() -> World {
    let mut world = World::new();
    world.settings.client_auth = ClientAuth::Off;
    world
}

const ALL: &[&dyn rustls::crypto::SupportedKxGroup] =
    &[kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
const CLASSICAL: &[&dyn rustls::crypto::SupportedKxGroup] = &[kx_group::X25519, kx_group::SECP256R1];
const NEW: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
const OLD: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

#[test]
fn speaks_the_versions_and_key_exchanges_of_its_settings() {
    let mut world = open_world();
    let hybrid = Some((ProtocolVersion::TLSv1_3, NamedGroup::X25519MLKEM768));
    let classical = Some((ProtocolVersion::TLSv1_3, NamedGroup::X25519));
    let old = Some((ProtocolVersion::TLSv1_2, NamedGroup::X25519));
    for (min, exchange, groups, versions, want) in [
        (TlsVersion::V1_3, KeyExchange::HybridPreferred, ALL, NEW, hybrid),
        (TlsVersion::V1_3, KeyExchange::HybridPreferred, CLASSICAL, NEW, classical),
        (TlsVersion::V1_3, KeyExchange::HybridRequired, ALL, NEW, hybrid),
        (TlsVersion::V1_3, KeyExchange::HybridRequired, CLASSICAL, NEW, None),
        (TlsVersion::V1_3, KeyExchange::Classical, ALL, NEW, classical),
        (TlsVersion::V1_3, KeyExchange::HybridPreferred, CLASSICAL, OLD, None),
        (TlsVersion::V1_2, KeyExchange::HybridPreferred, CLASSICAL, OLD, old),
        (TlsVersion::V1_2, KeyExchange::HybridPreferred, ALL, NEW, hybrid),
        (TlsVersion::V1_2, KeyExchange::HybridRequired, CLASSICAL, OLD, None),
        (TlsVersion::V1_2, KeyExchange::HybridRequired, ALL, NEW, hybrid),
    ] {
        world.settings.min_version = min;
        world.settings.key_exchange = exchange;
        let tls = world.load().unwrap();
        let got = handshake(&tls.server_config(), &client_with(&world, groups, versions), "localhost").ok();
        let got = got.map(|c| {
            let group = c.server.negotiated_key_exchange_group().unwrap().name();
            (c.server.protocol_version().unwrap(), group)
        });
        assert_eq!(got, want, "{min:?} {exchange:?} {}", groups.len());
    }
}

#[test]
fn presents_the_first_identity_that_the_name_asked_for_matches() {
    let mut world = open_world();
    let api = world.ca.server(&["api.example.com", "127.0.0.1"]).unwrap();
    let wild = world.ca.server(&["*.example.com", "example.com"]).unwrap();
    world.settings.identities =
        vec![world.identity("api", &["api.example.com"], &api), world.identity("wild", &["*.example.com"], &wild)];
    let tls = world.load().unwrap();
    for (sni, want) in [
        (Some("api.example.com"), Some("api")),
        (Some("API.example.com"), Some("api")),
        (Some("web.example.com"), Some("wild")),
        (Some("a.b.example.com"), None),
        (Some("example.com"), None),
        (Some("evil.org"), None),
        (None, None),
    ] {
        assert_eq!(tls.identity_for(sni), want, "{sni:?}");
        let client = client_with(&world, ALL, NEW);
        let done = handshake(&tls.server_config(), &client, sni.unwrap_or("127.0.0.1"));
        assert_eq!(done.is_ok(), want.is_some(), "{sni:?}");
    }
    // attack 29: the authority is held against the certificate of the connection, not against all we have.
    for (sni, host, want) in [
        (Some("api.example.com"), "api.example.com", true),
        (Some("api.example.com"), "web.example.com", false),
        (Some("api.example.com"), "127.0.0.1", true),
        (Some("api.example.com"), "127.0.0.2", false),
        (Some("web.example.com"), "api.example.com", true),
        (Some("web.example.com"), "a.b.example.com", false),
        (Some("web.example.com"), "example.com", true),
        (Some("web.example.com"), "example.com.", false),
        (Some("web.example.com"), "", false),
        (Some("evil.org"), "api.example.com", false),
        (None, "api.example.com", false),
    ] {
        assert_eq!(tls.covers(sni, host), want, "{sni:?} {host}");
    }
}

#[test]
fn an_identity_without_hosts_answers_every_name_and_none() {
    let mut world = open_world();
    let any = world.ca.server(&["localhost", "127.0.0.1", "::1"]).unwrap();
    world.settings.identities = vec![world.identity("any", &[], &any)];
    let tls = world.load().unwrap();
    for sni in [Some("localhost"), Some("other.example"), None] {
        assert_eq!(tls.identity_for(sni), Some("any"));
    }
    handshake(&tls.server_config(), &client_with(&world, ALL, NEW), "127.0.0.1").unwrap();
    for (host, want) in
        [("::1", true), ("[::1]", true), ("127.0.0.1", true), ("LOCALHOST", true), ("other.example", false)]
    {
        assert_eq!(tls.covers(None, host), want, "{host}");
    }
}

/// attack 54
#[test]
fn a_ticket_opens_a_session_only_on_its_own_listener_and_generation() {
    let mut world = open_world();
    let client = client_with(&world, ALL, NEW);
    let first = world.load().unwrap();
    let second = world.load().unwrap();
    let kind = |tls: &postern_certs::ListenerTls| {
        handshake(&tls.server_config(), &client, "localhost").unwrap().server.handshake_kind().unwrap()
    };
    assert_eq!(kind(&first), HandshakeKind::Full);
    assert_eq!(kind(&first), HandshakeKind::Resumed);
    assert_eq!(kind(&second), HandshakeKind::Full);

    world.settings.client_auth = ClientAuth::Optional;
    let guarded = world.load().unwrap();
    assert_eq!(kind(&guarded), HandshakeKind::Full);
    assert_eq!(kind(&guarded), HandshakeKind::Full);
}

#[test]
fn a_session_with_a_client_certificate_is_never_resumed() {
    let mut world = World::new();
    for version in [TlsVersion::V1_3, TlsVersion::V1_2] {
        world.settings.min_version = version;
        let tls = world.load().unwrap();
        let issued = world.ca.issue(&Template::svid(BOT)).unwrap();
        let client = Arc::new(world.client(Some(&issued)));
        for _ in 0..3 {
            let connected = handshake(&tls.server_config(), &client, "localhost").unwrap();
            assert_eq!(connected.server.handshake_kind(), Some(HandshakeKind::Full));
            assert_eq!(connected.client.tls13_tickets_received(), 0);
        }
    }
}

#[test]
fn the_name_fips_is_kept_or_nothing_loads() {
    let mut world = World::new();
    world.settings.profile = CryptoProfile::Fips;
    let ecdsa = world.ca.server(&["localhost"]).unwrap();
    world.settings.identities = vec![world.identity("web", &[], &ecdsa)];
    match world.load() {
        Ok(tls) => assert!(postern_certs::is_fips() && tls.server_config().fips()),
        Err(problems) => {
            assert!(!postern_certs::is_fips());
            assert_eq!(problems.len(), 1);
            let said = problems[0].to_string();
            assert!(said.contains("--features fips") && said.contains("Go and CMake"), "{said}");
        }
    }
    // A key that signs nothing that is approved, whatever the build.
    let edwards = Template { key: KeyType::Ed25519, ..Template::server(&["localhost"]) };
    let edwards = world.ca.issue(&edwards).unwrap();
    world.settings.identities = vec![world.identity("web", &[], &edwards)];
    let said: String = world.load().map(|_| ()).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(said.contains("a key of this kind signs nothing that the profile approves"), "{said}");
    world.settings.profile = CryptoProfile::Default;
    assert!(world.load().is_ok());
}

/// Every problem of one load, as an operator reads it.
fn problems(world: &World) -> Vec<String> {
    let dir = world.dir.path().display().to_string();
    let problems = world.load().map(|_| ()).unwrap_err();
    problems.iter().map(|p| p.to_string().replace(&dir, "D")).collect()
}

#[test]
fn names_the_material_and_what_is_wrong_with_it() {
    type Change = fn(&mut World);
    let cases: &[(Change, &[&str])] = &[
        (|w| w.settings.identities.clear(), &["there is no identity to present"]),
        (
            |w| *files(&mut w.settings.identities[0]).0 = Material::File("/nowhere.pem".into()),
            &["`file:/nowhere.pem`: file `/nowhere.pem` cannot be read"],
        ),
        (
            |w| *files(&mut w.settings.identities[0]).0 = w.file("x", b"hello", 0o644),
            &["`file:D/x`: holds no certificate"],
        ),
        (
            |w| {
                *files(&mut w.settings.identities[0]).0 =
                    w.file("x", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", 0o644)
            },
            &["`file:D/x`: is not PEM"],
        ),
        (
            |w| {
                *files(&mut w.settings.identities[0]).0 =
                    w.file("x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644)
            },
            &["`file:D/x`: certificate 0 cannot be read"],
        ),
        (
            |w| *files(&mut w.settings.identities[0]).1 = w.file("x", b"hello", 0o600),
            &["`file:D/x`: holds no private key"],
        ),
        (
            |w| {
                let key = w.ca.server(&["a"]).unwrap().key_pem;
                *files(&mut w.settings.identities[0]).1 = w.file("x", key.expose().as_bytes(), 0o640);
            },
            &["`file:D/x`: file `D/x` can be read by its group or by everybody"],
        ),
        (
            |w| {
                let key = w.ca.server(&["a"]).unwrap().key_pem;
                *files(&mut w.settings.identities[0]).1 = w.file("x", key.expose().as_bytes(), 0o600);
            },
            &["`file:D/x`: the private key is not the one of the certificate in `file:D/web.pem`"],
        ),
        (
            |w| {
                let old = w.ca.issue(&Template { ends: -1, ..Template::server(&["localhost"]) }).unwrap();
                w.settings.identities[0] = w.identity("old", &[], &old);
            },
            &["`file:D/old.pem`: certificate 0 ended at 20"],
        ),
        (
            |w| {
                let new = w.ca.issue(&Template { begins: 60, ..Template::server(&["localhost"]) }).unwrap();
                w.settings.identities[0] = w.identity("new", &[], &new);
            },
            &["`file:D/new.pem`: certificate 0 is not valid before 20"],
        ),
        (
            |w| {
                let nameless = w.ca.issue(&Template::server(&[])).unwrap();
                w.settings.identities[0] = w.identity("none", &[], &nameless);
            },
            &["`file:D/none.pem`: the certificate has neither a DNS name nor an address"],
        ),
        (
            |w| {
                let issued = w.ca.server(&["a.example.com"]).unwrap();
                w.settings.identities[0] =
                    w.identity("web", &["a.example.com", "b.example.com", "*.example.com"], &issued);
            },
            &[
                "`file:D/web.pem`: the certificate does not cover host `b.example.com`",
                "`file:D/web.pem`: the certificate does not cover host `*.example.com`",
            ],
        ),
        (
            |w| w.settings.trust.anchors.clear(),
            &["certificates of peers are to be checked, but there is no trust anchor"],
        ),
        (
            |w| w.settings.trust.anchors = vec![Anchor::Pem(w.file("x", b"", 0o644))],
            &["`file:D/x`: holds no certificate"],
        ),
        (
            |w| w.settings.trust.anchors = vec![Anchor::Pem(files(&mut w.settings.identities[0]).0.clone())],
            &["`file:D/web.pem`: certificate 0 is not a certificate authority"],
        ),
        (
            |w| {
                let weak = w.ca.issue(&Template { is_ca: true, key: KeyType::P521, ..Template::svid(BOT) }).unwrap();
                w.settings.trust.anchors = vec![Anchor::Pem(w.file("weak.pem", weak.cert_pem.as_bytes(), 0o644))];
            },
            &["`file:D/weak.pem`: certificate 0 has a weak or unknown key: P-521"],
        ),
        (
            |w| w.settings.trust.names = vec![vec!["spiffe://*/a".into(), "a b".into()]],
            &["peer name `spiffe://*/a` is not a SPIFFE ID glob", "peer name `a b` is not a host name"],
        ),
        (
            |w| {
                *files(&mut w.settings.identities[0]).0 = Material::Env("POSTERN_TEST_ABSENT".into());
                w.settings.trust.anchors = vec![Anchor::Pem(Material::File("/nowhere.pem".into()))];
                w.settings.trust.names = vec![vec!["*".into()]];
            },
            &["`env:POSTERN_TEST_ABSENT`: environment variable", "`file:/nowhere.pem`: file", "peer name `*`"],
        ),
    ];
    for (index, (change, want)) in cases.iter().enumerate() {
        let mut world = World::new();
        change(&mut world);
        let got = problems(&world);
        assert_eq!(got.len(), want.len(), "case {index}: {got:?}");
        for (got, want) in got.iter().zip(*want) {
            assert!(got.starts_with(want), "case {index}: {got}");
        }
    }
}

#[test]
fn warns_of_what_ends_soon_ours_and_anchors() {
    let mut world = World::new();
    world.settings.warn_before = Duration::from_secs(3600);
    let tls = world.load().unwrap();
    assert_eq!(tls.warnings(world.clock.unix()), []);
    world.clock.advance(86_400 - 3600);
    let warnings = tls.warnings(world.clock.unix());
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].to_string().contains("web.pem`: certificate 02 ends at 20"), "{}", warnings[0]);
    world.clock.advance(3650 * 86_400);
    assert_eq!(tls.warnings(world.clock.unix()).len(), 2);
}

#[test]
fn a_private_key_never_shows() {
    let world = World::new();
    let issued = world.ca.server(&["localhost"]).unwrap();
    let shown = format!("{issued:?} {:?}", world.load().unwrap());
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}

//! What is believed of an upstream: a name or a SPIFFE ID, chain, revocation, key strength, dates; and what we present.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use postern_certs::{Authority, Issued, KeyType, Template, UpstreamTls};
use postern_config::{
    Anchor, CryptoProfile, Curve, Expected, KeyExchange, PeerTrust, TlsVersion, UpstreamTls as Settings,
};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use support::{BOT, World, handshake_as, refusal};

const HOST: &str = "api.example.com";

fn settings(world: &World) -> Settings {
    Settings {
        server_name: HOST.to_owned(),
        expected: Expected::ServerName,
        trust: PeerTrust {
            anchors: vec![Anchor::Pem(world.file("ca.pem", world.ca.ca_pem().as_bytes(), 0o644))],
            names: Vec::new(),
            crls: Vec::new(),
            unknown: None,
            min_rsa_bits: 2048,
            curves: vec![Curve::P256, Curve::P384, Curve::Ed25519],
            max_lifetime: None,
        },
        min_version: TlsVersion::V1_2,
        key_exchange: KeyExchange::HybridPreferred,
        profile: CryptoProfile::Default,
        identity: None,
        warn_before: Duration::ZERO,
    }
}

fn spiffe(world: &World, id: &str) -> Settings {
    Settings { expected: Expected::Spiffe(id.to_owned()), ..settings(world) }
}

fn load(world: &World, settings: &Settings) -> Result<UpstreamTls, String> {
    UpstreamTls::load_with_clock(settings, &world.workloads, world.clock.unix(), world.clock.clone())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// A server that presents `issued` with `above` behind it.
fn server(issued: &Issued, above: &[&str]) -> ServerConfig {
    server_with(issued, above, &[&rustls::version::TLS13, &rustls::version::TLS12])
}

fn server_with(issued: &Issued, above: &[&str], versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    let pem = std::iter::once(issued.cert_pem.as_str()).chain(above.iter().copied()).collect::<Vec<_>>().join("\n");
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

/// What comes of a connection to `server`.
fn connect(world: &World, settings: &Settings, server: ServerConfig) -> Result<(), String> {
    let tls = load(world, settings).unwrap();
    handshake_as(&Arc::new(server), &tls.client_config(&[b"h2"]), tls.server_name())
        .map(|_| ())
        .map_err(|error| refusal(&error))
}

#[test]
fn an_upstream_is_its_name() {
    let world = World::new();
    let other = Authority::new("another root", world.now()).unwrap();
    let good = |hosts: &[&str]| world.ca.server(hosts).unwrap();
    for (case, issued, want) in [
        ("its name", good(&[HOST]), None),
        ("a wildcard over its name", good(&["*.example.com"]), None),
        ("another name", good(&["evil.example.com"]), Some("NotValidForName")),
        ("another authority", other.server(&[HOST]).unwrap(), Some("UnknownIssuer")),
        (
            "a client's certificate",
            world.ca.issue(&Template { for_servers: false, for_clients: true, ..Template::server(&[HOST]) }).unwrap(),
            Some("InvalidPurpose"),
        ),
        ("expired", world.ca.issue(&Template { ends: -60, ..Template::server(&[HOST]) }).unwrap(), Some("Expired")),
        (
            "an authority",
            world.ca.issue(&Template { is_ca: true, ..Template::server(&[HOST]) }).unwrap(),
            Some("CaUsedAsEndEntity"),
        ),
        (
            "a curve that is not accepted",
            world.ca.issue(&Template { key: KeyType::P521, ..Template::server(&[HOST]) }).unwrap(),
            Some("not accepted: P-521"),
        ),
    ] {
        let outcome = connect(&world, &settings(&world), server(&issued, &[]));
        match want {
            None => assert_eq!(outcome, Ok(()), "{case}"),
            Some(want) => assert!(outcome.as_ref().is_err_and(|why| why.contains(want)), "{case}: {outcome:?}"),
        }
    }
}

#[test]
fn an_upstream_is_exactly_the_expected_svid() {
    let world = World::new();
    let svid = |id: &str| Template::svid(id);
    let two = Template { uris: vec![BOT.to_owned(), "spiffe://example.org/other".to_owned()], ..svid(BOT) };
    for (case, template, want) in [
        ("the one", svid(BOT), None),
        ("another workload", svid("spiffe://example.org/ns/acme/sa/other"), Some("is not the X.509-SVID")),
        ("one below it", svid(&format!("{BOT}/x")), Some("is not the X.509-SVID")),
        ("two URIs", two, Some("has exactly one")),
        ("only the host", Template::server(&[HOST]), Some("is not the X.509-SVID")),
        ("expired", Template { ends: -60, ..svid(BOT) }, Some("Expired")),
        (
            "not for clients and servers both",
            Template { for_clients: false, ..svid(BOT) },
            Some("leaves out clients or servers"),
        ),
    ] {
        let issued = world.ca.issue(&template).unwrap();
        let outcome = connect(&world, &spiffe(&world, BOT), server(&issued, &[]));
        match want {
            None => assert_eq!(outcome, Ok(()), "{case}"),
            Some(want) => assert!(outcome.as_ref().is_err_and(|why| why.contains(want)), "{case}: {outcome:?}"),
        }
    }
    let other = Authority::new("another root", world.now()).unwrap();
    let stranger = other.issue(&svid(BOT)).unwrap();
    let outcome = connect(&world, &spiffe(&world, BOT), server(&stranger, &[]));
    assert!(outcome.as_ref().is_err_and(|why| why.contains("UnknownIssuer")), "{outcome:?}");
}

#[test]
fn a_revoked_upstream_is_refused_by_name_and_by_id() {
    let world = World::new();
    let (web, svid) = (world.ca.server(&[HOST]).unwrap(), world.ca.issue(&Template::svid(BOT)).unwrap());
    let crl = world.ca.crl(&[&web, &svid], 600).unwrap();
    let empty = world.ca.crl(&[], 600).unwrap();
    for (list, want) in [(&empty, Ok(())), (&crl, Err(()))] {
        for (mut settings, issued) in [(settings(&world), &web), (spiffe(&world, BOT), &svid)] {
            settings.trust.crls = vec![world.file("crl.pem", list.as_bytes(), 0o644)];
            assert_eq!(connect(&world, &settings, server(issued, &[])).map_err(|_| ()), want);
        }
    }
}

#[test]
fn names_of_the_policy_narrow_further() {
    let world = World::new();
    let both = Template { uris: vec![BOT.to_owned()], ..Template::server(&[HOST]) };
    let both = world.ca.issue(&Template { for_clients: true, ..both }).unwrap();
    let web = world.ca.server(&[HOST]).unwrap();
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (names, issued, want) in [
        (vec![list(&["*.example.com"])], &web, true),
        (vec![list(&["*.example.com"]), list(&["spiffe://example.org/ns/**"])], &both, true),
        (vec![list(&["spiffe://example.org/ns/**"])], &both, true),
        (vec![list(&["spiffe://example.org/ns/**"])], &web, false),
        (vec![list(&["spiffe://other.org/**"])], &both, false),
    ] {
        let mut settings = settings(&world);
        settings.trust.names = names.clone();
        assert_eq!(connect(&world, &settings, server(issued, &[])).is_ok(), want, "{names:?}");
    }
    let mut settings = settings(&world);
    settings.trust.names = vec![list(&["other.example"])];
    assert_eq!(
        load(&world, &settings).unwrap_err(),
        format!(
            "no name of `trust.names` allows `{HOST}`, which the bootstrap expects, so no connection could be made"
        )
    );
    let mut settings = spiffe(&world, BOT);
    settings.trust.names = vec![list(&[HOST])];
    assert!(load(&world, &settings).unwrap_err().contains(BOT));
}

#[test]
fn versions_and_groups_are_those_of_the_policy() {
    let world = World::new();
    let issued = world.ca.server(&[HOST]).unwrap();
    let old = || server_with(&issued, &[], &[&rustls::version::TLS12]);
    let strict = Settings { min_version: TlsVersion::V1_3, ..settings(&world) };
    assert_eq!(connect(&world, &settings(&world), old()), Ok(()));
    connect(&world, &strict, old()).unwrap_err();
    let classical = || {
        let provider = rustls::crypto::CryptoProvider { kx_groups: vec![kx_group::X25519], ..default_provider() };
        server_of(&issued, provider)
    };
    assert_eq!(connect(&world, &settings(&world), classical()), Ok(()));
    connect(&world, &Settings { key_exchange: KeyExchange::HybridRequired, ..settings(&world) }, classical())
        .unwrap_err();
}

fn server_of(issued: &Issued, provider: rustls::crypto::CryptoProvider) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

#[test]
fn we_present_our_own_identity_when_asked() {
    let world = World::new();
    let (web, own) = (world.ca.server(&[HOST]).unwrap(), world.ca.issue(&Template::svid(BOT)).unwrap());
    let asking = || {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(world.ca.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let chain = CertificateDer::pem_slice_iter(web.cert_pem.as_bytes()).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(web.key_pem.expose().as_bytes()).unwrap();
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap()
    };
    connect(&world, &settings(&world), asking()).unwrap_err();
    let with = Settings { identity: Some(world.identity("own", &[], &own)), ..settings(&world) };
    let tls = load(&world, &with).unwrap();
    let connected = handshake_as(&Arc::new(asking()), &tls.client_config(&[]), tls.server_name()).unwrap();
    assert_eq!(connected.server.peer_certificates().unwrap()[0], own.der);
    let server_only = world.ca.server(&[HOST]).unwrap();
    let with = Settings { identity: Some(world.identity("web-only", &[], &server_only)), ..settings(&world) };
    assert!(load(&world, &with).unwrap_err().contains("is not for clients"));
}

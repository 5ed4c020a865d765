//! What a Workload API says, read strictly, and what TLS makes of it: SVIDs that come and go, and bundles that speak for
//! their own trust domain alone.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::{Arc, LazyLock};

use postern_certs::{Authority, Issued, MessageSvid, Template, UpstreamTls, Workload, WorkloadMessage, Workloads};
use postern_config::{
    Anchor, CryptoProfile, Expected, IdentitySource, KeyExchange, OwnIdentity, Redacted, TlsVersion,
    UpstreamTls as UpstreamSettings,
};
use proptest::prelude::*;
use proptest::sample::Index;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use support::{BOT, World, client, handshake, refusal};

const EDGE: &str = "spiffe://example.org/ns/edge/sa/postern";
const PARTNER: &str = "spiffe://partner.example/ns/acme/sa/bot";

/// A message with one SVID of `authority`.
fn message(id: &str, issued: &Issued, authority: &Authority) -> WorkloadMessage {
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let svid = MessageSvid {
        spiffe_id: id.to_owned(),
        chain: issued.der.to_vec(),
        key: Redacted::new(key.secret_der().to_vec()),
        bundle: authority.issued().der.to_vec(),
    };
    WorkloadMessage { svids: vec![svid], ..WorkloadMessage::default() }
}

fn federated(mut message: WorkloadMessage, domain: &str, authority: &Authority) -> WorkloadMessage {
    message.federated.push((format!("spiffe://{domain}"), authority.issued().der.to_vec()));
    message
}

fn read(world: &World, message: &WorkloadMessage) -> Workload {
    Workload::read(message, world.clock.unix()).unwrap()
}

fn said(workload: Workload) -> Workloads {
    [(None, Arc::new(workload))].into_iter().collect()
}

fn domain(name: &str) -> Anchor {
    Anchor::Spiffe { socket: None, trust_domain: name.to_owned() }
}

fn svid(id: Option<&str>) -> OwnIdentity {
    let source = IdentitySource::Spiffe { socket: None, id: id.map(str::to_owned) };
    OwnIdentity { name: "own".to_owned(), hosts: Vec::new(), source }
}

/// A world with an agent that is federated with `partner.example`, a listener that presents its SVID, and the partner.
fn mesh() -> (World, Authority) {
    let mut world = World::new();
    let partner = Authority::new("partner", world.now()).unwrap();
    let issued = world.ca.issue(&Template::svid(EDGE)).unwrap();
    let message = federated(message(EDGE, &issued, &world.ca), "partner.example", &partner);
    world.workloads = said(read(&world, &message));
    world.settings.identities = vec![svid(None)];
    world.settings.trust.anchors = vec![domain("example.org")];
    world.settings.trust.names = vec![vec![
        "spiffe://example.org/**".to_owned(),
        "spiffe://partner.example/**".to_owned(),
        "*.example.org".to_owned(),
    ]];
    (world, partner)
}

#[test]
fn a_message_is_read_whole_or_not_at_all() {
    let (world, partner) = mesh();
    let issue = |template: &Template| world.ca.issue(template).unwrap();
    let good = || {
        let issued = issue(&Template::svid(EDGE));
        federated(message(EDGE, &issued, &world.ca), "partner.example", &partner)
    };
    let of = |template: Template| message(EDGE, &issue(&template), &world.ca);
    let two = Template { uris: vec![EDGE.to_owned(), BOT.to_owned()], ..Template::svid(EDGE) };
    let client_only = Template { for_servers: false, ..Template::svid(EDGE) };
    let root = "spiffe://example.org";
    let with = |change: &dyn Fn(&mut WorkloadMessage)| {
        let mut message = good();
        change(&mut message);
        message
    };
    let other = |m: &mut WorkloadMessage| {
        m.svids.push(message(BOT, &issue(&Template::svid(BOT)), &partner).svids.remove(0));
    };
    for (case, message, want) in [
        ("good", good(), None),
        ("no SVID", WorkloadMessage::default(), Some("holds no SVID")),
        ("two URIs", of(two), Some("2 URI names")),
        ("no URI", of(Template::server(&["a.example.org"])), Some("carries no SPIFFE ID")),
        ("an authority", of(Template { is_ca: true, ..Template::svid(EDGE) }), Some("may sign certificates")),
        ("for clients alone", of(client_only), Some("leaves out clients or servers")),
        ("no key usage", of(Template { key_usage: false, ..Template::svid(EDGE) }), Some("critical key usage")),
        ("expired", of(Template { begins: -9, ends: -5, ..Template::svid(EDGE) }), Some("certificate 0 ended")),
        ("too early", of(Template { begins: 99, ..Template::svid(EDGE) }), Some("is not valid before")),
        ("another ID beside it", with(&|m| m.svids[0].spiffe_id = BOT.to_owned()), Some("is the one of")),
        ("a trust domain", message(root, &issue(&Template::svid(root)), &world.ca), Some("has no path")),
        ("garbage", with(&|m| m.svids[0].chain = b"garbage".to_vec()), Some("not an X.509 certificate")),
        ("bytes behind it", with(&|m| m.svids[0].chain.push(0)), Some("not an X.509 certificate")),
        ("no chain", with(&|m| m.svids[0].chain.clear()), Some("holds no certificate")),
        ("no key", with(&|m| m.svids[0].key = Redacted::new(Vec::new())), Some("holds no private key")),
        ("a key of nobody", with(&|m| m.svids[0].key = Redacted::new(vec![1])), Some("cannot be used")),
        ("another key", with(&|m| m.svids[0].key = good().svids.remove(0).key), Some("not the one of the certificate")),
        ("no bundle", with(&|m| m.svids[0].bundle.clear()), Some("bundle of trust domain `example.org`")),
        ("no authority", with(&|m| m.svids[0].bundle = m.svids[0].chain.clone()), Some("not a certificate authority")),
        ("a bundle of the domain twice", with(&other), Some("two different bundles of trust domain `example.org`")),
        ("no domain", with(&|m| m.federated[0].0 = "partner.example".to_owned()), Some("begin with `spiffe://`")),
        ("a workload's bundle", with(&|m| m.federated[0].0.push_str("/a")), Some("under the ID of a workload")),
        ("a list that is none", with(&|m| m.crls.push(b"list".to_vec())), Some("revocation list 0")),
        ("too many", with(&|m| m.crls = vec![Vec::new(); 257]), Some("more than 256 revocation lists")),
    ] {
        let said = Workload::read(&message, world.clock.unix()).map_err(|fault| fault.to_string());
        match (said, want) {
            (Ok(_), None) => {}
            (Err(fault), Some(want)) => assert!(fault.contains(want), "{case}: {fault}"),
            (said, want) => panic!("{case}: {said:?} instead of {want:?}"),
        }
    }
}

#[test]
fn nothing_outlives_its_end() {
    let (world, partner) = mesh();
    let issued = world.ca.issue(&Template { ends: 60, ..Template::svid(EDGE) }).unwrap();
    let workload = read(&world, &federated(message(EDGE, &issued, &world.ca), "partner.example", &partner));
    let end = workload.ends().unwrap();
    assert_eq!(end, world.clock.unix() + 60);
    assert_eq!(workload.at(end).svids().count(), 1);
    let later = workload.at(end + 1);
    assert_eq!(later.svids().count(), 0);
    assert_eq!(later.trust_domains().collect::<Vec<_>>(), ["example.org", "partner.example"]);
    assert!(later.at(i64::MAX).is_empty());
    assert!(!later.is_empty());
}

/// SPI-03.
#[test]
fn a_bundle_speaks_for_the_ids_of_its_own_domain_alone() {
    let (mut world, partner) = mesh();
    let host = Template { hosts: vec!["mia.example.org".to_owned()], ..Template::svid(BOT) };
    let bare = Template { uris: Vec::new(), ..host.clone() };
    let both = vec![domain("example.org"), domain("partner.example")];
    let file = world.file("partner.pem", partner.ca_pem().as_bytes(), 0o644);
    let mixed = vec![domain("example.org"), Anchor::Pem(file)];
    for (case, anchors, authority, template, want) in [
        ("own", &both, &world.ca, Template::svid(BOT), ""),
        ("partner", &both, &partner, Template::svid(PARTNER), ""),
        ("our ID by the partner", &both, &partner, Template::svid(BOT), "UnknownIssuer"),
        ("the partner's ID by us", &both, &world.ca, Template::svid(PARTNER), "UnknownIssuer"),
        ("a host by us", &both, &world.ca, bare.clone(), "nothing vouches"),
        ("no anchor", &vec![domain("example.org")], &partner, Template::svid(PARTNER), "nothing vouches"),
        ("a file vouches for anybody", &mixed, &partner, Template::svid(BOT), ""),
        ("for hosts, too", &mixed, &partner, bare, ""),
        ("but not we", &mixed, &world.ca, Template::svid(PARTNER), "UnknownIssuer"),
    ] {
        world.settings.trust.anchors.clone_from(anchors);
        let said = world.load().unwrap().peer(&[authority.issue(&template).unwrap().der]);
        let refused = said.err().map(|error| refusal(&error)).unwrap_or_default();
        assert!(refused.contains(want) && refused.is_empty() == want.is_empty(), "{case}: {refused}");
    }
}

#[test]
fn a_trust_domain_vouches_for_no_host_beside_an_id() {
    let (mut world, _) = mesh();
    let issued =
        world.ca.issue(&Template { hosts: vec!["mia.example.org".to_owned()], ..Template::svid(BOT) }).unwrap();
    let peer = world.load().unwrap().peer(std::slice::from_ref(&issued.der)).unwrap();
    assert_eq!((peer.spiffe().unwrap().as_str(), peer.dns_names().count()), (BOT, 0));
    world.settings.trust.names = vec![vec!["*.example.org".to_owned()]];
    let error = world.load().unwrap().peer(&[issued.der]).unwrap_err();
    assert!(refusal(&error).contains("none of the leaf's names"), "{error}");
}

#[test]
fn a_listener_follows_its_agent_without_a_file_being_read() {
    let (mut world, partner) = mesh();
    world.settings.trust.anchors = vec![
        domain("example.org"),
        domain("partner.example"),
        Anchor::Pem(world.file("extra.pem", world.ca.ca_pem().as_bytes(), 0o644)),
    ];
    let first = world.load().unwrap();
    std::fs::remove_file(world.dir.path().join("extra.pem")).unwrap();
    let named = Template { hosts: vec!["edge.example.org".to_owned()], ..Template::svid(EDGE) };
    let shown = |tls: &postern_certs::ListenerTls| {
        let peer = world.ca.issue(&Template::svid(BOT)).unwrap();
        let client = Arc::new(client(&world.ca, Some(&peer)));
        let connected = handshake(&tls.server_config(), &client, "edge.example.org").map_err(|e| refusal(&e))?;
        Ok::<_, String>(connected.client.peer_certificates().unwrap()[0].to_vec())
    };
    // Another SVID, without the partner's bundle.
    let next = world.ca.issue(&named).unwrap();
    let renewed = first.renewed(&said(read(&world, &message(EDGE, &next, &world.ca)))).unwrap().unwrap();
    assert_eq!(shown(&renewed), Ok(next.der.to_vec()));
    assert!(renewed.still_holds(&first, None));
    let stranger = [partner.issue(&Template::svid(PARTNER)).unwrap().der];
    first.peer(&stranger).unwrap();
    renewed.peer(&stranger).unwrap_err();
    // Another ID.
    let other = world.ca.issue(&Template { uris: vec![BOT.to_owned()], ..named }).unwrap();
    let other = renewed.renewed(&said(read(&world, &message(BOT, &other, &world.ca)))).unwrap().unwrap();
    assert!(!other.still_holds(&first, None) && !other.still_holds(&renewed, None));
    assert_eq!(other.own_spiffe(None).unwrap().as_str(), BOT);
    // Nothing at all.
    let bare = other.renewed(&said(Workload::default())).unwrap().unwrap();
    shown(&bare).unwrap_err();
    assert_eq!((bare.identities().count(), bare.own_spiffe(None)), (0, None));
    assert!(!bare.still_holds(&other, None));
    // A listener of files does not follow anybody.
    world.settings.identities = vec![world.identity("web", &[], &world.ca.server(&["a.example.org"]).unwrap())];
    world.settings.trust.anchors = vec![Anchor::Pem(world.file("ca.pem", world.ca.ca_pem().as_bytes(), 0o644))];
    assert!(world.load().unwrap().renewed(&Workloads::default()).unwrap().is_none());
}

#[test]
fn what_an_agent_does_not_give_does_not_load() {
    let (world, _) = mesh();
    let mut settings = world.settings.clone();
    settings.identities = vec![svid(Some(BOT))];
    settings.trust.anchors = vec![domain("example.org"), domain("elsewhere.example")];
    settings.trust.curves = vec![postern_config::Curve::P384];
    let problems = |workloads: &Workloads| {
        let problems = postern_certs::ListenerTls::load(&settings, workloads, world.clock.unix()).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let said = problems(&world.workloads);
    assert_eq!(said.len(), 3, "{said:?}");
    for (said, want) in
        said.iter().zip([BOT, "weak or unknown key: P-256", "no bundle of trust domain `elsewhere.example`"])
    {
        assert!(said.contains(want), "{said}");
    }
    assert!(problems(&Workloads::default()).iter().all(|said| said.contains("has not been asked")));
}

#[test]
fn an_svid_speaks_for_the_hosts_it_would_be_presented_for() {
    let (mut world, _) = mesh();
    let web = world.identity("web", &["a.example.org"], &world.ca.server(&["a.example.org"]).unwrap());
    world.settings.identities = vec![web, svid(None)];
    let tls = world.load().unwrap();
    for (sni, host, want) in [
        (None, "b.example.org", true),
        (Some("b.example.org"), "c.example.org", true),
        (Some("b.example.org"), "127.0.0.1", true),
        (Some("b.example.org"), "a.example.org", false),
        (Some("a.example.org"), "b.example.org", false),
        (Some("a.example.org"), "a.example.org", true),
    ] {
        assert_eq!(tls.covers(sni, host), want, "{sni:?} {host}");
    }
}

/// SPI-03, towards an upstream.
#[test]
fn an_upstream_is_vouched_for_by_its_own_trust_domain() {
    let (world, partner) = mesh();
    let settings = |id: &str, anchors: &[&str]| UpstreamSettings {
        server_name: "orders.example.org".to_owned(),
        expected: Expected::Spiffe(id.to_owned()),
        trust: postern_config::PeerTrust {
            anchors: anchors.iter().map(|name| domain(name)).collect(),
            names: Vec::new(),
            ..world.settings.trust.clone()
        },
        min_version: TlsVersion::V1_3,
        key_exchange: KeyExchange::HybridPreferred,
        profile: CryptoProfile::Default,
        identity: Some(svid(None)),
        warn_before: std::time::Duration::ZERO,
    };
    let both = ["example.org", "partner.example"];
    for (id, anchors, authority, shown, good) in [
        (BOT, &both[..], &world.ca, BOT, true),
        (PARTNER, &both[..], &partner, PARTNER, true),
        (BOT, &both[..], &partner, BOT, false),
        (PARTNER, &both[..], &world.ca, PARTNER, false),
        (BOT, &both[..], &partner, PARTNER, false),
        (BOT, &both[..1], &world.ca, EDGE, false),
    ] {
        let tls = UpstreamTls::load(&settings(id, anchors), &world.workloads, world.clock.unix()).unwrap();
        let server = Arc::new(server(&authority.issue(&Template::svid(shown)).unwrap(), &world));
        let said = handshake(&server, &tls.client_config(&[b"h2"]), "orders.example.org");
        assert_eq!(said.is_ok(), good, "{id} as {shown}: {:?}", said.err());
        assert_eq!(tls.lacks(), None);
        let bare = tls.renewed(&said_nothing()).unwrap().unwrap();
        assert!(bare.lacks().unwrap().contains("identity `own`"));
        assert!(handshake(&server, &bare.client_config(&[b"h2"]), "orders.example.org").is_err());
    }
}

fn said_nothing() -> Workloads {
    said(Workload::default())
}

/// A server that demands a certificate of the world's authority.
fn server(issued: &Issued, world: &World) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.ca.ca_pem().as_bytes()).unwrap()).unwrap();
    let callers = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(callers.build().unwrap())
        .with_single_cert(vec![issued.der.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What is changed anywhere is refused, or was of no account; nothing panics.
    #[test]
    fn a_message_that_was_damaged_never_panics(field in 0..5_usize, at in any::<Index>(), bits in 1..=255_u8, cut in any::<bool>()) {
        static GOOD: LazyLock<(World, Authority, Issued)> = LazyLock::new(|| {
            let (world, partner) = mesh();
            let issued = world.ca.issue(&Template::svid(EDGE)).unwrap();
            (world, partner, issued)
        });
        let (world, partner, issued) = &*GOOD;
        let mut message = federated(message(EDGE, issued, &world.ca), "partner.example", partner);
        let pem = world.ca.crl(&[issued], 60).unwrap();
        message.crls.push(CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec());
        let mut key = message.svids[0].key.expose().clone();
        let bytes = match field {
            0 => &mut message.svids[0].chain,
            1 => &mut key,
            2 => &mut message.svids[0].bundle,
            3 => &mut message.crls[0],
            _ => &mut message.federated[0].1,
        };
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        if cut {
            bytes.truncate(at);
        }
        message.svids[0].key = Redacted::new(key);
        let _ = Workload::read(&message, world.clock.unix());
    }
}

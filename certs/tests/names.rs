//! Names in certificates that are not what they seem (attacks 9, 28 and 30).

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use postern_config::Anchor;
use rcgen::string::BmpString;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, DnValue, IsCa, KeyPair,
    KeyUsagePurpose, OtherNameValue, SanType,
};
use support::{BOT, World, refusal};

type Root = CertifiedIssuer<'static, KeyPair>;

/// A root that `world` trusts, of what [`postern_certs::Authority`] does not make.
fn root(world: &mut World, change: impl FnOnce(&mut CertificateParams)) -> Root {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    world.settings.trust.anchors = vec![Anchor::Pem(world.file("own.pem", root.pem().as_bytes(), 0o644))];
    root
}

fn leaf(names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

#[test]
fn attack_30_what_only_looks_like_the_name_is_not_the_name() {
    let mut world = World::new();
    let root = root(&mut world, |_| {});
    world.settings.trust.names = vec![vec!["spiffe://example.org/ns/**".to_owned(), "*.example.org".to_owned()]];
    let tls = world.load().unwrap();
    // 1.3.6.1.4.1.311.20.2.3, the user principal name.
    let other = |text: &str| {
        SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], OtherNameValue::Utf8String(text.to_owned())))
    };
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    for (case, names, want) in [
        ("an otherName that reads like the ID", vec![other(BOT)], "none of the leaf's names is accepted"),
        ("an otherName that reads like a host", vec![other("a.example.org")], "none of the leaf's names is accepted"),
        ("a wildcard in the ID", vec![uri("spiffe://example.org/ns/*")], "SPIFFE ID is malformed"),
        ("a wildcard for a trust domain", vec![uri("spiffe://*/ns/a")], "SPIFFE ID is malformed"),
        ("a wildcard host", vec![dns("*.example.org")], "none of the leaf's names is accepted"),
        ("NUL in the ID", vec![uri("spiffe://example.org/ns/a\0.evil")], "URI that is not printable"),
        ("NUL in the host", vec![dns("a.example.org\0.evil.org")], "DNS name that is not one"),
        ("the ID and a second URI", vec![uri(BOT), uri("https://example.org/")], "has exactly one"),
        ("no name at all", vec![], "none of the leaf's names is accepted"),
    ] {
        let issued = leaf(names).signed_by(&KeyPair::generate().unwrap(), &root).unwrap();
        let error = tls.peer(&[issued.der().clone()]).unwrap_err();
        assert!(refusal(&error).contains(want), "{case}: {}", refusal(&error));
    }
    let issued = leaf(vec![uri(BOT), other("evil")]).signed_by(&KeyPair::generate().unwrap(), &root).unwrap();
    assert_eq!(tls.peer(&[issued.der().clone()]).unwrap().spiffe().unwrap().as_str(), BOT, "the real one beside it");
}

#[test]
fn attack_28_bytes_that_are_no_text_in_a_subject_decide_nothing() {
    let mut world = World::new();
    let strange = || DnValue::BmpString(BmpString::try_from("\u{ff}\u{fe}\n\u{1b}[2J").unwrap());
    let root = root(&mut world, |params| params.distinguished_name.push(DnType::CommonName, strange()));
    let tls = world.load().unwrap();
    for (case, names, common, want) in [
        ("with the ID", vec![uri(BOT)], strange(), true),
        ("with nothing else", vec![], strange(), false),
        ("a subject that reads like the ID", vec![], DnValue::Utf8String(BOT.to_owned()), false),
    ] {
        let mut params = leaf(names);
        params.distinguished_name.push(DnType::CommonName, common);
        let issued = params.signed_by(&KeyPair::generate().unwrap(), &root).unwrap();
        let peer = tls.peer(&[issued.der().clone()]);
        assert_eq!(peer.is_ok(), want, "{case}: {peer:?}");
        if let Ok(peer) = peer {
            assert!(!peer.issuer().chars().any(char::is_control), "{:?} would write into a log", peer.issuer());
        }
    }
}

/// `NameConstraints` with one permitted URI subtree (RFC 5280 §4.2.1.10).
fn only_uris_of(host: &str) -> CustomExtension {
    let host = host.as_bytes();
    let length = |extra: usize| u8::try_from(host.len() + extra).unwrap();
    let mut der = vec![0x30, length(6), 0xa0, length(4), 0x30, length(2), 0x86, length(0)];
    der.extend_from_slice(host);
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], der);
    extension.set_criticality(true);
    extension
}

#[test]
fn attack_9_an_intermediate_of_another_trust_domain_does_not_speak_for_ours() {
    let mut world = World::new();
    let root = root(&mut world, |_| {});
    let tls = world.load().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "below");
    params.custom_extensions = vec![only_uris_of("other.org")];
    let below = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
    let issued = leaf(vec![uri(BOT)]).signed_by(&KeyPair::generate().unwrap(), &below).unwrap();
    let error = tls.peer(&[issued.der().clone(), below.der().clone()]).unwrap_err();
    assert!(refusal(&error).contains("NameConstraint"), "{error:?}");
}

//! An issuer that may name some only: what it says of others is refused (attack 9).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use postern_certs::ListenerTls;
use postern_config::Anchor;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, IsCa, KeyPair, SanType};
use support::{BOT, World};

const HOST: &str = "mia.clients.example.org";

/// Name constraints (RFC 5280 §4.2.1.10) with one subtree.
fn constraints(permitted: bool, kind: u8, base: &str) -> CustomExtension {
    let name = [&[kind, u8::try_from(base.len()).unwrap()], base.as_bytes()].concat();
    let wrap = |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
    let subtrees = wrap(if permitted { 0xa0 } else { 0xa1 }, &wrap(0x30, &name));
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], wrap(0x30, &subtrees));
    extension.set_criticality(true);
    extension
}

fn authority(extension: Option<CustomExtension>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.custom_extensions.extend(extension);
    params
}

/// Whether `tls` believes a leaf with this name from an intermediate with this extension.
fn believed(
    tls: &ListenerTls,
    root: &CertifiedIssuer<'_, KeyPair>,
    extension: Option<CustomExtension>,
    name: SanType,
) -> bool {
    let below = CertifiedIssuer::signed_by(authority(extension), KeyPair::generate().unwrap(), root).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![name];
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let leaf = params.signed_by(&KeyPair::generate().unwrap(), &below).unwrap();
    tls.peer(&[leaf.der().clone(), below.der().clone()]).is_ok()
}

#[test]
fn attack_9_an_issuer_that_is_constrained_speaks_for_nobody_else() {
    const DNS: u8 = 0x82;
    const URI: u8 = 0x86;
    let mut world = World::new();
    let root = CertifiedIssuer::self_signed(authority(None), KeyPair::generate().unwrap()).unwrap();
    world.settings.trust.anchors = vec![Anchor::Pem(world.file("root.pem", root.pem().as_bytes(), 0o644))];
    world.settings.trust.names = vec![vec!["spiffe://example.org/**".to_owned(), "*.clients.example.org".to_owned()]];
    let tls = world.load().unwrap();
    let uri = || SanType::URI(BOT.try_into().unwrap());
    let dns = || SanType::DnsName(HOST.try_into().unwrap());
    assert!(believed(&tls, &root, None, uri()) && believed(&tls, &root, None, dns()), "without constraints");
    assert!(believed(&tls, &root, Some(constraints(true, DNS, "clients.example.org")), dns()), "within them");
    for (case, extension, name) in [
        ("another trust domain", constraints(true, URI, "other.test"), uri()),
        ("a domain with our tail", constraints(true, URI, ".org"), uri()),
        ("this one taken out", constraints(false, URI, "example.org"), uri()),
        ("another zone", constraints(true, DNS, "other.test"), dns()),
        ("a zone within", constraints(true, DNS, "x.clients.example.org"), dns()),
        ("this zone taken out", constraints(false, DNS, "example.org"), dns()),
    ] {
        assert!(!believed(&tls, &root, Some(extension), name), "{case}");
    }
}

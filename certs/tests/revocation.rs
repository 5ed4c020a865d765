//! Revocation lists: leaves and intermediates, absent and old lists, and lists that are none (attack 9).

mod support;

use std::sync::Arc;

use postern_certs::{Issued, ListenerTls, Template};
use postern_config::{Material, Waived, Waiver};
use support::{BOT, World, client, handshake, refusal};

fn with_crls(world: &mut World, lists: &[&str]) {
    world.settings.trust.crls = vec![world.file("crl.pem", lists.concat().as_bytes(), 0o644)];
}

/// What a listener says to a client that presents `issued` with `above` behind it.
fn connect(world: &World, tls: &ListenerTls, issued: &Issued, above: &str) -> Result<(), String> {
    let shown = Issued { cert_pem: format!("{}{above}", issued.cert_pem), ..issued.clone() };
    let client = Arc::new(client(&world.ca, Some(&shown)));
    handshake(&tls.server_config(), &client, "localhost").map(|_| ()).map_err(|error| refusal(&error))
}

#[test]
fn attack_9_a_revoked_leaf_or_intermediate_is_refused_and_so_is_one_that_no_list_covers() {
    let mut world = World::new();
    let below = world.ca.intermediate("below").unwrap();
    let direct = world.ca.issue(&Template::svid(BOT)).unwrap();
    let other = world.ca.issue(&Template::svid(BOT)).unwrap();
    let leaf = below.issue(&Template::svid(BOT)).unwrap();
    let root_list = |revoked: &[&Issued]| world.ca.crl(revoked, 600).unwrap();
    let (none, of_leaf) = (below.crl(&[], 600).unwrap(), below.crl(&[&leaf], 600).unwrap());
    let cases: Vec<(&str, Vec<String>, &Issued, Option<&str>)> = vec![
        ("nothing is revoked", vec![root_list(&[])], &direct, None),
        ("another one is revoked", vec![root_list(&[&other])], &direct, None),
        ("the leaf is revoked", vec![root_list(&[&direct])], &direct, Some("Revoked")),
        ("both lists are there", vec![root_list(&[]), none.clone()], &leaf, None),
        ("the leaf below is revoked", vec![root_list(&[]), of_leaf.clone()], &leaf, Some("Revoked")),
        ("the intermediate is revoked", vec![root_list(&[&below.issued()]), none.clone()], &leaf, Some("Revoked")),
        ("no list of the intermediate", vec![root_list(&[])], &leaf, Some("UnknownRevocationStatus")),
        ("no list of the root", vec![none.clone()], &leaf, Some("UnknownRevocationStatus")),
        ("an old list before the new one", vec![root_list(&[]), root_list(&[&direct])], &direct, Some("is revoked")),
    ];
    for (case, lists, issued, want) in cases {
        let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
        world.settings.trust.crls = vec![world.file("crl.pem", lists.concat().as_bytes(), 0o644)];
        let tls = world.load().unwrap();
        let outcome = connect(&world, &tls, issued, &below.ca_pem());
        match want {
            None => assert_eq!(outcome, Ok(()), "{case}"),
            Some(want) => assert!(outcome.as_ref().is_err_and(|why| why.contains(want)), "{case}: {outcome:?}"),
        }
    }
}

#[test]
fn attack_9_a_leaf_of_several_distribution_points_is_revoked_by_the_list_of_any() {
    let mut world = World::new();
    let points = ["http://crl.example/a", "http://crl.example/b"];
    let leaf =
        world.ca.issue(&Template { crl_points: points.map(str::to_owned).to_vec(), ..Template::svid(BOT) }).unwrap();
    let at = |revoked: &[&Issued], point| world.ca.crl_at(revoked, 600, Some(point)).unwrap();
    let (a, b) = (at(&[], points[0]), at(&[], points[1]));
    let (a_revoked, b_revoked) = (at(&[&leaf], points[0]), at(&[&leaf], points[1]));
    for (case, lists, want) in [
        ("neither", [&a, &b], true),
        ("the first", [&a_revoked, &b], false),
        ("the second", [&a, &b_revoked], false),
        ("the second, listed first", [&b_revoked, &a], false),
    ] {
        with_crls(&mut world, &lists.map(String::as_str));
        let outcome = connect(&world, &world.load().unwrap(), &leaf, "");
        assert_eq!(outcome.is_ok(), want, "{case}: {outcome:?}");
    }
    let elsewhere = world.ca.crl_at(&[], 600, Some("http://crl.example/c")).unwrap();
    with_crls(&mut world, &[&elsewhere]);
    let outcome = connect(&world, &world.load().unwrap(), &leaf, "");
    assert!(outcome.as_ref().is_err_and(|why| why.contains("UnknownRevocationStatus")), "{outcome:?}");
}

#[test]
fn a_list_that_is_over_believes_nobody() {
    let mut world = World::new();
    let leaf = world.ca.issue(&Template::svid(BOT)).unwrap();
    let list = world.ca.crl(&[], 600).unwrap();
    with_crls(&mut world, &[&list]);
    let tls = world.load().unwrap();
    assert_eq!(tls.lists_end(), Some(world.clock.unix() + 600));
    connect(&world, &tls, &leaf, "").unwrap();
    world.clock.advance(601);
    let outcome = connect(&world, &tls, &leaf, "");
    assert!(outcome.as_ref().is_err_and(|why| why.contains("ExpiredRevocationList")), "{outcome:?}");
    let problems = world.load().unwrap_err();
    assert!(problems[0].to_string().contains("should have been followed by another one"), "{}", problems[0]);
}

#[test]
fn attack_9_a_malformed_list_does_not_load() {
    let mut world = World::new();
    let list = world.ca.crl(&[], 600).unwrap();
    for (case, bytes, want) in [
        ("nothing", String::new(), "holds no revocation list"),
        ("a certificate", world.ca.ca_pem(), "holds no revocation list"),
        ("cut", list[..list.len() / 2].to_owned(), "PEM"),
        ("junk", "-----BEGIN X509 CRL-----\nMAUCAQEwAA==\n-----END X509 CRL-----\n".to_owned(), "cannot be read"),
        ("empty DER", "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n".to_owned(), "cannot be read"),
    ] {
        with_crls(&mut world, &[&bytes]);
        let problems = world.load().unwrap_err();
        assert!(problems[0].to_string().contains(want), "{case}: {}", problems[0]);
    }
}

#[test]
fn attack_9_what_no_list_covers_passes_until_the_exception_ends_and_what_is_revoked_never() {
    let mut world = World::new();
    let below = world.ca.intermediate("below").unwrap();
    let (good, bad) = (world.ca.issue(&Template::svid(BOT)).unwrap(), world.ca.issue(&Template::svid(BOT)).unwrap());
    let uncovered = below.issue(&Template::svid(BOT)).unwrap();
    let list = world.ca.crl(&[&bad], 600).unwrap();
    let waived = |until: i64| {
        Some(Waived { what: Waiver::UnknownRevocation, exception: Arc::from("Policy/default/posture#lists"), until })
    };
    let start = world.clock.unix();
    let until = start + 2000;
    with_crls(&mut world, &[&list]);
    let refused = |outcome: Result<(), String>, why: &str| outcome.is_err_and(|error| error.contains(why));
    assert!(refused(connect(&world, &world.load().unwrap(), &uncovered, &below.ca_pem()), "UnknownRevocationStatus"));
    world.settings.trust.unknown = waived(until);
    let tls = world.load().unwrap();
    assert_eq!(connect(&world, &tls, &good, ""), Ok(()));
    assert_eq!(tls.unknown_passed(), 0, "what a list covers does not hang on the exception");
    assert_eq!(connect(&world, &tls, &uncovered, &below.ca_pem()), Ok(()));
    assert!(refused(connect(&world, &tls, &bad, ""), "evoked"));
    assert_eq!(tls.unknown_passed(), 1);
    world.clock.advance(700);
    assert_eq!(connect(&world, &tls, &good, ""), Ok(()), "the list is over");
    assert!(refused(connect(&world, &tls, &bad, ""), "evoked"), "and still says who is revoked");
    assert_eq!(tls.unknown_passed(), 2);
    let old = world.load().unwrap();
    assert_eq!(connect(&world, &old, &good, ""), Ok(()), "an old list loads");
    assert!(refused(connect(&world, &old, &bad, ""), "evoked"));
    let present = std::mem::take(&mut world.settings.trust.crls);
    world.settings.trust.crls = vec![Material::File("/nowhere/crl.pem".into())];
    let without = world.load().unwrap();
    assert_eq!(connect(&world, &without, &good, ""), Ok(()), "there is no list");
    world.settings.trust.crls = vec![world.file("junk.pem", b"nonsense", 0o644)];
    assert!(world.load().is_err(), "a file that says something nobody understands is no file that is not there");
    world.settings.trust.crls = present;
    world.clock.advance(u64::try_from(until - world.clock.unix()).unwrap());
    for (case, tls) in [("as it was", &tls), ("an old list", &old), ("no list", &without)] {
        assert!(connect(&world, tls, &good, "").is_err(), "{case}: the exception has ended");
    }
    assert!(connect(&world, &world.load().unwrap(), &good, "").is_err(), "it loads, and refuses");
    let fresh = world.ca.crl(&[&bad], 6000).unwrap();
    with_crls(&mut world, &[&fresh]);
    assert_eq!(connect(&world, &world.load().unwrap(), &good, ""), Ok(()), "with a list of today nothing hangs on it");
}

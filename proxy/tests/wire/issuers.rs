//! Issuers over the network: their keys, and what they say about tokens (attacks 34 and 35).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use futures::future::join_all;
use postern_certs::Authority;
use postern_filters::token::mint::SigningKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::house::upstream::{Act, Seen, answer};
use crate::house::{Ask, Caller, House, Plan, Upstream, caller, within};

const JWKS: &str = "jwksFrom: \"file:keys/jwks.json\"";
const METADATA: &str = "/.well-known/openid-configuration";

/// The house, with the issuer at `site` instead of its own. `source` says where its keys are.
pub(crate) fn plan(site: &Upstream, source: &str) -> Plan {
    let (port, own) = (site.address().port(), "https://login.house.test");
    let network = format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: here}}\nspec:\n  \
         targetRefs: [{{kind: Gateway, name: house}}]\n  egress: {{allow: [{{name: here, cidrs: [\"127.0.0.1/32\"], \
         ports: [MODEL_PORT, PLAIN_PORT, {port}]}}], privateRanges: AllowListed}}\n"
    );
    House::plan()
        .with("manifests/identity.yaml", own, &issuer(site))
        .with("manifests/chat.yaml", own, &issuer(site))
        .with("manifests/identity.yaml", JWKS, source)
        .also(&network)
}

pub(crate) fn issuer(site: &Upstream) -> String {
    format!("http://{}", site.address())
}

/// A token of `who` by the issuer at `site`.
pub(crate) fn token(site: &Upstream, key: &SigningKey, who: &Caller, now: i64, change: Value) -> String {
    let mut claims = caller::claims(who, who, now, change);
    claims["iss"] = json!(issuer(site));
    key.sign(&key.header(), &claims).unwrap()
}

pub(crate) fn key(id: &str) -> SigningKey {
    SigningKey::generate_es256(id).unwrap()
}

pub(crate) fn jwks(keys: &[&SigningKey]) -> Vec<u8> {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string().into_bytes()
}

pub(crate) fn json_bytes(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    answer(200, &[&[("content-type", "application/json")], headers].concat(), body)
}

/// Publishes metadata, and `keys` as the set that it names.
fn publish(site: &Upstream, keys: Vec<u8>) {
    let metadata = json!({"issuer": issuer(site), "jwks_uri": format!("{}/keys", issuer(site))}).to_string();
    site.does(move |seen| {
        let asked = seen.request_line().split(' ').nth(1).unwrap().to_owned();
        Act::Close(match asked.as_str() {
            METADATA => json_bytes(&[], metadata.as_bytes()),
            "/keys" => json_bytes(&[("cache-control", "max-age=1, public")], &keys),
            _ => answer(404, &[], b""),
        })
    });
}

/// How often the key set was asked for.
fn fetches(site: &Upstream) -> usize {
    site.seen().iter().filter(|seen| seen.request_line().starts_with("GET /keys ")).count()
}

/// Lets time pass for what the proxy waits for.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

pub(crate) async fn orders(house: &House, token: &str) -> u16 {
    house.send(Some(&house.who.mia.issued), Ask::get("/orders").bearer(token)).await.status
}

/// Asks until the answer is `status`.
pub(crate) async fn until(house: &House, token: &str, status: u16) {
    let reached = async {
        while orders(house, token).await != status {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(&format!("a {status}"), reached).await;
}

#[tokio::test]
async fn attack_34_keys_rotate_without_a_failed_request_and_a_removed_one_verifies_nothing() {
    let site = Upstream::start().await;
    let (first, second, third) = (key("k1"), key("k2"), key("k3"));
    publish(&site, jwks(&[&first]));
    let house = plan(&site, "").start().await;
    let by = |key: &SigningKey, id: usize| {
        token(&site, key, &house.who.mia, house.now, json!({"jti": format!("{}-{id}", key.jwk()["kid"])}))
    };
    let old = by(&first, 0);
    assert_eq!(orders(&house, &old).await, 200, "the first request waits for the first keys");
    assert_eq!(fetches(&site), 1);

    // A key that is published before it is used: whoever comes with it at once waits for one fetch.
    publish(&site, jwks(&[&first, &second]));
    let new: Vec<String> = (0..24).map(|id| by(if id % 2 == 0 { &first } else { &second }, id)).collect();
    let statuses = join_all(new.iter().map(|token| orders(&house, token))).await;
    assert_eq!(statuses, vec![200; 24]);
    assert_eq!(fetches(&site), 2);

    // Nobody published this one, and the issuer is not asked for every token that says so.
    let strangers: Vec<String> = (0..50).map(|id| by(&third, id)).collect();
    for batch in strangers.chunks(10) {
        assert_eq!(join_all(batch.iter().map(|token| orders(&house, token))).await, vec![401; batch.len()]);
    }
    assert_eq!(fetches(&site), 2, "one fetch a minute");
    pass(61).await;
    assert_eq!(join_all(strangers.iter().take(10).map(|token| orders(&house, token))).await, vec![401; 10]);
    assert!(fetches(&site) <= 4, "{} fetches: at most one for the tokens and one in the background", fetches(&site));

    // A token that was verified a moment ago is not good any more once its key is gone. `max-age` is taken for a minute.
    assert_eq!(orders(&house, &old).await, 200);
    publish(&site, jwks(&[&second]));
    pass(61).await;
    until(&house, &old, 401).await;
    assert_eq!(orders(&house, &new[1]).await, 200);
    let page = house.metrics().await;
    assert!(page.contains(&format!("postern_keys_held{{postern_source=\"{}\"}} 1", issuer(&site))), "{page}");
    let records = house.stop().await;
    assert!(records.requests().iter().any(|record| record.detail().contains("publishes no key with the id `k3`")));
}

#[tokio::test]
async fn attack_34_what_is_not_the_issuers_key_set_changes_nothing() {
    let site = Upstream::start().await;
    let (good, other) = (key("k1"), key("k2"));
    publish(&site, jwks(&[&good]));
    let house = plan(&site, "").start().await;
    let mia = &house.who.mia;
    let (ours, unknown) =
        (token(&site, &good, mia, house.now, json!(null)), token(&site, &other, mia, house.now, json!(null)));
    assert_eq!(orders(&house, &ours).await, 200);
    let (set, port) = (String::from_utf8(jwks(&[&other])).unwrap(), site.address().port());
    let with = |change: &str| set.replacen("{\"keys\":[{", &format!("{{\"keys\":[{{{change},"), 1).into_bytes();
    let many: Vec<Value> = (0..10_000).map(|n| json!({"kty": "EC", "kid": n.to_string()})).collect();
    let metadata = |issuer: &str, at: &str| json!({"issuer": issuer, "jwks_uri": at}).to_string().into_bytes();
    let own = issuer(&site);
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("a private key", "/keys", json_bytes(&[], &with("\"d\":\"AAAA\""))),
        ("a symmetric key", "/keys", json_bytes(&[], br#"{"keys":[{"kty":"oct","kid":"k2","k":"AAAA"}]}"#)),
        ("10k keys", "/keys", json_bytes(&[], json!({ "keys": many }).to_string().as_bytes())),
        ("a huge body", "/keys", json_bytes(&[], &[b" ".repeat(600 << 10).as_slice(), set.as_bytes()].concat())),
        ("no end", "/keys", [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &b" ".repeat(2 << 20)].concat()),
        ("invalid UTF-8", "/keys", json_bytes(&[], b"{\"keys\":[\"\xff\"]}")),
        ("a name twice", "/keys", json_bytes(&[], &with("\"kid\":\"k1\""))),
        ("no key", "/keys", json_bytes(&[], br#"{"keys":[]}"#)),
        ("a redirect", "/keys", answer(302, &[("location", "/elsewhere")], set.as_bytes())),
        ("an error", "/keys", answer(500, &[], set.as_bytes())),
        ("nothing there", "/keys", answer(404, &[], set.as_bytes())),
        ("half of it", "/keys", json_bytes(&[], set.as_bytes())[..120].to_vec()),
        ("no HTTP", "/keys", b"220 smtp\r\n".to_vec()),
        ("encoded", "/keys", json_bytes(&[("content-encoding", "gzip")], set.as_bytes())),
        ("metadata of another", METADATA, json_bytes(&[], &metadata("https://evil.test", &format!("{own}/keys")))),
        ("keys inside the network", METADATA, json_bytes(&[], &metadata(&own, "https://169.254.169.254/keys"))),
        (
            "keys on another port",
            METADATA,
            json_bytes(&[], &metadata(&own, &format!("http://127.0.0.1:{}/", port ^ 1))),
        ),
        ("keys without TLS", METADATA, json_bytes(&[], &metadata(&own, "http://192.0.2.1/keys"))),
        ("metadata moved", METADATA, answer(301, &[("location", "/metadata")], b"")),
    ];
    for (case, at, bytes) in cases {
        let (own, set) = (issuer(&site), set.clone());
        site.does(move |seen| {
            let asked = seen.request_line().split(' ').nth(1).unwrap().to_owned();
            let said = json!({"issuer": own, "jwks_uri": format!("{own}/keys")}).to_string();
            Act::Close(match asked.as_str() {
                asked if asked == at => bytes.clone(),
                METADATA => json_bytes(&[], said.as_bytes()),
                // Whoever follows a redirect finds what it looks for.
                _ => json_bytes(&[], set.as_bytes()),
            })
        });
        pass(61).await;
        assert_eq!(orders(&house, &unknown).await, 401, "{case}");
        assert_eq!(orders(&house, &ours).await, 200, "{case}");
    }

    // One that does not answer is waited for, for a while, and by nobody whose key is there.
    let asked = site.count();
    site.does(|_| Act::Hang);
    pass(61).await;
    let hanging = orders(&house, &unknown);
    let meanwhile = async {
        site.arrived(asked + 1).await;
        assert_eq!(orders(&house, &ours).await, 200, "while the issuer hangs");
        pass(6).await;
    };
    assert_eq!(within("the refusal", futures::future::join(hanging, meanwhile)).await.0, 401);
    let page = house.metrics().await;
    assert!(page.contains("outcome=\"failure\""), "{page}");

    // It comes back, and nothing has to be done about it.
    publish(&site, jwks(&[&good, &other]));
    pass(61).await;
    until(&house, &unknown, 200).await;
}

#[tokio::test]
async fn attack_35_without_keys_or_with_old_ones_nobody_is_told_that_a_token_is_bad() {
    let site = Upstream::start().await;
    let k1 = key("k1");
    site.says(answer(503, &[], b""));
    let source = format!("jwksUrl: \"{}/keys\"\n      keysMaxAge: 10m", issuer(&site));
    let house = plan(&site, &source).start().await;
    let token = token(&site, &k1, &house.who.mia, house.now, json!(null));
    assert_eq!(orders(&house, &token).await, 503, "an issuer that is away does not stop the start");
    assert!(crate::health::probe(&house, "GET /readyz").await.1.contains("no keys of http://127.0.0.1"), "it says so");

    publish(&site, jwks(&[&k1]));
    pass(2).await;
    until(&house, &token, 200).await;
    assert_eq!(crate::health::probe(&house, "GET /readyz").await, (200, "ok\n".to_owned()));

    site.says(answer(503, &[], b""));
    house.clock.forward(9 * 60);
    assert_eq!(orders(&house, &token).await, 200, "keys are good for a stated time");
    house.clock.forward(2 * 60);
    assert_eq!(orders(&house, &token).await, 503, "also for a token that was verified before");
    let other = house.send(Some(&house.who.mia.issued), Ask::get("/orders").bearer("a.b.c")).await.status;
    assert_eq!(other, 401, "a token of nobody is refused as ever");
    publish(&site, jwks(&[&k1]));
    pass(31).await;
    until(&house, &token, 200).await;

    let records = house.stop().await;
    let undecided: Vec<_> = records.requests().into_iter().filter(|record| record.reason() == "undecided").collect();
    assert!(undecided.len() >= 2);
    assert!(undecided[0].detail().contains("its keys are not known: `http://127.0.0.1"), "{:?}", undecided[0].detail());
    assert!(undecided.last().unwrap().detail().contains("more than the allowed 600 s"), "{:?}", undecided);
}

#[tokio::test]
async fn attack_34_an_address_that_policy_does_not_allow_is_not_called() {
    let (site, k1) = (Upstream::start().await, key("k1"));
    publish(&site, jwks(&[&k1]));
    let at = issuer(&site);
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs_up = mute.local_addr().unwrap();
    tokio::spawn(async move { while mute.accept().await.is_ok() {} });
    for (case, source) in [
        // Of no NetworkPolicy, so public addresses and no others.
        ("this machine", format!("jwksUrl: \"{at}/keys\"")),
        ("metadata of a cloud", "jwksUrl: \"https://169.254.169.254/keys\"".to_owned()),
        ("no TLS there", format!("jwksUrl: \"https://{hangs_up}/keys\"")),
    ] {
        let plan = if case == "no TLS there" {
            plan(&site, &source).with("manifests/also-6.yaml", "ports: [", &format!("ports: [{}, ", hangs_up.port()))
        } else {
            let own = "https://login.house.test";
            let plan = House::plan().with("manifests/identity.yaml", own, &at).with("manifests/chat.yaml", own, &at);
            plan.with("manifests/identity.yaml", JWKS, &source)
        };
        let house = plan.start().await;
        let token = token(&site, &k1, &house.who.mia, house.now, json!(null));
        assert_eq!(orders(&house, &token).await, 503, "{case}");
        assert_eq!(fetches(&site), 0, "{case}");
    }
}

/// Shows what `site` says behind TLS, with a certificate of `authority`.
async fn behind_tls(site: &Upstream, authority: &Authority) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, behind) = (listener.local_addr().unwrap().port(), site.address());
    let issued = authority.server(&["127.0.0.1"]).unwrap();
    let chain = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = TlsAcceptor::from(config.clone()).accept(tcp).await else { continue };
            let mut plain = TcpStream::connect(behind).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut tls, &mut plain).await;
        }
    });
    port
}

#[tokio::test]
async fn attack_34_keys_are_fetched_over_tls_from_whom_the_named_authority_vouches_for() {
    let (ours, other) =
        (Authority::new("Issuer CA", UnixTime::now()).unwrap(), Authority::new("Other CA", UnixTime::now()).unwrap());
    let (site, k1) = (Upstream::start().await, key("k1"));
    publish(&site, jwks(&[&k1]));
    let port = behind_tls(&site, &ours).await;
    for (case, authority, want, asked) in
        [("another authority", &other, 503, 0), ("the named authority", &ours, 200, 1)]
    {
        let source = format!("jwksUrl: \"https://127.0.0.1:{port}/keys\"\n      caFrom: \"file:tls/issuer-ca.pem\"");
        let house = plan(&site, &source)
            .with("manifests/also-6.yaml", "ports: [", &format!("ports: [{port}, "))
            .file("tls/issuer-ca.pem", &authority.ca_pem())
            .start()
            .await;
        let token = token(&site, &k1, &house.who.mia, house.now, json!(null));
        assert_eq!(orders(&house, &token).await, want, "{case}");
        assert_eq!(fetches(&site), asked, "{case}");
    }
}

/// The house, whose tokens the issuer at `site` is asked about, beside those that it signs.
pub(crate) fn asking(site: &Upstream) -> Plan {
    let provider = format!(
        "- name: opaque\n      type: Introspection\n      issuer: {at}\n      audiences: [\"https://ai.house.test\"]\n      \
         introspectionUrl: \"{at}/introspect\"\n      clientAuthFrom: \"file:keys/client\"\n      senderConstraint: Mtls\n      \
         principal: {{type: User}}\n      tenant: {{claim: /tenant}}\n      tenants: [acme]\n      groupsClaim: groups\n    - name: sso",
        at = issuer(site)
    );
    let keys = format!("jwksUrl: \"{}/keys\"", issuer(site));
    plan(site, &keys)
        .with("manifests/identity.yaml", "- name: sso", &provider)
        .with("manifests/plain.yaml", "providers: [sso, agents]", "providers: [sso, opaque, agents]")
        .file("keys/client", "postern:s3cret of/ours\n")
}

/// The token a question is about.
pub(crate) fn asked_about(seen: &Seen) -> String {
    let body = String::from_utf8(seen.body.clone()).unwrap();
    body.strip_prefix("token=").unwrap().split('&').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_that_only_its_issuer_can_read_is_asked_about_once() {
    let (site, k1) = (Upstream::start().await, key("k1"));
    publish(&site, jwks(&[&k1]));
    let house = asking(&site).start().await;
    let (mia, ned, now) = (&house.who.mia, &house.who.ned, house.now);
    assert_eq!(orders(&house, &token(&site, &k1, mia, now, json!(null))).await, 200, "a signed one is not");
    assert_eq!(orders(&house, &token(&site, &key("k1"), mia, now, json!(null))).await, 401, "nor one that is forged");

    let mut good = caller::claims(mia, mia, now, json!({"active": true}));
    good["iss"] = json!(issuer(&site));
    let with = |change: Value| {
        let mut said = good.clone();
        said.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        said.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        json_bytes(&[], said.to_string().as_bytes())
    };
    let revoked = Arc::new(AtomicUsize::new(0));
    let cases: Vec<(&'static str, u16, Vec<u8>)> = vec![
        ("good", 200, with(json!({}))),
        ("bare", 200, with(json!({"iss": null, "exp": null, "iat": null, "client_id": null, "jti": null}))),
        ("inactive", 401, json_bytes(&[], br#"{"active":false}"#)),
        ("inactive-with-claims", 401, with(json!({"active": false}))),
        ("other-audience", 401, with(json!({"aud": "https://other.test"}))),
        ("no-audience", 401, with(json!({"aud": null}))),
        ("other-issuer", 401, with(json!({"iss": "https://evil.test"}))),
        ("expired", 401, with(json!({"exp": now - 60, "iat": now - 600}))),
        ("old", 401, with(json!({"iat": now - 7200}))),
        ("early", 401, with(json!({"nbf": now + 600}))),
        ("other-tenant", 401, with(json!({"tenant": "globex"}))),
        ("unbound", 401, with(json!({"cnf": null}))),
        ("bound-to-ned", 401, with(json!({"cnf": caller::claims(ned, ned, now, json!({}))["cnf"]}))),
        ("no-subject", 401, with(json!({"sub": null}))),
        ("a-workload", 401, with(json!({"sub": "spiffe://house.test/ns/acme/sa/assistant"}))),
        // What decides nothing comes last: after it nobody is asked for a moment.
        ("active-as-text", 503, with(json!({"active": "true"}))),
        ("active-as-number", 503, with(json!({"active": 1}))),
        ("no-active", 503, with(json!({"active": null}))),
        ("twice", 503, json_bytes(&[], br#"{"active":false,"active":true}"#)),
        ("no-json", 503, json_bytes(&[], b"active=true")),
        ("too-large", 503, with(json!({"x": "x".repeat(40 << 10)}))),
        ("error", 503, answer(500, &[], br#"{"active":true}"#)),
        ("unknown-client", 503, answer(401, &[], br#"{"active":true}"#)),
        ("moved", 503, answer(307, &[("location", "/introspect2")], b"")),
    ];
    let (script, gone) = (cases.clone(), revoked.clone());
    site.does(move |seen| {
        let token = asked_about(seen);
        if token == "good" && gone.load(Ordering::SeqCst) == 1 {
            return Act::Close(json_bytes(&[], br#"{"active":false}"#));
        }
        let said = script.iter().find(|(name, _, _)| *name == token);
        Act::Close(said.map_or_else(|| json_bytes(&[], br#"{"active":false}"#), |(_, _, bytes)| bytes.clone()))
    });
    let before = site.count();
    // Together, one question; afterwards none.
    assert_eq!(join_all((0..10).map(|_| orders(&house, "good"))).await, vec![200; 10]);
    assert_eq!(site.count() - before, 1);
    let seen = site.seen().pop().unwrap();
    assert!(seen.request_line().starts_with("POST /introspect HTTP/1.1"), "{}", seen.head);
    let basic = base64::engine::general_purpose::STANDARD.encode("postern:s3cret+of%2Fours");
    assert_eq!(seen.header("authorization"), [format!("Basic {basic}")], "RFC 6749 §2.3.1: form-encoded before");
    assert_eq!(seen.header("content-type"), ["application/x-www-form-urlencoded"]);
    let thief = house.send(Some(&ned.issued), Ask::get("/orders").bearer("good")).await;
    assert_eq!((thief.status, site.count() - before), (401, 1), "a stolen token, from what is remembered");

    for (name, status, _) in &cases {
        assert_eq!(orders(&house, name).await, *status, "{name}");
        if *status == 503 {
            pass(2).await;
        }
    }
    // A revocation is seen once the answer is too old.
    revoked.store(1, Ordering::SeqCst);
    assert_eq!(orders(&house, "good").await, 200);
    house.clock.forward(31);
    assert_eq!(orders(&house, "good").await, 401);
    let asked = site.count();
    assert_eq!(orders(&house, "good").await, 401);
    assert_eq!(site.count(), asked, "that it is not active is remembered for a moment as well");
    let page = house.metrics().await;
    assert!(page.contains("postern_introspections{"), "{page}");
    assert!(!page.contains("s3cret"));

    let records = house.stop().await;
    assert!(
        !records.text().contains("s3cret") && !records.text().contains("other-audience"),
        "neither secret nor token"
    );
    let good = records.requests().into_iter().find(|record| record.outcome() == "allow").unwrap();
    assert!(good.principal().ends_with("|mia"));
}

#[tokio::test]
async fn an_issuer_that_hangs_is_asked_by_all_together_and_holds_nobody_for_long() {
    let site = Upstream::start().await;
    let house = asking(&site).start().await;
    site.does(|seen| if seen.request_line().starts_with("POST") { Act::Hang } else { Act::Close(Vec::new()) });
    let posts = || site.seen().iter().filter(|seen| seen.request_line().starts_with("POST")).count();
    let waiting = join_all((0..10).map(|_| orders(&house, "opaque")));
    let meanwhile = async {
        while posts() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        pass(6).await;
    };
    let statuses = within("the refusals", futures::future::join(waiting, meanwhile)).await.0;
    assert_eq!(statuses, vec![503; 10]);
    assert_eq!(posts(), 1);
    assert_eq!(orders(&house, "opaque").await, 503, "at once: nobody is asked again for a moment");
    assert_eq!(posts(), 1);
}

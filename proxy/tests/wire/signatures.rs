//! Requests that their sender signed (RFC 9421): what they open, and what becomes of them behind the proxy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_config::JwtAlgorithm;
use postern_filters::encoding::Coding;
use postern_filters::token::mint::SigningKey;
use postern_proxy::reload::Reload;
use serde_json::{Value, json};

use crate::encodings::encode::encoded;
use crate::house::{Ask, House, Plan};

const ISSUER: &str = "https://partners.house.test";

fn set(keys: &[(&SigningKey, Value)]) -> String {
    let keys = keys.iter().map(|(key, says)| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().extend(says.as_object().unwrap().clone());
        jwk
    });
    json!({"keys": keys.collect::<Vec<_>>()}).to_string()
}

fn partner() -> Value {
    json!({"sub": "batch", "groups": ["partners"]})
}

/// The shop and the form recognise partners beside people and agents.
fn plan(keys: &[(&SigningKey, Value)]) -> Plan {
    let provider = format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: IAMPolicy\nmetadata: {{name: partners}}\nspec:\n  \
         targetRefs: [{{kind: Route, name: orders}}, {{kind: Route, name: forms}}]\n  providers:\n    - {{name: partners, \
         type: HttpSignature, issuer: \"{ISSUER}\", jwksFrom: \"file:keys/partners.json\", algorithms: [ed25519, ecdsa-p256-sha256], \
         principal: {{type: Component, idClaim: sub}}, tenant: {{value: acme}}, tenants: [acme], groupsClaim: groups}}\n---\n\
         apiVersion: secure.platformspec.io/v1alpha1\nkind: AccessControlPolicy\nmetadata: {{name: partners}}\nspec:\n  \
         targetRefs: [{{kind: Route, name: orders}}, {{kind: Route, name: forms}}]\n  rules:\n    - {{name: partners, effect: Permit, \
         principals: [Component], actions: [read, create], when: 'principal.groups.contains(\"partners\") && context.authn.senderBound'}}"
    );
    let shop = "matchLabels: {app: shop}}\n  authentication: {providers: [sso, agents";
    let forms = "{kind: Route, name: forms}]\n  authentication: {providers: [sso";
    House::plan()
        // Of the routes that share a policy, one is for other tenants.
        .with("manifests/plain.yaml", "targetSelector: {kind: Route, matchLabels: {app: shop}}\n  authentication", "targetRefs: [{kind: Route, name: orders}]\n  authentication")
        .with("manifests/plain.yaml", &shop.replace("matchLabels: {app: shop}}", "name: orders}]"), "name: orders}]\n  authentication: {providers: [partners, sso, agents")
        .with("manifests/plain.yaml", forms, &format!("{forms}, partners"))
        .with("postern.yaml", "  - {name: globex, match: {pathPrefix: /globex}, rewrite: {pathPrefix: /}, upstream: plain, dialect: http, labels: {app: shop, tenant: globex}}\n", "")
        .with("manifests/plain.yaml", ", /globex/orders]", "]")
        .also(&provider)
        .file("keys/partners.json", &set(keys))
}

/// How a request is signed.
struct Signer<'a> {
    key: &'a SigningKey,
    id: &'a str,
    house: &'a House,
}

impl Signer<'_> {
    /// Signs what `says` of the components, in that order; parameters are `more`, behind time and key.
    fn headers(&self, says: &[(&str, &str)], more: &str) -> (String, String) {
        let names: Vec<String> = says.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let list = format!("({});created={};keyid=\"{}\"{more}", names.join(" "), self.house.now, self.id);
        let lines: String = says.iter().map(|(name, value)| format!("\"{name}\": {value}\n")).collect();
        let signature = self.key.sign_text(&format!("{lines}\"@signature-params\": {list}")).unwrap();
        (format!("sig={list}"), format!("sig=:{signature}:"))
    }

    fn put(&self, ask: Ask, says: &[(&str, &str)]) -> Ask {
        let nonce = format!(";nonce=\"{}\"", uuid::Uuid::now_v7());
        let (input, signature) = self.headers(says, &nonce);
        ask.open().header("signature-input", &input).header("signature", &signature)
    }

    fn uri(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.house.address("open").port())
    }

    fn get(&self, path: &str) -> Ask {
        self.put(Ask::get(path), &[("@method", "GET"), ("@target-uri", &self.uri(path))])
    }

    /// Posts `sent`, and signs `said`.
    fn post(&self, path: &str, sent: impl Into<Vec<u8>>, said: impl AsRef<[u8]>) -> Ask {
        let digest = format!("sha-256=:{}:", STANDARD.encode(digest(said)));
        let ask = Ask::post(path, "application/json", sent).header("content-digest", &digest);
        let uri = self.uri(path);
        let says = [
            ("@method", "POST"),
            ("@target-uri", uri.as_str()),
            ("content-type", "application/json"),
            ("content-digest", digest.as_str()),
        ];
        self.put(ask, &says)
    }
}

fn digest(text: impl AsRef<[u8]>) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_ref()).as_ref().to_vec()
}

#[tokio::test]
async fn attack_33_a_signed_request_opens_what_was_signed_and_once() {
    let (key, thief) =
        (SigningKey::generate(JwtAlgorithm::EdDSA, "k1").unwrap(), SigningKey::generate_es256("k1").unwrap());
    let house = plan(&[(&key, partner())]).start().await;
    let signer = Signer { key: &key, id: "k1", house: &house };
    let forger = Signer { key: &thief, ..signer };
    let token = house.token(&house.who.mia);
    let body = r#"{"item":1}"#;
    for h2 in [false, true] {
        let once = signer.get("/orders");
        let uri = signer.uri("/orders");
        let bare = [("@method", "POST"), ("@target-uri", uri.as_str()), ("content-type", "application/json")];
        for (case, ask, status) in [
            ("good", once.clone(), 200),
            ("the same again", once.clone(), 401),
            ("one more", signer.get("/orders"), 200),
            ("a body", signer.post("/orders", body, body), 200),
            ("another body", signer.post("/orders", r#"{"item":2}"#, body), 401),
            ("no body", signer.post("/orders", "", body), 401),
            ("a body that nobody signed", signer.put(Ask::post("/orders", "application/json", body), &bare), 401),
            (
                "signed for another path",
                signer.put(Ask::get("/orders/1"), &[("@method", "GET"), ("@target-uri", &uri)]),
                401,
            ),
            (
                "a path that is spelt another way",
                signer.put(Ask::get("/%6Frders"), &[("@method", "GET"), ("@target-uri", &uri)]),
                200,
            ),
            ("of another key", forger.get("/orders"), 401),
            ("beside a token", signer.get("/orders").bearer(&token), 401),
            ("half of it", Ask::get("/orders").open().header("signature", "sig=:AAAA:"), 401),
            ("two lines", signer.get("/orders").header("signature-input", "b=()"), 401),
            (
                "more than it may",
                signer.put(Ask::new("DELETE", "/orders"), &[("@method", "DELETE"), ("@target-uri", &uri)]),
                403,
            ),
        ] {
            let before = house.plain.count();
            let reply = house.send(None, ask.over(h2)).await;
            assert_eq!(reply.status, status, "{case}, h2 {h2}: {}", reply.body);
            assert_eq!(house.plain.count() - before, usize::from(status == 200), "{case}");
        }
    }
    let with_svid = house.send(Some(&house.who.assistant.issued), signer.get("/orders")).await;
    assert_eq!(with_svid.status, 401, "an agent does not pass as the holder of a key");
    for seen in house.plain.seen() {
        assert!(seen.header("signature").is_empty() && seen.header("signature-input").is_empty());
    }
    // What was read and redacted is not what its digest says any more.
    let card = r#"{"card":"4111 1111 1111 1111"}"#;
    assert_eq!(house.send(None, signer.post("/forms", card, card)).await.status, 200);
    let seen = house.plain.seen().pop().unwrap();
    assert!(seen.header("content-digest").is_empty() && !String::from_utf8_lossy(&seen.body).contains("4111"));

    // A digest is of the content as it came, its coding included.
    let (plain, zipped) = (r#"{"a":"b"}"#, encoded(Coding::Gzip, br#"{"a":"b"}"#));
    for (said, status) in [(zipped.as_slice(), 200), (plain.as_bytes(), 401)] {
        let ask = signer.post("/forms", zipped.clone(), said).header("content-encoding", "gzip");
        assert_eq!(house.send(None, ask).await.status, status);
    }
    let seen = house.plain.seen().pop().unwrap();
    assert!(seen.header("content-digest").is_empty() && seen.body == plain.as_bytes());

    let promised = house.promised("orders", postern_config::Direction::Request, false);
    assert!(promised.contains(&"digest".to_owned()));
    let records = house.stop().await;
    let first = records.requests()[0];
    assert_eq!(first.principal(), format!("{ISSUER}|batch"));
    assert_eq!(first.request_guards(), promised);
    let details: Vec<&str> = records.requests().iter().map(|record| record.detail()).collect();
    for told in [
        "was used before",
        "is of another body",
        "does not cover `content-digest`",
        "does not match",
        "more than one credential",
    ] {
        assert!(details.iter().any(|detail| detail.contains(told)), "{told}: {details:?}");
    }
}

#[tokio::test]
async fn a_signature_ends_with_its_key_and_in_time() {
    let (old, new) = (SigningKey::generate_es256("2025").unwrap(), SigningKey::generate_es256("2026").unwrap());
    let house = plan(&[(&old, partner()), (&new, partner())]).start().await;
    let of = |key, id| Signer { key, id, house: &house };
    let ask = async |ask: Ask| house.send(None, ask).await.status;
    assert_eq!((ask(of(&old, "2025").get("/orders")).await, ask(of(&new, "2026").get("/orders")).await), (200, 200));

    house.write("keys/partners.json", &set(&[(&new, partner())]));
    house.proxy.reload().await;
    assert_eq!((ask(of(&old, "2025").get("/orders")).await, ask(of(&new, "2026").get("/orders")).await), (401, 200));

    let private = json!({"sub": "batch", "d": "c2VjcmV0LXBhcnQ"});
    for (wrong, told) in
        [(set(&[(&new, json!({}))]), "`sub`"), (set(&[(&new, private)]), "private"), (String::new(), "partners")]
    {
        house.write("keys/partners.json", &wrong);
        let Reload::Refused(why) = house.proxy.reload().await else { panic!("`{wrong}` was taken") };
        assert!(why.contains(told) && !why.contains("c2VjcmV0"), "{why}");
        assert_eq!(ask(of(&new, "2026").get("/orders")).await, 200, "the old set stays");
    }
    let (kept, late) = (of(&new, "2026").get("/orders"), of(&new, "2026").get("/orders"));
    house.clock.forward(85);
    assert_eq!(ask(kept).await, 200);
    house.clock.forward(10);
    assert_eq!(ask(late).await, 401);
    house.stop().await;
}

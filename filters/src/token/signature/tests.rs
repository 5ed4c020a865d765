//! Signatures, right and wrong.

use std::time::Duration;

use base64::Engine as _;
use http::{HeaderName, HeaderValue};
use postern_config::{
    HttpSignatureProvider, JwtAlgorithm, Material, PrincipalType, Provider, ProviderKind, SignatureAlgorithm,
    TenantSource,
};
use serde_json::{Value, json};

use super::*;
use crate::testing::{Asked, NOW, asked};
use crate::token::mint::SigningKey;

const HELLO: &str = r#"{"hello": "world"}"#;

fn provider(change: impl FnOnce(&mut HttpSignatureProvider)) -> Provider {
    let mut settings = HttpSignatureProvider {
        issuer: "https://partners.example.com".to_owned(),
        keys: Material::Env("UNUSED".to_owned()),
        algorithms: vec![SignatureAlgorithm::Ed25519, SignatureAlgorithm::EcdsaP256, SignatureAlgorithm::RsaPss],
        tag: None,
        components: vec!["content-type".to_owned()],
        max_age: Duration::from_secs(60),
        clock_skew: Duration::from_secs(30),
        id_claim: "kid".to_owned(),
        groups_claim: None,
        tags: Vec::new(),
    };
    change(&mut settings);
    Provider {
        name: "partners".to_owned(),
        kind: ProviderKind::HttpSignature(Box::new(settings)),
        principal: PrincipalType::Component,
        tenant: TenantSource::Value("acme".to_owned()),
        tenants: vec!["acme".to_owned()],
    }
}

fn set(keys: &[Value]) -> Vec<u8> {
    json!({"keys": keys}).to_string().into_bytes()
}

fn of(provider: &Provider, keys: &[Value]) -> SignatureKeys {
    SignatureKeys::parse(provider, &set(keys)).unwrap()
}

/// RFC 9421 appendix B.1.2 and B.1.4.
fn keys_of_the_rfc() -> [Value; 2] {
    let n = "r4tmm3r20Wd_PbqvP1s2-QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct-Lh1GH45x28Rw3Ry53mm-oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL-Wokqltd11nqqzi-bJ9cvSKADYdUAAN5WUtzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d-nb4bnNkQVklLQ3fVAvJm-xdDOp9LCNCN48V2pnDOkFV6-U9nV5oyc6XI2w";
    [
        json!({"kty": "RSA", "kid": "test-key-rsa-pss", "alg": "PS512", "n": n, "e": "AQAB"}),
        json!({"kty": "OKP", "kid": "test-key-ed25519", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}),
    ]
}

/// RFC 9421 appendix B.2.
fn request_of_the_rfc() -> Asked {
    let digest = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
    let mut request = asked("POST", "/foo?param=Value&Pet=dog")
        .json(HELLO)
        .head(&format!("date: Tue, 20 Apr 2021 02:07:55 GMT\ncontent-digest: {digest}\ncontent-length: 18"));
    request.host = "example.com".to_owned();
    request
}

#[test]
fn vectors_of_rfc_9421() {
    let keys = [of(&provider(|_| {}), &keys_of_the_rfc())];
    let full = request_of_the_rfc().head(
        r#"signature-input: sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"
        signature: sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:"#,
    );
    let who = authenticate(&keys, &full.view(), 1_618_884_473, true).unwrap();
    assert_eq!(who.principal.subject, "test-key-rsa-pss");
    assert_eq!(check_body(&full.headers, HELLO.as_bytes()), Ok(()));
    assert_eq!(check_body(&full.headers, b"{}"), Err(SignatureProblem::Body));

    // B.2.6 leaves out the query and the body, so that its base and its signature are looked at by themselves.
    let part = request_of_the_rfc().head(
        r#"signature-input: sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"
        signature: sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"#,
    );
    let lines = Lines::of(&part.headers).unwrap();
    let input = lines.sole().unwrap();
    let base = base::base(&input, &part.view()).unwrap();
    assert!(base.starts_with("\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n"));
    assert!(keys[0].signer(&input, &base, NOW).is_ok());
    let refused = authenticate(&keys, &part.view(), 1_618_884_473, true).unwrap_err();
    assert!(matches!(refused, TokenError::Signed(SignatureProblem::Uncovered(name)) if name == "@query"));
}

/// A request and how it is signed.
struct Signer<'k> {
    key: &'k SigningKey,
    id: &'k str,
}

impl Signer<'_> {
    /// Signs what the request says now of `components`, with `;created=…` and `more` behind them.
    fn sign(&self, asked: Asked, components: &str, more: &str) -> Asked {
        self.sign_at(asked, components, &format!(";created={NOW};keyid=\"{}\"{more}", self.id))
    }

    fn sign_at(&self, asked: Asked, components: &str, parameters: &str) -> Asked {
        let port = asked.port.map(|port| format!(":{port}")).unwrap_or_default();
        let value = |name: &str| match name {
            "@method" => asked.method.clone(),
            "@authority" => format!("{}{port}", asked.host),
            "@path" => asked.path.clone(),
            "@query" => format!("?{}", asked.query.as_deref().unwrap_or_default()),
            "@scheme" => "https".to_owned(),
            "@target-uri" => {
                let query = asked.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
                format!("https://{}{port}{}{query}", asked.host, asked.path)
            }
            name => {
                let lines = asked.headers.get_all(HeaderName::from_bytes(name.as_bytes()).unwrap());
                lines.iter().map(|line| line.to_str().unwrap()).collect::<Vec<_>>().join(", ")
            }
        };
        let names: Vec<String> = components.split(' ').map(|name| format!("\"{name}\"")).collect();
        let list = format!("({}){parameters}", names.join(" "));
        let lines: String = components.split(' ').map(|name| format!("\"{name}\": {}\n", value(name))).collect();
        let signature = self.key.sign_text(&format!("{lines}\"@signature-params\": {list}")).unwrap();
        asked.head(&format!("signature-input: s={list}\nsignature: s=:{signature}:"))
    }
}

fn post() -> Asked {
    let digest = base64::engine::general_purpose::STANDARD.encode(sha256(HELLO.as_bytes()));
    asked("POST", "/orders?a=1").json(HELLO).head(&format!("content-digest: sha-256=:{digest}:"))
}

fn get() -> Asked {
    asked("GET", "/orders")
}

fn replace(mut asked: Asked, name: &'static str, from: &str, to: &str) -> Asked {
    let text = asked.headers.get(name).unwrap().to_str().unwrap().replacen(from, to, 1);
    asked.headers.insert(name, HeaderValue::from_str(&text).unwrap());
    asked
}

const WHOLE: &str = "@method @target-uri content-type content-digest";
const BARE: &str = "@method @authority @path";

fn told(result: Result<Arc<VerifiedToken>, TokenError>) -> String {
    match result {
        Ok(_) => String::new(),
        Err(TokenError::Signed(problem)) => problem.to_string(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn attack_33_a_signature_is_for_one_request() {
    let key = SigningKey::generate(JwtAlgorithm::EdDSA, "k").unwrap();
    let signer = Signer { key: &key, id: "k" };
    let keys = [of(&provider(|_| {}), &[key.jwk()])];
    type Change = fn(Asked) -> Asked;
    let cases: [(&str, Change, &str); 17] = [
        ("as it was signed", |a| a, ""),
        (
            "another method",
            |mut a| {
                a.method = "PUT".to_owned();
                a
            },
            "does not match",
        ),
        (
            "another path",
            |mut a| {
                a.path = "/orders/1".to_owned();
                a
            },
            "does not match",
        ),
        (
            "another query",
            |mut a| {
                a.query = Some("a=2".to_owned());
                a
            },
            "does not match",
        ),
        (
            "no query",
            |mut a| {
                a.query = None;
                a
            },
            "does not match",
        ),
        (
            "another host",
            |mut a| {
                a.host = "evil.example".to_owned();
                a
            },
            "does not match",
        ),
        (
            "another port",
            |mut a| {
                a.port = Some(8443);
                a
            },
            "does not match",
        ),
        (
            "the usual port",
            |mut a| {
                a.port = Some(443);
                a
            },
            "",
        ),
        (
            "no TLS",
            |mut a| {
                a.tls = false;
                a
            },
            "does not match",
        ),
        ("another type", |a| replace(a, "content-type", "json", "xml"), "does not match"),
        ("one more line of a field", |a| a.head("content-type: text/xml"), "does not match"),
        (
            "a field gone",
            |mut a| {
                a.headers.remove("content-type");
                a
            },
            "covers `content-type`, which is unknown here, not in the request or covered twice",
        ),
        ("another digest", |a| replace(a, "content-digest", "sha-256=:", "sha-256=:A"), "does not match"),
        (
            "another time",
            |a| replace(a, "signature-input", "created=18", "created=17"),
            "is too old, has expired or is of the future",
        ),
        ("another nonce", |a| replace(a, "signature-input", "nonce=\"a", "nonce=\"b"), "does not match"),
        ("less covered", |a| replace(a, "signature-input", "\"content-type\" ", ""), "does not cover `content-type`"),
        ("another header, which nobody signed", |a| a.head("x-note: hello"), ""),
    ];
    for (case, change, want) in cases {
        let changed = change(signer.sign(post(), WHOLE, &format!(";nonce=\"{case}\"")));
        assert_eq!(told(authenticate(&keys, &changed.view(), NOW, false)), want, "{case}");
    }
}

#[test]
fn a_signature_says_enough_and_nothing_unknown() {
    let key = SigningKey::generate_es256("k").unwrap();
    let signer = Signer { key: &key, id: "k" };
    let keys = [of(&provider(|_| {}), &[key.jwk()])];
    let at = |created: i64, more: &str| format!(";created={created};keyid=\"k\"{more}");
    let uncovered = |name: &str| format!("does not cover `{name}`");
    let age = "is too old, has expired or is of the future".to_owned();
    let parameter = |name: &str| format!("has the parameter `{name}`, which is unknown here or not of its type");
    let component = |name: &str| format!("covers `{name}`, which is unknown here, not in the request or covered twice");
    let headers =
        "is not one `Signature-Input` and one `Signature` of the same name, both in their normal spelling".to_owned();
    let query = || asked("GET", "/orders?a=1");
    for (case, signed, want) in [
        ("by parts", signer.sign(get(), BARE, ""), String::new()),
        ("with a query", signer.sign(query(), "@method @authority @path @query", ""), String::new()),
        ("a query that came later", signer.sign(query(), BARE, ""), uncovered("@query")),
        ("no method", signer.sign(get(), "@target-uri", ""), uncovered("@method")),
        ("no target", signer.sign(get(), "@method", ""), uncovered("@authority")),
        ("no path", signer.sign(get(), "@method @authority", ""), uncovered("@path")),
        (
            "no digest",
            signer.sign(post().head("content-length: 18"), "@method @target-uri content-type", ""),
            uncovered("content-digest"),
        ),
        (
            "no digest, length unknown",
            signer.sign(post().head("transfer-encoding: chunked"), "@method @target-uri content-type", ""),
            uncovered("content-digest"),
        ),
        ("no type", signer.sign(post(), "@method @target-uri content-digest", ""), uncovered("content-type")),
        ("no time", signer.sign_at(get(), BARE, ";keyid=\"k\""), "lacks the parameter `created`".to_owned()),
        ("no key", signer.sign_at(get(), BARE, &format!(";created={NOW}")), "lacks the parameter `keyid`".to_owned()),
        ("a time as text", signer.sign_at(get(), BARE, ";created=\"1\";keyid=\"k\""), parameter("created")),
        ("an unknown parameter", signer.sign(get(), BARE, ";scope=\"x\""), parameter("scope")),
        ("oldest", signer.sign_at(get(), BARE, &at(NOW - 89, "")), String::new()),
        ("too old", signer.sign_at(get(), BARE, &at(NOW - 90, "")), age.clone()),
        ("ahead", signer.sign_at(get(), BARE, &at(NOW + 30, "")), String::new()),
        ("of the future", signer.sign_at(get(), BARE, &at(NOW + 31, "")), age.clone()),
        ("expired", signer.sign(get(), BARE, &format!(";expires={}", NOW - 30)), age.clone()),
        ("not expired", signer.sign(get(), BARE, &format!(";expires={}", NOW + 1)), String::new()),
        ("the right algorithm", signer.sign(get(), BARE, ";alg=\"ecdsa-p256-sha256\""), String::new()),
        (
            "another algorithm",
            signer.sign(get(), BARE, ";alg=\"ed25519\""),
            "is of an algorithm that its key or the provider does not have".to_owned(),
        ),
        (
            "a secret's algorithm",
            signer.sign(get(), BARE, ";alg=\"hmac-sha256\""),
            "is of an algorithm that its key or the provider does not have".to_owned(),
        ),
        (
            "a tag",
            signer.sign(get(), BARE, ";tag=\"other\""),
            "has another `tag` than any provider of the route wants".to_owned(),
        ),
        (
            "an unknown key",
            Signer { key: &key, id: "../k" }.sign(get(), BARE, ""),
            "is by the key `../k`, which provider `partners` does not have".to_owned(),
        ),
        ("twice covered", signer.sign(get(), "@method @method @authority @path", ""), component("@method")),
        ("a field beside", signer.sign(get().head("x: y"), "@method @authority @path x", ""), String::new()),
        (
            "an unknown part",
            replace(signer.sign(get(), BARE, ""), "signature-input", "@path\"", "@path\" \"@status\""),
            component("@status"),
        ),
        (
            "an upper-case field",
            replace(signer.sign(get(), BARE, ""), "signature-input", "@path\"", "@path\" \"Date\""),
            component("Date"),
        ),
        (
            "of another message",
            replace(signer.sign(get(), BARE, ""), "signature-input", "\"@path\"", "\"@path\";req"),
            component("@path"),
        ),
        ("another name", replace(signer.sign(get(), BARE, ""), "signature", "s=", "t="), headers.clone()),
        (
            "no input",
            {
                let mut a = signer.sign(get(), BARE, "");
                a.headers.remove("signature-input");
                a
            },
            headers.clone(),
        ),
        (
            "no signature",
            {
                let mut a = signer.sign(get(), BARE, "");
                a.headers.remove("signature");
                a
            },
            headers.clone(),
        ),
        (
            "two signatures",
            {
                let a = signer.sign(get(), BARE, "");
                signer.sign(a, BARE, "")
            },
            headers.clone(),
        ),
        ("two names", signer.sign(get(), BARE, "").head("signature-input: t=()\nsignature: t=::"), headers.clone()),
        ("spaces", replace(signer.sign(get(), BARE, ""), "signature-input", "\" \"", "\"  \""), headers.clone()),
        (
            "an older scheme",
            get().head("signature: keyId=\"k\",algorithm=\"rsa-sha256\",signature=\"AAAA\""),
            headers.clone(),
        ),
        ("nothing", get().head("signature-input: s=()\nsignature: s=::"), "lacks the parameter `created`".to_owned()),
    ] {
        assert_eq!(told(authenticate(&keys, &signed.view(), NOW, false)), want, "{case}");
    }
    let other = SigningKey::generate_es256("k").unwrap();
    let forged = Signer { key: &other, id: "k" }.sign(get(), BARE, "");
    assert_eq!(told(authenticate(&keys, &forged.view(), NOW, true)), "does not match");
}

#[test]
fn a_signature_is_good_once() {
    let key = SigningKey::generate_es256("once").unwrap();
    let signer = Signer { key: &key, id: "once" };
    let keys = [of(&provider(|_| {}), &[key.jwk()])];
    let (first, second) = (signer.sign(get(), BARE, ""), signer.sign(get(), BARE, ""));
    assert_ne!(first.headers.get("signature"), second.headers.get("signature"));
    let nonce = signer.sign(get(), BARE, ";nonce=\"1\"");
    let mut noted = first.clone();
    noted.headers.append("x-note", HeaderValue::from_static("changed by somebody on the way"));
    for (case, asked, now, again, want) in [
        ("first", &first, NOW, false, ""),
        ("the same again", &first, NOW, false, "was used before"),
        ("with what nobody signed changed", &noted, NOW, false, "was used before"),
        ("signed anew, the same in all", &second, NOW, false, "was used before"),
        ("later, while it is good", &first, NOW + 89, false, "was used before"),
        ("told apart", &nonce, NOW, false, ""),
        ("judged again after it was let in", &first, NOW + 500, true, ""),
    ] {
        assert_eq!(told(authenticate(&keys, &asked.view(), now, again)), want, "{case}");
    }
}

#[test]
fn keys_say_who_holds_them() {
    let (old, new) = (SigningKey::generate_es256("2025").unwrap(), SigningKey::generate_es256("2026").unwrap());
    let with = |key: &SigningKey, more: Value| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    };
    let mut provider = provider(|settings| {
        settings.id_claim = "sub".to_owned();
        settings.groups_claim = Some("groups".to_owned());
        settings.tag = Some("orders".to_owned());
    });
    provider.tenant = TenantSource::Claim("/tenant".to_owned());
    let says = json!({"sub": "batch", "tenant": "acme", "groups": ["partners"], "exp": NOW + 10});
    let keys = [of(&provider, &[with(&old, says.clone()), with(&new, json!({"sub": "batch", "tenant": "acme"}))])];
    let ask = |key: &SigningKey, id: &str, now: i64| {
        let signed = Signer { key, id }.sign(get(), BARE, ";tag=\"orders\"");
        authenticate(&keys, &signed.view(), now, true)
    };
    let (a, b) = (ask(&old, "2025", NOW).unwrap(), ask(&new, "2026", NOW).unwrap());
    assert_eq!(a.principal.id(), "https://partners.example.com|batch");
    assert_eq!(a.principal.id(), b.principal.id(), "one holder, before and after its key was replaced");
    assert_eq!((a.principal.groups.as_slice(), b.principal.groups.len()), (&["partners".to_owned()][..], 0));
    assert!(a.principal.authn.sender_bound && a.principal.authn.method == "http-signature");
    assert_eq!(told(ask(&old, "2025", NOW + 10)), "is by a key of provider `partners` that has ended");
    assert_eq!(told(ask(&old, "2026", NOW)), "does not match", "somebody else's key");
    let untagged = Signer { key: &new, id: "2026" }.sign(get(), BARE, "");
    let refused = told(authenticate(&keys, &untagged.view(), NOW, true));
    assert_eq!(refused, "has another `tag` than any provider of the route wants");

    let rsa = SigningKey::generate(JwtAlgorithm::RS256, "rsa").unwrap();
    for (case, set, want) in [
        ("no holder", vec![new.jwk()], "says something of its holder"),
        ("another tenant", vec![with(&new, json!({"sub": "x", "tenant": "globex"}))], "says something of its holder"),
        ("an SVID's name", vec![with(&new, json!({"sub": "spiffe://a/b", "tenant": "acme"}))], "says something"),
        (
            "groups of a wrong shape",
            vec![with(&new, json!({"sub": "x", "tenant": "acme", "groups": "a"}))],
            "says something",
        ),
        (
            "an end of a wrong shape",
            vec![with(&new, json!({"sub": "x", "tenant": "acme", "exp": "soon"}))],
            "says something",
        ),
        ("another algorithm", vec![with(&rsa, json!({"sub": "x", "tenant": "acme"}))], "of no algorithm"),
        ("no `kid`", vec![with(&new, json!({"sub": "x", "tenant": "acme", "kid": null}))], "malformed `kid`"),
    ] {
        let error = SignatureKeys::parse(&provider, &self::set(&set)).unwrap_err();
        assert!(error.to_string().contains(want), "{case}: {error}");
    }
}

#[test]
fn a_body_is_the_one_that_was_signed() {
    let key = SigningKey::generate_es256("k").unwrap();
    let signer = Signer { key: &key, id: "k" };
    let covering = |asked| signer.sign(asked, WHOLE, "");
    let with = |digest: &str| covering(replace(post(), "content-digest", "sha-256=", digest));
    let hello = HELLO.as_bytes();
    let missing = Err(SignatureProblem::Uncovered("content-digest".to_owned()));
    for (case, asked, body, want) in [
        ("the same", covering(post()), hello, Ok(())),
        ("another", covering(post()), &b"{}"[..], Err(SignatureProblem::Body)),
        ("none", covering(post()), b"", Err(SignatureProblem::Body)),
        ("one that nobody signed", signer.sign(get(), BARE, ""), hello, missing.clone()),
        ("a digest that nobody signed", signer.sign(post(), "@method @target-uri content-type", ""), hello, missing),
        ("none, and none signed", signer.sign(get(), BARE, ""), b"", Ok(())),
        ("no signature", post(), b"{}", Ok(())),
        ("an algorithm that is broken", with("md5="), hello, Err(SignatureProblem::Digest)),
        ("and one beside it", with("md5=:AAAA:, sha-256="), hello, Ok(())),
        ("a wrong one beside it", with("sha-512=:AAAA:, sha-256="), hello, Err(SignatureProblem::Body)),
        ("twice", with("sha-256=:AAAA:, sha-256="), hello, Err(SignatureProblem::Digest)),
        ("no bytes", with("sha-256=1, sha-512="), hello, Err(SignatureProblem::Digest)),
        ("with a parameter", with("sha-256=:AAAA:;a, sha-512="), hello, Err(SignatureProblem::Digest)),
    ] {
        assert_eq!(check_body(&asked.headers, body), want, "{case}");
    }
}

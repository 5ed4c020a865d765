//! Browsers log in: to the issuer and back, and out again.

use std::sync::{Arc, Mutex};

use postern_filters::token::mint::SigningKey;
use serde_json::{Value, json};

use crate::house::client::Reply;
use crate::house::upstream::{Act, answer};
use crate::house::{Ask, House, Plan, Upstream};

/// An issuer that a browser is sent to. What it puts into id tokens can be changed.
struct Issuer {
    site: Upstream,
    key: Arc<SigningKey>,
    claims: Arc<Mutex<Value>>,
}

impl Issuer {
    async fn start() -> Self {
        Self::naming_itself(false).await
    }

    /// Says that it names itself to browsers that it sends back (RFC 9207 §3).
    async fn naming_itself(names_itself: bool) -> Self {
        let site = Upstream::start().await;
        let issuer = Self {
            key: Arc::new(SigningKey::generate_es256("k1").unwrap()),
            claims: Arc::new(Mutex::new(json!({}))),
            site,
        };
        let (at, key, claims) = (issuer.url(), issuer.key.clone(), issuer.claims.clone());
        let json = |value: &Value| {
            Act::Close(answer(200, &[("content-type", "application/json")], value.to_string().as_bytes()))
        };
        issuer.site.does(move |seen| match seen.request_line().split(' ').nth(1).unwrap() {
            "/.well-known/openid-configuration" => json(&json!({
                "issuer": at, "jwks_uri": format!("{at}/keys"), "authorization_endpoint": format!("{at}/authorize"),
                "token_endpoint": format!("{at}/token"), "end_session_endpoint": format!("{at}/logout"),
                "authorization_response_iss_parameter_supported": names_itself,
            })),
            "/keys" => json(&json!({"keys": [key.jwk()]})),
            "/token" => {
                let form = String::from_utf8(seen.body.clone()).unwrap();
                if parameter(&form, "code") != "good" {
                    return Act::Close(answer(400, &[], br#"{"error":"invalid_grant"}"#));
                }
                let mut header = key.header();
                header["typ"] = json!("JWT");
                let token = key.sign(&header, &claims.lock().unwrap()).unwrap();
                json(&json!({"id_token": token, "access_token": "x", "token_type": "Bearer"}))
            }
            _ => Act::Close(answer(404, &[], b"")),
        });
        issuer
    }

    fn url(&self) -> String {
        format!("http://{}", self.site.address())
    }

    /// Puts these claims into the next id token, for the login that `location` began.
    fn knows(&self, location: &str, now: i64, change: Value) {
        let mut claims = json!({
            "iss": self.url(), "sub": "mia", "aud": "shop", "iat": now, "exp": now + 300, "auth_time": now, "sid": "s1",
            "tenant": "acme", "groups": ["staff"], "nonce": parameter(location, "nonce"),
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        *self.claims.lock().unwrap() = claims;
    }

    /// What the proxy sent to the token endpoint.
    fn exchanges(&self) -> Vec<(String, String)> {
        let seen = self.site.seen();
        let to_token = seen.iter().filter(|seen| seen.request_line().starts_with("POST /token "));
        let body = |seen: &crate::house::upstream::Seen| String::from_utf8(seen.body.clone()).unwrap();
        to_token.map(|seen| (seen.header("authorization").join(", "), body(seen))).collect()
    }

    fn logout_token(&self, now: i64, change: Value) -> String {
        let mut claims = json!({
            "iss": self.url(), "aud": "shop", "iat": now, "exp": now + 120, "jti": "j1", "sid": "s1",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let mut header = self.key.header();
        header["typ"] = json!("logout+jwt");
        self.key.sign(&header, &claims).unwrap()
    }
}

/// A parameter of a query or form, as a browser reads it.
fn parameter(text: &str, name: &str) -> String {
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    let mut out = Vec::new();
    let mut bytes = found.unwrap_or_default().bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(out).unwrap()
}

fn plan(issuer: &Issuer) -> Plan {
    let (port, own) = (issuer.site.address().port(), "https://login.house.test");
    let network = format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: here}}\nspec:\n  \
         targetRefs: [{{kind: Gateway, name: house}}]\n  egress: {{allow: [{{name: here, cidrs: [\"127.0.0.1/32\"], \
         ports: [MODEL_PORT, PLAIN_PORT, {port}]}}], privateRanges: AllowListed}}\n"
    );
    let login = "jwksUrl: \"ISSUER/keys\"\n      browser: {clientId: shop, clientSecretFrom: \"file:keys/client\", \
                 sessionAge: 1h, idleTimeout: 10m}";
    House::plan()
        .with("manifests/identity.yaml", own, &issuer.url())
        .with("manifests/chat.yaml", own, &issuer.url())
        .with("manifests/identity.yaml", "jwksFrom: \"file:keys/jwks.json\"", &login.replace("ISSUER", &issuer.url()))
        .file("keys/client", "s3cret/of ours\n")
        .also(&network)
}

/// A browser that shows a page.
fn page(path: &str) -> Ask {
    Ask::get(path).open().header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document")
}

/// `name=value` of the cookies that an answer sets.
fn cookies(reply: &Reply) -> Vec<String> {
    let set = reply.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    set.map(|value| value.split(';').next().unwrap().to_owned()).collect()
}

/// Goes to the issuer for `path` and comes back with `code`.
async fn log_in(house: &House, issuer: &Issuer, path: &str, code: &str, change: Value) -> (Reply, String) {
    let sent = house.send(None, page(path)).await;
    assert_eq!(sent.status, 302, "{}", sent.body);
    let (to, cookie) = (sent.header("location").to_owned(), cookies(&sent).remove(0));
    issuer.knows(&to, house.now, change);
    let back = format!("/.postern/callback?code={code}&state={}", parameter(&to, "state"));
    (house.send(None, page(&back).header("cookie", &cookie)).await, to)
}

#[tokio::test]
async fn a_browser_logs_in_and_is_its_user_until_it_logs_out() {
    let issuer = Issuer::start().await;
    let house = plan(&issuer).start().await;
    let (back, to) = log_in(&house, &issuer, "/orders?page=2", "good", json!({})).await;
    assert!(to.starts_with(&format!("{}/authorize?response_type=code&client_id=shop&", issuer.url())), "{to}");
    assert_eq!(
        (parameter(&to, "scope").as_str(), parameter(&to, "code_challenge_method").as_str()),
        ("openid profile", "S256")
    );
    assert!(parameter(&to, "redirect_uri").ends_with("/.postern/callback"), "{to}");
    assert_eq!((back.status, back.header("location")), (303, "/orders?page=2"));
    assert_eq!(back.header("referrer-policy"), "no-referrer");
    let set: Vec<&str> = back.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(
        set[0].starts_with("__Host-postern-session=")
            && set[0].ends_with("; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax")
    );
    assert!(set[1].starts_with("__Host-postern-login-") && set[1].contains("=; Path=/; Max-Age=0"), "{set:?}");
    let session = cookies(&back).remove(0);
    let exchanged = issuer.exchanges();
    // RFC 6749 §2.3.1: escaped as in a form, then as Basic.
    assert_eq!(exchanged[0].0, "Basic c2hvcDpzM2NyZXQlMkZvZiUyMG91cnM=");
    assert_eq!(parameter(&exchanged[0].1, "grant_type"), "authorization_code");
    assert_eq!(parameter(&exchanged[0].1, "redirect_uri"), parameter(&to, "redirect_uri"));
    assert!(parameter(&exchanged[0].1, "code_verifier").len() == 43);

    for h2 in [false, true] {
        let orders = house.send(None, page("/orders").header("cookie", &session).over(h2)).await;
        assert_eq!(orders.status, 200, "{}", orders.body);
        assert!(cookies(&orders).is_empty(), "not every answer sets a cookie");
    }
    assert!(house.plain.seen().iter().all(|seen| seen.header("cookie").is_empty()), "no upstream sees it");
    let other_tenant = house.send(None, page("/globex/orders").header("cookie", &session)).await;
    assert_eq!(other_tenant.status, 403, "who is known and may not is not sent away");

    house.clock.forward(300);
    let renewed = house.send(None, page("/orders").header("cookie", &session)).await;
    assert_eq!((renewed.status, renewed.header("cache-control")), (200, "private, no-store"));
    let session = cookies(&renewed).remove(0);

    let post = |site: &str| Ask::post("/.postern/logout", "text/plain", "").open().header("sec-fetch-site", site);
    let elsewhere = house.send(None, post("cross-site").header("cookie", &session)).await;
    assert_eq!(elsewhere.status, 403);
    assert_eq!(house.send(None, page("/orders").header("cookie", &session)).await.status, 200);
    let out = house.send(None, post("same-origin").header("cookie", &session)).await;
    assert_eq!((out.status, out.header("location")), (303, &*format!("{}/logout?client_id=shop", issuer.url())));
    assert_eq!(cookies(&out), ["__Host-postern-session="]);
    let after = house.send(None, page("/orders").header("cookie", &session)).await;
    assert_eq!(after.status, 302, "the cookie that was kept is worth nothing");

    let records = house.stop().await;
    assert!(!records.text().contains("good&") && !records.text().contains("code=good"), "no code is in a record");
    assert!(!records.text().contains(&session.split('=').nth(1).unwrap()[..40]), "and no session");
    let rules: Vec<String> = records.requests().iter().map(|record| record.outcome()).collect();
    assert_eq!(rules[..2], ["deny: login_needed", "allow"], "{rules:?}");
    assert!(records.requests()[1].principal().ends_with("mia"), "the record of the login says who");
}

#[tokio::test]
async fn who_is_no_page_or_no_browser_is_not_sent_away() {
    let issuer = Issuer::start().await;
    let house = plan(&issuer).start().await;
    for (case, ask) in [
        ("curl", Ask::get("/orders").open()),
        ("a script", Ask::get("/orders").open().header("sec-fetch-mode", "cors").header("accept", "text/html")),
        ("a form", Ask::post("/orders", "application/json", "{}").open().header("sec-fetch-mode", "navigate")),
        ("a stale cookie in a script", Ask::get("/orders").open().header("cookie", "__Host-postern-session=AAAA")),
        ("two cookies", page("/orders").header("cookie", "__Host-postern-session=A; __Host-postern-session=B")),
        ("a bad token", page("/orders").bearer("a.b.c")),
        (
            "another dialect",
            Ask::chat("hi").open().header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document"),
        ),
    ] {
        let reply = house.send(None, ask).await;
        assert_eq!((reply.status, reply.header("location")), (401, ""), "{case}: {}", reply.body);
    }
    assert_eq!(house.send(None, page("/orders").header("cookie", "__Host-postern-session=AAAA")).await.status, 302);
    assert_eq!(house.send(None, Ask::get("/orders").open().header("accept", "text/html")).await.status, 302);
    // Four logins under way are enough for one browser.
    let many = (0..5).map(|n| format!("__Host-postern-login-abcdefg{n}=x")).collect::<Vec<_>>().join("; ");
    let fifth = house.send(None, page("/orders").header("cookie", &many)).await;
    assert_eq!(cookies(&fifth).len(), 6, "{:?}", cookies(&fifth));
    assert_eq!(house.plain.count(), 0);
}

#[tokio::test]
async fn attack_33_an_issuer_that_names_itself_has_to() {
    let issuer = Issuer::naming_itself(true).await;
    let house = plan(&issuer).start().await;
    let sent = house.send(None, page("/orders")).await;
    let (to, cookie) = (sent.header("location").to_owned(), cookies(&sent).remove(0));
    issuer.knows(&to, house.now, json!({}));
    let bare = format!("/.postern/callback?code=good&state={}", parameter(&to, "state"));
    let named = format!("{bare}&iss={}", issuer.url().replace(':', "%3A").replace('/', "%2F"));
    for (path, status) in [(&bare, 401), (&named, 303)] {
        assert_eq!(house.send(None, page(path).header("cookie", &cookie)).await.status, status, "{path}");
    }
    house.stop().await;
}

#[tokio::test]
async fn attack_33_a_login_comes_back_once_to_the_browser_that_began_it() {
    let issuer = Issuer::start().await;
    let house = plan(&issuer).start().await;
    let sent = house.send(None, page("/orders")).await;
    let (to, cookie) = (sent.header("location").to_owned(), cookies(&sent).remove(0));
    let state = parameter(&to, "state");
    issuer.knows(&to, house.now, json!({}));
    let good = format!("/.postern/callback?code=good&state={state}");
    let other = house.send(None, page("/orders")).await;
    let (other_to, other_cookie) = (other.header("location").to_owned(), cookies(&other).remove(0));
    for (case, path, cookie, status) in [
        ("no cookie: a login that somebody else began", good.clone(), String::new(), 401),
        ("the cookie of another login", good.clone(), other_cookie.clone(), 401),
        ("another state", good.replace(&state, &"x".repeat(43)), cookie.clone(), 401),
        ("no state", "/.postern/callback?code=good".to_owned(), cookie.clone(), 401),
        ("no code", format!("/.postern/callback?state={state}"), cookie.clone(), 401),
        ("a wrong code", good.replace("good", "bad"), cookie.clone(), 401),
        ("two codes", format!("{good}&code=good"), cookie.clone(), 401),
        ("another issuer (RFC 9207)", format!("{good}&iss=https%3A%2F%2Fevil.example"), cookie.clone(), 401),
        ("the issuer said no", format!("/.postern/callback?error=access_denied&state={state}"), cookie.clone(), 401),
    ] {
        let reply = house.send(None, page(&path).header("cookie", &cookie)).await;
        assert_eq!((reply.status, cookies(&reply).len()), (status, 0), "{case}: {}", reply.body);
    }
    let posted = Ask::post(&good, "text/plain", "").open().header("cookie", &cookie);
    assert_eq!(house.send(None, posted).await.status, 400);
    // The id token of one login is not taken for another.
    let mixed = format!("/.postern/callback?code=good&state={}", parameter(&other_to, "state"));
    assert_eq!(house.send(None, page(&mixed).header("cookie", &other_cookie)).await.status, 401);
    for (case, change) in [
        ("another client", json!({"aud": "other"})),
        ("another tenant", json!({"tenant": "initech"})),
        ("expired", json!({"exp": house.now - 60})),
        ("too much for a cookie", json!({"groups": (0..500).map(|n| format!("group-{n}")).collect::<Vec<_>>()})),
    ] {
        issuer.knows(&to, house.now, change);
        let reply = house.send(None, page(&good).header("cookie", &cookie)).await;
        assert_eq!((reply.status, cookies(&reply).len()), (401, 0), "{case}");
    }
    house.clock.forward(601);
    assert_eq!(house.send(None, page(&good).header("cookie", &cookie)).await.status, 401, "too late");
    let records = house.stop().await;
    assert!(records.requests().iter().any(|record| record.detail().contains("RFC 9207")));
}

#[tokio::test]
async fn whom_the_issuer_logs_out_is_out_and_sessions_end_by_themselves() {
    let issuer = Issuer::start().await;
    let house = plan(&issuer).start().await;
    let (back, _) = log_in(&house, &issuer, "/orders", "good", json!({})).await;
    let session = cookies(&back).remove(0);
    let asks = |session: &str| page("/orders").header("cookie", session);
    let told = |token: &str| {
        let form = format!("logout_token={token}");
        Ask::post("/.postern/backchannel-logout", "application/x-www-form-urlencoded", form).open()
    };
    let forged = SigningKey::generate_es256("k1").unwrap();
    for (case, token) in [
        ("another client's", issuer.logout_token(house.now, json!({"aud": "other"}))),
        ("of nobody", issuer.logout_token(house.now, json!({"sid": null}))),
        ("forged", forged.sign(&forged.header(), &json!({"sid": "s1"})).unwrap()),
    ] {
        assert_eq!(house.send(None, told(&token)).await.status, 400, "{case}");
    }
    assert_eq!(house.send(None, asks(&session)).await.status, 200);
    let token = issuer.logout_token(house.now, json!({}));
    assert_eq!(house.send(None, told(&token)).await.status, 200);
    assert_eq!(house.send(None, asks(&session)).await.status, 302);
    let script = Ask::get("/orders").open().header("cookie", &session);
    assert_eq!(house.send(None, script).await.status, 401);

    house.clock.forward(5);
    let (back, _) = log_in(&house, &issuer, "/orders", "good", json!({"sid": "s2"})).await;
    let session = cookies(&back).remove(0);
    assert_eq!(house.send(None, asks(&session)).await.status, 200);
    assert_eq!(house.send(None, told(&token)).await.status, 200, "told again, nothing more ends");
    assert_eq!(house.send(None, asks(&session)).await.status, 200);
    house.clock.forward(600);
    assert_eq!(house.send(None, asks(&session)).await.status, 302, "idle");
    let records = house.stop().await;
    assert!(
        records
            .requests()
            .iter()
            .any(|record| record.reason() == "login_needed" && record.detail().contains("logged out"))
    );
}

//! Exceptions across sockets: what is allowed for a time works until then, is refused from then on without a reload, and
//! records say on which exception a request hung.

use std::time::Duration;

use postern_config::values::Time;
use postern_proxy::reload::Reload;
use rustls_pki_types::UnixTime;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::upstream::Act;
use crate::house::{Ask, House, within};

/// Seconds from the start of a test to the end of its exceptions.
const LEFT: i64 = 600;

fn now() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).unwrap()
}

/// A Policy with exceptions for pairs of code and target, each named for its code.
fn policy(excepted: &[(&str, &str)]) -> String {
    policy_until(now() + LEFT, excepted)
}

fn policy_until(until: i64, excepted: &[(&str, &str)]) -> String {
    let items = excepted.iter().map(|(code, target)| {
        let name = code.to_lowercase();
        format!(
            "    - {{name: {name}, allow: {code}, targetRefs: [{target}], reason: A test., owner: tests, until: \"{}\"}}\n",
            Time(until)
        )
    });
    format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: Policy\nmetadata: {{name: posture}}\nspec:\n  type: SecurityPolicy\n  \
         exceptions:\n{}",
        items.collect::<String>()
    )
}

const CHAT: &str = "{kind: Route, name: chat}";
const ORDERS: &str = "{kind: Route, name: orders}";

#[tokio::test]
async fn a_route_that_lacks_something_serves_until_the_exception_ends() {
    let limits = "  rateLimits:\n    - {name: per-caller, key: [Principal], unit: Requests, limit: 6000, window: 1m, burst: 1000}\n";
    let guards = "  targetRefs: [{kind: Route, name: chat}]\n  detectors:\n    - {name: injection, type: PromptInjection, parts: [User],";
    let elsewhere = "  targetRefs: [{kind: Route, name: forms}]\n  detectors:\n    - {name: injection, type: PromptInjection, parts: [HttpBody],";
    let hidden = "    - {name: hidden, type: HiddenText, parts: [User], action: Block}\n";
    for (code, from, to) in [("PV-070", limits, ""), ("PV-050", guards, elsewhere)] {
        let mut plan = House::plan().with("manifests/chat.yaml", from, to);
        if code == "PV-050" {
            plan = plan.with("manifests/chat.yaml", hidden, "");
        }
        let house = plan.also(&policy(&[(code, CHAT)])).start().await;
        let reply = house.call(&house.who.mia, Ask::chat("hello")).await;
        assert_eq!(reply.status, 200, "{code}: {}", reply.body);
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
        house.clock.forward(LEFT);
        let reply = house.call(&house.who.mia, Ask::chat("hello")).await;
        assert_eq!(reply.status, 403, "{code}");
        assert_eq!(reply.json()["error"]["code"], "policy_denied", "no word about policy for the caller");
        assert!(!reply.body.contains("posture"), "{}", reply.body);
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200, "the others are as they were");
        assert_eq!(house.model.count(), 1, "{code}: nothing more came to the upstream");
        let records = house.stop().await;
        assert_eq!(records.outcomes(), ["allow", "allow", "deny: exception_ended", "allow"], "{code}");
        let requests = records.requests();
        let id = format!("Policy/default/posture#{}", code.to_lowercase());
        assert_eq!(requests[0].exceptions(), [id.as_str()], "{code}");
        assert!(requests[1].exceptions().is_empty() && requests[3].exceptions().is_empty());
        assert_eq!(requests[2].rule(), id);
        assert!(
            requests[2].detail().contains(&format!("exception `{id}` for {code} ended at ")),
            "{}",
            requests[2].detail()
        );
    }
}

#[tokio::test]
async fn a_route_without_an_audit_policy_is_written_down_all_the_same() {
    let all_but_orders =
        ["chat", "globex", "forms", "socket"].map(|name| format!("{{kind: Route, name: {name}}}")).join(", ");
    let attached = "  targetRefs: [{kind: Gateway, name: house}]\n  sinks";
    let house = House::plan()
        .with("manifests/house.yaml", attached, &format!("  targetRefs: [{all_but_orders}]\n  sinks"))
        .also(&policy(&[("PV-060", ORDERS)]))
        .start()
        .await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    house.clock.forward(LEFT);
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 403);
    assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.status, 200);
    assert_eq!(house.plain.count(), 1);
    assert_eq!(house.stop().await.outcomes(), ["allow", "deny: exception_ended", "allow"]);
}

#[tokio::test]
async fn an_unbound_token_is_good_until_the_exception_ends_and_a_bound_one_after_it() {
    let house = House::plan()
        .with("manifests/identity.yaml", "senderConstraint: Mtls", "senderConstraint: None")
        .also(&policy(&[("PV-013", CHAT)]))
        .start()
        .await;
    let mia = &house.who.mia;
    let unbound = house.token_with(mia, mia, json!({"cnf": null}));
    let stolen = || Ask::chat("hello").bearer(&unbound);
    let asked = |ask: Ask| house.send(Some(&house.who.ned.issued), ask);
    assert_eq!(asked(stolen()).await.status, 200);
    assert_eq!(house.call(mia, Ask::chat("hello")).await.status, 200);
    house.clock.forward(LEFT);
    let reply = asked(stolen()).await;
    assert_eq!(reply.status, 401, "{}", reply.body);
    assert_eq!(house.call(mia, Ask::chat("hello")).await.status, 200, "a bound one never hung on it");
    // Nothing executes there, so the exception is not about this route.
    let there = Ask::get("/orders").bearer(&unbound);
    assert_eq!(asked(there).await.status, 200);
    assert_eq!(house.model.count(), 3);
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow", "allow", "deny: credential_invalid", "allow", "allow"]);
    let named: Vec<bool> = records.requests().iter().map(|record| !record.exceptions().is_empty()).collect();
    assert_eq!(named, [true, false, false, false, false]);
    assert!(records.requests()[2].detail().contains("exception `Policy/default/posture#pv-013`"));
}

#[tokio::test]
async fn a_wide_permit_counts_until_the_exception_ends() {
    let wide = "apiVersion: secure.platformspec.io/v1alpha1\nkind: AccessControlPolicy\nmetadata: {name: wide}\nspec:\n  targetRefs: \
                [{kind: Gateway, name: house}]\n  rules:\n    - {name: helpers, effect: Permit, principals: [User], actions: [modify], \
                when: 'principal.groups.contains(\"helpers\")'}\n";
    let house = House::plan().also(wide).also(&policy(&[("PV-022", "{kind: Gateway, name: house}")])).start().await;
    let noah = &house.who.noah;
    let helper = house.token_with(noah, noah, json!({"groups": ["helpers"]}));
    let order = json!({"item": 1});
    let asked = |ask: Ask| house.send(Some(&noah.issued), ask.bearer(&helper));
    assert_eq!(asked(Ask::json("/orders", &order)).await.status, 200);
    assert_eq!(asked(Ask::get("/orders")).await.status, 403, "it is for nothing else");
    assert_eq!(house.call(&house.who.mia, Ask::json("/orders", &order)).await.status, 200);
    house.clock.forward(LEFT);
    assert_eq!(asked(Ask::json("/orders", &order)).await.status, 403);
    assert_eq!(house.call(&house.who.mia, Ask::json("/orders", &order)).await.status, 200, "by a permit of the route");
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow", "deny: not_permitted", "allow", "deny: not_permitted", "allow"]);
    let named: Vec<usize> = records.requests().iter().map(|record| record.exceptions().len()).collect();
    assert_eq!(named, [1, 0, 0, 0, 0], "only who needed it is said to have had it");
}

#[tokio::test]
async fn a_listener_without_tls_closes_when_its_exception_ends() {
    let bare = "  - {name: open, bind: \"127.0.0.1:0\", protocol: https}\n";
    let house = House::plan()
        .with("postern.yaml", bare, &format!("{bare}  - {{name: bare, bind: \"0.0.0.0:0\", protocol: http}}\n"))
        .with("manifests/identity.yaml", "senderConstraint: Mtls", "senderConstraint: None")
        .also(&policy(&[("PV-030", "{kind: Gateway, name: house, sectionName: bare}"), ("PV-013", CHAT)]))
        .start()
        .await;
    let mia = &house.who.mia;
    let token = house.token_with(mia, mia, json!({"cnf": null}));
    let ask = format!("GET /orders HTTP/1.1\r\nHost: ai.house.test\r\nAuthorization: Bearer {token}\r\n\r\n");
    let port = house.address("bare").port();
    let connect = || TcpStream::connect(("127.0.0.1", port));
    let mut open = connect().await.unwrap();
    open.write_all(ask.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    within("the answer", open.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    house.clock.forward(LEFT);
    // Whatever is left of the answer, and then the end: the connection is not kept.
    let mut rest = Vec::new();
    let _ = within("the end of an open connection", open.read_to_end(&mut rest)).await;
    let mut late = connect().await.unwrap();
    let _ = late.write_all(ask.as_bytes()).await;
    let read = within("the end of a new connection", late.read(&mut head)).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert_eq!(house.plain.count(), 1);
    let page = house.metrics().await;
    assert!(page.contains("postern_connections_cut_total{postern_reason=\"exception_ended\"} 1"), "{page}");
    assert!(page.contains("postern_exceptions{postern_state=\"ended\"} 2"), "{page}");
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow"]);
    assert_eq!(records.requests()[0].exceptions(), ["Policy/default/posture#pv-030"]);
    let details: Vec<&str> = records.connections().iter().map(|record| record.detail()).collect();
    let named = |detail: &&&str| detail.contains("exception `Policy/default/posture#pv-030` for PV-030 ended at ");
    assert_eq!(details.iter().filter(named).count(), 2, "{details:?}");
}

#[tokio::test]
async fn an_upstream_without_tls_is_not_called_once_its_exception_has_ended() {
    // An address of this machine that is no loopback address.
    let url = "{name: plain, url: \"http://PLAIN\", labels: {vendor: house}}";
    let elsewhere = "{name: plain, url: \"http://0.0.0.0:PLAIN_PORT\", labels: {vendor: house}, health: {path: /health, interval: 1s, timeout: 1s}}";
    let house = House::plan()
        .with("postern.yaml", url, elsewhere)
        .also(&policy(&[("PV-030", "{kind: Upstream, name: plain}")]))
        .start()
        .await;
    let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    house.clock.forward(LEFT);
    let before = house.plain.count();
    for route in ["/orders", "/forms"] {
        assert_eq!(house.call(&house.who.mia, Ask::get(route)).await.status, 403, "{route}");
    }
    assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.status, 200, "another upstream");
    // One that was on its way may still come; from then on nobody asks, not even for health.
    let quiet = async {
        let mut last = (before, tokio::time::Instant::now());
        while last.1.elapsed() < Duration::from_millis(2500) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if house.plain.count() != last.0 {
                last = (house.plain.count(), tokio::time::Instant::now());
            }
        }
    };
    within("nobody asks any more", quiet).await;
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow", "deny: exception_ended", "deny: exception_ended", "allow"]);
    assert_eq!(records.requests()[0].exceptions(), ["Policy/default/posture#pv-030"]);
}

#[tokio::test]
async fn a_stream_ends_with_the_exception_it_hangs_on() {
    let limits = "  rateLimits:\n    - {name: per-caller, key: [Principal], unit: Requests, limit: 6000, window: 1m, burst: 1000}\n";
    let house = House::plan()
        .with("manifests/chat.yaml", limits, "")
        .also(&policy_until(now() + 3, &[("PV-070", CHAT)]))
        .start()
        .await;
    house.model.does(|_| Act::Hang);
    let reply = within("the end of a stream", house.call(&house.who.mia, Ask::streamed("hello"))).await;
    assert_eq!(reply.status, 403, "{}", reply.body);
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["deny: exception_ended"]);
}

#[tokio::test]
async fn an_exception_that_has_ended_never_stops_a_start_and_what_it_allowed_is_refused() {
    let limits = "  rateLimits:\n    - {name: per-caller, key: [Principal], unit: Requests, limit: 6000, window: 1m, burst: 1000}\n";
    let house = House::plan()
        .with("manifests/chat.yaml", limits, "")
        .also(&policy_until(now() - 86_400, &[("PV-070", CHAT)]))
        .start()
        .await;
    assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.status, 403);
    // Another end, and it serves; none at all, and it does not load.
    let file = "manifests/also-6.yaml";
    house.write(file, &policy(&[("PV-070", CHAT)]));
    assert_eq!(house.proxy.reload().await, Reload::Taken);
    assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.status, 200);
    house.write(file, &policy(&[]).replace("exceptions:\n", "exceptions: []\n"));
    let Reload::Refused(why) = house.proxy.reload().await else { panic!("it loads") };
    assert!(why.contains("PV-070"), "{why}");
    assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.status, 200, "the old set stays");
    assert_eq!(house.model.count(), 2);
    house.stop().await;
}

#[tokio::test]
async fn a_route_for_everybody_is_open_until_the_exception_ends_and_only_to_who_is_permitted() {
    let route = "  - {name: forms,";
    let status =
        "  - {name: status, match: {pathPrefix: /status}, upstream: plain, dialect: http, labels: {tenant: acme}}\n";
    let access = "apiVersion: secure.platformspec.io/v1alpha1\nkind: APIAccessPolicy\nmetadata: {name: status}\nspec:\n  targetRefs: \
                  [{kind: Route, name: status}]\n  allow: [{methods: [GET, DELETE], paths: [/status]}]\n---\n\
                  apiVersion: secure.platformspec.io/v1alpha1\nkind: AccessControlPolicy\nmetadata: {name: status}\nspec:\n  targetRefs: \
                  [{kind: Route, name: status}]\n  rules:\n    - {name: everybody, effect: Permit, principals: [Anonymous], actions: [read], \
                  when: 'context.http.path == \"/status\"'}\n    - {name: users, effect: Permit, principals: [User], actions: [delete], when: \
                  'context.net.tls'}\n";
    let house = House::plan()
        .with("postern.yaml", route, &format!("{status}{route}"))
        .also(access)
        .also(&policy(&[("PV-010", "{kind: Route, name: status}")]))
        .start()
        .await;
    let asked = |ask: Ask| house.send(None, ask.open());
    for h2 in [false, true] {
        assert_eq!(asked(Ask::get("/status").over(h2)).await.status, 200);
    }
    assert_eq!(asked(Ask::new("DELETE", "/status")).await.status, 403, "a permit for Users is none for nobody");
    assert_eq!(asked(Ask::get("/orders")).await.status, 401, "the others are as they were");
    let token = house.token(&house.who.mia);
    for (case, value) in [
        ("a good token that nothing there accepts", format!("Bearer {token}")),
        ("a token that is none", "Bearer nonsense".to_owned()),
        ("a password", "Basic bWlhOm1pYQ==".to_owned()),
    ] {
        let ask = Ask::get("/status").header("authorization", &value);
        assert_eq!(house.send(Some(&house.who.mia.issued), ask).await.status, 401, "{case}");
    }
    let svid = Some(&house.who.assistant.issued);
    assert_eq!(house.send(svid, Ask::get("/status")).await.status, 401, "an agent does not pass for nobody");
    assert_eq!(
        house.send(Some(&house.who.mia.issued), Ask::get("/status")).await.status,
        200,
        "a certificate is no credential there"
    );
    house.clock.forward(LEFT);
    assert_eq!(asked(Ask::get("/status")).await.status, 403);
    assert_eq!(house.plain.count(), 3);
    assert!(house.plain.seen().iter().all(|seen| seen.header("authorization").is_empty()));
    let records = house.stop().await;
    let (first, last) = (records.requests()[0], records.requests()[9]);
    assert_eq!(first.exceptions(), ["Policy/default/posture#pv-010"]);
    assert_eq!((first.outcome().as_str(), first.principal()), ("allow", ""));
    assert!(first.rule().ends_with("rule everybody"), "{}", first.rule());
    assert_eq!(last.outcome(), "deny: exception_ended");
}

#[tokio::test]
async fn attack_9_a_client_that_no_list_covers_is_let_go_when_the_exception_ends() {
    let house = House::plan()
        .with(
            "manifests/tls.yaml",
            "    clientAuth: Required\n",
            "    clientAuth: Required\n    revocation: {crlFrom: \"file:tls/gone.crl\", onUnavailable: Allow}\n",
        )
        .also(&policy_until(now() + 6, &[("PV-033", "{kind: Gateway, name: house, sectionName: public}")]))
        .start()
        .await;
    let mia = &house.who.mia;
    let mut open = house.wire(mia).await;
    let lines = house.lines(mia);
    open.send(format!("GET /orders HTTP/1.1\r\n{lines}\r\n")).await;
    assert_eq!(open.answer().await.status, 200);
    let page = house.metrics().await;
    assert!(page.contains("postern_revocation_unknown{postern_place=\"listener public\"} 1\n"), "{page}");
    // The handshake goes by the machine's clock, so the end is waited for.
    assert!(within("the end of an open connection", open.is_closed()).await);
    let token = house.token(mia);
    let late = house.try_send(Some(&mia.issued), Ask::get("/orders").bearer(&token)).await;
    assert!(late.is_err(), "{late:?}");
    assert_eq!(house.call(mia, Ask::get("/orders").open()).await.status, 200, "the other listener is as it was");
    assert_eq!(house.plain.count(), 2);
    let records = house.stop().await;
    assert_eq!(records.requests()[0].exceptions(), ["Policy/default/posture#pv-033"]);
    assert!(records.requests()[1].exceptions().is_empty());
    let details: Vec<&str> = records.connections().iter().map(|record| record.detail()).collect();
    assert_eq!(details.iter().filter(|detail| detail.contains("UnknownRevocationStatus")).count(), 2, "{details:?}");
}

//! NetworkPolicy across sockets: who may connect, and where the proxy may.

use postern_proxy::reload::Reload;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::upstream::Act;
use crate::house::{Ask, House, within};

fn policy(target: &str, spec: &str) -> String {
    format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: net}}\nspec:\n  targetRefs: [{target}]\n  {spec}\n"
    )
}

const GATEWAY: &str = "{kind: Gateway, name: house}";
const ORDERS: &str = "{kind: Route, name: orders}";
const PLAIN: &str = "{kind: Upstream, name: plain}";

#[tokio::test]
async fn attack_25_an_address_that_is_denied_is_not_read_from() {
    let deny = policy(GATEWAY, "ingress: {deny: [{name: here, cidrs: [\"127.0.0.0/8\"]}]}");
    let house = House::plan().also(&deny).start().await;
    let mut tcp = TcpStream::connect(house.address("public")).await.unwrap();
    let mut byte = [0; 1];
    // Not one byte was sent: the proxy does not wait for any.
    let read = within("the end of the connection", tcp.read(&mut byte)).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let _ = tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
    let records = house.stop().await;
    let connections = records.connections();
    assert_eq!(connections.len(), 1, "{connections:#?}");
    assert!(connections[0].detail().contains("NetworkPolicy/default/net#here denies 127.0.0.1"), "{connections:#?}");
}

#[tokio::test]
async fn an_address_no_rule_allows_is_not_read_from_and_one_that_is_allowed_is_served() {
    for (range, served) in [("192.0.2.0/24", false), ("127.0.0.1/32", true)] {
        let allow = policy(GATEWAY, &format!("ingress: {{allow: [{{name: there, cidrs: [\"{range}\"]}}]}}"));
        let house = House::plan().also(&allow).start().await;
        let token = house.token(&house.who.mia);
        let reply = match served {
            true => house.try_send(Some(&house.who.mia.issued), Ask::get("/orders").bearer(&token)).await.is_ok(),
            false => {
                let mut tcp = TcpStream::connect(house.address("public")).await.unwrap();
                !matches!(within("the end", tcp.read(&mut [0; 1])).await, Ok(0) | Err(_))
            }
        };
        assert_eq!(reply, served, "{range}");
    }
}

#[tokio::test]
async fn a_peer_without_the_name_is_let_go_before_a_byte_of_http() {
    let allow = policy(GATEWAY, "ingress: {allow: [{name: agents, principals: [\"spiffe://house.test/ns/acme/**\"]}]}");
    let house = House::plan().also(&allow).start().await;
    let reply = house.send(Some(&house.who.assistant.issued), Ask::chat("hello")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let token = house.token(&house.who.mia);
    for h2 in [false, true] {
        let ask = Ask::get("/orders").bearer(&token).over(h2);
        assert!(house.try_send(Some(&house.who.mia.issued), ask).await.is_err());
    }
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow"], "nothing of the others became a request");
    let refused: Vec<_> =
        records.connections().into_iter().filter(|c| c.detail().contains("NetworkPolicy/default/net")).collect();
    assert_eq!(refused.len(), 2, "{records:#?}");
}

#[tokio::test]
async fn a_route_can_be_for_some_peers_only() {
    let allow = policy(ORDERS, "ingress: {allow: [{name: agents, principals: [\"spiffe://house.test/ns/acme/**\"]}]}");
    let house = House::plan().also(&allow).start().await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 403);
    assert_eq!(house.call(&house.who.mia, Ask::get("/forms")).await.status, 200, "the other routes are as they were");
    assert_eq!(house.plain.count(), 1);
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["deny: not_permitted", "allow"]);
    assert_eq!(records.requests()[0].rule(), "NetworkPolicy/default/net");
}

#[tokio::test]
async fn an_open_connection_does_not_outlive_the_policy_that_let_it_in() {
    let allow = policy(GATEWAY, "ingress: {allow: [{name: here, cidrs: [\"127.0.0.0/8\"]}]}");
    let house = House::plan().also(&allow).start().await;
    let lines = house.lines(&house.who.mia);
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(format!("GET /orders HTTP/1.1\r\n{lines}\r\n")).await;
    assert_eq!(wire.answer().await.status, 200);
    let changed = house.change("manifests/also-6.yaml", "127.0.0.0/8", "192.0.2.0/24").await;
    assert!(matches!(changed, Reload::Taken), "{changed:?}");
    wire.send(format!("GET /orders HTTP/1.1\r\n{lines}\r\n")).await;
    assert_eq!(wire.answer().await.status, 403);
    assert_eq!(house.plain.count(), 1);
}

#[tokio::test]
async fn attack_34_an_upstream_is_called_only_where_egress_allows() {
    let here = "cidrs: [\"127.0.0.1/32\"], ports: [PLAIN_PORT, MODEL_PORT]";
    for (target, egress, status) in [
        (ORDERS, format!("egress: {{allow: [{{name: a, {here}}}], privateRanges: AllowListed}}"), 200),
        (ORDERS, format!("egress: {{allow: [{{name: a, {here}}}]}}"), 403),
        (ORDERS, "egress: {allow: [{name: a, hosts: [api.example.com]}], privateRanges: AllowListed}".to_owned(), 403),
        (
            ORDERS,
            "egress: {allow: [{name: a, cidrs: [\"127.0.0.1/32\"], ports: [1]}], privateRanges: AllowListed}"
                .to_owned(),
            403,
        ),
        (PLAIN, format!("egress: {{allow: [{{name: a, {here}}}]}}"), 403),
        (GATEWAY, format!("egress: {{allow: [{{name: a, {here}}}], privateRanges: AllowListed}}"), 200),
        (GATEWAY, format!("egress: {{allow: [{{name: a, {here}}}]}}"), 403),
    ] {
        let house = House::plan().also(&policy(target, &egress)).start().await;
        let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
        assert_eq!(reply.status, status, "{target} {egress}: {}", reply.body);
        assert_eq!(house.plain.count(), usize::from(status == 200), "{target} {egress}");
        if target == ORDERS {
            assert_eq!(house.call(&house.who.mia, Ask::get("/forms")).await.status, 200, "{egress}");
        }
    }
}

#[tokio::test]
async fn attack_34_a_redirect_of_an_upstream_comes_through_only_where_policy_lets_it() {
    let here =
        "allow: [{name: a, cidrs: [\"127.0.0.1/32\"], ports: [PLAIN_PORT, MODEL_PORT]}], privateRanges: AllowListed";
    for (redirects, place, status) in [
        ("", "/next", 403),
        (", redirects: Deny", "/next", 403),
        (", redirects: SameHost", "/next", 302),
        (", redirects: SameHost", "https://evil.example/", 403),
        (", redirects: SameHost", "//evil.example/", 403),
        (", redirects: SameHost", "https://localhost/next", 302),
    ] {
        let house = House::plan().also(&policy(ORDERS, &format!("egress: {{{here}{redirects}}}"))).start().await;
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n");
        house.plain.does(move |_| Act::Answer(answer.clone().into_bytes()));
        let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
        assert_eq!(reply.status, status, "{redirects} {place}: {}", reply.body);
        assert_eq!(reply.header("location").is_empty(), status == 403);
        // Without a policy of the route redirects are the caller's business.
        assert_eq!(house.call(&house.who.mia, Ask::get("/globex/orders")).await.status, 403, "another tenant's");
        assert_eq!(house.call(&house.who.mia, Ask::get("/forms")).await.status, 302);
    }
}

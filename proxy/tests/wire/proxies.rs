//! Proxies in front of this one: whose word is believed about where a request comes from, and what follows from it.

use std::net::SocketAddr;
use std::sync::Arc;

use postern_certs::{Issued, client_config};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::house::{Ask, House, Plan, within};

const GATEWAY: &str = "gateway: {name: house}";

/// Two requests a day from one address.
fn plan(trusted: &str) -> Plan {
    let limit = "maxBodySize: 16Ki\n  rateLimits:\n    - {name: per-source, key: [SourceIp], unit: Requests, limit: 2, window: 1d, burst: 2}";
    let plan = House::plan().with("manifests/plain.yaml", "maxBodySize: 16Ki", limit);
    match trusted {
        "" => plan,
        some => plan.with("postern.yaml", GATEWAY, &format!("gateway: {{name: house, trustedProxies: [{some}]}}")),
    }
}

fn orders(value: &str) -> Ask {
    Ask::get("/orders").header("x-forwarded-for", value)
}

#[tokio::test]
async fn attack_24_a_client_says_nothing_about_where_it_comes_from() {
    let lists =
        ["", "{cidr: \"10.0.0.0/8\"}", "{cidr: \"127.0.0.0/8\", principal: \"spiffe://house.test/ns/edge/sa/lb\"}"];
    for trusted in lists {
        let house = plan(trusted).start().await;
        for (spoofed, status) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.3", 429), ("nonsense", 429)] {
            assert_eq!(house.call(&house.who.mia, orders(spoofed)).await.status, status, "{trusted}: {spoofed}");
        }
        for seen in house.plain.seen() {
            assert!(seen.header("x-forwarded-for").is_empty(), "{trusted}");
        }
        let records = house.stop().await;
        assert!(records.requests().iter().all(|record| record.source()["ip"] == "127.0.0.1"), "{trusted}");
    }
}

#[tokio::test]
async fn attack_25_limits_policy_and_records_go_by_the_client_that_a_trusted_proxy_names() {
    let rule = "name: staff, effect: Permit, principals: [User, Agent], actions: [read, create, delete], when: 'principal.groups";
    let local = rule.replace("when: '", "when: 'context.net.sourceIp.isInRange(ip(\"192.0.2.0/24\")) && ");
    let house = plan("{cidr: \"127.0.0.0/8\"}").with("manifests/plain.yaml", rule, &local).start().await;
    for (value, status) in [
        ("203.0.113.9, 192.0.2.1", 200),
        ("10.0.0.1, 192.0.2.1, 127.0.0.9", 200),
        ("192.0.2.2, 192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("192.0.2.2, 198.51.100.1", 403),
        ("192.0.2.2, unknown", 400),
        ("", 400),
    ] {
        for h2 in [false, true].into_iter().take(if status == 400 { 2 } else { 1 }) {
            let reply = house.call(&house.who.mia, orders(value).over(h2).header("forwarded", "for=192.0.2.200")).await;
            assert_eq!(reply.status, status, "{value:?}: {}", reply.body);
        }
    }
    for seen in house.plain.seen() {
        assert!(seen.header("x-forwarded-for").is_empty() && seen.header("forwarded").is_empty());
    }
    let records = house.stop().await;
    let first = records.requests()[0].source();
    assert_eq!((&first["ip"], &first["intermediate_ips"]), (&"192.0.2.1".into(), &serde_json::json!(["127.0.0.1"])));
    assert_eq!(records.requests()[4].source()["ip"], "198.51.100.1");
}

#[tokio::test]
async fn attack_25_a_proxy_with_a_principal_is_believed_with_its_certificate_only() {
    let id = "spiffe://house.test/ns/acme/sa/assistant";
    let house = plan(&format!("{{cidr: \"127.0.0.1/32\", principal: \"{id}\", headers: Forwarded}}")).start().await;
    let (mia, bot) = (&house.who.mia, &house.who.assistant);
    let ask = |client: &str| Ask::get("/orders").header("forwarded", &format!("for={client};proto=https"));
    for client in ["192.0.2.1", "192.0.2.1", "192.0.2.1"] {
        house.send(Some(&bot.issued), ask(client)).await;
    }
    for (client, status) in [("192.0.2.1", 200), ("192.0.2.1", 200), ("192.0.2.1", 429)] {
        assert_eq!(house.call(mia, ask(client)).await.status, status, "mia is no proxy: 127.0.0.1");
    }
    let records = house.stop().await;
    let sources: Vec<_> = records.requests().iter().map(|record| record.source()["ip"].clone()).collect();
    assert_eq!(sources[..3], ["192.0.2.1", "192.0.2.1", "192.0.2.1"]);
    assert_eq!(sources[3..], ["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
    assert!(records.outcomes()[2].contains("over_limit"), "{:?}", records.outcomes());
}

const PROXIED: &str = "{name: open, bind: \"127.0.0.1:0\", protocol: https}\n  - {name: proxied, bind: \"127.0.0.1:0\", protocol: https, proxyProtocol: Required}";

fn behind(trusted: &str) -> Plan {
    let both = "sectionName: open}, {kind: Gateway, name: house, sectionName: proxied}]";
    plan(trusted).with("postern.yaml", "{name: open, bind: \"127.0.0.1:0\", protocol: https}", PROXIED).with(
        "manifests/tls.yaml",
        "sectionName: open}]",
        both,
    )
}

fn header(command: u8, client: [u8; 4], tlvs: &[u8]) -> Vec<u8> {
    let length = u16::try_from(12 + tlvs.len()).unwrap().to_be_bytes();
    let addresses = [client, [127, 0, 0, 1]].concat();
    [b"\r\n\r\n\0\r\nQUIT\n", [command, 0x11].as_slice(), &length, &addresses, &[0x12, 0x67, 0x20, 0xfb], tlvs].concat()
}

/// The answer to a GET over TLS behind `header`, or nothing.
async fn get(house: &House, header: &[u8], who: &Issued, token: &str) -> Option<String> {
    let address: SocketAddr = house.address("proxied");
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(header).await.unwrap();
    let identity = (who.cert_pem.as_bytes(), who.key_pem.expose().as_bytes());
    let config = client_config(house.ca_pem().as_bytes(), Some(identity), &[b"http/1.1"]).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = within("a handshake", TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.ok()?;
    let ask = format!(
        "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    tls.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("an answer", tls.read_to_string(&mut answer)).await.ok()?;
    Some(answer)
}

#[tokio::test]
async fn attack_40_a_trusted_proxy_announces_who_connects_and_nothing_else_gets_in() {
    let house = behind("{cidr: \"127.0.0.1/32\"}").start().await;
    let (who, token) = (&house.who.mia.issued, house.token(&house.who.mia));
    let ask = async |header: &[u8]| get(&house, header, who, &token).await.map(|answer| answer[9..12].to_owned());
    let tlv = [0x02, 0, 3, b'a', 0, 0xff];
    assert_eq!(ask(&header(0x21, [192, 0, 2, 1], &[])).await.as_deref(), Some("200"));
    assert_eq!(ask(&header(0x21, [192, 0, 2, 1], &tlv)).await.as_deref(), Some("200"));
    assert_eq!(ask(&header(0x21, [192, 0, 2, 1], &[])).await.as_deref(), Some("429"), "limits go by the client");
    assert_eq!(ask(&header(0x21, [192, 0, 2, 2], &[])).await.as_deref(), Some("200"));
    assert_eq!(ask(&header(0x20, [192, 0, 2, 9], &[])).await.as_deref(), Some("200"), "LOCAL: the proxy itself");
    let reached = house.plain.seen().len();
    let no = [
        b"".to_vec(),
        b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 8443\r\n".to_vec(),
        header(0x21, [0, 0, 0, 0], &[]),
        header(0x21, [192, 0, 2, 3], &tlv[..4]),
        header(0x21, [192, 0, 2, 3], &[&[0x03, 0, 4], [1, 2, 3, 4].as_slice()].concat()),
        [header(0x21, [192, 0, 2, 3], &[]), header(0x21, [192, 0, 2, 4], &[])].concat(),
        header(0x21, [192, 0, 2, 3], &[0xea; 4000]),
    ];
    for header in &no {
        assert_eq!(ask(header).await, None, "{header:?}");
    }
    assert_eq!(house.plain.seen().len(), reached);
    let records = house.stop().await;
    let source = records.requests()[0].source();
    assert_eq!((&source["ip"], &source["intermediate_ips"]), (&"192.0.2.1".into(), &serde_json::json!(["127.0.0.1"])));
    assert_eq!(records.requests()[4].source()["ip"], "127.0.0.1");
    let details: Vec<_> = records.connections().iter().map(|record| record.detail().to_owned()).collect();
    assert!(details.iter().any(|detail| detail.contains("version 1") || detail.contains("no PROXY")), "{details:?}");
}

#[tokio::test]
async fn attack_40_a_proxy_header_from_elsewhere_is_no_way_in() {
    for trusted in [
        "{cidr: \"10.0.0.0/8\"}",
        "{cidr: \"10.0.0.0/8\"}, {cidr: \"127.0.0.1/32\", principal: \"spiffe://house.test/ns/acme/sa/assistant\"}",
    ] {
        let house = behind(trusted).start().await;
        let (who, token) = (&house.who.mia.issued, house.token(&house.who.mia));
        assert_eq!(get(&house, &header(0x21, [10, 0, 0, 1], &[]), who, &token).await, None, "{trusted}");
        let records = house.stop().await;
        assert!(records.connections()[0].detail().contains("only trusted proxies"), "{trusted}");
        assert_eq!(records.connections()[0].source()["ip"], "127.0.0.1");
    }
}

//! The health listener: three pages for machines, and nothing else (attacks 31 and 52).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{Ask, House, within};

pub(crate) async fn probe(house: &House, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(house.proxy.health().unwrap()).await.unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut came = String::new();
    within("a probe", stream.read_to_string(&mut came)).await.unwrap();
    let (head, body) = came.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn three_pages_and_nothing_else() {
    let house = House::start().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(probe(&house, &format!("GET {path}")).await, (200, "ok\n".to_owned()));
    }
    assert_eq!(probe(&house, "GET /metrics").await.0, 200);
    for other in [
        "GET /",
        "GET /orders",
        "GET /v1/chat/completions",
        "POST /livez",
        "GET /metrics/",
        "GET /admin",
        "GET /livez/../orders",
        "DELETE /metrics",
    ] {
        assert_eq!(probe(&house, other).await.0, 404, "{other}");
    }
    assert_eq!(house.plain.count() + house.model.count(), 0);
    let records = house.stop().await;
    assert_eq!(records.requests().len(), 0, "probes are no traffic");
}

#[tokio::test]
async fn attack_31_the_public_listener_has_no_such_pages_whoever_asks() {
    let house = House::start().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        for agent in ["kube-probe/1.30", "GoogleHC/1.0", "curl"] {
            let bare = house.send(None, Ask::get(path).open().header("user-agent", agent)).await;
            assert!(matches!(bare.status, 401 | 403), "{path}: {}", bare.status);
            assert_eq!(house.call(&house.who.mia, Ask::get(path).header("user-agent", agent)).await.status, 403);
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn attack_52_no_label_is_a_callers_to_choose() {
    let house = House::start().await;
    let marks = ["zq1mark", "zq2mark", "zq3mark", "zq4mark", "zq5mark"];
    for h2 in [false, true] {
        house.call(&house.who.mia, Ask::get("/zq1mark/\u{5f}").over(h2)).await;
        house
            .call(&house.who.mia, Ask::get("/orders/zq1mark?zq2mark=zq2mark").over(h2).header("zq3mark", "zq3mark"))
            .await;
        house.call(&house.who.mia, Ask::chat("zq4mark").over(h2)).await;
        house.call(&house.who.mia, Ask::get("/orders").over(h2).authority("zq5mark.test")).await;
        let model = serde_json::json!({"model": "zq4mark", "messages": []});
        house.call(&house.who.mia, Ask::json("/v1/chat/completions", &model).over(h2)).await;
        house.call(&house.who.mia, Ask::new("ZQMARK", "/orders").over(h2)).await;
    }
    let (_, page) = probe(&house, "GET /metrics").await;
    for mark in marks.iter().chain(&["ZQMARK", "mia", "127.0.0.1"]) {
        assert!(!page.contains(mark), "`{mark}` is in the metrics");
    }
    let allowed = [
        "http_route",
        "postern_decision",
        "postern_reason",
        "postern_filter",
        "postern_action",
        "postern_listener",
        "postern_identity",
        "postern_upstream",
        "postern_credential",
        "postern_state",
        "error_type",
        "outcome",
        "le",
    ];
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once('=').unwrap();
            assert!(allowed.contains(&name), "{line}");
            if name == "http_route" {
                assert!(matches!(value, "\"\"" | "\"chat\"" | "\"orders\""), "{line}");
            }
        }
    }
    assert!(page.contains("postern_decisions_total{"), "{page}");
    house.stop().await;
}

#[tokio::test]
async fn the_counts_are_those_of_what_happened() {
    let house = House::start().await;
    for _ in 0..3 {
        house.call(&house.who.mia, Ask::get("/orders")).await;
    }
    house.call(&house.who.noah, Ask::get("/orders")).await;
    let _ = house.try_send(None, Ask::get("/orders")).await;
    let (_, page) = probe(&house, "GET /metrics").await;
    let value = |start: &str| -> Vec<&str> {
        page.lines().filter(|line| line.starts_with(start)).map(|line| line.rsplit(' ').next().unwrap()).collect()
    };
    let decisions = |decision: &str| -> u64 {
        let lines = page.lines().filter(|line| line.starts_with("postern_decisions_total") && line.contains(decision));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!((decisions("Allow"), decisions("Deny")), (3, 1), "{page}");
    assert_eq!(value("postern_connections_refused_total"), ["1"]);
    assert_eq!(value("postern_panics_total"), ["0"]);
    assert_eq!(value("postern_audit_lost_total"), ["0"]);
    house.stop().await;
}

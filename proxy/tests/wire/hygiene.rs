//! What a client may not say and an upstream may not answer. The matrices of single attacks are in `tests/attacks`.

use crate::house::{Ask, House, set};

/// Sends `request` on a connection of its own, with `{lines}` replaced by a good host and token.
async fn wire(house: &House, request: &str) -> (u16, bool) {
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(request.replace("{lines}", &house.lines(&house.who.mia))).await;
    let answer = wire.answer().await;
    let says_close = answer.header("connection") == Some("close");
    (answer.status, says_close && wire.is_closed().await)
}

#[tokio::test]
async fn a_request_that_is_none_is_answered_and_recorded() {
    let house = House::start().await;
    for (case, bytes) in [
        ("garbage", "\u{1}\u{2}\u{3} nothing\r\n\r\n"),
        ("no version", "GET /orders\r\n\r\n"),
        ("other protocol", "GET /orders HTPP/1.1\r\n\r\n"),
        ("future version", "GET /orders HTTP/3.7\r\n\r\n"),
        ("a header without a name", "GET /orders HTTP/1.1\r\n: x\r\n\r\n"),
        ("a header without a colon", "GET /orders HTTP/1.1\r\nHost localhost\r\n\r\n"),
        ("300 headers", &format!("GET /orders HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(300))),
    ] {
        let (status, closed) = wire(&house, bytes).await;
        assert!(matches!(status, 400 | 431), "{case}: {status}");
        assert!(closed, "{case}");
    }
    assert_eq!(house.plain.count(), 0);
    let records = house.stop().await;
    assert_eq!(records.requests().len(), 7, "one record each");
    assert!(records.requests().iter().all(|record| record.decision() == "Deny"));
}

#[tokio::test]
async fn a_head_beyond_its_limits_is_431() {
    let house = House::start().await;
    for lines in ["X-A: b\r\n".repeat(140), format!("X-A: {}\r\n", "b".repeat(33 * 1024))] {
        let (status, _) = wire(&house, &format!("GET /orders HTTP/1.1\r\n{{lines}}{lines}\r\n")).await;
        assert_eq!(status, 431);
    }
    let reply = house.call(&house.who.mia, Ask::get("/orders").header("x-a", &"b".repeat(33 * 1024)).h2()).await;
    assert_eq!(reply.status, 431);
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.outcomes(), ["deny: headers_too_large"; 3]);
}

#[tokio::test]
async fn attack_17_a_query_opens_no_path() {
    let house = House::start().await;
    for target in ["/admin?x=/orders", "/v1/models?/v1/chat/completions"] {
        assert_eq!(house.call(&house.who.mia, Ask::get(target)).await.status, 403, "{target}");
    }
    assert_eq!(house.plain.count() + house.model.count(), 0);
    house.stop().await;
}

#[tokio::test]
async fn attack_29_a_host_the_certificate_does_not_cover_is_misdirected() {
    let house = House::start().await;
    for h2 in [false, true] {
        let reply = house.call(&house.who.mia, Ask::get("/orders").over(h2).authority("other.test")).await;
        assert_eq!(reply.status, 421);
        let reply = house.call(&house.who.mia, Ask::get("/orders").over(h2).authority("ai.house.test")).await;
        assert_eq!(reply.status, 200, "a name it does cover");
    }
    assert_eq!(house.plain.count(), 2);
    assert_eq!(house.stop().await.outcomes(), ["deny: misdirected", "allow", "deny: misdirected", "allow"]);
}

#[tokio::test]
async fn attack_29_a_host_header_beside_another_authority_is_refused_on_http2() {
    let house = House::start().await;
    let reply = house.call(&house.who.mia, Ask::get("/orders").h2().header("host", "ai.house.test")).await;
    assert_eq!(reply.status, 400);
    assert_eq!(house.plain.count(), 0);
    // It was never read as a request, so it is the connection that tells of it.
    let records = house.stop().await;
    assert!(records.connections().iter().any(|record| record.detail().contains("malformed")), "{records:#?}");
}

/// Attacks 7 and 21–25.
#[tokio::test]
async fn nothing_a_client_claims_reaches_the_upstream() {
    let house = House::start().await;
    let claims = [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-User",
        "X-Forwarded-Client-Cert",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "Forwarded",
        "Via",
        "X-Real-IP",
        "X-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "X-Original-URL",
        "X-Original-Host",
        "X-Rewrite-URL",
        "Client-Cert",
        "Client-Cert-Chain",
        "X-User-Id",
        "X-User-Email",
        "X-Auth-User",
        "X-Auth-Request-User",
        "X-Remote-User",
        "Remote-User",
        "Txn-Token",
        "X-Amzn-Oidc-Data",
        "Postern-Decision",
        "X-Postern-Principal",
        "Proxy-Authorization",
        "Cookie",
        "X-Api-Key",
        "Api-Key",
        "X-Goog-Api-Key",
        "X-Auth-Token",
        "TE",
        "Keep-Alive",
        "Proxy-Connection",
        "Max-Forwards",
    ];
    for h2 in [false, true] {
        let mut ask = Ask::get("/orders").over(h2).header("x-kept", "yes");
        for name in claims {
            let hop = matches!(name, "TE" | "Keep-Alive" | "Proxy-Connection");
            if h2 && hop {
                continue; // HTTP/2 has no such headers
            }
            ask = ask.header(name, "mia");
            for separator in ["_", "."] {
                ask = ask.header(&name.replace('-', separator), "mia");
            }
        }
        let reply = house.call(&house.who.mia, ask).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    let seen = house.plain.seen();
    for seen in &seen {
        assert_eq!(seen.header("x-kept"), ["yes"]);
        assert!(!seen.head.contains("mia"), "{}", seen.head);
        assert!(!seen.head.contains("Bearer"), "the caller's credential: {}", seen.head);
        assert!(!seen.names().iter().any(|name| name.contains(['_', '.'])), "{}", seen.head);
    }
    assert_eq!(seen.len(), 2);
    house.stop().await;
}

#[tokio::test]
async fn the_upstream_gets_its_own_credential_and_nobody_elses() {
    let house = House::start().await;
    for h2 in [false, true] {
        let ask = Ask::chat("hello").over(h2).header("x-api-key", "mine");
        assert_eq!(house.call(&house.who.mia, ask).await.status, 200);
    }
    for seen in house.model.seen() {
        assert_eq!(seen.header("authorization"), [format!("Bearer {}", set::UPSTREAM_KEY)]);
        assert_eq!(seen.header("host"), [house.model.address().to_string()]);
        assert!(seen.header("x-api-key").is_empty());
    }
    house.stop().await;
}

#[tokio::test]
async fn what_the_upstream_says_about_itself_and_one_hop_does_not_reach_the_caller() {
    let house = House::start().await;
    let headers = [
        ("server", "nginx/1.2"),
        ("x-powered-by", "php"),
        ("alt-svc", "h3=\":443\""),
        ("keep-alive", "timeout=5"),
        ("connection", "x-hop"),
        ("x-hop", "a"),
        ("postern-decision", "forged"),
        ("x-kept", "yes"),
        ("proxy-authenticate", "Basic"),
        ("trailer", "x-a"),
    ];
    house.plain.says(crate::house::upstream::answer(200, &headers, b"hi"));
    for h2 in [false, true] {
        let reply = house.call(&house.who.mia, Ask::get("/orders").over(h2)).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "hi"));
        for name in ["server", "x-powered-by", "alt-svc", "keep-alive", "x-hop", "postern-decision", "trailer"] {
            assert_eq!(reply.header(name), "", "{name}");
        }
        assert_eq!(reply.header("x-kept"), "yes");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("strict-transport-security"), "max-age=31536000");
    }
    house.stop().await;
}

#[tokio::test]
async fn attack_51_what_a_method_usually_lacks_changes_no_decision() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    for (case, request, want) in [
        ("chunks on GET", "GET /orders HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 415),
        ("body on DELETE", "DELETE /orders/1 HTTP/1.1\r\n{lines}Content-Length: 2\r\n\r\n{}", 415),
        ("chunks on GET elsewhere", "GET /admin HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 403),
    ] {
        let (status, _) = status_only(&house, &request.replace("{lines}", &lines)).await;
        assert_eq!(status, want, "{case}");
    }
    let mut wire = house.wire(&house.who.mia).await;
    let head = "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    wire.send(format!("POST /orders HTTP/1.1\r\n{lines}{head}")).await;
    assert_eq!(wire.answer().await.status, 100);
    wire.send("{}").await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("keep-alive")), "{}", answer.head);
    // Refused by its head: nobody asks for the body.
    wire.send(format!("POST /admin HTTP/1.1\r\n{lines}{head}")).await;
    assert_eq!(wire.answer().await.status, 403);
    assert!(wire.is_closed().await);
    assert_eq!(house.plain.count(), 1);
    assert_eq!(house.plain.seen()[0].body, b"{}");
    assert_eq!(house.stop().await.requests().len(), 5);
}

async fn status_only(house: &House, request: &str) -> (u16, bool) {
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(request).await;
    (wire.answer().await.status, true)
}

#[tokio::test]
async fn a_refusal_after_100_continue_is_still_an_answer() {
    let house = House::start().await;
    let mut wire = house.wire(&house.who.mia).await;
    let lines = house.lines(&house.who.mia);
    let head = "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    wire.send(format!("POST /v1/chat/completions HTTP/1.1\r\n{lines}{head}")).await;
    assert_eq!(wire.answer().await.status, 100);
    wire.send("{]}").await;
    assert_eq!(wire.answer().await.status, 400);
    drop(wire);
    house.stop().await;
}

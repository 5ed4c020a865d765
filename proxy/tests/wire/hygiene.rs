//! What two servers could read differently, and what a client may not say (attacks 1–3, 7, 15–19, 21–29, 36, 51).

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
async fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let house = House::start().await;
    let token = house.token(&house.who.mia);
    let post = |lines: &str, body: &str| {
        format!("POST /orders HTTP/1.1\r\n{{lines}}Content-Type: application/json\r\n{lines}\r\n{body}")
    };
    let cases = [
        // Attack 3.
        ("HTTP/1.0", "GET /orders HTTP/1.0\r\n{lines}\r\n".to_owned()),
        ("HTTP/1.0 with TE", "POST /orders HTTP/1.0\r\n{lines}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        ("TE: chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
        ("TE: gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
        ("TE: xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
        ("TE with a tab", post("Transfer-Encoding:\tchunked\t, chunked\r\n", "0\r\n\r\n")),
        ("TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        ("TE twice, one of them void", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: \r\n", "0\r\n\r\n")),
        ("folded TE", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n")),
        // Attack 36.
        ("CL and TE", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        ("TE and CL", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")),
        ("CL twice, same", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}")),
        ("CL twice, other", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}")),
        ("CL as a list", post("Content-Length: 2, 2\r\n", "{}")),
        ("CL negative", post("Content-Length: -2\r\n", "{}")),
        ("CL with plus", post("Content-Length: +2\r\n", "{}")),
        ("CL hexadecimal", post("Content-Length: 0x2\r\n", "{}")),
        ("CL with a space inside", post("Content-Length: 1 2\r\n", "{}")),
        ("CL void", post("Content-Length: \r\n", "{}")),
        ("CL beyond 64 bits", post("Content-Length: 99999999999999999999\r\n", "{}")),
        ("chunk size with sign", post("Transfer-Encoding: chunked\r\n", "+2\r\n{}\r\n0\r\n\r\n")),
        ("chunk size overflow", post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n")),
        ("chunk size not a number", post("Transfer-Encoding: chunked\r\n", "g\r\n{}\r\n0\r\n\r\n")),
        ("chunk longer than it says", post("Transfer-Encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n")),
        ("space before the colon", post("Content-Length : 2\r\n", "{}")),
        ("folded line", post("X-A: b\r\n c\r\nContent-Length: 2\r\n", "{}")),
        ("bare LF", format!("GET /orders HTTP/1.1\r\nHost: localhost\nAuthorization: Bearer {token}\r\n\r\n")),
        ("bare CR in a value", post("X-A: b\rc\r\nContent-Length: 2\r\n", "{}")),
        ("NUL in a value", post("X-A: b\0c\r\nContent-Length: 2\r\n", "{}")),
        // Attacks 27 and 28.
        ("byte outside ASCII in a value", post("X-A: \u{fc}\r\nContent-Length: 2\r\n", "{}")),
        ("byte outside ASCII in a name", post("X-\u{fc}: a\r\nContent-Length: 2\r\n", "{}")),
        // Attack 29.
        ("two hosts", "GET /orders HTTP/1.1\r\n{lines}Host: localhost\r\n\r\n".to_owned()),
        ("no host", format!("GET /orders HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n")),
        ("void host", format!("GET /orders HTTP/1.1\r\nHost: \r\nAuthorization: Bearer {token}\r\n\r\n")),
        (
            "host with user",
            format!("GET /orders HTTP/1.1\r\nHost: a@localhost\r\nAuthorization: Bearer {token}\r\n\r\n"),
        ),
        ("host with dot", format!("GET /orders HTTP/1.1\r\nHost: localhost.\r\nAuthorization: Bearer {token}\r\n\r\n")),
        (
            "host with path",
            format!("GET /orders HTTP/1.1\r\nHost: localhost/a\r\nAuthorization: Bearer {token}\r\n\r\n"),
        ),
        // Attack 51.
        ("other expectation", post("Expect: 200-ok\r\nContent-Length: 2\r\n", "{}")),
        // Attack 26.
        ("two content types", post("Content-Type: text/plain\r\nContent-Length: 2\r\n", "{}")),
    ];
    for (case, request) in &cases {
        let (status, closed) = wire(&house, request).await;
        assert_eq!(status, 400, "{case}");
        assert!(closed, "{case}: the connection stays open");
    }
    assert_eq!(house.plain.count(), 0, "none of them reached the upstream");
    let records = house.stop().await;
    assert_eq!(records.requests().len(), cases.len(), "one record each");
    assert!(records.outcomes().iter().all(|outcome| outcome == "deny: malformed"), "{:?}", records.outcomes());
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
async fn attacks_15_to_19_one_spelling_of_a_target_or_none() {
    let house = House::start().await;
    let targets = [
        "/orders/../orders",
        "/orders/./1",
        "/orders//1",
        "//orders",
        "/orders/..;/1",
        "/orders;a=1/2",
        "/orders%3ba",
        "/orders/%2e%2e/1",
        "/orders%2f1",
        "/orders%5c1",
        "/orders\\1",
        "/orders%252f1",
        "/orders%00",
        "/orders#a",
        "/orders%23/../a#",
        "/orders/%",
        "/orders/%zz",
        "/orders/<a>",
        "/orders/\"a\"",
        // Attack 18: Pingora would escape it and go on.
        "/orders/a b",
        "/orders/\u{80}",
        "/orders/{a}",
        "/orders?a=<b>",
        "orders",
        "*",
        "http://localhost/orders#a",
        "/orders/%c0%af",
        "/orders/%0d%0aa",
    ];
    for target in targets {
        let (status, _) = wire(&house, &format!("GET {target} HTTP/1.1\r\n{{lines}}\r\n")).await;
        assert!(matches!(status, 400 | 403), "{target}: {status}");
    }
    assert_eq!(house.plain.count(), 0, "{:?}", house.plain.seen());
    let records = house.stop().await;
    assert_eq!(records.requests().len(), targets.len(), "one record each");
}

#[tokio::test]
async fn attack_18_what_policy_saw_is_what_the_upstream_gets() {
    let house = House::start().await;
    let cases = [
        ("/orders/a%7Eb", "/orders/a~b"),
        ("/orders/%41", "/orders/A"),
        ("/orders/a%c3%bcb", "/orders/a%C3%BCb"),
        ("/orders/a?b=c%2Fd", "/orders/a?b=c%2Fd"),
        ("/orders/a?access_token=x&b=c", "/orders/a?b=c"),
    ];
    for (sent, want) in cases {
        let (status, _) = wire(&house, &format!("GET {sent} HTTP/1.1\r\n{{lines}}\r\n")).await;
        assert_eq!(status, 200, "{sent}");
        let seen = house.plain.seen().pop().unwrap();
        assert_eq!(seen.request_line(), format!("GET {want} HTTP/1.1"), "{sent}");
    }
    let records = house.stop().await;
    let paths: Vec<_> = records.requests().iter().map(|record| record.path().to_owned()).collect();
    let want: Vec<_> = cases.iter().map(|(_, want)| want.split('?').next().unwrap()).collect();
    assert_eq!(paths, want);
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
async fn attack_19_an_absolute_target_names_the_host_that_policy_sees() {
    let house = House::start().await;
    let (status, _) = wire(&house, "GET https://localhost/orders HTTP/1.1\r\n{lines}\r\n").await;
    assert!(matches!(status, 200 | 400), "{status}");
    let reached = house.plain.count();
    for target in ["https://evil.test/orders", "http://evil.test/orders", "https://a@localhost/orders"] {
        let (status, _) = wire(&house, &format!("GET {target} HTTP/1.1\r\n{{lines}}\r\n")).await;
        assert_eq!(status, 400, "{target}");
    }
    assert_eq!(house.plain.count(), reached);
    if reached == 1 {
        assert_eq!(house.plain.sole().request_line(), "GET /orders HTTP/1.1");
    }
    assert_eq!(house.stop().await.requests().len(), 4);
}

#[tokio::test]
async fn connect_and_trace_are_not_served() {
    let house = House::start().await;
    for request in ["CONNECT localhost:443 HTTP/1.1\r\n{lines}\r\n", "TRACE /orders HTTP/1.1\r\n{lines}\r\n"] {
        let (status, closed) = wire(&house, request).await;
        assert!(matches!(status, 400 | 403 | 405), "{request}: {status}");
        assert!(closed || status != 400, "{request}");
    }
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.requests().len(), 2);
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

/// Attack 1: an early refusal leaves a body on the wire, and that body holds a request.
#[tokio::test]
async fn attack_1_a_body_that_was_not_read_is_never_taken_for_a_request() {
    let house = House::start().await;
    let inner = format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&house.who.mia));
    for (case, line, more) in [
        ("unknown path", "POST /nothing", ""),
        ("too large", "POST /orders", "Content-Type: application/json\r\n"),
        ("cross-site", "POST /orders", "Content-Type: application/json\r\nOrigin: https://evil.test\r\n"),
        ("no credential", "POST /forms", "Content-Type: text/plain\r\n"),
    ] {
        let mut wire = house.wire(&house.who.mia).await;
        let lines = house.lines(&house.who.mia);
        let lines = if case == "no credential" { "Host: localhost\r\n" } else { &lines };
        let length = if case == "too large" { 1 << 20 } else { inner.len() };
        wire.send(format!("{line} HTTP/1.1\r\n{lines}{more}Content-Length: {length}\r\n\r\n")).await;
        let answer = wire.answer().await;
        assert!((400..=415).contains(&answer.status), "{case}: {}", answer.status);
        assert_eq!(answer.header("connection"), Some("close"), "{case}");
        let _ = wire.try_send(&inner).await;
        assert!(wire.is_closed().await, "{case}: something was answered");
    }
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.requests().len(), 4);
}

#[tokio::test]
async fn attack_1_the_same_with_the_body_in_the_first_packet() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    let inner = format!("GET /orders HTTP/1.1\r\n{lines}\r\n");
    let mut wire = house.wire(&house.who.mia).await;
    let length = inner.len();
    wire.send(format!("POST /nothing HTTP/1.1\r\n{lines}Content-Length: {length}\r\n\r\n{inner}")).await;
    assert_eq!(wire.answer().await.status, 403);
    // Its frame is known, so the connection may live on or end; nothing of the body may be answered.
    let _ = wire.try_send(format!("GET /ordersx HTTP/1.1\r\n{lines}\r\n")).await;
    if let Some(next) = wire.try_answer().await {
        assert_eq!(next.status, 403, "the body was taken for a request");
    }
    assert_eq!(house.plain.count(), 0);
    drop(wire);
    house.stop().await;
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
        "DPoP",
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
async fn attack_7_a_nomination_takes_away_the_clients_header_and_nothing_of_ours() {
    let house = House::start().await;
    let mut wire = house.wire(&house.who.mia).await;
    let lines = house.lines(&house.who.mia);
    let body = crate::house::client::prompt("hello").to_string();
    wire.send(format!(
        "POST /v1/chat/completions HTTP/1.1\r\n{lines}Content-Type: application/json\r\nX-Mine: a\r\nX-Other: b\r\n\
         Connection: keep-alive, X-Mine, Authorization, Host, Content-Type, Content-Length, Accept-Encoding\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    assert_eq!(wire.answer().await.status, 200);
    let seen = house.model.sole();
    assert_eq!(seen.header("authorization"), [format!("Bearer {}", set::UPSTREAM_KEY)], "ours");
    assert_eq!(seen.header("accept-encoding"), ["identity"]);
    assert_eq!(seen.header("content-type"), ["application/json"]);
    assert_eq!(seen.header("content-length"), [body.len().to_string()]);
    assert_eq!(seen.header("host").len(), 1);
    assert_eq!(seen.header("x-other"), ["b"]);
    assert!(seen.header("x-mine").is_empty());
    drop(wire);
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
async fn attack_36_http2_heads_that_would_be_other_heads_in_http1_are_refused() {
    let house = House::start().await;
    let token = house.token(&house.who.mia);
    let auth = format!("Bearer {token}");
    let base = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/orders")];
    let cases: [(&str, Vec<(&str, &str)>); 11] = [
        ("transfer-encoding", vec![("transfer-encoding", "chunked")]),
        ("connection", vec![("connection", "x-a")]),
        ("upgrade", vec![("upgrade", "websocket")]),
        ("line end in a value", vec![("x-a", "b\r\nx-c: d")]),
        ("NUL in a value", vec![("x-a", "b\0c")]),
        ("upper-case name", vec![("X-A", "b")]),
        ("colon in a name", vec![("x:a", "b")]),
        ("pseudo-header behind a header", vec![("x-a", "b"), (":path", "/admin")]),
        ("content-length without a body", vec![("content-length", "5")]),
        ("unknown pseudo-header", vec![(":admin", "1")]),
        ("TE other than trailers", vec![("te", "gzip")]),
    ];
    for (case, more) in &cases {
        let mut fields: Vec<(&str, &str)> = base.to_vec();
        fields.push(("authorization", &auth));
        fields.extend(more);
        house.h2_frames(&house.who.mia, &fields).await;
        assert_eq!(house.plain.count(), 0, "{case} reached the upstream: {:?}", house.plain.seen());
    }
    // The same hand-made frames without any of it are a good request.
    let mut fields = base.to_vec();
    fields.push(("authorization", &auth));
    house.h2_frames(&house.who.mia, &fields).await;
    assert_eq!(house.plain.count(), 1);
    let records = house.stop().await;
    assert_eq!(
        records.requests().len() + records.connections().len(),
        cases.len() + 1,
        "each left a record: {records:#?}"
    );
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

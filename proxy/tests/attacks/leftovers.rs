//! A body that nobody read, and what stands in it (attack 1).

use crate::house::House;

/// Refused early, each for another reason; the body holds a request, in the first packet or behind the answer.
#[tokio::test]
async fn attack_1_a_body_that_was_not_read_is_never_taken_for_a_request() {
    let house = House::plan()
        .with(
            "manifests/plain.yaml",
            "  maxBodySize: 16Ki\n---\napiVersion: secure.platformspec.io/v1alpha1\nkind: AccessControlPolicy\nmetadata: {name: shop}",
            "  maxBodySize: 16Ki\n  rateLimits:\n    - {name: few, key: [Principal, Route], unit: Requests, limit: 1, window: 1d}\n---\napiVersion: secure.platformspec.io/v1alpha1\nkind: AccessControlPolicy\nmetadata: {name: shop}",
        )
        .start()
        .await;
    let mia = house.lines(&house.who.mia);
    let noah = house.lines(&house.who.noah);
    let inner = format!("GET /forms/smuggled HTTP/1.1\r\n{mia}\r\n");
    let json = "Content-Type: application/json\r\n";
    // The one request that the limit lets through.
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(format!("GET /orders HTTP/1.1\r\n{mia}\r\n")).await;
    assert_eq!(wire.answer().await.status, 200);
    drop(wire);
    for (case, want, line, lines, more) in [
        ("no credential", 401, "POST /forms", "Host: localhost\r\n", "Content-Type: text/plain\r\n"),
        (
            "bad credential",
            401,
            "POST /forms",
            "Host: localhost\r\nAuthorization: Bearer e30.e30.e30\r\n",
            "Content-Type: text/plain\r\n",
        ),
        ("unknown path", 403, "POST /nothing", &mia, ""),
        ("method", 403, "PUT /forms", &mia, ""),
        ("cross-site", 403, "POST /orders", &mia, "Content-Type: application/json\r\nOrigin: https://evil.test\r\n"),
        ("too large", 413, "POST /forms", &mia, "Content-Type: text/plain\r\n"),
        ("content type", 415, "POST /orders", &mia, "Content-Type: text/xml\r\n"),
        ("limit", 429, "POST /orders", &mia, json),
        ("no permit", 403, "DELETE /nothing", &noah, ""),
    ] {
        for at_once in [false, true] {
            for chunked in [false, true] {
                if chunked && case == "too large" {
                    continue; // nothing says so in advance
                }
                let who = if case == "no permit" { &house.who.noah } else { &house.who.mia };
                let length = if case == "too large" { 1 << 20 } else { inner.len() };
                let (framing, body) = if chunked {
                    ("Transfer-Encoding: chunked\r\n".to_owned(), format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()))
                } else {
                    (format!("Content-Length: {length}\r\n"), inner.clone())
                };
                let head = format!("{line} HTTP/1.1\r\n{lines}{more}{framing}\r\n");
                let mut wire = house.wire(who).await;
                if at_once {
                    wire.send(format!("{head}{body}")).await;
                } else {
                    wire.send(&head).await;
                }
                let case = format!("{case}, at once {at_once}, chunked {chunked}");
                assert_eq!(wire.answer().await.status, want, "{case}");
                if !at_once {
                    let _ = wire.try_send(&body).await;
                }
                // Where its end is known the connection may live on: then a marked request is answered, and nothing else.
                let _ = wire.try_send("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
                if let Some(next) = wire.try_answer().await {
                    assert!(matches!(next.status, 401 | 403), "{case}: {}", next.head);
                }
                assert!(wire.is_closed().await || house.plain.count() == 1, "{case}");
            }
        }
    }
    assert_eq!(house.plain.count(), 1, "{:?}", house.plain.seen());
    let records = house.stop().await;
    assert!(records.requests().iter().all(|record| !record.path().contains("smuggled")));
}

/// Requests behind one that is refused: nothing is decided on them before they are whole requests of their own.
#[tokio::test]
async fn attack_1_requests_behind_a_refused_one_are_judged_on_their_own_or_not_at_all() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    for (first, want) in [
        (format!("GET /admin HTTP/1.1\r\n{lines}\r\n"), 403),
        (format!("GET /orders/a;b HTTP/1.1\r\n{lines}\r\n"), 400),
        (format!("POST /orders HTTP/1.1\r\n{lines}Content-Length: 1\r\nContent-Length: 1\r\n\r\n1"), 400),
    ] {
        let mut wire = house.wire(&house.who.mia).await;
        wire.send(format!("{first}GET /admin HTTP/1.1\r\n{lines}\r\nGET /orders;x HTTP/1.1\r\n{lines}\r\n")).await;
        assert_eq!(wire.answer().await.status, want);
        while let Some(answer) = wire.try_answer().await {
            assert!(matches!(answer.status, 400 | 403), "{}", answer.head);
        }
    }
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}

//! Bodies that are more than they look like, and bodies where none is expected (attacks 43–45, 50 and 51).

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::house::upstream::{Act, answer, chat};
use crate::house::{Ask, House};
use crate::one::one;

/// How gzip begins; nothing follows.
const GZIP_HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
const ENCODINGS: [&str; 14] = [
    "gzip",
    "x-gzip",
    "GZIP",
    "br",
    "deflate",
    "zstd",
    "compress",
    "gzip, gzip",
    "identity, gzip",
    "gzip,identity",
    "none",
    "",
    "chunked",
    "aes128gcm",
];

/// Those that are decoded; tests of the wire have bodies that are whole, and bombs.
fn is_known(encoding: &str) -> bool {
    ["gzip", "x-gzip", "GZIP", "br", "deflate", "zstd"].contains(&encoding)
}

#[tokio::test]
async fn attack_43_no_encoded_body_is_let_through_uninspected() {
    let house = House::start().await;
    for encoding in ENCODINGS {
        for h2 in [false, true] {
            for (path, media) in [("/v1/chat/completions", "application/json"), ("/forms", "text/plain")] {
                let ask = Ask::post(path, media, GZIP_HEAD).over(h2).header("content-encoding", encoding);
                let reply = house.call(&house.who.mia, ask).await;
                let status = match encoding {
                    // Read as brotli, it begins with a window of 16 MiB.
                    "br" => 413,
                    _ if is_known(encoding) => 400,
                    _ => 415,
                };
                assert_eq!(reply.status, status, "`{encoding}` on {path}, h2 {h2}");
            }
        }
    }
    // What it says and what it is differ: it is read as what it says, and that it is not.
    for body in [GZIP_HEAD, &b"\x28\xb5\x2f\xfd\0"[..], b"\x78\x9c\x03\0", b"\xce\xb2\xcf\x81"] {
        let reply = house.call(&house.who.mia, Ask::post("/v1/chat/completions", "application/json", body)).await;
        assert_eq!(reply.status, 400);
        let reply = house.call(&house.who.mia, Ask::post("/forms", "application/json", body)).await;
        assert_eq!(reply.status, 400);
    }
    assert_eq!(house.plain.count() + house.model.count(), 0);
    house.stop().await;
}

#[tokio::test]
async fn attack_43_an_encoded_answer_that_cannot_be_read_is_refused_where_answers_are_inspected() {
    let house = House::start().await;
    for encoding in ENCODINGS.into_iter().filter(|encoding| !encoding.is_empty()) {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        house.model.says(answer(200, &headers, GZIP_HEAD));
        house.plain.says(answer(200, &headers, GZIP_HEAD));
        assert_eq!(house.call(&house.who.mia, Ask::chat("hi")).await.status, 403, "{encoding}");
        assert_eq!(house.call(&house.who.mia, Ask::get("/forms")).await.status, 403, "{encoding}");
        let seen = house.plain.seen().pop().unwrap();
        assert_eq!(seen.header("accept-encoding"), ["identity"], "nobody asked for it");
    }
    // Nothing says that it is encoded, and it is no answer of this protocol.
    house.model.says(answer(200, &[("content-type", "application/json")], GZIP_HEAD));
    assert_eq!(house.call(&house.who.mia, Ask::chat("hi")).await.status, 403);
    house.stop().await;
}

#[tokio::test]
async fn attack_44_depth_is_bounded_before_it_costs_a_stack() {
    let house = House::start().await;
    let deep = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    for body in [deep("[", "]", 30_000), deep("{\"a\":", "}", 8_000), "[".repeat(60_000), "{\"a\":".repeat(12_000)] {
        let message = format!("{{\"model\":\"small\",\"messages\":{body}}}");
        let reply = house.call(&house.who.mia, Ask::post("/v1/chat/completions", "application/json", message)).await;
        assert_eq!(reply.status, 400);
        let short = body[..body.len().min(16_000)].to_owned();
        assert_eq!(house.call(&house.who.mia, Ask::post("/forms", "application/json", short)).await.status, 400);
    }
    assert_eq!(house.plain.count() + house.model.count(), 0);
    let answered = answer(200, &[("content-type", "application/json")], deep("[", "]", 200_000).as_bytes());
    house.model.says(answered.clone());
    house.plain.says(answered);
    assert_eq!(house.call(&house.who.mia, Ask::chat("hi")).await.status, 403);
    assert_eq!(house.call(&house.who.mia, Ask::get("/forms")).await.status, 403);
    house.model.says(chat("hi"));
    assert_eq!(house.call(&house.who.mia, Ask::chat("hi")).await.status, 200);
    house.stop().await;
}

/// Patterns that take others exponential time, over the longest bodies that are let in.
#[tokio::test]
async fn attack_45_no_text_makes_a_pattern_slow() {
    let house = House::plan()
        .with(
            "manifests/chat.yaml",
            "    - {name: secret, type: Builtin, id: secret, class: Restricted}",
            "    - {name: secret, type: Builtin, id: secret, class: Restricted}\n    - {name: slow-a, type: Regex, pattern: '(a+){2,20}b', class: Internal}\n    - {name: slow-b, type: Regex, pattern: '(x|xx){1,30}y', class: Internal}",
        )
        .with(
            "manifests/chat.yaml",
            "match: {detectors: [card]}, action: Redact}",
            "match: {detectors: [card, slow-a, slow-b]}, action: Redact}",
        )
        .start()
        .await;
    let began = Instant::now();
    for text in [
        "a".repeat(60_000),
        "x".repeat(60_000),
        "4111 ".repeat(12_000),
        "sk-".repeat(20_000),
        "ignore ".repeat(8_000),
        "%25".repeat(20_000),
        "&amp;".repeat(12_000),
        "QUFB".repeat(15_000),
    ] {
        let reply = house.call(&house.who.mia, Ask::chat(&text)).await;
        assert!(matches!(reply.status, 200 | 400 | 403), "{}", reply.status);
    }
    let path = format!("/orders/{}", "a/".repeat(2000));
    assert!(matches!(house.call(&house.who.mia, Ask::get(&path)).await.status, 200 | 400 | 403));
    // Unoptimised code; exponential time would be years.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    house.stop().await;
}

/// One thread serves everybody, as on a machine with one core.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn attack_45_who_sends_much_to_inspect_keeps_nobody_waiting() {
    let house =
        Arc::new(House::plan().with("manifests/chat.yaml", "maxBodySize: 64Ki", "maxBodySize: 2Mi").start().await);
    let text = "0 ".repeat(500_000);
    let sender = Arc::clone(&house);
    let mut long = tokio::spawn(async move { sender.call(&sender.who.mia, Ask::chat(&text)).await.status });
    let mut meanwhile = 0;
    let status = loop {
        tokio::select! {
            biased;
            status = &mut long => break status.unwrap(),
            reply = house.call(&house.who.mia, Ask::get("/orders/1")) => {
                assert_eq!(reply.status, 200);
                // Before it has all come, the others go on anyway.
                meanwhile += 1;
            }
        }
    };
    assert!(matches!(status, 200 | 403), "{status}");
    assert!(meanwhile >= 8, "{meanwhile} requests were answered meanwhile");
    Arc::into_inner(house).unwrap().stop().await;
}

#[tokio::test]
async fn attack_50_a_body_over_the_limit_is_refused_on_inspected_routes_too() {
    let house = House::start().await;
    let text = "a".repeat(64 * 1024);
    for h2 in [false, true] {
        assert_eq!(house.call(&house.who.mia, Ask::chat(&text).over(h2)).await.status, 413);
        assert_eq!(
            house.call(&house.who.mia, Ask::post("/forms", "text/plain", text.clone()).over(h2)).await.status,
            413
        );
    }
    assert_eq!(house.plain.count() + house.model.count(), 0);
    // An answer beyond what is read whole is no answer: nothing of it leaves.
    house.plain.does(|_| Act::Close(answer(200, &[("content-type", "text/plain")], &vec![b'a'; 11 << 20])));
    let reply = house.call(&house.who.mia, Ask::get("/forms")).await;
    assert_eq!(reply.status, 403);
    assert!(!reply.body.contains("aaaa"));
    house.stop().await;
}

#[tokio::test]
async fn attack_51_what_a_method_usually_lacks_changes_no_decision() {
    let house = House::start().await;
    for (request, want) in [
        ("GET /orders HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 415),
        ("GET /orders HTTP/1.1\r\n{lines}Content-Length: 2\r\n\r\n{}", 415),
        ("DELETE /orders/1 HTTP/1.1\r\n{lines}Content-Length: 2\r\n\r\n{}", 415),
        ("DELETE /orders/1 HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 415),
        ("GET /admin HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 403),
        ("GET /admin HTTP/1.1\r\n{lines}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", 403),
        ("POST /orders HTTP/1.1\r\n{lines}Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", 400),
        ("POST /orders HTTP/1.1\r\n{lines}Expect: 100-continue, x\r\nContent-Length: 2\r\n\r\n{}", 400),
        ("POST /orders HTTP/1.1\r\n{lines}Expect:\r\nContent-Length: 2\r\n\r\n{}", 400),
        ("POST /orders HTTP/1.1\r\n{lines}Expect: 100-continue\r\nExpect: x\r\nContent-Length: 2\r\n\r\n{}", 400),
    ] {
        assert_eq!(one(&house, request).await.0, want, "{request}");
    }
    assert_eq!(house.plain.count(), 0);
    // The same request with and without asking first: the same decision, and the upstream is not asked.
    for expect in ["", "Expect: 100-continue\r\n", "Expect: 100-Continue\r\n"] {
        let lines = house.lines(&house.who.mia);
        let mut wire = house.wire(&house.who.mia).await;
        wire.send(format!(
            "POST /orders HTTP/1.1\r\n{lines}Content-Type: application/json\r\n{expect}Content-Length: 2\r\n\r\n"
        ))
        .await;
        if !expect.is_empty() {
            assert_eq!(wire.answer().await.status, 100);
        }
        wire.send("{}").await;
        assert_eq!(wire.answer().await.status, 200);
        let seen = house.plain.seen().pop().unwrap();
        assert!(seen.header("expect").is_empty());
    }
    let reply =
        house.call(&house.who.mia, Ask::json("/orders", &json!({})).h2().header("expect", "100-continue")).await;
    assert_eq!(reply.status, 200);
    house.stop().await;
}

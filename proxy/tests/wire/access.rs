//! Which requests, how large, from where and how many.

use postern_proxy::reload::Reload;
use serde_json::json;

use crate::house::{Ask, House};

#[tokio::test]
async fn what_no_allow_list_names_is_refused() {
    let house = House::start().await;
    let order = json!({"item": 1});
    for (case, ask, want) in [
        ("allowed", Ask::json("/orders", &order), 200),
        ("unknown path", Ask::get("/nothing"), 403),
        ("unknown path below a route", Ask::get("/v1/models"), 403),
        ("path beside a route", Ask::get("/ordersx"), 403),
        ("method", Ask::new("PUT", "/orders"), 403),
        ("lower-case method", Ask::new("get", "/orders"), 400),
        ("method nobody knows", Ask::new("BREW", "/orders"), 403),
        ("content type", Ask::post("/orders", "text/xml", "<a/>"), 415),
        ("content type with a second one behind it", Ask::post("/orders", "application/json, text/xml", "{}"), 415),
        ("no content type", Ask::new("POST", "/orders"), 415),
        ("content type where none is allowed", Ask::get("/orders").header("content-type", "text/xml"), 415),
    ] {
        for h2 in [false, true] {
            let reply = house.call(&house.who.mia, ask.clone().over(h2)).await;
            assert_eq!(reply.status, want, "{case}, h2 {h2}: {}", reply.body);
        }
    }
    assert_eq!(house.plain.count(), 2, "only what is allowed reached the upstream");
    assert_eq!(house.stop().await.requests().len(), 22, "one record each");
}

#[tokio::test]
async fn attack_50_a_body_over_the_limit_is_refused_and_never_cut() {
    let house = House::start().await;
    let fits = vec![b'1'; 16 * 1024];
    let large = vec![b'1'; 16 * 1024 + 1];
    for h2 in [false, true] {
        let reply = house.call(&house.who.mia, Ask::post("/orders", "application/json", fits.clone()).over(h2)).await;
        assert_eq!(reply.status, 200);
        let reply = house.call(&house.who.mia, Ask::post("/orders", "application/json", large.clone()).over(h2)).await;
        assert_eq!(reply.status, 413);
    }
    assert_eq!(house.plain.count(), 2);
    assert!(house.plain.seen().iter().all(|seen| seen.body.len() == fits.len()));
    assert_eq!(house.stop().await.outcomes(), ["allow", "deny: too_large", "allow", "deny: too_large"]);
}

#[tokio::test]
async fn attack_50_chunks_over_the_limit_are_refused_before_they_have_all_come() {
    let house = House::start().await;
    let mut wire = house.wire(&house.who.mia).await;
    let lines = house.lines(&house.who.mia);
    wire.send(format!(
        "POST /orders HTTP/1.1\r\n{lines}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ))
    .await;
    wire.send(format!("4001\r\n{}\r\n", "1".repeat(0x4001))).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(wire.is_closed().await);
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.outcomes(), ["deny: too_large"]);
}

#[tokio::test]
async fn chunks_within_the_limit_arrive_as_one_body() {
    let house = House::start().await;
    let mut wire = house.wire(&house.who.mia).await;
    let lines = house.lines(&house.who.mia);
    wire.send(format!(
        "POST /orders HTTP/1.1\r\n{lines}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\n{{\"a\r\n4\r\n\":1}}\r\n0\r\n\r\n"
    ))
    .await;
    assert_eq!(wire.answer().await.status, 200);
    let seen = house.plain.sole();
    assert_eq!(seen.body, b"{\"a\":1}");
    assert_eq!(seen.header("content-length"), ["7"]);
    assert!(seen.header("transfer-encoding").is_empty());
    drop(wire);
    house.stop().await;
}

#[tokio::test]
async fn what_another_site_makes_a_browser_send_is_refused() {
    let house = House::start().await;
    let order = json!({"item": 1});
    let post = || Ask::json("/orders", &order);
    for (case, ask, want) in [
        ("own origin", post().header("origin", "https://localhost"), 200),
        ("own origin, with port", post().header("origin", "https://localhost:8443"), 200),
        ("fetched by ourselves", post().header("sec-fetch-site", "same-origin"), 200),
        ("safe method", Ask::get("/orders").header("origin", "https://evil.test"), 200),
        ("other origin", post().header("origin", "https://evil.test"), 403),
        ("origin with our name in front", post().header("origin", "https://localhost.evil.test"), 403),
        ("origin with our name as user", post().header("origin", "https://localhost@evil.test"), 403),
        ("plain origin", post().header("origin", "http://localhost"), 403),
        ("no origin at all", post().header("origin", "null"), 403),
        ("cross-site", post().header("sec-fetch-site", "cross-site"), 403),
        ("same-site", post().header("sec-fetch-site", "same-site"), 403),
        ("two sites", post().header("sec-fetch-site", "same-origin").header("sec-fetch-site", "cross-site"), 403),
    ] {
        for h2 in [false, true] {
            let reply = house.call(&house.who.mia, ask.clone().over(h2)).await;
            assert_eq!(reply.status, want, "{case}, h2 {h2}");
        }
    }
    assert_eq!(house.plain.count(), 8);
    let refused = house.stop().await.outcomes().into_iter().filter(|outcome| outcome == "deny: cross_site").count();
    assert_eq!(refused, 16);
}

const LIMITED: (&str, &str) = ("limit: 6000, window: 1m, burst: 1000", "limit: 2, window: 1h, burst: 2");

#[tokio::test]
async fn over_a_limit_is_429_with_the_three_headers_and_no_upstream_request() {
    let house = House::plan().with("manifests/chat.yaml", LIMITED.0, LIMITED.1).start().await;
    let first = house.call(&house.who.mia, Ask::chat("one")).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("ratelimit-policy"), "\"per-caller\";q=2;w=3600");
    assert!(first.header("ratelimit").starts_with("\"per-caller\";r=1"), "{}", first.header("ratelimit"));
    assert_eq!(house.call(&house.who.mia, Ask::chat("two").h2()).await.status, 200);
    for h2 in [false, true] {
        let refused = house.call(&house.who.mia, Ask::chat("three").over(h2)).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
        assert!(refused.header("ratelimit").starts_with("\"per-caller\";r=0;t="), "{}", refused.header("ratelimit"));
        assert_eq!(refused.header("ratelimit-policy"), "\"per-caller\";q=2;w=3600");
        let after: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1700..=1800).contains(&after), "{after}");
        assert_eq!(refused.header("x-should-retry"), "", "a limit passes with time");
    }
    assert_eq!(house.call(&house.who.ned, Ask::chat("mine")).await.status, 200, "another caller has his own");
    assert_eq!(house.model.count(), 3);
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow", "allow", "deny: over_limit", "deny: over_limit", "allow"]);
    assert_eq!(records.requests()[2].rule(), "limit/per-caller");
}

#[tokio::test]
async fn a_reload_refills_no_limit() {
    let house = House::plan().with("manifests/chat.yaml", LIMITED.0, LIMITED.1).start().await;
    assert_eq!(house.call(&house.who.mia, Ask::chat("one")).await.status, 200);
    assert_eq!(house.call(&house.who.mia, Ask::chat("two")).await.status, 200);
    assert_eq!(house.call(&house.who.mia, Ask::chat("three")).await.status, 429);
    let reloaded = house.change("manifests/chat.yaml", "threshold: 70", "threshold: 75").await;
    assert_eq!(reloaded, Reload::Taken);
    assert_eq!(house.call(&house.who.mia, Ask::chat("four")).await.status, 429);
    assert_eq!(house.model.count(), 2);
    house.stop().await;
}

#[tokio::test]
async fn a_set_with_a_problem_leaves_the_old_one_running_and_says_why() {
    let house = House::start().await;
    let refused = house.change("manifests/plain.yaml", "maxBodySize: 16Ki", "maxBodySize: much").await;
    let Reload::Refused(why) = refused else { panic!("taken") };
    assert!(why.contains("plain.yaml"), "{why}");
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    let taken = house.change("manifests/plain.yaml", "maxBodySize: much", "maxBodySize: 1Ki").await;
    assert_eq!(taken, Reload::Taken);
    let large = Ask::post("/orders", "application/json", vec![b'1'; 2000]);
    assert_eq!(house.call(&house.who.mia, large).await.status, 413, "the new set is in force");
    let records = house.stop().await;
    // The watcher may have seen the same changes.
    assert!(records.lifecycle().len() >= 4, "started, refused, taken, stopped");
}

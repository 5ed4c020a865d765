//! Routes of each dialect on which everything that is found meets one action.

use std::sync::Arc;

use bytes::Bytes;
use postern_filters::{AnswerHead, AnswerWay, Chain, Chains, ContentFinding, Context, MessageLimits, Reason};
use serde_json::{Value, json};

use super::formats::Format;
use super::sayings::{Action, Saying, of};
use crate::testing::{House, asked, context, manifest, run};

const ACCESS: &str = "  authentication: {providers: [sso]}
  allow: [{methods: [POST], paths: ['/**'], contentTypes: [application/json]}]
  rateLimits: [{name: all, key: [Principal], unit: Requests, limit: 100000, window: 1m, burst: 100000}]";
const RULES: &str = "  rules: [{name: acme, effect: Permit, principals: [User], actions: [chat], when: 'principal.tenant == \"acme\"'}]";
const DETECTORS: &str = "  detectors:
    - {name: card, type: Builtin, id: payment-card, class: Confidential}
    - {name: email, type: Builtin, id: email, class: Confidential}
    - {name: secret, type: Builtin, id: secret, class: Confidential}
    - {name: case, type: Regex, pattern: '\\bACME-\\d{6}\\b', class: Internal}
  streaming: {holdBack: 512}
";
const PARTS: &str = "[Assistant, Reasoning, ToolArguments]";

fn data(action: Action) -> String {
    let all = "match: {detectors: [card, email, secret, case]}";
    let rule = match action {
        Action::Restore => {
            "    - {name: hide, direction: Request, parts: [User], match: {detectors: [email]}, action: Tokenize, restore: true}\n    - {name: no-cards, direction: Response, parts: [Assistant], match: {detectors: [card]}, action: Redact}".to_owned()
        }
        Action::Strip | Action::Escape => format!("    - {{name: it, direction: Response, parts: {PARTS}, {all}, action: Redact}}"),
        Action::Block | Action::Redact | Action::Mask | Action::Tokenize | Action::Annotate => {
            format!("    - {{name: it, direction: Response, parts: {PARTS}, {all}, action: {}}}", action.name())
        }
    };
    format!("{DETECTORS}  rules:\n{rule}")
}

fn runtime(action: Action) -> String {
    let word = match action {
        Action::Block | Action::Redact => action.name(),
        _ => "Annotate",
    };
    let detector = |name: &str, kind: &str| {
        format!("    - {{name: {name}, type: {kind}, parts: {PARTS}, untrustedOnly: false, action: {word}}}\n")
    };
    // Where values come back, nothing in front holds words together.
    let injection = if action == Action::Restore { String::new() } else { detector("injection", "PromptInjection") };
    let canary = if action == Action::Restore { "[ToolArguments]" } else { "[Assistant, ToolArguments]" };
    let mut out = format!(
        "  promptLayers: [{{name: house, position: First, contentFrom: \"file:layer.txt\"}}]\n  detectors:\n{injection}{}    - {{name: canary, type: Canary, parts: {canary}, action: {word}}}\n",
        detector("hidden", "HiddenText"),
    );
    if matches!(action, Action::Strip | Action::Escape) {
        out += &format!("  output: {{links: {{allowHosts: [good.example]}}, markup: {}}}", action.name());
    }
    out
}

/// The routes, compiled.
pub struct Policies {
    chains: Chains,
    house: House,
}

impl Policies {
    /// Those that are wanted.
    pub fn new(wanted: impl Fn(Action, &str) -> bool) -> Self {
        let house = House::new();
        let (mut routes, mut manifests) = (String::new(), String::new());
        for action in Action::ALL {
            for dialect in crate::DIALECTS.into_iter().filter(|dialect| wanted(action, dialect)) {
                let name = name(action, dialect);
                routes += &format!(
                    "  - {{name: {name}, match: {{pathPrefix: /{name}}}, upstream: model, dialect: {dialect}, labels: {{tenant: acme}}}}\n"
                );
                for (kind, spec) in [
                    ("APIAccessPolicy", ACCESS.to_owned()),
                    ("AccessControlPolicy", RULES.to_owned()),
                    ("DataProtectionPolicy", data(action)),
                    ("RuntimeSecurityPolicy", runtime(action)),
                ] {
                    manifests += &manifest(kind, &name, &spec);
                }
            }
        }
        Self { chains: house.chains(&routes, &manifests), house }
    }

    /// The route of an action, with a request behind it that waits for its answer.
    pub fn site(&self, action: Action, dialect: &str) -> Site<'_> {
        let name = name(action, dialect);
        let chain = self.chains.of(&name).unwrap();
        let said = "Ask mia@example.com please.";
        let (path, body) = match dialect {
            "openai" => ("v1/chat/completions", json!({"model": "m", "messages": [{"role": "user", "content": said}]})),
            "anthropic" => {
                ("v1/messages", json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": said}]}))
            }
            _ => ("v1/models/m:generateContent", json!({"contents": [{"parts": [{"text": said}]}]})),
        };
        let asked =
            asked("POST", &format!("/{name}/{path}")).bearer(&self.house.token(json!({}))).json(body.to_string());
        let mut cx = context();
        let (_, sent) = run(chain, &asked, &mut cx).unwrap();
        let sent = String::from_utf8(sent.to_vec()).unwrap();
        let canary = sent.split_once("reference ").unwrap().1.get(..26).unwrap().to_owned();
        let token = sent.split_once("Ask ").unwrap().1.split(' ').next().unwrap().to_owned();
        Site { sayings: of(action, &canary, &token), chain, request: cx }
    }
}

fn name(action: Action, dialect: &str) -> String {
    format!("{}-{dialect}", action.name().to_lowercase())
}

/// A route that waits for an answer.
pub struct Site<'p> {
    chain: &'p Chain,
    request: Context,
    pub sayings: Vec<Saying>,
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// All that was written.
    pub out: Vec<u8>,
    pub findings: Vec<ContentFinding>,
    pub reason: Option<Reason>,
}

impl Outcome {
    /// In an order that does not depend on when each was known.
    pub fn sorted(&self) -> Vec<ContentFinding> {
        let mut all = self.findings.clone();
        all.sort_by_key(|one| (one.range.start, one.range.end, one.guard.clone(), one.detector.clone()));
        all
    }
}

impl Site<'_> {
    fn head(&self, format: &Format, streams: bool) -> AnswerHead {
        AnswerHead {
            status: 200,
            content_type: Some(if streams { "text/event-stream" } else { "application/json" }.to_owned()),
            coding: Ok(None),
            asked_to_stream: streams,
            endpoint: Some(if streams { format.endpoint } else { format.whole_endpoint }),
            tokens: self.chain.tokens(&self.request).clone(),
            canary: self.request.canary().map(Arc::clone),
        }
    }

    /// Pushes the pieces of a stream; `each` is told what has been written after each.
    pub fn feed<'b>(
        &self,
        format: &Format,
        pieces: impl IntoIterator<Item = &'b [u8]>,
        mut each: impl FnMut(&[u8]),
    ) -> Outcome {
        let mut cx = context();
        let opened = self.chain.open_answer(&self.head(format, true), "d", MessageLimits::default()).unwrap();
        let AnswerWay::Stream(mut stream) = opened else { panic!("no stream") };
        let mut out = Vec::new();
        let mut reason = None;
        for piece in pieces {
            match stream.push(piece, &mut cx) {
                Ok(bytes) => out.extend(bytes),
                Err((bytes, refusal)) => {
                    out.extend(bytes);
                    reason = Some(refusal.reason);
                    break;
                }
            }
            each(&out);
        }
        if reason.is_none() {
            match stream.finish(&mut cx) {
                Ok(bytes) => out.extend(bytes),
                Err((bytes, refusal)) => {
                    out.extend(bytes);
                    reason = Some(refusal.reason);
                }
            }
        }
        Outcome { out, findings: cx.findings().to_vec(), reason }
    }

    /// Judges the same answer whole.
    pub fn judge(&self, format: &Format, body: String) -> Outcome {
        let mut cx = context();
        let judged = self.chain.judge_answer(&self.head(format, false), Bytes::from(body), &mut cx);
        let (out, reason) = match judged {
            Ok(bytes) => (bytes.to_vec(), None),
            Err(refusal) => (Vec::new(), Some(refusal.reason)),
        };
        Outcome { out, findings: cx.findings().to_vec(), reason }
    }
}

/// The JSON events of what was written; `[DONE]` is none.
pub fn events(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
}

//! Guards and short ways that the tests of all dialects use.

use std::sync::Arc;

use bytes::Bytes;
use postern_config::{ContentAction, Part};
use serde_json::Value as Json;

use super::{AiMessage, DialectError, Endpoint, EventStream, Message, StreamLimits, StreamOut, Target, judge};
use crate::json::{Document, Limits};
use crate::{ContentFinding, Edit, Judgement, TextGuard, TextGuards, TextStep};

/// What the guards of these tests look for, and what blocks.
pub(super) const SECRET: &str = "SECRET-42";
pub(super) const POISON: &str = "POISON";

/// Replaces every [`SECRET`] by `[x]`, blocks on [`POISON`]; on streams it holds back what may become one.
#[derive(Debug)]
pub(super) struct Guards;

fn finding(part: Part, range: std::ops::Range<usize>) -> ContentFinding {
    let (guard, detector) = ("data/test".to_owned(), "test".to_owned());
    ContentFinding { guard, detector, part, action: ContentAction::Redact, score: 100, range, label: None }
}

impl TextGuards for Guards {
    fn judge(&self, part: Part, text: &str) -> Judgement {
        let ranges: Vec<_> = text.match_indices(SECRET).map(|(at, hit)| at..at + hit.len()).collect();
        Judgement {
            edits: ranges.iter().map(|range| Edit { range: range.clone(), with: "[x]".into() }).collect(),
            findings: ranges.into_iter().map(|range| finding(part, range)).collect(),
            blocked: text.contains(POISON),
        }
    }

    fn open(&self, part: Part) -> Box<dyn TextGuard> {
        Box::new(Held { part, held: String::new(), at: 0 })
    }
}

#[derive(Debug)]
struct Held {
    part: Part,
    held: String,
    /// Bytes judged before what is held.
    at: usize,
}

impl Held {
    fn release(&mut self, upto: usize) -> TextStep {
        let text: String = self.held.drain(..upto).collect();
        let judged = Guards.judge(self.part, &text);
        self.at += text.len();
        TextStep { release: text.replace(SECRET, "[x]"), findings: judged.findings, blocked: judged.blocked }
    }
}

impl TextGuard for Held {
    fn push(&mut self, text: &str) -> TextStep {
        self.held.push_str(text);
        let open = |word: &str| (1..word.len()).rev().find(|n| self.held.ends_with(&word[..*n])).unwrap_or(0);
        let keep = open(SECRET).max(open(POISON));
        self.release(self.held.len() - keep)
    }

    fn finish(&mut self) -> TextStep {
        self.release(self.held.len())
    }

    fn stall(&mut self) -> TextStep {
        let held = std::mem::take(&mut self.held);
        let findings = (!held.is_empty()).then(|| finding(self.part, self.at..self.at + held.len()));
        self.at += held.len();
        let release = if held.is_empty() { String::new() } else { "[x]".to_owned() };
        TextStep { release, findings: findings.into_iter().collect(), blocked: false }
    }

    fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }
}

pub(super) fn request(endpoint: Endpoint, body: &str) -> Result<AiMessage, DialectError> {
    let target = Target { endpoint, model: None };
    AiMessage::request(target, Bytes::copy_from_slice(body.as_bytes()), Limits::default())
}

pub(super) fn answer(endpoint: Endpoint, body: &str) -> Result<AiMessage, DialectError> {
    AiMessage::answer(endpoint, Bytes::copy_from_slice(body.as_bytes()), Limits::default())
}

/// Judges and rewrites a whole message.
pub(super) fn rewritten(message: &dyn Message) -> Result<String, DialectError> {
    let judged = judge(message, &Guards);
    assert!(!judged.blocked);
    message.rewrite(&judged.edits).map(|body| String::from_utf8(body.to_vec()).unwrap())
}

pub(super) fn texts(message: &dyn Message) -> Vec<(Part, &str)> {
    message.parts().iter().map(|part| (part.part, part.text.as_str())).collect()
}

pub(super) fn stream(endpoint: Endpoint) -> EventStream {
    EventStream::new(endpoint, Arc::new(Guards), "decision-1", StreamLimits::default()).unwrap()
}

/// The JSON events of an output; each must be one line, and `[DONE]` the last.
pub(super) fn events(out: &[u8]) -> Vec<Json> {
    let text = std::str::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"), "{text:?}");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| {
            Document::parse(Bytes::copy_from_slice(data.as_bytes()), Limits::default()).unwrap();
            serde_json::from_str(data).unwrap()
        })
        .collect()
}

/// A whole stream: what leaves, and how it ended.
pub(super) fn run(endpoint: Endpoint, input: &str) -> (Vec<u8>, StreamOut) {
    let mut stream = stream(endpoint);
    let mut out = stream.push(input.as_bytes());
    let end = stream.finish();
    out.bytes.extend(end.bytes);
    out.reason = out.reason.or(end.reason);
    (std::mem::take(&mut out.bytes), out)
}

/// What leaves of a stream and what is found in it is the same wherever it is cut, and byte by byte.
pub(super) fn same_wherever_cut(endpoint: Endpoint, input: &str) {
    let fed = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut stream = stream(endpoint);
        let (mut bytes, mut findings, mut reason) = (Vec::new(), Vec::new(), None);
        for out in pieces.map(|piece| stream.push(piece)).collect::<Vec<_>>().into_iter().chain([stream.finish()]) {
            bytes.extend(out.bytes);
            findings.extend(out.findings);
            reason = reason.or(out.reason);
        }
        (String::from_utf8(bytes).unwrap(), findings, reason)
    };
    let whole = fed(&mut std::iter::once(input.as_bytes()));
    assert_eq!(fed(&mut input.as_bytes().chunks(1)), whole, "byte by byte");
    for cut in 1..input.len() {
        let (front, back) = input.as_bytes().split_at(cut);
        assert_eq!(fed(&mut [front, back].into_iter()), whole, "cut at {cut}");
    }
}

/// An event as it is named in its data.
pub(super) fn named(event: &Json) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

//! Content as it streams: every event is an answer with more of the candidates' parts. See [`crate::dialect::stream`] for what
//! is held and how streams end.
//!
//! The texts of a candidate that follow one another are one text, and its thoughts another; a part of another kind ends both.
//! There is no last event: a stream is whole when every candidate has said why it finished.

use std::collections::BTreeMap;

use postern_config::Part;

use super::answer::read;
use super::content::{Reading, is_thought};
use super::error_object;
use super::names::find;
use crate::Reason;
use crate::dialect::DialectError;
use crate::dialect::ai::{Facts, Usage};
use crate::dialect::fields::{expect, shape, string};
use crate::dialect::stream::{Cut, Events, Judge, Next, Texts};
use crate::json::{Editor, Kind, Value, quote};

/// A text of a candidate: by its number, and whether it is its thoughts.
type Key = (u32, bool);

/// One stream of candidates.
#[derive(Debug)]
pub(super) struct Candidates {
    texts: Texts<Key>,
    /// By number: whether it has finished.
    candidates: BTreeMap<u32, bool>,
    /// The prompt was refused by the provider: no candidate will come.
    refused: bool,
    model: Option<String>,
    usage: Option<Usage>,
}

impl Candidates {
    pub(super) fn open() -> Box<dyn Events> {
        Box::new(Self { texts: Texts::new(), candidates: BTreeMap::new(), refused: false, model: None, usage: None })
    }

    /// Texts of one candidate in one event, through the guards.
    fn candidate(&mut self, item: Value<'_>, editor: &mut Editor<'_>, judge: &mut Judge) -> Result<(), Cut> {
        let number = match find(item, "index") {
            None => 0,
            Some(index) => u32::try_from(index.integer().unwrap_or(-1)).map_err(|_negative| shape(index, "index"))?,
        };
        if number >= judge.limits.choices {
            return Err(DialectError::TooMany { what: "candidates" }.into());
        }
        let parts: Vec<Value<'_>> = find(item, "content")
            .and_then(|content| find(content, "parts"))
            .map(|parts| parts.items().collect())
            .unwrap_or_default();
        let finishes = find(item, "finishReason").is_some();
        let finished = self.candidates.entry(number).or_default();
        if *finished && !parts.is_empty() {
            return Err(shape(item, "a part after the end of its candidate").into());
        }
        *finished |= finishes;
        for (n, part) in parts.iter().enumerate() {
            let Some(value) = find(*part, "text") else {
                self.finish_texts(number, |_| true, judge)?;
                continue;
            };
            let is_thought = is_thought(*part);
            self.finish_texts(number, |open| open != is_thought, judge)?;
            let text = string(value, "text")?;
            let kind = if is_thought { Part::Reasoning } else { Part::Assistant };
            let mut release = self.texts.push((number, is_thought), kind, &text, judge)?;
            let goes_on = parts.get(n + 1).map_or(!finishes, |next| {
                find(*next, "text").is_some() && super::content::is_thought(*next) == is_thought
            });
            if !goes_on {
                // The end of the text goes where the text is, not in an event before it.
                release.push_str(&self.texts.finish((number, is_thought), judge)?.release);
            }
            if release != text {
                editor.set_text(value.id(), &release);
            }
        }
        if finishes { self.finish_texts(number, |_| true, judge) } else { Ok(()) }
    }

    /// Sends what the guards still hold of a candidate's texts that `which` picks, which end here.
    fn finish_texts(&mut self, number: u32, which: impl Fn(bool) -> bool, judge: &mut Judge) -> Result<(), Cut> {
        for is_thought in [true, false].into_iter().filter(|is_thought| which(*is_thought)) {
            let ended = self.texts.finish((number, is_thought), judge)?;
            send_text((number, is_thought), &ended.release, judge);
        }
        Ok(())
    }
}

impl Events for Candidates {
    fn event(&mut self, name: &[u8], data: Vec<u8>, judge: &mut Judge) -> Result<Next, Cut> {
        if !matches!(name, b"" | b"message") {
            return Err(DialectError::Unsupported { what: "event" }.into());
        }
        let doc = judge.read(data)?;
        let mut facts = Facts::default();
        let doc = judge.event(doc, |root, found| read(root, Reading::Event, found, &mut facts))?;
        if facts.is_error {
            judge.send("", doc.bytes());
            return Ok(Next::Failed);
        }
        self.model = facts.model.or_else(|| self.model.take());
        self.usage = facts.usage.or(self.usage);
        let root = doc.root();
        self.refused |= find(root, "promptFeedback").is_some_and(|feedback| find(feedback, "blockReason").is_some());
        let mut editor = Editor::new(&doc);
        if let Some(candidates) = find(root, "candidates") {
            expect(candidates, Kind::Array, "candidates")?;
            for item in candidates.items() {
                self.candidate(item, &mut editor, judge)?;
            }
        }
        judge.send("", &editor.finish().map_err(DialectError::from)?);
        Ok(Next::More)
    }

    fn stall(&mut self, judge: &mut Judge) -> Result<(), Cut> {
        let (ready, cut) = self.texts.stall(judge);
        for (key, text) in ready {
            send_text(key, &text, judge);
        }
        cut
    }

    fn is_holding(&self) -> bool {
        self.texts.is_holding()
    }

    fn is_whole(&self) -> bool {
        let finished = self.candidates.values().all(|finished| *finished);
        finished && (self.refused || !self.candidates.is_empty())
    }

    /// As the vendor ends a stream that fails: its SDKs raise `APIError`.
    fn error(&self, reason: Reason, decision_id: &str) -> Vec<u8> {
        [b"data: ".as_slice(), &error_object(reason, decision_id), b"\n\n"].concat()
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// An event of ours.
fn send_text((number, is_thought): Key, text: &str, judge: &mut Judge) {
    if text.is_empty() {
        return;
    }
    let mut event =
        format!("{{\"candidates\":[{{\"index\":{number},\"content\":{{\"role\":\"model\",\"parts\":[{{\"text\":")
            .into_bytes();
    event.extend(quote(text));
    if is_thought {
        event.extend(b",\"thought\":true");
    }
    event.extend(b"}]}}]}");
    judge.send("", &event);
}

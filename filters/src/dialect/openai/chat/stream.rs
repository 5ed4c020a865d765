//! A completion as it streams: `chat.completion.chunk`, or `text_completion` of the old endpoint. See
//! [`crate::dialect::stream`] for what is held and how streams end.

mod calls;
mod chunk;

use std::collections::BTreeMap;

use bytes::Bytes;
use postern_config::Part;

use self::calls::{Call, calls_json};
use crate::Reason;
use crate::dialect::DialectError;
use crate::dialect::ai::Usage;
use crate::dialect::openai::error_object;
use crate::dialect::stream::{Cut, Events, Judge, Next, Texts};
use crate::json::{Document, quote};

/// Fields of a delta that carry text.
const FIELDS: [(&str, Part); 4] = [
    ("content", Part::Assistant),
    ("refusal", Part::Assistant),
    ("reasoning_content", Part::Reasoning),
    ("reasoning", Part::Reasoning),
];
/// The field of a choice that carries text, of the old endpoint.
const TEXT: (&str, Part) = ("text", Part::Assistant);

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Chat,
    Text,
}

/// One stream of completions.
#[derive(Debug)]
pub(in crate::dialect::openai) struct Completions {
    format: Format,
    choices: BTreeMap<u32, Choice>,
    texts: Texts<(u32, &'static str)>,
    /// Fields of the last event that events of ours repeat, from `{` to before `"choices"`.
    head: Vec<u8>,
    model: Option<String>,
    usage: Option<Usage>,
    /// Bytes of tool calls held.
    held: usize,
}

/// One choice: the calls that are held.
#[derive(Debug, Default)]
struct Choice {
    calls: BTreeMap<u32, Call>,
    /// The call of the old `function_call`.
    function: Option<Call>,
    finished: bool,
}

impl Completions {
    pub(in crate::dialect::openai) fn chat() -> Box<dyn Events> {
        Box::new(Self::new(Format::Chat))
    }

    pub(in crate::dialect::openai) fn text() -> Box<dyn Events> {
        Box::new(Self::new(Format::Text))
    }

    fn new(format: Format) -> Self {
        Self {
            format,
            choices: BTreeMap::new(),
            texts: Texts::new(),
            head: Vec::new(),
            model: None,
            usage: None,
            held: 0,
        }
    }

    fn done(&mut self, judge: &mut Judge) -> Result<Next, Cut> {
        let open: Vec<u32> = self.choices.iter().filter(|(_, c)| !c.finished).map(|(index, _)| *index).collect();
        for index in open {
            self.finish_choice(index, judge)?;
        }
        judge.send("", b"[DONE]");
        Ok(Next::Done)
    }

    /// Sends what the guards and the calls of a choice still hold.
    fn finish_choice(&mut self, index: u32, judge: &mut Judge) -> Result<(), Cut> {
        let Some(choice) = self.choices.get_mut(&index) else { return Ok(()) };
        choice.finished = true;
        let calls = choice.take_calls(&mut self.held);
        for (field, _) in FIELDS.iter().chain([&TEXT]) {
            let ended = self.texts.finish((index, *field), judge)?;
            self.text_event(index, field, &ended.release, judge);
        }
        for (field, calls) in calls {
            let calls = judge.whole(Bytes::from(calls), |root, found| calls::walk(field, root, found))?;
            self.own_event(index, field, &calls, judge);
        }
        Ok(())
    }

    fn text_event(&self, index: u32, field: &str, text: &str, judge: &mut Judge) {
        if !text.is_empty() {
            self.own_event(index, field, &quote(text), judge);
        }
    }

    /// An event of ours, with one field of one choice.
    fn own_event(&self, index: u32, field: &str, json: &[u8], judge: &mut Judge) {
        let mut event = self.head.clone();
        event.extend(format!("\"choices\":[{{\"index\":{index},").as_bytes());
        match self.format {
            Format::Chat => {
                event.extend(format!("\"delta\":{{\"{field}\":").as_bytes());
                event.extend(json);
                event.extend(b"},\"finish_reason\":null}]}");
            }
            Format::Text => {
                event.extend(format!("\"{field}\":").as_bytes());
                event.extend(json);
                event.extend(b",\"finish_reason\":null}]}");
            }
        }
        judge.send("", &event);
    }
}

impl Events for Completions {
    fn event(&mut self, name: &[u8], data: Vec<u8>, judge: &mut Judge) -> Result<Next, Cut> {
        if !matches!(name, b"" | b"message" | b"error") {
            return Err(DialectError::Unsupported { what: "event" }.into());
        }
        if data.trim_ascii() == b"[DONE]" {
            return self.done(judge);
        }
        let doc = judge.read(data)?;
        if doc.root().get("error").is_some_and(|error| !error.is_null()) {
            return upstream_error(&doc, judge);
        }
        self.chunk(&doc, judge)?;
        Ok(Next::More)
    }

    fn stall(&mut self, judge: &mut Judge) -> Result<(), Cut> {
        let (ready, cut) = self.texts.stall(judge);
        for ((index, field), text) in ready {
            self.text_event(index, field, &text, judge);
        }
        cut
    }

    fn is_holding(&self) -> bool {
        self.texts.is_holding()
    }

    fn is_whole(&self) -> bool {
        !self.choices.is_empty() && self.choices.values().all(|choice| choice.finished)
    }

    /// The vendor's Python SDK raises `APIError` on it.
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

/// Tells the caller that the upstream failed, in its words, which are judged.
fn upstream_error(doc: &Document, judge: &mut Judge) -> Result<Next, Cut> {
    let bytes = judge.whole(doc.bytes().clone(), |root, found| {
        found.tree(root, Part::Assistant, &[]);
        Ok(())
    })?;
    judge.send("", &bytes);
    Ok(Next::Failed)
}

impl Choice {
    /// The held calls as JSON, by the field they belong in; gives back their bytes to `held`.
    fn take_calls(&mut self, held: &mut usize) -> Vec<(&'static str, Vec<u8>)> {
        let (calls, function) = (std::mem::take(&mut self.calls), self.function.take());
        let bytes: usize = calls.values().chain(&function).map(Call::len).sum();
        *held = held.saturating_sub(bytes);
        let mut out = Vec::new();
        if !calls.is_empty() {
            out.push(("tool_calls", calls_json(&calls)));
        }
        out.extend(function.map(|call| ("function_call", call.function_json())));
        out
    }
}

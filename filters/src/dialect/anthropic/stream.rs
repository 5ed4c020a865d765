//! A message as it streams. See [`crate::dialect::stream`] for what is held and how streams end.
//!
//! The name of an event has to be the `type` in its data: clients go by either. Only `message_stop` ends a message.

mod delta;

use std::collections::BTreeMap;

use bytes::Bytes;
use postern_config::Part;

use super::block::{Role, block, stop};
use super::{answer, error_object};
use crate::Reason;
use crate::course::Arguments;
use crate::dialect::DialectError;
use crate::dialect::ai::{Facts, Usage};
use crate::dialect::body::Found;
use crate::dialect::fields::{expect, index, member, scalar, shape, string, unknown};
use crate::dialect::stream::{Cut, Events, Judge, Next, Texts};
use crate::json::{Document, Kind, Value, quote};

/// Blocks of one message.
const MOST_BLOCKS: u32 = 1024;

/// One stream of a message's blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    begun: bool,
    /// By index; each once.
    blocks: BTreeMap<u32, Block>,
    texts: Texts<(u32, Says)>,
    model: Option<String>,
    usage: Option<Usage>,
    /// Bytes of tool input held.
    held: usize,
}

/// What is known of a block.
#[derive(Debug)]
enum Block {
    Text,
    /// Reasoning, and whether its signature has come, after which it cannot go on.
    Thinking {
        signed: bool,
    },
    /// A call, with its input as far as it has come.
    Tool {
        name: String,
        input: String,
    },
    Ended,
}

/// A text of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    Text,
    Thinking,
}

impl Says {
    fn part(self) -> Part {
        match self {
            Self::Text => Part::Assistant,
            Self::Thinking => Part::Reasoning,
        }
    }

    /// The type of its deltas, and the field in them.
    fn delta(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("text_delta", "text"),
            Self::Thinking => ("thinking_delta", "thinking"),
        }
    }
}

impl Blocks {
    pub(super) fn open() -> Box<dyn Events> {
        Box::new(Self { begun: false, blocks: BTreeMap::new(), texts: Texts::new(), model: None, usage: None, held: 0 })
    }

    /// `message_start`: a message without blocks.
    fn start(&mut self, doc: &Document, judge: &mut Judge) -> Result<(), Cut> {
        if std::mem::replace(&mut self.begun, true) {
            return Err(shape(doc.root(), "a second message").into());
        }
        let mut facts = Facts::default();
        let judged = judge.whole(doc.bytes().clone(), |root, found| {
            only(root, &["type", "message"])?;
            answer::message(member(root, "message", "message")?, found, &mut facts)
        })?;
        (self.model, self.usage) = (facts.model, facts.usage);
        judge.send("message_start", &judged);
        Ok(())
    }

    fn block_start(&mut self, doc: &Document, judge: &mut Judge) -> Result<(), Cut> {
        let root = doc.root();
        let number = index(root, "index", MOST_BLOCKS, "blocks")?;
        let content = member(root, "content_block", "content_block")?;
        let kind = member(content, "type", "content_block.type")?;
        let begun = match kind.text().as_deref() {
            Some("text") => Block::Text,
            Some("thinking") => Block::Thinking { signed: false },
            Some("tool_use") => {
                let name = content.get("name").and_then(|name| name.text()).unwrap_or_default().into_owned();
                Block::Tool { name, input: String::new() }
            }
            _ => Block::Ended,
        };
        // What a block says comes in deltas, and what began here would be cut off from them.
        let said = ["text", "thinking", "signature"].iter().filter_map(|field| content.get(field));
        let says = said.into_iter().any(|text| !text.is_null() && !text.is_text(""))
            || content.get("input").is_some_and(|input| input.kind() != Kind::Object || !input.is_empty());
        if says || !self.begun || self.blocks.insert(number, begun).is_some() {
            return Err(shape(content, "content_block").into());
        }
        let judged = judge.beginning(doc.bytes().clone(), |root, found| {
            only(root, &["type", "index", "content_block"])?;
            block(member(root, "content_block", "content_block")?, Role::Assistant, found)
        })?;
        judge.send("content_block_start", &judged);
        Ok(())
    }

    fn block_stop(&mut self, doc: &Document, judge: &mut Judge) -> Result<(), Cut> {
        let root = doc.root();
        only(root, &["type", "index"])?;
        let number = index(root, "index", MOST_BLOCKS, "blocks")?;
        self.finish_texts(number, judge)?;
        match self.blocks.insert(number, Block::Ended) {
            Some(Block::Text | Block::Thinking { .. }) => {}
            Some(Block::Tool { name, input }) => {
                judge.called(&name, Arguments::Json(if input.is_empty() { "{}" } else { &input }))?;
                self.held = self.held.saturating_sub(input.len());
                self.tool_input(number, input, judge)?;
            }
            Some(Block::Ended) | None => return Err(shape(root, "content_block_stop").into()),
        }
        judge.send("content_block_stop", doc.bytes());
        Ok(())
    }

    /// Sends what the guards still hold of a block. Returns whether all it said left as it came.
    fn finish_texts(&mut self, number: u32, judge: &mut Judge) -> Result<bool, Cut> {
        let mut unchanged = true;
        for says in [Says::Text, Says::Thinking] {
            let ended = self.texts.finish((number, says), judge)?;
            unchanged &= ended.unchanged;
            send_text(number, says, &ended.release, judge);
        }
        Ok(unchanged)
    }

    /// Sends the input of a call whole, judged as in an answer that is not streamed.
    fn tool_input(&self, number: u32, input: String, judge: &mut Judge) -> Result<(), Cut> {
        if input.is_empty() {
            return Ok(());
        }
        let json = if Document::parse(Bytes::from(input.clone()), judge.limits.json).is_ok() {
            let judged = judge.whole(Bytes::from(input), |root, found| {
                found.json_value(root, Part::ToolArguments);
                Ok(())
            })?;
            quote(&String::from_utf8_lossy(&judged))
        } else {
            // Cut short, say. Judged as it stands; what escapes hide in it could not be seen.
            let text = Bytes::from(quote(&input));
            judge.whole(text, |root, found| found.json_text(root, Part::ToolArguments, "tool_use.input"))?.to_vec()
        };
        send_delta(number, "input_json_delta", "partial_json", &json, judge);
        Ok(())
    }

    /// `message_delta`: why the model stopped, and what it cost.
    fn message_delta(&mut self, doc: &Document, judge: &mut Judge) -> Result<(), Cut> {
        let mut used = None;
        let judged = judge.whole(doc.bytes().clone(), |root, found| {
            for (key, value) in root.entries() {
                match string(key, "message_delta")?.as_ref() {
                    "type" => {}
                    "usage" => used = answer::usage(value)?,
                    "delta" => ended(value, found)?,
                    "context_management" => found.remove(root, value),
                    _ => return Err(unknown(key, "message_delta")),
                }
            }
            Ok(())
        })?;
        if let Some(Usage { prompt, completion, .. }) = used {
            let prompt = prompt.max(self.usage.map_or(0, |usage| usage.prompt));
            self.usage = Some(Usage { prompt, completion, total: prompt.saturating_add(completion) });
        }
        judge.send("message_delta", &judged);
        Ok(())
    }

    /// All blocks have ended: what the dialect lets follow may follow.
    fn is_between(&self) -> bool {
        self.begun && self.texts.is_empty() && self.blocks.values().all(|block| matches!(block, Block::Ended))
    }
}

impl Events for Blocks {
    fn event(&mut self, name: &[u8], data: Vec<u8>, judge: &mut Judge) -> Result<Next, Cut> {
        let doc = judge.read(data)?;
        let root = doc.root();
        expect(root, Kind::Object, "event")?;
        let kind = member(root, "type", "type")?;
        let kind = string(kind, "type")?;
        if !name.is_empty() && name != kind.as_bytes() {
            return Err(shape(root, "event").into());
        }
        match kind.as_ref() {
            "message_start" => self.start(&doc, judge)?,
            "content_block_start" => self.block_start(&doc, judge)?,
            "content_block_delta" => self.delta(&doc, judge)?,
            "content_block_stop" => self.block_stop(&doc, judge)?,
            "message_delta" if self.is_between() => self.message_delta(&doc, judge)?,
            "message_stop" if self.is_between() => {
                only(root, &["type"])?;
                judge.send("message_stop", doc.bytes());
                return Ok(Next::Done);
            }
            "message_delta" | "message_stop" => return Err(shape(root, "an end before that of a block").into()),
            "ping" => judge.send("ping", b"{\"type\":\"ping\"}"),
            "error" => {
                let judged = judge.whole(doc.bytes().clone(), |root, found| {
                    found.tree(root, Part::Assistant, &["type", "error", "message", "request_id"]);
                    Ok(())
                })?;
                judge.send("error", &judged);
                return Ok(Next::Failed);
            }
            _ => return Err(DialectError::Unsupported { what: "event" }.into()),
        }
        Ok(Next::More)
    }

    fn stall(&mut self, judge: &mut Judge) -> Result<(), Cut> {
        let (ready, cut) = self.texts.stall(judge);
        for ((number, says), text) in ready {
            send_text(number, says, &text, judge);
        }
        cut
    }

    fn is_holding(&self) -> bool {
        self.texts.is_holding()
    }

    fn is_whole(&self) -> bool {
        false
    }

    /// The vendor's SDKs raise `APIStatusError` on it.
    fn error(&self, reason: Reason, decision_id: &str) -> Vec<u8> {
        [b"event: error\ndata: ".as_slice(), &error_object(reason, decision_id), b"\n\n"].concat()
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// `delta` of `message_delta`.
fn ended(delta: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(delta, Kind::Object, "message_delta.delta")?;
    for (key, value) in delta.entries() {
        match string(key, "message_delta.delta")?.as_ref() {
            "container" => scalar(value, Kind::Null, "container")?,
            name if stop(name, value, found)? => {}
            _ => return Err(unknown(key, "message_delta.delta")),
        }
    }
    Ok(())
}

/// Refuses an event with a field that is not one of these.
fn only(root: Value<'_>, known: &[&str]) -> Result<(), DialectError> {
    match root.entries().find(|(key, _)| !known.iter().any(|known| key.is_text(known))) {
        Some((key, _)) => Err(unknown(key, "event")),
        None => Ok(()),
    }
}

fn send_text(number: u32, says: Says, text: &str, judge: &mut Judge) {
    if !text.is_empty() {
        let (kind, field) = says.delta();
        send_delta(number, kind, field, &quote(text), judge);
    }
}

/// A delta of ours.
fn send_delta(number: u32, kind: &str, field: &str, json: &[u8], judge: &mut Judge) {
    let mut event =
        format!("{{\"type\":\"content_block_delta\",\"index\":{number},\"delta\":{{\"type\":\"{kind}\",\"{field}\":")
            .into_bytes();
    event.extend(json);
    event.extend(b"}}");
    judge.send("content_block_delta", &event);
}

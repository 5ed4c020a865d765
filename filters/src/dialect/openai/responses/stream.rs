//! A response as it streams. See [`crate::dialect::stream`] for what is held and how streams end.
//!
//! Every text is said up to four times: in deltas, at its own end, at the end of its item, and in the whole response. What
//! comes after the deltas says what was released of them, not what the upstream says; what had no deltas is judged whole.
//! Arguments leave at their end, in one delta. Events are numbered anew, as some are left out and others added.
//!
//! The name of an event has to be the `type` in its data: clients go by either. Only `response.completed`, `.incomplete` and
//! `.failed` end a response.

mod says;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::json;

use self::says::{Key, Says};
use crate::Reason;
use crate::dialect::DialectError;
use crate::dialect::ai::Usage;
use crate::dialect::fields::{base64, expect, index, member, shape, string, unknown, word};
use crate::dialect::stream::{Cut, Events, Judge, Next, Texts};
use crate::json::{Document, Editor, Kind, Value, quote};

/// Items of one response, and pieces of one item.
const MOST_ITEMS: u32 = 1024;
const MOST_PIECES: u32 = 256;
/// Texts of one response.
const MOST_TEXTS: usize = 4096;

/// One stream of a response's items.
#[derive(Debug)]
pub(super) struct Items {
    texts: Texts<Key>,
    /// Of open texts, the item they are of.
    ids: BTreeMap<Key, String>,
    /// Names of calls that have begun, by their item.
    calls: BTreeMap<u32, String>,
    /// Texts that cannot go on: their guards are gone.
    ended: BTreeSet<Key>,
    /// The number of the next event that leaves, where the upstream counts.
    next: Option<i64>,
    model: Option<String>,
    usage: Option<Usage>,
}

impl Items {
    pub(super) fn open() -> Box<dyn Events> {
        Box::new(Self {
            texts: Texts::repeating(),
            ids: BTreeMap::new(),
            calls: BTreeMap::new(),
            ended: BTreeSet::new(),
            next: None,
            model: None,
            usage: None,
        })
    }

    /// More of a text.
    fn delta(&mut self, says: Says, doc: &Document, judge: &mut Judge) -> Result<(), Cut> {
        let root = doc.root();
        let key = key(root, says)?;
        if self.ended.contains(&key) || self.ids.len() + self.ended.len() >= MOST_TEXTS {
            return Err(shape(root, "delta after its end").into());
        }
        let mut editor = Editor::new(doc);
        for (field, value) in root.entries() {
            match string(field, "event")?.as_ref() {
                "type" | "output_index" | "delta" | "sequence_number" => {}
                "item_id" => {
                    word(value, "item_id")?;
                    self.ids.entry(key).or_insert_with(|| value.text().unwrap_or_default().into_owned());
                }
                name if name == says.index() => {}
                // Token by token it would spell what is cut out.
                "logprobs" if value.is_null() || value.is_empty() && value.kind() == Kind::Array => {}
                "logprobs" => editor.set(value.id(), b"[]").map_err(DialectError::from)?,
                // Padding of the old length would be wrong.
                "obfuscation" => {
                    base64(value, "obfuscation")?;
                    editor.remove(root.id(), value.id());
                }
                _ => return Err(unknown(field, "event").into()),
            }
        }
        let value = member(root, "delta", "delta")?;
        let text = string(value, "delta")?;
        self.ids.entry(key).or_default();
        let release = self.texts.push(key, says.part(), &text, judge)?;
        if release.is_empty() {
            return Ok(());
        }
        if release != text {
            editor.set_text(value.id(), &release);
        }
        self.number(root, &mut editor)?;
        judge.send(says.delta(), &editor.finish().map_err(DialectError::from)?);
        Ok(())
    }

    /// Sends what the guards still hold of the texts that `which` picks, which end here.
    fn finish_texts(&mut self, which: impl Fn(&Key) -> bool, judge: &mut Judge) -> Result<(), Cut> {
        for key in self.texts.keys().into_iter().filter(which) {
            let ended = self.texts.finish(key, judge)?;
            self.text_event(key, &ended.release, judge);
            self.ids.remove(&key);
            self.ended.insert(key);
        }
        Ok(())
    }

    /// A delta of ours.
    fn text_event(&mut self, key: Key, text: &str, judge: &mut Judge) {
        if text.is_empty() {
            return;
        }
        let (says, id) = (key.says, self.ids.get(&key).map(String::as_str).unwrap_or_default());
        let mut event = format!(
            "{{\"type\":\"{}\",\"item_id\":\"{id}\",\"output_index\":{},\"{}\":{},\"delta\":",
            says.delta(),
            key.item,
            says.index(),
            key.piece
        )
        .into_bytes();
        event.extend(quote(text));
        if says == Says::Text {
            event.extend(b",\"logprobs\":[]");
        }
        self.send_own(says.delta(), event, judge);
    }

    /// Sends an event of ours, whose end is still to be written.
    fn send_own(&mut self, name: &str, mut event: Vec<u8>, judge: &mut Judge) {
        if let Some(next) = &mut self.next {
            event.extend(format!(",\"sequence_number\":{next}").as_bytes());
            *next += 1;
        }
        event.push(b'}');
        judge.send(name, &event);
    }

    /// Sends an event that was judged whole.
    fn send(&mut self, name: &str, json: Bytes, judge: &mut Judge) -> Result<(), Cut> {
        let doc = Document::parse(json, judge.limits.json).map_err(DialectError::from)?;
        let mut editor = Editor::new(&doc);
        self.number(doc.root(), &mut editor)?;
        judge.send(name, &editor.finish().map_err(DialectError::from)?);
        Ok(())
    }

    /// Gives an event its number.
    fn number(&mut self, root: Value<'_>, editor: &mut Editor<'_>) -> Result<(), DialectError> {
        let Some(number) = root.get("sequence_number") else { return Ok(()) };
        let came = number.integer().ok_or(shape(number, "sequence_number"))?;
        let next = self.next.get_or_insert(came);
        if came != *next {
            editor.set(number.id(), next.to_string().as_bytes())?;
        }
        *next += 1;
        Ok(())
    }
}

impl Events for Items {
    fn event(&mut self, name: &[u8], data: Vec<u8>, judge: &mut Judge) -> Result<Next, Cut> {
        judge.repeats = true;
        let doc = judge.read(data)?;
        let root = doc.root();
        expect(root, Kind::Object, "event")?;
        let kind = string(member(root, "type", "type")?, "type")?;
        if !name.is_empty() && name != kind.as_bytes() {
            return Err(shape(root, "event").into());
        }
        if let Some(says) = Says::ALL.into_iter().find(|says| says.delta() == kind) {
            self.delta(says, &doc, judge)?;
            return Ok(Next::More);
        }
        self.whole(&kind, &doc, judge)
    }

    fn stall(&mut self, judge: &mut Judge) -> Result<(), Cut> {
        let (ready, cut) = self.texts.stall(judge);
        for (key, text) in ready {
            self.text_event(key, &text, judge);
        }
        cut
    }

    fn is_holding(&self) -> bool {
        self.texts.is_holding()
    }

    fn is_whole(&self) -> bool {
        false
    }

    /// The vendor's event, with the error object in it besides: its Python SDK raises `APIError` on that.
    fn error(&self, reason: Reason, decision_id: &str) -> Vec<u8> {
        let message = format!("{} (decision {decision_id})", reason.title());
        let (kind, code) = (reason.openai_type(), reason.openai_code());
        let event = json!({"type": "error", "sequence_number": self.next.unwrap_or(0), "code": code, "message": message,
            "param": null, "error": {"message": message, "type": kind, "param": null, "code": code}});
        format!("event: error\ndata: {event}\n\n").into_bytes()
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// The place of a text in the answer.
fn key(root: Value<'_>, says: Says) -> Result<Key, DialectError> {
    let item = index(root, "output_index", MOST_ITEMS, "output_index")?;
    let piece = index(root, says.index(), MOST_PIECES, "content_index")?;
    Ok(Key { item, piece, says })
}

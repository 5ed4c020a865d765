//! Events that come whole, and are judged whole.

use postern_config::Part;

use super::{Items, Key, MOST_ITEMS, Says, key};
use crate::course::{Arguments, View};
use crate::dialect::DialectError;
use crate::dialect::ai::Facts;
use crate::dialect::body::Found;
use crate::dialect::fields::{expect, index, member, scalar, shape, string, unknown, word};
use crate::dialect::openai::responses::{answer, item};
use crate::dialect::stream::{Cut, Judge, Next};
use crate::json::{Document, Kind, Value, quote};

/// Arguments of calls: the event with more of them, the one at their end, and its field.
const CALLS: [(&str, &str, &str); 2] = [
    ("response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments"),
    ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "input"),
];

impl Items {
    pub(super) fn whole(&mut self, kind: &str, doc: &Document, judge: &mut Judge) -> Result<Next, Cut> {
        let root = doc.root();
        if let Some(says) = Says::ALL.into_iter().find(|says| says.done() == kind) {
            let key = key(root, says)?;
            self.finish_texts(|open| *open == key, judge)?;
            self.ended.insert(key);
            return self.pass(kind, doc, judge, |name, value, found| match name {
                "logprobs" if value.is_null() => Ok(true),
                "logprobs" => {
                    found.blank(value, b"[]");
                    Ok(true)
                }
                name if name == says.field() => found.text(value, says.part(), "text").map(|()| true),
                _ => Ok(false),
            });
        }
        if let Some((delta, done, field)) = CALLS.into_iter().find(|(delta, done, _)| [*delta, *done].contains(&kind)) {
            return if kind == done { self.call(doc, (delta, done, field), judge) } else { more(root) };
        }
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => self.response(kind, doc, judge),
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.finish_texts(|_| true, judge)?;
                self.response(kind, doc, judge)?;
                Ok(if kind == "response.failed" { Next::Failed } else { Next::Done })
            }
            "response.output_item.added" | "response.output_item.done" => {
                let number = index(root, "output_index", MOST_ITEMS, "output_index")?;
                let one = member(root, "item", "item")?;
                self.finish_texts(|open| open.item == number, judge)?;
                let read = |name: &str, value: Value<'_>, found: &mut Found| match name {
                    "item" => item::of_answer(value, found).map(|()| true),
                    _ => Ok(false),
                };
                if kind.ends_with("done") {
                    judge.view(View::Items);
                    let next = self.pass(kind, doc, judge, read)?;
                    judge.view(View::Pieces);
                    return Ok(next);
                }
                begins_empty(one)?;
                if let Some(name) = one.get("name").and_then(|name| name.text()) {
                    self.calls.insert(number, name.into_owned());
                }
                let judged = judge.beginning(doc.bytes().clone(), |root, found| fields(root, found, read))?;
                self.send(kind, judged, judge)?;
                Ok(Next::More)
            }
            "response.content_part.added"
            | "response.content_part.done"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done" => self.piece(kind, doc, judge),
            "response.output_text.annotation.added" => self.pass(kind, doc, judge, |name, value, found| match name {
                "annotation" => {
                    item::annotations(value, Part::Assistant, found);
                    Ok(true)
                }
                _ => Ok(false),
            }),
            "error" => {
                let judged = judge.whole(doc.bytes().clone(), |root, found| {
                    found.tree(
                        root,
                        Part::Assistant,
                        &["type", "error", "code", "message", "param", "sequence_number"],
                    );
                    Ok(())
                })?;
                self.send("error", judged, judge)?;
                Ok(Next::Failed)
            }
            _ => Err(DialectError::Unsupported { what: "event" }.into()),
        }
    }

    /// An event with the whole response in it.
    fn response(&mut self, kind: &str, doc: &Document, judge: &mut Judge) -> Result<Next, Cut> {
        let mut facts = Facts::default();
        judge.view(View::Answer);
        self.pass(kind, doc, judge, |name, value, found| match name {
            "response" => answer::response(value, found, &mut facts).map(|()| true),
            _ => Ok(false),
        })?;
        judge.view(View::Pieces);
        self.model = facts.model.or_else(|| self.model.take());
        self.usage = facts.usage.or(self.usage);
        Ok(Next::More)
    }

    /// A piece of content, as it begins and as it ends.
    fn piece(&mut self, kind: &str, doc: &Document, judge: &mut Judge) -> Result<Next, Cut> {
        let root = doc.root();
        let number = index(root, "output_index", MOST_ITEMS, "output_index")?;
        let part = member(root, "part", "part")?;
        if kind.ends_with("added") {
            begins_empty(part)?;
        } else {
            let summary = kind.starts_with("response.reasoning_summary");
            let says = if summary { Says::Summary } else { Says::Text };
            let Key { piece, .. } = key(root, says)?;
            let ends =
                |open: &Key| open.item == number && open.piece == piece && (open.says == Says::Summary) == summary;
            self.finish_texts(ends, judge)?;
        }
        self.pass(kind, doc, judge, |name, value, found| match name {
            "part" => item::content(value, Part::Assistant, found).map(|()| true),
            _ => Ok(false),
        })
    }

    /// The end of a call's arguments: they leave now, in one delta.
    fn call(&mut self, doc: &Document, call: (&str, &str, &str), judge: &mut Judge) -> Result<Next, Cut> {
        let (delta, done, field) = call;
        let read = |name: &str, value: Value<'_>, found: &mut Found| match name {
            "name" => found.fixed(value, Part::ToolArguments, "name").map(|()| true),
            "arguments" if field == "arguments" => {
                found.json_text(value, Part::ToolArguments, "arguments").map(|()| true)
            }
            "input" if field == "input" => found.maybe_json(value, Part::ToolArguments, "input").map(|()| true),
            _ => Ok(false),
        };
        let number = index(doc.root(), "output_index", MOST_ITEMS, "output_index")?;
        let input = string(member(doc.root(), field, "arguments")?, "arguments")?;
        let input = if field == "arguments" { Arguments::Json(&input) } else { Arguments::Text(&input) };
        judge.called(self.calls.get(&number).map(String::as_str).unwrap_or_default(), input)?;
        let judged = judge.whole(doc.bytes().clone(), |root, found| fields(root, found, read))?;
        let judged = Document::parse(judged, judge.limits.json).map_err(DialectError::from)?;
        let root = judged.root();
        let text = string(member(root, field, "arguments")?, "arguments")?;
        if !text.is_empty() {
            let id = root.get("item_id").and_then(|id| id.text()).unwrap_or_default();
            let number = index(root, "output_index", MOST_ITEMS, "output_index")?;
            let mut event = format!("{{\"type\":\"{delta}\",\"item_id\":\"{id}\",\"output_index\":{number},\"delta\":")
                .into_bytes();
            event.extend(quote(&text));
            self.send_own(delta, event, judge);
        }
        self.send(done, judged.bytes().clone(), judge)?;
        Ok(Next::More)
    }

    /// Judges an event whole and sends it. `read` takes the fields that tell something.
    fn pass(
        &mut self,
        kind: &str,
        doc: &Document,
        judge: &mut Judge,
        read: impl FnMut(&str, Value<'_>, &mut Found) -> Result<bool, DialectError>,
    ) -> Result<Next, Cut> {
        let judged = judge.whole(doc.bytes().clone(), |root, found| fields(root, found, read))?;
        self.send(kind, judged, judge)?;
        Ok(Next::More)
    }
}

/// Reads the fields that place an event, and leaves the others to `read`.
fn fields(
    root: Value<'_>,
    found: &mut Found,
    mut read: impl FnMut(&str, Value<'_>, &mut Found) -> Result<bool, DialectError>,
) -> Result<(), DialectError> {
    for (key, value) in root.entries() {
        match string(key, "event")?.as_ref() {
            "type" | "item_id" => word(value, "item_id")?,
            "sequence_number" | "output_index" | "content_index" | "summary_index" | "annotation_index" => {
                scalar(value, Kind::Number, "output_index")?;
            }
            name if read(name, value, found)? => {}
            _ => return Err(unknown(key, "event")),
        }
    }
    Ok(())
}

/// More of a call's arguments: half of them tells nobody anything, and their end says them whole.
fn more(root: Value<'_>) -> Result<Next, Cut> {
    for (key, value) in root.entries() {
        match string(key, "event")?.as_ref() {
            "type" | "item_id" => word(value, "item_id")?,
            "sequence_number" | "output_index" => scalar(value, Kind::Number, "output_index")?,
            "delta" => expect(value, Kind::String, "delta")?,
            "obfuscation" => {}
            _ => return Err(unknown(key, "event").into()),
        }
    }
    Ok(Next::More)
}

/// Refuses what begins with a text: it would be cut off from the deltas that go on with it.
fn begins_empty(value: Value<'_>) -> Result<(), DialectError> {
    expect(value, Kind::Object, "item")?;
    for field in ["text", "refusal", "arguments", "input", "content", "summary"] {
        if let Some(said) = value.get(field) {
            let is_empty = match said.kind() {
                Kind::Null => true,
                Kind::Array => said.is_empty(),
                _ => said.is_text(""),
            };
            if !is_empty {
                return Err(shape(said, "an item that begins with text"));
            }
        }
    }
    Ok(())
}

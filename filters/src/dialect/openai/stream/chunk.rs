//! One `chat.completion.chunk`: its deltas go through the guards, and it is sent on with what they release.

use super::choice::{Choice, FIELDS};
use super::{ChatStream, Cut, StreamOut, data_event};
use crate::dialect::DialectError;
use crate::dialect::body::{Found, JsonBody, expect, identifier, scalar, shape, string};
use crate::dialect::openai::answer::{dropped, head_field, usage};
use crate::json::{Document, Editor, Kind, Value};
use postern_config::Part;

/// What becomes of an event.
struct Plan<'d> {
    editor: Editor<'d>,
    /// Something was taken out of it.
    emptied: bool,
    /// It still says something.
    telling: bool,
}

impl ChatStream {
    pub(super) fn chunk(&mut self, doc: &Document, out: &mut StreamOut) -> Result<(), Cut> {
        let root = doc.root();
        expect(root, Kind::Object, "event")?;
        let mut plan = Plan { editor: Editor::new(doc), emptied: false, telling: false };
        self.head(root, &mut plan)?;
        let choices = root.get("choices").ok_or(DialectError::Missing { what: "choices" })?;
        expect(choices, Kind::Array, "choices")?;
        plan.telling |= choices.is_empty();
        for item in choices.items() {
            self.choice(item, &mut plan, out)?;
        }
        if plan.telling || !plan.emptied {
            data_event(&plan.editor.finish().map_err(DialectError::from)?, out);
        }
        Ok(())
    }

    /// Reads what stands beside the choices, and keeps it for events of ours.
    fn head(&mut self, root: Value<'_>, plan: &mut Plan<'_>) -> Result<(), DialectError> {
        self.head.clear();
        self.head.push(b'{');
        for (key, value) in root.entries() {
            let name = string(key, "event")?;
            match name.as_ref() {
                "choices" => {}
                "usage" => {
                    if let Some(usage) = usage(value)? {
                        self.usage = Some(usage);
                        plan.telling = true;
                    }
                }
                other => {
                    let mut kept = true;
                    head_field(other, root, key, value, |within, child| {
                        plan.editor.remove(within.id(), child.id());
                        kept = false;
                    })?;
                    if kept {
                        for bytes in [key.raw(), b":", value.raw(), b","] {
                            self.head.extend_from_slice(bytes);
                        }
                    }
                    if other == "model" && !value.is_text(self.model.as_deref().unwrap_or_default()) {
                        self.model = value.text().map(|model| model.into_owned());
                    }
                }
            }
        }
        Ok(())
    }

    fn choice(&mut self, item: Value<'_>, plan: &mut Plan<'_>, out: &mut StreamOut) -> Result<(), Cut> {
        expect(item, Kind::Object, "choices[]")?;
        let index = item.get("index").and_then(|n| u32::try_from(n.integer()?).ok());
        let index = index.ok_or(DialectError::Missing { what: "choices[].index" })?;
        if index >= self.limits.choices {
            return Err(DialectError::TooMany { what: "choices" }.into());
        }
        self.choices.entry(index).or_default();
        let finishing = item.get("finish_reason").is_some_and(|reason| !reason.is_null());
        for (key, value) in item.entries() {
            match string(key, "choices[]")?.as_ref() {
                "index" => {}
                "delta" => self.delta(index, value, finishing, plan, out)?,
                "finish_reason" if value.is_null() => {}
                "finish_reason" => drop(identifier(value, "finish_reason")?),
                "logprobs" if value.is_null() => {}
                "logprobs" => plan.editor.set(value.id(), b"null").map_err(DialectError::from)?,
                other => dropped(other, item, key, value, |within, child| {
                    plan.editor.remove(within.id(), child.id());
                })?,
            }
        }
        if finishing {
            plan.telling = true;
            self.finish_choice(index, out)?;
        }
        Ok(())
    }

    fn delta(
        &mut self,
        index: u32,
        delta: Value<'_>,
        finishing: bool,
        plan: &mut Plan<'_>,
        out: &mut StreamOut,
    ) -> Result<(), Cut> {
        if delta.is_null() {
            return Ok(());
        }
        expect(delta, Kind::Object, "delta")?;
        for (key, value) in delta.entries() {
            let name = string(key, "delta")?;
            if let Some(field) = FIELDS.iter().find(|(field, _)| *field == name) {
                self.delta_text(index, *field, value, finishing, plan, out)?;
                continue;
            }
            match name.as_ref() {
                "role" => {
                    scalar(value, Kind::String, "role")?;
                    if !value.is_null() {
                        identifier(value, "role")?;
                        plan.telling = true;
                    }
                }
                "tool_calls" | "function_call" if value.is_null() => {}
                "tool_calls" | "function_call" => {
                    self.open(index, value)?;
                    if name == "tool_calls" {
                        self.hold_calls(index, value)?
                    } else {
                        self.hold_function(index, value)?
                    }
                    plan.editor.remove(delta.id(), value.id());
                    plan.emptied = true;
                }
                "annotations" => self.annotations(value, plan, out)?,
                other => dropped(other, delta, key, value, |within, child| {
                    plan.editor.remove(within.id(), child.id());
                    plan.emptied = true;
                })?,
            }
        }
        Ok(())
    }

    fn delta_text(
        &mut self,
        index: u32,
        field: (&'static str, Part),
        value: Value<'_>,
        finishing: bool,
        plan: &mut Plan<'_>,
        out: &mut StreamOut,
    ) -> Result<(), Cut> {
        if value.is_null() {
            return Ok(());
        }
        let text = string(value, "delta.content")?;
        if text.is_empty() {
            return Ok(());
        }
        let guards = self.guards.clone();
        let choice = self.open(index, value)?;
        let mut release = choice.text(field, &text, guards.as_ref(), &mut out.findings)?;
        if finishing {
            // The end of the text goes where the text is, not in an event before it.
            release.push_str(&choice.finish_text(field.0, &mut out.findings)?);
        }
        if release != text {
            plan.editor.set_text(value.id(), &release);
        }
        if release.is_empty() {
            plan.emptied = true;
        } else {
            plan.telling = true;
        }
        Ok(())
    }

    /// The choice, unless it has finished: its guards are gone, and text behind their back would be judged without them.
    fn open(&mut self, index: u32, value: Value<'_>) -> Result<&mut Choice, DialectError> {
        self.choices.get_mut(&index).filter(|choice| !choice.finished).ok_or(shape(value, "delta after its end"))
    }

    /// Sources of a search, which come whole: judged whole.
    fn annotations(&self, value: Value<'_>, plan: &mut Plan<'_>, out: &mut StreamOut) -> Result<(), Cut> {
        if value.is_null() {
            return Ok(());
        }
        let bytes = bytes::Bytes::copy_from_slice(value.raw());
        let walk = |root: Value<'_>, found: &mut Found| {
            found.tree(root, Part::Assistant, &["type", "url_citation", "title", "url"]);
            Ok(())
        };
        let (body, ()) = JsonBody::parse(bytes, self.limits.json, walk)?;
        let judged = self.judge_body(body, out)?;
        if judged != value.raw() {
            plan.editor.set(value.id(), &judged).map_err(DialectError::from)?;
        }
        plan.telling = true;
        Ok(())
    }
}

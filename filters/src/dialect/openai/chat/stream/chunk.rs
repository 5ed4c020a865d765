//! One event: its deltas go through the guards, and it is sent on with what they release.

use bytes::Bytes;
use postern_config::Part;

use super::{Choice, Completions, FIELDS, Format, TEXT};
use crate::dialect::DialectError;
use crate::dialect::fields::{expect, identifier, index, shape, string, word};
use crate::dialect::openai::chat::answer::{dropped, head_field, usage};
use crate::dialect::stream::{Cut, Judge};
use crate::json::{Document, Editor, Kind, Value};

/// What becomes of an event.
struct Plan<'d, 'j> {
    editor: Editor<'d>,
    judge: &'j mut Judge,
    /// Something was taken out of it.
    emptied: bool,
    /// It still says something.
    telling: bool,
}

/// A choice of an event.
#[derive(Clone, Copy)]
struct At {
    index: u32,
    /// The event ends it.
    finishing: bool,
}

impl Completions {
    pub(super) fn chunk(&mut self, doc: &Document, judge: &mut Judge) -> Result<(), Cut> {
        let root = doc.root();
        expect(root, Kind::Object, "event")?;
        let mut plan = Plan { editor: Editor::new(doc), judge, emptied: false, telling: false };
        self.head(root, &mut plan)?;
        let choices = root.get("choices").ok_or(DialectError::Missing { what: "choices" })?;
        expect(choices, Kind::Array, "choices")?;
        plan.telling |= choices.is_empty();
        for item in choices.items() {
            self.choice(item, &mut plan)?;
        }
        if plan.telling || !plan.emptied {
            plan.judge.send("", &plan.editor.finish().map_err(DialectError::from)?);
        }
        Ok(())
    }

    /// Reads what stands beside the choices, and keeps it for events of ours.
    fn head(&mut self, root: Value<'_>, plan: &mut Plan<'_, '_>) -> Result<(), DialectError> {
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

    fn choice(&mut self, item: Value<'_>, plan: &mut Plan<'_, '_>) -> Result<(), Cut> {
        expect(item, Kind::Object, "choices[]")?;
        let index = index(item, "index", plan.judge.limits.choices, "choices")?;
        self.choices.entry(index).or_default();
        let finishing = item.get("finish_reason").is_some_and(|reason| !reason.is_null());
        let at = At { index, finishing };
        for (key, value) in item.entries() {
            match (string(key, "choices[]")?.as_ref(), self.format) {
                ("index", _) => {}
                ("delta", Format::Chat) => self.delta(at, value, plan)?,
                ("text", Format::Text) => self.delta_text(at, TEXT, value, plan)?,
                ("finish_reason", _) => word(value, "finish_reason")?,
                ("logprobs", _) if value.is_null() => {}
                ("logprobs", _) => plan.editor.set(value.id(), b"null").map_err(DialectError::from)?,
                (other, _) => dropped(other, item, key, value, |within, child| {
                    plan.editor.remove(within.id(), child.id());
                })?,
            }
        }
        if finishing {
            plan.telling = true;
            self.finish_choice(index, plan.judge)?;
        }
        Ok(())
    }

    fn delta(&mut self, at: At, delta: Value<'_>, plan: &mut Plan<'_, '_>) -> Result<(), Cut> {
        if delta.is_null() {
            return Ok(());
        }
        expect(delta, Kind::Object, "delta")?;
        for (key, value) in delta.entries() {
            let name = string(key, "delta")?;
            if let Some(field) = FIELDS.iter().find(|(field, _)| *field == name) {
                self.delta_text(at, *field, value, plan)?;
                continue;
            }
            match name.as_ref() {
                "role" if value.is_null() => {}
                "role" => {
                    identifier(value, "role")?;
                    plan.telling = true;
                }
                "tool_calls" | "function_call" if value.is_null() => {}
                "tool_calls" | "function_call" => {
                    self.open(at.index, value)?;
                    if name == "tool_calls" {
                        self.hold_calls(at.index, value, &plan.judge.limits)?;
                    } else {
                        self.hold_function(at.index, value, &plan.judge.limits)?;
                    }
                    plan.editor.remove(delta.id(), value.id());
                    plan.emptied = true;
                }
                "annotations" if value.is_null() => {}
                "annotations" => plan.annotations(value)?,
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
        at: At,
        (field, part): (&'static str, Part),
        value: Value<'_>,
        plan: &mut Plan<'_, '_>,
    ) -> Result<(), Cut> {
        if value.is_null() {
            return Ok(());
        }
        let text = string(value, "delta.content")?;
        if text.is_empty() {
            return Ok(());
        }
        self.open(at.index, value)?;
        let key = (at.index, field);
        let mut release = self.texts.push(key, part, &text, plan.judge)?;
        if at.finishing {
            // The end of the text goes where the text is, not in an event before it.
            release.push_str(&self.texts.finish(key, plan.judge)?.release);
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
}

impl Plan<'_, '_> {
    /// Sources of a search, which come whole: judged whole.
    fn annotations(&mut self, value: Value<'_>) -> Result<(), Cut> {
        let judged = self.judge.whole(Bytes::copy_from_slice(value.raw()), |root, found| {
            found.tree(root, Part::Assistant, &["type", "url_citation", "title", "url"]);
            Ok(())
        })?;
        if judged != value.raw() {
            self.editor.set(value.id(), &judged).map_err(DialectError::from)?;
        }
        self.telling = true;
        Ok(())
    }
}

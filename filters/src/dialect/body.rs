//! A JSON body with parts: how dialects collect texts, and how edits of them become a new body.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use postern_config::Part;

use super::fields::string;
use super::part::Place;
use super::{DialectError, MessagePart, Text, embedded};
use crate::json::{Document, Editor, Kind, Limits, NodeId, Value, apply};
use crate::{Edit, mutant};

/// A number shorter than this holds nothing a detector looks for.
const TELLING_DIGITS: usize = 9;

/// What the provider keeps of turns and prompts, whoever speaks in it.
const CONVERSATIONS: [&str; 6] =
    ["previous_response_id", "conversation", "prompt", "item_reference", "compaction", "cachedContent"];

/// A parsed JSON body, its texts, and what is stripped from it.
#[derive(Debug)]
pub(super) struct JsonBody {
    doc: Document,
    found: Found,
}

/// What a dialect collects while it walks a body.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) parts: Vec<MessagePart>,
    /// What it carries that nobody can read: how the first of it is called, and where all of it is.
    opaque: Option<&'static str>,
    /// Of it, what may say something as the operator.
    unseen_system: Option<&'static str>,
    hidden: Vec<Hidden>,
    /// Tools on offer: the name, and the schema of what they are called with.
    offers: Vec<(NodeId, Option<NodeId>)>,
    /// Calls: the name, and what it is called with.
    calls: Vec<(Option<NodeId>, Input<NodeId>)>,
    /// Choices of an answer: the texts in each, and whether it calls tools.
    choices: Vec<(Vec<NodeId>, bool)>,
    /// Container and child that do not pass.
    removed: Vec<(NodeId, NodeId)>,
    /// Values that pass as something that says nothing.
    blanked: Vec<(NodeId, &'static [u8])>,
    /// JSON inside strings, by the string; and JSON that is judged as one text.
    embedded: BTreeMap<NodeId, Embedded>,
    /// For JSON inside strings: all of it together may have as many nodes as a body.
    limits: Limits,
}

/// A tool on offer.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'v> {
    pub(crate) name: Value<'v>,
    /// Of what it is called with, where that is JSON and something is said about it.
    pub(crate) schema: Option<Value<'v>>,
}

/// A call of a tool.
#[derive(Clone, Copy)]
pub(crate) struct Call<'v> {
    /// Absent where it is not one that a caller can offer.
    pub(crate) name: Option<Value<'v>>,
    pub(crate) input: Input<Value<'v>>,
}

/// What a tool is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input<T> {
    Nothing,
    /// Any text, where there is one.
    Text(Option<T>),
    /// JSON, or a string that holds some.
    Json(T),
}

/// One of several answers.
#[derive(Debug)]
pub(crate) struct Choice<'v> {
    /// What the model says, without its reasoning.
    pub(crate) texts: Vec<Cow<'v, str>>,
    pub(crate) calls: bool,
}

/// Where something is that nobody can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hidden {
    /// A member or an item.
    Here(NodeId),
    /// That which the value stands in.
    Around(NodeId),
    /// Nothing would be left without it.
    Everywhere,
}

#[derive(Debug)]
struct Embedded {
    doc: Document,
    /// A rewritten text must still be JSON.
    strict: bool,
}

fn member<'v>(value: Value<'v>, name: &str) -> Option<Value<'v>> {
    let same = |(key, value): (Value<'v>, Value<'v>)| key.text().filter(|key| same_words(key, name)).map(|_| value);
    value.get(name).or_else(|| value.entries().find_map(same))
}

/// Whether two names are the same words, in camel case or joined with `_`.
pub(super) fn same_words(one: &str, other: &str) -> bool {
    let words = |name: &str| -> String { name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect() };
    words(one) == words(other)
}

impl JsonBody {
    /// What stands at names inside each other, however their words are joined: some vendors read `topP` and `top_p` alike.
    pub(super) fn field(&self, names: &[String]) -> Option<Value<'_>> {
        names.iter().try_fold(self.doc.root(), |value, name| member(value, name))
    }

    /// Parses `bytes` and lets `walk` collect.
    pub(super) fn parse<T>(
        bytes: Bytes,
        limits: Limits,
        walk: impl FnOnce(Value<'_>, &mut Found) -> Result<T, DialectError>,
    ) -> Result<(Self, T), DialectError> {
        Self::of(Document::parse(bytes, limits)?, limits, walk)
    }

    /// Lets `walk` collect from what is parsed already.
    pub(super) fn of<T>(
        doc: Document,
        limits: Limits,
        walk: impl FnOnce(Value<'_>, &mut Found) -> Result<T, DialectError>,
    ) -> Result<(Self, T), DialectError> {
        let mut found = Found {
            parts: Vec::new(),
            opaque: None,
            unseen_system: None,
            hidden: Vec::new(),
            offers: Vec::new(),
            calls: Vec::new(),
            choices: Vec::new(),
            removed: Vec::new(),
            blanked: Vec::new(),
            embedded: BTreeMap::new(),
            limits,
        };
        let facts = walk(doc.root(), &mut found)?;
        Ok((Self { doc, found }, facts))
    }

    pub(super) fn parts(&self) -> &[MessagePart] {
        &self.found.parts
    }

    pub(super) fn doc(&self) -> &Document {
        &self.doc
    }

    pub(super) fn opaque(&self) -> Option<&'static str> {
        self.found.opaque
    }

    /// Tools on offer, in their order.
    pub(super) fn offers(&self) -> impl Iterator<Item = Offer<'_>> {
        let value = |id| self.doc.value(id);
        self.found.offers.iter().map(move |(name, schema)| Offer { name: value(*name), schema: schema.map(value) })
    }

    /// Calls of tools, in their order.
    pub(super) fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        let value = |id| self.doc.value(id);
        self.found.calls.iter().map(move |(name, input)| {
            let input = match input {
                Input::Nothing => Input::Nothing,
                Input::Text(id) => Input::Text(id.map(value)),
                Input::Json(id) => Input::Json(value(*id)),
            };
            Call { name: name.map(value), input }
        })
    }

    /// What an answer says in each of its choices.
    pub(super) fn choices(&self) -> impl Iterator<Item = Choice<'_>> {
        let text = |id: &NodeId| self.doc.value(*id).text();
        self.found
            .choices
            .iter()
            .map(move |(texts, calls)| Choice { texts: texts.iter().filter_map(text).collect(), calls: *calls })
    }

    /// What cannot be read, and may say something as the operator.
    pub(super) fn unseen_system(&self) -> Option<&'static str> {
        self.found.unseen_system
    }

    /// Where what nobody can read is.
    pub(super) fn hidden(&self) -> &[Hidden] {
        &self.found.hidden
    }

    pub(super) fn root(&self) -> Value<'_> {
        self.doc.root()
    }

    pub(super) fn into_doc(self) -> Document {
        self.doc
    }

    pub(super) fn document(&self) -> &Document {
        &self.doc
    }

    /// See [`super::Message::rewrite`].
    pub(super) fn rewrite(&self, edits: &[(usize, Vec<Edit>)]) -> Result<Bytes, DialectError> {
        let mut editor = Editor::new(&self.doc);
        // Edits of a string that holds JSON are made together with those of the strings in it.
        let mut nested: BTreeMap<NodeId, (&[Edit], embedded::Inner<'_>)> = BTreeMap::new();
        for (index, edits) in edits.iter().filter(|(_, edits)| !edits.is_empty()) {
            let part = self.found.parts.get(*index).filter(|part| !part.fixed).ok_or(DialectError::Fixed)?;
            match part.place {
                Place::Node(node) if self.found.embedded.contains_key(&node) => {
                    nested.entry(node).or_default().0 = edits;
                }
                Place::Node(node) => editor.text(node, edits)?,
                Place::Inner { outer, leaf } => nested.entry(outer).or_default().1.push((leaf, edits)),
                Place::Index => return Err(DialectError::Fixed),
            }
        }
        for (node, (outer, inner)) in nested {
            let Some(embedded) = self.found.embedded.get(&node) else { return Err(DialectError::Fixed) };
            match embedded::combine(&embedded.doc, outer, &inner) {
                Ok(edits) if self.doc.value(node).kind() == Kind::String => editor.text(node, &edits)?,
                Ok(edits) => {
                    let json = String::from_utf8_lossy(embedded.doc.bytes());
                    editor.set(node, apply(&json, &edits)?.as_bytes())?;
                }
                // A result need not stay JSON, as long as no escaped text was found as well.
                Err(_) if !embedded.strict && inner.is_empty() => editor.text(node, outer)?,
                Err(error) => return Err(error),
            }
        }
        for (container, child) in &self.found.removed {
            editor.remove(*container, *child);
        }
        for (node, with) in &self.found.blanked {
            editor.set(*node, with)?;
        }
        Ok(editor.finish()?)
    }
}

impl Found {
    fn push(&mut self, value: Value<'_>, part: Part, fixed: bool) {
        let text = Text::of(value);
        if !text.as_str().is_empty() {
            self.parts.push(MessagePart { part, text, fixed, place: Place::Node(value.id()) });
        }
    }

    /// A tool that the model may call.
    pub(super) fn offer(&mut self, name: Value<'_>, schema: Option<Value<'_>>) {
        self.offers.push((name.id(), schema.filter(|schema| !schema.is_null()).map(|schema| schema.id())));
    }

    /// A tool that the model calls.
    pub(super) fn called(&mut self, name: Option<Value<'_>>, input: Option<Value<'_>>) {
        let input = input.map_or(Input::Nothing, |input| Input::Json(input.id()));
        self.call(name, input);
    }

    /// As [`Found::called`], with a text that need not be JSON.
    pub(super) fn called_with_text(&mut self, name: Option<Value<'_>>, input: Option<Value<'_>>) {
        self.call(name, Input::Text(input.map(|input| input.id())));
    }

    fn call(&mut self, name: Option<Value<'_>>, input: Input<NodeId>) {
        self.calls.push((name.map(|name| name.id()), input));
        if let Some((_, calls)) = self.choices.last_mut() {
            *calls = true;
        }
    }

    /// A choice of an answer begins.
    pub(super) fn choice(&mut self) {
        self.choices.push((Vec::new(), false));
    }

    /// A text that the model says in the choice that has begun; of a request nobody asks.
    pub(super) fn says(&mut self, value: Value<'_>) {
        if let Some((texts, _)) = self.choices.last_mut() {
            texts.push(value.id());
        }
    }

    /// A string that may be rewritten.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(super) fn text(&mut self, value: Value<'_>, part: Part, what: &'static str) -> Result<(), DialectError> {
        string(value, what)?;
        if mutant::is_here() {
            return Ok(());
        }
        self.push(value, part, false);
        Ok(())
    }

    /// A string without another spelling.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(super) fn fixed(&mut self, value: Value<'_>, part: Part, what: &'static str) -> Result<(), DialectError> {
        string(value, what)?;
        if mutant::is_here() {
            return Ok(());
        }
        self.push(value, part, true);
        Ok(())
    }

    /// A string that holds JSON by contract: the arguments of a function. It is judged as it stands, so that a guard
    /// sees keys beside values, and once more string by string where escapes hide text from that reading
    /// (`"\u0034111…"`).
    ///
    /// A string that is not strict JSON is judged as plain text if it has no backslash, for then nothing can be hidden.
    /// With one it is refused: a lenient reader behind us would see what no guard saw.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(super) fn json_text(&mut self, value: Value<'_>, part: Part, what: &'static str) -> Result<(), DialectError> {
        let text = string(value, what)?;
        if mutant::is_here() {
            return Ok(());
        }
        self.push(value, part, false);
        if !self.embed(value, &text, part, true) && text.contains('\\') {
            return Err(DialectError::Unreadable { what, offset: value.span().start });
        }
        Ok(())
    }

    /// A string that often holds JSON, but need not: the result of a tool, the input of a custom tool. The model reads
    /// it as it stands; where it is JSON with escapes, the strings in it are judged as well.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(super) fn maybe_json(&mut self, value: Value<'_>, part: Part, what: &'static str) -> Result<(), DialectError> {
        let text = string(value, what)?;
        if mutant::is_here() {
            return Ok(());
        }
        self.push(value, part, false);
        if text.contains('\\') && text.trim_start().starts_with(['{', '[', '"']) {
            self.embed(value, &text, part, false);
        }
        Ok(())
    }

    /// JSON that stands where other vendors have a string of JSON, and is judged as that one is ([`Found::json_text`]): as
    /// it is written, and once more string by string where escapes hide text.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(super) fn json_value(&mut self, value: Value<'_>, part: Part) {
        if mutant::is_here() {
            return;
        }
        let text = String::from_utf8_lossy(value.raw()).into_owned();
        if matches!(text.as_str(), "null" | "{}" | "[]" | "\"\"") {
            return;
        }
        let place = Place::Node(value.id());
        self.parts.push(MessagePart { part, text: Text::owned(text), fixed: false, place });
        let text = String::from_utf8_lossy(value.raw());
        // INVARIANT: what stands in strict JSON is strict JSON.
        if !self.embed(value, &text, part, true) {
            self.opaque("JSON that cannot be read", Hidden::Everywhere);
        }
    }

    /// Whether `text`, the text of `value`, is JSON whose strings are judged now.
    fn embed(&mut self, value: Value<'_>, text: &str, part: Part, strict: bool) -> bool {
        let Ok(doc) = Document::parse(Bytes::copy_from_slice(text.as_bytes()), self.limits) else { return false };
        self.limits.nodes = self.limits.nodes.saturating_sub(doc.node_count());
        for leaf in embedded::leaves(doc.root()).filter(|leaf| leaf.value.is_escaped()) {
            let place = Place::Inner { outer: value.id(), leaf: leaf.value.id() };
            self.parts.push(MessagePart { part, text: Text::of(leaf.value), fixed: leaf.is_key, place });
        }
        self.embedded.insert(value.id(), Embedded { doc, strict });
        true
    }

    /// Every key, string and long number below `value`. Keys are fixed. `words` are constants of the format, which hold
    /// nothing and are skipped.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(super) fn tree(&mut self, value: Value<'_>, part: Part, words: &[&str]) {
        if mutant::is_here() {
            return;
        }
        let skip = |value: Value<'_>| words.iter().any(|word| value.is_text(word));
        for leaf in embedded::leaves(value) {
            match leaf.value.kind() {
                Kind::String if !skip(leaf.value) => self.push(leaf.value, part, leaf.is_key),
                Kind::Number if leaf.value.raw().len() >= TELLING_DIGITS => self.push(leaf.value, part, false),
                _ => {}
            }
        }
    }

    /// As [`Found::tree`], for what decides what is called.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(super) fn fixed_tree(&mut self, value: Value<'_>, part: Part, words: &[&str]) {
        if mutant::is_here() {
            return;
        }
        let from = self.parts.len();
        self.tree(value, part, words);
        self.parts.iter_mut().skip(from).for_each(|part| part.fixed = true);
    }

    /// `child` does not pass.
    pub(super) fn remove(&mut self, container: Value<'_>, child: Value<'_>) {
        self.removed.push((container.id(), child.id()));
    }

    /// `value` passes as `null`.
    pub(super) fn null(&mut self, value: Value<'_>) {
        self.blank(value, b"null");
    }

    /// `value` passes as `with`, which is JSON.
    pub(super) fn blank(&mut self, value: Value<'_>, with: &'static [u8]) {
        if value.raw() != with {
            self.blanked.push((value.id(), with));
        }
    }

    /// Something nobody can read.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(super) fn opaque(&mut self, what: &'static str, at: Hidden) {
        if mutant::is_here() {
            return;
        }
        self.opaque.get_or_insert(what);
        if CONVERSATIONS.contains(&what) {
            self.unseen_system.get_or_insert(what);
        }
        self.hidden.push(at);
    }

    /// As [`Found::opaque`], for a member or an item of which nothing else is to be read.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(super) fn hides(&mut self, what: &'static str, value: Value<'_>) -> Result<(), DialectError> {
        if mutant::is_here() {
            return Ok(());
        }
        self.opaque(what, Hidden::Here(value.id()));
        Ok(())
    }
}

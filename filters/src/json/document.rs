//! A parsed body: the bytes, and a flat arena of spans over them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::text::{OffsetMap, decode};
use super::{JsonError, parse};

/// Bounds of one document. A node takes 20 bytes of memory, and the shortest takes two of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body; never above 4 GiB, whatever is set.
    pub bytes: usize,
    /// Arrays and objects inside each other.
    pub depth: usize,
    /// Values and keys together.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 20, depth: 64, nodes: 1 << 18 }
    }
}

/// Names one value of one document. Only meaningful with the document it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// One value or key. Children follow their parent; in an object keys and values alternate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// Bytes of the token, quotes and brackets included.
    pub(super) start: u32,
    pub(super) end: u32,
    /// The node after this one and all below it.
    pub(super) next: u32,
    /// Items of an array, members of an object.
    pub(super) children: u32,
    pub(super) kind: Kind,
    /// A string with at least one backslash.
    pub(super) escaped: bool,
}

impl Node {
    const NULL: Self = Self { start: 0, end: 0, next: 0, children: 0, kind: Kind::Null, escaped: false };

    pub(super) fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The span of a string without its quotes.
    pub(super) fn inner(&self) -> Range<usize> {
        let start = self.start as usize + 1;
        start..(self.end as usize).saturating_sub(1).max(start)
    }
}

/// A body that passed the reader. Cheap to keep: it shares the bytes it was read from.
#[derive(Clone)]
pub struct Document {
    bytes: Bytes,
    nodes: Vec<Node>,
}

impl Document {
    /// Reads `bytes` as one JSON text. Work and memory are linear in `bytes` (sorting the keys of one object adds a
    /// logarithm) and bounded by `limits`; no recursion.
    ///
    /// # Errors
    /// The first reason why two parsers could disagree about the body, with its place.
    pub fn parse(bytes: Bytes, limits: Limits) -> Result<Self, JsonError> {
        let nodes = parse::parse(&bytes, limits)?;
        Ok(Self { bytes, nodes })
    }

    #[must_use]
    pub fn root(&self) -> Value<'_> {
        self.value(NodeId(0))
    }

    /// The value behind an id of this document; `null` for an id of another one that this one does not have.
    #[must_use]
    pub fn value(&self, id: NodeId) -> Value<'_> {
        Value { doc: self, id, node: self.node(id) }
    }

    /// The arrays and objects that values stand in: the innermost, and the one around that. In the order of `ids`; one pass, however
    /// many there are.
    #[must_use]
    pub fn around(&self, ids: &BTreeSet<NodeId>) -> Vec<(NodeId, [Option<NodeId>; 2])> {
        let mut open: Vec<(NodeId, u32)> = Vec::new();
        let mut found = Vec::new();
        for (at, node) in (0_u32..).zip(&self.nodes) {
            while open.last().is_some_and(|(_, end)| *end <= at) {
                open.pop();
            }
            if ids.contains(&NodeId(at)) {
                let mut outwards = open.iter().rev().map(|(id, _)| *id);
                found.push((NodeId(at), [outwards.next(), outwards.next()]));
            }
            if matches!(node.kind, Kind::Array | Kind::Object) {
                open.push((NodeId(at), node.next));
            }
        }
        found
    }

    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Values and keys together.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, id: NodeId) -> Node {
        self.nodes.get(id.0 as usize).copied().unwrap_or(Node::NULL)
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bodies are never printed.
        write!(f, "Document({} bytes, {} nodes)", self.bytes.len(), self.nodes.len())
    }
}

/// One value of a document, looked at.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    doc: &'a Document,
    id: NodeId,
    node: Node,
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({:?}, {:?})", self.node.kind, self.node.span())
    }
}

impl<'a> Value<'a> {
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.node.kind
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        self.node.kind == Kind::Null
    }

    /// Bytes of the document this value takes, quotes and brackets included.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.node.span()
    }

    /// The value as it came.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.doc.slice(self.node.span())
    }

    /// Whether a string has escapes, so that its text differs from its bytes.
    #[must_use]
    pub fn is_escaped(&self) -> bool {
        self.node.escaped
    }

    /// The decoded text of a string; borrowed where nothing was escaped.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, str>> {
        (self.node.kind == Kind::String).then(|| decode(self.doc.slice(self.node.inner()), self.node.escaped))
    }

    /// The text of a string without escapes, sharing the body's bytes.
    #[must_use]
    pub fn shared_text(&self) -> Option<Bytes> {
        let plain = self.node.kind == Kind::String && !self.node.escaped;
        plain.then(|| self.doc.bytes.slice(self.node.inner()))
    }

    /// Whether this is a string whose decoded text is `text`.
    #[must_use]
    pub fn is_text(&self, text: &str) -> bool {
        if self.node.kind != Kind::String {
            return false;
        }
        let raw = self.doc.slice(self.node.inner());
        if self.node.escaped { decode(raw, true) == text } else { raw == text.as_bytes() }
    }

    /// From bytes of the decoded text to bytes of the document. Empty for what is no string.
    #[must_use]
    pub fn offsets(&self) -> OffsetMap {
        if self.node.kind != Kind::String {
            return OffsetMap::default();
        }
        let inner = self.node.inner();
        OffsetMap::of_json(self.doc.slice(inner.clone()), inner.start)
    }

    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        (self.node.kind == Kind::Bool).then(|| self.raw() == b"true")
    }

    /// An integer that every reader takes for the same one: written without fraction, exponent or minus zero, within
    /// ±(2^53 − 1) (RFC 8259 §6).
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        const SAFE: i64 = (1 << 53) - 1;
        if self.node.kind != Kind::Number || self.raw() == b"-0" {
            return None;
        }
        let value: i64 = std::str::from_utf8(self.raw()).ok()?.parse().ok()?;
        (-SAFE..=SAFE).contains(&value).then_some(value)
    }

    /// Any number, rounded to a double.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        if self.node.kind != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.raw()).ok()?.parse().ok()
    }

    /// Items of an array, members of an object.
    #[must_use]
    pub fn len(&self) -> usize {
        self.node.children as usize
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.node.children == 0
    }

    /// The member `key` of an object. Linear: for objects with few members.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.entries().find(|(k, _)| k.is_text(key)).map(|(_, v)| v)
    }

    /// The items of an array, in order; nothing for any other kind.
    #[must_use]
    pub fn items(&self) -> Items<'a> {
        Items { at: self.children_of(Kind::Array) }
    }

    /// Keys and values of an object, in order; nothing for any other kind.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        Entries { at: self.children_of(Kind::Object) }
    }

    fn children_of(&self, kind: Kind) -> Cursor<'a> {
        let (next, end) = if self.node.kind == kind { (self.id.0 + 1, self.node.next) } else { (0, 0) };
        Cursor { doc: self.doc, next, end }
    }
}

struct Cursor<'a> {
    doc: &'a Document,
    next: u32,
    end: u32,
}

impl<'a> Cursor<'a> {
    fn step(&mut self) -> Option<Value<'a>> {
        if self.next >= self.end {
            return None;
        }
        let value = self.doc.value(NodeId(self.next));
        self.next = value.node.next.max(self.next + 1);
        Some(value)
    }
}

/// See [`Value::items`].
#[expect(missing_debug_implementations, reason = "a cursor over a body, which is never printed")]
pub struct Items<'a> {
    at: Cursor<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.at.step()
    }
}

/// See [`Value::entries`].
#[expect(missing_debug_implementations, reason = "a cursor over a body, which is never printed")]
pub struct Entries<'a> {
    at: Cursor<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<(Value<'a>, Value<'a>)> {
        Some((self.at.step()?, self.at.step()?))
    }
}

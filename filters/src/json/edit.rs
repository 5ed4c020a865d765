//! Changes to a body, written by replacing spans: what is not changed leaves as it came.

use std::ops::Range;

use bytes::Bytes;

use super::text::{escape_into, quote};
use super::{Document, JsonError, Kind, Limits, NodeId};
use crate::Edit;

/// Why a change cannot be made. Nothing is written then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("the value has no text")]
    NotText,
    #[error("a range is out of the text, out of order or inside a character")]
    BadRange,
    #[error("two changes touch the same bytes")]
    Overlap,
    #[error("the value is not in that array or object")]
    NotAChild,
    #[error("the replacement is not JSON")]
    NotJson(#[from] JsonError),
}

/// Collects changes to one document.
#[derive(Debug)]
pub struct Editor<'d> {
    doc: &'d Document,
    changes: Vec<(Range<usize>, Vec<u8>)>,
    /// Container and child.
    removals: Vec<(NodeId, NodeId)>,
}

impl<'d> Editor<'d> {
    #[must_use]
    pub fn new(doc: &'d Document) -> Self {
        Self { doc, changes: Vec::new(), removals: Vec::new() }
    }

    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.changes.is_empty() && self.removals.is_empty()
    }

    /// Replaces ranges of the decoded text of a string. The text of a number can be changed too: the number then becomes
    /// a string, since what replaces a part of it is hardly a digit.
    ///
    /// # Errors
    /// [`EditError::NotText`] for other kinds; [`EditError::BadRange`] unless `edits` are ordered, apart, within the text
    /// and on character boundaries.
    pub fn text(&mut self, node: NodeId, edits: &[Edit]) -> Result<(), EditError> {
        let value = self.doc.value(node);
        if value.kind() == Kind::Number {
            let changed = apply(std::str::from_utf8(value.raw()).unwrap_or_default(), edits)?;
            self.changes.push((value.span(), quote(&changed)));
            return Ok(());
        }
        let text = value.text().ok_or(EditError::NotText)?;
        check(&text, edits)?;
        let map = value.offsets();
        for edit in edits {
            let range = map.raw_range(edit.range.clone()).ok_or(EditError::BadRange)?;
            let mut with = Vec::with_capacity(edit.with.len());
            escape_into(&mut with, &edit.with);
            self.changes.push((range, with));
        }
        Ok(())
    }

    /// Replaces a whole value by a string.
    pub fn set_text(&mut self, node: NodeId, text: &str) {
        self.changes.push((self.doc.value(node).span(), quote(text)));
    }

    /// Replaces a whole value by another one.
    ///
    /// # Errors
    /// [`EditError::NotJson`] if `json` does not pass the reader itself.
    pub fn set(&mut self, node: NodeId, json: &[u8]) -> Result<(), EditError> {
        Document::parse(Bytes::copy_from_slice(json), Limits::default())?;
        self.changes.push((self.doc.value(node).span(), json.to_vec()));
        Ok(())
    }

    /// Adds a member to an object that has some, in front of them.
    pub fn add_member(&mut self, object: NodeId, name: &str, json: &[u8]) {
        let at = self.doc.value(object).span().start + 1;
        let mut with = quote(name);
        with.push(b':');
        with.extend_from_slice(json);
        with.push(b',');
        self.changes.push((at..at, with));
    }

    /// Removes an item of an array, or a member of an object by its value, with the comma that goes with it.
    pub fn remove(&mut self, container: NodeId, child: NodeId) {
        if !self.removals.contains(&(container, child)) {
            self.removals.push((container, child));
        }
    }

    /// Puts what comes before all items of an array or members of an object: `json` is an item, or a key with its value.
    pub fn put_first(&mut self, container: NodeId, json: &[u8]) {
        let value = self.doc.value(container);
        let comma: &[u8] = if value.is_empty() { b"" } else { b"," };
        self.insert(value.span().start + 1, &[json, comma].concat());
    }

    /// As [`Editor::put_first`], behind all of them.
    pub fn put_last(&mut self, container: NodeId, json: &[u8]) {
        match self.children(container).last() {
            Some((_, span)) => self.insert(span.end, &[b",", json].concat()),
            None => self.put_first(container, json),
        }
    }

    /// Puts an item right behind another one of the same array.
    pub fn put_behind(&mut self, item: NodeId, json: &[u8]) {
        self.insert(self.doc.value(item).span().end, &[b",", json].concat());
    }

    /// Puts text before and behind that of a string, which stays as it is.
    ///
    /// # Errors
    /// [`EditError::NotText`] for other kinds.
    pub fn enclose(&mut self, node: NodeId, before: &str, behind: &str) -> Result<(), EditError> {
        let value = self.doc.value(node);
        if value.kind() != Kind::String {
            return Err(EditError::NotText);
        }
        let span = value.span();
        for (at, text) in [(span.start + 1, before), (span.end - 1, behind)] {
            let mut json = Vec::with_capacity(text.len());
            escape_into(&mut json, text);
            self.insert(at, &json);
        }
        Ok(())
    }

    fn insert(&mut self, at: usize, json: &[u8]) {
        self.changes.push((at..at, json.to_vec()));
    }

    /// The changed body. Any parser reads in it what this reader would.
    ///
    /// # Errors
    /// [`EditError::Overlap`] if two changes touch the same bytes; [`EditError::NotAChild`] for a removal from a container
    /// that does not hold the value.
    pub fn finish(mut self) -> Result<Bytes, EditError> {
        if self.is_unchanged() {
            return Ok(self.doc.bytes().clone());
        }
        self.expand_removals()?;
        self.changes.sort_by_key(|(range, _)| (range.start, range.end));
        let body = self.doc.bytes();
        let mut out = Vec::with_capacity(body.len() + self.changes.iter().map(|(_, with)| with.len()).sum::<usize>());
        let mut at = 0;
        for (range, with) in &self.changes {
            out.extend_from_slice(body.get(at..range.start).ok_or(EditError::Overlap)?);
            out.extend_from_slice(with);
            at = range.end;
        }
        out.extend_from_slice(body.get(at..).ok_or(EditError::Overlap)?);
        Ok(out.into())
    }

    /// A removed child takes the comma before it, or, where no child is kept before it, the one after it.
    fn expand_removals(&mut self) -> Result<(), EditError> {
        let mut removals = std::mem::take(&mut self.removals);
        removals.sort_unstable();
        for group in removals.chunk_by(|a, b| a.0 == b.0) {
            let Some((container, _)) = group.first() else { continue };
            let children = self.children(*container);
            let gone = |child: NodeId| group.binary_search(&(*container, child)).is_ok();
            if children.iter().filter(|(id, _)| gone(*id)).count() != group.len() {
                return Err(EditError::NotAChild);
            }
            let mut kept_before = false;
            for (n, (id, span)) in children.iter().enumerate() {
                if !gone(*id) {
                    kept_before = true;
                    continue;
                }
                let before = n.checked_sub(1).and_then(|n| children.get(n));
                let range = match (kept_before, before, children.get(n + 1)) {
                    (true, Some((_, before)), _) => before.end..span.end,
                    (_, _, Some((_, after))) => span.start..after.start,
                    _ => span.clone(),
                };
                self.changes.push((range, Vec::new()));
            }
        }
        Ok(())
    }

    /// Children by value, each with its whole span, key included.
    fn children(&self, container: NodeId) -> Vec<(NodeId, Range<usize>)> {
        let value = self.doc.value(container);
        let members = value.entries().map(|(key, value)| (value.id(), key.span().start..value.span().end));
        value.items().map(|item| (item.id(), item.span())).chain(members).collect()
    }
}

fn check(text: &str, edits: &[Edit]) -> Result<(), EditError> {
    let mut at = 0;
    for edit in edits {
        if edit.range.start < at || text.get(edit.range.clone()).is_none() {
            return Err(EditError::BadRange);
        }
        at = edit.range.end;
    }
    Ok(())
}

/// Applies edits to a plain text.
///
/// # Errors
/// [`EditError::BadRange`] unless `edits` are ordered, apart, within the text and on character boundaries.
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    check(text, edits)?;
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(text.get(at..edit.range.start).unwrap_or_default());
        out.push_str(&edit.with);
        at = edit.range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out)
}

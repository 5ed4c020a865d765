//! YAML and JSON text as a tree in which every node knows where it was written.
//!
//! Only the part of YAML that two readers cannot read differently is accepted: no anchors, aliases, tags, directives or
//! merge keys, no duplicate keys, keys are plain text, and text that a YAML 1.1 reader takes for something else is refused
//! where text is wanted (see [`Plain`]). JSON is a part of that part.

mod build;
mod canonical;
mod text;

use std::sync::Arc;

pub use canonical::canonical_json;

use crate::{Code, Position, Report};

/// Everything that is wrong with the text or its shape.
pub(crate) const PV_SHAPE: Code = Code(2);
/// Levels of mappings and sequences a document may have.
pub const MAX_DEPTH: usize = 64;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub position: Position,
    pub value: Value,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Unquoted text: what it means depends on what is wanted. Empty where nothing was written after a key.
    Plain(String),
    /// Quoted or block text: always text.
    Text(String),
    Sequence(Vec<Node>),
    /// In the order of the file; keys are unique.
    Mapping(Vec<Entry>),
}

/// One `key: value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub key_position: Position,
    pub value: Node,
}

/// What unquoted text is to readers of YAML 1.2, or could be to readers of YAML 1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Null,
    Bool(bool),
    Integer,
    Float,
    /// `yes`, `no`, `on`, `off`: a truth value in YAML 1.1, text in 1.2.
    Ambiguous,
    Word,
}

impl Plain {
    /// The class of one unquoted scalar.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" => Self::Bool(true),
            "false" | "False" | "FALSE" => Self::Bool(false),
            _ if ["yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word)) => Self::Ambiguous,
            _ if is_integer(text) => Self::Integer,
            _ if is_float(text) => Self::Float,
            _ => Self::Word,
        }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix) || c == '_');
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) => all(hex, 16),
        (_, Some(octal)) => all(octal, 8),
        _ => digits.starts_with(|c: char| c.is_ascii_digit()) && all(digits, 10),
    }
}

fn is_float(text: &str) -> bool {
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    [".inf", ".nan"].iter().any(|word| number.eq_ignore_ascii_case(word))
        || (number.starts_with(|c: char| c.is_ascii_digit() || c == '.') && number.parse::<f64>().is_ok())
}

impl Node {
    /// The kind of thing this is, as messages name it.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Plain(text) => match Plain::of(text) {
                Plain::Null => "nothing",
                Plain::Bool(_) => "a truth value",
                Plain::Integer => "a whole number",
                Plain::Float => "a number",
                Plain::Ambiguous | Plain::Word => "text",
            },
            Value::Text(_) => "text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "an object",
        }
    }

    /// The value of `key`, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    /// The text of a scalar, however it was quoted.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) | Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// What one file said.
#[derive(Debug)]
pub struct Documents {
    /// Complete documents, in order. After a syntax error, those before it.
    pub nodes: Vec<Node>,
    /// The file was read to its end without a problem.
    pub whole: bool,
}

/// How strict the end of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// A newline, or the bracket that closes a JSON document.
    #[default]
    Newline,
    /// The last line is `...`, and it is the only such line: then every cut is seen.
    Marker,
}

/// Reads every document of a file and reports every problem of its form as PV-002, or PV-009 for its size.
///
/// A file that may have been cut is refused where that can be seen: it must end as `end` says, hold at least one document,
/// and no document may be empty. A block-style file cut exactly after a whole line cannot be told from a shorter one; only
/// [`End::Marker`] shows that.
pub fn parse(file: &Arc<str>, bytes: &[u8], max_bytes: usize, end: End, report: &mut Report) -> Documents {
    let none = Documents { nodes: Vec::new(), whole: false };
    let Some(text) = text::check(file, bytes, max_bytes, report) else { return none };
    let ends_well = text::check_end(file, text, end, report);
    let (nodes, sound) = build::documents(file, text, report);
    if nodes.is_empty() && sound {
        let start = Position { file: Arc::clone(file), line: 1, column: 1 };
        report.error(
            PV_SHAPE,
            &start,
            "",
            "the file holds no document",
            "write one, or remove the file; a file that was cut to nothing must not pass for an empty one",
        );
        return none;
    }
    Documents { nodes, whole: sound && ends_well }
}

/// A fragment of our own, such as the text of a default. Every node gets `position`.
pub(crate) fn fragment(text: &str, position: &Position) -> Option<Node> {
    let mut report = Report::new();
    let (nodes, _) = build::documents(&position.file, text, &mut report);
    let mut node = nodes.into_iter().next()?;
    if report.has_errors() {
        return None;
    }
    place(&mut node, position);
    Some(node)
}

fn place(node: &mut Node, position: &Position) {
    node.position = position.clone();
    match &mut node.value {
        Value::Plain(_) | Value::Text(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| place(item, position)),
        Value::Mapping(entries) => {
            for entry in entries {
                entry.key_position = position.clone();
                place(&mut entry.value, position);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! The strict JSON reader of the data path: RFC 8259, and nothing that two parsers could read differently.
//!
//! [`Document::parse`] reads a body once into a flat arena of nodes, each a span over the bytes as they came. Nothing is
//! copied until it is asked for, and [`Editor`] writes a changed body by replacing spans, so that what was not changed
//! leaves byte for byte as it came.
//!
//! Refused, because parsers disagree about it: duplicate keys, also after unescaping; keys of one object that differ only
//! by case (some parsers fold case, so both name one field to them); invalid UTF-8 and lone surrogates; a byte order
//! mark; control characters in strings; `NaN`, `Infinity`, comments, trailing commas, trailing data; numbers beyond a
//! double. Numbers that readers round differently are accepted and only refuse to be an [`Value::integer`].

mod document;
mod edit;
mod error;
mod keys;
mod parse;
mod scan;
mod text;

pub use document::{Document, Entries, Items, Kind, Limits, NodeId, Value};
pub use edit::{EditError, Editor, apply};
pub use error::{JsonError, JsonErrorKind};
pub use text::{OffsetMap, escape_into, quote};

#[cfg(test)]
mod tests;

//! A JSON Schema that stands by itself: of a tool that a request offers, or in a file of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value as Json;

use super::keys::Spot;
use super::{Reader, Version};
use crate::yaml::{Entry, Node, Value};
use crate::{Api, Digest, Position, Report, SchemaId};

/// Schemas within one, and patterns: each is compiled.
const MAX_SCHEMAS: usize = 2000;
const MAX_PATTERNS: usize = 32;

/// Which spelling of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaForm {
    /// JSON Schema 2020-12; what says that it is of an earlier draft is read as that.
    Json,
    /// The words of Gemini's `parameters`: types in capitals, `nullable`, numbers as text.
    Gemini,
}

/// Reads a schema by itself. References stay within it.
///
/// # Errors
/// The first thing in it that nothing enforces, with its place.
pub fn schema_alone(json: &Json, form: SchemaForm) -> Result<(Api, SchemaId), String> {
    let position = Position { file: Arc::from("schema"), line: 1, column: 1 };
    let root = node(json, form, Within::Schema, &position);
    let mut report = Report::new();
    let version = if form == SchemaForm::Gemini { Version::V30 } else { Version::V31 };
    let mut reader = Reader {
        root: &root,
        version,
        report: &mut report,
        schemas: Vec::new(),
        places: Vec::new(),
        known: BTreeMap::new(),
        waiting: VecDeque::new(),
        patterns: Vec::new(),
        warned_of_security: false,
    };
    let id = reader.schema_now(&Spot::root(&root));
    reader.refuse_circles();
    let (schemas, patterns) = (reader.schemas, reader.patterns);
    if let Some(problem) = report.problems().iter().find(|problem| problem.severity == crate::Severity::Error) {
        return Err(format!("`{}`: {}", problem.pointer, problem.message));
    }
    if schemas.len() > MAX_SCHEMAS || patterns.len() > MAX_PATTERNS {
        return Err(format!("more than {MAX_SCHEMAS} schemas or {MAX_PATTERNS} patterns"));
    }
    Ok((Api { digest: Digest::default(), operations: Vec::new(), schemas, patterns }, id))
}

/// What a value is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Schema,
    /// Members are schemas by name.
    Names,
    /// Anything: an example, a constant.
    Value,
}

/// The tree that the reader of schemas reads. What only says for which tool the schema was made is left out.
fn node(json: &Json, form: SchemaForm, within: Within, position: &Position) -> Node {
    let value = match json {
        Json::Null => Value::Plain("null".to_owned()),
        Json::Bool(flag) => Value::Plain(flag.to_string()),
        Json::Number(number) => Value::Plain(number.to_string()),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::Sequence(items.iter().map(|item| node(item, form, within, position)).collect()),
        Json::Object(members) => {
            let kept = members.iter().filter(|(key, value)| within != Within::Schema || !is_left_out(key, value, form));
            let entry = |(key, value): (&String, &Json)| Entry {
                key: key.clone(),
                key_position: position.clone(),
                value: member(key, value, form, within, position),
            };
            Value::Mapping(kept.map(entry).collect())
        }
    };
    Node { position: position.clone(), value }
}

fn member(key: &str, value: &Json, form: SchemaForm, within: Within, position: &Position) -> Node {
    if within != Within::Schema {
        let within = if within == Within::Names { Within::Schema } else { Within::Value };
        return node(value, form, within, position);
    }
    let plain = |text: String| Node { position: position.clone(), value: Value::Plain(text) };
    match (key, value) {
        ("type", Json::String(text)) if form == SchemaForm::Gemini => plain(text.to_ascii_lowercase()),
        (
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties",
            Json::String(text),
        ) if form == SchemaForm::Gemini => plain(text.clone()),
        ("properties" | "patternProperties" | "$defs" | "dependentSchemas" | "dependentRequired", _) => {
            node(value, form, Within::Names, position)
        }
        ("enum" | "const" | "default" | "example" | "examples" | "required" | "type", _) => {
            node(value, form, Within::Value, position)
        }
        _ => node(value, form, Within::Schema, position),
    }
}

fn is_left_out(key: &str, value: &Json, form: SchemaForm) -> bool {
    match (key, value) {
        ("$schema" | "$id" | "$comment", Json::String(_)) => true,
        ("propertyOrdering", _) | ("format", Json::String(_)) => {
            form == SchemaForm::Gemini && (key != "format" || value.as_str() == Some("enum"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_tools_offer_is_read_and_what_nothing_enforces_is_not() {
        for (schema, form, want) in [
            (
                json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
                SchemaForm::Json,
                true,
            ),
            (
                json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false}),
                SchemaForm::Json,
                true,
            ),
            (
                json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"enum": ["x", null]}}}),
                SchemaForm::Json,
                true,
            ),
            (
                json!({"type": "object", "properties": {"type": {"type": "string"}, "$schema": {"type": "string"}}}),
                SchemaForm::Json,
                true,
            ),
            (json!({}), SchemaForm::Json, true),
            (json!(true), SchemaForm::Json, true),
            (
                json!({"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "nullable": true}, "l": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": "1"}}}),
                SchemaForm::Gemini,
                true,
            ),
            (json!({"type": "STRING", "format": "enum", "enum": ["a"]}), SchemaForm::Gemini, true),
            (json!({"$ref": "https://evil.example/schema.json"}), SchemaForm::Json, false),
            (json!({"$ref": "file:///etc/passwd"}), SchemaForm::Json, false),
            (json!({"$ref": "#/$defs/none"}), SchemaForm::Json, false),
            (json!({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}), SchemaForm::Json, false),
            (json!({"type": "string", "pattern": "(a+)+\\1"}), SchemaForm::Json, false),
            (json!({"type": "strnig"}), SchemaForm::Json, false),
            (json!({"unevaluatedProperties": false}), SchemaForm::Json, false),
            (json!([1]), SchemaForm::Json, false),
        ] {
            let read = schema_alone(&schema, form);
            assert_eq!(read.is_ok(), want, "{schema}: {:?}", read.err());
        }
        let many: serde_json::Map<String, Json> =
            (0..MAX_PATTERNS + 1).map(|n| (format!("p{n}"), json!({"pattern": format!("a{n}")}))).collect();
        assert!(schema_alone(&json!({"properties": many}), SchemaForm::Json).is_err());
    }
}

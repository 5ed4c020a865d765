//! A JSON Schema that stands by itself: of a tool that a request offers, or in a file of its own.

use std::sync::Arc;

use aws_lc_rs::digest;
use serde_json::Value as Json;

use super::keys::Spot;
use super::{MAX_DOCUMENT, PV_CEILING, PV_SHAPE, Reader, Version};
use crate::yaml::{self, End, Entry, Node, Value};
use crate::{Api, Digest, Position, Report, Schema, SchemaId};

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
    let (id, schemas, patterns) = compile(&root, version, &mut report);
    if let Some(problem) = report.problems().iter().find(|problem| problem.severity == crate::Severity::Error) {
        return Err(format!("`{}`: {}", problem.pointer, problem.message));
    }
    if schemas.len() > MAX_SCHEMAS || patterns.len() > MAX_PATTERNS {
        return Err(format!("more than {MAX_SCHEMAS} schemas or {MAX_PATTERNS} patterns"));
    }
    Ok((Api { digest: Digest::default(), operations: Vec::new(), schemas, patterns }, id))
}

/// Reads a schema in a file of its own, JSON or YAML, as [`schema_alone`] does. Every problem goes into `report`, with `file` as its
/// file; nothing comes back where there was one.
#[must_use]
pub fn schema_file(file: &str, bytes: &[u8], report: &mut Report) -> Option<(Api, SchemaId)> {
    let file: Arc<str> = Arc::from(file);
    let mut own = Report::new();
    let made = in_file(&file, bytes, &mut own);
    let sound = !own.has_errors();
    report.extend(own);
    made.filter(|_| sound)
}

fn in_file(file: &Arc<str>, bytes: &[u8], report: &mut Report) -> Option<(Api, SchemaId)> {
    let read = yaml::parse(file, bytes, MAX_DOCUMENT, End::Newline, report);
    let [root] = read.nodes.as_slice() else {
        let position = read.nodes.get(1).map(|second| second.position.clone());
        let position = position.unwrap_or(Position { file: Arc::clone(file), line: 1, column: 1 });
        if !report.has_errors() {
            let help = "write one JSON Schema into it; `{}` is one that everything fits";
            report.error(PV_SHAPE, &position, "", "it is not one document", help);
        }
        return None;
    };
    if !read.whole {
        return None;
    }
    let root = trimmed(root, Within::Schema);
    let (id, schemas, patterns) = compile(&root, Version::V31, report);
    if schemas.len() > MAX_SCHEMAS || patterns.len() > MAX_PATTERNS {
        let message = format!("it has more than {MAX_SCHEMAS} schemas or {MAX_PATTERNS} patterns");
        report.error(PV_CEILING, &root.position, "", message, "divide it, or leave out what matters less");
    }
    let mut digest = Digest::default();
    digest.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    Some((Api { digest, operations: Vec::new(), schemas, patterns }, id))
}

fn compile(root: &Node, version: Version, report: &mut Report) -> (SchemaId, Vec<Schema>, Vec<String>) {
    let mut reader = Reader::new(root, version, report);
    let id = reader.schema_now(&Spot::root(root));
    reader.refuse_circles();
    (id, reader.schemas, reader.patterns)
}

/// A schema in a file without what only says how it is called, or who may write a field: what is judged by it is written by a model.
fn trimmed(node: &Node, within: Within) -> Node {
    let value = match &node.value {
        Value::Sequence(items) => Value::Sequence(items.iter().map(|item| trimmed(item, within)).collect()),
        Value::Mapping(entries) => {
            let is_name = |entry: &Entry| match entry.key.as_str() {
                "$schema" | "$id" | "$comment" => entry.value.scalar().is_some(),
                "readOnly" => true,
                _ => false,
            };
            let kept = entries.iter().filter(|entry| within != Within::Schema || !is_name(entry));
            let entry =
                |entry: &Entry| Entry { value: trimmed(&entry.value, below(&entry.key, within)), ..entry.clone() };
            Value::Mapping(kept.map(entry).collect())
        }
        scalar => scalar.clone(),
    };
    Node { position: node.position.clone(), value }
}

/// What the value of a key is of.
fn below(key: &str, within: Within) -> Within {
    match (within, key) {
        (Within::Names, _) => Within::Schema,
        (Within::Value, _)
        | (Within::Schema, "enum" | "const" | "default" | "example" | "examples" | "required" | "type") => {
            Within::Value
        }
        (Within::Schema, "properties" | "patternProperties" | "$defs" | "dependentSchemas" | "dependentRequired") => {
            Within::Names
        }
        (Within::Schema, _) => Within::Schema,
    }
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
        return node(value, form, below(key, within), position);
    }
    let plain = |text: String| Node { position: position.clone(), value: Value::Plain(text) };
    match (key, value) {
        ("type", Json::String(text)) if form == SchemaForm::Gemini => plain(text.to_ascii_lowercase()),
        (
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties",
            Json::String(text),
        ) if form == SchemaForm::Gemini => plain(text.clone()),
        _ => node(value, form, below(key, within), position),
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
    fn a_schema_in_a_file_is_read_with_its_places() {
        let good = "$schema: https://json-schema.org/draft/2020-12/schema\ntype: object\nproperties:\n  $id: {type: string, readOnly: true}\nrequired: [$id]\n";
        let mut report = Report::new();
        let (api, root) = schema_file("answer.yaml", good.as_bytes(), &mut report).unwrap();
        let rules = api.schemas[root.0].object.as_ref().unwrap();
        assert!(rules.properties.contains_key("$id") && api.schemas.iter().all(|schema| !schema.never), "{api:?}");
        assert!(
            schema_file("answer.json", br#"{"type": "array", "items": {"type": "number"}}"#, &mut report).is_some()
        );
        assert!(schema_file("answer.json", b"{}", &mut report).is_some());
        assert!(!report.has_errors(), "{report}");
        for (text, line, column) in [
            ("", 1, 1),
            ("{", 1, 1),
            ("type: strnig\n", 1, 7),
            ("type: object\nproperties:\n  a: {$ref: \"https://evil.example/s.json\"}\n", 3, 13),
            ("type: object\nunevaluatedProperties: false\n", 2, 24),
            ("pattern: '(a)\\1'\n", 1, 10),
        ] {
            let mut report = Report::new();
            assert!(schema_file("answer.yaml", text.as_bytes(), &mut report).is_none(), "{text}");
            let problems = report.problems();
            let first = problems.first().unwrap();
            assert_eq!(&*first.position.file, "answer.yaml");
            assert!(
                !first.help.is_empty()
                    && (text == "{" || (first.position.line, first.position.column) == (line, column)),
                "{text}: {report}"
            );
        }
    }

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

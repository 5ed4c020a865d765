//! Facts about keywords, and their costs.

mod suite;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use postern_config::{ApiContent, Report, SchemaId};

use super::{Schemas, Unfit};
use crate::json::{Document, Limits};

/// The schema of the body of the one operation of a document.
pub(super) fn compiled(version: &str, schema: &str) -> Result<(Schemas, SchemaId), Report> {
    let text = format!(
        "{{\"openapi\": \"{version}\", \"paths\": {{\"/a\": {{\"post\": {{\"requestBody\": {{\"content\": {{\"application/json\": \
         {{\"schema\": {{\"$ref\": \"#/components/schemas/S\"}}}}}}}}}}}}}}, \"components\": {{\"schemas\": {{\"S\": {schema}}}}}}}\n"
    );
    let mut report = Report::new();
    let Some(api) = postern_config::openapi::read("api.json", text.as_bytes(), &mut report) else { return Err(report) };
    let ApiContent::Json(id) = api.operations[0].body.as_ref().unwrap().content["application/json"].clone() else {
        panic!()
    };
    Ok((Schemas::new(&Arc::new(api)).unwrap(), id))
}

fn judged(version: &str, schema: &str, value: &str) -> Result<(), Unfit> {
    let (schemas, id) = compiled(version, schema).unwrap_or_else(|report| panic!("{report}"));
    let document = Document::parse(Bytes::copy_from_slice(value.as_bytes()), Limits::default()).unwrap();
    schemas.judge(id, &document)
}

#[test]
fn keywords_hold_for_what_they_say() {
    for (schema, fits, unfit) in [
        (r#"{"type": "string"}"#, r#"["a"]"#, r#"[1, null, true, ["a"], {}]"#),
        (
            r#"{"type": "integer"}"#,
            "[1, -7, 0, 1.0, 1e2, 9007199254740991]",
            r#"[1.5, "1", 9007199254740992, 1e300, 12345678901234567890]"#,
        ),
        (
            r#"{"type": "integer", "format": "int64"}"#,
            "[9223372036854775807, 1]",
            "[9223372036854775808, 1e2, 1.0, 1.5]",
        ),
        (r#"{"type": "integer", "format": "int32"}"#, "[2147483647, -2147483648]", "[2147483648]"),
        (r#"{"type": "number"}"#, "[1, 1.5, 1e300]", r#"["1", null]"#),
        (r#"{"type": "number", "format": "float"}"#, "[3.4e38]", "[3.5e38]"),
        (r#"{"type": ["string", "null"]}"#, r#"["a", null]"#, "[1]"),
        (
            r#"{"enum": ["a", 1, null, [1, {"b": 2}]]}"#,
            r#"["a", 1, 1.0, null, [1, {"b": 2.0}]]"#,
            r#"["b", 2, [1], false]"#,
        ),
        (r#"{"const": {"a": 1, "b": [2]}}"#, r#"[{"b": [2], "a": 1.0}]"#, r#"[{"a": 1}, {"a": 1, "b": [2], "c": 3}]"#),
        (
            r#"{"minimum": 1, "maximum": 2}"#,
            r#"[1, 2, 1.5, "other types pass"]"#,
            "[0.99999999999999999999, 2.0000001]",
        ),
        (r#"{"exclusiveMinimum": 1, "exclusiveMaximum": 2}"#, "[1.1]", "[1, 2, 1.99999999999999999999]"),
        (r#"{"multipleOf": 0.01}"#, "[19.99, 0, 1e2, 4.5]", "[19.999, 0.0000001]"),
        (r#"{"minLength": 2, "maxLength": 3}"#, r#"["ab", "äöü", "😀😀", 7]"#, r#"["a", "abcd", "😀"]"#),
        (r#"{"pattern": "^[a-z]+$"}"#, r#"["abc", 1]"#, r#"["ab1", "", "a\n"]"#),
        (r#"{"format": "uuid"}"#, r#"["0192f1c2-6d3e-7c11-9f5e-3f0c9f0e7a11", 1]"#, r#"["x"]"#),
        (
            r#"{"items": {"type": "integer"}, "minItems": 1, "maxItems": 2}"#,
            "[[1], [1, 2], 7]",
            r#"[[], [1, 2, 3], ["a"]]"#,
        ),
        (r#"{"prefixItems": [{"type": "string"}], "items": false}"#, r#"[[], ["a"]]"#, r#"[[1], ["a", "b"]]"#),
        (
            r#"{"uniqueItems": true}"#,
            r#"[[1, 2], [1, true, "1"], [{"a": 1}, {"a": 2}], []]"#,
            r#"[[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], ["a", "\u0061"]]"#,
        ),
        (r#"{"contains": {"type": "string"}, "maxContains": 1}"#, r#"[[1, "a"]]"#, r#"[[1], ["a", "b"]]"#),
        (r#"{"contains": {"type": "string"}, "minContains": 0}"#, "[[1], []]", "[]"),
        (
            r#"{"properties": {"a": {"type": "string"}}, "required": ["a"]}"#,
            r#"[{"a": "x"}, {"a": "x", "b": 1}, 7]"#,
            r#"[{}, {"a": 1}, {"b": 1}]"#,
        ),
        (r#"{"properties": {"a": true}, "additionalProperties": false}"#, r#"[{}, {"a": 1}]"#, r#"[{"b": 1}]"#),
        (
            r#"{"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": {"type": "string"}}"#,
            r#"[{"x-a": 1, "b": "c"}]"#,
            r#"[{"x-a": "1"}, {"b": 1}]"#,
        ),
        (r#"{"propertyNames": {"maxLength": 2}}"#, r#"[{"ab": 1}]"#, r#"[{"abc": 1}]"#),
        (r#"{"minProperties": 1, "maxProperties": 1}"#, r#"[{"a": 1}]"#, r#"[{}, {"a": 1, "b": 2}]"#),
        (r#"{"dependentRequired": {"a": ["b"]}}"#, r#"[{"a": 1, "b": 2}, {"b": 1}]"#, r#"[{"a": 1}]"#),
        (r#"{"dependentSchemas": {"a": {"required": ["b"]}}}"#, r#"[{"a": 1, "b": 2}]"#, r#"[{"a": 1}]"#),
        (r#"{"allOf": [{"type": "integer"}, {"minimum": 2}]}"#, "[2]", r#"[1, "a"]"#),
        (r#"{"anyOf": [{"type": "integer"}, {"minLength": 2}]}"#, r#"[1, "ab"]"#, r#"["a"]"#),
        (r#"{"oneOf": [{"type": "integer"}, {"minimum": 2}]}"#, "[1, 2.5]", "[2, 1.5]"),
        (r#"{"not": {"type": "string"}}"#, "[1]", r#"["a"]"#),
        (
            r#"{"if": {"type": "integer"}, "then": {"minimum": 2}, "else": {"type": "string"}}"#,
            r#"[2, "a"]"#,
            "[1, null]",
        ),
        (
            r##"{"$defs": {"n": {"type": "integer"}}, "$ref": "#/components/schemas/S/$defs/n", "minimum": 2}"##,
            "[2]",
            r#"[1, "a"]"#,
        ),
        (
            r##"{"type": "object", "properties": {"next": {"$ref": "#/components/schemas/S"}}, "additionalProperties": false}"##,
            r#"[{"next": {"next": {}}}]"#,
            r#"[{"next": {"next": {"x": 1}}}]"#,
        ),
        // Only answers have it: no request may set it, and none must.
        (
            r#"{"type": "object", "properties": {"id": {"type": "integer", "readOnly": true}, "a": {}}, "required": ["id", "a"]}"#,
            r#"[{"a": 1}]"#,
            r#"[{"id": 7, "a": 1}, {}]"#,
        ),
        ("true", "[1, null]", "[]"),
        ("false", "[]", "[1, null]"),
    ] {
        let (schemas, id) = compiled("3.1.0", schema).unwrap_or_else(|report| panic!("{schema}\n{report}"));
        for (list, want) in [(fits, true), (unfit, false)] {
            let document = Document::parse(Bytes::copy_from_slice(list.as_bytes()), Limits::default()).unwrap();
            for value in document.root().items() {
                let own = Document::parse(Bytes::copy_from_slice(value.raw()), Limits::default()).unwrap();
                let got = schemas.judge(id, &own);
                assert_eq!(got.is_ok(), want, "{schema} on {}: {got:?}", String::from_utf8_lossy(value.raw()));
            }
        }
    }
}

#[test]
fn keywords_of_openapi_3_0_are_those_of_3_0() {
    for (schema, value, want) in [
        (r#"{"type": "string", "nullable": true}"#, "null", true),
        (r#"{"type": "string"}"#, "null", false),
        (r#"{"minimum": 1, "exclusiveMinimum": true}"#, "1", false),
        (r#"{"minimum": 1, "exclusiveMinimum": false}"#, "1", true),
        (r#"{"maximum": 1, "exclusiveMaximum": true}"#, "1", false),
        (r#"{"type": "object", "additionalProperties": false}"#, r#"{"a": 1}"#, false),
    ] {
        assert_eq!(judged("3.0.3", schema, value).is_ok(), want, "{schema} {value}");
    }
}

#[test]
fn a_refusal_names_the_place_and_nothing_of_the_value() {
    let schema = r#"{"type": "object", "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {"a/b": {"maximum": 5}},
        "additionalProperties": {"type": "string", "maxLength": 3}}}}}"#;
    for (value, want) in [
        (r#"{"items": [{}, {"a/b": 6}]}"#, "`maximum` does not hold at `/items/1/a~1b`"),
        (r#"{"items": [{"hunter22": "secret"}]}"#, "`maxLength` does not hold at `/items/0/*`"),
        (r#"{"items": {"hunter22": 1}}"#, "`type` does not hold at `/items`"),
    ] {
        let said = judged("3.1.0", schema, value).unwrap_err().to_string();
        assert_eq!(said, want);
    }
}

#[test]
fn attack_45_hostile_values_cost_no_more_than_their_size_allows() {
    // Each level asks both branches, so that without a price a value of forty levels costs a million million steps.
    let twice = r##"{"anyOf": [{"properties": {"a": {"$ref": "#/components/schemas/S"}}, "required": ["b"]},
        {"properties": {"a": {"$ref": "#/components/schemas/S"}}, "required": ["c"]}]}"##;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
    let began = Instant::now();
    assert_eq!(judged("3.1.0", twice, &deep), Err(Unfit::Costly));
    let list: String = (0..20_000).map(|n| format!("{{\"k{n}\": {n}}},")).collect();
    assert!(judged("3.1.0", r#"{"uniqueItems": true}"#, &format!("[{list}0]")).is_ok());
    let text = format!("\"{}!\"", "a".repeat(100_000));
    assert!(judged("3.1.0", r#"{"pattern": "^(a+)+$"}"#, &text).is_err());
    let number = format!("0.{}1", "9".repeat(200_000));
    assert!(judged("3.1.0", r#"{"multipleOf": 0.7}"#, &number).is_err());
    assert!(judged("3.1.0", r#"{"maximum": 1e-400}"#, "1e-999999999999999999999999").is_ok());
    assert!(began.elapsed().as_secs() < 20, "it ends");
}

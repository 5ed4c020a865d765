//! The JSON Schema test suite, where `POSTERN_SCHEMA_SUITE` names a copy of it: every case whose schema loads is judged as it says.

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;

use super::compiled;
use crate::json::{Document, Limits};

/// Where we differ on purpose: formats hold here, and a `$ref` that is data is rebased below like one that is not.
const OTHERWISE: [&str; 2] = ["is only an annotation by default", "naive replacement of $ref with its destination"];

#[test]
fn the_suite_of_json_schema_agrees() {
    let Some(root) = std::env::var_os("POSTERN_SCHEMA_SUITE").map(PathBuf::from) else {
        eprintln!("POSTERN_SCHEMA_SUITE is not set: the suite of JSON Schema was not run");
        return;
    };
    let (mut cases, mut unread, mut wrong) = (0, 0, Vec::new());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root.join("tests/draft2020-12")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let groups: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for group in groups {
            let mut schema = group["schema"].clone();
            rebase(&mut schema);
            let Ok((schemas, id)) = compiled("3.1.0", &schema.to_string()) else {
                unread += 1;
                continue;
            };
            for case in group["tests"].as_array().unwrap() {
                let data = case["data"].to_string();
                let Ok(document) = Document::parse(Bytes::from(data.clone()), Limits::default()) else { continue };
                cases += 1;
                let fits = schemas.judge(id, &document).is_ok();
                let name = format!(
                    "{}: {}: {}",
                    file.file_stem().unwrap().to_string_lossy(),
                    group["description"],
                    case["description"]
                );
                if Some(fits) != case["valid"].as_bool() && !OTHERWISE.iter().any(|known| name.contains(known)) {
                    wrong.push(format!("{name}\n  {schema} on {data}"));
                }
            }
        }
    }
    eprintln!("{cases} cases, {unread} schemas that do not load");
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 500, "{cases}");
}

/// References of the suite are to the schema, ours to the document.
fn rebase(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                match member {
                    Value::String(text) if key == "$ref" && text.starts_with('#') => {
                        *member = Value::String(format!("#/components/schemas/S{}", text.trim_start_matches('#')));
                    }
                    other => rebase(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rebase),
        _ => {}
    }
}

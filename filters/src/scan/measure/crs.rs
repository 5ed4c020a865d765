//! Regression tests of the OWASP Core Rule Set (go-ftw) as requests, read as the data path reads them.

use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use postern_config::Report;
use postern_config::yaml::{End, Node, Value, parse};

use super::place;
use crate::dialect::Message as _;
use crate::dialect::http::HttpBody;
use crate::message::{Message, MessageLimits, read_headers};
use crate::path::{canonical, unescaped};

/// One request of a test.
pub(super) struct Case {
    /// `930` and so on.
    pub(super) family: String,
    /// The rule that it tests.
    pub(super) rule: String,
    pub(super) name: String,
    /// Some rule is expected to match.
    pub(super) is_attack: bool,
    /// The data path refuses it before any detector looks: the target, its query or the body cannot be read in one way.
    pub(super) refused: bool,
    /// Values that detectors look at. What is refused for its form is read leniently.
    pub(super) texts: Vec<String>,
}

/// Every request of every file; those given as raw bytes, which test framing, are left out.
pub(super) fn cases() -> Option<Vec<Case>> {
    let mut files = Vec::new();
    for family in std::fs::read_dir(place("web-attacks/crs")?).unwrap() {
        let family = family.unwrap().path();
        if family.is_dir() {
            files.extend(std::fs::read_dir(family).unwrap().map(|file| file.unwrap().path()));
        }
    }
    files.sort();
    Some(files.iter().flat_map(|file| of_file(file)).collect())
}

fn of_file(path: &Path) -> Vec<Case> {
    let rule = path.file_stem().unwrap().to_str().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let mut report = Report::new();
    // Some of the files are commented out as a whole.
    let read = parse(&Arc::from(rule), &bytes, 1 << 20, End::Newline, &mut report);
    let tests = read.nodes.first().map(|node| items(node, "tests")).unwrap_or_default();
    let stages = tests.iter().flat_map(|test| items(test, "stages").iter().map(move |stage| (test, stage)));
    stages.filter_map(|(test, stage)| of_stage(rule, scalar(test, "test_id").unwrap_or("?"), stage)).collect()
}

fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    match node.get(key).map(|node| &node.value) {
        Some(Value::Sequence(items)) => items,
        _ => &[],
    }
}

fn scalar<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key)?.scalar()
}

fn of_stage(rule: &str, test: &str, stage: &Node) -> Option<Case> {
    let input = stage.get("input")?;
    if input.get("encoded_request").is_some() {
        return None;
    }
    let log = stage.get("output")?.get("log")?;
    let is_attack = !items(log, "expect_ids").is_empty();
    if !is_attack && items(log, "no_expect_ids").is_empty() {
        return None;
    }
    let uri = scalar(input, "uri").unwrap_or("/");
    let (_, query) = uri.split_once('?').unwrap_or((uri, ""));
    let data = scalar(input, "data").unwrap_or_default().to_owned();
    let headers = headers(input);
    // The tool that runs these tests adds the type of forms where none is said.
    let content_type =
        headers.get("content-type").map_or(Some("application/x-www-form-urlencoded"), |t| t.to_str().ok());
    let strict =
        Message::http(content_type, Some(query), Some(&headers), data.clone().into(), MessageLimits::default());
    let refused = canonical(uri).is_err() || strict.is_err();
    let mut texts = pairs(query);
    texts.extend(read_headers(&headers).unwrap_or_default());
    let is_form = content_type.is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
    match HttpBody::parse(content_type, data.clone().into(), MessageLimits::default().json()) {
        Ok(body) => texts.extend(body.parts().iter().map(|part| part.text.as_str().to_owned())),
        Err(_) if is_form => texts.extend(pairs(&data)),
        Err(_) => texts.push(data),
    }
    Some(Case {
        family: rule.chars().take(3).collect(),
        rule: rule.to_owned(),
        name: format!("{rule}-{test}"),
        is_attack,
        refused,
        texts,
    })
}

fn headers(input: &Node) -> HeaderMap {
    let mut map = HeaderMap::new();
    let Some(Value::Mapping(entries)) = input.get("headers").map(|node| &node.value) else { return map };
    for entry in entries {
        let value = entry.value.scalar().unwrap_or_default();
        if let (Ok(name), Ok(value)) = (entry.key.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes())) {
            map.append(name, value);
        }
    }
    map
}

/// Names and values, whatever their escapes are like.
fn pairs(text: &str) -> Vec<String> {
    let names_and_values = text.split('&').flat_map(|pair| pair.splitn(2, '='));
    let decoded =
        names_and_values.map(|text| String::from_utf8_lossy(&unescaped(&text.replace('+', " "))).into_owned());
    decoded.filter(|text| !text.is_empty()).collect()
}

//! The rows that are measured on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use postern_config::Part;
use serde_json::Value;

/// A prompt or a document.
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) label: String,
    pub(crate) source: String,
    /// Of a source that training lacks.
    pub(crate) unseen: bool,
    /// Documentation about attacks.
    pub(crate) hard: bool,
    /// Where the attack stands, in bytes.
    pub(crate) payload: Option<Range<usize>>,
    pub(crate) part: Part,
}

impl Text {
    pub(crate) fn is_attack(&self) -> bool {
        self.label != "benign"
    }
}

/// A text with what is to be found in it.
pub(crate) struct Spanned {
    pub(crate) text: String,
    pub(crate) spans: Vec<(Range<usize>, String)>,
    /// Of what kind a row without spans is.
    pub(crate) near: String,
}

/// A value of a request.
pub(crate) struct Parameter {
    pub(crate) text: String,
    pub(crate) label: String,
    pub(crate) source: String,
}

/// Everything, read once.
pub(crate) struct Corpora {
    pub(crate) prompts: Vec<Text>,
    pub(crate) documents: Vec<Text>,
    pub(crate) pii: Vec<Spanned>,
    pub(crate) secrets: Vec<Spanned>,
    pub(crate) values: Vec<Parameter>,
    /// Whole requests, and the values in each.
    pub(crate) requests: Vec<Vec<String>>,
}

impl Corpora {
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        let texts = |file: &str, part: Part| -> Result<Vec<Text>> {
            rows(folder, file)?.iter().map(|row| text(row, part)).collect()
        };
        let spanned = |file: &str| -> Result<Vec<Spanned>> { rows(folder, file)?.iter().map(spans).collect() };
        let parameter = |row: &Value| -> Result<Parameter> {
            Ok(Parameter { text: field(row, "text")?, label: field(row, "label")?, source: field(row, "source")? })
        };
        Ok(Self {
            prompts: texts("prompts-dev.jsonl", Part::User)?,
            documents: texts("indirect-dev.jsonl", Part::ToolResult)?,
            pii: spanned("pii.jsonl")?,
            secrets: spanned("secrets.jsonl")?,
            values: rows(folder, "web-attacks/payloads.jsonl")?.iter().map(parameter).collect::<Result<_>>()?,
            requests: rows(folder, "web-attacks/benign-requests.jsonl")?.iter().map(request).collect(),
        })
    }

    /// Prompts and documents.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &Text> {
        self.prompts.iter().chain(&self.documents)
    }
}

fn rows(folder: &Path, file: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(folder.join(file)).with_context(|| file.to_owned())?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| file.to_owned())).collect()
}

fn field(row: &Value, name: &str) -> Result<String> {
    Ok(row[name].as_str().with_context(|| format!("a row has no {name}"))?.to_owned())
}

fn text(row: &Value, part: Part) -> Result<Text> {
    let text = field(row, "text")?;
    let payload = bytes(&text, &row["payload_span"]);
    let (label, source) = (field(row, "label")?, field(row, "source")?);
    let (unseen, hard) = (row["unseen_source"] == true, row["hard"].is_string());
    Ok(Text { text, label, source, unseen, hard, payload, part })
}

fn spans(row: &Value) -> Result<Spanned> {
    let text = field(row, "text")?;
    let span = |span: &Value| {
        let kind = span[2].as_str().context("a span has no type")?;
        Ok((bytes(&text, span).context("a span is no range")?, kind.to_owned()))
    };
    let spans = row["spans"].as_array().context("a row has no spans")?.iter().map(span).collect::<Result<_>>()?;
    let near = row["near"].as_str().map_or_else(|| field(row, "source"), |near| Ok(near.to_owned()))?;
    Ok(Spanned { spans, near, text })
}

/// A range of code points, in bytes.
fn bytes(text: &str, span: &Value) -> Option<Range<usize>> {
    let at = |place: &Value| {
        let place = usize::try_from(place.as_u64()?).ok()?;
        Some(text.char_indices().nth(place).map_or(text.len(), |(byte, _)| byte))
    };
    Some(at(span.get(0)?)?..at(span.get(1)?)?)
}

/// Strings of a body, of the query and of header lines, as the dialect `http` shows them.
fn request(row: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let body = row["body"].as_str().unwrap_or_default();
    match serde_json::from_str::<Value>(body) {
        Ok(body) => strings(&body, &mut out),
        Err(_) => out.extend(form(body)),
    }
    let query = row["path"].as_str().and_then(|path| path.split_once('?')).map_or("", |(_, query)| query);
    out.extend(form(query));
    let headers = row["headers"].as_object().into_iter().flatten();
    out.extend(headers.filter_map(|(_, value)| value.as_str()).map(str::to_owned));
    out
}

fn form(text: &str) -> impl Iterator<Item = String> {
    text.split(['&', '=']).filter_map(postern_config::percent::decode_form)
}

fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            out.push(name.clone());
            strings(value, out);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Rows by a name of theirs.
pub(crate) fn by<'r, R>(
    rows: impl Iterator<Item = &'r R>,
    name: impl Fn(&'r R) -> &'r str,
) -> BTreeMap<&'r str, Vec<&'r R>> {
    let mut groups = BTreeMap::<&str, Vec<&R>>::new();
    rows.for_each(|row| groups.entry(name(row)).or_default().push(row));
    groups
}

/// The same order in every run, and no order of the corpora: FNV-1a of the text.
pub(crate) fn shuffled(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_counted_in_code_points() {
        let row = serde_json::json!({"text": "é: 10.0.0.1", "spans": [[3, 11, "IP_ADDRESS"]], "source": "test"});
        let row = spans(&row).unwrap();
        assert_eq!(&row.text[row.spans[0].0.clone()], "10.0.0.1");
        assert_eq!(row.near, "test");
    }

    #[test]
    fn requests_are_read_as_their_values() {
        let json = serde_json::json!({"path": "/v1?a=b%20c", "headers": {"Host": "x"}, "body": r#"{"m": ["t", 1]}"#});
        assert_eq!(request(&json), ["m", "t", "a", "b c", "x"]);
        let form = serde_json::json!({"path": "/", "headers": {}, "body": "a=b+c"});
        assert_eq!(request(&form), ["a", "b c", ""]);
    }
}

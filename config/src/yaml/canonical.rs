//! One text for one meaning, to take a digest of.

use super::{Node, Plain, Value};

/// The node as JSON without spaces, keys sorted by their code points, strings escaped as RFC 8785 §3.2.2.2 asks.
/// Numbers stand as they were written, since no field takes a number that can be written in two ways.
#[must_use]
pub fn canonical_json(node: &Node) -> String {
    let mut out = String::new();
    write(node, &mut out);
    out
}

fn write(node: &Node, out: &mut String) {
    match &node.value {
        Value::Plain(text) => match Plain::of(text) {
            Plain::Null => out.push_str("null"),
            Plain::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            Plain::Integer | Plain::Float => out.push_str(text),
            Plain::Ambiguous | Plain::Word => quote(text, out),
        },
        Value::Text(text) => quote(text, out),
        Value::Sequence(items) => list('[', ']', items.iter(), out, write),
        Value::Mapping(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            list('{', '}', sorted.into_iter(), out, |entry, out| {
                quote(&entry.key, out);
                out.push(':');
                write(&entry.value, out);
            });
        }
    }
}

fn list<T>(open: char, close: char, items: impl Iterator<Item = T>, out: &mut String, each: impl Fn(T, &mut String)) {
    out.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(close);
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

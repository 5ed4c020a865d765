//! Calls of tools, to be compared: the same name with arguments that mean the same, however their JSON is written.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::dialect::Input;
use crate::json::{Document, Kind, Limits, Value};

/// What a tool is called with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arguments<'a> {
    Value(Value<'a>),
    /// A text that holds JSON by contract.
    Json(&'a str),
    /// Any text.
    Text(&'a str),
}

/// SHA-256 of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Print([u8; 32]);

impl<'a> Arguments<'a> {
    /// As a message has them.
    pub(crate) fn of(input: Input<Value<'a>>) -> Self {
        match input {
            Input::Json(value) | Input::Text(Some(value)) => Self::Value(value),
            Input::Nothing | Input::Text(None) => Self::Json(""),
        }
    }
}

impl Print {
    pub(super) fn of(name: &str, input: Arguments<'_>, limits: Limits) -> Self {
        let mut hash = Context::new(&SHA256);
        text(&mut hash, b'n', name);
        match input {
            Arguments::Value(one) => match one.text().filter(|_| one.kind() == Kind::String) {
                Some(held) => read(&mut hash, &held, limits),
                None => value(&mut hash, one),
            },
            Arguments::Json(held) | Arguments::Text(held) => read(&mut hash, held, limits),
        }
        let mut print = [0; 32];
        print.iter_mut().zip(hash.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self(print)
    }
}

/// A text by the JSON in it; another one without white space, by which alone it is not another call. No text is no arguments.
fn read(hash: &mut Context, held: &str, limits: Limits) {
    let held = if held.trim().is_empty() { "{}" } else { held };
    match Document::parse(Bytes::copy_from_slice(held.as_bytes()), limits) {
        Ok(document) => value(hash, document.root()),
        Err(_not_json) => text(hash, b'x', &held.split_whitespace().collect::<String>()),
    }
}

fn text(hash: &mut Context, tag: u8, text: &str) {
    hash.update(&[tag]);
    hash.update(&size(text.len()));
    hash.update(text.as_bytes());
}

fn size(length: usize) -> [u8; 8] {
    u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes()
}

/// Every value has one spelling here. Numbers are what a reader with 64 bits makes of them.
fn value(hash: &mut Context, one: Value<'_>) {
    match one.kind() {
        Kind::Null => hash.update(b"0"),
        Kind::Bool => hash.update(if one.boolean() == Some(true) { b"t" } else { b"f" }),
        Kind::Number => {
            hash.update(b"#");
            // Minus zero is zero.
            hash.update(&(one.number().unwrap_or(f64::INFINITY) + 0.0).to_bits().to_le_bytes());
        }
        Kind::String => text(hash, b's', &one.text().unwrap_or_default()),
        Kind::Array => {
            hash.update(b"[");
            hash.update(&size(one.len()));
            one.items().for_each(|item| value(hash, item));
        }
        Kind::Object => {
            let mut members: Vec<_> = one.entries().map(|(key, held)| (key.text().unwrap_or_default(), held)).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            hash.update(b"{");
            hash.update(&size(members.len()));
            for (key, held) in members {
                text(hash, b'k', &key);
                value(hash, held);
            }
        }
    }
}

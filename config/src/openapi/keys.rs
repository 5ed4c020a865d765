//! A place in a document, and the keys an object there may have.

use super::{PV_SHAPE, Reader};
use crate::pointer;
use crate::secrets::shown;
use crate::yaml::{Entry, Node, Plain, Value};

/// A node and the JSON pointer that leads to it (RFC 6901).
#[derive(Debug, Clone)]
pub(super) struct Spot<'d> {
    pub(super) node: &'d Node,
    pub(super) pointer: String,
}

impl<'d> Spot<'d> {
    pub(super) fn root(node: &'d Node) -> Self {
        Self { node, pointer: String::new() }
    }

    fn below(&self, key: &str, node: &'d Node) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        Self { node, pointer: format!("{}/{key}", self.pointer) }
    }

    pub(super) fn key(&self, key: &str) -> Option<Self> {
        self.node.get(key).map(|node| self.below(key, node))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&'d str, Self)> + '_ {
        let entries: &'d [Entry] = if let Value::Mapping(entries) = &self.node.value { entries } else { &[] };
        entries.iter().map(|entry| (entry.key.as_str(), self.below(&entry.key, &entry.value)))
    }

    pub(super) fn items(&self) -> impl Iterator<Item = Self> + '_ {
        let items: &'d [Node] = if let Value::Sequence(items) = &self.node.value { items } else { &[] };
        items.iter().enumerate().map(|(index, item)| self.below(&index.to_string(), item))
    }

    pub(super) fn item(&self, index: usize) -> Option<Self> {
        match &self.node.value {
            Value::Sequence(items) => items.get(index).map(|item| self.below(&index.to_string(), item)),
            _ => None,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(&self.node.value, Value::Plain(text) if text == "true")
    }

    /// The last name of the pointer.
    pub(super) fn name(&self) -> String {
        let last = self.pointer.rsplit('/').next().unwrap_or_default();
        shown(&pointer::name(last))
    }
}

impl<'d> Reader<'d, '_> {
    /// Whether this is an object; anything else is reported.
    pub(super) fn is_object(&mut self, spot: &Spot<'d>) -> bool {
        let is = matches!(spot.node.value, Value::Mapping(_));
        if !is {
            self.unexpected(spot, "an object");
        }
        is
    }

    pub(super) fn is_list(&mut self, spot: &Spot<'d>) -> bool {
        let is = matches!(spot.node.value, Value::Sequence(_));
        if !is {
            self.unexpected(spot, "a list");
        }
        is
    }

    pub(super) fn unexpected(&mut self, spot: &Spot<'d>, wanted: &str) {
        let message = format!("`{}` must be {wanted}, not {}", spot.name(), spot.node.describe());
        self.error(spot, PV_SHAPE, message, "write it as OpenAPI has it");
    }

    /// Text. What some reader would take for something else goes in quotes.
    pub(super) fn text(&mut self, spot: &Spot<'d>) -> Option<&'d str> {
        match &spot.node.value {
            Value::Text(text) => Some(text),
            Value::Plain(text) if Plain::of(text) == Plain::Word => Some(text),
            Value::Plain(text) if Plain::of(text) == Plain::Ambiguous => {
                let message = format!("`{text}` is a truth value to some readers of YAML");
                self.error(spot, PV_SHAPE, message, format!("put it in quotes: \"{text}\""));
                None
            }
            _ => {
                self.unexpected(spot, "text");
                None
            }
        }
    }

    pub(super) fn flag(&mut self, spot: &Spot<'d>) -> Option<bool> {
        match &spot.node.value {
            Value::Plain(text) if text == "true" => Some(true),
            Value::Plain(text) if text == "false" => Some(false),
            _ => {
                self.unexpected(spot, "`true` or `false`");
                None
            }
        }
    }

    /// A length or a number of things.
    pub(super) fn count(&mut self, spot: &Spot<'d>) -> Option<usize> {
        let number = match &spot.node.value {
            Value::Plain(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.unexpected(spot, "a whole number of at least 0");
        }
        number
    }

    /// Texts, each once.
    pub(super) fn names(&mut self, spot: &Spot<'d>) -> Vec<String> {
        if !self.is_list(spot) {
            return Vec::new();
        }
        let items: Vec<Spot<'d>> = spot.items().collect();
        let mut names: Vec<String> = items.iter().filter_map(|item| self.text(item)).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Reports keys that are neither `known`, nor said for people (`passed`), nor extensions.
    pub(super) fn only(&mut self, spot: &Spot<'d>, known: &[&str], passed: &[&str]) {
        let unknown: Vec<(String, Spot<'d>)> = spot
            .entries()
            .filter(|(key, _)| !known.contains(key) && !passed.contains(key) && !key.starts_with("x-"))
            .map(|(key, below)| (shown(key), below))
            .collect();
        for (key, below) in unknown {
            let help = "remove it, or correct its name; names of extensions begin with `x-`";
            self.later(&below, format!("nothing enforces `{key}` here"), help);
        }
    }
}

//! The fields of one object while they are being read.

use super::{At, Cx, Decode, Field, Setting, hints};
use crate::yaml::{self, Entry, Node, Value};
use crate::{Code, Position};

const PV_LATER: Code = Code(7);
const PV_CEILING: Code = Code(9);

/// A cursor over the entries of a mapping. Every field asked for becomes known; [`Fields::finish`] reports the entries
/// that nobody asked for.
#[derive(Debug)]
pub struct Fields<'n, 'c, 'a> {
    pub cx: &'c mut Cx<'a>,
    pub position: &'n Position,
    entries: &'n [Entry],
    known: Vec<&'static str>,
    later: Vec<&'static str>,
}

impl<'n, 'c, 'a> Fields<'n, 'c, 'a> {
    /// Begins to read an object; anything else is reported.
    pub fn open(node: &'n Node, cx: &'c mut Cx<'a>) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            cx.unexpected(node, "an object", "write its fields below it");
            return None;
        };
        Some(Self { cx, position: &node.position, entries, known: Vec::new(), later: Vec::new() })
    }

    fn entry(&mut self, name: &'static str) -> Option<&'n Entry> {
        self.known.push(name);
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// Whether `name` was written.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == name)
    }

    /// Reads a field. A required one that is absent, or says nothing, is reported as `missing`.
    pub fn field<F: Field>(&mut self, name: &'static str, missing: Code) -> Option<F> {
        let Some(entry) = self.entry(name) else {
            let absent = F::absent();
            if absent.is_none() {
                let help = format!("add `{name}`: {}", F::shape().one_line());
                self.cx.error(missing, self.position, format!("`{name}` is missing"), help);
            }
            return absent;
        };
        let value = self.cx.key(name, |cx| F::present(&entry.value, cx))?;
        if value.is_vacant() {
            let message = format!("`{name}` needs at least one item");
            self.cx.key(name, |cx| {
                cx.error(
                    missing,
                    &entry.value.position,
                    message,
                    format!("write a {} with at least one item", F::shape().one_line()),
                )
            });
            return None;
        }
        Some(value)
    }

    /// Reads a field with a default, which is decoded from the text it would be written as.
    pub fn setting<T: Decode>(&mut self, name: &'static str, default: &'static str) -> Option<Setting<T>> {
        if let Some(entry) = self.entry(name) {
            let at: At<T> = self.cx.key(name, |cx| Field::present(&entry.value, cx))?;
            return Some(Setting { at, is_written: true });
        }
        let position = self.position;
        let at = self.cx.key(name, |cx| match yaml::fragment(default, position) {
            Some(node) => Field::present(&node, cx),
            None => {
                cx.shape(position, format!("the default `{default}` of `{name}` cannot be read"), "write the field");
                None
            }
        })?;
        Some(Setting { at, is_written: false })
    }

    /// Reports a value above its ceiling. `ceiling` is written as the field itself would be.
    pub fn ceiling<T: Decode + PartialOrd>(&mut self, value: Option<&At<T>>, ceiling: &'static str) {
        let Some(value) = value else { return };
        let max = yaml::fragment(ceiling, &value.position).and_then(|node| T::decode(&node, self.cx));
        if max.is_some_and(|max| value.value > max) {
            let field = value.pointer.rsplit('.').next().unwrap_or_default();
            let message = format!("`{field}` is above its ceiling of {ceiling}");
            value.error(
                self.cx.report,
                PV_CEILING,
                message,
                format!("use at most {ceiling}; no manifest can go beyond it"),
            );
        }
    }

    /// Fields of the contract that this version does not enforce: reported where they are written.
    pub fn later(&mut self, names: &[&'static str]) -> Option<()> {
        let mut honest = Some(());
        for name in names {
            self.later.push(name);
            let Some(entry) = self.entry(name) else { continue };
            let message = format!("`{name}` is not enforced by this version");
            let help =
                format!("remove `{name}`; a field that nothing acts on would promise a protection that is not there");
            self.cx.key(name, |cx| cx.error(PV_LATER, &entry.key_position, message, help));
            honest = None;
        }
        honest
    }

    /// Refuses a field that has no place here, where it is written.
    pub fn refuse(
        &mut self,
        name: &'static str,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<()> {
        let Some(entry) = self.entry(name) else { return Some(()) };
        self.cx.key(name, |cx| cx.error(code, &entry.key_position, message, help));
        None
    }

    /// Marks a field as known that somebody else reads or ignores.
    pub fn ignore(&mut self, name: &'static str) {
        self.known.push(name);
    }

    /// Reports the entries that nobody asked for.
    pub fn finish(self) -> Option<()> {
        let unknown: Vec<_> = self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())).collect();
        for entry in &unknown {
            let candidates: Vec<_> = self.known.iter().copied().filter(|name| !self.later.contains(name)).collect();
            let message = format!("unknown field `{}`", crate::secrets::shown(&entry.key));
            let help = hints::for_unknown_field(&entry.key, &self.known, &candidates);
            self.cx.key(&entry.key, |cx| cx.shape(&entry.key_position, message, help));
        }
        unknown.is_empty().then_some(())
    }
}

//! Parser events to nodes.

use std::collections::HashSet;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::{Entry, MAX_DEPTH, Node, PV_SHAPE, Plain, Value};
use crate::{Position, Report};

/// Every complete document, and whether the text was read to its end without a problem.
pub(super) fn documents(file: &Arc<str>, text: &str, report: &mut Report) -> (Vec<Node>, bool) {
    let mut builder = Builder { file: Arc::clone(file), report, open: Vec::new(), done: Vec::new(), sound: true };
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.event(event, span.start),
            Err(error) => {
                builder.syntax(&error);
                break;
            }
        };
        if step.is_none() {
            break;
        }
    }
    (builder.done, builder.sound)
}

/// A collection whose end has not come yet.
struct Open {
    position: Position,
    kind: Kind,
}

enum Kind {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, seen: HashSet<String>, key: Option<Key> },
}

struct Key {
    name: String,
    position: Position,
    /// A key that was reported already; its value is read and dropped.
    refused: bool,
}

struct Builder<'r> {
    file: Arc<str>,
    report: &'r mut Report,
    open: Vec<Open>,
    done: Vec<Node>,
    sound: bool,
}

impl Builder<'_> {
    /// Takes one event in. `None` ends the reading: what follows could not be trusted.
    fn event(&mut self, event: Event<'_>, at: Marker) -> Option<()> {
        let position = self.position(at);
        match event {
            Event::Alias(_) => {
                self.refuse(&position, "an alias", "write the value out; aliases hide what a manifest says");
                self.node(Node { position, value: Value::Plain(String::new()) });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.decorations(&position, anchor, tag.is_some());
                let text = text.into_owned();
                let value = if style == ScalarStyle::Plain { Value::Plain(text) } else { Value::Text(text) };
                self.node(Node { position, value });
            }
            Event::SequenceStart(anchor, tag) => {
                self.decorations(&position, anchor, tag.is_some());
                self.start(position, Kind::Sequence(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.decorations(&position, anchor, tag.is_some());
                self.start(position, Kind::Mapping { entries: Vec::new(), seen: HashSet::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
        Some(())
    }

    fn start(&mut self, position: Position, kind: Kind) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            self.error(&position, format!("more than {MAX_DEPTH} levels of nesting"), "flatten the document");
            return None;
        }
        self.open.push(Open { position, kind });
        Some(())
    }

    fn end(&mut self) {
        let Some(Open { position, kind }) = self.open.pop() else { return };
        let value = match kind {
            Kind::Sequence(items) => Value::Sequence(items),
            Kind::Mapping { entries, .. } => Value::Mapping(entries),
        };
        self.node(Node { position, value });
    }

    /// A finished node goes where it belongs: key, value, item, or document.
    fn node(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            return self.document(node);
        };
        match &mut open.kind {
            Kind::Sequence(items) => items.push(node),
            Kind::Mapping { entries, key, .. } if key.is_some() => {
                if let Some(key) = key.take().filter(|key| !key.refused) {
                    entries.push(Entry { key: key.name, key_position: key.position, value: node });
                }
            }
            Kind::Mapping { .. } => self.key(node),
        }
    }

    fn key(&mut self, node: Node) {
        let Node { position, value } = node;
        let merge = matches!(&value, Value::Plain(text) if text == "<<");
        let name = match value {
            Value::Text(text) => Some(text),
            Value::Plain(text) if !merge && matches!(Plain::of(&text), Plain::Word) => Some(text),
            _ => None,
        };
        let fresh = match (&name, self.open.last_mut().map(|open| &mut open.kind)) {
            (Some(name), Some(Kind::Mapping { seen, .. })) => seen.insert(name.clone()),
            _ => true,
        };
        if merge {
            self.refuse(&position, "a merge key", "write the fields out; merged fields hide what a manifest says");
        } else if !fresh {
            let message =
                format!("`{}` is written twice", name.as_deref().map(crate::secrets::shown).unwrap_or_default());
            self.error(&position, message, "keep one of them; readers disagree which one counts");
        } else if name.is_none() {
            self.error(&position, "a key that is not text".into(), "put the key in quotes if it is meant as text");
        }
        let refused = merge || !fresh || name.is_none();
        if let Some(Open { kind: Kind::Mapping { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(Key { name: name.unwrap_or_default(), position, refused });
        }
    }

    fn document(&mut self, node: Node) {
        if matches!(&node.value, Value::Plain(text) if Plain::of(text) == Plain::Null) {
            let help = "remove the `---` before it; a document that was cut to nothing must not pass for none";
            return self.error(&node.position, "an empty document".into(), help);
        }
        self.done.push(node);
    }

    fn decorations(&mut self, position: &Position, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse(position, "an anchor", "remove it and write the value out where it is used");
        }
        if tagged {
            self.refuse(position, "a tag", "remove it; the type of a value follows from its field");
        }
    }

    fn refuse(&mut self, position: &Position, what: &str, help: &str) {
        self.error(position, format!("{what} is not allowed in a manifest"), help);
    }

    fn error(&mut self, position: &Position, message: String, help: &str) {
        self.sound = false;
        self.report.error(PV_SHAPE, position, "", message, help);
    }

    fn syntax(&mut self, error: &ScanError) {
        let position = self.position(*error.marker());
        let info = error.info().trim_end_matches('.');
        let inside = if self.open.is_empty() { "" } else { "; if the file ends here, it was cut" };
        self.error(&position, format!("this is not YAML: {info}"), &format!("correct the text{inside}"));
    }

    fn position(&self, at: Marker) -> Position {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position { file: Arc::clone(&self.file), line: number(at.line()), column: number(at.col()).saturating_add(1) }
    }
}

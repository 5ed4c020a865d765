//! Markdown of one page, and what it has referred to so far.

use std::collections::{BTreeMap, VecDeque};

use super::{Pending, Scalars};
use crate::decode::{FieldShape, Presence, Shape, WordShape};

/// More words than this get a table of their own.
const FEW_WORDS: usize = 5;

type Words = (&'static str, Vec<WordShape>, &'static [&'static str]);

#[derive(Debug, Default)]
pub(super) struct Page {
    out: String,
    scalars: Scalars,
    words: BTreeMap<String, Words>,
}

impl Page {
    pub(super) fn heading(&mut self, level: usize, title: &str) {
        self.out.push_str(&format!("{} {title}\n\n", "#".repeat(level)));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.out.push_str(text.trim());
        self.out.push_str("\n\n");
    }

    pub(super) fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        self.out.push_str(&line(head.iter().map(|cell| (*cell).to_owned()).collect()));
        self.out.push_str(&line(head.iter().map(|_| "---".to_owned()).collect()));
        for row in rows {
            self.out.push_str(&line(row.iter().map(|cell| cell.replace('|', "\\|")).collect()));
        }
        self.out.push('\n');
    }

    /// The table of an object's fields, then those of the objects in it, breadth first.
    pub(super) fn object(&mut self, path: &str, fields: &[FieldShape]) {
        let mut pending: VecDeque<Pending> = VecDeque::new();
        self.fields(path, fields, &mut pending);
        while let Some((path, doc, fields)) = pending.pop_front() {
            self.text(&format!("**`{path}`**: {}", flat(doc)));
            self.fields(&path, &fields, &mut pending);
        }
    }

    fn fields(&mut self, path: &str, fields: &[FieldShape], pending: &mut VecDeque<Pending>) {
        let mut rows = Vec::new();
        let mut later = Vec::new();
        for field in fields {
            let Some(shape) = &field.shape else {
                later.push(format!("- `{}` [{}]: {}", field.name, field.level.letter(), flat(field.doc)));
                continue;
            };
            let below = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
            rows.push(vec![
                format!("`{}`", field.name),
                self.kind(&below, shape, pending),
                presence(field),
                field.level.letter().to_owned(),
                format!("{}{}{}", flat(field.doc), ceiling(field), explained(shape)),
            ]);
        }
        if !rows.is_empty() {
            self.table(&["Field", "Type", "Default", "Level", "Meaning"], rows);
        }
        if !later.is_empty() {
            self.text(&format!("Not enforced by this version: refused at load, PV-007.\n\n{}", later.join("\n")));
        }
    }

    /// A shape in the type column. Objects are put on the list of what is still to be printed.
    fn kind(&mut self, path: &str, shape: &Shape, pending: &mut VecDeque<Pending>) -> String {
        match shape {
            Shape::Scalar { name, doc } => {
                self.scalars.insert((*name).to_owned(), doc);
                (*name).to_owned()
            }
            Shape::Words { name, doc, words, later } if words.len() > FEW_WORDS => {
                self.words.insert((*name).to_owned(), (doc, words.clone(), later));
                format!("[{name}](#{})", name.to_lowercase())
            }
            Shape::Words { words, .. } => {
                words.iter().map(|word| format!("`{}`", quoted(word.word))).collect::<Vec<_>>().join(", ")
            }
            Shape::Record { doc, fields, .. } => {
                pending.push_back((path.to_owned(), doc, fields.clone()));
                "object".to_owned()
            }
            Shape::Tagged { variants, .. } => {
                for variant in variants {
                    let path = format!("{path}{{type: {}}}", variant.word);
                    pending.push_back((path, variant.doc, variant.fields.clone()));
                }
                let words: Vec<_> = variants.iter().map(|variant| format!("`{}`", variant.word)).collect();
                format!("object with `type` {}", words.join(", "))
            }
            Shape::List(item) => format!("list of {}", self.kind(&format!("{path}[]"), item, pending)),
            Shape::Map(key, value) => {
                let key = self.kind(path, key, pending);
                format!("map of {key} to {}", self.kind(path, value, pending))
            }
        }
    }

    pub(super) fn long_words(&self) -> BTreeMap<String, Words> {
        self.words.clone()
    }

    pub(super) fn scalars(&self) -> Scalars {
        self.scalars.clone()
    }

    pub(super) fn finish(self) -> String {
        let mut out = self.out.trim_end().to_owned();
        out.push('\n');
        out
    }
}

fn presence(field: &FieldShape) -> String {
    match &field.presence {
        Presence::Required => "required".to_owned(),
        Presence::Optional => "—".to_owned(),
        Presence::List => "empty".to_owned(),
        Presence::Default("{}") => "its defaults".to_owned(),
        Presence::Default(text) => format!("`{text}`"),
    }
}

fn ceiling(field: &FieldShape) -> String {
    field.ceiling.map_or_else(String::new, |max| format!(" At most {max} (PV-009)."))
}

/// The meaning of few words, and those that are known but refused.
fn explained(shape: &Shape) -> String {
    let (meaning, later): (String, &[&str]) = match shape {
        Shape::List(item) => return explained(item),
        Shape::Words { words, later, .. } if words.len() <= FEW_WORDS => {
            (words.iter().map(|word| format!(" `{}`: {}", quoted(word.word), flat(word.doc))).collect(), later)
        }
        Shape::Tagged { later, .. } => (String::new(), later),
        _ => return String::new(),
    };
    if later.is_empty() {
        return meaning;
    }
    let list: Vec<_> = later.iter().map(|word| format!("`{word}`")).collect();
    format!("{meaning} Refused, PV-007: {}.", list.join(", "))
}

fn quoted(word: &str) -> &str {
    if word.is_empty() { "\"\"" } else { word }
}

/// A doc comment in one line.
pub(super) fn flat(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

//! What a decoder takes, as data: the reference is written from it.

use super::Presence;

/// What the proxy does with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Enforced: the data path acts on it.
    E,
    /// Assessed: checked against facts and reported.
    A,
    /// Documented: kept and exported, but nothing acts on it.
    D,
}

impl Level {
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::E => "E",
            Self::A => "A",
            Self::D => "D",
        }
    }
}

/// What one value may be.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A scalar type: its name and how it is written.
    Scalar {
        name: &'static str,
        doc: &'static str,
    },
    Words {
        name: &'static str,
        doc: &'static str,
        words: Vec<WordShape>,
        later: &'static [&'static str],
    },
    Record {
        name: &'static str,
        doc: &'static str,
        fields: Vec<FieldShape>,
    },
    /// An object whose `type` says which fields it has.
    Tagged {
        name: &'static str,
        doc: &'static str,
        variants: Vec<VariantShape>,
        later: &'static [&'static str],
    },
    List(Box<Shape>),
    /// Names of the writer's choice to values.
    Map(Box<Shape>, Box<Shape>),
}

/// One word of an enumeration.
#[derive(Debug, Clone)]
pub struct WordShape {
    pub word: &'static str,
    pub doc: &'static str,
}

/// One choice of a tagged object.
#[derive(Debug, Clone)]
pub struct VariantShape {
    pub word: &'static str,
    pub doc: &'static str,
    pub fields: Vec<FieldShape>,
}

/// One field.
#[derive(Debug, Clone)]
pub struct FieldShape {
    pub name: &'static str,
    pub doc: &'static str,
    pub level: Level,
    pub presence: Presence,
    /// As the field would be written.
    pub ceiling: Option<&'static str>,
    /// `None` for a field that this version knows only by name and refuses (PV-007).
    pub shape: Option<Shape>,
}

impl Shape {
    /// The type in a few words: `list of Name`, `Deny or AllowOrigins`.
    #[must_use]
    pub fn one_line(&self) -> String {
        match self {
            Self::Scalar { name, .. } => (*name).to_owned(),
            Self::Words { words, .. } => words.iter().map(|w| format!("`{}`", w.word)).collect::<Vec<_>>().join(" or "),
            Self::Record { fields, .. } => {
                let required = fields.iter().filter(|field| field.presence == Presence::Required);
                let names: Vec<_> = required.map(|field| format!("`{}`", field.name)).collect();
                if names.is_empty() { "object".to_owned() } else { format!("object with {}", names.join(", ")) }
            }
            Self::Tagged { variants, .. } => {
                let words: Vec<_> = variants.iter().map(|v| format!("`{}`", v.word)).collect();
                format!("object with `type` {}", words.join(" or "))
            }
            Self::List(item) => format!("list of {}", item.one_line()),
            Self::Map(key, value) => format!("map of {} to {}", key.one_line(), value.one_line()),
        }
    }
}

//! Decoders of scalars, lists and maps.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::{At, Cx, Decode, Shape};
use crate::Code;
use crate::secrets::shown;
use crate::yaml::{Node, PV_SHAPE, Plain, Value};

/// Why text is not a value of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: Code,
    pub message: String,
    pub help: String,
}

impl Fault {
    /// A fault of form, PV-002.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::coded(PV_SHAPE, message, help)
    }

    pub fn coded(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into() }
    }
}

/// A value that is written as one piece of text.
pub trait Scalar: Sized {
    /// Name of the type in the reference.
    const NAME: &'static str;
    /// How it is written.
    const DOC: &'static str;
    /// Whether an unquoted whole number is taken, as for sizes.
    const NUMERIC: bool = false;
    /// The unit to suggest for a bare number, where the type has units.
    const UNIT: Option<&'static str> = None;

    /// # Errors
    /// What is wrong with the text and what to write instead.
    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault>;
}

impl<T: Scalar> Decode for T {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if let (Value::Plain(text), Some(unit)) = (&node.value, T::UNIT)
            && Plain::of(text) == Plain::Integer
        {
            let message = format!("`{}` is `{}`, a number without a unit", cx.field(), shown(text));
            cx.shape(&node.position, message, format!("add the unit: `{}{unit}`", shown(text)));
            return None;
        }
        let text = written(node, T::NUMERIC, T::NAME, cx)?;
        match T::read(text, cx) {
            Ok(value) => Some(value),
            Err(fault) => {
                cx.error(fault.code, &node.position, fault.message, fault.help);
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Scalar { name: T::NAME, doc: T::DOC }
    }
}

/// The text of a scalar. Unquoted text that some reader would take for something else is refused.
pub(crate) fn written<'n>(node: &'n Node, numeric: bool, wanted: &str, cx: &mut Cx<'_>) -> Option<&'n str> {
    let field = cx.field();
    let (message, help) = match &node.value {
        Value::Text(text) => return Some(text),
        Value::Plain(text) => match Plain::of(text) {
            Plain::Word => return Some(text),
            Plain::Integer if numeric => return Some(text),
            Plain::Null => (format!("`{field}` has no value"), format!("write a value ({wanted}) or remove the field")),
            Plain::Ambiguous => (
                format!("`{field}` is `{text}`, which some YAML readers take for a truth value"),
                format!("put it in quotes if text is meant: \"{text}\""),
            ),
            Plain::Integer | Plain::Float | Plain::Bool(_) => (
                format!("`{field}` is {}, not text ({wanted})", node.describe()),
                format!("put it in quotes if text is meant: \"{}\"", shown(text)),
            ),
        },
        Value::Sequence(_) | Value::Mapping(_) => {
            (format!("`{field}` must be text ({wanted}), not {}", node.describe()), "write one value".to_owned())
        }
    };
    cx.shape(&node.position, message, help);
    None
}

impl Scalar for String {
    const NAME: &'static str = "text";
    const DOC: &'static str =
        "Text, not empty. Anything that YAML could take for a number or a truth value goes in quotes.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::new(format!("`{}` is empty", cx.field()), "write a value or remove the field"));
        }
        Ok(text.to_owned())
    }
}

/// Numbers are decimal, without sign, separators or leading zeros: octal to one reader is decimal to the next.
fn whole<T: std::str::FromStr>(node: &Node, cx: &mut Cx<'_>, wanted: &str) -> Option<T> {
    let number = match &node.value {
        Value::Plain(text) if text == "0" || (!text.starts_with('0') && text.chars().all(|c| c.is_ascii_digit())) => {
            text.parse().ok()
        }
        _ => None,
    };
    if number.is_none() {
        let (field, found) =
            (cx.field(), node.scalar().map_or_else(|| node.describe().to_owned(), |t| format!("`{}`", shown(t))));
        let message = format!("`{field}` must be {wanted}, not {found}");
        cx.shape(&node.position, message, "write decimal digits without quotes, sign or leading zeros");
    }
    number
}

macro_rules! whole_numbers {
    ($($type:ty: $name:literal, $doc:literal;)*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
                whole(node, cx, $name)
            }

            fn shape() -> Shape {
                Shape::Scalar { name: $name, doc: $doc }
            }
        }
    )*};
}

whole_numbers! {
    u32: "a whole number", "A whole number in decimal digits.";
    NonZeroU32: "a whole number of at least 1", "A whole number in decimal digits, at least 1.";
}

impl Decode for bool {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Plain(text) if text == "true" => Some(true),
            Value::Plain(text) if text == "false" => Some(false),
            _ => {
                let message = format!("`{}` must be true or false, not {}", cx.field(), node.describe());
                cx.shape(&node.position, message, "write `true` or `false` without quotes");
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Scalar { name: "true or false", doc: "`true` or `false`, in lower case and without quotes." }
    }
}

impl<T: Decode> Decode for Vec<At<T>> {
    /// All items are read, so that the problems of all are reported.
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Sequence(items) = &node.value else {
            cx.unexpected(node, "a list", "write a list, even of one: `[ … ]`");
            return None;
        };
        let read: Vec<Option<At<T>>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                cx.item(index, |cx| {
                    let value = T::decode(item, cx)?;
                    Some(cx.at(value, &item.position))
                })
            })
            .collect();
        read.into_iter().collect()
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }

    fn is_vacant(&self) -> bool {
        self.is_empty()
    }
}

impl<K: Scalar + Ord, V: Decode> Decode for BTreeMap<K, At<V>> {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            cx.unexpected(node, "a map", "write `name: value` pairs below it");
            return None;
        };
        let mut map = Some(Self::new());
        for entry in entries {
            let pair = cx.key(&entry.key, |cx| {
                let key = K::read(&entry.key, cx).map_err(|fault| {
                    cx.error(fault.code, &entry.key_position, fault.message, fault.help);
                });
                let value = V::decode(&entry.value, cx).map(|value| cx.at(value, &entry.value.position));
                Some((key.ok()?, value?))
            });
            let Some((key, value)) = pair else {
                map = None;
                continue;
            };
            // Two spellings of one name, as header names in upper and lower case are.
            if map.as_mut().is_some_and(|map| map.insert(key, value).is_some()) {
                let message = format!("`{}` is written twice", shown(&entry.key));
                cx.shape(&entry.key_position, message, "keep one of them; upper and lower case are the same name");
                map = None;
            }
        }
        map
    }

    fn shape() -> Shape {
        Shape::Map(Box::new(Shape::Scalar { name: K::NAME, doc: K::DOC }), Box::new(V::shape()))
    }
}

//! The declarations of specs: one text for the type, its decoder and its description.
//!
//! ```text
//! spec! {
//!     /// What the object is for.
//!     pub struct RateLimit {
//!         /// What is counted together.
//!         [E, missing 71] key: At<Vec<At<LimitKey>>>,      required, absence is PV-071 instead of PV-002
//!         [E, max "100Mi"] max_body: Setting<Size> = "10Mi", default and ceiling as they would be written
//!         [E] kind as "type": At<SinkType>,                  a name that is not the camelCase of the field's
//!     }
//!     later {
//!         /// Known to the contract, refused by this version (PV-007).
//!         [E] "schemaFrom",
//!     }
//!     check valid                                            fn(&Self, &mut Fields): further reports
//! }
//! ```

/// The camelCase of a snake_case name, made once per name and kept for the life of the process.
pub(crate) fn camel(name: &'static str) -> &'static str {
    use std::collections::BTreeMap;
    use std::sync::{LazyLock, Mutex, PoisonError};
    static NAMES: LazyLock<Mutex<BTreeMap<&'static str, &'static str>>> = LazyLock::new(Mutex::default);
    if !name.contains('_') {
        return name;
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(name).or_insert_with(|| {
        let mut out = String::new();
        for (index, part) in name.split('_').enumerate() {
            let mut letters = part.chars();
            match letters.next() {
                Some(first) if index > 0 => out.extend(first.to_uppercase().chain(letters)),
                Some(first) => out.extend(std::iter::once(first).chain(letters)),
                None => {}
            }
        }
        // INVARIANT: names come from declarations in the source, so this set is bounded by the program text.
        String::leak(out)
    })
}

macro_rules! spec {
    (
        $(#[doc = $doc:literal])*
        pub struct $type:ident {
            $(
                $(#[doc = $field_doc:literal])*
                [$level:ident $(, max $max:literal)? $(, missing $missing:literal)?]
                $field:ident $(as $name:literal)?: $field_type:ty $(= $default:literal)?,
            )*
        }
        $(later {
            $( $(#[doc = $later_doc:literal])* [$later_level:ident] $later:literal, )*
        })?
        $(check $check:path)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub struct $type {
            $( $(#[doc = $field_doc])* pub $field: $field_type, )*
        }

        impl $crate::decode::Record for $type {
            fn take(fields: &mut $crate::decode::Fields<'_, '_, '_>) -> Option<Self> {
                $( let $field = $crate::decode::spec!(@take fields, $crate::decode::spec!(@name $field $($name)?),
                    $field_type, [$($default)?], [$($missing)?], [$($max)?]); )*
                let honest = fields.later(&[$($($later),*)?]);
                let value = honest.and_then(|()| Some(Self { $( $field: $field?, )* }));
                $( if let Some(value) = &value { $check(value, fields); } )?
                value
            }

            fn fields() -> Vec<$crate::decode::FieldShape> {
                vec![
                    $( $crate::decode::FieldShape {
                        name: $crate::decode::spec!(@name $field $($name)?),
                        doc: concat!($($field_doc, "\n"),*),
                        level: $crate::decode::Level::$level,
                        presence: $crate::decode::spec!(@presence $field_type, [$($default)?]),
                        ceiling: $crate::decode::spec!(@option [$($max)?]),
                        shape: Some($crate::decode::spec!(@shape $field_type, [$($default)?])),
                    }, )*
                    $($( $crate::decode::FieldShape {
                        name: $later,
                        doc: concat!($($later_doc, "\n"),*),
                        level: $crate::decode::Level::$later_level,
                        presence: $crate::decode::Presence::Optional,
                        ceiling: None,
                        shape: None,
                    }, )*)?
                ]
            }
        }

        impl $crate::decode::Decode for $type {
            fn decode(node: &$crate::yaml::Node, cx: &mut $crate::decode::Cx<'_>) -> Option<Self> {
                let mut fields = $crate::decode::Fields::open(node, cx)?;
                let value = <Self as $crate::decode::Record>::take(&mut fields);
                fields.finish().and(value)
            }

            fn shape() -> $crate::decode::Shape {
                $crate::decode::Shape::Record {
                    name: stringify!($type),
                    doc: concat!($($doc, "\n"),*),
                    fields: <Self as $crate::decode::Record>::fields(),
                }
            }
        }
    };

    (@name $field:ident) => { $crate::decode::macros::camel(stringify!($field)) };
    (@name $field:ident $name:literal) => { $name };

    (@take $fields:ident, $name:expr, $type:ty, [], [$($missing:literal)?], [$($max:literal)?]) => {{
        let code = $crate::Code($crate::decode::spec!(@or [$($missing)?] 2));
        let value = $fields.field::<$type>($name, code);
        $( if let Some(value) = &value { $fields.ceiling($crate::decode::Field::value(value), $max); } )?
        value
    }};
    (@take $fields:ident, $name:expr, $type:ty, [$default:literal], [], [$($max:literal)?]) => {{
        let value: Option<$type> = $fields.setting($name, $default);
        $( if let Some(value) = &value { $fields.ceiling(Some(&value.at), $max); } )?
        value
    }};
    (@or [] $other:literal) => { $other };
    (@or [$some:literal] $other:literal) => { $some };
    (@option []) => { None };
    (@option [$some:literal]) => { Some($some) };
    (@presence $type:ty, []) => { <$type as $crate::decode::Field>::PRESENCE };
    (@presence $type:ty, [$default:literal]) => { $crate::decode::Presence::Default($default) };
    (@shape $type:ty, []) => { <$type as $crate::decode::Field>::shape() };
    (@shape $type:ty, [$default:literal]) => { <$type>::shape() };
}

/// Words of a manifest for the variants of an enum. `later` words are the contract's but not this version's (PV-007); one
/// that ends with `:` stands for all words with that beginning. `never` words are refused with a code of their own.
macro_rules! words {
    (
        $(#[doc = $doc:literal])*
        pub enum $type:ident { $( $(#[doc = $word_doc:literal])* $variant:ident = $word:literal, )* }
        $(later { $($later:literal),* $(,)? })?
        $(never { $($never:literal),* $(,)? } with $code:literal, $message:literal, $help:literal)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $( $(#[doc = $word_doc])* $variant, )* }

        $crate::decode::words! {
            $(#[doc = $doc])*
            impl $type { $( $(#[doc = $word_doc])* ($type::$variant) = $word, )* }
            $(later { $($later),* })?
            $(never { $($never),* } with $code, $message, $help)?
        }
    };
    (
        $(#[doc = $doc:literal])*
        impl $type:ty { $( $(#[doc = $word_doc:literal])* ($value:expr) = $word:literal, )* }
        $(later { $($later:literal),* $(,)? })?
        $(never { $($never:literal),* $(,)? } with $code:literal, $message:literal, $help:literal)?
    ) => {
        impl $crate::decode::Decode for $type {
            fn decode(node: &$crate::yaml::Node, cx: &mut $crate::decode::Cx<'_>) -> Option<Self> {
                let known: &[&'static str] = &[$($word),*];
                let later: &[&'static str] = &[$($($later),*)?];
                let text = $crate::decode::written(node, false, "a word", cx)?;
                $(
                    let never: &[&str] = &[$($never),*];
                    if never.contains(&text) {
                        cx.error($crate::Code($code), &node.position, format!($message, text), $help);
                        return None;
                    }
                )?
                match text {
                    $( $word => Some($value), )*
                    _ => {
                        $crate::decode::macros::refuse_word(node, text, known, later, cx);
                        None
                    }
                }
            }

            fn shape() -> $crate::decode::Shape {
                $crate::decode::Shape::Words {
                    name: stringify!($type),
                    doc: concat!($($doc, "\n"),*),
                    words: vec![$( $crate::decode::WordShape { word: $word, doc: concat!($($word_doc, "\n"),*) }, )*],
                    later: &[$($($later),*)?],
                }
            }
        }
    };
}

/// Objects whose `type` says which fields follow.
macro_rules! tagged {
    (
        $(#[doc = $doc:literal])*
        pub enum $type:ident { $( $(#[doc = $variant_doc:literal])* $variant:ident($fields:ty), )* }
        $(later { $($later:literal),* $(,)? })?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub enum $type { $( $(#[doc = $variant_doc])* $variant($fields), )* }

        impl $crate::decode::Decode for $type {
            fn decode(node: &$crate::yaml::Node, cx: &mut $crate::decode::Cx<'_>) -> Option<Self> {
                let known: &[&'static str] = &[$(stringify!($variant)),*];
                let later: &[&'static str] = &[$($($later),*)?];
                let (tag, word) = $crate::decode::macros::tag(node, known, cx)?;
                match word {
                    $( stringify!($variant) => {
                        let mut fields = $crate::decode::Fields::open(node, cx)?;
                        fields.ignore("type");
                        let value = <$fields as $crate::decode::Record>::take(&mut fields);
                        fields.finish().and(value).map(Self::$variant)
                    } )*
                    _ => {
                        cx.key("type", |cx| $crate::decode::macros::refuse_word(tag, word, known, later, cx));
                        None
                    }
                }
            }

            fn shape() -> $crate::decode::Shape {
                $crate::decode::Shape::Tagged {
                    name: stringify!($type),
                    doc: concat!($($doc, "\n"),*),
                    variants: vec![$( $crate::decode::VariantShape {
                        word: stringify!($variant),
                        doc: concat!($($variant_doc, "\n"),*),
                        fields: <$fields as $crate::decode::Record>::fields(),
                    }, )*],
                    later: &[$($($later),*)?],
                }
            }
        }
    };
}

pub(crate) use {spec, tagged, words};

use super::{Cx, Fields, hints, written};
use crate::Code;
use crate::secrets::shown;
use crate::yaml::{Node, Value};

/// Reports a word that is none of `known`: PV-007 if the contract has it, else PV-002.
pub(crate) fn refuse_word(node: &Node, word: &str, known: &[&str], later: &[&str], cx: &mut Cx<'_>) {
    let field = cx.field();
    if later.iter().any(|l| word == *l || (l.ends_with(':') && word.starts_with(l))) {
        let message = format!("`{field}: {}` is not enforced by this version", shown(word));
        return cx.error(Code(7), &node.position, message, hints::to_choose(known));
    }
    let message = format!("`{field}` cannot be `{}`", shown(word));
    cx.shape(&node.position, message, hints::for_unknown_word(word, known));
}

/// The `type` of a tagged object.
pub(crate) fn tag<'n>(node: &'n Node, known: &[&'static str], cx: &mut Cx<'_>) -> Option<(&'n Node, &'n str)> {
    if let (Value::Plain(_) | Value::Text(_), Some(word)) = (&node.value, node.scalar())
        && known.contains(&word)
    {
        let message = format!("`{}` must be an object with a `type`, not text", cx.field());
        cx.shape(&node.position, message, format!("write `{{type: {word}}}`"));
        return None;
    }
    let fields = Fields::open(node, cx)?;
    let Some(tag) = node.get("type") else {
        let help = format!("add `type`; {}", hints::to_choose(known));
        fields.cx.shape(&node.position, "`type` is missing", help);
        return None;
    };
    let word = cx.key("type", |cx| written(tag, false, "a word", cx))?;
    Some((tag, word))
}

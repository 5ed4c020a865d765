//! Values written in a document: those of `enum` and `const`, and bounds.

use std::collections::BTreeMap;

use super::super::keys::Spot;
use super::super::{PV_SHAPE, Reader};
use crate::values::Decimal;
use crate::yaml::{Plain, Value};
use crate::{Literal, secrets::shown};

/// Bytes of a number in a document.
const MAX_NUMBER: usize = 400;

impl<'d> Reader<'d, '_> {
    pub(super) fn literal(&mut self, spot: &Spot<'d>) -> Option<Literal> {
        match &spot.node.value {
            Value::Text(text) => Some(Literal::Text(text.clone())),
            Value::Plain(text) => match Plain::of(text) {
                Plain::Word | Plain::Ambiguous => self.text(spot).map(|text| Literal::Text(text.to_owned())),
                Plain::Null => Some(Literal::Null),
                Plain::Bool(_) => self.flag(spot).map(Literal::Bool),
                Plain::Integer | Plain::Float => self.number(spot).map(Literal::Number),
            },
            Value::Sequence(_) => {
                let items: Vec<Spot<'d>> = spot.items().collect();
                items.iter().map(|item| self.literal(item)).collect::<Option<Vec<_>>>().map(Literal::List)
            }
            Value::Mapping(_) => {
                let entries: Vec<(&str, Spot<'d>)> = spot.entries().collect();
                let read = entries.iter().map(|(key, value)| Some(((*key).to_owned(), self.literal(value)?)));
                read.collect::<Option<BTreeMap<_, _>>>().map(Literal::Object)
            }
        }
    }

    /// A number as JSON writes it: what YAML adds, readers differ on.
    pub(super) fn number(&mut self, spot: &Spot<'d>) -> Option<Decimal> {
        let text = match &spot.node.value {
            Value::Plain(text) if text.len() <= MAX_NUMBER => text,
            _ => {
                self.unexpected(spot, "a number");
                return None;
            }
        };
        let number = Decimal::parse(text);
        if number.is_none() {
            let message = format!("`{}` is no number of JSON", shown(text));
            self.error(spot, PV_SHAPE, message, "write decimal digits, with a point or an exponent if need be");
        }
        number
    }
}

//! From nodes to typed specs, with every problem of a load collected.
//!
//! [`Decode`] turns one node into one value and says what it takes; [`Field`] does the same for a field of an object,
//! which may be absent. Specs are declared with the macros in `macros.rs`, which also make the description that
//! `docs/manifests.md` is written from.

mod at;
mod builtin;
mod context;
mod field;
mod fields;
mod hints;
pub(crate) mod macros;
mod shape;

pub use at::{At, Setting};
pub use context::{Cx, MaterialRule};
pub use field::{Field, Presence};
pub use fields::Fields;
pub(crate) use macros::{spec, tagged, words};
pub use shape::{FieldShape, Level, Shape, VariantShape, WordShape};

pub(crate) use builtin::written;
pub use builtin::{Fault, Scalar};
pub(crate) use hints::nearest;

use crate::yaml::Node;

/// A value that can be read from a node.
pub trait Decode: Sized {
    /// The value, or `None` after the reason was reported.
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self>;

    /// What is taken, for the reference.
    fn shape() -> Shape;

    /// Whether a required field would be as good as absent: an empty list.
    fn is_vacant(&self) -> bool {
        false
    }
}

/// The fields of one kind of object.
pub trait Record: Sized {
    /// Takes its fields out of `fields`, leaving the others for somebody else or for the report of unknown fields.
    fn take(fields: &mut Fields<'_, '_, '_>) -> Option<Self>;

    fn fields() -> Vec<FieldShape>;
}

impl<T: Record> Record for Box<T> {
    fn take(fields: &mut Fields<'_, '_, '_>) -> Option<Self> {
        T::take(fields).map(Self::new)
    }

    fn fields() -> Vec<FieldShape> {
        T::fields()
    }
}

#[cfg(test)]
mod tests;

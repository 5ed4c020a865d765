//! Fields: required, optional, with a default, or a list that may be absent. The type says which.

use super::{At, Cx, Decode, Shape};
use crate::yaml::Node;

/// Whether a field must be there, and what stands for it if not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    Required,
    Optional,
    /// A list that is empty where it is absent.
    List,
    /// The default, as it would be written.
    Default(&'static str),
}

/// A field's type: `At<T>` is required, `Option<At<T>>` optional, `Vec<At<T>>` a list that may be absent.
/// [`super::Setting`] has a default and is read by [`super::Fields::setting`].
pub trait Field: Sized {
    type Value: Decode;
    const PRESENCE: Presence;

    /// Reads what was written.
    fn present(node: &Node, cx: &mut Cx<'_>) -> Option<Self>;

    /// What stands for an absent field; `None` if it is required.
    fn absent() -> Option<Self>;

    /// Whether a required field is there without saying anything.
    fn is_vacant(&self) -> bool {
        false
    }

    /// The value, to compare it with a ceiling.
    fn value(&self) -> Option<&At<Self::Value>>;

    fn shape() -> Shape {
        Self::Value::shape()
    }
}

fn place<T: Decode>(node: &Node, cx: &mut Cx<'_>) -> Option<At<T>> {
    let value = T::decode(node, cx)?;
    Some(cx.at(value, &node.position))
}

impl<T: Decode> Field for At<T> {
    type Value = T;
    const PRESENCE: Presence = Presence::Required;

    fn present(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        place(node, cx)
    }

    fn absent() -> Option<Self> {
        None
    }

    fn is_vacant(&self) -> bool {
        self.value.is_vacant()
    }

    fn value(&self) -> Option<&At<T>> {
        Some(self)
    }
}

impl<T: Decode> Field for Option<At<T>> {
    type Value = T;
    const PRESENCE: Presence = Presence::Optional;

    fn present(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        place(node, cx).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn value(&self) -> Option<&At<T>> {
        self.as_ref()
    }
}

impl<T: Decode> Field for Vec<At<T>> {
    type Value = T;
    const PRESENCE: Presence = Presence::List;

    fn present(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        <Self as Decode>::decode(node, cx)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn value(&self) -> Option<&At<T>> {
        None
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

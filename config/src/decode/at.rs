//! Values that know where they were written.

use std::fmt;
use std::ops::Deref;

use super::{Decode, Shape};
use crate::{Code, Position, Report};

/// A value and its place.
#[derive(Clone, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub position: Position,
    /// Path as a person writes it: `spec.rateLimits[0].burst`.
    pub pointer: String,
}

impl<T> At<T> {
    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { value: change(self.value), position: self.position, pointer: self.pointer }
    }

    /// Reports an error here.
    pub fn error(&self, report: &mut Report, code: Code, message: impl Into<String>, help: impl Into<String>) {
        report.error(code, &self.position, self.pointer.clone(), message, help);
    }

    /// Reports a warning here.
    pub fn warning(&self, report: &mut Report, code: Code, message: impl Into<String>, help: impl Into<String>) {
        report.warning(code, &self.position, self.pointer.clone(), message, help);
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} @{}:{}", self.value, self.position.line, self.position.column)
    }
}

/// A field with a default. Whether it was written matters for merging: the first manifest that writes a field replaces
/// the default, every further one can only tighten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// What was written, or the default at the place of the object that lacks the field.
    pub at: At<T>,
    pub is_written: bool,
}

impl<T> Setting<T> {
    /// What was written; `None` where the default stands.
    #[must_use]
    pub fn written(&self) -> Option<&At<T>> {
        self.is_written.then_some(&self.at)
    }
}

impl<T: Decode> Setting<T> {
    /// What is taken, for the reference.
    #[must_use]
    pub fn shape() -> Shape {
        T::shape()
    }
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.at.value
    }
}

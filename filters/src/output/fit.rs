//! A JSON Schema that stands by itself, ready to judge what models write.

use std::sync::Arc;

use bytes::Bytes;
use postern_config::{Api, SchemaId};

use crate::dialect::Input;
use crate::json::{Document, Kind, Limits, Value};
use crate::schema::Schemas;

#[derive(Debug)]
pub(super) struct Fit {
    schemas: Schemas,
    root: SchemaId,
}

impl Fit {
    /// # Errors
    /// A pattern that does not compile.
    pub(super) fn new(api: &Arc<Api>, root: SchemaId) -> Result<Self, regex::Error> {
        Ok(Self { schemas: Schemas::new(api)?, root })
    }

    /// Whether the bytes are one JSON document that fits.
    pub(super) fn holds(&self, input: &[u8], limits: Limits) -> bool {
        let document = Document::parse(Bytes::copy_from_slice(input), limits);
        document.is_ok_and(|document| self.schemas.judge(self.root, &document).is_ok())
    }

    /// Whether what a tool is called with fits: JSON, or a string that holds some.
    pub(super) fn holds_input(&self, input: Input<Value<'_>>, limits: Limits) -> bool {
        match input {
            Input::Text(_) => false,
            Input::Nothing => self.holds(b"{}", limits),
            Input::Json(value) => match (value.kind(), value.text()) {
                (Kind::String, Some(text)) => self.holds(text.as_bytes(), limits),
                _ => self.holds(value.raw(), limits),
            },
        }
    }
}

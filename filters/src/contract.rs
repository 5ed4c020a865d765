//! Holds a request against an OpenAPI document: its operation, its parameters, its body.
//!
//! What is said of a request that does not match names places of the document, never a piece of the request.

mod parameters;
mod router;
mod text;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use postern_config::{Api, ApiContent, Operation, ParameterForm, SchemaId, percent};

use crate::dialect::http::media_type;
use crate::json::{Document, Limits};
use crate::schema::{Schemas, Unfit};
use crate::{Reason, RequestView};
use router::Router;
pub use router::Unrouted;

/// A document, compiled.
#[derive(Debug)]
pub struct Contract {
    schemas: Schemas,
    router: Router,
}

/// Why a request does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    Unrouted(Unrouted),
    /// Of an operation: what is wrong, and where.
    Unfit {
        operation: String,
        reason: Reason,
        detail: String,
    },
}

impl Mismatch {
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unrouted(Unrouted::NoPath) => Reason::NoSuchOperation,
            Self::Unrouted(Unrouted::NoMethod { .. }) => Reason::MethodNotAllowed,
            Self::Unfit { reason, .. } => *reason,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrouted(Unrouted::NoPath) => f.write_str("no operation has this path"),
            Self::Unrouted(Unrouted::NoMethod { template, .. }) => {
                write!(f, "`{template}` has no operation of this method")
            }
            Self::Unfit { operation, detail, .. } => write!(f, "{operation}: {detail}"),
        }
    }
}

/// What is wrong, without the operation.
#[derive(Debug)]
struct Wrong {
    reason: Reason,
    detail: String,
}

impl Wrong {
    fn new(detail: impl Into<String>) -> Self {
        Self { reason: Reason::SchemaMismatch, detail: detail.into() }
    }

    fn of(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl Contract {
    /// # Errors
    /// A pattern that does not compile, which the load has ruled out.
    pub fn new(api: &Arc<Api>) -> Result<Self, regex::Error> {
        Ok(Self { schemas: Schemas::new(api)?, router: Router::new(&api.operations) })
    }

    /// The operation that a request asks for.
    ///
    /// # Errors
    /// [`Mismatch::Unrouted`] for one that the document does not have.
    pub fn operation(&self, method: &str, path: &str) -> Result<&Operation, Mismatch> {
        let operations = &self.schemas.api().operations;
        self.router.find(operations, method, path).map_err(Mismatch::Unrouted)
    }

    /// Judges all but the body: operation, parameters, content type.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn check_head(&self, req: &RequestView<'_>) -> Result<(), Mismatch> {
        let operation = self.operation(req.method, req.path)?;
        let judged = self.parameters(operation, req).and_then(|()| {
            if req.headers.contains_key(header::CONTENT_TYPE) {
                content(operation, req.headers).map(drop)
            } else {
                Ok(())
            }
        });
        judged.map_err(|wrong| of(operation, wrong))
    }

    /// Judges the body. `limits` are those of JSON.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn check_body(&self, req: &RequestView<'_>, body: &Bytes, limits: Limits) -> Result<(), Mismatch> {
        let operation = self.operation(req.method, req.path)?;
        self.body(operation, req.headers, body, limits).map_err(|wrong| of(operation, wrong))
    }

    fn body(&self, operation: &Operation, headers: &HeaderMap, body: &Bytes, limits: Limits) -> Result<(), Wrong> {
        if body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
            return match &operation.body {
                Some(wanted) if wanted.required => Err(Wrong::new("the body is missing")),
                _ => Ok(()),
            };
        }
        match content(operation, headers)? {
            ApiContent::Any => Ok(()),
            ApiContent::Json(schema) => self.json(*schema, body.clone(), limits, "the body"),
            ApiContent::Text(schema) => {
                let text = std::str::from_utf8(body).map_err(|error| {
                    Wrong::of(Reason::Malformed, format!("the body is not UTF-8 at byte {}", error.valid_up_to()))
                })?;
                self.json(*schema, crate::json::quote(text).into(), Limits { bytes: usize::MAX, ..limits }, "the body")
            }
            ApiContent::Form { schema, fields } => {
                let json = form(body, fields)?;
                self.json(*schema, json.into(), Limits { bytes: usize::MAX, ..limits }, "the form")
            }
        }
    }

    /// Judges JSON text.
    fn json(&self, schema: SchemaId, bytes: Bytes, limits: Limits, what: &str) -> Result<(), Wrong> {
        let document = Document::parse(bytes, limits)
            .map_err(|error| Wrong::of(Reason::Malformed, format!("{what} is not strict JSON: {error}")))?;
        self.schemas.judge(schema, &document).map_err(|unfit| match unfit {
            Unfit::Keyword { ref place, .. } if place.is_empty() => {
                Wrong::new(format!("{what}: {unfit}").replace(" at ``", ""))
            }
            unfit => Wrong::new(format!("{what}: {unfit}")),
        })
    }
}

fn of(operation: &Operation, wrong: Wrong) -> Mismatch {
    Mismatch::Unfit {
        operation: format!("`{} {}`", operation.method, operation.template),
        reason: wrong.reason,
        detail: wrong.detail,
    }
}

/// What the document says about a body of the type that the request names.
fn content<'o>(operation: &'o Operation, headers: &HeaderMap) -> Result<&'o ApiContent, Wrong> {
    let refused = |detail: &str| Wrong::of(Reason::UnsupportedContent, detail);
    let Some(body) = &operation.body else { return Err(refused("a body where the document has none")) };
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let sole = values.next().filter(|_| values.next().is_none());
    let essence = sole.and_then(|value| value.to_str().ok()).and_then(media_type);
    let found = essence.and_then(|essence| body.content.get(&essence));
    found.ok_or_else(|| refused("a content type that the document does not have"))
}

/// A form as the JSON object that its schema describes.
fn form(body: &[u8], fields: &std::collections::BTreeMap<String, ParameterForm>) -> Result<Vec<u8>, Wrong> {
    let text = std::str::from_utf8(body).map_err(|_| Wrong::of(Reason::Malformed, "the form is not UTF-8"))?;
    let pairs = text::pairs(text, "the form")?;
    if pairs.iter().any(|pair| !fields.contains_key(&pair.name)) {
        return Err(Wrong::new("a field of the form that the document does not have"));
    }
    let mut out = vec![b'{'];
    for (name, written) in fields {
        let values: Vec<&str> = pairs.iter().filter(|pair| pair.name == *name).map(|pair| pair.raw).collect();
        let what = format!("field `{name}`");
        let Some(json) = text::value(written, &values, percent::decode_form, &what)? else { continue };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend(crate::json::quote(name));
        out.push(b':');
        out.extend(json);
    }
    out.push(b'}');
    Ok(out)
}

#[cfg(test)]
mod tests;

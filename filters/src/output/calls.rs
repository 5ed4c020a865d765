//! Calls of tools: each of one that the request offered, with arguments that fit the schema it was offered with.
//!
//! Schemas come from callers, so what they may cost is bounded: their bytes, their patterns, their depth. Those that were seen
//! before are kept, by digest.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use postern_config::openapi::{SchemaForm, schema_alone};
use postern_config::{Dialect, Output as Demands};

use super::fit::Fit;
use super::uncalled_for;
use crate::dialect::Call;
use crate::json::{Limits, Value};
use crate::{ContentFinding, Context, Flow, Reason, Verdict};

/// Bytes of the schemas of one request.
const MOST_BYTES: usize = 256 << 10;
/// Schemas that are kept, and bytes of all of them as they were written: what is made of one takes some multiple of that.
const MOST_KEPT: usize = 512;
const MOST_KEPT_BYTES: usize = 1 << 20;

/// The tools of one request.
#[derive(Debug, Default)]
pub(crate) struct Offered(BTreeMap<String, Option<Arc<Fit>>>);

impl Offered {
    /// Whether the call is of one of them, with arguments that fit.
    pub(crate) fn allow(&self, call: Call<'_>, limits: Limits) -> bool {
        let name = call.name.and_then(|name| name.text());
        let Some(fit) = name.and_then(|name| self.0.get(name.as_ref())) else { return false };
        fit.as_ref().is_none_or(|fit| fit.holds_input(call.input, limits))
    }

    /// As [`Offered::allow`], with no word on the arguments, which are still to come.
    pub(crate) fn know(&self, call: Call<'_>) -> bool {
        call.name.and_then(|name| name.text()).is_some_and(|name| self.0.contains_key(name.as_ref()))
    }

    /// As [`Offered::allow`], of a call whose arguments are JSON.
    pub(crate) fn allow_named(&self, name: &str, input: &str, limits: Limits) -> bool {
        match self.0.get(name) {
            Some(Some(fit)) => fit.holds(input.as_bytes(), limits),
            Some(None) => true,
            None => false,
        }
    }
}

/// What is told of a call that is none of them.
pub(super) fn not_offered() -> ContentFinding {
    uncalled_for(Demands::TOOL_CALLS, "toolCalls")
}

/// Schemas by digest.
#[derive(Debug, Default)]
struct Kept {
    fits: HashMap<(Vec<u8>, SchemaForm), Option<Arc<Fit>>>,
    bytes: usize,
}

impl Kept {
    /// Keeps another one, of so many bytes. Where there are too many, all others go.
    fn keep(&mut self, key: (Vec<u8>, SchemaForm), bytes: usize, fit: Option<Arc<Fit>>) {
        if self.fits.len() >= MOST_KEPT || self.bytes.saturating_add(bytes) > MOST_KEPT_BYTES {
            *self = Self::default();
        }
        if self.fits.insert(key, fit).is_none() {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

/// Reads the tools that requests offer.
#[derive(Debug, Default)]
pub(crate) struct ToolCalls {
    kept: Mutex<Kept>,
}

impl ToolCalls {
    pub(crate) fn check(&self, cx: &mut Context) -> Verdict {
        let message = cx.message()?;
        let form = |value: Value<'_>| {
            // `parameters` of Gemini; `parametersJsonSchema` says so by its types.
            let capitals = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase());
            let old = value.get("type").is_some_and(|kind| kind.text().is_some_and(|text| capitals(&text)));
            if message.dialect() == Dialect::Gemini && old { SchemaForm::Gemini } else { SchemaForm::Json }
        };
        let (mut tools, mut left) = (BTreeMap::new(), MOST_BYTES);
        for (number, offer) in message.offers().into_iter().enumerate() {
            let name = offer.name.text().unwrap_or_default().into_owned();
            let fit = match offer.schema {
                None => None,
                Some(schema) => {
                    let Some(rest) = left.checked_sub(schema.raw().len()) else {
                        let detail = format!("schemas of tools have more than {MOST_BYTES} bytes");
                        return Ok(Flow::refuse(Reason::TooLarge, detail));
                    };
                    left = rest;
                    let Some(fit) = self.fit(schema.raw(), form(schema)) else {
                        let detail = format!("nothing can enforce the schema of tool {number} that the request offers");
                        return Ok(Flow::refuse(Reason::ContentRefused, detail));
                    };
                    Some(fit)
                }
            };
            if tools.insert(name, fit).is_some() {
                return Ok(Flow::refuse(Reason::Malformed, "two tools on offer have one name"));
            }
        }
        cx.set_offered(Arc::new(Offered(tools)));
        Ok(Flow::Continue)
    }

    /// The schema, compiled; `None` where that cannot be.
    fn fit(&self, schema: &[u8], form: SchemaForm) -> Option<Arc<Fit>> {
        let key = (digest::digest(&digest::SHA256, schema).as_ref().to_vec(), form);
        if let Some(known) = self.kept().fits.get(&key) {
            return known.clone();
        }
        let made = compile(schema, form).map(Arc::new);
        self.kept().keep(key, schema.len(), made.clone());
        made
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compile(schema: &[u8], form: SchemaForm) -> Option<Fit> {
    let json = serde_json::from_slice(schema).ok()?;
    let (api, id) = schema_alone(&json, form).ok()?;
    Fit::new(&Arc::new(api), id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_45_what_is_kept_of_schemas_is_bounded_by_their_bytes() {
        let calls = ToolCalls::default();
        for number in 0..40 {
            let schema = format!(r#"{{"type":"object","description":"{number}{}"}}"#, "x".repeat(100 << 10));
            assert!(calls.fit(schema.as_bytes(), SchemaForm::Json).is_some());
            let kept = calls.kept();
            assert!(kept.bytes <= MOST_KEPT_BYTES && !kept.fits.is_empty(), "{}", kept.bytes);
        }
        for number in 0..2 * MOST_KEPT {
            let schema = format!(r#"{{"type":"object","maxProperties":{number}}}"#);
            assert!(calls.fit(schema.as_bytes(), SchemaForm::Json).is_some());
            assert!(calls.kept().fits.len() <= MOST_KEPT);
        }
    }
}

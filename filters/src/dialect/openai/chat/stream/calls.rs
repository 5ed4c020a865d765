//! Tool calls while they stream: gathered, then judged whole.

use std::collections::BTreeMap;

use super::Completions;
use crate::dialect::DialectError;
use crate::dialect::body::Found;
use crate::dialect::fields::{expect, identifier, index, shape, string, unknown};
use crate::dialect::openai::chat::message::{function_call, tool_calls};
use crate::dialect::stream::StreamLimits;
use crate::json::{Kind, Value, escape_into, quote};

/// A call as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Call {
    id: String,
    /// `function` unless said otherwise.
    kind: String,
    name: String,
    /// Arguments of a function, input of a custom tool.
    input: String,
}

impl Call {
    /// Bytes held. Ids and kinds are bounded by themselves and counted all the same.
    pub(super) fn len(&self) -> usize {
        self.id.len() + self.kind.len() + self.name.len() + self.input.len()
    }

    /// Takes in one element of `delta.tool_calls`, whose index is known.
    pub(super) fn add(&mut self, delta: Value<'_>) -> Result<(), DialectError> {
        for (key, value) in delta.entries().filter(|(_, value)| !value.is_null()) {
            match key.text().as_deref() {
                Some("index") => {}
                Some("id") => once(&mut self.id, value, identifier(value, "tool_calls[].id")?.as_ref())?,
                Some("type") => once(&mut self.kind, value, identifier(value, "tool_calls[].type")?.as_ref())?,
                Some("function") => self.add_function(value, "function", "arguments")?,
                Some("custom") => self.add_function(value, "custom", "input")?,
                _ => return Err(unknown(key, "tool_calls[]")),
            }
        }
        Ok(())
    }

    /// Takes in `{name, arguments}` or `{name, input}`.
    pub(super) fn add_function(
        &mut self,
        delta: Value<'_>,
        kind: &'static str,
        input: &'static str,
    ) -> Result<(), DialectError> {
        expect(delta, Kind::Object, kind)?;
        once(&mut self.kind, delta, kind)?;
        for (key, value) in delta.entries().filter(|(_, value)| !value.is_null()) {
            match key.text().as_deref() {
                Some("name") => once(&mut self.name, value, string(value, "name")?.as_ref())?,
                Some(name) if name == input => self.input.push_str(&string(value, input)?),
                _ => return Err(unknown(key, kind)),
            }
        }
        Ok(())
    }

    /// `{"name": …, "arguments": …}`.
    pub(super) fn function_json(&self) -> Vec<u8> {
        let mut out = b"{\"name\":".to_vec();
        out.extend(quote(&self.name));
        out.extend(if self.kind == "custom" { &b",\"input\":\""[..] } else { b",\"arguments\":\"" });
        escape_into(&mut out, &self.input);
        out.extend(b"\"}");
        out
    }
}

/// Sets a field that comes once. Clients differ on whether a second value replaces the first or is appended to it.
fn once(field: &mut String, value: Value<'_>, text: &str) -> Result<(), DialectError> {
    if field.is_empty() {
        field.push_str(text);
    } else if !text.is_empty() && field != text {
        return Err(shape(value, "tool_calls[]"));
    }
    Ok(())
}

/// All calls of a choice as one `tool_calls` delta.
pub(super) fn calls_json(calls: &BTreeMap<u32, Call>) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for (index, call) in calls {
        let kind = if call.kind.is_empty() { "function" } else { &call.kind };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend(format!("{{\"index\":{index},\"id\":\"{}\",\"type\":\"{kind}\",\"{kind}\":", call.id).as_bytes());
        out.extend(call.function_json());
        out.push(b'}');
    }
    out.push(b']');
    out
}

/// Reads held calls, as in an answer that is not streamed.
pub(super) fn walk(field: &str, root: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    match field {
        "function_call" => function_call(root, found),
        _ => tool_calls(root, found),
    }
}

impl Completions {
    /// Takes in `delta.tool_calls` of a choice.
    pub(super) fn hold_calls(
        &mut self,
        choice: u32,
        value: Value<'_>,
        limits: &StreamLimits,
    ) -> Result<(), DialectError> {
        expect(value, Kind::Array, "tool_calls")?;
        let Some(choice) = self.choices.get_mut(&choice) else { return Ok(()) };
        for delta in value.items() {
            expect(delta, Kind::Object, "tool_calls[]")?;
            let number = index(delta, "index", limits.calls, "tool_calls")?;
            let call = choice.calls.entry(number).or_default();
            hold(call, &mut self.held, limits.held, |call| call.add(delta))?;
        }
        Ok(())
    }

    /// Takes in `delta.function_call` of a choice.
    pub(super) fn hold_function(
        &mut self,
        choice: u32,
        value: Value<'_>,
        limits: &StreamLimits,
    ) -> Result<(), DialectError> {
        let Some(choice) = self.choices.get_mut(&choice) else { return Ok(()) };
        let call = choice.function.get_or_insert_default();
        hold(call, &mut self.held, limits.held, |call| call.add_function(value, "function", "arguments"))
    }
}

fn hold(
    call: &mut Call,
    held: &mut usize,
    most: usize,
    add: impl FnOnce(&mut Call) -> Result<(), DialectError>,
) -> Result<(), DialectError> {
    let before = call.len();
    add(call)?;
    *held += call.len() - before;
    if *held > most { Err(DialectError::TooMany { what: "bytes of tool calls" }) } else { Ok(()) }
}

//! What is kept of one choice while it streams.

use std::collections::BTreeMap;

use postern_config::Part;

use super::Cut;
use super::calls::{Call, calls_json};
use crate::{ContentFinding, TextGuard, TextGuards, TextStep};

/// Fields of a delta that carry text.
pub(super) const FIELDS: [(&str, Part); 4] = [
    ("content", Part::Assistant),
    ("refusal", Part::Assistant),
    ("reasoning_content", Part::Reasoning),
    ("reasoning", Part::Reasoning),
];

/// One choice: a guard for each field that has carried text, and the calls that are held.
#[derive(Debug, Default)]
pub(super) struct Choice {
    texts: BTreeMap<&'static str, Box<dyn TextGuard>>,
    pub(super) calls: BTreeMap<u32, Call>,
    /// The call of the old `function_call`.
    pub(super) function: Option<Call>,
    pub(super) finished: bool,
}

impl Choice {
    /// Text of a field, and whether the choice ends with it. Returns what may leave.
    pub(super) fn text(
        &mut self,
        (field, part): (&'static str, Part),
        text: &str,
        guards: &dyn TextGuards,
        findings: &mut Vec<ContentFinding>,
    ) -> Result<String, Cut> {
        let guard = self.texts.entry(field).or_insert_with(|| guards.open(part));
        released(guard.push(text), findings)
    }

    /// Ends one field, if it has carried text.
    pub(super) fn finish_text(&mut self, field: &str, findings: &mut Vec<ContentFinding>) -> Result<String, Cut> {
        match self.texts.remove(field) {
            Some(mut guard) => released(guard.finish(), findings),
            None => Ok(String::new()),
        }
    }

    /// Ends every field. Returns what may leave, by field.
    pub(super) fn finish(&mut self, findings: &mut Vec<ContentFinding>) -> Result<Vec<(&'static str, String)>, Cut> {
        self.finished = true;
        FIELDS.iter().map(|(field, _)| Ok((*field, self.finish_text(field, findings)?))).collect()
    }

    /// Open matches count as found. Returns what may leave, by field.
    pub(super) fn stall(&mut self, findings: &mut Vec<ContentFinding>) -> Result<Vec<(&'static str, String)>, Cut> {
        let holding = self.texts.iter_mut().filter(|(_, guard)| guard.is_holding());
        holding.map(|(field, guard)| Ok((*field, released(guard.stall(), findings)?))).collect()
    }

    pub(super) fn is_holding(&self) -> bool {
        self.texts.values().any(|guard| guard.is_holding())
    }

    /// The held calls as JSON, by the field they belong in; gives back their bytes to `held`.
    pub(super) fn take_calls(&mut self, held: &mut usize) -> Vec<(&'static str, Vec<u8>)> {
        let (calls, function) = (std::mem::take(&mut self.calls), self.function.take());
        let bytes: usize = calls.values().chain(&function).map(Call::len).sum();
        *held = held.saturating_sub(bytes);
        let mut out = Vec::new();
        if !calls.is_empty() {
            out.push(("tool_calls", calls_json(&calls)));
        }
        out.extend(function.map(|call| ("function_call", call.function_json())));
        out
    }
}

fn released(step: TextStep, findings: &mut Vec<ContentFinding>) -> Result<String, Cut> {
    findings.extend(step.findings);
    if step.blocked { Err(Cut::Blocked) } else { Ok(step.release) }
}

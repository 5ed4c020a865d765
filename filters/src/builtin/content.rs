//! The content guards of a route: they look at every message part before the decision, and act after it.
//!
//! Looking sets `risk` and `dataClass`, which rules may read; acting refuses, or rewrites what will be sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::{DataClass, DataProtection};

use crate::context::Judged;
use crate::dialect::Message;
use crate::scan::ContentGuards;
use crate::{ContentFinding, Context, FilterError, Flow, Judgement, Reason, Refusal, TextGuards, Verdict};

/// Guards of one direction.
#[derive(Debug)]
pub(crate) struct Content {
    guards: Arc<ContentGuards>,
    classes: BTreeMap<String, DataClass>,
}

/// What to do with a whole message.
pub(crate) struct Outcome {
    pub(crate) blocked: bool,
    pub(crate) edits: Vec<(usize, Vec<crate::Edit>)>,
    pub(crate) findings: Vec<ContentFinding>,
    pub(crate) risk: u8,
}

impl Content {
    pub(crate) fn new(guards: Arc<ContentGuards>, data: &DataProtection) -> Self {
        let classes = data.detectors.iter().map(|detector| (detector.name.clone(), detector.class)).collect();
        Self { guards, classes }
    }

    pub(crate) fn guards(&self) -> &Arc<ContentGuards> {
        &self.guards
    }

    /// Judges every part, without acting.
    pub(crate) fn look(&self, cx: &mut Context) -> Verdict {
        let outcome = self.judge(cx.message()?);
        let class = self.class_of(&outcome.findings);
        let Outcome { blocked, edits, findings, risk } = outcome;
        cx.set_judged(Judged { risk, class, blocked, edits, findings });
        Ok(Flow::Continue)
    }

    /// Refuses or rewrites the request according to what was seen.
    pub(crate) fn act(&self, cx: &mut Context) -> Verdict {
        let judged = cx.take_judged().ok_or_else(|| FilterError::Content("nothing was looked at".to_owned()))?;
        let refusal = judged.blocked.then(|| blocked(Reason::ContentRefused, &judged.findings));
        cx.add_findings(judged.findings);
        if let Some(refusal) = refusal {
            return Ok(Flow::Refuse(refusal));
        }
        if !judged.edits.is_empty() {
            let body = cx.message()?.rewrite(&judged.edits).map_err(|e| FilterError::Content(e.to_string()))?;
            cx.replace_body(body);
        }
        Ok(Flow::Continue)
    }

    pub(crate) fn judge(&self, message: &Message) -> Outcome {
        let mut outcome = Outcome { blocked: false, edits: Vec::new(), findings: Vec::new(), risk: 0 };
        for (number, part) in message.parts().iter().enumerate() {
            let Judgement { edits, findings, blocked, risk } = self.guards.judge(part.part, &part.text);
            outcome.blocked |= blocked;
            outcome.risk = outcome.risk.max(risk);
            outcome.findings.extend(findings);
            if !edits.is_empty() {
                outcome.edits.push((number, edits));
            }
        }
        outcome
    }

    fn class_of(&self, findings: &[ContentFinding]) -> DataClass {
        let classes = findings.iter().filter_map(|finding| self.classes.get(&finding.detector));
        classes.copied().max().unwrap_or(DataClass::Public)
    }
}

/// A refusal that names the guards that blocked, and nothing of what they found.
pub(crate) fn blocked(reason: Reason, findings: &[ContentFinding]) -> Refusal {
    let mut guards: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.action == postern_config::ContentAction::Block)
        .map(|finding| finding.guard.as_str())
        .collect();
    guards.sort_unstable();
    guards.dedup();
    let guards = guards.join(", ");
    Refusal::new(reason, format!("blocked by {guards}")).by(guards)
}


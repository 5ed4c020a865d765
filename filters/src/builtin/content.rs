//! The content guards of a route: they look at every message part before the decision, and act after it.
//!
//! Looking sets `risk` and `dataClass`, which rules may read; acting refuses, or rewrites what will be sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::{DataClass, DataProtection};

use crate::context::Judged;
use crate::message::Message;
use crate::scan::ContentGuards;
use crate::{ContentFinding, Context, Edit, FilterError, Flow, Judgement, Reason, Refusal, TextGuards, Verdict};

/// Guards of one direction.
#[derive(Debug)]
pub(crate) struct Content {
    guards: Arc<ContentGuards>,
    /// Of the guards that can see something here, as the coverage matrix has them.
    names: Vec<String>,
    classes: BTreeMap<String, DataClass>,
    /// A rule of the route reads `context.risk`: only then is it worth a pass of its own.
    scores_risk: bool,
}

/// What to do with a whole message.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) blocked: bool,
    /// A finding in a text that has no other spelling, such as the name of a tool or a query.
    pub(crate) fixed: bool,
    pub(crate) edits: Vec<(usize, Vec<Edit>)>,
    pub(crate) findings: Vec<ContentFinding>,
}

impl Outcome {
    /// Why nothing of the message may pass, if so.
    pub(crate) fn refusal(&self, reason: Reason) -> Option<Refusal> {
        if self.blocked {
            return Some(blocked(reason, &self.findings));
        }
        self.fixed.then(|| Refusal::new(reason, "a finding in a text that cannot be rewritten"))
    }
}

impl Content {
    pub(crate) fn new(
        guards: Arc<ContentGuards>,
        names: Vec<String>,
        data: &DataProtection,
        scores_risk: bool,
    ) -> Self {
        let classes = data.detectors.iter().map(|detector| (detector.name.clone(), detector.class)).collect();
        Self { guards, names, classes, scores_risk }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn guards(&self) -> &Arc<ContentGuards> {
        &self.guards
    }

    /// Judges every part, without acting.
    pub(crate) fn look(&self, cx: &mut Context) -> Verdict {
        let outcome = self.judge(cx.message()?);
        let class = self.class_of(&outcome.findings);
        let risk = if self.scores_risk { self.risk(cx.message()?) } else { 0 };
        cx.set_judged(Judged { class, risk, outcome });
        Ok(Flow::Continue)
    }

    /// Refuses or rewrites the request according to what was seen.
    pub(crate) fn act(&self, cx: &mut Context) -> Verdict {
        let judged = cx.take_judged().ok_or_else(|| FilterError::Content("nothing was looked at".to_owned()))?;
        let outcome = judged.outcome;
        let refusal = outcome.refusal(Reason::ContentRefused);
        cx.add_findings(outcome.findings);
        if let Some(refusal) = refusal {
            return Ok(Flow::Refuse(refusal));
        }
        if !outcome.edits.is_empty() {
            match cx.message()?.rewrite(&outcome.edits) {
                Ok(body) => cx.replace_body(body),
                // Found, and in a place that cannot be changed: it does not pass.
                Err(error) => return Ok(Flow::refuse(Reason::ContentRefused, error.to_string())),
            }
        }
        Ok(Flow::Continue)
    }

    /// The highest score of a detector of hostile content, thresholds aside.
    fn risk(&self, message: &Message) -> u8 {
        message.texts().map(|text| self.guards.risk(text.part, text.text)).max().unwrap_or(0)
    }

    pub(crate) fn judge(&self, message: &Message) -> Outcome {
        let mut outcome = Outcome::default();
        for text in message.texts() {
            let Judgement { edits, findings, blocked } = self.guards.judge(text.part, text.text);
            outcome.blocked |= blocked;
            outcome.findings.extend(findings);
            match (edits.is_empty(), text.index) {
                (true, _) => {}
                (false, Some(index)) => outcome.edits.push((index, edits)),
                (false, None) => outcome.fixed = true,
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

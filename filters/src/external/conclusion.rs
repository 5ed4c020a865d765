//! What the answers to all questions about one message come to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use postern_config::ContentAction;

use super::{Failure, Judge, Question, Shown, Verdict};
use crate::external::verdict::Opinion;
use crate::{ContentFinding, Edit, Reason, Refusal};

/// What becomes of a message.
#[derive(Debug, Default)]
pub(crate) struct Conclusion {
    /// For the record.
    pub(crate) findings: Vec<ContentFinding>,
    blockers: BTreeSet<String>,
    /// Of the first that did not answer: its guard, and why.
    failed: Option<(String, String)>,
    cuts: BTreeMap<usize, Vec<(Range<usize>, String)>>,
    /// A finding in a text that has no other spelling.
    fixed: bool,
}

impl Conclusion {
    /// Of what was `said` about `questions`. What was not answered failed.
    pub(crate) fn of(questions: &[Arc<Question>], said: &[(Arc<Question>, Result<Verdict, Failure>)]) -> Self {
        let mut concluded = Self::default();
        for question in questions {
            let judge = &question.judge;
            match said.iter().find(|(asked, _)| Arc::ptr_eq(asked, question)).map(|(_, said)| said) {
                Some(Ok(verdict)) if verdict.opinions.len() == question.texts.len() => {
                    for (shown, opinion) in question.texts.iter().zip(&verdict.opinions) {
                        concluded.add(judge, shown, opinion);
                    }
                }
                Some(Err(failure)) => concluded.fail(judge, &failure.to_string()),
                Some(Ok(_)) | None => concluded.fail(judge, "it was not asked"),
            }
        }
        concluded
    }

    fn fail(&mut self, judge: &Judge, why: &str) {
        self.failed.get_or_insert_with(|| {
            (judge.guard.to_string(), format!("external detector `{}` did not decide: {why}", judge.name))
        });
    }

    fn add(&mut self, judge: &Judge, shown: &Shown, opinion: &Opinion) {
        if opinion.score < judge.threshold {
            return;
        }
        let whole = (0..shown.text.len(), None);
        let named = opinion.found.iter().map(|found| (found.range.clone(), found.label.clone()));
        let places = if opinion.found.is_empty() { vec![whole] } else { named.collect() };
        if judge.action == ContentAction::Block {
            self.blockers.insert(judge.guard.to_string());
        }
        for (range, label) in places {
            if judge.action == ContentAction::Redact {
                match shown.place {
                    Some(place) => self.cuts.entry(place).or_default().push((range.clone(), judge.name.clone())),
                    None => self.fixed = true,
                }
            }
            self.findings.push(ContentFinding {
                guard: judge.guard.to_string(),
                detector: judge.name.clone(),
                part: shown.part,
                action: judge.action,
                score: opinion.score,
                range,
                label,
            });
        }
    }

    /// Why nothing of the message may pass, if so. What somebody found stands, whoever else did not answer.
    pub(crate) fn refusal(&self, reason: Reason) -> Option<Refusal> {
        if !self.blockers.is_empty() {
            let guards = self.blockers.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Some(Refusal::new(reason, format!("blocked by {guards}")).by(guards));
        }
        if let Some((guard, why)) = &self.failed {
            return Some(Refusal::new(Reason::Undecided, why.clone()).by(guard.clone()));
        }
        self.fixed.then(|| Refusal::new(reason, "a finding in a text that cannot be rewritten"))
    }

    /// What is taken out, by text.
    pub(crate) fn edits(self) -> Vec<(usize, Vec<Edit>)> {
        self.cuts.into_iter().map(|(place, cuts)| (place, joined(cuts))).collect()
    }
}

/// Places in order and apart; of those that overlap, one with the name of the first.
fn joined(mut cuts: Vec<(Range<usize>, String)>) -> Vec<Edit> {
    cuts.sort_by(|(a, _), (b, _)| (a.start, b.end).cmp(&(b.start, a.end)));
    let mut edits: Vec<Edit> = Vec::new();
    for (range, detector) in cuts {
        match edits.last_mut() {
            Some(last) if range.start < last.range.end => last.range.end = last.range.end.max(range.end),
            _ => edits.push(Edit { range, with: format!("[redacted:{detector}]") }),
        }
    }
    edits
}

//! Demands on what a model answers: where its links lead, what markup it has, how long it is, which tools it calls and which schemas
//! it fits.
//!
//! Markup goes before the content guards look: what stood apart and is joined then is what they judge. What they take out may join
//! tags in turn; those are made visible, which joins nothing. Links are looked for in what is left. Values that come back for their
//! tokens come back behind all of it, where no link is.

mod calls;
mod demands;
mod fit;
mod hosts;
mod length;
mod links;
mod markup;
mod schemas;
#[cfg(test)]
mod tests;
mod tops;

use std::ops::Range;
use std::sync::Arc;

use postern_config::{ContentAction, Markup, Output as Demands, Part};

use crate::json::apply;
use crate::text::{ContentFinding, Edit, Judgement, TextGuard, TextStep};
pub(crate) use calls::{Offered, ToolCalls};
pub(crate) use demands::{CallDemands, uncalled_for};
use hosts::Hosts;
pub(crate) use length::{Bounded, length_of, too_long};
use markup::Sink;
pub(crate) use schemas::{AnswerSchemas, unfit};

/// Bytes of a tag or of a destination that are waited for, at most: so many are held besides what guards hold back.
const REACH: usize = 4096;

/// Demands on the texts of a model's answer, ready to be met.
#[derive(Debug)]
pub(crate) struct Output {
    markup: Option<Markup>,
    links: Option<Arc<Hosts>>,
    reach: usize,
}

impl Output {
    /// Nothing where nothing is asked for that a text by itself can meet. `hold_back` bounds what is held of a stream.
    pub(crate) fn new(demands: &Demands, hold_back: usize) -> Option<Self> {
        let markup = demands.markup.as_ref().map(|one| one.value).filter(|markup| *markup != Markup::Allow);
        let lists = || demands.links.iter().map(|one| one.value.as_slice());
        let links = (!demands.links.is_empty()).then(|| Arc::new(Hosts::new(lists())));
        let reach = hold_back.min(REACH);
        (markup.is_some() || links.is_some()).then_some(Self { markup, links, reach })
    }

    /// Whether texts of this part are what a model says to its reader.
    pub(crate) fn reads(part: Part) -> bool {
        matches!(part, Part::Assistant | Part::Reasoning)
    }

    /// Names of its guards.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let links = self.links.as_ref().map(|_| Demands::LINKS);
        links.into_iter().chain(self.markup.map(|_| Demands::MARKUP))
    }

    /// What is found in a text, as it stands.
    pub(crate) fn findings(&self, part: Part, text: &str) -> Vec<ContentFinding> {
        self.around(part, text, |_| Judgement::default()).findings
    }

    /// What `judge` says of a text without its markup, with what the demands change of what it leaves.
    pub(crate) fn around(&self, part: Part, text: &str, judge: impl FnOnce(&str) -> Judgement) -> Judgement {
        let mut front = self.front(part);
        let mut plain = front.take(text, Then::Push);
        let end = front.take("", Then::Finish);
        plain.release.push_str(&end.release);
        plain.findings.extend(end.findings);
        let judgement = judge(&plain.release);
        let mut findings = plain.findings;
        findings.extend(judgement.findings);
        let judgement = Judgement { findings, ..judgement };
        if judgement.blocked {
            return Judgement { edits: Vec::new(), ..judgement };
        }
        // Edits that do not fit are for whoever makes them to refuse.
        let Ok(left) = apply(&plain.release, &judgement.edits) else { return judgement };
        let mut state = self.state(part);
        let pushed = state.take(&left, Then::Push);
        let rest = state.take("", Then::Finish);
        let mut findings = judgement.findings;
        findings.extend(pushed.findings);
        findings.extend(rest.findings);
        let with = pushed.release + &rest.release;
        let same = with == *left && plain.release == text;
        let edits = if same { judgement.edits } else { vec![Edit { range: 0..text.len(), with }] };
        Judgement { edits, findings, blocked: judgement.blocked }
    }

    /// Meets the demands on what `inner` releases.
    pub(crate) fn behind(&self, inner: Box<dyn TextGuard>, part: Part) -> Box<dyn TextGuard> {
        Box::new(Stream { front: self.front(part), inner, state: self.state(part) })
    }

    /// In front of the guards.
    fn front(&self, part: Part) -> State {
        State { part, markup: self.markup.map(|mode| markup::Reader::new(mode, self.reach)), links: None }
    }

    /// Behind them.
    fn state(&self, part: Part) -> State {
        State {
            part,
            markup: self.markup.map(|_| markup::Reader::new(Markup::Escape, self.reach)),
            links: self.links.as_ref().map(|hosts| links::Reader::new(hosts, self.reach)),
        }
    }
}

/// What comes with a piece of text, or without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Push,
    Finish,
    Stall,
}

/// The state on one text.
#[derive(Debug)]
struct State {
    part: Part,
    markup: Option<markup::Reader>,
    links: Option<links::Reader>,
}

impl State {
    fn take(&mut self, text: &str, then: Then) -> TextStep {
        let mut step = TextStep::default();
        let plain = match &mut self.markup {
            None => text.to_owned(),
            Some(reader) => {
                let mut sink = Sink::default();
                reader.push(text, &mut sink);
                if then != Then::Push {
                    reader.finish(&mut sink);
                }
                step.findings
                    .extend(sink.found.into_iter().map(|range| self.finding(Demands::MARKUP, "markup", range)));
                sink.text
            }
        };
        step.release = match &mut self.links {
            None => plain,
            Some(reader) => {
                let mut sink = Sink::default();
                reader.push(&plain, &mut sink);
                match then {
                    Then::Push => {}
                    Then::Finish => reader.finish(&mut sink),
                    Then::Stall => reader.stall(&mut sink),
                }
                step.findings.extend(sink.found.into_iter().map(|range| self.finding(Demands::LINKS, "link", range)));
                sink.text
            }
        };
        step
    }

    fn finding(&self, guard: &str, detector: &str, range: Range<usize>) -> ContentFinding {
        let (guard, detector) = (guard.to_owned(), detector.to_owned());
        ContentFinding {
            guard,
            detector,
            part: self.part,
            action: ContentAction::Redact,
            score: 100,
            range,
            label: None,
        }
    }

    fn is_holding(&self) -> bool {
        self.markup.as_ref().is_some_and(markup::Reader::is_holding)
            || self.links.as_ref().is_some_and(links::Reader::is_holding)
    }
}

#[derive(Debug)]
struct Stream {
    front: State,
    inner: Box<dyn TextGuard>,
    state: State,
}

/// What two steps leave, one behind the other.
fn joined(mut first: TextStep, second: TextStep) -> TextStep {
    first.release.push_str(&second.release);
    first.findings.extend(second.findings);
    TextStep { blocked: second.blocked, ..first }
}

impl Stream {
    /// Shows the guards what is left of a piece without its markup.
    fn show(&mut self, text: &str, then: Then) -> TextStep {
        let front = self.front.take(text, then);
        let mut step = self.inner.push(&front.release);
        step.findings.splice(0..0, front.findings);
        step
    }

    fn meet(&mut self, step: TextStep, then: Then) -> TextStep {
        if step.blocked {
            return step;
        }
        let met = self.state.take(&step.release, then);
        let mut findings = step.findings;
        findings.extend(met.findings);
        TextStep { release: met.release, findings, blocked: false }
    }
}

impl TextGuard for Stream {
    fn push(&mut self, text: &str) -> TextStep {
        let step = self.show(text, Then::Push);
        self.meet(step, Then::Push)
    }

    fn finish(&mut self) -> TextStep {
        let mut step = self.show("", Then::Finish);
        if !step.blocked {
            step = joined(step, self.inner.finish());
        }
        self.meet(step, Then::Finish)
    }

    fn stall(&mut self) -> TextStep {
        let mut step = self.show("", Then::Stall);
        if !step.blocked {
            step = joined(step, self.inner.stall());
        }
        self.meet(step, Then::Stall)
    }

    fn is_holding(&self) -> bool {
        self.front.is_holding() || self.inner.is_holding() || self.state.is_holding()
    }
}

//! The course of a task, as a request to a model tells it: which calls of tools its conversation has, and how many it may have.
//!
//! APIs of models keep nothing between requests, so the conversation that a request carries is all that is known of a task. Whoever
//! leaves a part of it out is believed; what the provider keeps of it cannot be counted, and is refused.

mod age;
mod print;

use std::collections::HashMap;
use std::sync::Arc;

use postern_config::BehaviourLimits;

use crate::json::Limits;
use crate::message::Message;
use crate::output::uncalled_for;
use crate::{ContentFinding, Context, Flow, Reason, Refusal, Verdict};
pub(crate) use age::{TaskAge, Tasks};
pub(crate) use print::Arguments;
use print::Print;

/// Different calls in one answer that are told apart.
const MOST_DIFFERENT: usize = 4096;

/// How many calls a conversation may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallLimits {
    number: Option<u32>,
    repeats: Option<u32>,
}

/// The calls that a conversation has.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    number: u32,
    same: HashMap<Print, u32>,
}

impl CallLimits {
    pub(crate) const NAME: &str = "course";

    /// Nothing where nothing is limited.
    pub(crate) fn new(limits: &BehaviourLimits) -> Option<Self> {
        let made = Self {
            number: limits.max_tool_calls.as_ref().map(|most| most.value),
            repeats: limits.max_repeats.as_ref().map(|most| most.value),
        };
        (made.number.is_some() || made.repeats.is_some()).then_some(made)
    }

    /// Refuses a request whose conversation has gone too far, or in which that cannot be seen. Keeps what the answer is judged by.
    pub(crate) fn check(&self, cx: &mut Context) -> Verdict {
        let message = cx.message()?;
        if let Message::Ai(ai) = message
            && let Some(what) = ai.unseen_system()
        {
            let why = format!("`{what}` may hold calls of tools that nobody here can count");
            return Ok(Flow::Refuse(Refusal::new(Reason::TaskLimit, why).by(self.guard())));
        }
        let limits = cx.message_limits().json();
        let mut calls = Calls::default();
        for call in message.calls() {
            calls.number = calls.number.saturating_add(1);
            if self.repeats.is_some() {
                let name = call.name.and_then(|name| name.text()).unwrap_or_default();
                let same = calls.same.entry(Print::of(&name, Arguments::of(call.input), limits)).or_default();
                *same = same.saturating_add(1);
            }
        }
        if let Some(most) = self.number.filter(|most| calls.number > *most) {
            let why = format!("the conversation has {} calls of tools, and policy allows {most}", calls.number);
            return Ok(Flow::Refuse(Refusal::new(Reason::TaskLimit, why).by(BehaviourLimits::TOOL_CALLS)));
        }
        if let Some(most) = self.repeats.filter(|most| calls.same.values().any(|same| same > most)) {
            let why = format!("one call of a tool is in the conversation more than {most} times");
            return Ok(Flow::Refuse(Refusal::new(Reason::TaskLimit, why).by(BehaviourLimits::REPEATS)));
        }
        cx.set_calls(Arc::new(calls));
        Ok(Flow::Continue)
    }

    fn guard(self) -> &'static str {
        if self.number.is_some() { BehaviourLimits::TOOL_CALLS } else { BehaviourLimits::REPEATS }
    }
}

/// As what calls are told in an answer. A stream that says them several times is counted once for each, as a client may go by any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// As they come.
    Pieces,
    /// One by one, whole.
    Items,
    /// All of them, at once.
    Answer,
}

/// How far an answer goes on with a conversation.
#[derive(Debug)]
pub(crate) struct Course {
    limits: CallLimits,
    /// Absent where nobody has counted: then no call is let pass.
    before: Option<Arc<Calls>>,
    pieces: Calls,
    items: Calls,
    answer: Calls,
    view: View,
}

impl Course {
    pub(crate) fn new(limits: CallLimits, before: Option<&Arc<Calls>>) -> Self {
        let none = Calls::default;
        Self { limits, before: before.cloned(), pieces: none(), items: none(), answer: none(), view: View::Pieces }
    }

    pub(crate) fn view(&mut self, view: View) {
        self.view = view;
        if view == View::Answer {
            self.answer = Calls::default();
        }
    }

    fn counted(&mut self) -> &mut Calls {
        match self.view {
            View::Pieces => &mut self.pieces,
            View::Items => &mut self.items,
            View::Answer => &mut self.answer,
        }
    }

    /// Another call.
    pub(crate) fn begin(&mut self) -> Result<(), ContentFinding> {
        let before = self.before.as_ref().map_or(u32::MAX, |before| before.number);
        let calls = self.counted();
        calls.number = calls.number.saturating_add(1);
        let all = before.saturating_add(calls.number);
        if self.limits.number.is_some_and(|most| all > most) {
            return Err(uncalled_for(BehaviourLimits::TOOL_CALLS, "maxToolCallsPerTask"));
        }
        Ok(())
    }

    /// What it is called with.
    pub(crate) fn end(&mut self, name: &str, input: Arguments<'_>, limits: Limits) -> Result<(), ContentFinding> {
        let Some(most) = self.limits.repeats else { return Ok(()) };
        let print = Print::of(name, input, limits);
        let before = self.before.as_ref().map_or(u32::MAX, |before| before.same.get(&print).copied().unwrap_or(0));
        let calls = self.counted();
        let is_new = !calls.same.contains_key(&print);
        let too_many = is_new && calls.same.len() >= MOST_DIFFERENT;
        let now = calls.same.entry(print).or_default();
        *now = now.saturating_add(1);
        if too_many || before.saturating_add(*now) > most {
            return Err(uncalled_for(BehaviourLimits::REPEATS, "maxRepeats"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

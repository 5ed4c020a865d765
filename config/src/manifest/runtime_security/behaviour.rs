//! Limits on the course of a task.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Code;
use crate::decode::{At, Fields, spec};

const PV_BLIND: Code = Code(25);

spec! {
    /// Limits on the course of a task, as a request to a model tells it: the conversation in it, and what the answer adds. Of several
    /// manifests the smallest number counts.
    pub struct Behaviour {
        /// Most calls of tools in one conversation, each of those that are made at once counted by itself. A request that tells of more is
        /// refused; an answer with one more is refused, and a stream ends before it.
        [E] max_tool_calls_per_task: Option<At<NonZeroU32>>,
        /// How often one tool may be called with the same arguments in one conversation, however their JSON is written.
        [E] max_repeats: Option<At<NonZeroU32>>,
        /// How many parties may act for a user, one for the other: 1 is an agent for its user, 0 none. On every dialect. A token with more
        /// than 8 is refused in any case.
        [E, max "8"] max_depth: Option<At<u32>>,
        /// Longest time that a task may go on. Conversations are known again by what was said in them, in this process; a task with which
        /// nobody has gone on for as long is over.
        [E, max "7d"] max_task_age: Option<At<Duration>>,
    }
    check check_limits
}

fn check_limits(limits: &Behaviour, fields: &mut Fields<'_, '_, '_>) {
    let calls = limits.max_tool_calls_per_task.is_some() || limits.max_repeats.is_some();
    if !calls && limits.max_depth.is_none() && limits.max_task_age.is_none() {
        let position = fields.position.clone();
        let help = "remove it, or write `maxToolCallsPerTask`, `maxRepeats`, `maxDepth` or `maxTaskAge`";
        fields.cx.error(PV_BLIND, &position, "`behaviour` limits nothing", help);
    }
}

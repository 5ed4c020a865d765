//! Limits on the course of a task, merged.

use std::time::Duration;

use super::Owned;

/// The smallest of each, with a manifest that says so. Absent where nobody does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BehaviourLimits {
    pub max_tool_calls: Option<Owned<u32>>,
    pub max_repeats: Option<Owned<u32>>,
    pub max_depth: Option<Owned<u32>>,
    pub max_age: Option<Owned<Duration>>,
}

impl BehaviourLimits {
    /// Names of guards, as coverage and records have them.
    pub const TOOL_CALLS: &str = "behaviour/maxToolCallsPerTask";
    pub const REPEATS: &str = "behaviour/maxRepeats";
    pub const DEPTH: &str = "behaviour/maxDepth";
    pub const AGE: &str = "behaviour/maxTaskAge";

    /// The manifests that limit calls.
    pub fn owners_of_calls(&self) -> impl Iterator<Item = &String> {
        self.max_tool_calls.iter().chain(&self.max_repeats).map(|one| &one.owner)
    }

    /// The guards of the calls in a conversation, each with its owner.
    #[must_use]
    pub fn of_calls(&self) -> Vec<(&'static str, &str)> {
        let calls = self.max_tool_calls.as_ref().map(|one| (Self::TOOL_CALLS, one.owner.as_str()));
        let repeats = self.max_repeats.as_ref().map(|one| (Self::REPEATS, one.owner.as_str()));
        [calls, repeats].into_iter().flatten().collect()
    }
}

//! Limits on the course of a task: the smallest of each.

use super::output::answers_come;
use crate::bootstrap::RouteSpec;
use crate::manifest::{Behaviour, Manifest, RuntimeSecurityPolicy};
use crate::{BehaviourLimits, Owned};

/// Of calls nothing where no model answers.
pub(super) fn behaviour<P>(policies: &[(P, &Manifest, &RuntimeSecurityPolicy)], spec: &RouteSpec) -> BehaviourLimits {
    let smallest = |of: fn(&Behaviour) -> Option<u32>| {
        let all = policies.iter().filter_map(|(_, manifest, policy)| {
            let value = of(&policy.behaviour.as_ref()?.value)?;
            Some(Owned { value, owner: manifest.id.to_string() })
        });
        all.reduce(|a, b| if b.value < a.value { b } else { a })
    };
    let of_calls = |limit: Option<Owned<u32>>| limit.filter(|_| answers_come(spec));
    BehaviourLimits {
        max_tool_calls: of_calls(smallest(|limits| {
            limits.max_tool_calls_per_task.as_ref().map(|most| most.value.get())
        })),
        max_repeats: of_calls(smallest(|limits| limits.max_repeats.as_ref().map(|most| most.value.get()))),
        max_depth: smallest(|limits| limits.max_depth.as_ref().map(|most| most.value)),
    }
}

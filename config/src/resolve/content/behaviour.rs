//! Limits on the course of a task: the smallest of each.

use std::time::Duration;

use super::output::answers_come;
use crate::bootstrap::RouteSpec;
use crate::manifest::{Behaviour, Manifest, RuntimeSecurityPolicy};
use crate::{BehaviourLimits, Owned};

/// Of calls nothing where no model answers.
pub(super) fn behaviour<P>(policies: &[(P, &Manifest, &RuntimeSecurityPolicy)], spec: &RouteSpec) -> BehaviourLimits {
    let of_calls = |limit: Option<Owned<u32>>| limit.filter(|_| answers_come(spec));
    let age = smallest(policies, |limits| limits.max_task_age.as_ref().map(|most| most.value));
    BehaviourLimits {
        max_tool_calls: of_calls(smallest(policies, |limits| {
            limits.max_tool_calls_per_task.as_ref().map(|most| most.value.get())
        })),
        max_repeats: of_calls(smallest(policies, |limits| limits.max_repeats.as_ref().map(|most| most.value.get()))),
        max_depth: smallest(policies, |limits| limits.max_depth.as_ref().map(|most| most.value)),
        max_age: age.filter(|_: &Owned<Duration>| answers_come(spec)),
    }
}

fn smallest<P, T: Copy + Ord>(
    policies: &[(P, &Manifest, &RuntimeSecurityPolicy)],
    of: impl Fn(&Behaviour) -> Option<T>,
) -> Option<Owned<T>> {
    let all = policies.iter().filter_map(|(_, manifest, policy)| {
        let value = of(&policy.behaviour.as_ref()?.value)?;
        Some(Owned { value, owner: manifest.id.to_string() })
    });
    all.reduce(|a, b| if b.value < a.value { b } else { a })
}

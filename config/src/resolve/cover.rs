//! The coverage matrix of a route.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    BehaviourLimits, Coverage, Dialect, Direction, EffectivePolicy, Guard, Output, Part, PromptRules, Stage, capability,
};

const BUILT_IN: &str = "built-in";

/// What a message that passed must have been read by.
pub(super) fn coverage(policy: &EffectivePolicy, dialect: Dialect, tunnel: bool) -> Coverage {
    let mut guards: Vec<Guard> = [
        ("frame", Stage::Frame),
        ("crossSite", Stage::Origin),
        ("identify", Stage::Identify),
        ("parse", Stage::Parse),
        ("authorize", Stage::Authorize),
    ]
    .into_iter()
    .map(|(name, stage)| on_request(name.to_owned(), BUILT_IN, stage, Vec::new()))
    .collect();
    if !policy.challenges.assurance.is_empty() {
        guards.push(on_request("assurance".to_owned(), BUILT_IN, Stage::Identify, Vec::new()));
    }
    if policy.identity.providers.iter().any(|provider| provider.kind.signs_requests()) {
        // The body against what was signed of it.
        guards.push(on_request("digest".to_owned(), BUILT_IN, Stage::Parse, Vec::new()));
    }
    if policy.access.cors.is_some() {
        guards.push(on_request("cors".to_owned(), BUILT_IN, Stage::Origin, Vec::new()));
    }
    for limit in &policy.access.rate_limits {
        let owner = format!("APIAccessPolicy/{}", limit.owner);
        guards.push(on_request(format!("limit/{}", limit.name), &owner, Stage::Rate, Vec::new()));
    }
    for contract in &policy.access.contracts {
        let parts = capability::parts(dialect, Direction::Request).to_vec();
        guards.push(on_request(format!("schema/{}", contract.name), &contract.owner, Stage::Parse, parts));
    }
    for one in &policy.data.revision.minimize {
        if !guards.iter().any(|guard| guard.name == one.guard) {
            let parts = capability::parts(dialect, Direction::Request).to_vec();
            guards.push(on_request(one.guard.clone(), &one.owner, Stage::Parse, parts));
        }
    }
    let models = policy.models.iter().map(|rules| rules.owner.as_str()).collect::<Vec<_>>();
    if let Some(owner) = models.first() {
        guards.push(on_request("models".to_owned(), owner, Stage::Authorize, Vec::new()));
    }
    if tunnel {
        // The first bytes in it; nothing reads what follows, in either direction.
        guards.push(on_request("tunnel".to_owned(), BUILT_IN, Stage::Inspect, Vec::new()));
    }
    if let Some(depth) = &policy.runtime.behaviour.max_depth {
        guards.push(on_request(BehaviourLimits::DEPTH.to_owned(), &depth.owner, Stage::Identify, Vec::new()));
    }
    if let Some(age) = &policy.runtime.behaviour.max_age {
        guards.push(on_request(BehaviourLimits::AGE.to_owned(), &age.owner, Stage::Authorize, Vec::new()));
    }
    guards.extend(prompts(&policy.runtime.prompts, dialect));
    guards.extend(content(policy, dialect, Direction::Request));
    let answers = content(policy, dialect, Direction::Response);
    if !answers.is_empty() || dialect != Dialect::Http {
        let streamed = capability::streams(dialect, Direction::Response);
        guards.push(Guard {
            name: "parse".to_owned(),
            owner: BUILT_IN.to_owned(),
            stage: Stage::Answer,
            direction: Direction::Response,
            parts: Vec::new(),
            buffered: true,
            streamed,
        });
        if let Some(owner) = models.first() {
            guards.push(Guard {
                name: "models".to_owned(),
                owner: (*owner).to_owned(),
                stage: Stage::Answer,
                direction: Direction::Response,
                parts: Vec::new(),
                buffered: true,
                streamed,
            });
        }
    }
    if policy.classes_answers(dialect) {
        guards.push(Guard {
            name: "authorize".to_owned(),
            owner: BUILT_IN.to_owned(),
            stage: Stage::Answer,
            direction: Direction::Response,
            parts: Vec::new(),
            buffered: true,
            streamed: capability::streams(dialect, Direction::Response),
        });
    }
    guards.extend(answers);
    guards.sort_by(|a, b| (a.stage, a.direction, &a.name).cmp(&(b.stage, b.direction, &b.name)));
    Coverage { guards }
}

fn on_request(name: String, owner: &str, stage: Stage, parts: Vec<Part>) -> Guard {
    let owner = owner.to_owned();
    Guard { name, owner, stage, direction: Direction::Request, parts, buffered: true, streamed: false }
}

/// What is put into prompts, and what is kept out of them.
fn prompts(rules: &PromptRules, dialect: Dialect) -> Vec<Guard> {
    let untrusted = capability::parts(dialect, Direction::Request).iter().copied();
    let untrusted: Vec<Part> = untrusted.filter(|part| capability::is_untrusted(*part)).collect();
    let denied = rules.system_denied_by.iter();
    let denied = denied.map(|owner| on_request("systemText".to_owned(), owner, Stage::Parse, vec![Part::System]));
    let isolated = rules.isolated_by.iter();
    let isolated = isolated.map(|owner| on_request("isolate".to_owned(), owner, Stage::Inspect, untrusted.clone()));
    let layers = rules
        .layers
        .iter()
        .map(|layer| on_request(format!("layer/{}", layer.name), &layer.owner, Stage::Inspect, vec![Part::System]));
    denied.chain(isolated).chain(layers).collect()
}

/// The content guards that can see something in this direction.
fn content(policy: &EffectivePolicy, dialect: Dialect, direction: Direction) -> Vec<Guard> {
    let there = capability::parts(dialect, direction);
    let stage = if direction == Direction::Request { Stage::Inspect } else { Stage::Answer };
    let streamed = capability::streams(dialect, direction);
    let guard = |name: String, owner: &str, parts: &[Part]| {
        let parts: Vec<Part> = parts.iter().copied().filter(|part| there.contains(part)).collect();
        (!parts.is_empty()).then(|| Guard {
            name,
            owner: owner.to_owned(),
            stage,
            direction,
            parts,
            buffered: true,
            streamed,
        })
    };
    let data = policy.data.rules.iter().filter(|rule| match direction {
        Direction::Request => rule.request,
        Direction::Response => rule.response,
    });
    // What an upstream may see is a rule for each set of parts.
    let mut seen: BTreeMap<&str, (&str, BTreeSet<Part>)> = BTreeMap::new();
    for rule in data {
        seen.entry(&rule.name).or_insert_with(|| (&rule.owner, BTreeSet::new())).1.extend(&rule.parts);
    }
    let data = seen.into_iter().filter_map(|(name, (owner, parts))| {
        guard(format!("data/{name}"), owner, &parts.into_iter().collect::<Vec<_>>())
    });
    let runtime = policy.runtime.detectors.iter();
    let runtime = runtime.filter(|d| !capability::parts_for(&d.kind, dialect, direction).is_empty());
    let runtime = runtime.filter_map(|d| guard(format!("runtime/{}", d.name), &d.owner, &d.parts));
    let output = policy.runtime.output.guards().into_iter().filter(|_| direction == Direction::Response);
    let output = output.filter_map(|(name, owner)| guard(name.to_owned(), owner, &[Part::Assistant, Part::Reasoning]));
    let calls = policy.runtime.output.tool_calls.as_ref();
    let read = if direction == Direction::Request { Part::ToolDefinition } else { Part::ToolArguments };
    let calls = calls.and_then(|calls| guard(Output::TOOL_CALLS.to_owned(), &calls.owner, &[read]));
    let course = policy.runtime.behaviour.of_calls().into_iter();
    let course = course.filter_map(|(name, owner)| guard(name.to_owned(), owner, &[Part::ToolArguments]));
    let schemas = schemas(&policy.runtime.output, dialect, direction);
    let leaks = policy.leaks.iter().filter_map(|leaks| guard("secrets/leak".to_owned(), &leaks.owner, &leaks.parts));
    data.chain(runtime).chain(output).chain(calls).chain(course).chain(schemas).chain(leaks).collect()
}

/// Schemas of answers hold where these are read whole: a stream of them is refused before it is asked for, or before it says
/// anything.
fn schemas(output: &Output, dialect: Dialect, direction: Direction) -> Option<Guard> {
    let (of_answers, of_calls) = (output.answer_schemas(), output.argument_schemas());
    if direction == Direction::Request {
        return of_answers.map(|owner| on_request(Output::SCHEMAS.to_owned(), owner, Stage::Parse, Vec::new()));
    }
    let there = capability::parts(dialect, direction);
    let parts = [of_answers.map(|_| Part::Assistant), of_calls.map(|_| Part::ToolArguments)];
    let mut parts: Vec<Part> = parts.into_iter().flatten().filter(|part| there.contains(part)).collect();
    parts.sort_unstable();
    of_answers.or(of_calls).filter(|_| !parts.is_empty()).map(|owner| Guard {
        name: Output::SCHEMAS.to_owned(),
        owner: owner.to_owned(),
        stage: Stage::Answer,
        direction,
        parts,
        buffered: true,
        streamed: capability::streams(dialect, direction),
    })
}

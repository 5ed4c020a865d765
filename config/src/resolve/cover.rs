//! The coverage matrix of a route, and the refusal of policy that can match nothing where it is attached (PV-025).

use std::collections::BTreeSet;

use super::attach::{Attachments, Place, listed};
use super::content::seen_parts;
use crate::decode::At;
use crate::manifest::{ActionWord, Manifest, Spec};
use crate::{Bootstrap, Code, Coverage, Dialect, Direction, EffectivePolicy, Guard, Part, Report, Stage, capability};

const PV_BLIND: Code = Code(25);
const BUILT_IN: &str = "built-in";

/// What a message that passed must have been read by.
pub(super) fn coverage(policy: &EffectivePolicy, dialect: Dialect) -> Coverage {
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
    for limit in &policy.access.rate_limits {
        let owner = format!("APIAccessPolicy/{}", limit.owner);
        guards.push(on_request(format!("limit/{}", limit.name), &owner, Stage::Rate, Vec::new()));
    }
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
    }
    guards.extend(answers);
    guards.sort_by(|a, b| (a.stage, a.direction, &a.name).cmp(&(b.stage, b.direction, &b.name)));
    Coverage { guards }
}

fn on_request(name: String, owner: &str, stage: Stage, parts: Vec<Part>) -> Guard {
    let owner = owner.to_owned();
    Guard { name, owner, stage, direction: Direction::Request, parts, buffered: true, streamed: false }
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
    let data = data.filter_map(|rule| guard(format!("data/{}", rule.name), &rule.owner, &rule.parts));
    let runtime = policy.runtime.detectors.iter();
    let runtime = runtime.filter_map(|d| guard(format!("runtime/{}", d.name), &d.owner, &d.parts));
    data.chain(runtime).collect()
}

/// Every rule must be able to match on at least one of the routes its manifest reaches.
pub(super) fn check_use(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) {
    let mut seen: Option<&Manifest> = None;
    for (_, manifest) in attached.all() {
        if seen.is_some_and(|seen| seen.id == manifest.id) {
            continue;
        }
        seen = Some(manifest);
        let dialects = dialects(bootstrap, attached, manifest);
        if !dialects.is_empty() {
            check_manifest(manifest, &dialects, report);
        }
    }
}

/// The dialects of the routes a manifest reaches.
fn dialects(bootstrap: &Bootstrap, attached: &Attachments<'_>, manifest: &Manifest) -> BTreeSet<Dialect> {
    let routes = &bootstrap.spec.routes.value;
    let places = attached.all().iter().filter(|(_, other)| other.id == manifest.id).map(|(place, _)| *place);
    places
        .flat_map(|place| match place {
            Place::Gateway => routes.iter().map(|route| route.dialect.value).collect::<Vec<_>>(),
            Place::Route(index) => routes.get(index).map(|route| route.dialect.value).into_iter().collect(),
            Place::Process | Place::Listener(_) | Place::Upstream(_) => Vec::new(),
        })
        .collect()
}

fn check_manifest(manifest: &Manifest, dialects: &BTreeSet<Dialect>, report: &mut Report) {
    match &manifest.spec {
        Spec::DataProtectionPolicy(policy) => {
            for rule in &policy.rules {
                let directions: Vec<Direction> = [
                    rule.direction.request().then_some(Direction::Request),
                    rule.direction.response().then_some(Direction::Response),
                ]
                .into_iter()
                .flatten()
                .collect();
                let parts: Vec<Part> = rule.parts.iter().map(|part| part.value).collect();
                check_parts(&rule.name.value.to_string(), &rule.parts, &parts, &directions, dialects, report);
            }
        }
        Spec::RuntimeSecurityPolicy(policy) => {
            for detector in &policy.detectors.value {
                let parts = seen_parts(detector);
                if parts.is_empty() {
                    let message = format!(
                        "detector `{}` looks at untrusted text only, and none of its parts is that",
                        detector.name().as_str()
                    );
                    let help = "write `untrustedOnly: false`, or list `ToolResult`, `Resource` or `AgentMessage`";
                    detector.parts().error(report, PV_BLIND, message, help);
                    continue;
                }
                let both = [Direction::Request, Direction::Response];
                check_parts(detector.name().as_str(), detector.parts(), &parts, &both, dialects, report);
            }
        }
        Spec::AccessControlPolicy(policy) => {
            for rule in &policy.rules.value {
                check_actions(rule.name.as_str(), &rule.actions, dialects, report);
            }
        }
        Spec::RbacPolicy(policy) => {
            for role in &policy.roles {
                for permission in &role.permissions {
                    check_actions(role.name.as_str(), &permission.actions, dialects, report);
                }
            }
        }
        _ => {}
    }
}

fn check_parts(
    name: &str,
    place: &At<Vec<At<Part>>>,
    parts: &[Part],
    directions: &[Direction],
    dialects: &BTreeSet<Dialect>,
    report: &mut Report,
) {
    let occur: BTreeSet<Part> = dialects
        .iter()
        .flat_map(|dialect| directions.iter().flat_map(|direction| capability::parts(*dialect, *direction)))
        .copied()
        .collect();
    if parts.iter().any(|part| occur.contains(part)) {
        return;
    }
    let names: Vec<&str> = occur.iter().map(|part| part.as_str()).collect();
    let message = format!("`{name}` can never see anything: no route it is attached to has these parts");
    place.error(report, PV_BLIND, message, format!("in that direction they have {}", listed(&names)));
}

fn check_actions(name: &str, actions: &At<Vec<At<ActionWord>>>, dialects: &BTreeSet<Dialect>, report: &mut Report) {
    let asked: BTreeSet<_> = dialects.iter().flat_map(|dialect| capability::actions(*dialect)).copied().collect();
    if actions.iter().flat_map(|word| word.actions()).any(|action| asked.contains(&action)) {
        return;
    }
    let names: Vec<&str> = asked.iter().map(|action| action.as_str()).collect();
    let message = format!("`{name}` can never match: no route it is attached to asks for these actions");
    actions.error(report, PV_BLIND, message, format!("its routes ask for {}", listed(&names)));
}

//! Demands on answers: every list of hosts must match, the strictest word counts, and the smallest length.

use super::super::attach::Attachments;
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{Manifest, OutputSpec, RuntimeSecurityPolicy};
use crate::{Direction, Markup, Output, Owned, Part, SchemaOf, Written, capability};

type Policies<'m, P> = [(P, &'m Manifest, &'m RuntimeSecurityPolicy)];

/// Nothing where no model answers.
pub(super) fn output<P>(policies: &Policies<'_, P>, spec: &RouteSpec, attached: &Attachments<'_>) -> Output {
    let mut merged = Output::default();
    if !answers_come(spec) {
        return merged;
    }
    let outputs = || policies.iter().filter_map(|(_, manifest, policy)| Some((*manifest, policy.output.as_ref()?)));
    for (manifest, output) in outputs() {
        let owner = manifest.id.to_string();
        if let Some(links) = &output.links {
            let value = links.allow_hosts.iter().map(|host| host.as_str().to_owned()).collect();
            merged.links.push(Owned { value, owner: owner.clone() });
        }
        merged.schemas.extend(output.schemas.iter().filter_map(|demand| {
            let what = match (&demand.model, &demand.tool) {
                (Some(model), _) => Written::Model(model.as_str().to_owned()),
                (None, tool) => Written::Tool(tool.as_ref()?.as_str().to_owned()),
            };
            // Of a file that could not be read nothing is known, and the set does not load.
            let schema = attached.schemas.of(&demand.schema_from)?;
            Some(Owned { value: SchemaOf { what, schema }, owner: owner.clone() })
        }));
        if let (Some(calls), None) = (&output.tool_calls, &merged.tool_calls) {
            merged.tool_calls = Some(Owned { value: calls.value, owner: owner.clone() });
        }
        if let Some(most) = &output.max_length {
            let smaller = merged.max_length.as_ref().is_none_or(|known| most.value.0 < known.value);
            if smaller {
                merged.max_length = Some(Owned { value: most.value.0, owner });
            }
        }
    }
    // What several say alike is said once.
    let mut seen: Vec<SchemaOf> = Vec::new();
    merged.schemas.retain(|one| {
        let is_new = !seen.contains(&one.value);
        seen.extend(is_new.then(|| one.value.clone()));
        is_new
    });
    merged.markup = markup(outputs());
    merged
}

/// The strictest that was written, or the default; with `links` tags do not stay, whoever would have them stay.
fn markup<'m>(outputs: impl Iterator<Item = (&'m Manifest, &'m At<OutputSpec>)> + Clone) -> Option<Owned<Markup>> {
    let owned =
        |(manifest, _): (&'m Manifest, &'m At<OutputSpec>), value| Owned { value, owner: manifest.id.to_string() };
    let written = outputs.clone().filter(|(_, output)| output.markup.is_written);
    let strictest = written.map(|one| owned(one, *one.1.markup)).reduce(|a, b| if b.value > a.value { b } else { a });
    let merged = strictest.or_else(|| outputs.clone().next().map(|one| owned(one, *one.1.markup)))?;
    if merged.value != Markup::Allow {
        return Some(merged);
    }
    outputs.into_iter().find(|(_, output)| output.links.is_some()).map(|one| owned(one, Markup::Strip))
}

/// Whether a model answers on the route.
pub(in crate::resolve) fn answers_come(spec: &RouteSpec) -> bool {
    capability::parts(spec.dialect.value, Direction::Response).contains(&Part::Assistant)
}

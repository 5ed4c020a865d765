//! WorkloadSecurityPolicy: which models may be used, and what is demanded of the proxy's own process.

use super::attach::{Attachments, Place, of, tighten};
use crate::manifest::{Bounds, Models, Spec};
use crate::{Code, Dialect, Harden, ModelRules, ParamBounds, Report, capability};

const PV_BLIND: Code = Code(25);

/// The strictest of what is demanded; `None` where nothing is.
pub(super) fn harden(attached: &Attachments<'_>) -> Option<Harden> {
    let mut merged = None;
    for (_, _, policy) in of!(attached.all().iter().copied(), WorkloadSecurityPolicy) {
        tighten(&mut merged, policy.own.as_ref().map(|own| *own.harden), Harden::max);
    }
    merged
}

/// The process is the same whatever the route.
pub(super) fn check(attached: &Attachments<'_>, report: &mut Report) {
    for manifest in attached.manifests() {
        let Spec::WorkloadSecurityPolicy(policy) = &manifest.spec else { continue };
        let on_route = attached.places(manifest).any(|place| matches!(place, Place::Route(_)));
        if let Some(own) = policy.own.as_ref().filter(|_| on_route) {
            let help = "attach the manifest to the gateway alone";
            own.error(report, PV_BLIND, "`self` is about the process, so it cannot be set on a Route", help);
        }
    }
}

/// What holds for requests of a route that name a model.
pub(super) fn models(attached: &Attachments<'_>, route: usize, dialect: Dialect) -> Vec<ModelRules> {
    if !capability::names_model(dialect) {
        return Vec::new();
    }
    let policies = of!(attached.on_route(route), WorkloadSecurityPolicy);
    policies.filter_map(|(_, manifest, policy)| Some(rules(manifest.id.to_string(), policy.models.as_ref()?))).collect()
}

fn rules(owner: String, models: &Models) -> ModelRules {
    let tokens =
        |most: &Option<crate::decode::At<std::num::NonZeroU32>>| most.as_ref().map(|most| most.value.get().into());
    let params = models.params.iter().flat_map(|params| params.value.iter());
    ModelRules {
        owner,
        allow: models.allow.iter().map(|glob| glob.as_str().to_owned()).collect(),
        max_output_tokens: tokens(&models.max_output_tokens),
        max_input_tokens: tokens(&models.max_input_tokens),
        params: params.map(|(name, bounds)| (name.0.split('.').map(str::to_owned).collect(), bound(bounds))).collect(),
    }
}

fn bound(bounds: &Bounds) -> ParamBounds {
    match &bounds.is {
        Some(is) => ParamBounds::Is(is.value.clone()),
        None => {
            ParamBounds::Between(bounds.min.as_ref().map(|min| min.value.0), bounds.max.as_ref().map(|max| max.value.0))
        }
    }
}

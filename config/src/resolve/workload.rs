//! WorkloadSecurityPolicy: what is demanded of the proxy's own process.

use super::attach::{Attachments, Place, of, tighten};
use crate::manifest::Spec;
use crate::{Code, Harden, Report};

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

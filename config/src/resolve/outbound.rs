//! The workload's side of a sidecar, checked and resolved: who may call out, and which routes serve whom.

use super::attach::listed;
use crate::bootstrap::{ListenerDirection, ListenerSpec, RouteSpec};
use crate::manifest::AllowRule;
use crate::{Bootstrap, Code, EffectivePolicy, Outbound, Report};

const PV_TARGET: Code = Code(4);
const PV_BLIND: Code = Code(25);
const PV_PLAIN: Code = Code(30);
const CONNECT: &str = "CONNECT";

pub(super) fn listener(spec: &ListenerSpec, report: &mut Report) -> Option<Outbound> {
    if *spec.direction == ListenerDirection::Inbound {
        return None;
    }
    if let Some(loopback) = &spec.loopback {
        let message =
            format!("listener `{}` lends the workload's identity to every process of this machine", spec.name.as_str());
        loopback.warning(report, PV_PLAIN, message, "use a Unix socket where the workload can");
    }
    Some(Outbound {
        uids: spec.peers.as_ref().map(|peers| peers.uids.iter().map(|uid| uid.value).collect()),
        principal: spec.principal.as_ref().map(|id| id.as_str().to_owned()),
    })
}

/// The listeners whose requests a route takes.
pub(super) fn served(bootstrap: &Bootstrap, route: &RouteSpec) -> Vec<String> {
    match &route.matches.listener {
        Some(named) => vec![named.as_str().to_owned()],
        None => {
            let inbound = bootstrap.spec.listeners.iter().filter(|l| *l.direction == ListenerDirection::Inbound);
            inbound.map(|listener| listener.name.as_str().to_owned()).collect()
        }
    }
}

/// Routes that nobody could call, and listeners that lead nowhere.
pub(super) fn check(bootstrap: &Bootstrap, report: &mut Report) {
    let listeners = &bootstrap.spec.listeners.value;
    let names: Vec<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
    for route in bootstrap.spec.routes.iter() {
        let named = route.matches.listener.as_ref();
        let found = named.and_then(|named| listeners.iter().find(|l| l.name.as_str() == named.as_str()));
        if let (Some(named), None) = (named, found) {
            let message = format!("there is no listener `{}`", named.as_str());
            named.error(report, PV_TARGET, message, format!("the listeners are {}", listed(&names)));
        } else if *route.tunnel && found.is_none_or(|l| *l.direction == ListenerDirection::Inbound) {
            let message =
                format!("route `{}` can serve nobody: tunnels are for outbound listeners", route.name.as_str());
            let help = "add `match.listener` with the name of a listener with `direction: Outbound`";
            route.tunnel.at.error(report, PV_BLIND, message, help);
        } else if named.is_none() && served(bootstrap, route).is_empty() {
            let message = format!("route `{}` can serve nobody: there is no inbound listener", route.name.as_str());
            route.name.error(report, PV_BLIND, message, "add `match.listener`");
        }
    }
    for listener in listeners.iter().filter(|l| *l.direction == ListenerDirection::Outbound) {
        let leads =
            |route: &RouteSpec| route.matches.listener.as_ref().is_some_and(|n| n.as_str() == listener.name.as_str());
        if !bootstrap.spec.routes.iter().any(|route| leads(route)) {
            let message = format!("listener `{}` leads nowhere: no route names it", listener.name.as_str());
            let help = format!("add `listener: {}` to the `match` of a route", listener.name.as_str());
            listener.name.error(report, PV_BLIND, message, help);
        }
    }
}

/// A tunnel leads where egress policy says, and what goes through it is not read, so no guard of content may rely on that.
pub(super) fn check_tunnel(spec: &RouteSpec, policy: &EffectivePolicy, report: &mut Report) {
    if !*spec.tunnel {
        return;
    }
    if policy.network.egress.is_none() {
        let message = format!(
            "every tunnel of route `{}` would be refused: no NetworkPolicy says where they may lead",
            spec.name.as_str()
        );
        let help = "attach a NetworkPolicy with `egress.allow` to the route";
        spec.tunnel.at.error(report, PV_BLIND, message, help);
    }
    let guards = policy.data.rules.iter().map(|rule| &rule.owner);
    let guards = guards.chain(policy.access.contracts.iter().map(|contract| &contract.owner));
    let Some(owner) = guards.chain(policy.runtime.detectors.iter().map(|detector| &detector.owner)).next() else {
        return;
    };
    let message = format!("{owner} looks into route `{}`, and nothing can read a tunnel", spec.name.as_str());
    let help = "attach it to other routes, or call the host by a route with an upstream instead of a tunnel";
    spec.tunnel.at.error(report, PV_BLIND, message, help);
}

/// A tunnel is asked for with `CONNECT` and nothing else, and nothing but a tunnel is.
pub(super) fn check_allowed<'r>(rule: &AllowRule, reached: impl Iterator<Item = &'r RouteSpec>, report: &mut Report) {
    let (mut tunnels, mut others) = (false, false);
    for route in reached {
        tunnels |= *route.tunnel;
        others |= !*route.tunnel;
    }
    for method in rule.methods.iter().filter(|method| method.as_str() == CONNECT) {
        if !tunnels {
            let help = "remove it; tunnels need a route with `tunnel: true`";
            method.error(report, PV_BLIND, "no route of the manifest takes `CONNECT`", help);
        }
    }
    let connects = rule.methods.iter().any(|method| method.as_str() == CONNECT);
    if let Some(method) = rule.methods.first().filter(|_| !connects && !others) {
        let message = "the routes of the manifest are tunnels, which are asked for with `CONNECT`";
        method.error(report, PV_BLIND, message, "write `methods: [CONNECT]` and `paths: [/]`");
    }
}

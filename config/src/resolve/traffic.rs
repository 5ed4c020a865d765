//! Listeners, upstreams and routes of the bootstrap, checked and resolved.

use std::collections::BTreeMap;

use super::attach::{Attachments, Place, listed};
use super::names::unique;
use super::tenancy::Tenancy;
use super::{outbound, tls};
use crate::bootstrap::{
    Bodies, ListenerProtocol, ListenerSpec, ProxyProtocol, RouteSpec, SocketMode, TrustedProxySpec, UpstreamProtocol,
};
use crate::decode::At;
use crate::values::ListenAddress;
use crate::{
    Bind, Bootstrap, Code, EffectivePolicy, Listener, Report, Route, RouteMatch, TrustedProxy, Waiver, host_matches,
};

const PV_SHAPE: Code = Code(2);
const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);
const PV_PLAIN: Code = Code(30);

pub(super) fn labels(
    written: Option<&At<BTreeMap<crate::manifest::LabelName, At<String>>>>,
) -> BTreeMap<String, String> {
    written
        .into_iter()
        .flat_map(|labels| labels.iter())
        .map(|(name, value)| (name.as_str().to_owned(), value.value.clone()))
        .collect()
}

pub(super) fn listeners(
    bootstrap: &Bootstrap,
    attached: &Attachments<'_>,
    report: &mut Report,
) -> Option<Vec<Listener>> {
    let specs = &bootstrap.spec.listeners.value;
    unique(&specs.iter().map(|listener| &listener.name).collect::<Vec<_>>(), "listeners", report);
    if specs.is_empty() {
        bootstrap.spec.listeners.error(report, PV_SHAPE, "there is no listener", "add one, or nothing can be called");
    }
    addresses(bootstrap, report);
    let trusted = &bootstrap.spec.gateway.trusted_proxies;
    let made: Vec<Option<Listener>> =
        specs.iter().enumerate().map(|(index, spec)| listener(index, spec, trusted, attached, report)).collect();
    made.into_iter().collect()
}

/// Two sockets on one address: the second could not be opened at start.
fn addresses(bootstrap: &Bootstrap, report: &mut Report) {
    let health = bootstrap.spec.admin.health.clone().map(|health| health.map(|bind| ListenAddress::Tcp(bind.0)));
    let mut seen = Vec::new();
    for bind in bootstrap.spec.listeners.iter().map(|listener| &listener.bind).chain(health.as_ref()) {
        if matches!(&bind.value, ListenAddress::Tcp(address) if address.port() == 0) {
            continue;
        }
        if seen.contains(&&bind.value) {
            let message = format!("`{}` is bound twice", bind.value);
            bind.error(report, PV_SHAPE, message, "use another port or path for one of them");
        }
        seen.push(&bind.value);
    }
}

fn listener(
    index: usize,
    spec: &ListenerSpec,
    trusted: &[At<TrustedProxySpec>],
    attached: &Attachments<'_>,
    report: &mut Report,
) -> Option<Listener> {
    let plain = spec.protocol.value == ListenerProtocol::Http;
    let mut plaintext = None;
    if plain && matches!(&spec.bind.value, ListenAddress::Tcp(address) if !address.ip().is_loopback()) {
        plaintext = attached.waive(Waiver::Plaintext, Place::Listener(index), || {
            let message = format!("listener `{}` would accept without TLS from other machines", spec.name.as_str());
            let help = "use `protocol: https`, or bind to 127.0.0.1, [::1] or a Unix socket";
            spec.protocol.error(report, PV_PLAIN, message, help);
        });
    }
    let bind = bind(spec, report);
    let proxy_protocol = proxy_protocol(spec, trusted, report);
    let tls = if plain { None } else { Some(tls::listener(index, spec, attached, report)?) };
    let outbound = outbound::listener(spec, report);
    let guard = super::ddos::of_listener(attached, index);
    let name = spec.name.as_str().to_owned();
    Some(Listener { name, bind, proxy_protocol, internal: *spec.internal, outbound, tls, plaintext, guard })
}

/// A listener that demands PROXY headers, and where somebody may send them.
fn proxy_protocol(spec: &ListenerSpec, trusted: &[At<TrustedProxySpec>], report: &mut Report) -> bool {
    if *spec.proxy_protocol == ProxyProtocol::Off {
        return false;
    }
    let name = spec.name.as_str();
    let nobody = if matches!(spec.bind.value, ListenAddress::Unix(_)) {
        Some(format!("listener `{name}` is a Unix socket, and nobody there has an address that is trusted"))
    } else if trusted.iter().all(|proxy| proxy.principal.is_some()) {
        Some(format!("listener `{name}` demands PROXY headers, and no entry of `gateway.trustedProxies` may send them"))
    } else {
        None
    };
    if let Some(message) = nobody {
        let help = "remove `proxyProtocol`, or add an entry with the proxies' `cidr` and without `principal`";
        spec.proxy_protocol.at.error(report, PV_SHAPE, message, help);
    }
    true
}

pub(super) fn trusted_proxies(bootstrap: &Bootstrap) -> Vec<TrustedProxy> {
    let specs = bootstrap.spec.gateway.trusted_proxies.iter();
    specs
        .map(|spec| TrustedProxy {
            cidr: spec.cidr.value,
            principal: spec.principal.as_ref().map(|principal| principal.as_str().to_owned()),
            headers: *spec.headers,
        })
        .collect()
}

fn bind(spec: &ListenerSpec, report: &mut Report) -> Bind {
    match (&spec.bind.value, &spec.mode) {
        (ListenAddress::Tcp(address), mode) => {
            if let Some(mode) = mode {
                let message = format!("`mode` is of a file, and listener `{}` has none", spec.name.as_str());
                mode.error(report, PV_SHAPE, message, "remove `mode`, or bind to a Unix socket");
            }
            Bind::Tcp(*address)
        }
        (ListenAddress::Unix(path), mode) => {
            let mode = match mode.as_ref().map(|mode| mode.value) {
                None | Some(SocketMode::Owner) => 0o600,
                Some(SocketMode::Group) => 0o660,
            };
            Bind::Unix { path: path.clone(), mode }
        }
    }
}

/// Names, upstreams and ties.
pub(super) fn check_routes(bootstrap: &Bootstrap, report: &mut Report) {
    let specs = &bootstrap.spec.routes.value;
    unique(&specs.iter().map(|route| &route.name).collect::<Vec<_>>(), "routes", report);
    if specs.is_empty() {
        bootstrap.spec.routes.error(report, PV_SHAPE, "there is no route", "add one, or every request is refused");
    }
    let names: Vec<&str> = bootstrap.spec.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    for route in specs.iter().filter_map(|route| route.upstream.as_ref()) {
        if !names.contains(&route.as_str()) {
            let message = format!("there is no upstream `{}`", route.as_str());
            route.error(report, PV_TARGET, message, format!("the upstreams are {}", listed(&names)));
        }
    }
    let http2 = |name: &str| {
        let upstreams = &bootstrap.spec.upstreams;
        upstreams.iter().any(|upstream| upstream.name.as_str() == name && *upstream.protocol == UpstreamProtocol::Http2)
    };
    for (route, upstream) in specs.iter().filter_map(|route| Some((route, route.upstream.as_ref()?))) {
        for upgrade in route.upgrades.iter().filter(|_| http2(upstream.as_str())) {
            let message = format!("upstream `{}` speaks HTTP/2, which has no upgrades", upstream.as_str());
            upgrade.error(report, PV_BLIND, message, "send upgrades to an upstream with `protocol: Http1`");
        }
    }
    for (index, first) in specs.iter().enumerate() {
        for second in specs.iter().skip(index + 1) {
            if tie(&route_match(bootstrap, first), &route_match(bootstrap, second)) {
                let message = format!(
                    "a request could match routes `{}` and `{}` equally well",
                    first.name.as_str(),
                    second.name.as_str()
                );
                second.matches.error(report, PV_CONFLICT, message, "make one of them more specific");
            }
        }
    }
}

/// Whether some request matches both, and neither is more specific.
fn tie(a: &RouteMatch, b: &RouteMatch) -> bool {
    let hosts = match (a.host.as_deref(), b.host.as_deref()) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b) || host_matches(a, b) || host_matches(b, a),
        (None, None) => true,
        _ => false,
    };
    let methods = a.method.is_none() || b.method.is_none() || a.method == b.method;
    let headers = a.headers.iter().all(|(name, value)| b.headers.iter().all(|(n, v)| n != name || v == value));
    let listeners = a.listeners.iter().any(|name| b.listeners.contains(name));
    listeners && a.specificity() == b.specificity() && hosts && a.path_prefix == b.path_prefix && methods && headers
}

fn route_match(bootstrap: &Bootstrap, spec: &RouteSpec) -> RouteMatch {
    let written = &spec.matches.value;
    let connect = (*spec.tunnel).then(|| "CONNECT".to_owned());
    RouteMatch {
        listeners: outbound::served(bootstrap, spec),
        host: written.host.as_ref().map(|host| host.as_str().to_ascii_lowercase()),
        path_prefix: written.path_prefix.as_str().to_owned(),
        method: connect.or(written.method.as_ref().map(|method| method.as_str().to_owned())),
        headers: written
            .header
            .iter()
            .flat_map(|headers| headers.iter())
            .map(|(name, value)| (name.as_str().to_ascii_lowercase(), value.as_str().to_owned()))
            .collect(),
    }
}

pub(super) fn route(
    bootstrap: &Bootstrap,
    spec: &RouteSpec,
    tenancy: Tenancy,
    policy: EffectivePolicy,
) -> Option<Route> {
    let upstreams = &bootstrap.spec.upstreams.value;
    let upstream = match &spec.upstream {
        Some(name) => Some(upstreams.iter().position(|upstream| upstream.name.as_str() == name.as_str())?),
        None => None,
    };
    Some(Route {
        name: spec.name.as_str().to_owned(),
        matches: route_match(bootstrap, spec),
        rewrite_prefix: spec.rewrite.as_ref().map(|rewrite| rewrite.path_prefix.as_str().to_owned()),
        upstream,
        dialect: spec.dialect.value,
        upgrades: spec.upgrades.iter().map(|_| "websocket".to_owned()).collect(),
        streams_bodies: *spec.bodies == Bodies::Streamed,
        labels: labels(spec.labels.as_ref()),
        tenant: tenancy.fixed,
        tenant_from: tenancy.from_request,
        policy,
        later: Vec::new(),
    })
}

/// What is relayed is not read, so no guard of content may rely on reading it.
pub(super) fn check_relayed(spec: &RouteSpec, policy: &EffectivePolicy, report: &mut Report) {
    let guards = policy.data.rules.iter().map(|rule| &rule.owner);
    let guards = guards.chain(policy.runtime.detectors.iter().map(|detector| &detector.owner));
    let guards = guards.chain(policy.runtime.prompts.owners());
    let guards = guards.chain(policy.runtime.output.owners()).chain(policy.runtime.behaviour.owners_of_calls());
    let guards = guards.chain(policy.access.contracts.iter().map(|contract| &contract.owner));
    let guards = guards.chain(policy.data.revision.minimize.iter().map(|one| &one.owner));
    let Some(owner) = guards.chain(policy.leaks.iter().map(|leaks| &leaks.owner)).next() else {
        return;
    };
    let route = spec.name.as_str();
    for upgrade in &spec.upgrades {
        let message = format!("{owner} looks into route `{route}`, and nothing can read an upgraded connection");
        upgrade.error(report, PV_BLIND, message, "move upgrades to a route of their own");
    }
    if *spec.bodies == Bodies::Streamed {
        let message = format!("{owner} looks into route `{route}`, and nothing reads bodies that are streamed");
        spec.bodies.at.error(
            report,
            PV_BLIND,
            message,
            "write `bodies: Whole`, or move what is streamed to a route of its own",
        );
    }
}

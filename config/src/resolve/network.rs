//! NetworkPolicy: who may connect, and where we may connect to.

use super::attach::{Attachments, Place, of, tighten};
use crate::manifest::{Kind, Manifest, NetworkPolicy};
use crate::{
    Bootstrap, ClientAuth, Code, Egress, EgressList, EgressRule, EndpointPlace, Ingress, IngressDeny, IngressList,
    IngressRule, Listener, Network, PrivateRanges, Redirects, Report, Upstream, host_matches,
};

const PV_BLIND: Code = Code(25);

type Attached<'m> = Vec<(Place, &'m Manifest)>;

/// What applies to connections, whatever they ask for.
pub(super) fn of_gateway(attached: &Attachments<'_>) -> Ingress {
    ingress(attached.all().iter().copied().filter(|(place, _)| *place == Place::Gateway).collect())
}

/// What applies to a route and to the calls to its upstream.
pub(super) fn of_route(attached: &Attachments<'_>, route: usize, upstream: Option<usize>) -> Network {
    let on_route = attached.on_route(route);
    let mut all = on_route.clone();
    all.extend(upstream.into_iter().flat_map(|upstream| attached.on_upstream(upstream)));
    Network { ingress: ingress(on_route), egress: egress(all) }
}

/// What applies to every call to an upstream, whichever route it is for.
pub(super) fn of_upstream(attached: &Attachments<'_>, upstream: usize) -> Option<Egress> {
    let gateway = attached.all().iter().copied().filter(|(place, _)| *place == Place::Gateway);
    egress(gateway.chain(attached.on_upstream(upstream)).collect())
}

/// What applies to what the proxy itself fetches or sends.
pub(super) fn of_own_calls(attached: &Attachments<'_>) -> Option<Egress> {
    egress(attached.all().iter().copied().filter(|(place, _)| *place == Place::Gateway).collect())
}

fn ingress(attached: Attached<'_>) -> Ingress {
    let mut merged = Ingress::default();
    for (_, manifest, policy) in once(attached) {
        let Some(ingress) = &policy.ingress else { continue };
        if let Some(allow) = &ingress.allow {
            let rule = |rule: &crate::manifest::IngressAllow| IngressRule {
                name: rule.name.as_str().to_owned(),
                cidrs: rule.cidrs.iter().map(|range| range.value).collect(),
                principals: rule.principals.iter().map(|glob| glob.as_str().to_owned()).collect(),
            };
            let rules = allow.iter().map(|written| rule(written)).collect();
            merged.allow.push(IngressList { manifest: manifest.id.to_string(), rules });
        }
        merged.deny.extend(ingress.deny.iter().map(|rule| IngressDeny {
            name: format!("{}#{}", manifest.id, rule.name.as_str()),
            cidrs: rule.cidrs.iter().map(|range| range.value).collect(),
        }));
    }
    merged
}

fn egress(attached: Attached<'_>) -> Option<Egress> {
    let mut allow = Vec::new();
    let (mut private_ranges, mut redirects) = (None, None);
    for (_, manifest, policy) in once(attached) {
        let Some(egress) = &policy.egress else { continue };
        let rule = |rule: &crate::manifest::EgressAllow| EgressRule {
            name: rule.name.as_str().to_owned(),
            hosts: rule.hosts.iter().map(|host| host.as_str().to_owned()).collect(),
            cidrs: rule.cidrs.iter().map(|range| range.value).collect(),
            ports: rule.ports.iter().map(|port| port.value.0).collect(),
        };
        let rules = egress.allow.iter().map(|written| rule(written)).collect();
        allow.push(EgressList { manifest: manifest.id.to_string(), rules });
        tighten(&mut private_ranges, egress.private_ranges.written().map(|word| word.value), PrivateRanges::max);
        tighten(&mut redirects, egress.redirects.written().map(|word| word.value), Redirects::max);
    }
    (!allow.is_empty()).then(|| Egress {
        allow,
        private_ranges: private_ranges.unwrap_or(PrivateRanges::Deny),
        redirects: redirects.unwrap_or(Redirects::Deny),
    })
}

/// Each manifest once, in the order of their names.
fn once<'m>(mut attached: Attached<'m>) -> impl Iterator<Item = (Place, &'m Manifest, &'m NetworkPolicy)> {
    attached.sort_by(|a, b| a.1.id.cmp(&b.1.id));
    attached.dedup_by(|a, b| a.1.id == b.1.id);
    of!(attached, NetworkPolicy)
}

/// Rules that can never match, and upstreams that could never be called.
pub(super) fn check(
    bootstrap: &Bootstrap,
    attached: &Attachments<'_>,
    listeners: Option<&[Listener]>,
    upstreams: &[Upstream],
    report: &mut Report,
) {
    let certificates = listeners.is_none_or(|listeners| listeners.iter().any(asks_for_certificates));
    for manifest in attached.manifests() {
        let crate::manifest::Spec::NetworkPolicy(policy) = &manifest.spec else { continue };
        if let Some(ingress) = &policy.ingress {
            if attached.places(manifest).all(|place| matches!(place, Place::Upstream(_))) {
                let message = "`ingress` of an Upstream can never act: nobody connects to us through it";
                ingress.error(report, PV_BLIND, message, "attach it to the Gateway or to routes");
            }
            if let Some(allow) = ingress.allow.as_ref().filter(|allow| allow.is_empty()) {
                allow.error(
                    report,
                    PV_BLIND,
                    "`allow` is empty, so nobody could connect",
                    "name who may, or remove it",
                );
            }
            let rules = ingress.allow.iter().flat_map(|rules| rules.iter());
            for principal in rules.filter_map(|rule| rule.principals.first()).filter(|_| !certificates) {
                let message = "`principals` can never match: no listener asks for client certificates";
                let help = "set `trust.clientAuth` in a CertificatePolicy, or use `cidrs`";
                principal.error(report, PV_BLIND, message, help);
            }
        }
    }
    if attached.may_miss(Kind::NetworkPolicy) {
        return;
    }
    for (spec, upstream) in bootstrap.spec.upstreams.iter().zip(upstreams) {
        for (url, endpoint) in spec.addresses().zip(&upstream.endpoints) {
            // A Unix socket is no address: no list can name it.
            let EndpointPlace::Tcp { host, port } = &endpoint.place else { continue };
            let Some(list) = upstream.egress.as_ref().and_then(|egress| never(egress, host, *port)) else { continue };
            let message = format!("no rule of {list} allows the upstream's host and port, so it could never be called");
            let help = format!("add a rule for `{host}` and port {port} to its `egress.allow`");
            url.error(report, PV_BLIND, message, help);
        }
    }
}

fn asks_for_certificates(listener: &Listener) -> bool {
    listener.tls.as_ref().is_some_and(|tls| tls.client_auth != ClientAuth::Off)
        || listener.outbound.as_ref().is_some_and(|outbound| outbound.principal.is_some())
}

/// The first list of which no rule can match the endpoint, by its host and port alone.
fn never<'e>(egress: &'e Egress, host: &str, port: u16) -> Option<&'e str> {
    let address: Option<std::net::IpAddr> = host.parse().ok();
    let known = |rule: &EgressRule| {
        let host =
            rule.hosts.is_empty() || rule.hosts.iter().any(|pattern| pattern == "*" || host_matches(pattern, host));
        let range = address.is_none_or(|ip| rule.cidrs.is_empty() || rule.cidrs.iter().any(|range| range.contains(ip)));
        host && range && rule.ports.contains(&port)
    };
    egress.allow.iter().find(|list| !list.rules.iter().any(known)).map(|list| list.manifest.as_str())
}

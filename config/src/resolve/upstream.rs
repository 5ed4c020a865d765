//! Upstreams of the bootstrap, checked and resolved.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use super::attach::{Attachments, Place};
use super::names::unique;
use super::tls;
use super::traffic::labels;
use crate::bootstrap::{BalanceSpec, HashKey, UpstreamSpec};
use crate::decode::At;
use crate::values::{UpstreamPlace, UpstreamUrl};
use crate::{
    Balance, Bootstrap, CircuitBreaker, Code, Endpoint, EndpointPlace, HashBy, HealthCheck, PassiveHealth, Report,
    Retries, Timeouts, Upstream, Waiver,
};

const PV_SHAPE: Code = Code(2);
const PV_BLIND: Code = Code(25);
const PV_PLAIN: Code = Code(30);
const INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(2);
const HEALTHY_AFTER: u32 = 2;
const UNHEALTHY_AFTER: u32 = 3;

pub(super) fn all(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) -> Vec<Upstream> {
    let specs = &bootstrap.spec.upstreams.value;
    unique(&specs.iter().map(|upstream| &upstream.name).collect::<Vec<_>>(), "upstreams", report);
    specs.iter().enumerate().map(|(index, spec)| one(index, spec, attached, report)).collect()
}

fn one(index: usize, spec: &UpstreamSpec, attached: &Attachments<'_>, report: &mut Report) -> Upstream {
    let mut plaintext = None;
    for url in spec.addresses().filter(|url| !url.https && !url.is_local()) {
        plaintext = attached.waive(Waiver::Plaintext, Place::Upstream(index), || {
            let message = format!("upstream `{}` would be called without TLS", spec.name.as_str());
            url.error(report, PV_PLAIN, message, "use `https:`; `http:` is for this machine only");
        });
    }
    let first = spec.addresses().next();
    let https = spec.is_https();
    let server_name = server_name(spec, https, report);
    Upstream {
        name: spec.name.as_str().to_owned(),
        https,
        endpoints: spec.addresses().map(|url| endpoint(url, spec)).collect(),
        balance: balance(&spec.balance),
        protocol: *spec.protocol,
        timeouts: timeouts(spec),
        retries: retries(spec),
        health: health(spec, first.map_or("", |url| &url.base_path)),
        passive: PassiveHealth {
            consecutive_failures: spec.health.passive.consecutive_failures.get(),
            eject_for: *spec.health.passive.eject_for,
            max_ejected: spec.health.passive.max_ejected.0,
        },
        circuit_breaker: CircuitBreaker {
            max_connections: spec.circuit_breaker.max_connections.get(),
            max_requests: spec.circuit_breaker.max_requests.get(),
            max_pending: *spec.circuit_breaker.max_pending,
        },
        tls: tls::upstream(index, spec, server_name, attached, report),
        plaintext,
        base_path: first.map(|url| url.base_path.clone()).unwrap_or_default(),
        labels: labels(spec.labels.as_ref()),
        credentials: Vec::new(),
        strip_headers: Vec::new(),
        strip_query: Vec::new(),
        egress: None,
    }
}

/// The name to check certificates against is one name, and there must be a certificate.
fn server_name(spec: &UpstreamSpec, https: bool, report: &mut Report) -> String {
    let plain =
        |field: &str| format!("upstream `{}` is called without TLS, so nothing checks `{field}`", spec.name.as_str());
    if let Some(id) = spec.tls.spiffe_id.as_ref().filter(|_| !https) {
        id.error(report, PV_BLIND, plain("spiffeId"), "remove `tls`, or use `https:`");
    }
    if let Some(name) = &spec.tls.server_name {
        if name.starts_with("*.") {
            let message = format!("`serverName` is `{}`, a pattern", name.as_str());
            name.error(report, PV_SHAPE, message, "write the one name the upstream's certificate must cover");
        } else if !https {
            name.error(report, PV_BLIND, plain("serverName"), "remove `tls`, or use `https:`");
        }
        return name.as_str().to_owned();
    }
    let mut hosts = spec.addresses().filter_map(|url| match &url.place {
        UpstreamPlace::Tcp { host, .. } => Some((url, host)),
        UpstreamPlace::Unix(_) => None,
    });
    let Some((_, first)) = hosts.next() else { return String::new() };
    if let Some((other, _)) = hosts.find(|(_, host)| https && spec.tls.spiffe_id.is_none() && *host != first) {
        let message =
            format!("endpoints of `{}` have several hosts, so no name is expected of all", spec.name.as_str());
        other.error(
            report,
            PV_SHAPE,
            message,
            "add `tls: {serverName: …}`, the name that every endpoint's certificate covers",
        );
    }
    first.clone()
}

/// An address says nothing to a server of several names, and its certificate does not cover it.
fn endpoint(url: &UpstreamUrl, spec: &UpstreamSpec) -> Endpoint {
    let (host, port) = match &url.place {
        UpstreamPlace::Tcp { host, port } => (host, *port),
        UpstreamPlace::Unix(path) => {
            let uids = spec.peers.as_ref().map(|peers| peers.uids.iter().map(|uid| uid.value).collect());
            let place = EndpointPlace::Unix { path: path.clone(), uids };
            return Endpoint { place, authority: "localhost".to_owned() };
        }
    };
    let name = match (host.parse::<IpAddr>(), &spec.tls.server_name) {
        (Ok(_), Some(name)) => name.as_str().to_owned(),
        (Ok(IpAddr::V6(_)), None) => format!("[{host}]"),
        _ => host.clone(),
    };
    let default = if url.https { 443 } else { 80 };
    let authority = if port == default { name } else { format!("{name}:{port}") };
    Endpoint { place: EndpointPlace::Tcp { host: host.clone(), port }, authority }
}

fn balance(spec: &BalanceSpec) -> Balance {
    match spec {
        BalanceSpec::RoundRobin => Balance::RoundRobin,
        BalanceSpec::LeastRequest => Balance::LeastRequest,
        BalanceSpec::ConsistentHash(hash) => Balance::ConsistentHash(match &hash.key.value {
            HashKey::Principal => HashBy::Principal,
            HashKey::SourceIp => HashBy::SourceIp,
            HashKey::Header(name) => HashBy::Header(name.as_str().to_owned()),
        }),
    }
}

fn timeouts(spec: &UpstreamSpec) -> Timeouts {
    let timeouts = &*spec.timeouts;
    Timeouts {
        connect: *timeouts.connect,
        first_byte: *timeouts.first_byte,
        idle: *timeouts.idle,
        total: *timeouts.total,
    }
}

fn retries(spec: &UpstreamSpec) -> Retries {
    let retries = &*spec.retries;
    let mut after: Vec<_> = retries.after.iter().map(|after| after.value).collect();
    after.sort();
    after.dedup();
    Retries { max: *retries.max, budget: retries.budget.0, after }
}

fn health(spec: &UpstreamSpec, base_path: &str) -> Option<HealthCheck> {
    let health = &*spec.health;
    let path = health.path.as_ref()?;
    let count = |written: &Option<At<NonZeroU32>>, default| written.as_ref().map_or(default, |count| count.get());
    let time = |written: &Option<At<Duration>>, default| written.as_ref().map_or(default, |time| time.value);
    Some(HealthCheck {
        path: format!("{base_path}{}", path.as_str()),
        interval: time(&health.interval, INTERVAL),
        timeout: time(&health.timeout, TIMEOUT),
        healthy_after: count(&health.healthy_after, HEALTHY_AFTER),
        unhealthy_after: count(&health.unhealthy_after, UNHEALTHY_AFTER),
    })
}

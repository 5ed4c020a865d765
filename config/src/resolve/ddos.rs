//! DDoSProtectionPolicy: what holds for connections of a listener, and for requests of a route on a listener.

use super::attach::{Attachments, Place, of, tighten};
use crate::bootstrap::RouteSpec;
use crate::manifest::{DdosProtectionPolicy, Manifest, RouteSelector, Spec};
use crate::{BanRule, Bootstrap, Code, ConnectionGuard, Http2Limits, NamedRate, Report, RequestGuard, ShedAt};

const PV_BLIND: Code = Code(25);

/// Of the gateway alone: the most connections of all listeners together.
pub(super) fn most_connections(attached: &Attachments<'_>) -> u32 {
    let mut max = None;
    for (_, _, policy) in at_gateway(attached) {
        tighten(&mut max, policy.connections.max.written().map(|max| max.value.get()), u32::min);
    }
    max.unwrap_or(ConnectionGuard::default().max)
}

fn at_gateway<'m>(
    attached: &Attachments<'m>,
) -> impl Iterator<Item = (Place, &'m Manifest, &'m DdosProtectionPolicy)> + use<'m> {
    let all: Vec<_> = attached.all().iter().copied().filter(|(place, _)| *place == Place::Gateway).collect();
    of!(all, DdosProtectionPolicy)
}

/// What holds for the connections of a listener.
pub(super) fn of_listener(attached: &Attachments<'_>, listener: usize) -> ConnectionGuard {
    let default = ConnectionGuard::default();
    let (mut max, mut max_per_ip, mut tls, mut headers) = (None, None, None, None);
    let (mut lines, mut bytes) = (None, None);
    let (mut streams, mut resets, mut continuation) = (None, None, None);
    let (mut handshakes_per_ip, mut bans) = (Vec::new(), Vec::new());
    let (mut per_ip, mut global) = (Vec::new(), Vec::new());
    for (_, manifest, policy) in of!(attached.on_listener(listener), DdosProtectionPolicy) {
        let (connections, timeouts, http2) = (&policy.connections, &policy.timeouts, &policy.http2);
        tighten(&mut max, connections.max.written().map(|max| max.value.get()), u32::min);
        tighten(&mut max_per_ip, connections.max_per_ip.as_ref().map(|max| max.value.get()), u32::min);
        tighten(&mut tls, timeouts.tls.written().map(|tls| tls.value), Ord::min);
        tighten(&mut headers, timeouts.headers.written().map(|headers| headers.value), Ord::min);
        tighten(&mut lines, policy.sizes.max_headers.written().map(|max| max.value.get()), u32::min);
        tighten(&mut bytes, policy.sizes.max_header_size.written().map(|max| max.value.0), u64::min);
        tighten(&mut streams, http2.max_concurrent_streams.written().map(|max| max.value.get()), u32::min);
        tighten(&mut resets, http2.max_resets_per_minute.written().map(|max| max.value.get()), u32::min);
        tighten(&mut continuation, http2.max_continuation.written().map(|max| max.value.get()), u32::min);
        let written = connections.handshakes_per_ip.iter();
        handshakes_per_ip.extend(written.map(|rate| named(manifest, "connections.handshakesPerIp", rate)));
        per_ip.extend(policy.requests.per_ip.iter().map(|rate| named(manifest, "requests.perIp", rate)));
        global.extend(policy.requests.global.iter().map(|rate| named(manifest, "requests.global", rate)));
        bans.extend(policy.ban.iter().map(|ban| BanRule {
            name: format!("{}#{}", manifest.id, ban.name.as_str()),
            findings: ban.after.findings.value.get(),
            window: ban.after.window.value,
            first: ban.time.value,
            longest: ban.max_for.as_ref().map_or(ban.time.value, |most| most.value),
        }));
    }
    ConnectionGuard {
        max: max.unwrap_or(default.max),
        max_per_ip,
        handshakes_per_ip,
        tls: tls.unwrap_or(default.tls),
        headers: headers.unwrap_or(default.headers),
        max_headers: lines.map_or(default.max_headers, size),
        max_header_size: bytes.map_or(default.max_header_size, size),
        http2: Http2Limits {
            max_concurrent_streams: streams.unwrap_or(default.http2.max_concurrent_streams),
            max_resets_per_minute: resets.unwrap_or(default.http2.max_resets_per_minute),
            max_continuation: continuation.unwrap_or(default.http2.max_continuation),
        },
        per_ip,
        global,
        bans,
    }
}

/// What holds for requests of a route, by the number of the listener they came in by.
pub(super) fn of_route(
    bootstrap: &Bootstrap,
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
) -> Vec<RequestGuard> {
    (0..bootstrap.spec.listeners.len()).map(|listener| of_request(attached, route, spec, listener)).collect()
}

fn of_request(attached: &Attachments<'_>, route: usize, spec: &RouteSpec, listener: usize) -> RequestGuard {
    let mut all = attached.on_route(route);
    all.extend(attached.on_listener(listener));
    all.sort_by(|a, b| a.1.id.cmp(&b.1.id));
    all.dedup_by(|a, b| a.1.id == b.1.id);
    let default = RequestGuard::default();
    let (mut body_idle, mut first_byte, mut stream_idle, mut stream_total) = (None, None, None, None);
    let (mut lines, mut bytes, mut body) = (None, None, None);
    let (mut depth, mut event, mut ratio) = (None, None, None);
    let (mut per_ip, mut global, mut shed) = (Vec::new(), Vec::new(), None);
    for (place, manifest, policy) in of!(all, DdosProtectionPolicy) {
        let timeouts = &policy.timeouts;
        tighten(&mut body_idle, timeouts.body_idle.written().map(|time| time.value), Ord::min);
        tighten(&mut first_byte, timeouts.first_byte.written().map(|time| time.value), Ord::min);
        tighten(&mut stream_idle, timeouts.stream_idle.written().map(|time| time.value), Ord::min);
        tighten(&mut stream_total, timeouts.stream_total.written().map(|time| time.value), Ord::min);
        tighten(&mut lines, policy.sizes.max_headers.written().map(|max| max.value.get()), u32::min);
        tighten(&mut bytes, policy.sizes.max_header_size.written().map(|max| max.value.0), u64::min);
        tighten(&mut body, policy.sizes.max_body.as_ref().map(|max| max.value.0), u64::min);
        tighten(&mut depth, policy.sizes.max_json_depth.written().map(|max| max.value.get()), u32::min);
        tighten(&mut event, policy.sizes.max_sse_event.written().map(|max| max.value.0), u64::min);
        tighten(&mut ratio, policy.sizes.max_decompression_ratio.written().map(|max| max.value.get()), u32::min);
        // What the listener counts is not counted twice.
        if matches!(place, Place::Route(_)) && !attached.places(manifest).any(|place| is_before(place, listener)) {
            per_ip.extend(policy.requests.per_ip.iter().map(|rate| named(manifest, "requests.perIp", rate)));
            global.extend(policy.requests.global.iter().map(|rate| named(manifest, "requests.global", rate)));
        }
        shed = earlier(shed, policy.shed.as_ref().map(|written| shed_at(written, spec)));
    }
    RequestGuard {
        body_idle: body_idle.unwrap_or(default.body_idle),
        first_byte: first_byte.unwrap_or(default.first_byte),
        stream_idle: stream_idle.unwrap_or(default.stream_idle),
        stream_total: stream_total.unwrap_or(default.stream_total),
        max_headers: lines.map_or(default.max_headers, size),
        max_header_size: bytes.map_or(default.max_header_size, size),
        max_body: body.unwrap_or(default.max_body),
        max_json_depth: depth.map_or(default.max_json_depth, size),
        max_sse_event: event.map_or(default.max_sse_event, size),
        max_decompression_ratio: ratio.unwrap_or(default.max_decompression_ratio),
        per_ip,
        global,
        shed,
    }
}

/// Whether a place is one that connections of the listener are judged by.
fn is_before(place: Place, listener: usize) -> bool {
    place == Place::Gateway || place == Place::Listener(listener)
}

/// Steps between `atLoad` and 100, one for each selector: the n-th is refused from the n-th step on, and greedy addresses
/// from the step before. What no selector names comes last, and is never refused as a whole.
fn shed_at(shed: &crate::manifest::Shed, route: &RouteSpec) -> ShedAt {
    let (start, count) = (u32::from(shed.at_load.0), u32::try_from(shed.order.len()).unwrap_or(u32::MAX));
    let step = |index: u32| {
        let load = start.saturating_add(100_u32.saturating_sub(start).saturating_mul(index) / count.max(1));
        u8::try_from(load).unwrap_or(100).min(100)
    };
    let has = |selector: &RouteSelector| {
        selector.match_labels.iter().all(|(name, value)| {
            route.labels.as_ref().and_then(|labels| labels.get(name)).is_some_and(|label| label.value == value.value)
        })
    };
    match shed.order.iter().position(|selector| has(selector)).and_then(|place| u32::try_from(place).ok()) {
        Some(place) => ShedAt { greedy: step(place.saturating_sub(1)), all: Some(step(place)) },
        None => ShedAt { greedy: step(count.saturating_sub(1)), all: None },
    }
}

/// Of two demands the one that refuses earlier.
fn earlier(one: Option<ShedAt>, other: Option<ShedAt>) -> Option<ShedAt> {
    match (one, other) {
        (Some(one), Some(other)) => {
            Some(ShedAt { greedy: one.greedy.min(other.greedy), all: one.all.into_iter().chain(other.all).min() })
        }
        (one, other) => one.or(other),
    }
}

fn named(manifest: &Manifest, field: &str, rate: &crate::manifest::Rate) -> NamedRate {
    NamedRate {
        name: format!("{}#{field}", manifest.id),
        limit: rate.limit.value.get(),
        window: rate.window.value,
        burst: rate.burst.as_ref().map_or(rate.limit.value, |burst| burst.value).get(),
    }
}

fn size<T: TryInto<usize>>(value: T) -> usize {
    value.try_into().unwrap_or(usize::MAX)
}

/// What acts before a route is known acts nowhere on a Route; a selector that no route has sheds nothing.
pub(super) fn check(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) {
    for manifest in attached.manifests() {
        let Spec::DdosProtectionPolicy(policy) = &manifest.spec else { continue };
        if attached.places(manifest).any(|place| matches!(place, Place::Route(_))) {
            let (timeouts, help) =
                (&policy.timeouts, "attach it to the Gateway or to a listener, in a manifest of its own");
            let written = [
                policy.connections.written().map(|field| (&field.position, &field.pointer, "connections")),
                policy.http2.written().map(|field| (&field.position, &field.pointer, "http2")),
                timeouts.tls.written().map(|field| (&field.position, &field.pointer, "timeouts.tls")),
                timeouts.headers.written().map(|field| (&field.position, &field.pointer, "timeouts.headers")),
                policy.ban.first().map(|field| (&field.position, &field.pointer, "ban")),
            ];
            for (position, pointer, name) in written.into_iter().flatten() {
                let message = format!("`{name}` acts before a route is known, so it cannot be set on a Route");
                report.error(PV_BLIND, position, pointer.clone(), message, help);
            }
        }
        for selector in policy.shed.iter().flat_map(|shed| &shed.order) {
            let wanted = &selector.match_labels.value;
            let has = |route: &RouteSpec| {
                wanted.iter().all(|(name, value)| {
                    let label = route.labels.as_ref().and_then(|labels| labels.get(name));
                    label.is_some_and(|label| label.value == value.value)
                })
            };
            if !bootstrap.spec.routes.iter().any(|route| has(route)) {
                let help = "label a route, or correct the selector";
                selector.match_labels.error(
                    report,
                    PV_BLIND,
                    "no route has these labels, so nothing is shed by them",
                    help,
                );
            }
        }
    }
}

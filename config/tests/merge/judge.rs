//! The data path as far as a snapshot decides it: would one set of facts pass?

use std::net::IpAddr;
use std::time::Duration;

use postern_config::{
    Action, AddressClass, Anchor, Api, Cidr, ClientAuth, ConnectionGuard, ContentAction, CountedIn, CrossSite,
    CryptoProfile, Curve, Demand, Dialect, Direction, Effect, Egress, EgressRule, Harden, Ingress, IngressRule,
    KeyExchange, ListenerTls, Markup, Material, NamedRate, OnUnavailable, Opaque, Part, PrincipalType, PrivateRanges,
    RateLimit, Redirects, RequestGuard, Require, Route, RuntimeAction, Segment, Snapshot, TlsVersion, TokenForwarding,
    address, host_matches,
};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) route: &'static str,
    version: TlsVersion,
    exchange: KeyExchange,
    /// Whether suite, group and signatures are those of the profile `Fips`.
    approved: bool,
    certificate: Option<Certificate>,
    /// Names of the providers that recognised something.
    presented: Vec<&'static str>,
    principal: PrincipalType,
    /// `acr`, whether every method was used, and seconds since the authentication.
    proven: (&'static str, bool, u64),
    method: &'static str,
    path: &'static str,
    content_type: Option<&'static str>,
    body: u64,
    origin: Option<&'static str>,
    /// What stands where: part, direction, data detector, score of hostile text.
    part: Part,
    direction: Direction,
    data: Option<&'static str>,
    score: u8,
    /// Requests of this caller in the last minute.
    spent: u32,
    /// The store that replicas share does not answer.
    away: bool,
    source: &'static str,
    /// Host, address and port that would be dialled.
    dialled: (&'static str, &'static str, u16),
    /// Whether the answer sends the caller to another host, or elsewhere on its own.
    redirect: Option<bool>,
    /// Whether our own process is confined.
    hardened: bool,
    /// Days since the upstream's secret was replaced, and where the upstream knows only the one of before, seconds.
    secret: (u64, Option<u64>),
    /// A secret of the upstream stands in the part.
    leaked: bool,
    /// Where a link in the part leads, and how long the part is.
    said: (&'static str, u64),
    /// Something is in the message that nobody can read.
    pub(crate) unread: bool,
    /// How many calls the conversation has, all of them the same, and how many parties act for each other.
    task: u32,
    /// What the model says and calls fits the schemas that there are.
    fits: bool,
    busy: Busy,
}

/// How much is going on.
#[derive(Debug, Clone)]
pub(crate) struct Busy {
    connections: u32,
    of_address: u32,
    header_bytes: usize,
    header_lines: usize,
    /// Seconds that every step takes.
    slow: u64,
    streams: u32,
    findings: u32,
    load: u8,
    greedy: bool,
}

#[derive(Debug, Clone)]
struct Certificate {
    anchor: &'static str,
    name: &'static str,
    bits: u32,
    curve: Curve,
    days: u64,
    expired: bool,
}

/// Mostly the first: most facts are good in all respects but one or two, so that each respect can decide.
fn mostly<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop_oneof![5 => Just(all[0].clone()), 1 => select(all.to_vec())]
}

fn certificate() -> impl Strategy<Value = Certificate> {
    let names = [
        "spiffe://example.org/ns/acme/sa/bot",
        "spiffe://example.org/ns/other",
        "laptop.clients.example.org",
        "evil.example",
    ];
    (
        mostly(&["mesh.pem", "spiffe:example.org", "partner.pem", "other.pem"]),
        mostly(&names),
        mostly(&[4096, 2048, 3072]),
        mostly(&[Curve::P256, Curve::P384, Curve::Ed25519]),
        mostly(&[1, 60, 300, 800]),
        mostly(&[false, true]),
    )
        .prop_map(|(anchor, name, bits, curve, days, expired)| Certificate {
            anchor,
            name,
            bits,
            curve,
            days,
            expired,
        })
}

pub(crate) fn facts() -> impl Strategy<Value = Facts> {
    let connection = (
        mostly(&[TlsVersion::V1_3, TlsVersion::V1_2]),
        (mostly(&[KeyExchange::HybridRequired, KeyExchange::Classical]), mostly(&[true, false])),
        option::weighted(0.9, certificate()),
        mostly(&[vec!["people", "agents"], vec![], vec!["people"], vec!["agents"], vec!["partner"]]),
        (
            select(vec![PrincipalType::User, PrincipalType::Agent]),
            (mostly(&["gold", "silver", ""]), mostly(&[true, false]), mostly(&[60_u64, 600, 40_000])),
        ),
    );
    let read = (Just("app"), mostly(&["GET", "HEAD"]), select(vec!["/", "/v1/models"]), Just(None));
    let chat =
        (select(vec!["app", "chat"]), Just("POST"), Just("/v1/chat/completions"), Just(Some("application/json")));
    let any = (
        select(vec!["app", "chat"]),
        select(vec!["GET", "HEAD", "POST", "PUT"]),
        select(vec!["/", "/v1/models", "/v1/chat/completions"]),
        option::of(select(vec!["application/json", "text/plain"])),
    );
    let request = (
        prop_oneof![3 => read, 3 => chat, 1 => any],
        mostly(&[0_u64, 2 << 10, 100 << 10, 2 << 20, 20 << 20]),
        option::weighted(
            0.3,
            select(vec!["https://a.example", "https://b.example", "https://d.example", "https://evil.example"]),
        ),
    );
    let content = (
        select(vec![Part::User, Part::System, Part::Assistant, Part::ToolResult, Part::HttpBody]),
        select(vec![Direction::Request, Direction::Response]),
        option::of(select(vec!["card", "mail"])),
        0_u8..=100,
        (prop_oneof![3 => Just(0_u32), 1 => 0_u32..120], mostly(&[false, true])),
        (
            select(vec!["a.example", "b.example", "x.c.example", "evil.example"]),
            mostly(&[10_u64, 200, 8 << 10, 80 << 10]),
        ),
    );
    let task = (mostly(&[1_u32, 2, 5, 12, 60]), mostly(&[true, false]));
    let leaks = (mostly(&[false, true]), mostly(&[false, true]), task);
    let network = (
        mostly(&["10.1.2.3", "192.0.2.200", "192.0.2.1", "10.9.9.9", "203.0.113.5", "10.66.0.1"]),
        mostly(&[
            ("api.openai.com", "8.8.8.8", 443),
            ("127.0.0.1", "127.0.0.1", 8080),
            ("127.0.0.2", "127.0.0.2", 8080),
            ("other.example", "10.20.0.1", 443),
            ("other.example", "10.30.0.1", 80),
            ("other.example", "9.9.9.9", 443),
        ]),
        mostly(&[None, Some(true), Some(false)]),
        mostly(&[true, false]),
        (mostly(&[0_u64, 20, 33, 80, 400]), mostly(&[None, Some(0), Some(60), Some(3600)]), leaks),
    );
    let sizes = (mostly(&[10_usize, 2 << 10, 40 << 10, 100 << 10]), mostly(&[5_usize, 50, 150, 250]));
    let load = (mostly(&[0_u8, 60, 92, 100]), mostly(&[false, true]));
    let counts =
        (mostly(&[1_u32, 50, 900, 4000]), mostly(&[1_u32, 8, 90]), mostly(&[1_u32, 20, 150]), mostly(&[0_u32, 8, 30]));
    let busy = (sizes, load, counts, mostly(&[0_u64, 2, 12, 45])).prop_map(
        |((header_bytes, header_lines), (load, greedy), (connections, of_address, streams, findings), slow)| Busy {
            connections,
            of_address,
            header_bytes,
            header_lines,
            slow,
            streams,
            findings,
            load,
            greedy,
        },
    );
    (connection, request, content, network, busy).prop_map(
        |(
            (version, (exchange, approved), certificate, presented, (principal, proven)),
            ((route, method, path, content_type), body, origin),
            (part, direction, data, score, (spent, away), said),
            (source, dialled, redirect, hardened, (days, behind, (leaked, unread, (task, fits)))),
            busy,
        )| Facts {
            route,
            version,
            exchange,
            approved,
            certificate,
            presented,
            principal,
            proven,
            method,
            path,
            content_type,
            body,
            origin,
            part,
            direction,
            data,
            score,
            spent,
            away,
            source,
            dialled,
            redirect,
            hardened,
            said,
            secret: (days, behind),
            leaked,
            unread,
            task,
            fits,
            busy,
        },
    )
}

/// `None` is refused; else how strongly the content is changed, 0 for not at all.
pub(crate) fn judge(snapshot: &Snapshot, facts: &Facts) -> Option<u8> {
    let tls = snapshot.listeners[0].tls.as_ref().unwrap();
    let route = snapshot.routes.iter().find(|route| route.name == facts.route).unwrap();
    let near = comes_in(&snapshot.ingress, facts) && comes_in(&route.policy.network.ingress, facts);
    let passes = near
        && (facts.hardened || snapshot.harden != Some(Harden::Require))
        && facts.busy.connections <= snapshot.max_connections
        && is_let_in(&snapshot.listeners[0].guard, facts)
        && is_in_bounds(&route.policy.guards[0], facts)
        && connects(tls, facts)
        && is_accepted(route, facts)
        && is_proven(route, facts)
        && is_allowed(route, facts)
        && is_permitted(route, facts)
        && is_shown(snapshot, route, facts)
        && goes_on(route, facts)
        && route.policy.network.egress.as_ref().is_none_or(|egress| goes_out(egress, facts));
    passes.then(|| change(route, facts)).flatten()
}

fn is_let_in(guard: &ConnectionGuard, facts: &Facts) -> bool {
    let (busy, slow) = (&facts.busy, Duration::from_secs(facts.busy.slow));
    busy.connections <= guard.max
        && guard.max_per_ip.is_none_or(|max| busy.of_address <= max)
        && within(&guard.handshakes_per_ip, facts)
        && within(&guard.per_ip, facts)
        && within(&guard.global, facts)
        && slow <= guard.tls.min(guard.headers)
        && busy.header_bytes <= guard.max_header_size
        && busy.header_lines <= guard.max_headers
        && busy.streams <= guard.http2.max_concurrent_streams.min(guard.http2.max_resets_per_minute)
        && guard.bans.iter().all(|ban| busy.findings < ban.findings)
}

fn is_in_bounds(guard: &RequestGuard, facts: &Facts) -> bool {
    let (busy, slow) = (&facts.busy, Duration::from_secs(facts.busy.slow));
    let shed = guard
        .shed
        .is_some_and(|shed| shed.all.is_some_and(|all| busy.load >= all) || (busy.greedy && busy.load >= shed.greedy));
    slow <= guard.body_idle.min(guard.first_byte).min(guard.stream_idle).min(guard.stream_total)
        && busy.header_bytes <= guard.max_header_size
        && busy.header_lines <= guard.max_headers
        && facts.body <= guard.max_body
        // As deep and as well compressed as it has header lines, and its events as long as its headers: what they are does not matter here.
        && busy.header_lines <= guard.max_json_depth
        && busy.header_bytes <= guard.max_sse_event
        && busy.header_lines <= usize::try_from(guard.max_decompression_ratio).unwrap()
        && within(&guard.per_ip, facts)
        && within(&guard.global, facts)
        && !shed
}

fn within(rates: &[NamedRate], facts: &Facts) -> bool {
    rates.iter().all(|rate| facts.spent < rate.burst.max(rate.limit))
}

fn comes_in(ingress: &Ingress, facts: &Facts) -> bool {
    let source: IpAddr = facts.source.parse().unwrap();
    let name = facts.certificate.as_ref().map(|certificate| certificate.name);
    let within = |ranges: &[Cidr]| ranges.iter().any(|range| range.contains(source));
    let rule = |rule: &IngressRule| {
        let named = |glob: &String| name.is_some_and(|name| is_named(glob, name));
        (rule.cidrs.is_empty() || within(&rule.cidrs))
            && (rule.principals.is_empty() || rule.principals.iter().any(named))
    };
    ingress.allow.iter().all(|list| list.rules.iter().any(rule)) && !ingress.deny.iter().any(|deny| within(&deny.cidrs))
}

fn goes_out(egress: &Egress, facts: &Facts) -> bool {
    let (host, address, port) = facts.dialled;
    let address: IpAddr = address.parse().unwrap();
    let public = AddressClass::of(address) == AddressClass::Public;
    let rule = |rule: &EgressRule| {
        (rule.hosts.is_empty() || rule.hosts.iter().any(|pattern| pattern == "*" || host_matches(pattern, host)))
            && (rule.cidrs.is_empty() || rule.cidrs.iter().any(|range| range.contains(address)))
            && (public || rule.cidrs.iter().any(|range| address::names(range, address)))
            && rule.ports.contains(&port)
    };
    let redirect = match facts.redirect {
        None => true,
        Some(elsewhere) => egress.redirects == Redirects::SameHost && !elsewhere,
    };
    redirect
        && (public || egress.private_ranges == PrivateRanges::AllowListed)
        && egress.allow.iter().all(|list| list.rules.iter().any(rule))
}

fn connects(tls: &ListenerTls, facts: &Facts) -> bool {
    let strong = match tls.key_exchange {
        KeyExchange::HybridRequired => facts.exchange == KeyExchange::HybridRequired,
        KeyExchange::Classical | KeyExchange::HybridPreferred => true,
    };
    let trust = &tls.trust;
    let believed = |certificate: &Certificate| {
        let (anchor, vouches) = match certificate.anchor.strip_prefix("spiffe:") {
            None => (Anchor::Pem(Material::File(certificate.anchor.into())), true),
            Some(domain) => (
                Anchor::Spiffe { socket: None, trust_domain: domain.to_owned() },
                certificate.name.starts_with(&format!("spiffe://{domain}/")),
            ),
        };
        trust.anchors.contains(&anchor)
            && vouches
            && trust.names.iter().all(|list| list.iter().any(|name| is_named(name, certificate.name)))
            && certificate.bits >= trust.min_rsa_bits
            && trust.curves.contains(&certificate.curve)
            && trust.max_lifetime.is_none_or(|longest| certificate.days * 86_400 <= longest.as_secs())
            && !(certificate.expired && tls.deny_after_expiry)
    };
    let peer = match (tls.client_auth, &facts.certificate) {
        (ClientAuth::Required, None) => false,
        (ClientAuth::Off, _) | (ClientAuth::Optional, None) => true,
        (_, Some(certificate)) => believed(certificate),
    };
    let approved = facts.approved || tls.profile == CryptoProfile::Default;
    facts.version >= tls.min_version && strong && approved && peer
}

fn is_named(glob: &str, name: &str) -> bool {
    match glob.strip_suffix("**") {
        Some(start) => name.starts_with(start),
        None => !name.starts_with("spiffe:") && host_matches(glob, name),
    }
}

fn is_accepted(route: &Route, facts: &Facts) -> bool {
    let identity = &route.policy.identity;
    let has = |index: &usize| facts.presented.contains(&identity.providers[*index].name.as_str());
    let meets = |demand: &Demand| match demand.require {
        Require::AnyOf => demand.providers.iter().any(has),
        Require::AllOf => demand.providers.iter().all(has),
    };
    !identity.demands.is_empty() && identity.demands.iter().all(meets)
}

fn is_proven(route: &Route, facts: &Facts) -> bool {
    let (acr, methods, age) = facts.proven;
    route.policy.challenges.assurance.iter().filter(|demand| demand.applies_to(facts.principal)).all(|demand| {
        demand.acr_values.as_ref().is_none_or(|values| values.iter().any(|value| value == acr))
            && (demand.amr.is_empty() || methods)
            && demand.max_age.is_none_or(|longest| Duration::from_secs(age) <= longest)
    })
}

fn is_allowed(route: &Route, facts: &Facts) -> bool {
    let access = &route.policy.access;
    let glob =
        |glob: &str| glob == facts.path || glob.strip_suffix("/**").is_some_and(|start| facts.path.starts_with(start));
    let listed = access.allow.iter().all(|list| {
        list.rules.iter().any(|rule| {
            rule.methods.iter().any(|method| method == facts.method)
                && rule.paths.iter().any(|path| glob(path))
                && match (&rule.content_types, facts.content_type) {
                    (Some(types), Some(sent)) => types.iter().any(|media| media == sent),
                    (None, None) => true,
                    _ => false,
                }
        })
    });
    let safe = matches!(facts.method, "GET" | "HEAD");
    let origin = facts.origin.is_none_or(|origin| match &access.cross_site {
        CrossSite::Deny => false,
        CrossSite::AllowOrigins(origins) => origins.iter().any(|allowed| allowed == origin),
    });
    !access.allow.is_empty()
        && listed
        && facts.body <= access.max_body
        && (safe || origin)
        && access.rate_limits.iter().all(|limit| is_left(limit, facts))
        && access.contracts.iter().all(|contract| is_of(&contract.api, facts))
}

fn is_left(limit: &RateLimit, facts: &Facts) -> bool {
    let is_counted = !facts.away || limit.store != CountedIn::Shared(OnUnavailable::Deny);
    is_counted && u64::from(facts.spent) < limit.burst
}

/// Every body of the facts is an object, as every body of the documents.
fn is_of(api: &Api, facts: &Facts) -> bool {
    api.operations.iter().any(|operation| {
        let mut parts = facts.path.split('/').skip(1);
        let fits = |segment: &Segment| match (segment, parts.next()) {
            (Segment::Literal(text), Some(part)) => text == part,
            (Segment::Parameter(_), Some(part)) => !part.is_empty(),
            (_, None) => false,
        };
        operation.method == facts.method
            && operation.path.iter().all(fits)
            && parts.next().is_none()
            && operation.body.is_some() == facts.content_type.is_some()
            && facts.content_type.is_none_or(|sent| sent == "application/json")
    })
}

/// As if every permit that there could be matched.
fn is_permitted(route: &Route, facts: &Facts) -> bool {
    let action = match (route.dialect, facts.method) {
        (Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini, _) => Action::Chat,
        (Dialect::Http, "GET" | "HEAD") => Action::Read,
        (Dialect::Http, "POST") => Action::Create,
        (Dialect::Http, _) => Action::Update,
    };
    !route.policy.authz.rules.iter().any(|rule| {
        rule.effect == Effect::Forbid
            && rule.when.is_none()
            && rule.actions.contains(&action)
            && (rule.principals.is_empty() || rule.principals.contains(&facts.principal))
    })
}

/// Whether the upstream is shown a secret that it takes.
fn is_shown(snapshot: &Snapshot, route: &Route, facts: &Facts) -> bool {
    let (days, behind) = facts.secret;
    let age = Duration::from_secs(days * 86_400);
    let credentials = route.upstream.into_iter().flat_map(|index| &snapshot.upstreams[index].credentials);
    let mut rotations = credentials.map(|credential| credential.rotation);
    rotations.all(|rotation| {
        let Some(rotation) = rotation else { return behind.is_none() };
        let ends = rotation.max_age.zip(rotation.grace).map(|(max, grace)| max + grace);
        ends.is_none_or(|end| age <= end)
            && behind.is_none_or(|seconds| Duration::from_secs(seconds) < rotation.overlap)
    })
}

/// Whether the task may go on, and what the model says of it may leave.
fn goes_on(route: &Route, facts: &Facts) -> bool {
    let limits = &route.policy.runtime.behaviour;
    let most = [&limits.max_tool_calls, &limits.max_repeats, &limits.max_depth];
    let schemas = &route.policy.runtime.output.schemas;
    most.into_iter().flatten().all(|most| facts.task <= most.value)
        && limits.max_age.as_ref().is_none_or(|most| u64::from(facts.task) <= most.value.as_secs())
        && (facts.fits || schemas.is_empty())
}

/// What demands on answers make of a link, a tag, and so much text.
fn output(route: &Route, facts: &Facts) -> [Option<u8>; 3] {
    let output = &route.policy.runtime.output;
    if facts.part != Part::Assistant || facts.direction != Direction::Response {
        return [Some(0); 3];
    }
    let (link, length) = facts.said;
    let allowed = output.links.iter().all(|list| list.value.iter().any(|host| host_matches(host, link)));
    let markup = match output.markup.as_ref().map(|one| one.value) {
        None | Some(Markup::Allow) => 0,
        Some(Markup::Escape) => 1,
        Some(Markup::Strip) => 2,
    };
    let fits = output.max_length.as_ref().is_none_or(|most| length <= most.value);
    [Some(if allowed { 0 } else { 2 }), Some(markup), fits.then_some(0)]
}

fn change(route: &Route, facts: &Facts) -> Option<u8> {
    let data = route.policy.data.rules.iter().filter(|rule| {
        let direction = if facts.direction == Direction::Request { rule.request } else { rule.response };
        let found = |index: &usize| Some(route.policy.data.detectors[*index].name.as_str()) == facts.data;
        direction && rule.parts.contains(&facts.part) && rule.detectors.iter().any(found)
    });
    let data = data.map(|rule| match rule.action {
        ContentAction::Allow | ContentAction::Annotate => Some(0),
        ContentAction::Mask => Some(1),
        ContentAction::Redact => Some(2),
        ContentAction::Tokenize => Some(3),
        ContentAction::Block => None,
    });
    let runtime = route.policy.runtime.detectors.iter();
    let runtime = runtime.filter(|d| d.parts.contains(&facts.part) && facts.score >= d.threshold);
    let runtime = runtime.map(|detector| match detector.action {
        RuntimeAction::Allow | RuntimeAction::Annotate => Some(0),
        RuntimeAction::Redact => Some(2),
        RuntimeAction::Block => None,
    });
    let denied = &route.policy.runtime.prompts.system_denied_by;
    if denied.is_some() && (facts.part, facts.direction) == (Part::System, Direction::Request) {
        return None;
    }
    let leaks = route.policy.leaks.iter().filter(|leaks| facts.leaked && leaks.parts.contains(&facts.part));
    let leaks = leaks.map(|leaks| (leaks.action != ContentAction::Block).then_some(2));
    let output = output(route, facts).into_iter();
    // What upstreams are told of the caller is not content; told nothing is more strict.
    let token = u8::from(route.policy.token_forwarding == TokenForwarding::Strip);
    let unread = facts.unread.then_some(match route.policy.data.revision.opaque {
        Opaque::Allow => Some(0),
        Opaque::Strip => Some(1),
        Opaque::Deny => None,
    });
    data.chain(runtime)
        .chain(leaks)
        .chain(unread)
        .chain(output)
        .chain([Some(token)])
        .try_fold(0, |most, one| one.map(|one: u8| most.max(one)))
}

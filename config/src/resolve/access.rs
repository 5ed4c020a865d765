//! APIAccessPolicy, without authentication: which requests may pass, and how many.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attach::{Attachments, Place, of, tighten};
use super::cors;
use crate::bootstrap::RouteSpec;
use crate::manifest::{self, Kind, Manifest};
use crate::{
    Access, AllowList, AllowRule, Code, Contract, CountedIn, CrossSite, Dialect, LimitKey, LimitUnit, OnUnavailable,
    RateLimit, Report, Waived, Waiver,
};

const PV_SHAPE: Code = Code(2);
const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);
const PV_UNLIMITED: Code = Code(70);
const PV_LIMIT: Code = Code(71);

/// Far below what the counters can count, far above what anybody waits for.
const LONGEST_REFILL: u128 = 3650 * 86_400 * 1_000_000_000;
/// Headers of answers that no policy sets: framing is ours, and so is the evidence of a decision.
const OURS: [&str; 11] = [
    "connection",
    "content-length",
    "keep-alive",
    "postern-decision",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-encoding",
    "x-should-retry",
];

/// 10Mi.
const DEFAULT_MAX_BODY: u64 = 10 << 20;

pub(super) fn merge(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    has_store: bool,
    waived: &mut Vec<Waived>,
    report: &mut Report,
) -> Access {
    let mut access = Access::default();
    let mut max_body = None;
    let mut cross_site: Option<CrossSite> = None;
    let mut set: BTreeMap<String, (String, &Manifest)> = BTreeMap::new();
    let mut cors_of = Vec::new();
    let may_miss = attached.may_miss(Kind::ApiAccessPolicy);
    for (_, manifest, policy) in of!(attached.on_route(route), ApiAccessPolicy) {
        if let Some(allow) = &policy.allow {
            let rules = allow.iter().map(|rule| allow_rule(rule)).collect();
            access.allow.push(AllowList { manifest: manifest.id.to_string(), rules });
        }
        tighten(&mut max_body, policy.max_body_size.written().map(|size| size.value.0), u64::min);
        if let Some(written) = &policy.cors {
            access.cors = Some(cors::tighten(access.cors.take(), &written.value));
            cors_of.push(written);
        }
        if let Some(written) = policy.cross_site.written() {
            cross_site = Some(stricter_cross_site(cross_site, &written.value));
        }
        if let Some(from) = &policy.schema_from {
            access.contracts.extend(attached.apis.of(from).map(|api| Contract {
                name: manifest.id.name.clone(),
                owner: manifest.id.to_string(),
                file: from.0.clone(),
                api,
            }));
        }
        limits(&mut access, manifest, policy, has_store, report);
        headers(&mut access, &mut set, manifest, &policy.response_headers, report);
    }
    if access.allow.is_empty() && !may_miss {
        let message =
            format!("no APIAccessPolicy of route `{}` allows any request, so all would be refused", spec.name.as_str());
        let help = "add `allow: [{methods: [...], paths: [...]}]` to an APIAccessPolicy of the route";
        spec.name.error(report, PV_BLIND, message, help);
    }
    if !access.rate_limits.iter().any(binds) && !may_miss && spec.dialect.value != Dialect::Http {
        waived.extend(attached.waive(Waiver::Unlimited, Place::Route(route), || {
            let message = format!("route `{}` has no rate limit that holds for every request", spec.name.as_str());
            let help = "attach an APIAccessPolicy with `rateLimits`, for example by Principal";
            spec.name.error(report, PV_UNLIMITED, message, help);
        }));
    }
    access.max_body = max_body.unwrap_or(DEFAULT_MAX_BODY);
    access.cross_site = cross_site.unwrap_or_default();
    for written in cors_of {
        cors::check(written, &access.cross_site, spec.name.as_str(), report);
    }
    access.response_set = set.into_iter().map(|(name, (value, _))| (name, value)).collect();
    access
}

fn allow_rule(rule: &manifest::AllowRule) -> AllowRule {
    AllowRule {
        methods: rule.methods.iter().map(|method| method.as_str().to_owned()).collect(),
        paths: rule.paths.iter().map(|path| path.as_str().to_owned()).collect(),
        content_types: rule
            .content_types
            .as_ref()
            .map(|types| types.iter().map(|media| media.as_str().to_owned()).collect()),
    }
}

/// `Deny` is stricter than any list; of two lists only what both allow stays. Sorted, so that order decides nothing.
fn stricter_cross_site(merged: Option<CrossSite>, written: &manifest::CrossSite) -> CrossSite {
    let mut written: Vec<String> = match written {
        manifest::CrossSite::Deny(_) => return CrossSite::Deny,
        manifest::CrossSite::AllowOrigins(list) => {
            list.origins.iter().map(|origin| origin.as_str().to_owned()).collect()
        }
    };
    written.sort();
    written.dedup();
    match merged {
        None => CrossSite::AllowOrigins(written),
        Some(CrossSite::Deny) => CrossSite::Deny,
        Some(CrossSite::AllowOrigins(mut list)) => {
            list.retain(|origin| written.contains(origin));
            if list.is_empty() { CrossSite::Deny } else { CrossSite::AllowOrigins(list) }
        }
    }
}

fn limits(
    access: &mut Access,
    manifest: &Manifest,
    policy: &manifest::ApiAccessPolicy,
    has_store: bool,
    report: &mut Report,
) {
    for written in &policy.rate_limits {
        if !check_limit(written, has_store, report) {
            continue;
        }
        let owner = format!("{}/{}", manifest.id.namespace, manifest.id.name);
        if access.rate_limits.iter().any(|limit| limit.name == written.name.as_str()) {
            let message = format!("another limit on the same route is named `{}`", written.name.as_str());
            written.name.error(report, PV_CONFLICT, message, "rename one: records and headers name limits");
            continue;
        }
        let mut key: Vec<_> = written.key.iter().map(|key| key.value.clone()).collect();
        key.sort();
        key.dedup();
        access.rate_limits.push(RateLimit {
            name: written.name.as_str().to_owned(),
            owner,
            key,
            unit: written.unit.value,
            limit: written.limit.value.0.get(),
            window: written.window.as_ref().map_or(Duration::ZERO, |window| window.value),
            burst: burst_of(written),
            max_wait: match &*written.over_limit {
                manifest::OverLimit::Refuse(_) => Duration::ZERO,
                manifest::OverLimit::Queue(queue) => queue.max_wait.value,
            },
            store: match *written.store {
                manifest::CountedWhere::Local => CountedIn::Process,
                manifest::CountedWhere::Shared => {
                    let written = written.on_unavailable.as_ref();
                    CountedIn::Shared(written.map_or(OnUnavailable::Deny, |on_unavailable| on_unavailable.value))
                }
            },
        });
    }
}

fn burst_of(limit: &manifest::RateLimit) -> u64 {
    limit.burst.as_ref().map_or(limit.limit.value, |burst| burst.value).0.get()
}

fn check_limit(limit: &manifest::RateLimit, has_store: bool, report: &mut Report) -> bool {
    let mut good = true;
    if *limit.store == manifest::CountedWhere::Shared && !has_store {
        let message = "`store: Shared`, and the bootstrap names no store";
        limit.store.at.error(report, PV_TARGET, message, "add `shared: {redis: …}` to it, or write `store: Local`");
        good = false;
    }
    if let manifest::OverLimit::Queue(queue) = &*limit.over_limit
        && queue.max_wait.value == Duration::ZERO
    {
        queue.max_wait.error(report, PV_LIMIT, "a queue in which nothing waits", "write a time such as `2s`");
        good = false;
    }
    // A limit of concurrent requests has no window, and one that lacks it was reported.
    let Some(window) = &limit.window else { return good && limit.unit.value == LimitUnit::ConcurrentRequests };
    if window.value == Duration::ZERO {
        window.error(report, PV_LIMIT, "`window` is 0", "use a window such as `1m`");
        good = false;
    }
    let most = limit.limit.value.0.get().saturating_mul(10);
    if let Some(burst) = limit.burst.as_ref().filter(|burst| burst.value.0.get() > most) {
        let (burst_units, limit_units) = (burst.value.0, limit.limit.value.0);
        let message = format!("`burst` is {burst_units}, more than ten times the `limit` of {limit_units}");
        burst.error(report, PV_LIMIT, message, format!("use a burst of at most {most}, or raise the limit"));
        good = false;
    }
    if good && refill(limit, window.value) > LONGEST_REFILL {
        let message = "a burst would take more than ten years to come back";
        window.error(report, PV_LIMIT, message, "use a shorter window, a smaller burst or a larger limit");
        good = false;
    }
    good
}

/// How long a spent burst takes to come back, in nanoseconds.
fn refill(limit: &manifest::RateLimit, window: Duration) -> u128 {
    let burst = window.as_nanos().saturating_mul(u128::from(burst_of(limit)));
    burst.div_ceil(u128::from(limit.limit.value.0.get())).max(window.as_nanos())
}

/// Whether a caller cannot have as many budgets as it likes.
fn binds(limit: &RateLimit) -> bool {
    !limit.key.iter().any(|key| matches!(key, LimitKey::Header(_)))
}

fn headers<'m>(
    access: &mut Access,
    set: &mut BTreeMap<String, (String, &'m Manifest)>,
    manifest: &'m Manifest,
    written: &manifest::ResponseHeaders,
    report: &mut Report,
) {
    for name in &written.remove {
        let name = name.as_str().to_ascii_lowercase();
        if !access.response_remove.contains(&name) {
            access.response_remove.push(name);
        }
    }
    let Some(headers) = &written.set else { return };
    for (name, value) in &headers.value {
        let name = name.as_str().to_ascii_lowercase();
        if name.starts_with("access-control-") {
            let message = format!("`{name}` says which sites may read, and that is said by `cors`");
            value.error(report, PV_SHAPE, message, "remove it, and write `cors`");
            continue;
        }
        if OURS.contains(&name.as_str()) {
            value.error(report, PV_SHAPE, format!("`{name}` is the proxy's own header"), "remove it from `set`");
            continue;
        }
        match set.get(&name) {
            Some((other, by)) if other != value.as_str() => {
                let message = format!("{} sets `{name}` to another value", by.id);
                value.error(report, PV_CONFLICT, message, "set it in one manifest only");
            }
            Some(_) => {}
            None => {
                set.insert(name, (value.as_str().to_owned(), manifest));
            }
        }
    }
}

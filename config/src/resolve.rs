//! From what was written to what runs: targets are resolved, everything attached to one place is merged, and what is
//! unsafe is refused. All problems of a load are in one report.

mod accepted;
mod access;
mod attach;
mod audit;
mod authz;
mod blind;
mod browser;
mod challenge;
mod content;
mod contracts;
mod cors;
mod cover;
mod ddos;
mod effective;
mod exceptions;
mod forwarding;
mod identity;
mod keys;
mod lists;
mod material;
mod names;
mod network;
mod outbound;
mod posture;
mod prompts;
mod schemas;
mod secrets;
mod signature;
mod subjects;
mod tenancy;
mod tls;
mod traffic;
mod trial;
mod txn;
mod upstream;
mod workload;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use aws_lc_rs::digest;

use crate::bootstrap::RouteSpec;
use crate::manifest::{CredentialRef, Parsed};
use crate::{
    Bootstrap, Digest, EffectivePolicy, LaterRoute, ManifestRef, Report, Route, Snapshot, Waived, load_bootstrap,
    load_manifests,
};
use attach::Attachments;
pub use effective::{EffectiveField, EffectiveValue, Nature, effective};

/// A set that loads.
#[derive(Debug)]
pub struct Loaded {
    pub snapshot: Snapshot,
    /// Problems that do not stop a load.
    pub warnings: Report,
    /// The bootstrap file, the folder of manifests and every file in it: a change of one means a reload.
    pub files: Vec<PathBuf>,
}

/// Reads and resolves the bootstrap file at `path` and its manifests. `now` in Unix seconds.
///
/// # Errors
/// Every problem of the whole set, warnings included.
pub fn load(path: &Path, now: i64) -> Result<Loaded, Report> {
    let mut report = Report::new();
    let Some(bootstrap) = load_bootstrap(path, &mut report) else { return Err(report) };
    let settings = &bootstrap.spec.manifests;
    let folder = settings.path.0.clone();
    let parsed = load_manifests(&folder, *settings.recursive, &bootstrap.manifest_rules(), &mut report);
    let snapshot = resolve(&bootstrap, &parsed, now, &mut report);
    match snapshot {
        Some(snapshot) if !report.has_errors() => {
            let mut files: Vec<PathBuf> = vec![path.to_owned(), folder];
            files.extend(parsed.manifests.iter().map(|manifest| bootstrap.base.join(&*manifest.file)));
            let routes = snapshot.routes.iter();
            files.extend(routes.flat_map(|route| &route.policy.access.contracts).map(|contract| contract.file.clone()));
            let versions = || {
                let routes = snapshot.routes.iter();
                routes.flat_map(|route| std::iter::once(route).chain(route.later.iter().map(|later| &later.route)))
            };
            let detectors = versions().flat_map(|route| &route.policy.data.detectors);
            files.extend(detectors.filter_map(|one| one.kind.file()).map(Path::to_owned));
            let layers = versions().flat_map(|route| &route.policy.runtime.prompts.layers);
            files.extend(layers.map(|layer| layer.file.clone()));
            let schemas = versions().flat_map(|route| &route.policy.runtime.output.schemas);
            files.extend(schemas.map(|schema| schema.value.schema.file.clone()));
            files.sort();
            files.dedup();
            Ok(Loaded { snapshot, warnings: report, files })
        }
        _ => Err(report),
    }
}

/// Resolves a bootstrap and its manifests. `None` where something is missing without which nothing can be built; also
/// where it is `Some`, the set loads only if `report` has no errors.
pub fn resolve(bootstrap: &Bootstrap, parsed: &Parsed, now: i64, report: &mut Report) -> Option<Snapshot> {
    let mut attached = Attachments::find(bootstrap, parsed, now, report);
    attached.apis = Rc::new(contracts::Apis::read(bootstrap, &attached, report));
    contracts::check(bootstrap, &attached, report);
    attached.lists = Rc::new(lists::Lists::read(bootstrap, &attached, report));
    attached.prompts = Rc::new(prompts::Texts::read(bootstrap, &attached, report));
    attached.schemas = Rc::new(schemas::Schemas::read(bootstrap, &attached, report));
    let keys = keys::Keys::find(&attached, report);
    names::check(&attached, report);
    trial::check(&attached, now, report);
    workload::check(&attached, report);
    content::revise::check(bootstrap, &attached, report);
    let mut upstreams = upstream::all(bootstrap, &attached, report);
    secrets::add(&mut upstreams, &attached, report);
    for (index, upstream) in upstreams.iter_mut().enumerate() {
        upstream.egress = network::of_upstream(&attached, index);
    }
    let listeners = traffic::listeners(bootstrap, &attached, report);
    ddos::check(bootstrap, &attached, report);
    network::check(bootstrap, &attached, listeners.as_deref(), &upstreams, report);
    let manifests = manifest_refs(parsed);
    traffic::check_routes(bootstrap, report);
    outbound::check(bootstrap, report);
    forwarding::check(bootstrap, &attached, &upstreams, report);
    let routes = routes(bootstrap, &attached, &keys, &manifests, now, report);
    browser::check(&attached, &routes, report);
    txn::check(bootstrap, &attached, &routes, report);
    blind::check(bootstrap, &attached, &routes, report);
    challenge::check(bootstrap, &attached, &routes, report);
    posture::check(bootstrap, &attached, &routes, report);
    let certificates = accepted::Certificates::of(listeners.as_deref());
    accepted::check(&attached, &bootstrap.spec.routes, &routes, certificates, report);
    material::check_uses(bootstrap, &attached, report);
    let audit = audit::log(bootstrap, &attached, &keys, report);
    if !report.has_errors() {
        attached.exceptions.warn(now, report);
    }
    Some(Snapshot {
        digest: digest_of(bootstrap, &manifests, &attached),
        manifests,
        gateway: bootstrap.spec.gateway.name.as_str().to_owned(),
        drain: *bootstrap.spec.gateway.drain,
        trusted_proxies: traffic::trusted_proxies(bootstrap),
        state_dir: bootstrap.spec.state.dir.0.clone(),
        shared: bootstrap.spec.shared.as_ref().map(|shared| crate::SharedStore {
            place: shared.redis.value.clone(),
            user: shared.user.as_ref().map(|user| user.as_str().to_owned()),
            auth: shared.auth_from.as_ref().map(|auth| auth.value.clone()),
            ca: shared.ca_from.as_ref().map(|ca| ca.value.clone()),
            lease: *shared.lease,
        }),
        health: bootstrap.spec.admin.health.as_ref().map(|health| health.value.0),
        listeners: listeners?,
        max_connections: ddos::most_connections(&attached),
        ingress: network::of_gateway(&attached),
        harden: workload::harden(&attached),
        own_egress: network::of_own_calls(&attached),
        upstreams,
        routes: routes.into_iter().collect::<Option<_>>()?,
        audit: audit?,
        published_keys: keys.published(),
        token_key: keys.of_tokens(report),
        exceptions: attached.exceptions.snapshot(),
    })
}

/// `None` for a route that has problems without which nothing can be said about it.
fn routes(
    bootstrap: &Bootstrap,
    attached: &Attachments<'_>,
    keys: &keys::Keys<'_>,
    manifests: &[ManifestRef],
    now: i64,
    report: &mut Report,
) -> Vec<Option<Route>> {
    let specs = bootstrap.spec.routes.iter().enumerate();
    specs
        .map(|(index, spec)| {
            let mut at = |moment: i64| {
                let mut policy = policy(bootstrap, attached, manifests, index, spec, moment, report);
                if let Some(policy) = &mut policy {
                    browser::add(attached, keys, index, spec, &mut policy.identity, report);
                    policy.txn_tokens = txn::of_route(attached, keys, index, policy.token_forwarding, report);
                }
                let identity = policy.as_ref().map(|policy| &policy.identity);
                let tenancy = tenancy::of_route(attached, index, spec, identity, report);
                traffic::route(bootstrap, spec, tenancy, policy?)
            };
            let route = at(now);
            let later = trial::ends(attached, index, now)
                .into_iter()
                .map(|(from, manifests)| Some(LaterRoute { from, route: at(from)?, manifests }));
            let later: Option<Vec<LaterRoute>> = later.collect();
            Some(Route { later: later?, ..route? })
        })
        .collect()
}

/// The effective policy of one route as of `moment`: what is on trial until later counts as absent.
fn policy(
    bootstrap: &Bootstrap,
    all: &Attachments<'_>,
    manifests: &[ManifestRef],
    route: usize,
    spec: &RouteSpec,
    moment: i64,
    report: &mut Report,
) -> Option<EffectivePolicy> {
    let attached = &all.acting(moment);
    // All of them, so that all their problems are told.
    let mut waived = Vec::new();
    let identity = identity::merge(attached, route, spec, &mut waived, report);
    let providers = identity.as_ref().map(|identity| identity.providers.as_slice());
    let (authz, trials) = trial::authz(all, route, moment, report, |attached, report| {
        authz::merge(attached, route, providers, moment, report)
    });
    let access = access::merge(attached, route, spec, bootstrap.spec.shared.is_some(), &mut waived, report);
    let challenges = challenge::merge(attached, route, spec, identity.as_ref(), report);
    let data = content::data(bootstrap, attached, route, spec, &mut waived, report);
    let runtime = content::runtime(attached, route, spec, data.hold_back, &mut waived, report);
    let upstream = bootstrap
        .spec
        .upstreams
        .iter()
        .position(|upstream| spec.upstream.as_ref().is_some_and(|own| own.value == upstream.name.value));
    let network = network::of_route(attached, route, upstream);
    let guards = ddos::of_route(bootstrap, attached, route, spec);
    waived.extend(audit::check_route(attached, route, spec, report));
    waived.sort();
    waived.dedup();
    let token_forwarding = forwarding::merge(attached, route, report);
    let coverage = crate::Coverage::default();
    let identity = identity?;
    let (posture, postures) = posture::of_route(attached, spec);
    let beside = exceptions(&waived, &identity, &authz).chain(postures.iter().map(String::as_str));
    let manifests = all.indices(route, manifests, beside);
    let mut policy = EffectivePolicy {
        identity,
        token_forwarding,
        txn_tokens: None,
        challenges,
        posture,
        access,
        authz,
        trials,
        data,
        runtime,
        models: workload::models(attached, route, spec.dialect.value),
        leaks: upstream.and_then(|upstream| secrets::leaks(attached, upstream)),
        network,
        guards,
        waived,
        coverage,
        manifests,
    };
    traffic::check_relayed(spec, &policy, report);
    signature::check_streamed(attached, route, spec, &policy.identity, report);
    outbound::check_tunnel(spec, &policy, report);
    policy.coverage = cover::coverage(&policy, spec.dialect.value, spec.upstream.is_none());
    Some(policy)
}

/// Every exception that the policy of a route hangs on.
fn exceptions<'p>(
    waived: &'p [Waived],
    identity: &'p crate::Identity,
    authz: &'p crate::Authz,
) -> impl Iterator<Item = &'p str> {
    let unbound = identity.providers.iter().filter_map(|provider| provider.kind.unbound());
    let grants = authz.roles.iter().flat_map(|role| &role.permissions).filter_map(|granted| granted.waived.as_ref());
    let rules = authz.rules.iter().filter_map(|rule| rule.waived.as_ref());
    waived.iter().chain(unbound).chain(grants).chain(rules).map(|waived| &*waived.exception)
}

fn manifest_refs(parsed: &Parsed) -> Vec<ManifestRef> {
    let mut refs: Vec<ManifestRef> = parsed
        .manifests
        .iter()
        .map(|manifest| ManifestRef {
            kind: manifest.id.kind.as_str().to_owned(),
            namespace: manifest.id.namespace.clone(),
            name: manifest.id.name.clone(),
            digest: manifest.digest,
            file: manifest.file.to_string(),
        })
        .collect();
    // What they say decides as much as what a manifest says.
    refs.extend(parsed.credentials.iter().map(|credential| ManifestRef {
        kind: CredentialRef::KIND.to_owned(),
        namespace: credential.namespace.clone(),
        name: credential.name.clone(),
        digest: credential.digest,
        file: credential.file.to_string(),
    }));
    refs.sort();
    refs
}

/// The same set has the same digest, however its files are named and ordered.
fn digest_of(bootstrap: &Bootstrap, manifests: &[ManifestRef], attached: &Attachments<'_>) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(bootstrap.canonical.as_bytes());
    for manifest in manifests {
        for part in [&manifest.kind, &manifest.namespace, &manifest.name] {
            context.update(&[0]);
            context.update(part.as_bytes());
        }
        context.update(&manifest.digest);
    }
    let files = attached.apis.digests().into_iter().chain(attached.lists.digests());
    for file in files.chain(attached.prompts.digests()).chain(attached.schemas.digests()) {
        context.update(&file);
    }
    let mut out = Digest::default();
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

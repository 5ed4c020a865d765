//! `cors` of all manifests of a route: what each of them allows.

use std::time::Duration;

use crate::decode::At;
use crate::manifest;
use crate::{Code, Cors, CrossSite, Origins, Report};

const PV_BLIND: Code = Code(25);

/// As strict as both.
pub(super) fn tighten(merged: Option<Cors>, written: &manifest::Cors) -> Cors {
    let one = of(written);
    let Some(before) = merged else { return one };
    let both = |a: Vec<String>, b: &[String]| a.into_iter().filter(|item| b.contains(item)).collect::<Vec<_>>();
    Cors {
        origins: match (before.origins, one.origins) {
            (Origins::Any, other) | (other, Origins::Any) => other,
            (Origins::These(a), Origins::These(b)) => Origins::These(both(a, &b)),
        },
        methods: both(before.methods, &one.methods),
        headers: both(before.headers, &one.headers),
        credentials: before.credentials && one.credentials,
        max_age: before.max_age.min(one.max_age),
    }
}

fn of(written: &manifest::Cors) -> Cors {
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list.dedup();
        list
    };
    let origins = written.origins.iter().map(|origin| match &origin.value {
        manifest::CorsOrigin::Any => None,
        manifest::CorsOrigin::One(origin) => Some(origin.as_str().to_owned()),
    });
    Cors {
        origins: origins.collect::<Option<Vec<_>>>().map_or(Origins::Any, |origins| Origins::These(sorted(origins))),
        methods: sorted(written.methods.iter().map(|method| method.as_str().to_owned()).collect()),
        headers: sorted(written.headers.iter().map(|name| name.as_str().to_owned()).collect()),
        credentials: *written.credentials,
        max_age: Duration::from_secs(written.max_age.as_secs()),
    }
}

/// Methods that change something are let through by both gates, or by none.
pub(super) fn check(cors: &At<manifest::Cors>, cross_site: &CrossSite, route: &str, report: &mut Report) {
    let Some(method) = cors.methods.iter().find(|method| !matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS")) else {
        return;
    };
    let passes = match (of(cors).origins, cross_site) {
        (_, CrossSite::Deny) => false,
        (Origins::Any, CrossSite::AllowOrigins(_)) => true,
        (Origins::These(origins), CrossSite::AllowOrigins(allowed)) => {
            origins.iter().any(|origin| allowed.contains(origin))
        }
    };
    if !passes {
        let message = format!(
            "`cors` lets other sites use {}, and `crossSite` refuses them all on route `{route}`",
            method.as_str()
        );
        let help = "remove the method, or name the origins in `crossSite: {type: AllowOrigins, …}` too";
        method.error(report, PV_BLIND, message, help);
    }
}

//! `mode: Audit`: what is merged without it, and what from the moment on at which it acts.

use std::collections::BTreeSet;

use super::attach::Attachments;
use crate::manifest::Manifest;
use crate::values::Time;
use crate::{Authz, AuthzTrial, Code, Report};

const PV_TRIAL: Code = Code(3);

/// 30 days.
const LONGEST: i64 = 30 * 86_400;

/// `now` in unix seconds: how far an end may lie ahead counts from the load.
pub(super) fn check(attached: &Attachments<'_>, now: i64, report: &mut Report) {
    for manifest in attached.manifests() {
        let Some(until) = &manifest.common.trial else { continue };
        let latest = now.saturating_add(LONGEST);
        if until.value.0 > latest {
            let message = format!("{} is in `mode: Audit` for more than 30 days from now", manifest.id);
            let help = format!("use a moment until {}, and look at what it would do until then", Time(latest));
            until.error(report, PV_TRIAL, message, help);
        } else if until.value.0 <= now {
            let message = format!("the trial of {} has ended: it acts", manifest.id);
            until.warning(report, PV_TRIAL, message, "remove `mode` and `modeUntil`");
        }
    }
}

/// Authorization as it is now, and as it will be from each end of a trial on.
pub(super) fn authz(
    attached: &Attachments<'_>,
    route: usize,
    now: i64,
    report: &mut Report,
    merge: impl Fn(&Attachments<'_>, &mut Report) -> Authz,
) -> (Authz, Vec<AuthzTrial>) {
    let tried = |(_, manifest): &(_, &Manifest)| {
        let until = manifest.common.trial.as_ref()?.value.0;
        (until > now).then(|| (until, manifest.id.to_string()))
    };
    let tried: BTreeSet<(i64, String)> = attached.on_route(route).iter().filter_map(tried).collect();
    if tried.is_empty() {
        return (merge(attached, report), Vec::new());
    }
    let first = merge(&attached.acting(now), report);
    let ends: BTreeSet<i64> = tried.iter().map(|(until, _)| *until).collect();
    let later = ends.into_iter().map(|from| AuthzTrial {
        from,
        authz: merge(&attached.acting(from), report),
        manifests: tried.iter().filter(|(until, _)| *until == from).map(|(_, id)| id.clone()).collect(),
    });
    (first, later.collect())
}

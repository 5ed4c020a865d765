//! Exceptions: what a `Policy` allows against the rules, where, and until when.

use std::cell::Cell;
use std::sync::Arc;

use super::attach::{Place, place_of};
use crate::decode::At;
use crate::manifest::{ExceptionSpec, Manifest, Spec, TargetKind};
use crate::values::Time;
use crate::{Bootstrap, Code, Exception, Report, Waived, Waiver};

const PV_EXCEPTION: Code = Code(6);
const PV_BLIND: Code = Code(25);

/// 90 days.
const LONGEST: i64 = 90 * 86_400;

/// All exceptions of a set.
#[derive(Debug, Default)]
pub(super) struct Exceptions<'m> {
    all: Vec<One<'m>>,
}

#[derive(Debug)]
struct One<'m> {
    exception: Exception,
    places: Vec<Place>,
    written: &'m At<ExceptionSpec>,
    /// Something is as it is because of it.
    used: Cell<bool>,
}

impl<'m> Exceptions<'m> {
    /// `now` in unix seconds: how far an end may lie ahead counts from the load.
    pub(super) fn find(
        bootstrap: &Bootstrap,
        manifests: impl Iterator<Item = &'m Manifest>,
        now: i64,
        report: &mut Report,
    ) -> Self {
        let mut all: Vec<One<'m>> = Vec::new();
        for manifest in manifests {
            let Spec::Policy(policy) = &manifest.spec else { continue };
            for written in &policy.exceptions {
                let id: Arc<str> = Arc::from(format!("{}#{}", manifest.id, written.name.as_str()));
                check_end(written, now, report);
                let places: Vec<(Place, String)> = places(bootstrap, written, report);
                let exception = Exception {
                    id,
                    allow: written.allow.value,
                    targets: places.iter().map(|(_, name)| name.clone()).collect(),
                    reason: written.reason.value.clone(),
                    owner: written.owner.value.clone(),
                    approved_by: written.approved_by.as_ref().map(|who| who.value.clone()),
                    until: written.until.value.0,
                };
                let places = places.into_iter().map(|(place, _)| place).collect();
                all.push(One { exception, places, written, used: Cell::new(false) });
            }
        }
        Self { all }
    }

    /// The exception that allows `what` at `place`: of several the one that ends last.
    pub(super) fn at(&self, what: Waiver, place: Place) -> Option<Waived> {
        let found = self.all.iter().filter(|one| one.exception.allow == what && one.places.contains(&place));
        let last =
            found.inspect(|one| one.used.set(true)).max_by_key(|one| (one.exception.until, &one.exception.id))?;
        Some(Waived { what, exception: Arc::clone(&last.exception.id), until: last.exception.until })
    }

    /// Says which exceptions have ended, and which allow nothing.
    pub(super) fn warn(&self, now: i64, report: &mut Report) {
        for one in &self.all {
            let name = one.written.name.as_str();
            if !one.used.get() {
                let message =
                    format!("exception `{name}` allows nothing: {} is not raised there", one.exception.allow.code());
                one.written.allow.warning(report, PV_BLIND, message, "remove it");
            } else if one.exception.has_ended(now.saturating_mul(1000)) {
                let message = format!("exception `{name}` has ended: what it allowed is refused");
                let help = "correct what it was for and remove it, or agree on another `until`";
                one.written.until.warning(report, PV_EXCEPTION, message, help);
            }
        }
    }

    /// All that may be in force, in the order of their manifests.
    pub(super) fn snapshot(&self) -> Vec<Exception> {
        self.all.iter().map(|one| one.exception.clone()).collect()
    }
}

fn check_end(written: &ExceptionSpec, now: i64, report: &mut Report) {
    let latest = now.saturating_add(LONGEST);
    if written.until.value.0 > latest {
        let message = format!("exception `{}` ends more than 90 days from now", written.name.as_str());
        let help = format!("use a moment until {}, and look at it again then", Time(latest));
        written.until.error(report, PV_EXCEPTION, message, help);
    }
}

/// What the exception is for, each with a name to show.
fn places(bootstrap: &Bootstrap, written: &ExceptionSpec, report: &mut Report) -> Vec<(Place, String)> {
    let mut found: Vec<(Place, String)> = Vec::new();
    for reference in written.target_refs.iter() {
        let Some(place) = place_of(bootstrap, reference, report) else { continue };
        let Some(wanted) = wanted(written.allow.value, place) else {
            let name = match place {
                Place::Gateway => format!("Gateway {}", reference.name.as_str()),
                Place::Listener(_) => {
                    let listener = reference.section_name.as_ref().map_or("", |section| section.as_str());
                    format!("listener {listener}")
                }
                _ => format!("{} {}", reference.kind.value, reference.name.as_str()),
            };
            if !found.iter().any(|(other, _)| *other == place) {
                found.push((place, name));
            }
            continue;
        };
        let what = match (reference.kind.value, &reference.section_name) {
            (TargetKind::Gateway, Some(_)) => "a listener",
            (TargetKind::Gateway, None) => "a whole Gateway",
            (TargetKind::Route, _) => "a Route",
            (TargetKind::Upstream, _) => "an Upstream",
        };
        let message = format!("`{}` cannot be waived for {what}", written.allow.code());
        reference.error(report, PV_EXCEPTION, message, wanted);
    }
    found
}

/// What a refusal can be waived for, where that is not `place`.
fn wanted(what: Waiver, place: Place) -> Option<&'static str> {
    let (fits, wanted) = match what {
        Waiver::Anonymous
        | Waiver::UnboundTokens
        | Waiver::Unguarded
        | Waiver::Unseen
        | Waiver::Unaudited
        | Waiver::Unlimited => (matches!(place, Place::Route(_)), "name the routes: `{kind: Route, name: …}`"),
        Waiver::WideGrant => {
            (place == Place::Gateway, "name the gateway that the permit is for: `{kind: Gateway, name: …}`")
        }
        Waiver::CredentialInUrl => {
            (matches!(place, Place::Upstream(_)), "name the upstreams: `{kind: Upstream, name: …}`")
        }
        Waiver::Plaintext | Waiver::UnknownRevocation => (
            matches!(place, Place::Listener(_) | Place::Upstream(_)),
            "name the listener, `{kind: Gateway, name: …, sectionName: …}`, or the upstream, `{kind: Upstream, name: …}`",
        ),
    };
    (!fits).then_some(wanted)
}

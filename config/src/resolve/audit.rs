//! AuditPolicy: the one log of the process.

use std::time::Duration;

use super::attach::{Attachments, Place, of, tighten};
use super::keys::Keys;
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, KeyPurpose, Kind, Manifest, Spec};
use crate::{AuditLog, Bootstrap, Code, Report, Waived, Waiver};

const PV_SHAPE: Code = Code(2);
const PV_CONFLICT: Code = Code(5);
const PV_UNAUDITED: Code = Code(60);

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// A route nobody writes down does not load, but for an exception.
pub(super) fn check_route(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    report: &mut Report,
) -> Option<Waived> {
    if of!(attached.on_route(route), AuditPolicy).next().is_some() || attached.may_miss(Kind::AuditPolicy) {
        return None;
    }
    attached.waive(Waiver::Unaudited, Place::Route(route), || {
        let message = format!("route `{}` has no AuditPolicy", spec.name.as_str());
        spec.name.error(report, PV_UNAUDITED, message, "attach an AuditPolicy to the gateway");
    })
}

/// The process has one log: every AuditPolicy that describes it must describe the same one.
pub(super) fn log(
    bootstrap: &Bootstrap,
    attached: &Attachments<'_>,
    keys: &Keys<'_>,
    report: &mut Report,
) -> Option<AuditLog> {
    let mut chosen: Option<(&Manifest, &At<manifest::Integrity>)> = None;
    let mut redact: Vec<String> = Vec::new();
    let mut seen: Option<&Manifest> = None;
    let mut interval = None;
    for manifest in attached.manifests() {
        let Spec::AuditPolicy(policy) = &manifest.spec else { continue };
        seen = Some(manifest);
        redact.extend(policy.redact.iter().map(|target| target.value.0.clone()));
        let Some(integrity) = &policy.integrity else { continue };
        let written = integrity.checkpoint_interval.written();
        if let Some(zero) = written.filter(|interval| interval.is_zero()) {
            zero.error(report, PV_SHAPE, "`checkpointInterval` is 0", "use an interval such as `10s`");
        }
        tighten(&mut interval, written.map(|interval| interval.value), Duration::min);
        match chosen {
            None => chosen = Some((manifest, integrity)),
            Some((other, same)) => same_log(other, same, integrity, report),
        }
    }
    redact.sort();
    redact.dedup();
    let Some((_, integrity)) = chosen else {
        no_log(bootstrap, attached, seen, report);
        return None;
    };
    Some(AuditLog {
        origin: integrity.origin.as_str().to_owned(),
        key: keys.get(attached, &integrity.key_name, KeyPurpose::AuditSigning, report)?,
        checkpoint_interval: interval.unwrap_or(DEFAULT_INTERVAL),
        dir: bootstrap.spec.state.dir.0.join("audit"),
        redact,
    })
}

fn same_log(other: &Manifest, same: &manifest::Integrity, integrity: &At<manifest::Integrity>, report: &mut Report) {
    for (a, b, field) in [
        (same.origin.as_str(), integrity.origin.as_str(), "origin"),
        (same.key_name.as_str(), integrity.key_name.as_str(), "keyName"),
    ] {
        if a != b {
            let message = format!("{} has another `{field}`, and the process has one log", other.id);
            integrity.error(report, PV_CONFLICT, message, "write `integrity` in one AuditPolicy");
        }
    }
}

fn no_log(bootstrap: &Bootstrap, attached: &Attachments<'_>, seen: Option<&Manifest>, report: &mut Report) {
    if attached.may_miss(Kind::AuditPolicy) {
        return;
    }
    // Without any AuditPolicy, every route says so already, but for those with an exception. The process has its log anyway.
    if let Some(manifest) = seen {
        let help =
            "add `integrity: {origin: log.example.com/edge, keyName: ...}` and a KeyManagementPolicy with the key";
        manifest.error(report, PV_UNAUDITED, "no AuditPolicy says how tampering would show", help);
    } else if (0..bootstrap.spec.routes.len())
        .all(|route| attached.exceptions.at(Waiver::Unaudited, Place::Route(route)).is_some())
    {
        bootstrap.spec.gateway.name.error(report, PV_UNAUDITED, "there is no AuditPolicy", "attach one to the gateway");
    }
}

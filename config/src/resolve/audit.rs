//! AuditPolicy and KeyManagementPolicy: the one log of the process and the key that signs it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attach::{Attachments, Place, listed, of, tighten};
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, KeySource, Kind, Manifest, Spec};
use crate::{AuditKey, AuditLog, Bootstrap, Code, Report, Waived, Waiver};

const PV_SHAPE: Code = Code(2);
const PV_TARGET: Code = Code(4);
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
pub(super) fn log(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) -> Option<AuditLog> {
    let keys = keys(attached, report);
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
        key: key(attached, &keys, integrity, report)?,
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

type Keys<'m> = BTreeMap<&'m str, (&'m Manifest, &'m manifest::KeySpec)>;

fn key(
    attached: &Attachments<'_>,
    keys: &Keys<'_>,
    integrity: &manifest::Integrity,
    report: &mut Report,
) -> Option<AuditKey> {
    let name = integrity.key_name.as_str();
    let Some((_, key)) = keys.get(name) else {
        if !attached.may_miss(Kind::KeyManagementPolicy) {
            let known: Vec<&str> = keys.keys().copied().collect();
            let message = format!("no KeyManagementPolicy has a key `{name}`");
            let help = format!("add one with `purpose: AuditSigning`; the keys are {}", listed(&known));
            integrity.key_name.error(report, PV_TARGET, message, help);
        }
        return None;
    };
    Some(made_from(name, key))
}

fn made_from(name: &str, key: &manifest::KeySpec) -> AuditKey {
    match &key.source.value {
        KeySource::Generate(_) => AuditKey::Generate { name: name.to_owned() },
        KeySource::Material(material) => {
            AuditKey::Material { name: name.to_owned(), from: material.from.value.clone() }
        }
    }
}

/// Union by name: the same name with another content is a conflict.
fn keys<'m>(attached: &Attachments<'m>, report: &mut Report) -> Keys<'m> {
    let mut keys = Keys::new();
    for manifest in attached.manifests() {
        let Spec::KeyManagementPolicy(policy) = &manifest.spec else { continue };
        for key in &policy.keys.value {
            let name = key.name.as_str();
            match keys.get(name) {
                Some((other, same)) => {
                    // Purpose and algorithm have one word each in this version.
                    if format!("{:?}", made_from(name, same)) != format!("{:?}", made_from(name, key)) {
                        let message = format!("key `{name}` is defined differently by {}", other.id);
                        key.name.error(report, PV_CONFLICT, message, "rename one of them");
                    }
                }
                None => {
                    keys.insert(name, (manifest, &key.value));
                }
            }
        }
    }
    keys
}

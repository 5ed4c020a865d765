//! AuditPolicy and KeyManagementPolicy: the one log of the process and the key that signs it. Also: one piece of
//! material serves one purpose.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attach::{Attachments, listed, of};
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, CertificateSource, KeySource, Manifest, Spec};
use crate::{AuditKey, AuditLog, Bootstrap, Code, Material, Report};

const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_UNAUDITED: Code = Code(60);
const PV_REUSE: Code = Code(91);

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// A route nobody writes down does not load.
pub(super) fn check_route(attached: &Attachments<'_>, route: usize, spec: &RouteSpec, report: &mut Report) {
    if of!(attached.on_route(route), AuditPolicy).next().is_none() {
        let message = format!("route `{}` has no AuditPolicy", spec.name.as_str());
        spec.name.error(report, PV_UNAUDITED, message, "attach an AuditPolicy to the gateway");
    }
}

/// The process has one log: every AuditPolicy that describes it must describe the same one.
pub(super) fn log(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) -> Option<AuditLog> {
    let mut chosen: Option<(&Manifest, &At<manifest::Integrity>)> = None;
    let mut redact: Vec<String> = Vec::new();
    let mut seen: Option<&Manifest> = None;
    let mut interval = None;
    for (_, manifest, policy) in of!(attached.all().iter().copied(), AuditPolicy) {
        if seen.is_some_and(|seen| seen.id == manifest.id) {
            continue;
        }
        seen = Some(manifest);
        redact.extend(policy.redact.iter().map(|target| target.value.0.clone()));
        if policy.sinks.is_empty() {
            policy.sinks.error(
                report,
                PV_UNAUDITED,
                "`sinks` is empty, so nothing is kept",
                "add `{name: local, type: File}`",
            );
        }
        let Some(integrity) = &policy.integrity else { continue };
        super::attach::tighten(&mut interval, integrity.checkpoint_interval.written().map(|i| i.value), Duration::min);
        match chosen {
            None => chosen = Some((manifest, integrity)),
            Some((other, same)) => {
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
        }
    }
    let Some((manifest, integrity)) = chosen else {
        if let Some(manifest) = seen {
            let help =
                "add `integrity: {origin: log.example.com/edge, keyName: ...}` and a KeyManagementPolicy with the key";
            manifest.error(report, PV_UNAUDITED, "no AuditPolicy says how tampering would show", help);
        } else {
            bootstrap.spec.gateway.name.error(
                report,
                PV_UNAUDITED,
                "there is no AuditPolicy",
                "attach one to the gateway",
            );
        }
        return None;
    };
    redact.sort();
    redact.dedup();
    Some(AuditLog {
        origin: integrity.origin.as_str().to_owned(),
        key: key(attached, manifest, integrity, report)?,
        checkpoint_interval: interval.unwrap_or(DEFAULT_INTERVAL),
        dir: bootstrap.spec.state.dir.0.join("audit"),
        redact,
    })
}

fn key(
    attached: &Attachments<'_>,
    _manifest: &Manifest,
    integrity: &manifest::Integrity,
    report: &mut Report,
) -> Option<AuditKey> {
    let keys = keys(attached, report);
    let name = integrity.key_name.as_str();
    let Some(key) = keys.get(name) else {
        let known: Vec<&str> = keys.keys().copied().collect();
        let message = format!("no KeyManagementPolicy has a key `{name}`");
        let help = format!("add one with `purpose: AuditSigning`; the keys are {}", listed(&known));
        integrity.key_name.error(report, PV_TARGET, message, help);
        return None;
    };
    Some(match &key.source.value {
        KeySource::Generate(_) => AuditKey::Generate { name: name.to_owned() },
        KeySource::Material(material) => {
            AuditKey::Material { name: name.to_owned(), from: material.from.value.clone() }
        }
    })
}

fn keys<'m>(attached: &Attachments<'m>, report: &mut Report) -> BTreeMap<&'m str, &'m manifest::KeySpec> {
    let mut keys: BTreeMap<&str, &manifest::KeySpec> = BTreeMap::new();
    for (_, manifest, policy) in of!(attached.all().iter().copied(), KeyManagementPolicy) {
        for key in &policy.keys.value {
            if keys.insert(key.name.as_str(), &key.value).is_some() {
                let message = format!("another key is named `{}`", key.name.as_str());
                key.name.error(
                    report,
                    PV_CONFLICT,
                    message,
                    format!("rename one of them; this one is in {}", manifest.id),
                );
            }
        }
    }
    keys
}

/// Where a secret goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    purpose: String,
}

/// One piece of secret material serves one purpose and is sent to one host (PV-091).
pub(super) fn check_material_uses(attached: &Attachments<'_>, report: &mut Report) {
    let mut uses: BTreeMap<Material, Use> = BTreeMap::new();
    for (place, manifest) in attached.all() {
        match &manifest.spec {
            Spec::CertificatePolicy(policy) => {
                for identity in &policy.identities {
                    let CertificateSource::Files(files) = &identity.source.value;
                    note(&mut uses, &files.key_from, "the key of a certificate".to_owned(), report);
                }
            }
            Spec::SecretManagement(policy) => {
                for credential in &policy.credentials {
                    let purpose = format!("a credential for {}", shown(*place));
                    note(&mut uses, &credential.value_from, purpose, report);
                }
            }
            Spec::KeyManagementPolicy(policy) => {
                for key in &policy.keys.value {
                    if let KeySource::Material(material) = &key.source.value {
                        note(&mut uses, &material.from, format!("key `{}`", key.name.as_str()), report);
                    }
                }
            }
            _ => {}
        }
    }
}

fn shown(place: super::attach::Place) -> String {
    match place {
        super::attach::Place::Upstream(index) => format!("upstream {}", index + 1),
        other => format!("{other:?}"),
    }
}

fn note(uses: &mut BTreeMap<Material, Use>, at: &At<Material>, purpose: String, report: &mut Report) {
    match uses.get(&at.value) {
        Some(other) if other.purpose != purpose => {
            let message = format!("`{}` is also used as {}", at.value, other.purpose);
            at.error(report, PV_REUSE, message, "use a piece of material of its own for each purpose and host");
        }
        _ => {
            uses.insert(at.value.clone(), Use { purpose });
        }
    }
}

//! Names within one manifest: records, explanations and other manifests point at list items by name, so a name stands
//! for one item. Names over several manifests are the business of each merge.

use super::attach::Attachments;
use crate::decode::At;
use crate::manifest::{Manifest, Spec};
use crate::values::Name;
use crate::{Code, Report};

const PV_SHAPE: Code = Code(2);

pub(super) fn check(attached: &Attachments<'_>, report: &mut Report) {
    for manifest in attached.manifests() {
        for (what, names) in lists(manifest) {
            unique(&names, what, report);
        }
    }
}

/// Reports every name that stands twice in one list.
pub(super) fn unique(names: &[&At<Name>], what: &str, report: &mut Report) {
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|other| other.as_str() == name.as_str()) {
            let message = format!("two {what} are named `{}`", name.as_str());
            name.error(report, PV_SHAPE, message, "rename one of them");
        }
    }
}

fn lists(manifest: &Manifest) -> Vec<(&'static str, Vec<&At<Name>>)> {
    match &manifest.spec {
        Spec::IamPolicy(policy) => vec![("providers", policy.providers.iter().map(|item| item.name()).collect())],
        Spec::ApiAccessPolicy(policy) => vec![("limits", policy.rate_limits.iter().map(|item| &item.name).collect())],
        Spec::RbacPolicy(policy) => vec![
            ("roles", policy.roles.iter().map(|item| &item.name).collect()),
            ("bindings", policy.bindings.iter().map(|item| &item.name).collect()),
        ],
        Spec::AccessControlPolicy(policy) => vec![("rules", policy.rules.iter().map(|item| &item.name).collect())],
        Spec::CertificatePolicy(policy) => {
            let anchors = policy.trust.iter().flat_map(|trust| &trust.anchors);
            vec![
                ("identities", policy.identities.iter().map(|item| &item.name).collect()),
                ("anchors", anchors.map(|item| &item.name).collect()),
            ]
        }
        Spec::DataProtectionPolicy(policy) => vec![
            ("detectors", policy.detectors.iter().map(|item| item.name()).collect()),
            ("rules", policy.rules.iter().map(|item| &item.name).collect()),
        ],
        Spec::RuntimeSecurityPolicy(policy) => vec![
            ("detectors", policy.detectors.iter().map(|item| item.name()).collect()),
            ("prompt layers", policy.prompt_layers.iter().map(|item| &item.name).collect()),
        ],
        Spec::AuditPolicy(policy) => vec![("sinks", policy.sinks.iter().map(|item| &item.name).collect())],
        Spec::KeyManagementPolicy(policy) => vec![("keys", policy.keys.iter().map(|item| &item.name).collect())],
        Spec::SecretManagement(policy) => {
            vec![("credentials", policy.credentials.iter().map(|item| &item.name).collect())]
        }
        Spec::NetworkPolicy(policy) => {
            let ingress = policy.ingress.iter();
            let allow = ingress.clone().flat_map(|ingress| ingress.allow.iter()).flat_map(|rules| rules.iter());
            let deny = ingress.flat_map(|ingress| &ingress.deny);
            let egress = policy.egress.iter().flat_map(|egress| egress.allow.iter());
            vec![
                ("ingress rules", allow.map(|rule| &rule.name).chain(deny.map(|rule| &rule.name)).collect()),
                ("egress rules", egress.map(|rule| &rule.name).collect()),
                ("zones", policy.zones.iter().map(|zone| &zone.name).collect()),
            ]
        }
        Spec::DdosProtectionPolicy(policy) => vec![("bans", policy.ban.iter().map(|item| &item.name).collect())],
        Spec::Policy(policy) => vec![("exceptions", policy.exceptions.iter().map(|item| &item.name).collect())],
        Spec::EncryptionPolicy(_) | Spec::WorkloadSecurityPolicy(_) => Vec::new(),
    }
}

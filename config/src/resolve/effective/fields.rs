//! Which fields an effective policy has, how each of them merges, and how those with one value are read from what the merge made.

use super::Nature;
use crate::manifest::Kind;
use crate::values::{Size, show_duration};
use crate::{Access, CrossSite, DataProtection, Network, PrivateRanges, Redirects, RequestGuard};

/// What the merge makes of the kinds whose fields have one value.
pub(super) struct Parts {
    pub(super) access: Access,
    pub(super) data: DataProtection,
    pub(super) network: Network,
    pub(super) guard: RequestGuard,
}

/// A field with one value.
pub(super) struct Single {
    pub(super) kind: Kind,
    pub(super) path: &'static [&'static str],
    pub(super) nature: Nature,
    pub(super) read: Read,
}

pub(super) enum Read {
    Any(fn(&Parts) -> Option<String>),
    Guard(fn(&RequestGuard) -> String),
}

impl Read {
    pub(super) fn of(&self, parts: &Parts) -> Option<String> {
        match self {
            Self::Any(read) => read(parts),
            Self::Guard(read) => Some(read(&parts.guard)),
        }
    }
}

const fn guard(path: &'static [&'static str], read: fn(&RequestGuard) -> String) -> Single {
    Single { kind: Kind::DdosProtectionPolicy, path, nature: Nature::Maximum, read: Read::Guard(read) }
}

/// A list, or a list of lists.
pub(super) struct Items {
    pub(super) kind: Kind,
    pub(super) path: &'static [&'static str],
    pub(super) nature: Nature,
}

pub(super) const SINGLES: &[Single] = &[
    Single {
        kind: Kind::ApiAccessPolicy,
        path: &["maxBodySize"],
        nature: Nature::Maximum,
        read: Read::Any(|parts| Some(Size(parts.access.max_body).to_string())),
    },
    Single {
        kind: Kind::ApiAccessPolicy,
        path: &["crossSite"],
        nature: Nature::Demand,
        read: Read::Any(|parts| Some(cross_site(&parts.access.cross_site))),
    },
    Single {
        kind: Kind::DataProtectionPolicy,
        path: &["streaming", "holdBack"],
        nature: Nature::Maximum,
        read: Read::Any(|parts| Some(size(parts.data.hold_back))),
    },
    Single {
        kind: Kind::DataProtectionPolicy,
        path: &["streaming", "stall"],
        nature: Nature::Maximum,
        read: Read::Any(|parts| Some(show_duration(parts.data.stall))),
    },
    Single {
        kind: Kind::NetworkPolicy,
        path: &["egress", "privateRanges"],
        nature: Nature::Demand,
        read: Read::Any(|parts| parts.network.egress.as_ref().map(|egress| private_ranges(egress.private_ranges))),
    },
    Single {
        kind: Kind::NetworkPolicy,
        path: &["egress", "redirects"],
        nature: Nature::Demand,
        read: Read::Any(|parts| parts.network.egress.as_ref().map(|egress| redirects(egress.redirects))),
    },
    guard(&["timeouts", "bodyIdle"], |guard| show_duration(guard.body_idle)),
    guard(&["timeouts", "firstByte"], |guard| show_duration(guard.first_byte)),
    guard(&["timeouts", "streamIdle"], |guard| show_duration(guard.stream_idle)),
    guard(&["timeouts", "streamTotal"], |guard| show_duration(guard.stream_total)),
    guard(&["sizes", "maxHeaders"], |guard| guard.max_headers.to_string()),
    guard(&["sizes", "maxHeaderSize"], |guard| size(guard.max_header_size)),
    guard(&["sizes", "maxBody"], |guard| Size(guard.max_body).to_string()),
    guard(&["sizes", "maxJsonDepth"], |guard| guard.max_json_depth.to_string()),
    guard(&["sizes", "maxSseEvent"], |guard| size(guard.max_sse_event)),
    guard(&["sizes", "maxDecompressionRatio"], |guard| guard.max_decompression_ratio.to_string()),
];

/// Fields that are shown as they were written, with how they merge. With [`SINGLES`] they are all fields that are enforced.
pub(super) const ITEMS: &[Items] = &[
    items(Kind::IamPolicy, &["providers"], Nature::Union),
    items(Kind::IamPolicy, &["assurance"], Nature::Union),
    items(Kind::IamPolicy, &["tenancy"], Nature::Exclusive),
    items(Kind::IamPolicy, &["protectedResource"], Nature::Exclusive),
    items(Kind::IamPolicy, &["tokenForwarding"], Nature::Demand),
    items(Kind::IamPolicy, &["txnTokens"], Nature::Exclusive),
    items(Kind::CertificatePolicy, &["identities"], Nature::Exclusive),
    items(Kind::CertificatePolicy, &["trust", "anchors"], Nature::AllowList),
    items(Kind::CertificatePolicy, &["trust", "names"], Nature::AllowList),
    items(Kind::CertificatePolicy, &["trust", "clientAuth"], Nature::Demand),
    items(Kind::CertificatePolicy, &["trust", "minRsaBits"], Nature::Minimum),
    items(Kind::CertificatePolicy, &["trust", "curves"], Nature::AllowList),
    items(Kind::CertificatePolicy, &["trust", "maxLifetime"], Nature::Maximum),
    items(Kind::CertificatePolicy, &["trust", "revocation"], Nature::Union),
    items(Kind::CertificatePolicy, &["rotation", "reload"], Nature::Demand),
    items(Kind::CertificatePolicy, &["rotation", "warnBefore"], Nature::Minimum),
    items(Kind::CertificatePolicy, &["rotation", "denyAfterExpiry"], Nature::Demand),
    items(Kind::CertificatePolicy, &["forward"], Nature::Exclusive),
    items(Kind::ApiAccessPolicy, &["allow"], Nature::AllowList),
    items(Kind::ApiAccessPolicy, &["authentication"], Nature::AllowList),
    items(Kind::ApiAccessPolicy, &["rateLimits"], Nature::Union),
    items(Kind::ApiAccessPolicy, &["schemaFrom"], Nature::Union),
    items(Kind::ApiAccessPolicy, &["cors"], Nature::AllowList),
    items(Kind::ApiAccessPolicy, &["responseHeaders"], Nature::Union),
    items(Kind::ApiAccessPolicy, &["errors"], Nature::Demand),
    items(Kind::RbacPolicy, &["roles"], Nature::Union),
    items(Kind::RbacPolicy, &["bindings"], Nature::Union),
    items(Kind::RbacPolicy, &["exclusive"], Nature::Union),
    items(Kind::AccessControlPolicy, &["rules"], Nature::Union),
    items(Kind::WorkloadSecurityPolicy, &["self"], Nature::Demand),
    items(Kind::WorkloadSecurityPolicy, &["models"], Nature::Union),
    items(Kind::DataProtectionPolicy, &["detectors"], Nature::Union),
    items(Kind::DataProtectionPolicy, &["rules"], Nature::Union),
    items(Kind::DataProtectionPolicy, &["eligibility"], Nature::AllowList),
    items(Kind::DataProtectionPolicy, &["minimize"], Nature::Union),
    items(Kind::DataProtectionPolicy, &["opaque"], Nature::Demand),
    items(Kind::DataProtectionPolicy, &["retention"], Nature::Maximum),
    items(Kind::RuntimeSecurityPolicy, &["detectors"], Nature::Union),
    items(Kind::RuntimeSecurityPolicy, &["promptLayers"], Nature::Union),
    items(Kind::RuntimeSecurityPolicy, &["systemText"], Nature::Demand),
    items(Kind::RuntimeSecurityPolicy, &["isolate"], Nature::Demand),
    items(Kind::RuntimeSecurityPolicy, &["output", "links"], Nature::AllowList),
    items(Kind::RuntimeSecurityPolicy, &["output", "markup"], Nature::Demand),
    items(Kind::RuntimeSecurityPolicy, &["output", "maxLength"], Nature::Maximum),
    items(Kind::RuntimeSecurityPolicy, &["output", "toolCalls"], Nature::Demand),
    items(Kind::RuntimeSecurityPolicy, &["output", "schemas"], Nature::Union),
    items(Kind::RuntimeSecurityPolicy, &["behaviour", "maxToolCallsPerTask"], Nature::Maximum),
    items(Kind::RuntimeSecurityPolicy, &["behaviour", "maxRepeats"], Nature::Maximum),
    items(Kind::RuntimeSecurityPolicy, &["behaviour", "maxDepth"], Nature::Maximum),
    items(Kind::RuntimeSecurityPolicy, &["behaviour", "maxTaskAge"], Nature::Maximum),
    items(Kind::NetworkPolicy, &["ingress", "allow"], Nature::AllowList),
    items(Kind::NetworkPolicy, &["ingress", "deny"], Nature::Union),
    items(Kind::NetworkPolicy, &["egress", "allow"], Nature::AllowList),
    items(Kind::NetworkPolicy, &["egress", "resolve"], Nature::Demand),
    items(Kind::DdosProtectionPolicy, &["connections"], Nature::Maximum),
    items(Kind::DdosProtectionPolicy, &["timeouts", "tls"], Nature::Maximum),
    items(Kind::DdosProtectionPolicy, &["timeouts", "headers"], Nature::Maximum),
    items(Kind::DdosProtectionPolicy, &["http2"], Nature::Maximum),
    items(Kind::DdosProtectionPolicy, &["requests"], Nature::Union),
    items(Kind::DdosProtectionPolicy, &["ban"], Nature::Union),
    items(Kind::DdosProtectionPolicy, &["shed"], Nature::Union),
    items(Kind::EncryptionPolicy, &["inTransit", "minVersion"], Nature::Minimum),
    items(Kind::EncryptionPolicy, &["inTransit", "profile"], Nature::Demand),
    items(Kind::EncryptionPolicy, &["inTransit", "keyExchange"], Nature::Demand),
    items(Kind::EncryptionPolicy, &["inTransit", "hsts"], Nature::Minimum),
    items(Kind::EncryptionPolicy, &["inTransit", "plaintext"], Nature::Demand),
    items(Kind::SecretManagement, &["credentials"], Nature::Exclusive),
    items(Kind::SecretManagement, &["strip"], Nature::Union),
    items(Kind::SecretManagement, &["leakDetection"], Nature::Union),
    items(Kind::KeyManagementPolicy, &["keys"], Nature::Union),
    items(Kind::AuditPolicy, &["sinks"], Nature::Union),
    items(Kind::AuditPolicy, &["integrity"], Nature::Exclusive),
    items(Kind::AuditPolicy, &["redact"], Nature::Union),
    items(Kind::Policy, &["exceptions"], Nature::Union),
    items(Kind::Policy, &["identityTypes"], Nature::AllowList),
    items(Kind::Policy, &["complianceModes"], Nature::Union),
];

const fn items(kind: Kind, path: &'static [&'static str], nature: Nature) -> Items {
    Items { kind, path, nature }
}

fn size(bytes: usize) -> String {
    Size(u64::try_from(bytes).unwrap_or(u64::MAX)).to_string()
}

fn cross_site(rule: &CrossSite) -> String {
    match rule {
        CrossSite::Deny => "Deny".to_owned(),
        CrossSite::AllowOrigins(origins) => format!("AllowOrigins {}", origins.join(", ")),
    }
}

fn private_ranges(ranges: PrivateRanges) -> String {
    match ranges {
        PrivateRanges::Deny => "Deny".to_owned(),
        PrivateRanges::AllowListed => "AllowListed".to_owned(),
    }
}

fn redirects(redirects: Redirects) -> String {
    match redirects {
        Redirects::Deny => "Deny".to_owned(),
        Redirects::SameHost => "SameHost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{FieldShape, Level, Shape};

    /// The envelope of other kinds: what it holds is shown as theirs.
    const ENVELOPE: [&str; 2] = ["type", "config"];

    fn forgotten(kind: Kind, path: &[&str], fields: &[FieldShape], into: &mut Vec<String>) {
        for field in fields.iter().filter(|field| field.level == Level::E) {
            let (Some(shape), path) = (&field.shape, [path, &[field.name]].concat()) else { continue };
            let known = SINGLES.iter().map(|single| (single.kind, single.path));
            let mut known = known.chain(ITEMS.iter().map(|items| (items.kind, items.path)));
            let envelope = kind == Kind::Policy && ENVELOPE.contains(&field.name);
            if envelope || known.any(|one| one == (kind, path.as_slice())) {
                continue;
            }
            match shape {
                Shape::Record { fields, .. } => forgotten(kind, &path, fields, into),
                _ => into.push(format!("{kind} {}", path.join("."))),
            }
        }
    }

    #[test]
    fn every_field_that_is_enforced_is_among_the_values() {
        let mut without = Vec::new();
        for kind in Kind::ALL {
            if let Shape::Record { fields, .. } = kind.shape() {
                forgotten(kind, &[], &fields, &mut without);
            }
        }
        assert!(without.is_empty(), "add them to the tables above: {without:#?}");
    }

    #[test]
    fn every_value_is_of_a_field_that_is_there() {
        for (kind, path) in ITEMS.iter().map(|i| (i.kind, i.path)).chain(SINGLES.iter().map(|s| (s.kind, s.path))) {
            let mut shape = kind.shape();
            for step in path {
                let Shape::Record { fields, .. } = shape else { panic!("{kind} {path:?}") };
                let found = fields.into_iter().find(|field| field.name == *step && field.level == Level::E);
                shape = found.and_then(|field| field.shape).unwrap_or_else(|| panic!("{kind} {path:?}"));
            }
        }
    }
}

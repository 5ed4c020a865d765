//! The kinds of the group: which of them this version enforces, and what they attach to.

use std::fmt;

use crate::decode::Shape;

/// A kind of `secure.platformspec.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    AccessControlPolicy,
    ApiAccessPolicy,
    AuditPolicy,
    CertificatePolicy,
    DataProtectionPolicy,
    DdosProtectionPolicy,
    EncryptionPolicy,
    IamPolicy,
    KeyManagementPolicy,
    NetworkPolicy,
    Policy,
    RbacPolicy,
    RuntimeSecurityPolicy,
    SecretManagement,
    WorkloadSecurityPolicy,
}

/// What a manifest may name in `targetRefs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    Gateway,
    Route,
    Upstream,
}

/// Kinds that the group has and this version refuses (PV-007).
pub const LATER_KINDS: [&str; 6] = [
    "ComplianceAssessment",
    "ComplianceStandard",
    "IncidentResponsePlan",
    "SecurityMonitoringRule",
    "SupplyChainSecurityPolicy",
    "ThreatModel",
];

impl Kind {
    pub const ALL: [Self; 15] = [
        Self::AccessControlPolicy,
        Self::ApiAccessPolicy,
        Self::AuditPolicy,
        Self::CertificatePolicy,
        Self::DataProtectionPolicy,
        Self::DdosProtectionPolicy,
        Self::EncryptionPolicy,
        Self::IamPolicy,
        Self::KeyManagementPolicy,
        Self::NetworkPolicy,
        Self::Policy,
        Self::RbacPolicy,
        Self::RuntimeSecurityPolicy,
        Self::SecretManagement,
        Self::WorkloadSecurityPolicy,
    ];

    /// The word after `kind:`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessControlPolicy => "AccessControlPolicy",
            Self::ApiAccessPolicy => "APIAccessPolicy",
            Self::AuditPolicy => "AuditPolicy",
            Self::CertificatePolicy => "CertificatePolicy",
            Self::DataProtectionPolicy => "DataProtectionPolicy",
            Self::DdosProtectionPolicy => "DDoSProtectionPolicy",
            Self::EncryptionPolicy => "EncryptionPolicy",
            Self::IamPolicy => "IAMPolicy",
            Self::KeyManagementPolicy => "KeyManagementPolicy",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::Policy => "Policy",
            Self::RbacPolicy => "RBACPolicy",
            Self::RuntimeSecurityPolicy => "RuntimeSecurityPolicy",
            Self::SecretManagement => "SecretManagement",
            Self::WorkloadSecurityPolicy => "WorkloadSecurityPolicy",
        }
    }

    /// What the kind may attach to; empty for a process-wide kind.
    #[must_use]
    pub fn targets(self) -> &'static [TargetKind] {
        use TargetKind::{Gateway, Route, Upstream};
        match self {
            Self::AccessControlPolicy
            | Self::ApiAccessPolicy
            | Self::AuditPolicy
            | Self::DataProtectionPolicy
            | Self::DdosProtectionPolicy
            | Self::IamPolicy
            | Self::RbacPolicy
            | Self::RuntimeSecurityPolicy
            | Self::WorkloadSecurityPolicy => &[Gateway, Route],
            Self::CertificatePolicy | Self::EncryptionPolicy => &[Gateway, Upstream],
            Self::NetworkPolicy => &[Gateway, Route, Upstream],
            Self::SecretManagement => &[Upstream],
            Self::KeyManagementPolicy | Self::Policy => &[],
        }
    }

    /// Whether `sectionName`, a listener, may narrow a Gateway target.
    #[must_use]
    pub fn attaches_to_listeners(self) -> bool {
        matches!(self, Self::CertificatePolicy | Self::DdosProtectionPolicy | Self::EncryptionPolicy)
    }

    /// Whether the kind has `mode`.
    #[must_use]
    pub fn has_mode(self) -> bool {
        matches!(
            self,
            Self::AccessControlPolicy
                | Self::ApiAccessPolicy
                | Self::DataProtectionPolicy
                | Self::DdosProtectionPolicy
                | Self::NetworkPolicy
                | Self::RbacPolicy
                | Self::RuntimeSecurityPolicy
                | Self::WorkloadSecurityPolicy
        )
    }

    /// Whether `mode: Audit` is enforced for the kind.
    #[must_use]
    pub fn can_be_tried(self) -> bool {
        self.is_tried_by_route() || matches!(self, Self::AccessControlPolicy | Self::RbacPolicy)
    }

    /// Whether a trial of the kind is one of everything that a route looks at, and not of its rules alone.
    #[must_use]
    pub fn is_tried_by_route(self) -> bool {
        matches!(self, Self::ApiAccessPolicy | Self::DataProtectionPolicy | Self::RuntimeSecurityPolicy)
    }

    /// The fields of `spec`.
    #[must_use]
    pub fn shape(self) -> Shape {
        use crate::decode::Decode;
        match self {
            Self::AccessControlPolicy => super::AccessControlPolicy::shape(),
            Self::ApiAccessPolicy => super::ApiAccessPolicy::shape(),
            Self::AuditPolicy => super::AuditPolicy::shape(),
            Self::CertificatePolicy => super::CertificatePolicy::shape(),
            Self::DataProtectionPolicy => super::DataProtectionPolicy::shape(),
            Self::DdosProtectionPolicy => super::DdosProtectionPolicy::shape(),
            Self::EncryptionPolicy => super::EncryptionPolicy::shape(),
            Self::IamPolicy => super::IamPolicy::shape(),
            Self::KeyManagementPolicy => super::KeyManagementPolicy::shape(),
            Self::NetworkPolicy => super::NetworkPolicy::shape(),
            Self::Policy => super::Policy::shape(),
            Self::RbacPolicy => super::RbacPolicy::shape(),
            Self::RuntimeSecurityPolicy => super::RuntimeSecurityPolicy::shape(),
            Self::SecretManagement => super::SecretManagement::shape(),
            Self::WorkloadSecurityPolicy => super::WorkloadSecurityPolicy::shape(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TargetKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "Gateway",
            Self::Route => "Route",
            Self::Upstream => "Upstream",
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What was written: manifests with positions, every field in the form of its kind, nothing merged or resolved yet.

mod access_control;
mod api_access;
mod audit;
mod certificate;
mod credential;
mod data_protection;
mod ddos;
mod encryption;
mod envelope;
mod iam;
mod key_management;
mod kind;
mod network;
mod on_deny;
mod parse;
mod policy;
mod rbac;
mod runtime_security;
mod secret_management;
mod shared_words;
mod workload_security;

use std::sync::Arc;

pub use access_control::*;
pub use api_access::*;
pub use audit::*;
pub use certificate::*;
pub use credential::{CredentialRef, Credentials, PlatformCredential, credential_shape};
pub use data_protection::*;
pub use ddos::*;
pub use encryption::*;
pub use envelope::*;
pub use iam::*;
pub use key_management::*;
pub use kind::*;
pub use network::*;
pub use on_deny::*;
pub use parse::{ManifestRules, Parsed, SourceFile, load_manifests, parse_manifests};
pub use policy::*;
pub use rbac::*;
pub use runtime_security::*;
pub use secret_management::*;
pub use shared_words::{ActionWord, RulePrincipal};
pub use workload_security::*;

use crate::decode::At;
use crate::{Code, Digest, Position, Report};

/// One manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub id: ManifestId,
    pub metadata: Metadata,
    pub common: Common,
    pub spec: Spec,
    /// Where the document begins.
    pub position: Position,
    /// Name of the file as problems show it.
    pub file: Arc<str>,
    /// SHA-256 of the canonical JSON of everything but `status`.
    pub digest: Digest,
}

/// What makes a manifest the one it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestId {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for ManifestId {
    /// As records and rules name it: `AccessControlPolicy/default/github-tools`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// The spec of each kind that this version enforces.
#[derive(Debug, Clone)]
pub enum Spec {
    IamPolicy(Box<IamPolicy>),
    ApiAccessPolicy(Box<ApiAccessPolicy>),
    RbacPolicy(Box<RbacPolicy>),
    AccessControlPolicy(Box<AccessControlPolicy>),
    CertificatePolicy(Box<CertificatePolicy>),
    EncryptionPolicy(Box<EncryptionPolicy>),
    DataProtectionPolicy(Box<DataProtectionPolicy>),
    DdosProtectionPolicy(Box<DdosProtectionPolicy>),
    RuntimeSecurityPolicy(Box<RuntimeSecurityPolicy>),
    AuditPolicy(Box<AuditPolicy>),
    KeyManagementPolicy(Box<KeyManagementPolicy>),
    NetworkPolicy(Box<NetworkPolicy>),
    Policy(Box<Policy>),
    SecretManagement(Box<SecretManagement>),
    WorkloadSecurityPolicy(Box<WorkloadSecurityPolicy>),
}

impl Manifest {
    /// Reports an error at the beginning of the manifest.
    pub fn error(&self, report: &mut Report, code: Code, message: impl Into<String>, help: impl Into<String>) {
        report.error(code, &self.position, "", message, help);
    }

    /// Where the manifest's name is written.
    #[must_use]
    pub fn name(&self) -> &At<crate::values::Name> {
        &self.metadata.name
    }
}

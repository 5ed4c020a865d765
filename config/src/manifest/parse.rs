//! Files to manifests.

mod carried;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::credential;
use super::{Common, CredentialRef, Credentials, Kind, LATER_KINDS, Manifest, ManifestId, Metadata, Spec};
use crate::decode::{At, Cx, Fields, MaterialRule, Record, nearest};
use crate::secrets::{self, shown};
use crate::yaml::{self, End, Node, Value};
use crate::{API_GROUP, API_VERSION, Code, Digest, Position, Report};

const PV_SHAPE: Code = Code(2);
const PV_LATER: Code = Code(7);
const PV_PROCESS_WIDE: Code = Code(8);
const PV_CEILING: Code = Code(9);

/// Largest manifest file.
pub(super) const MAX_FILE: usize = 1 << 20;
/// All manifest files together.
pub(super) const MAX_SET: usize = 16 << 20;

/// A file that was read.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// As problems show it: relative to the bootstrap file.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// What the bootstrap says about manifests.
#[derive(Debug, Clone)]
pub struct ManifestRules {
    /// Directory of the bootstrap file.
    pub base: std::path::PathBuf,
    pub system_namespace: String,
    pub end: End,
    /// The folder of Secrets.
    pub secrets: Option<std::path::PathBuf>,
}

/// What came of the files.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// Every manifest that could be read, in the order of the files.
    pub manifests: Vec<Manifest>,
    /// Manifests that are there but could not be read. What refers to them is not missing.
    pub broken: Vec<ManifestId>,
    /// False if there may be manifests of which not even the name could be read.
    pub whole: bool,
    /// The Credentials that manifests may name.
    pub credentials: Vec<CredentialRef>,
}

/// Reads manifests from files and reports every problem of every file. Nothing is resolved: targets and names may dangle.
pub fn parse_manifests(files: &[SourceFile], rules: &ManifestRules, report: &mut Report) -> Parsed {
    let mut parsed = Parsed { whole: true, ..Parsed::default() };
    let mut total = 0_usize;
    let (mut nodes, mut credentials) = (Vec::new(), Credentials::default());
    for file in files {
        let name: Arc<str> = Arc::from(file.name.as_str());
        total = total.saturating_add(file.bytes.len());
        if total > MAX_SET {
            let start = Position { file: name, line: 1, column: 1 };
            report.error(
                PV_CEILING,
                &start,
                "",
                "with this file the manifests have more than 16Mi",
                "remove what is not needed",
            );
            parsed.whole = false;
            break;
        }
        let documents = yaml::parse(&name, &file.bytes, MAX_FILE, rules.end, report);
        parsed.whole &= documents.whole;
        for node in documents.nodes {
            secrets::scan(&node, report);
            if credential::is_credential(&node) {
                parsed.whole &= credentials.add(&node, credential_rule(rules), digest_of(&node), report);
            } else {
                nodes.push(node);
            }
        }
    }
    // All Credentials are known before the first manifest names one.
    for node in &nodes {
        document(node, rules, &credentials, report, &mut parsed);
    }
    parsed.credentials = credentials.refs;
    refuse_twins(&parsed, report);
    parsed
}

/// Credentials name no material while they are read.
fn credential_rule(rules: &ManifestRules) -> MaterialRule<'_> {
    MaterialRule::new(&rules.base, false, &rules.system_namespace)
}

/// Reads one document into `parsed`.
fn document(node: &Node, rules: &ManifestRules, credentials: &Credentials, report: &mut Report, parsed: &mut Parsed) {
    if let Some(version) = openapi_version(node) {
        let help =
            "move it out of the folder of manifests, and name it there: `schemaFrom: file:/path` of an APIAccessPolicy";
        let message = "this looks like an OpenAPI document, and no manifest";
        report.error(PV_SHAPE, &version.position, "", message, help);
        return;
    }
    let Some(Envelope { kind, metadata, sound }) = envelope(node, rules, report) else {
        parsed.whole = false;
        return;
    };
    let spec = node.get("spec");
    // Where the namespace could not be read, PV-008 would be a guess.
    let local = metadata.as_ref().is_none_or(|metadata| metadata.namespace.as_str() == rules.system_namespace);
    let namespace = metadata.as_ref().map_or(rules.system_namespace.as_str(), |metadata| metadata.namespace.as_str());
    let secrets = rules.secrets.as_deref();
    let material = MaterialRule::new(&rules.base, local, &rules.system_namespace);
    let mut cx = Cx::new(report, MaterialRule { namespace, secrets, credentials, ..material });
    let within = if kind == Kind::Policy { carried::envelope(spec, &mut cx) } else { carried::Envelope::Own };
    let (kind, carried) = match within {
        carried::Envelope::Own => (kind, false),
        carried::Envelope::Of(kind) => (kind, true),
        carried::Envelope::Unknown => {
            parsed.whole = false;
            return;
        }
    };
    let misplaced = kind.targets().is_empty() && !local;
    if let (true, Some(metadata)) = (misplaced, &metadata) {
        let message = format!("{kind} is process-wide and stands outside the system namespace");
        let help = format!("move it to namespace `{}`", rules.system_namespace);
        metadata.namespace.at.error(cx.report, PV_PROCESS_WIDE, message, help);
    }
    let read = spec.and_then(|spec| match carried {
        true => carried::read(spec, kind, &mut cx),
        false => read_spec("spec", spec, kind, &mut cx),
    });
    let Some(metadata) = metadata else {
        parsed.whole = false;
        return;
    };
    let id =
        ManifestId { kind, namespace: metadata.namespace.as_str().to_owned(), name: metadata.name.as_str().to_owned() };
    match read {
        Some((common, spec)) if sound && !misplaced => parsed.manifests.push(Manifest {
            id,
            metadata,
            common,
            spec,
            position: node.position.clone(),
            file: Arc::clone(&node.position.file),
            digest: digest_of(node),
        }),
        _ => parsed.broken.push(id),
    }
}

/// Reads the spec of a `kind`, which stands at `key`.
fn read_spec(key: &str, node: &Node, kind: Kind, cx: &mut Cx<'_>) -> Option<(Common, Spec)> {
    cx.key(key, |cx| {
        let mut fields = Fields::open(node, cx)?;
        let common = Common::take(kind, &mut fields);
        let spec = Spec::take(kind, &mut fields);
        fields.finish()?;
        Some((common?, spec?))
    })
}

/// What says that a document is of OpenAPI.
fn openapi_version(node: &Node) -> Option<&Node> {
    let version = node.get("openapi").or_else(|| node.get("swagger"))?;
    (node.get("apiVersion").is_none() && node.get("kind").is_none()).then_some(version)
}

/// What stands around a spec.
struct Envelope {
    kind: Kind,
    /// `None` after its problems were reported.
    metadata: Option<Metadata>,
    /// All fields are there, and no others.
    sound: bool,
}

/// All four fields must be there: a document that was cut after some of them must not pass for a smaller one.
fn envelope(node: &Node, rules: &ManifestRules, report: &mut Report) -> Option<Envelope> {
    let material = MaterialRule::new(&rules.base, false, &rules.system_namespace);
    let mut cx = Cx::new(report, material);
    let mut fields = Fields::open(node, &mut cx)?;
    let api_version = fields.field::<At<String>>("apiVersion", PV_SHAPE);
    let ours = api_version.is_some_and(|version| check_version(&version, fields.cx.report));
    let kind = fields.field::<At<String>>("kind", PV_SHAPE);
    let kind = kind.filter(|_| ours).and_then(|kind| check_kind("kind", &kind, fields.cx.report));
    let metadata = fields.field::<At<Metadata>>("metadata", PV_SHAPE);
    fields.ignore("spec");
    fields.ignore("status");
    let complete = fields.has("spec");
    if !complete {
        let (position, help) = (fields.position.clone(), "add `spec`; if the file ends here, it was cut");
        fields.cx.shape(&position, "`spec` is missing", help);
    }
    let sound = fields.finish().is_some() && complete;
    Some(Envelope { kind: kind?, metadata: metadata.map(|metadata| metadata.value), sound })
}

fn check_version(version: &At<String>, report: &mut Report) -> bool {
    if version.value == API_VERSION {
        return true;
    }
    let message = format!("unknown apiVersion `{}`", shown(version));
    let group = version.value.split('/').next().unwrap_or_default();
    let help = match nearest(group, &[API_GROUP]) {
        Some(_) => format!("write `{API_VERSION}`"),
        None => format!("manifests are of `{API_VERSION}`; move what is of another group out of their folder"),
    };
    version.error(report, PV_SHAPE, message, help);
    false
}

/// The kind that `field` names.
fn check_kind(field: &str, kind: &At<String>, report: &mut Report) -> Option<Kind> {
    let found = Kind::ALL.into_iter().find(|known| known.as_str() == kind.value);
    if found.is_some() {
        return found;
    }
    if LATER_KINDS.contains(&kind.as_str()) {
        let message = format!("`{field}: {}` is not enforced by this version", kind.value);
        kind.error(report, PV_LATER, message, "remove the manifest; nothing would act on it");
        return None;
    }
    let words: Vec<_> = Kind::ALL.into_iter().map(Kind::as_str).chain(LATER_KINDS).collect();
    let help = match nearest(kind, &words) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use a kind of {API_GROUP} that `docs/manifests.md` lists"),
    };
    kind.error(report, PV_SHAPE, format!("unknown {field} `{}`", shown(kind)), help);
    None
}

impl Spec {
    fn take(kind: Kind, fields: &mut Fields<'_, '_, '_>) -> Option<Self> {
        Some(match kind {
            Kind::AccessControlPolicy => Self::AccessControlPolicy(Record::take(fields)?),
            Kind::ApiAccessPolicy => Self::ApiAccessPolicy(Record::take(fields)?),
            Kind::AuditPolicy => Self::AuditPolicy(Record::take(fields)?),
            Kind::CertificatePolicy => Self::CertificatePolicy(Record::take(fields)?),
            Kind::DataProtectionPolicy => Self::DataProtectionPolicy(Record::take(fields)?),
            Kind::DdosProtectionPolicy => Self::DdosProtectionPolicy(Record::take(fields)?),
            Kind::EncryptionPolicy => Self::EncryptionPolicy(Record::take(fields)?),
            Kind::IamPolicy => Self::IamPolicy(Record::take(fields)?),
            Kind::KeyManagementPolicy => Self::KeyManagementPolicy(Record::take(fields)?),
            Kind::NetworkPolicy => Self::NetworkPolicy(Record::take(fields)?),
            Kind::Policy => Self::Policy(Record::take(fields)?),
            Kind::RbacPolicy => Self::RbacPolicy(Record::take(fields)?),
            Kind::RuntimeSecurityPolicy => Self::RuntimeSecurityPolicy(Record::take(fields)?),
            Kind::SecretManagement => Self::SecretManagement(Record::take(fields)?),
            Kind::WorkloadSecurityPolicy => Self::WorkloadSecurityPolicy(Record::take(fields)?),
        })
    }
}

/// One object, two contents: which of them counts would depend on the order of the files.
fn refuse_twins(parsed: &Parsed, report: &mut Report) {
    let mut first: BTreeMap<&ManifestId, &Manifest> = BTreeMap::new();
    for manifest in &parsed.manifests {
        if let Some(other) = first.get(&manifest.id) {
            let message = format!("{} is written twice", manifest.id);
            let help = format!("keep one of them, or rename it; the other is at {}", other.position);
            manifest.metadata.name.error(report, PV_SHAPE, message, help);
        } else {
            first.insert(&manifest.id, manifest);
        }
    }
}

/// SHA-256 over the canonical JSON of the document without `status`.
fn digest_of(node: &Node) -> Digest {
    let mut written = node.clone();
    if let Value::Mapping(entries) = &mut written.value {
        entries.retain(|entry| entry.key != "status");
    }
    let sum = digest::digest(&digest::SHA256, yaml::canonical_json(&written).as_bytes());
    let mut out = Digest::default();
    out.iter_mut().zip(sum.as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Reads every `.yaml`, `.yml` and `.json` file of a folder, in the order of their names, and parses them. Names that begin
/// with `.` are left out, as Kubernetes' own links of mounted volumes are; links to files and folders are followed.
pub fn load_manifests(folder: &Path, recursive: bool, rules: &ManifestRules, report: &mut Report) -> Parsed {
    let (files, whole) = crate::disk::read_folder(folder, recursive, &rules.base, report);
    let mut parsed = parse_manifests(&files, rules, report);
    parsed.whole &= whole;
    parsed
}

#[cfg(test)]
mod tests;

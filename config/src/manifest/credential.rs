//! The Credential of the Platform Specification: where the parts of one credential are. Manifests name its fields.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroize as _;

use super::Metadata;
use crate::decode::{At, Cx, Decode, Fault, Fields, MaterialRule, Shape, spec};
use crate::values::{local_material, mounted_material};
use crate::yaml::Node;
use crate::{Code, Digest, Material, Report};

/// Where the kind is from.
const API_VERSION: &str = "core.platformspec.io/v1alpha1";
const KIND: &str = "Credential";

const PV_SECRET: Code = Code(1);
const PV_SHAPE: Code = Code(2);
const PV_TARGET: Code = Code(4);
const PV_LATER: Code = Code(7);

spec! {
    /// A Credential of `core.platformspec.io/v1alpha1`, which stands among the manifests: where the parts of one credential are.
    /// Manifests of its namespace name its fields by `credential:NAME/FIELD`.
    pub struct PlatformCredential {
        /// What the fields are for.
        [D] schema: Option<At<String>>,
        /// Where the values are: `kubernetes-secret`, a Secret of the same namespace below `secrets.dir` of the bootstrap; `file` and
        /// `env`, in the system namespace only (PV-008). `static` is a secret in a manifest (PV-001); others are refused where a manifest
        /// names a field (PV-007).
        [E] source: At<String>,
        /// With `kubernetes-secret`, the name of the Secret. Default: the name of the Credential.
        [E] location: Option<At<String>>,
        /// By field, where its value is: a key of the Secret, a path, or the name of a variable.
        [E] fields: At<BTreeMap<String, At<String>>>,
    }
    check check_source
}

fn check_source(credential: &PlatformCredential, fields: &mut Fields<'_, '_, '_>) {
    let report = &mut *fields.cx.report;
    if credential.source.value == "static" {
        let help = "revoke the values, since they were stored in the clear, and put new ones into a Secret: `source: kubernetes-secret`";
        credential.source.error(report, PV_SECRET, "a Credential with `source: static` holds its secrets itself", help);
    }
    if let Some(location) = credential.location.as_ref().filter(|_| credential.source.value != "kubernetes-secret") {
        let message = "`location` belongs to `source: kubernetes-secret`";
        location.error(report, PV_SHAPE, message, "remove it, and write whole paths in `fields`");
    }
}

/// The Credentials of a set.
#[derive(Debug, Default)]
pub struct Credentials {
    /// By namespace and name; nothing where its problems were told.
    known: BTreeMap<(String, String), Option<PlatformCredential>>,
    /// Those that could be read.
    pub(super) refs: Vec<CredentialRef>,
}

/// One Credential, as records name it.
#[derive(Debug, Clone)]
pub struct CredentialRef {
    pub namespace: String,
    pub name: String,
    pub digest: Digest,
    pub file: Arc<str>,
}

impl CredentialRef {
    /// The word after `kind:`.
    pub const KIND: &'static str = KIND;
}

/// Whether a document is of the other API group.
pub(super) fn is_credential(node: &Node) -> bool {
    node.get("apiVersion").and_then(Node::scalar).is_some_and(|version| version.starts_with("core.platformspec.io/"))
}

impl Credentials {
    /// Reads one; false where not even its name could be read.
    pub(super) fn add(&mut self, node: &Node, material: MaterialRule<'_>, digest: Digest, report: &mut Report) -> bool {
        let mut cx = Cx::new(report, material);
        let Some(mut fields) = Fields::open(node, &mut cx) else { return false };
        for (name, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            let Some(written) = fields.field::<At<String>>(name, PV_SHAPE) else { return false };
            if written.value != wanted {
                let message = format!("`{name}` of a document of core.platformspec.io is not `{wanted}`");
                let help = "only its Credential is read; leave its other kinds out of the folder";
                written.error(fields.cx.report, PV_SHAPE, message, help);
                return false;
            }
        }
        let metadata = fields.field::<At<Metadata>>("metadata", PV_SHAPE);
        let spec = fields.field::<At<PlatformCredential>>("spec", PV_SHAPE);
        fields.ignore("status");
        let sound = fields.finish().is_some();
        let Some(metadata) = metadata else { return false };
        let id = (metadata.namespace.as_str().to_owned(), metadata.name.as_str().to_owned());
        if self.known.contains_key(&id) {
            let message = format!("the Credential `{}/{}` is written twice", id.0, id.1);
            metadata.name.error(report, PV_SHAPE, message, "keep one of them, or rename it");
            return true;
        }
        let (namespace, name) = id.clone();
        self.refs.push(CredentialRef { namespace, name, digest, file: Arc::clone(&node.position.file) });
        let mut credential = spec.map(|spec| spec.value).filter(|_| sound);
        // What should not be here is not kept either.
        let holds = credential.as_mut().filter(|credential| credential.source.value == "static");
        holds.into_iter().flat_map(|credential| credential.fields.value.values_mut()).for_each(|at| at.value.zeroize());
        self.known.insert(id, credential);
        true
    }

    /// Where the field of a Credential is, for a manifest of the namespace that `cx` reads for.
    pub(crate) fn find(&self, name: &str, field: &str, cx: &Cx<'_>) -> Result<Material, Fault> {
        let namespace = cx.material.namespace;
        let found = self.known.get(&(namespace.to_owned(), name.to_owned()));
        let shown = crate::secrets::shown(name);
        let Some(found) = found else {
            let message = format!("there is no Credential `{shown}` in namespace `{namespace}`");
            return Err(Fault::coded(PV_TARGET, message, "correct the name, or add the Credential to the manifests"));
        };
        let Some(credential) = found else {
            let message = format!("the Credential `{shown}` has problems of its own");
            return Err(Fault::new(message, "correct it first"));
        };
        let Some(place) = credential.fields.value.get(field) else {
            let message = format!("the Credential `{shown}` has no field `{}`", crate::secrets::shown(field));
            let names: Vec<&str> = credential.fields.value.keys().map(String::as_str).collect();
            return Err(Fault::coded(PV_TARGET, message, format!("name one of its fields: `{}`", names.join("`, `"))));
        };
        match credential.source.as_str() {
            "kubernetes-secret" => {
                mounted_material(credential.location.as_ref().map_or(name, |at| at.as_str()), place, cx)
            }
            "file" => local_material("file", place, cx),
            "env" => local_material("env", place.strip_prefix('$').unwrap_or(place), cx),
            "static" => {
                let message = format!("the Credential `{shown}` holds its secrets itself");
                Err(Fault::coded(PV_SECRET, message, "put them into a Secret: `source: kubernetes-secret`"))
            }
            other => {
                let message = format!(
                    "the Credential `{shown}` has the source `{}`, which this version does not read",
                    crate::secrets::shown(other)
                );
                let help =
                    "have it written to a Secret or a file, and say `source: kubernetes-secret`, `file` or `env`";
                Err(Fault::coded(PV_LATER, message, help))
            }
        }
    }
}

/// What the reference says about it.
#[must_use]
pub fn credential_shape() -> Shape {
    PlatformCredential::shape()
}

//! The OpenAPI documents that APIAccessPolicies name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::attach::{Attachments, Place, listed};
use super::blind;
use crate::decode::At;
use crate::manifest::{Manifest, Spec};
use crate::values::DocumentFile;
use crate::{Api, Bootstrap, Code, Digest, Report, Segment, disk, openapi};

const PV_SHAPE: Code = Code(2);
const PV_BLIND: Code = Code(25);

/// Documents by the file they were read from; nothing for one with a problem.
#[derive(Debug, Default)]
pub(super) struct Apis(BTreeMap<PathBuf, Option<Arc<Api>>>);

impl Apis {
    /// Reads every document that an attached manifest names, once.
    pub(super) fn read(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) -> Self {
        let mut apis = BTreeMap::new();
        for from in attached.manifests().filter_map(document) {
            let path = &from.value.0;
            if apis.contains_key(path) {
                continue;
            }
            let api = match read(path) {
                Ok(bytes) => openapi::read(&disk::name_of(path, &bootstrap.base), &bytes, report),
                Err(error) => {
                    let message = format!("`{}` cannot be read: {error}", disk::name_of(path, &bootstrap.base));
                    let help = "check that it exists and that the proxy's user may read it";
                    from.error(report, PV_SHAPE, message, help);
                    None
                }
            };
            apis.insert(path.clone(), api.map(Arc::new));
        }
        Self(apis)
    }

    pub(super) fn of(&self, from: &DocumentFile) -> Option<Arc<Api>> {
        self.0.get(&from.0)?.clone()
    }

    /// Of all documents, in an order that does not depend on their names.
    pub(super) fn digests(&self) -> BTreeSet<Digest> {
        self.0.values().flatten().map(|api| api.digest).collect()
    }
}

fn document(manifest: &Manifest) -> Option<&At<DocumentFile>> {
    match &manifest.spec {
        Spec::ApiAccessPolicy(policy) => policy.schema_from.as_ref(),
        _ => None,
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for somebody to write.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let most = u64::try_from(openapi::MAX_DOCUMENT).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A document of which no operation can be asked for on the routes of its manifest (PV-025).
pub(super) fn check(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) {
    for manifest in attached.manifests() {
        let Some(from) = document(manifest) else { continue };
        let Some(api) = attached.apis.of(from) else { continue };
        let routes = &bootstrap.spec.routes.value;
        let reached = attached.places(manifest).flat_map(|place| match place {
            Place::Gateway => routes.iter().collect(),
            Place::Route(index) => routes.get(index).into_iter().collect(),
            Place::Process | Place::Listener(_) | Place::Upstream(_) => Vec::new(),
        });
        let prefixes: Vec<&str> = reached.map(|route| route.matches.path_prefix.as_str()).collect();
        let globs: BTreeSet<String> = api.operations.iter().map(|operation| glob(&operation.path)).collect();
        let blind = |prefix: &&str| !globs.iter().any(|glob| blind::reaches(glob, prefix));
        if !prefixes.is_empty() && prefixes.iter().all(blind) {
            let message = "no route of the manifest has a path of the document, so every request would be refused";
            let help = format!(
                "the routes begin with {}; paths of a document stand below the path of its `servers`",
                listed(&prefixes)
            );
            from.error(report, PV_BLIND, message, help);
        }
    }
}

fn glob(path: &[Segment]) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Parameter(_) => "/*".to_owned(),
        })
        .collect()
}

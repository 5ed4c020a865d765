//! The JSON Schemas that RuntimeSecurityPolicies name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::attach::Attachments;
use super::lists;
use crate::decode::At;
use crate::manifest::Spec;
use crate::values::DocumentFile;
use crate::{Bootstrap, Code, Digest, Report, SchemaDocument, disk, openapi};

const PV_SHAPE: Code = Code(2);
const PV_CEILING: Code = Code(9);

const MAX_FILE: usize = 256 << 10;

/// Schemas by the file they were read from. What has a problem is not among them, and was reported.
#[derive(Debug, Default)]
pub(super) struct Schemas(BTreeMap<PathBuf, Option<Arc<SchemaDocument>>>);

impl Schemas {
    /// Reads every schema that an attached manifest names, once.
    pub(super) fn read(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) -> Self {
        let mut known = BTreeMap::new();
        for manifest in attached.manifests() {
            let Spec::RuntimeSecurityPolicy(policy) = &manifest.spec else { continue };
            for demand in policy.output.iter().flat_map(|output| &output.schemas) {
                let path = &demand.schema_from.value.0;
                if !known.contains_key(path) {
                    let schema = read(bootstrap, &demand.schema_from, report).map(Arc::new);
                    known.insert(path.clone(), schema);
                }
            }
        }
        Self(known)
    }

    pub(super) fn of(&self, from: &DocumentFile) -> Option<Arc<SchemaDocument>> {
        self.0.get(&from.0)?.clone()
    }

    /// Of all files, in an order that does not depend on their names.
    pub(super) fn digests(&self) -> Vec<Digest> {
        let mut all: Vec<Digest> = self.0.values().flatten().map(|schema| schema.api.digest).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn read(bootstrap: &Bootstrap, from: &At<DocumentFile>, report: &mut Report) -> Option<SchemaDocument> {
    let path = &from.value.0;
    let name = disk::name_of(path, &bootstrap.base);
    match lists::read(path, MAX_FILE, false) {
        Ok(bytes) if bytes.len() > MAX_FILE => {
            let message = format!("`{name}` is larger than 256Ki");
            from.error(
                report,
                PV_CEILING,
                message,
                "leave out what nothing enforces, such as descriptions and examples",
            );
            None
        }
        Ok(bytes) => {
            let (api, root) = openapi::schema_file(&name, &bytes, report)?;
            Some(SchemaDocument { file: path.clone(), api: Arc::new(api), root })
        }
        Err(error) => {
            let help = "check that it exists and that the proxy's user may read it";
            from.error(report, PV_SHAPE, format!("`{name}` cannot be read: {error}"), help);
            None
        }
    }
}

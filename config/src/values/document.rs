//! Files that are no secrets and no keys.

use std::path::PathBuf;

use super::names;
use crate::Code;
use crate::decode::{Cx, Fault, Scalar};

/// A document beside the manifests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentFile(pub PathBuf);

impl Scalar for DocumentFile {
    const NAME: &'static str = "Document";
    const DOC: &'static str = "`file:/path`; a relative path is relative to the bootstrap file. It must not lie in the folder of manifests, \
        as every file there is read as a manifest. Only manifests of the system namespace may name one (PV-008).";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let Some(path) = text.strip_prefix("file:") else {
            return Err(Fault::new(format!("`{}` is not a reference to a file", cx.field()), "write `file:/path`"));
        };
        if !cx.material.local {
            let help = format!(
                "move the manifest to namespace `{}`; other tenants' manifests must not read the proxy's own files",
                cx.material.system_namespace
            );
            return Err(Fault::coded(Code(8), "a file outside the system namespace", help));
        }
        names::path(path, cx).map(Self)
    }
}

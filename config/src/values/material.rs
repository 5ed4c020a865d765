//! References to material: where a secret is, never the secret.

use crate::decode::{Cx, Fault, MaterialRule, Scalar};
use crate::material::MountedSecret;
use crate::{Code, Material};

use super::names;

const PV_LATER: Code = Code(7);
const PV_NAMESPACE: Code = Code(8);

impl Scalar for Material {
    const NAME: &'static str = "Material";
    const DOC: &'static str = "A reference to a secret, key or certificate, never the thing itself. `env:NAME` is an environment \
        variable of the proxy, read once at load. `file:/path` is a file; a relative path is relative to the bootstrap file. Only the \
        bootstrap and manifests of the system namespace may use the two (PV-008). `secret:NAME/KEY` is a key of the Secret NAME in the \
        manifest's own namespace, a file below `secrets.dir` of the bootstrap; without one it is PV-007. `credential:NAME/FIELD` is a field \
        of a Credential in the manifest's own namespace. Files are watched, and a secret in a file that its group or others may read is \
        refused.";

    /// The text is not repeated in faults: it may be the secret itself.
    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        match scheme {
            "env" | "file" => local(scheme, rest, cx),
            "secret" => {
                let (name, key) = rest.split_once('/').unwrap_or_default();
                mounted(name, key, cx)
            }
            "credential" => of_credential(rest, cx),
            _ => {
                let message = format!("`{}` is not a reference to material", cx.field());
                Err(Fault::new(message, "write `secret:NAME/KEY`, `file:/path` or `env:NAME`"))
            }
        }
    }
}

/// What belongs to the machine, and so to the operator alone.
pub(crate) fn local(scheme: &str, rest: &str, cx: &Cx<'_>) -> Result<Material, Fault> {
    if !cx.material.local {
        let message = format!("`{scheme}:` material outside the system namespace");
        let help = format!(
            "write `secret:NAME/KEY`, or move the manifest to namespace `{}`; other tenants' manifests must not read the proxy's own \
             files and variables",
            cx.material.system_namespace
        );
        return Err(Fault::coded(PV_NAMESPACE, message, help));
    }
    if scheme == "file" {
        return names::path(rest, cx).map(Material::File);
    }
    let valid = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if valid {
        Ok(Material::Env(rest.to_owned()))
    } else {
        let message = format!("`{}` does not name an environment variable", cx.field());
        Err(Fault::new(message, "use letters, digits and `_`"))
    }
}

/// A key of a Secret in the namespace of whoever asks.
pub(crate) fn mounted(name: &str, key: &str, cx: &Cx<'_>) -> Result<Material, Fault> {
    let MaterialRule { namespace, secrets, .. } = cx.material;
    let Some(dir) = secrets else {
        let message = format!("`{}` refers to a Secret, and nothing says where Secrets are", cx.field());
        let help = "add `secrets: {dir: /run/secrets/postern}` to the bootstrap and mount the Secret at DIR/NAMESPACE/NAME; this \
            version does not ask a cluster";
        return Err(Fault::coded(PV_LATER, message, help));
    };
    MountedSecret::new(dir, namespace, name, key).map(Box::new).map(Material::Secret).ok_or_else(|| {
        let message = format!("`{}` does not name a key of a Secret", cx.field());
        let help =
            "write `secret:NAME/KEY` with the name of a Secret in the manifest's own namespace and one of its keys";
        Fault::new(message, help)
    })
}

fn of_credential(rest: &str, cx: &Cx<'_>) -> Result<Material, Fault> {
    let (name, field) = rest.split_once('/').unwrap_or_default();
    if name.is_empty() || field.is_empty() {
        let message = format!("`{}` does not name a field of a Credential", cx.field());
        return Err(Fault::new(message, "write `credential:NAME/FIELD`"));
    }
    cx.material.credentials.find(name, field, cx)
}

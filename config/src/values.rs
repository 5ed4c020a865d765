//! Scalar types of manifests: durations, sizes, names, references to material and the like.

mod address;
mod cidr;
mod http;
mod listen;
mod names;
mod oauth;
mod patterns;
mod quantity;
mod spiffe;
mod store;

pub use address::{BindAddress, CallUrl, Issuer, Origin, UpstreamPlace, UpstreamUrl, WebUrl};
pub use cidr::{Cidr, CidrError, Port};
pub use http::{
    EgressHost, HeaderFormat, HeaderName, HeaderValue, Host, MediaType, Method, PathPrefix, QueryName, Stripped,
    TargetPath,
};
pub use listen::ListenAddress;
pub use names::{Claim, FilePath, KeyPrefix, LogOrigin, Name, Pointer, SpiffeName, key_prefix_is_sound};
pub use oauth::{ChallengeWord, ResourceUrl, TenantKey};
pub use patterns::{BuiltinDetector, Cedar, Glob, PathGlob, Pattern, PeerName, SpiffeGlob};
pub use quantity::{Percent, RsaBits, Size, Time, parse_duration, show_duration};
pub use spiffe::{TrustDomain, WorkloadSocket};
pub use store::StoreUrl;

use crate::decode::{Cx, Fault, Scalar};
use crate::secrets::shown;
use crate::{Code, Material};

/// The fault of a text that is not of the form its type wants.
fn malformed(text: &str, cx: &Cx<'_>, wanted: &str, help: impl Into<String>) -> Fault {
    Fault::new(format!("`{}` is `{}`, which is not {wanted}", cx.field(), shown(text)), help)
}

impl Scalar for Material {
    const NAME: &'static str = "Material";
    const DOC: &'static str = "A reference to a secret, key or certificate, never the thing itself. `env:NAME` is an environment \
        variable of the proxy, read once at load. `file:/path` is a file; a relative path is relative to the bootstrap file, and a \
        secret in a file that its group or others may read is refused. Only the bootstrap and manifests of the system namespace may \
        use the two (PV-008). `secret:NAME/KEY` and `credential:NAME/FIELD` need a cluster and are refused by this version (PV-007).";

    /// The text is not repeated in faults: it may be the secret itself.
    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let field = cx.field();
        let way_out = "write `env:NAME` or `file:/path`";
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        if matches!(scheme, "secret" | "credential") {
            let message = format!("`{field}` refers to `{scheme}:` material, which this version cannot resolve");
            return Err(Fault::coded(Code(7), message, way_out));
        }
        if !matches!(scheme, "env" | "file") {
            return Err(Fault::new(format!("`{field}` is not a reference to material"), way_out));
        }
        if !cx.material.local {
            let message = format!("`{scheme}:` material outside the system namespace");
            let help = format!(
                "move the manifest to namespace `{}`; other tenants' manifests must not read the proxy's own files and variables",
                cx.material.system_namespace
            );
            return Err(Fault::coded(Code(8), message, help));
        }
        if scheme == "file" {
            return names::path(rest, cx).map(Material::File);
        }
        let valid = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if valid {
            Ok(Self::Env(rest.to_owned()))
        } else {
            Err(Fault::new(format!("`{field}` does not name an environment variable"), "use letters, digits and `_`"))
        }
    }
}

#[cfg(test)]
mod tests;

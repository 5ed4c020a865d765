//! Scalar types of manifests: durations, sizes, names, references to material and the like.

mod address;
mod cidr;
mod decimal;
mod document;
mod http;
mod listen;
mod material;
mod names;
mod oauth;
mod patterns;
mod quantity;
mod spiffe;
mod store;

pub use address::{BindAddress, CallUrl, Issuer, Origin, UpstreamPlace, UpstreamUrl, WebUrl};
pub use cidr::{Cidr, CidrError, Port};
pub use decimal::Decimal;
pub use document::DocumentFile;
pub use http::{
    EgressHost, HeaderFormat, HeaderName, HeaderValue, Host, MediaType, Method, PathPrefix, QueryName, Stripped,
    TargetPath,
};
pub use listen::ListenAddress;
pub(crate) use material::{local as local_material, mounted as mounted_material};
pub use names::{Claim, FilePath, KeyPrefix, LogOrigin, Name, Pointer, SpiffeName, key_prefix_is_sound};
pub use oauth::{ChallengeWord, ResourceUrl, TenantKey};
pub use patterns::{BuiltinDetector, Cedar, Glob, PathGlob, Pattern, PeerName, SpiffeGlob};
pub use quantity::{Percent, RsaBits, Size, Time, parse_duration, show_duration};
pub use spiffe::{TrustDomain, WorkloadSocket};
pub use store::StoreUrl;

use crate::decode::{Cx, Fault};
use crate::secrets::shown;

/// The fault of a text that is not of the form its type wants.
fn malformed(text: &str, cx: &Cx<'_>, wanted: &str, help: impl Into<String>) -> Fault {
    Fault::new(format!("`{}` is `{}`, which is not {wanted}", cx.field(), shown(text)), help)
}

#[cfg(test)]
mod tests;

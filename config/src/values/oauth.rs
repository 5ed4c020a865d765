//! Words of OAuth that end up in challenges and metadata, and where tenants are named.

use super::address::split_url;
use super::http::{is_canonical_path, is_host_name};
use super::malformed;
use super::names::text_types;
use crate::Code;
use crate::decode::{Cx, Fault, Scalar};
use crate::secrets::shown;

text_types! {
    /// A scope, or an authentication context class: a word that may stand between quotes in a header.
    ChallengeWord;
    /// Where a tenant is written; what it may say depends on the source.
    TenantKey;
}

impl Scalar for TenantKey {
    const NAME: &'static str = "Key";
    const DOC: &'static str =
        "What names the tenant: a label, a host with `{tenant}` in it, the number of a path segment, a header.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let valid = (1..=253).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
        let help = "write the name of a label or header, a host with `{tenant}` in it, or the number of a segment";
        if valid { Ok(Self(text.to_owned())) } else { Err(malformed(text, cx, "a key", help)) }
    }
}

impl Scalar for ChallengeWord {
    const NAME: &'static str = "Word";
    const DOC: &'static str = "Visible ASCII without spaces, `\"` and `\\`, at most 256 bytes (RFC 6749 §3.3): `tools:read`, \
        `urn:example:mfa`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let valid =
            (1..=256).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'));
        let help = "use 1 to 256 visible ASCII characters without spaces, `\"` and `\\`";
        if valid { Ok(Self(text.to_owned())) } else { Err(malformed(text, cx, "a word of OAuth", help)) }
    }
}

/// The identifier of a protected resource (RFC 9728 §1.2): an https URL without query and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUrl {
    /// As it was written: clients compare it letter by letter.
    pub text: String,
    /// Lower case, without port.
    pub host: String,
    /// With the port, where it names one.
    pub authority: String,
    /// Canonical; empty for the whole host.
    pub path: String,
}

impl Scalar for ResourceUrl {
    const NAME: &'static str = "Resource";
    const DOC: &'static str = "An https URL without query, fragment and trailing slash, as clients call it: `https://mcp.example.com/mcp` \
        (RFC 9728 §1.2).";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let help = "write the https address that clients call, without query and trailing slash: `https://mcp.example.com/mcp`";
        let url = split_url(text).filter(|url| is_host_name(url.host));
        let Some(url) = url.filter(|url| url.path.is_empty() || is_canonical_path(url.path)) else {
            return Err(malformed(text, cx, "the address of a resource", help));
        };
        if !url.https {
            let message = format!("`{}` is `{}`, which is not https", cx.field(), shown(text));
            return Err(Fault::coded(Code(12), message, "use the https address that clients call"));
        }
        let authority = text.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        Ok(Self {
            text: text.to_owned(),
            host: url.host.to_ascii_lowercase(),
            authority: authority.to_owned(),
            path: url.path.to_owned(),
        })
    }
}

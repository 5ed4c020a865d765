//! Whose the resources are.

use crate::Code;
use crate::decode::{At, Fields, Setting, spec, words};
use crate::values::TenantKey;

spec! {
    /// Whose the resources are. A principal of another tenant is refused by a built-in rule.
    pub struct Tenancy {
        /// Where a resource's tenant comes from.
        [E] resource: At<ResourceTenant>,
        /// Whether tenants may reach each other's resources.
        [E] cross_tenant: Setting<CrossTenant> = "Forbid",
    }
}

spec! {
    /// Where the tenant of what is asked for comes from. With `Label` it is the route's; with the others each request says whose data it
    /// asks for, and only a principal of just that tenant passes. Where a request says nothing, or something that is not in `tenants` of
    /// a provider of the route, it is refused: an unknown tenant and a foreign one look the same.
    pub struct ResourceTenant {
        /// The kind of source.
        [E] from: At<ResourceTenantSource>,
        /// With `Label` the label's name; with `Host` the whole host with `{tenant}` for one label: `{tenant}.ai.example.com`; with `PathSegment`
        /// the number of the segment in quotes, counted from 0 in the path of the request: in `/t/acme/orders` segment `"1"` is `acme`; with
        /// `Header` the header's name.
        [E] key: At<TenantKey>,
    }
    check check_key
}

words! {
    /// Sources of a resource's tenant.
    pub enum ResourceTenantSource {
        /// A label of the route.
        Label = "Label",
        /// A label of the host that the request is for. Hosts are lower case, and so must the tenants be.
        Host = "Host",
        /// A segment of the path, beyond the route's `pathPrefix`.
        PathSegment = "PathSegment",
        /// A header that stands exactly once. Whoever asks writes it: it says whose data is asked for, never who asks. The upstream gets just
        /// the value that was judged, and no other spelling of the header.
        Header = "Header",
    }
}

/// Most segments of a path before one that names a tenant.
const MOST_SEGMENTS: usize = 32;
/// Headers that say something else, or that an upstream never gets.
const TAKEN: [&str; 12] = [
    "authorization",
    "connection",
    "cookie",
    "dpop",
    "forwarded",
    "host",
    "origin",
    "postern-decision",
    "te",
    "transfer-encoding",
    "txn-token",
    "via",
];

impl ResourceTenant {
    /// What to write instead of a key that is none of its source.
    fn way_out(&self) -> Option<&'static str> {
        let key = self.key.as_str();
        Some(match self.from.value {
            ResourceTenantSource::Label if !is_label(key) => "write the name of a label: `tenant`",
            ResourceTenantSource::Host if host_pattern(key).is_none() => {
                "write the whole host with `{tenant}` in place of one label: `{tenant}.ai.example.com`"
            }
            ResourceTenantSource::PathSegment if segment(key).is_none() => {
                "write the number of a segment, counted from 0, in quotes: `\"1\"`"
            }
            ResourceTenantSource::Header if !is_header(key) => "write the name of a header of your own: `X-Tenant`",
            _ => return None,
        })
    }

    /// Whether the key is one of its source; else that was reported.
    pub fn is_sound(&self) -> bool {
        self.way_out().is_none()
    }
}

fn check_key(tenant: &ResourceTenant, fields: &mut Fields<'_, '_, '_>) {
    let Some(help) = tenant.way_out() else { return };
    let key = tenant.key.as_str();
    let message = format!("`{key}` names nothing that a tenant could come from with `from: {}`", tenant.from.as_str());
    tenant.key.error(fields.cx.report, Code(2), message, help);
}

impl ResourceTenantSource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Label => "Label",
            Self::Host => "Host",
            Self::PathSegment => "PathSegment",
            Self::Header => "Header",
        }
    }
}

/// As label names are written everywhere.
fn is_label(key: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let part = |part: &str| {
        ends(part.chars().next())
            && ends(part.chars().next_back())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    key.len() <= 253 && key.split('/').count() <= 2 && key.split('/').all(part)
}

/// What stands before and after the tenant in a host, lower case.
pub fn host_pattern(key: &str) -> Option<(String, String)> {
    let key = key.to_ascii_lowercase();
    let (before, after) = key.split_once("{tenant}")?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let before_is_whole = before.is_empty() || before.strip_suffix('.').is_some_and(|rest| rest.split('.').all(label));
    let after_is_whole = after.strip_prefix('.').is_some_and(|rest| rest.split('.').all(label));
    (before_is_whole && after_is_whole && key.len() <= 253).then(|| (before.to_owned(), after.to_owned()))
}

/// The number of a segment.
pub fn segment(key: &str) -> Option<usize> {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit()) && (key == "0" || !key.starts_with('0'));
    key.parse().ok().filter(|number| plain && *number < MOST_SEGMENTS)
}

/// Letters, digits and `-`: no other spelling can stand for it (attacks 21 to 23).
fn is_header(key: &str) -> bool {
    let name = key.to_ascii_lowercase();
    let plain = (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    let claims = [
        "content-",
        "sec-",
        "cf-",
        "client-cert",
        "proxy",
        "remote-",
        "ssl-",
        "x-groups",
        "x-host",
        "x-principal",
        "x-roles",
        "x-scheme",
        "x-user",
        "x-forwarded",
        "x-postern-",
        "x-envoy-",
        "x-original-",
        "x-rewrite-",
        "x-auth-",
        "x-spiffe-",
    ];
    plain && !TAKEN.contains(&name.as_str()) && !claims.iter().any(|prefix| name.starts_with(prefix))
}

words! {
    /// Access between tenants.
    pub enum CrossTenant {
        /// There is none.
        Forbid = "Forbid",
    }
}

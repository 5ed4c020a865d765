//! Where the keys of an issuer's tokens come from: one place.

use super::TenantFrom;
use crate::decode::{At, Fields};
use crate::values::CallUrl;
use crate::{Code, Material};

/// What a provider of signed tokens says that has to agree.
pub(super) struct KeyPlace<'p> {
    pub(super) tenant: &'p TenantFrom,
    pub(super) jwks_from: Option<&'p At<Material>>,
    pub(super) jwks_url: Option<&'p At<CallUrl>>,
    pub(super) ca_from: Option<&'p At<Material>>,
}

impl KeyPlace<'_> {
    pub(super) fn check(&self, fields: &mut Fields<'_, '_, '_>) {
        if let Some(segment) = &self.tenant.spiffe_segment {
            segment.error(fields.cx.report, Code(2), "a token has no SPIFFE segment", "use `claim` or `value`");
        }
        if let (Some(_), Some(url)) = (self.jwks_from, self.jwks_url) {
            let message = "keys come from exactly one place, and `jwksFrom` says another";
            url.error(fields.cx.report, Code(2), message, "remove one of `jwksFrom` and `jwksUrl`");
        }
        let fetched = [("caFrom", self.ca_from.is_some()), ("keysMaxAge", fields.has("keysMaxAge"))];
        for (name, _) in fetched.into_iter().filter(|(_, written)| *written && self.jwks_from.is_some()) {
            let message = format!("`{name}` is for keys that are fetched, and `jwksFrom` reads them from here");
            fields.refuse(name, Code(2), message, "remove it, or `jwksFrom`");
        }
    }
}

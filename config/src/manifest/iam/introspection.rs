//! Tokens that only their issuer can read.

use std::time::Duration;

use super::{JwtPrincipal, TagFrom, TenantFrom};
use crate::decode::{At, Fields, Setting, spec};
use crate::values::{CallUrl, Claim, Issuer, Name};
use crate::{Code, Material, SenderConstraint};

spec! {
    /// Tokens that their issuer is asked about (RFC 7662). On a route that also has `Jwt` providers, a token of three parts whose
    /// `iss` is the issuer of one of them is theirs, and every other one is asked about.
    pub struct IntrospectionProvider {
        /// Named by `authentication.providers` of an APIAccessPolicy.
        [E] name: At<Name>,
        /// Whose tokens they are; `iss` of an answer, where it has one, must be the same.
        [E, missing 11] issuer: At<Issuer>,
        /// An answer must carry one of them in `aud`.
        [E, missing 11] audiences: At<Vec<At<String>>>,
        /// Where the issuer is asked.
        [E] introspection_url: At<CallUrl>,
        /// What we prove there who we are with: `id:secret`, sent as HTTP Basic (`client_secret_basic`, RFC 6749 §2.3.1). A
        /// secret: readable by its owner alone.
        [E] client_auth_from: At<Material>,
        /// Authorities that are believed there, and no others; PEM. Without it, those of the machine.
        [E] ca_from: Option<At<Material>>,
        /// How long an answer is used, and never past the token's `exp`. A revocation is seen after this time at the latest.
        [E, max "5m"] cache_for: Setting<Duration> = "30s",
        /// Longest time since `iat`, where an answer has one.
        [E, max "24h"] max_token_age: Setting<Duration> = "1h",
        /// Difference between our clock and the issuer's that is let pass.
        [E, max "5m"] clock_skew: Setting<Duration> = "30s",
        /// How a token must be bound to its sender.
        [E] sender_constraint: Setting<SenderConstraint> = "Any",
        /// What an active token makes of its sender.
        [E] principal: At<JwtPrincipal>,
        /// Where the principal's tenant comes from.
        [E] tenant: At<TenantFrom>,
        /// The tenants this provider may assert; a principal of any other is refused.
        [E] tenants: At<Vec<At<String>>>,
        /// Member of the answer that lists groups. Without it a principal has none.
        [E] groups_claim: Option<At<Claim>>,
        /// Member of the answer that lists scopes, in one string.
        [E] scopes_claim: Setting<Claim> = "scope",
        /// Members of the answer that rules may read as tags of the principal.
        [E] tags: Vec<At<TagFrom>>,
    }
    check check_introspection
}

fn check_introspection(provider: &IntrospectionProvider, fields: &mut Fields<'_, '_, '_>) {
    if let Some(segment) = &provider.tenant.spiffe_segment {
        segment.error(fields.cx.report, Code(2), "a token has no SPIFFE segment", "use `claim` or `value`");
    }
}

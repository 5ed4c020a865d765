//! IAMPolicy: who can be recognised at all, and what is known about them.

use std::time::Duration;

use crate::decode::{At, Fields, Setting, spec, tagged, words};
use crate::values::{Claim, Issuer, Name, Pointer};
use crate::{Code, JwtAlgorithm, Material, PrincipalType, SenderConstraint};

spec! {
    /// Who can be recognised at all, and what is known about them. A provider is *recognised* where an IAMPolicy attaches it,
    /// and *accepted* only where an APIAccessPolicy names it.
    pub struct IamPolicy {
        /// The ways to be recognised.
        [E] providers: At<Vec<At<Provider>>>,
        /// Whose the resources are.
        [E] tenancy: Option<At<Tenancy>>,
        /// What becomes of the caller's token. It never reaches an upstream: the MCP specification forbids it, and PV-014 has
        /// no waiver.
        [E] token_forwarding: Setting<TokenForwarding> = "Strip",
        /// How accounts come and go.
        [D] lifecycle: Option<At<Lifecycle>>,
    }
    later {
        /// Authentication strength demanded of every request.
        [E] "assurance",
        /// Streams of revocation events (CAEP, RISC).
        [E] "revocation",
        /// Serves protected resource metadata (RFC 9728).
        [E] "protectedResource",
    }
}

tagged! {
    /// One way to be recognised.
    pub enum Provider {
        /// Signed tokens of one issuer (RFC 7519, RFC 8725, RFC 9068).
        Jwt(Box<JwtProvider>),
        /// X.509-SVIDs presented over mTLS.
        Spiffe(Box<SpiffeProvider>),
    }
    later { "Introspection", "Mtls", "ApiKey", "TxnToken", "HttpSignature" }
}

impl Provider {
    #[must_use]
    pub fn name(&self) -> &At<Name> {
        match self {
            Self::Jwt(jwt) => &jwt.name,
            Self::Spiffe(spiffe) => &spiffe.name,
        }
    }

    #[must_use]
    pub fn tenant(&self) -> &At<TenantFrom> {
        match self {
            Self::Jwt(jwt) => &jwt.tenant,
            Self::Spiffe(spiffe) => &spiffe.tenant,
        }
    }
}

spec! {
    /// Signed tokens of one issuer.
    pub struct JwtProvider {
        /// Named by `authentication.providers` of an APIAccessPolicy.
        [E] name: At<Name>,
        /// The exact `iss`.
        [E, missing 11] issuer: At<Issuer>,
        /// A token must carry one of them in `aud`.
        [E, missing 11] audiences: At<Vec<At<String>>>,
        /// The only algorithms accepted, whatever a token's `alg` says. All asymmetric.
        [E, missing 11] algorithms: At<Vec<At<JwtAlgorithm>>>,
        /// Accepted `typ` values, compared without case and without an `application/` prefix.
        [E] token_types: Setting<Vec<At<String>>> = "[at+jwt]",
        /// The issuer's keys as a JWK set (RFC 7517) in a file or variable. Watched and reloaded.
        [E] jwks_from: At<Material>,
        /// Longest time since `iat`.
        [E, max "24h"] max_token_age: Setting<Duration> = "1h",
        /// Difference between our clock and the issuer's that is let pass.
        [E, max "5m"] clock_skew: Setting<Duration> = "30s",
        /// How a token must be bound to its sender.
        [E] sender_constraint: Setting<SenderConstraint> = "Any",
        /// What a verified token makes of its sender.
        [E] principal: At<JwtPrincipal>,
        /// Where the principal's tenant comes from.
        [E] tenant: At<TenantFrom>,
        /// The tenants this provider may assert; a principal of any other is refused.
        [E] tenants: At<Vec<At<String>>>,
        /// Claim that lists groups. Without it a principal has none.
        [E] groups_claim: Option<At<Claim>>,
        /// Claim that lists scopes, in one string or a list.
        [E] scopes_claim: Setting<Claim> = "scope",
        /// Claims that rules may read as tags of the principal.
        [E] tags: Vec<At<TagFrom>>,
    }
    later {
        /// Address of the key set; this version reads `jwksFrom`.
        [E] "jwksUrl",
    }
    check check_jwt
}

fn check_jwt(jwt: &JwtProvider, fields: &mut Fields<'_, '_, '_>) {
    if let Some(segment) = &jwt.tenant.spiffe_segment {
        segment.error(fields.cx.report, Code(2), "a token has no SPIFFE segment", "use `claim` or `value`");
    }
}

spec! {
    /// X.509-SVIDs presented over mTLS.
    pub struct SpiffeProvider {
        /// Named by `authentication.providers` of an APIAccessPolicy.
        [E] name: At<Name>,
        /// What a verified SVID makes of its holder.
        [E] principal: At<SpiffePrincipal>,
        /// Where the principal's tenant comes from.
        [E] tenant: At<TenantFrom>,
        /// The tenants this provider may assert; a principal of any other is refused.
        [E] tenants: At<Vec<At<String>>>,
    }
    later {
        /// Would accept JWT-SVIDs, which count as bearer tokens.
        [E] "audiences",
    }
    check check_spiffe
}

fn check_spiffe(spiffe: &SpiffeProvider, fields: &mut Fields<'_, '_, '_>) {
    if let Some(claim) = &spiffe.tenant.claim {
        claim.error(fields.cx.report, Code(2), "an SVID has no claims", "use `spiffeSegment` or `value`");
    }
}

words! {
    /// Signature algorithms of RFC 7518 and RFC 8037.
    impl JwtAlgorithm {
        /// ECDSA on P-256.
        (JwtAlgorithm::ES256) = "ES256",
        /// ECDSA on P-384.
        (JwtAlgorithm::ES384) = "ES384",
        /// Ed25519.
        (JwtAlgorithm::EdDSA) = "EdDSA",
        /// RSA PKCS#1 v1.5 with SHA-256.
        (JwtAlgorithm::RS256) = "RS256",
        /// RSA PKCS#1 v1.5 with SHA-384.
        (JwtAlgorithm::RS384) = "RS384",
        /// RSA PKCS#1 v1.5 with SHA-512.
        (JwtAlgorithm::RS512) = "RS512",
        /// RSA-PSS with SHA-256.
        (JwtAlgorithm::PS256) = "PS256",
        /// RSA-PSS with SHA-384.
        (JwtAlgorithm::PS384) = "PS384",
        /// RSA-PSS with SHA-512.
        (JwtAlgorithm::PS512) = "PS512",
    }
    never { "none", "None", "NONE", "HS256", "HS384", "HS512" } with 11, "`{}` lets everybody who can check a token make one",
        "use an asymmetric algorithm: ES256, EdDSA, PS256"
}

words! {
    /// How a token must be bound to its sender.
    impl SenderConstraint {
        /// A bearer token is enough.
        (SenderConstraint::None) = "None",
        /// Bound by any mechanism this version knows, which is `Mtls`.
        (SenderConstraint::Any) = "Any",
        /// Bound to the client certificate (RFC 8705 `x5t#S256`).
        (SenderConstraint::Mtls) = "Mtls",
    }
    later { "Dpop" }
}

spec! {
    /// What a verified token makes of its sender.
    pub struct JwtPrincipal {
        /// Its type.
        [E] kind as "type": At<PrincipalType>,
        /// Claim with the principal's id.
        [E] id_claim: Setting<Claim> = "sub",
        /// Claim with the party that acts for the principal (RFC 8693 §4.1).
        [E] actor_claim: Setting<Claim> = "act",
    }
}

spec! {
    /// What a verified SVID makes of its holder. Its id is the SPIFFE ID.
    pub struct SpiffePrincipal {
        /// Its type.
        [E] kind as "type": At<PrincipalType>,
    }
}

spec! {
    /// Where a tenant comes from: exactly one of the three.
    pub struct TenantFrom {
        /// Pointer into the claims of a token.
        [E] claim: Option<At<Pointer>>,
        /// Segment of the path of a SPIFFE ID, from 0: in `spiffe://td/ns/acme/sa/x` segment 1 is `acme`.
        [E] spiffe_segment: Option<At<u32>>,
        /// Always this tenant.
        [E] value: Option<At<String>>,
    }
    check check_tenant
}

fn check_tenant(tenant: &TenantFrom, fields: &mut Fields<'_, '_, '_>) {
    let written = [tenant.claim.is_some(), tenant.spiffe_segment.is_some(), tenant.value.is_some()];
    if written.iter().filter(|w| **w).count() != 1 {
        let position = fields.position.clone();
        fields.cx.shape(
            &position,
            "a tenant comes from exactly one place",
            "write one of `claim`, `spiffeSegment` and `value`",
        );
    }
}

spec! {
    /// One claim as a tag.
    pub struct TagFrom {
        /// The tag's name in rules.
        [E] name: At<Name>,
        /// Pointer into the claims.
        [E] claim: At<Pointer>,
    }
}

spec! {
    /// Whose the resources are. A principal of another tenant is refused by a built-in rule.
    pub struct Tenancy {
        /// Where a route's tenant comes from.
        [E] resource: At<ResourceTenant>,
        /// Whether tenants may reach each other's resources.
        [E] cross_tenant: Setting<CrossTenant> = "Forbid",
    }
}

spec! {
    /// Where the tenant of a route's resources comes from.
    pub struct ResourceTenant {
        /// The kind of source.
        [E] from: At<ResourceTenantSource>,
        /// Name of the label.
        [E] key: At<super::LabelName>,
    }
}

words! {
    /// Sources of a resource's tenant.
    pub enum ResourceTenantSource {
        /// A label of the route.
        Label = "Label",
    }
    later { "Host", "PathSegment", "Header" }
}

words! {
    /// Access between tenants.
    pub enum CrossTenant {
        /// There is none.
        Forbid = "Forbid",
    }
}

words! {
    /// What becomes of the caller's token.
    pub enum TokenForwarding {
        /// It is removed.
        Strip = "Strip",
    }
    later { "Exchange", "TxnToken" }
    never { "Forward", "Passthrough", "PassThrough", "Pass", "Relay", "Keep" } with 14,
        "`tokenForwarding: {}` would hand the caller's token to an upstream it was not made for",
        "use `Strip`, and give the upstream its own credential with SecretManagement"
}

spec! {
    /// How accounts come and go.
    pub struct Lifecycle {
        /// What happens when somebody joins.
        [D] joiner: Option<At<String>>,
        /// What happens when somebody changes places.
        [D] mover: Option<At<String>>,
        /// What happens when somebody leaves.
        [D] leaver: Option<At<String>>,
        /// How often accounts are reviewed.
        [D] review_every: Option<At<Duration>>,
    }
}

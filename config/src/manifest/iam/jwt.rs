//! Signed tokens.

use std::time::Duration;

use super::key_place::KeyPlace;
use super::{BrowserLogin, TagFrom, TenantFrom};
use crate::decode::{At, Fields, Setting, spec, words};
use crate::values::{CallUrl, Claim, Issuer, Name};
use crate::{JwtAlgorithm, Material, PrincipalType, SenderConstraint};

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
        /// The issuer's keys as a JWK set (RFC 7517) in a file or variable. Watched and reloaded. Without it and `jwksUrl` the
        /// issuer's own metadata says where its keys are (OpenID Connect Discovery, RFC 8414).
        [E] jwks_from: Option<At<Material>>,
        /// Where the issuer publishes its keys as a JWK set. Fetched at start and from then on, without a reload.
        [E] jwks_url: Option<At<CallUrl>>,
        /// Authorities that are believed where keys are fetched, and no others; PEM. Without it, those of the machine.
        [E] ca_from: Option<At<Material>>,
        /// How long fetched keys are used after the issuer was last heard. Then nobody can tell who asks, and requests are
        /// refused with 503.
        [E, max "7d"] keys_max_age: Setting<Duration> = "24h",
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
        /// Logs browsers in, on routes of dialect `http`.
        [E] browser: Option<At<BrowserLogin>>,
    }
    check check_jwt
}

fn check_jwt(jwt: &JwtProvider, fields: &mut Fields<'_, '_, '_>) {
    let place = KeyPlace {
        tenant: &jwt.tenant,
        jwks_from: jwt.jwks_from.as_ref(),
        jwks_url: jwt.jwks_url.as_ref(),
        ca_from: jwt.ca_from.as_ref(),
    };
    place.check(fields);
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
        /// Bound by `Mtls` or `Dpop`.
        (SenderConstraint::Any) = "Any",
        /// Bound to the client certificate (RFC 8705 `x5t#S256`).
        (SenderConstraint::Mtls) = "Mtls",
        /// Bound to a key of the client (RFC 9449 `jkt`), which signs a proof for each request. A proof is good for a minute and
        /// once in this process, for the scheme, host, port and path that arrive here; keys are ES256, ES384 or EdDSA.
        (SenderConstraint::Dpop) = "Dpop",
        /// As `Dpop`, and each proof has a nonce that this process gave out at most four minutes ago (RFC 9449 §8), so that none can be
        /// made ahead. A client that has none is told one (`use_dpop_nonce`), and every answer tells the latest.
        (SenderConstraint::DpopNonce) = "DpopNonce",
    }
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

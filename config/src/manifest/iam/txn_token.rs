//! Transaction tokens: for whom a workload of the same trust domain asks, and how they are made for those behind us.

use std::time::Duration;

use super::key_place::KeyPlace;
use super::{JwtPrincipal, TagFrom, TenantFrom};
use crate::decode::{At, Fields, Setting, spec};
use crate::values::{CallUrl, Claim, Issuer, Name};
use crate::{JwtAlgorithm, Material};

spec! {
    /// Transaction tokens of one issuer, in the header `Txn-Token` (draft-ietf-oauth-transaction-tokens). Such a token says for whom a
    /// workload asks, and not who asks: it counts only beside a client certificate that a provider of type `Spiffe` or `Mtls` recognises.
    pub struct TxnTokenProvider {
        /// Named by `authentication.providers` of an APIAccessPolicy.
        [E] name: At<Name>,
        /// The exact `iss`.
        [E, missing 11] issuer: At<Issuer>,
        /// The trust domain: a token must carry one of them in `aud`.
        [E, missing 11] audiences: At<Vec<At<String>>>,
        /// The only algorithms accepted, whatever a token's `alg` says. All asymmetric.
        [E, missing 11] algorithms: At<Vec<At<JwtAlgorithm>>>,
        /// The issuer's keys as a JWK set (RFC 7517) in a file or variable. Watched and reloaded. Without it and `jwksUrl` the
        /// issuer's own metadata says where its keys are (RFC 8414).
        [E] jwks_from: Option<At<Material>>,
        /// Where the issuer publishes its keys as a JWK set. Fetched at start and from then on, without a reload.
        [E] jwks_url: Option<At<CallUrl>>,
        /// Authorities that are believed where keys are fetched, and no others; PEM. Without it, those of the machine.
        [E] ca_from: Option<At<Material>>,
        /// How long fetched keys are used after the issuer was last heard. Then nobody can tell who asks, and requests are
        /// refused with 503.
        [E, max "7d"] keys_max_age: Setting<Duration> = "24h",
        /// Longest time since `iat`.
        [E, max "1h"] max_token_age: Setting<Duration> = "10m",
        /// Difference between our clock and the issuer's that is let pass.
        [E, max "5m"] clock_skew: Setting<Duration> = "30s",
        /// What a verified token says of the party it is about.
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
    check check_txn
}

fn check_txn(txn: &TxnTokenProvider, fields: &mut Fields<'_, '_, '_>) {
    let place = KeyPlace {
        tenant: &txn.tenant,
        jwks_from: txn.jwks_from.as_ref(),
        jwks_url: txn.jwks_url.as_ref(),
        ca_from: txn.ca_from.as_ref(),
    };
    place.check(fields);
}

spec! {
    /// Transaction tokens that are made for upstreams: for whom a request is, in a form that workloads behind the proxy can check
    /// (draft-ietf-oauth-transaction-tokens). The claims are `iss`, `aud`, `iat`, `exp`, `txn` (the id of the decision, as in the audit
    /// record), `sub` (issuer and subject of the caller), `act` where an Agent acts for `sub`, `scope` (the action that was permitted),
    /// `req_wl` (who asked for the token: the issuer), `tctx` (tenant, route, method, path) and `rctx` (how the caller was recognised).
    pub struct TxnTokens {
        /// `iss`, and `req_wl`.
        [E] issuer: At<Issuer>,
        /// `aud`: the trust domain of the workloads behind the proxy.
        [E] audience: At<String>,
        /// A key of a KeyManagementPolicy with purpose `TokenSigning`. Its public half is published there (`publish: Jwks`).
        [E] key_name: At<Name>,
        /// Time from `iat` to `exp`; never beyond the credential it is made from.
        [E, max "15m"] lifetime: Setting<Duration> = "5m",
    }
}

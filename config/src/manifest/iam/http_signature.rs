//! Requests that their sender signed.

use std::time::Duration;

use super::{TagFrom, TenantFrom};
use crate::decode::{At, Fields, Setting, spec, words};
use crate::values::{ChallengeWord, Claim, HeaderName, Issuer, Name};
use crate::{Code, Material, PrincipalType, SignatureAlgorithm};

spec! {
    /// Requests that their sender signed (RFC 9421), with a key whose public half is here. A signature covers the method, the whole
    /// target (`@target-uri`, or `@authority`, `@path` and, where there is a query, `@query`), the header fields of `components` that
    /// the request has, and for a request with a body `content-digest` (RFC 9530), which the body that came must match. It says when
    /// it was made and with which key (`created`, `keyid`), is good for `maxAge` and once in this process: who sends two equal
    /// requests in one second tells them apart by a `nonce`. A request has one signature and no credential beside it but a client
    /// certificate. Paths are signed in their normal spelling (RFC 3986 §6.2.2).
    pub struct HttpSignatureProvider {
        /// Named by `authentication.providers` of an APIAccessPolicy.
        [E] name: At<Name>,
        /// Whose keys they are: a name, nobody calls it. A principal is this and what `idClaim` says.
        [E] issuer: At<Issuer>,
        /// The public keys as a JWK set (RFC 7517). Each has a `kid`, which signatures name as `keyid`, and may say more about
        /// who holds it in members of its own, which the fields below name. With `exp` (Unix seconds) a key ends by itself. Watched
        /// and reloaded.
        [E] jwks_from: At<Material>,
        /// The only algorithms accepted. All asymmetric; which of them is used is the key's to say.
        [E, missing 11] algorithms: At<Vec<At<SignatureAlgorithm>>>,
        /// The `tag` that signatures carry; without it they carry none. A signature for another application is none for this one.
        [E] tag: Option<At<ChallengeWord>>,
        /// Header fields that a signature covers where the request has them.
        [E] components: Setting<Vec<At<HeaderName>>> = "[content-type]",
        /// Longest time since `created`.
        [E, max "5m"] max_age: Setting<Duration> = "1m",
        /// Difference between our clock and the sender's that is let pass.
        [E, max "1m"] clock_skew: Setting<Duration> = "30s",
        /// What a signature makes of its sender.
        [E] principal: At<SignaturePrincipal>,
        /// Where the principal's tenant comes from: `value`, or `claim`, which points into the key.
        [E] tenant: At<TenantFrom>,
        /// The tenants this provider may assert; a file with a key of any other does not load.
        [E] tenants: At<Vec<At<String>>>,
        /// Member of a key that lists groups of its holder. Without it a principal has none.
        [E] groups_claim: Option<At<Claim>>,
        /// Members of a key that rules may read as tags of the principal.
        [E] tags: Vec<At<TagFrom>>,
    }
    check check_http_signature
}

fn check_http_signature(provider: &HttpSignatureProvider, fields: &mut Fields<'_, '_, '_>) {
    if let Some(segment) = &provider.tenant.spiffe_segment {
        segment.error(fields.cx.report, Code(2), "a key has no SPIFFE segment", "use `claim` or `value`");
    }
    if let Material::Env(_) = provider.jwks_from.value {
        let help = "put the key set into a file: it is watched, so that a key can be taken back at once";
        provider.jwks_from.error(fields.cx.report, Code(2), "keys are not read from a variable", help);
    }
    for own in provider.components.iter().filter(|name| ["signature", "signature-input"].contains(&name.as_str())) {
        let help = "leave it out; what says what is signed is always covered";
        own.error(fields.cx.report, Code(2), "a signature cannot cover itself", help);
    }
}

words! {
    /// Algorithms of HTTP signatures (RFC 9421 §3.3), as their registry writes them.
    impl SignatureAlgorithm {
        /// Ed25519.
        (SignatureAlgorithm::Ed25519) = "ed25519",
        /// ECDSA on P-256 with SHA-256.
        (SignatureAlgorithm::EcdsaP256) = "ecdsa-p256-sha256",
        /// ECDSA on P-384 with SHA-384.
        (SignatureAlgorithm::EcdsaP384) = "ecdsa-p384-sha384",
        /// RSA-PSS with SHA-512 and a salt of 64 bytes.
        (SignatureAlgorithm::RsaPss) = "rsa-pss-sha512",
        /// RSA PKCS#1 v1.5 with SHA-256.
        (SignatureAlgorithm::RsaPkcs1) = "rsa-v1_5-sha256",
    }
    never { "hmac-sha256" } with 11, "`{}` lets everybody who can check a signature make one",
        "use an asymmetric algorithm: ed25519, ecdsa-p256-sha256"
}

spec! {
    /// What a signature makes of its sender.
    pub struct SignaturePrincipal {
        /// Its type.
        [E] kind as "type": At<PrincipalType>,
        /// Member of the key with the principal's id. Two keys of one holder, of whom one replaces the other, have the same `sub`.
        [E] id_claim: Setting<Claim> = "kid",
    }
}

//! Workload identities.

use super::TenantFrom;
use crate::decode::{At, Fields, spec};
use crate::values::{Name, TrustDomain};
use crate::{Code, Material, PrincipalType};

spec! {
    /// X.509-SVIDs presented over mTLS; with `audiences` also JWT-SVIDs, as `Authorization: Bearer`. A JWT-SVID is a bearer token:
    /// whoever has it is its workload, so that a route that executes needs an exception for it (PV-013).
    pub struct SpiffeProvider {
        /// Named by `authentication.providers` of an APIAccessPolicy.
        [E] name: At<Name>,
        /// What a verified SVID makes of its holder.
        [E] principal: At<SpiffePrincipal>,
        /// Where the principal's tenant comes from.
        [E] tenant: At<TenantFrom>,
        /// The tenants this provider may assert; a principal of any other is refused.
        [E] tenants: At<Vec<At<String>>>,
        /// A JWT-SVID must carry one of them in `aud`. Without it there are no JWT-SVIDs.
        [E] audiences: Option<At<Vec<At<String>>>>,
        /// Whose JWT-SVIDs are believed: the keys of their trust domains. With `audiences`, and only then.
        [E] jwt_bundles: Option<At<Vec<At<JwtBundle>>>>,
    }
    check check_spiffe
}

fn check_spiffe(spiffe: &SpiffeProvider, fields: &mut Fields<'_, '_, '_>) {
    if let Some(claim) = &spiffe.tenant.claim {
        claim.error(fields.cx.report, Code(2), "an SVID has no claims", "use `spiffeSegment` or `value`");
    }
    match (&spiffe.audiences, &spiffe.jwt_bundles) {
        (Some(audiences), None) => {
            let help = "add `jwtBundles`: the trust domains, and where their keys are";
            audiences.error(
                fields.cx.report,
                Code(2),
                "nobody could check a JWT-SVID without the keys of its domain",
                help,
            );
        }
        (None, Some(bundles)) => {
            let help = "add `audiences`: how JWT-SVIDs name this gateway";
            bundles.error(fields.cx.report, Code(2), "a JWT-SVID is for an audience, and none is named", help);
        }
        (Some(_), Some(bundles)) => {
            for (index, bundle) in bundles.iter().enumerate() {
                let domain = &bundle.trust_domain;
                if bundles.iter().take(index).any(|other| other.trust_domain.as_str() == domain.as_str()) {
                    let message = format!("`{}` has two bundles", domain.as_str());
                    domain.error(fields.cx.report, Code(2), message, "keep one; a bundle holds all keys of its domain");
                }
            }
        }
        (None, None) => {}
    }
}

spec! {
    /// The keys of one trust domain.
    pub struct JwtBundle {
        /// Whose JWT-SVIDs they are for, and no others.
        [E] trust_domain: At<TrustDomain>,
        /// The SPIFFE bundle of the domain: a JWK set, of which the keys with `use: jwt-svid` count. A bundle without one takes all
        /// JWT-SVIDs of its domain back. Watched and reloaded.
        [E] bundle_from: At<Material>,
    }
}

spec! {
    /// What a verified SVID makes of its holder. Its id is the SPIFFE ID.
    pub struct SpiffePrincipal {
        /// Its type.
        [E] kind as "type": At<PrincipalType>,
    }
}

//! Workload identities.

use super::TenantFrom;
use crate::decode::{At, Fields, spec};
use crate::values::Name;
use crate::{Code, PrincipalType};

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

spec! {
    /// What a verified SVID makes of its holder. Its id is the SPIFFE ID.
    pub struct SpiffePrincipal {
        /// Its type.
        [E] kind as "type": At<PrincipalType>,
    }
}

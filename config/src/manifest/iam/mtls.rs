//! Client certificates that are not SVIDs.

use super::TenantFrom;
use crate::decode::{At, Fields, spec};
use crate::values::{Issuer, Name};
use crate::{Code, PrincipalType};

spec! {
    /// Client certificates that are not SVIDs, of the authorities that the listener's CertificatePolicy trusts. A principal is
    /// `issuer` and the certificate's one DNS name; a certificate with another name beside it, a wildcard or only a common name
    /// says nobody's name and is refused. On a route with this provider every such certificate is presented as a credential, also
    /// one that a token is bound to.
    pub struct MtlsProvider {
        /// Named by `authentication.providers` of an APIAccessPolicy.
        [E] name: At<Name>,
        /// Whose certificates they are: a name for the authority, which nobody calls.
        [E] issuer: At<Issuer>,
        /// What a certificate makes of its holder.
        [E] principal: At<CertificatePrincipal>,
        /// Of which tenant the holders are: `value`.
        [E] tenant: At<TenantFrom>,
        /// The tenants this provider may assert; a principal of any other is refused.
        [E] tenants: At<Vec<At<String>>>,
    }
    check check_mtls
}

fn check_mtls(mtls: &MtlsProvider, fields: &mut Fields<'_, '_, '_>) {
    let refuse = "a certificate that is no SVID says nothing of tenants";
    if let Some(claim) = &mtls.tenant.claim {
        claim.error(fields.cx.report, Code(2), refuse, "use `value`");
    }
    if let Some(segment) = &mtls.tenant.spiffe_segment {
        segment.error(fields.cx.report, Code(2), refuse, "use `value`");
    }
}

spec! {
    /// What a certificate makes of its holder.
    pub struct CertificatePrincipal {
        /// Its type.
        [E] kind as "type": At<PrincipalType>,
    }
}

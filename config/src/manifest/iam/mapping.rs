//! What a credential says beside who it is of.

use crate::decode::{At, Fields, spec};
use crate::values::{Name, Pointer};

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

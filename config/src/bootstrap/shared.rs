//! The store that replicas share, as it is written.

use crate::decode::{At, Fields, spec};
use crate::values::{Name, StoreUrl};
use crate::{Code, Material};

const PV_BLIND: Code = Code(25);

spec! {
    /// A store that replicas share: one Redis or Valkey, a primary, with `maxmemory-policy: noeviction`. Limits with `store: Shared`
    /// are counted in it.
    pub struct SharedSpec {
        /// Where it is.
        [E] redis: At<StoreUrl>,
        /// User of its ACL; without one, its default user.
        [E] user: Option<At<Name>>,
        /// The user's password.
        [E] auth_from: Option<At<Material>>,
        /// Whose certificates are believed: PEM. Without it, the machine's authorities.
        [E] ca_from: Option<At<Material>>,
    }
    check check_shared
}

fn check_shared(shared: &SharedSpec, fields: &mut Fields<'_, '_, '_>) {
    let report = &mut *fields.cx.report;
    if let (Some(user), None) = (&shared.user, &shared.auth_from) {
        user.error(report, PV_BLIND, "nothing acts on `user` without a password", "add `authFrom`, or remove it");
    }
    if let (Some(ca), false) = (&shared.ca_from, matches!(shared.redis.value, StoreUrl::Tls { .. })) {
        ca.error(report, PV_BLIND, "nothing acts on `caFrom` without TLS", "remove it, or write `rediss:`");
    }
}

//! The store that replicas share, as it is written.

use std::time::Duration;

use crate::decode::{At, Fields, Setting, spec};
use crate::values::{Name, StoreUrl};
use crate::{Code, Material};

const PV_BLIND: Code = Code(25);
const PV_LIMIT: Code = Code(71);

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
        /// How long a place among `ConcurrentRequests` is its request's own without being asked for again, which is done after a
        /// third of it; from 1s (PV-071). Places of a process that was killed are free after it; requests of a process that
        /// cannot reach the store end shortly before it is over; a store that began anew gives out no place before it is over.
        /// The same for all replicas.
        [E, max "5m"] lease: Setting<Duration> = "15s",
    }
    check check_shared
}

fn check_shared(shared: &SharedSpec, fields: &mut Fields<'_, '_, '_>) {
    let report = &mut *fields.cx.report;
    if let (Some(user), None) = (&shared.user, &shared.auth_from) {
        user.error(report, PV_BLIND, "nothing acts on `user` without a password", "add `authFrom`, or remove it");
    }
    if *shared.lease < Duration::from_secs(1) {
        let help = "write a time from 1s to 5m, such as `15s`";
        shared.lease.at.error(report, PV_LIMIT, "`lease` is shorter than a second", help);
    }
    if let (Some(ca), false) = (&shared.ca_from, matches!(shared.redis.value, StoreUrl::Tls { .. })) {
        ca.error(report, PV_BLIND, "nothing acts on `caFrom` without TLS", "remove it, or write `rediss:`");
    }
}

//! Proxies in front of this one, as they are written.

use crate::Code;
use crate::decode::{At, Fields, Setting, spec, words};
use crate::values::{Cidr, PeerName};

const PV_SHAPE: Code = Code(2);

spec! {
    /// A proxy in front of this one whose word about where a request comes from is believed.
    pub struct TrustedProxySpec {
        /// Its address, or those of several. Addresses alone are no proof of who is there: keep the range narrow.
        [E] cidr: At<Cidr>,
        /// The SPIFFE ID that its certificate must have, too. A PROXY header comes before any certificate, so an entry with a
        /// principal is none for `proxyProtocol`.
        [E] principal: Option<At<PeerName>>,
        /// Which headers it writes itself. The others are the client's own word, and are dropped.
        [E] headers: Setting<ForwardedBy> = "XForwarded",
    }
    check check_proxy
}

words! {
    /// How a proxy says where a request comes from.
    pub enum ForwardedBy {
        /// `X-Forwarded-For`.
        XForwarded = "XForwarded",
        /// `Forwarded` (RFC 7239).
        Forwarded = "Forwarded",
    }
}

fn check_proxy(proxy: &TrustedProxySpec, fields: &mut Fields<'_, '_, '_>) {
    let report = &mut *fields.cx.report;
    match &proxy.principal {
        None if proxy.cidr.is_everything() => {
            let message = "everybody would be believed, whatever they say of themselves";
            proxy.cidr.error(report, PV_SHAPE, message, "write the proxies' own range, or name their `principal`");
        }
        Some(principal) if !principal.starts_with("spiffe://") || principal.contains('*') => {
            let message = format!("`principal` is `{}`, which is not one SPIFFE ID", principal.as_str());
            principal.error(report, PV_SHAPE, message, "write it out: `spiffe://example.org/ns/edge/sa/lb`");
        }
        _ => {}
    }
}

//! NetworkPolicy: who may connect, and where the proxy may connect to.

use crate::decode::{At, Fields, Setting, spec, words};
use crate::values::{Cidr, EgressHost, Name, Port, SpiffeGlob};
use crate::{Code, PrivateRanges, Redirects};

spec! {
    /// Who may connect, and where the proxy may connect to. `ingress` on a Gateway is judged before a byte is read, and its
    /// principals before a byte of HTTP; on a Route before the request's credentials. `egress` is judged for every address
    /// that is dialled.
    pub struct NetworkPolicy {
        /// Who may connect. Not on an Upstream alone (PV-025).
        [E] ingress: Option<At<IngressSpec>>,
        /// Where the proxy may connect to. Without any such policy an upstream of the bootstrap may be called: a literal address as
        /// it was written, a name at public and private addresses but never at link-local and metadata addresses, and at loopback
        /// only if it is `localhost`.
        [E] egress: Option<At<EgressSpec>>,
        /// Segmentation as it is drawn elsewhere.
        [D] zones: Vec<At<Zone>>,
    }
}

spec! {
    /// Who may connect.
    pub struct IngressSpec {
        /// Who may; one rule of *every* manifest that has this list must match. Without any such list everybody may who passes the
        /// other policies.
        [E] allow: Option<At<Vec<At<IngressAllow>>>>,
        /// Who may not, whatever is allowed; the rules of all manifests apply.
        [E] deny: Vec<At<IngressDeny>>,
    }
}

spec! {
    /// Who may connect: by address, by SPIFFE ID, or by both, and then both must hold.
    pub struct IngressAllow {
        /// Named by records.
        [E] name: At<Name>,
        /// Ranges of the peer's address, any of them.
        [E] cidrs: Vec<At<Cidr>>,
        /// Globs on the SPIFFE ID of the client certificate, any of them.
        [E] principals: Vec<At<SpiffeGlob>>,
    }
    check check_allow
}

fn check_allow(rule: &IngressAllow, fields: &mut Fields<'_, '_, '_>) {
    if rule.cidrs.is_empty() && rule.principals.is_empty() {
        let message =
            format!("`{}` has neither `cidrs` nor `principals`, so it would allow everybody", rule.name.as_str());
        rule.name.error(fields.cx.report, Code(2), message, "name who may connect");
    }
}

spec! {
    /// Who may not connect.
    pub struct IngressDeny {
        /// Named by records.
        [E] name: At<Name>,
        /// Ranges of the peer's address, any of them.
        [E] cidrs: At<Vec<At<Cidr>>>,
    }
}

spec! {
    /// Where the proxy may connect to.
    pub struct EgressSpec {
        /// Destinations; one rule of *every* manifest must match.
        [E] allow: At<Vec<At<EgressAllow>>>,
        /// Loopback, link-local, private, carrier-grade NAT, documentation and metadata addresses, in every way of writing them.
        /// Multicast, unspecified and reserved addresses, and inner addresses inside IPv6 transition addresses, are always refused.
        [E] private_ranges: Setting<PrivateRanges> = "Deny",
        /// Answers of an upstream that send the caller elsewhere.
        [E] redirects: Setting<Redirects> = "Deny",
        /// Which address is dialled.
        [E] resolve: Setting<Resolve> = "Pinned",
    }
    check check_wide
}

/// Everything together with private ranges is no list.
fn check_wide(egress: &EgressSpec, fields: &mut Fields<'_, '_, '_>) {
    if *egress.private_ranges != PrivateRanges::AllowListed {
        return;
    }
    for rule in egress.allow.iter() {
        let any = rule.hosts.iter().find(|host| host.as_str() == "*").filter(|_| rule.cidrs.is_empty());
        if let Some(host) = any {
            let message = format!("`{}` allows every host while private ranges may be listed", rule.name.as_str());
            let help = "give the rule `cidrs`, or leave `privateRanges` at `Deny` and list private destinations in a policy of their route";
            host.error(fields.cx.report, Code(40), message, help);
        }
        for range in rule.cidrs.iter().filter(|range| crate::address::covers_inner(range)) {
            let message = format!("`{}` holds private ranges without naming them", range.value);
            let help =
                "list the private ranges that are meant, such as `10.20.0.0/16`, or leave `privateRanges` at `Deny`";
            range.error(fields.cx.report, Code(40), message, help);
        }
    }
}

spec! {
    /// One destination. With hosts and ranges the host must resolve into the range.
    pub struct EgressAllow {
        /// Named by records.
        [E] name: At<Name>,
        /// Hosts, any of them. Without any: every host that resolves into the ranges.
        [E] hosts: Vec<At<EgressHost>>,
        /// Ranges of addresses, any of them. A private address must be in a range that lies wholly in its private range.
        [E] cidrs: Vec<At<Cidr>>,
        /// Ports, any of them.
        [E] ports: Setting<Vec<At<Port>>> = "[443]",
    }
    check check_destination
}

fn check_destination(rule: &EgressAllow, fields: &mut Fields<'_, '_, '_>) {
    if rule.hosts.is_empty() && rule.cidrs.is_empty() {
        let message = format!("`{}` has neither `hosts` nor `cidrs`", rule.name.as_str());
        rule.name.error(fields.cx.report, Code(2), message, "name the destination");
    }
    if rule.ports.is_empty() {
        let message = format!("`{}` has no port, so it allows nothing", rule.name.as_str());
        rule.ports.at.error(fields.cx.report, Code(25), message, "name the ports, or leave the field out for 443");
    }
}

words! {
    /// Addresses that are not public.
    impl PrivateRanges {
        /// Where a rule names their range.
        (PrivateRanges::AllowListed) = "AllowListed",
        /// Never.
        (PrivateRanges::Deny) = "Deny",
    }
}

words! {
    /// Answers of an upstream that send the caller elsewhere: a status of 300 to 399 with `Location`. A `Refresh` header is
    /// refused in either case.
    impl Redirects {
        /// They pass where they stay with the scheme and the host the request was for.
        (Redirects::SameHost) = "SameHost",
        /// They are refused.
        (Redirects::Deny) = "Deny",
    }
}

words! {
    /// Which address is dialled.
    pub enum Resolve {
        /// The one that was checked; the name is not looked up again.
        Pinned = "Pinned",
    }
}

spec! {
    /// A zone of the network.
    pub struct Zone {
        /// Its name.
        [D] name: At<Name>,
        /// What is in it.
        [D] members: Vec<At<String>>,
    }
}

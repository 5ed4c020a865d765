//! What an address is good for: out on the internet, or something that a request from outside must not reach through us.
//!
//! IPv6 has many ways to write an IPv4 address down (mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP); each
//! counts as what it embeds, so that no spelling of an inner address passes for an outer one (attack 34).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Cidr;

/// What kind of address it is. Everything but [`AddressClass::Public`] is denied to what leaves the proxy unless policy
/// or the bootstrap names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressClass {
    /// Global unicast.
    Public,
    /// This machine.
    Loopback,
    /// Private use and unique local.
    Private,
    /// Shared address space of carriers (RFC 6598).
    CarrierNat,
    /// This link.
    LinkLocal,
    /// Where clouds hand out credentials.
    Metadata,
    /// For documents and benchmarks.
    Documentation,
    Multicast,
    /// `0.0.0.0/8` and `::`, which systems take for this machine.
    Unspecified,
    /// Reserved, discarded, or for protocols.
    Reserved,
    /// An inner IPv4 address inside an IPv6 one that is not the plain mapped form. No policy can name it.
    Embedded,
}

/// Metadata services of clouds, wherever they are.
const METADATA: [IpAddr; 9] = [
    v4(169, 254, 169, 254),
    v4(169, 254, 169, 253),
    v4(169, 254, 170, 2),
    v4(169, 254, 170, 23),
    v4(100, 100, 100, 200),
    v4(168, 63, 129, 16),
    v4(192, 0, 0, 192),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v4_block(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Cidr {
    Cidr { network: v4(a, b, c, d), prefix }
}

const fn v6_block(a: u16, b: u16, c: u16, prefix: u8) -> Cidr {
    Cidr { network: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)), prefix }
}

use AddressClass::{
    CarrierNat, Documentation, Embedded, LinkLocal, Loopback, Multicast, Private, Public, Reserved, Unspecified,
};

/// The special ranges of the IANA registries. Single metadata addresses come before them.
const SPECIAL: [(Cidr, AddressClass); 28] = [
    (v4_block(0, 0, 0, 0, 8), Unspecified),
    (v4_block(10, 0, 0, 0, 8), Private),
    (v4_block(100, 64, 0, 0, 10), CarrierNat),
    (v4_block(127, 0, 0, 0, 8), Loopback),
    (v4_block(169, 254, 0, 0, 16), LinkLocal),
    (v4_block(172, 16, 0, 0, 12), Private),
    (v4_block(192, 0, 0, 0, 24), Reserved),
    (v4_block(192, 0, 2, 0, 24), Documentation),
    (v4_block(192, 88, 99, 0, 24), Reserved),
    (v4_block(192, 168, 0, 0, 16), Private),
    (v4_block(198, 18, 0, 0, 15), Documentation),
    (v4_block(198, 51, 100, 0, 24), Documentation),
    (v4_block(203, 0, 113, 0, 24), Documentation),
    (v4_block(224, 0, 0, 0, 4), Multicast),
    (v4_block(240, 0, 0, 0, 4), Reserved),
    (Cidr { network: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 128 }, Unspecified),
    (Cidr { network: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 }, Loopback),
    // Local-use NAT64: where in it the IPv4 address stands is the network's own choice.
    (v6_block(0x64, 0xff9b, 1, 48), Embedded),
    (v6_block(0x100, 0, 0, 64), Reserved),
    // Teredo: a relay's and a hidden client's address.
    (v6_block(0x2001, 0, 0, 32), Embedded),
    (v6_block(0x2001, 0, 0, 23), Reserved),
    (v6_block(0x2001, 0xdb8, 0, 32), Documentation),
    (v6_block(0x3fff, 0, 0, 20), Documentation),
    (v6_block(0x5f00, 0, 0, 16), Reserved),
    (v6_block(0xfc00, 0, 0, 7), Private),
    (v6_block(0xfe80, 0, 0, 10), LinkLocal),
    (v6_block(0xfec0, 0, 0, 10), Private),
    (v6_block(0xff00, 0, 0, 8), Multicast),
];

/// The only part of IPv6 that is given out (RFC 4291 §2.4); what is outside it and has no range above is reserved.
const GLOBAL_V6: Cidr = v6_block(0x2000, 0, 0, 3);

impl AddressClass {
    /// The class of `address`, in whatever form it is written.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let address = plain(address);
        if METADATA.contains(&address) {
            return Self::Metadata;
        }
        if let IpAddr::V6(v6) = address {
            let public = |inner: Ipv4Addr| Self::of(IpAddr::V4(inner)) == Public;
            if isatap(v6).is_some_and(|inner| !public(inner)) {
                return Embedded;
            }
            // Out on the internet through a translator is out on the internet; nothing inner is reached that way.
            if let Some(inner) = embedded(v6) {
                return if public(inner) { Public } else { Embedded };
            }
        }
        let special = SPECIAL.iter().find(|(block, _)| block.contains(address));
        match special {
            Some((_, class)) => *class,
            None if address.is_ipv6() && !GLOBAL_V6.contains(address) => Reserved,
            None => Public,
        }
    }

    /// Whether a policy may allow such addresses by naming their range.
    #[must_use]
    pub fn may_be_listed(self) -> bool {
        match self {
            Self::Public
            | Self::Loopback
            | Self::Private
            | Self::CarrierNat
            | Self::LinkLocal
            | Self::Metadata
            | Self::Documentation => true,
            Self::Multicast | Self::Unspecified | Self::Reserved | Self::Embedded => false,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierNat => "carrier-grade NAT",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata service",
            Self::Documentation => "documentation",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
            Self::Reserved => "reserved",
            Self::Embedded => "inner address in disguise",
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The address without the clothes a dual-stack socket puts on IPv4 (`::ffff:a.b.c.d`): what ranges are compared with.
#[must_use]
pub fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Whether `range` holds a whole range of inner addresses and more: such a range does not name them.
#[must_use]
pub fn covers_inner(range: &Cidr) -> bool {
    let inner = |class: &AddressClass| matches!(class, Loopback | Private | CarrierNat | LinkLocal);
    let wider = |block: &Cidr| range.prefix < block.prefix && range.contains(block.network);
    SPECIAL.iter().any(|(block, class)| inner(class) && wider(block))
}

/// Whether `range` names `address`, which is special: it lies wholly in the special range the address is of.
#[must_use]
pub fn names(range: &Cidr, address: IpAddr) -> bool {
    let address = plain(address);
    range.contains(address) && SPECIAL.iter().any(|(block, _)| block.contains(address) && block.prefix <= range.prefix)
        || (METADATA.contains(&address) && *range == Cidr::host(address))
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

/// The IPv4 address in the second half of an IPv6 one (RFC 5214), with and without the universal bit. The first half is what
/// it would be without: an address of the own site, or one that is itself made of an IPv4 address.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(joined(high, low)),
        _ => None,
    }
}

/// The IPv4 address that stands for a whole IPv6 one, in every form but the mapped one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Compatible (RFC 4291 §2.5.5.1) and translated (RFC 2765).
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(joined(high, low)),
        // NAT64 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(joined(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn attack_34_every_address_is_what_it_is() {
        use AddressClass::Metadata;
        for (text, want) in [
            ("8.8.8.8", Public),
            ("1.1.1.1", Public),
            ("2606:4700:4700::1111", Public),
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("10.0.0.1", Private),
            ("172.15.255.255", Public),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("172.32.0.0", Public),
            ("192.168.1.1", Private),
            ("100.63.255.255", Public),
            ("100.64.0.1", CarrierNat),
            ("100.100.100.200", Metadata),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("169.254.0.1", LinkLocal),
            ("169.254.169.254", Metadata),
            ("169.254.170.2", Metadata),
            ("168.63.129.16", Metadata),
            ("192.0.0.8", Reserved),
            ("192.0.2.1", Documentation),
            ("198.18.0.1", Documentation),
            ("198.51.100.7", Documentation),
            ("203.0.113.9", Documentation),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("::", Unspecified),
            ("::1", Loopback),
            ("::2", Embedded),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", Metadata),
            ("::ffff:8.8.8.8", Public),
            ("::127.0.0.1", Embedded),
            ("::8.8.8.8", Public),
            ("::ffff:0:10.0.0.1", Embedded),
            ("64:ff9b::10.0.0.1", Embedded),
            ("64:ff9b::169.254.169.254", Embedded),
            ("64:ff9b::8.8.8.8", Public),
            ("64:ff9b:1::1", Embedded),
            ("2002:7f00:1::", Embedded),
            ("2002:a00:1::1", Embedded),
            ("2002:808:808::1", Public),
            ("2001::1", Embedded),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Embedded),
            ("2606::5efe:10.0.0.1", Embedded),
            ("2606::200:5efe:192.168.0.1", Embedded),
            ("2606::5efe:8.8.8.8", Public),
            ("2002:100::5efe:10.0.0.1", Embedded),
            ("2002:a00:1::5efe:8.8.8.8", Embedded),
            ("fd00::5efe:8.8.8.8", Private),
            ("fe80::200:5efe:8.8.8.8", LinkLocal),
            ("2001:20::1", Reserved),
            ("2001:db8::1", Documentation),
            ("3fff::1", Documentation),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fd20:ce::254", Metadata),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fec0::1", Private),
            ("ff02::1", Multicast),
            ("100::1", Reserved),
            ("4000::1", Reserved),
            ("5f00::1", Reserved),
        ] {
            assert_eq!(AddressClass::of(text.parse().unwrap()), want, "{text}");
        }
    }

    #[test]
    fn a_range_names_special_addresses_only_from_within_their_own_range() {
        for (range, address, want) in [
            ("10.20.0.0/16", "10.20.1.2", true),
            ("10.0.0.0/8", "10.20.1.2", true),
            ("10.0.0.0/8", "::ffff:10.20.1.2", true),
            ("8.0.0.0/6", "10.20.1.2", false),
            ("0.0.0.0/0", "10.20.1.2", false),
            ("10.20.0.0/16", "10.21.1.2", false),
            ("169.254.169.254/32", "169.254.169.254", true),
            ("168.63.129.16/32", "168.63.129.16", true),
            ("168.63.0.0/16", "168.63.129.16", false),
            ("fd00::/8", "fd00:ec2::254", true),
            ("::/0", "fd00::1", false),
        ] {
            let range: Cidr = range.parse().unwrap();
            assert_eq!(names(&range, address.parse().unwrap()), want, "{range} {address}");
        }
        for (range, want) in [("0.0.0.0/0", true), ("0.0.0.0/1", true), ("8.0.0.0/6", true), ("10.0.0.0/8", false)] {
            assert_eq!(covers_inner(&range.parse().unwrap()), want, "{range}");
        }
        for (range, want) in [("8.8.8.0/24", false), ("::/0", true), ("2000::/3", false), ("f000::/4", true)] {
            assert_eq!(covers_inner(&range.parse().unwrap()), want, "{range}");
        }
    }

    fn inner() -> impl Strategy<Value = Ipv4Addr> {
        prop_oneof![
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(10, b, c, d)),
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(127, b, c, d)),
            any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(192, 168, c, d)),
            any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(169, 254, c, d)),
            (16_u8..32, any::<[u8; 2]>()).prop_map(|(b, [c, d])| Ipv4Addr::new(172, b, c, d)),
            (64_u8..128, any::<[u8; 2]>()).prop_map(|(b, [c, d])| Ipv4Addr::new(100, b, c, d)),
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(0, b, c, d)),
        ]
    }

    proptest! {
        #[test]
        fn attack_34_no_spelling_of_an_inner_address_is_public(inner in inner(), prefix: [u16; 4], tail: [u16; 5]) {
            let [a, b, c, d] = inner.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let [p0, p1, p2, p3] = prefix;
            let [t0, t1, t2, t3, t4] = tail;
            let spellings = [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, t0, t1, t2, high, low),
                Ipv6Addr::new(0x2002, high, low, t0, t1, t2, t3, t4),
                Ipv6Addr::new(0x2001, 0, t0, t1, t2, t3, !high, !low),
                Ipv6Addr::new(p0, p1, p2, p3, 0, 0x5efe, high, low),
                Ipv6Addr::new(p0, p1, p2, p3, 0x200, 0x5efe, high, low),
            ];
            prop_assert_ne!(AddressClass::of(IpAddr::V4(inner)), Public);
            for spelling in spellings {
                prop_assert_ne!(AddressClass::of(IpAddr::V6(spelling)), Public, "{}", spelling);
            }
        }
    }
}

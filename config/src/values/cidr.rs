//! Ranges of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::malformed;
use crate::decode::{Cx, Fault, Scalar};

/// A range of addresses: a network and the length of its prefix, which is never longer than the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    pub network: IpAddr,
    pub prefix: u8,
}

impl Cidr {
    /// The range of one address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self { network: address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether `address` is in the range. An IPv4 range holds an IPv4-mapped address as the one it stands for.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same_bits(u128::from(network.to_bits()) << 96, u128::from(address.to_bits()) << 96, self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => same_bits(network.to_bits(), address.to_bits(), self.prefix),
            _ => false,
        }
    }

    /// Whether every address is in the range.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }
}

fn same_bits(a: u128, b: u128, prefix: u8) -> bool {
    let differ = a ^ b;
    differ.leading_zeros() >= u32::from(prefix)
}

/// Why text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    #[error("not an address with a prefix length")]
    Form,
    #[error("bits of the address are set behind its prefix")]
    HostBits,
    #[error("an IPv4 range in the form of IPv6")]
    Mapped,
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = text.split_once('/').ok_or(CidrError::Form)?;
        let network: IpAddr = address.parse().map_err(|_| CidrError::Form)?;
        let plain = prefix.chars().all(|c| c.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
        let prefix: u8 = prefix.parse().ok().filter(|_| plain).ok_or(CidrError::Form)?;
        let (bits, length) = match network {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        if prefix > length {
            return Err(CidrError::Form);
        }
        // Compared ranges are of plain addresses, so this one would match nothing.
        if matches!(network, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
            return Err(CidrError::Mapped);
        }
        if bits.checked_shl(u32::from(prefix)).unwrap_or(0) != 0 {
            return Err(CidrError::HostBits);
        }
        Ok(Self { network, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl Scalar for Cidr {
    const NAME: &'static str = "Cidr";
    const DOC: &'static str =
        "A range of addresses, always with a prefix length and without bits behind it: `10.0.0.0/8`, `::1/128`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        text.parse().map_err(|error: CidrError| {
            let help = match error {
                CidrError::Form => {
                    "write a network with its prefix length: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1/32`"
                }
                CidrError::HostBits => "write the first address of the range, or a longer prefix",
                CidrError::Mapped => "write the IPv4 range: it holds such addresses too",
            };
            malformed(text, cx, &format!("a range ({error})"), help)
        })
    }
}

/// A port to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u16);

impl Scalar for Port {
    const NAME: &'static str = "Port";
    const DOC: &'static str = "A whole number from 1 to 65535.";
    const NUMERIC: bool = true;

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let plain = text.chars().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
        let port = text.parse().ok().filter(|_| plain);
        port.map(Self).ok_or_else(|| malformed(text, cx, "a port", "write a whole number from 1 to 65535"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_a_network_with_its_prefix() {
        for (text, good) in [
            ("10.0.0.0/8", true),
            ("0.0.0.0/0", true),
            ("::/0", true),
            ("192.0.2.1/32", true),
            ("2001:db8::/32", true),
            ("::1/128", true),
            ("10.0.0.1/8", false),
            ("10.0.0.0", false),
            ("10.0.0.0/33", false),
            ("10.0.0.0/08", false),
            ("10.0.0.0/+8", false),
            ("10.0.0.0/", false),
            ("10.0.0/8", false),
            ("010.0.0.0/8", false),
            ("::1/129", false),
            ("2001:db8::1/32", false),
            ("::ffff:10.0.0.0/104", false),
            ("", false),
            ("/8", false),
        ] {
            assert_eq!(text.parse::<Cidr>().is_ok(), good, "{text}");
        }
    }

    #[test]
    fn an_ipv4_range_holds_mapped_addresses() {
        let range: Cidr = "10.0.0.0/8".parse().unwrap();
        for (address, want) in [
            ("10.255.0.1", true),
            ("11.0.0.0", false),
            ("::ffff:10.1.2.3", true),
            ("::10.1.2.3", false),
            ("2002:a01:203::", false),
        ] {
            assert_eq!(range.contains(address.parse().unwrap()), want, "{address}");
        }
    }

    proptest! {
        #[test]
        fn ranges_round_trip_and_hold_their_network(bits: u32, prefix in 0_u8..=32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            let range = Cidr { network: IpAddr::V4((bits & mask).into()), prefix };
            prop_assert_eq!(range.to_string().parse::<Cidr>(), Ok(range));
            prop_assert!(range.contains(IpAddr::V4(bits.into())));
        }
    }
}

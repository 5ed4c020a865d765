//! The header of the PROXY protocol, version 2: what a proxy in front of us says about where a connection comes from.
//!
//! Read strictly and whole: one version, TCP only, everything within the length it declares. What else it may carry
//! (TLVs) is checked for form and decides nothing (attack 40).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes that every header begins with, and that say how long it is.
pub const HEAD: usize = 16;
/// Longest header we read; the protocol would allow 65 551 bytes.
pub const MAX: usize = 2048;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const MAX_TLVS: usize = 32;
const CRC32C: u8 = 0x03;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// The proxy speaks for itself, such as for a health check.
    Local,
    /// Of the connection that the proxy relays.
    Client(SocketAddr),
}

/// Why a header is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("no PROXY protocol header")]
    Absent,
    #[error("PROXY protocol version 1; only version 2 is read")]
    Version1,
    #[error("PROXY protocol of an unknown version")]
    Version,
    #[error("an unknown PROXY command")]
    Command,
    #[error("a PROXY header about something else than TCP over IPv4 or IPv6")]
    Family,
    #[error("a PROXY header of {0} bytes, more than {MAX}")]
    TooLong(usize),
    #[error("a PROXY header that is not as long as it says")]
    Length,
    #[error("a PROXY header whose source is no address of one host")]
    Source,
    #[error("a PROXY header with broken TLVs")]
    Tlv,
    #[error("a PROXY header whose checksum is wrong")]
    Checksum,
}

/// Bytes of the whole header, from its first [`HEAD`].
///
/// # Errors
/// [`ProxyError`] where it begins as no header does that we read.
pub fn length(head: &[u8; HEAD]) -> Result<usize, ProxyError> {
    let (signature, rest) = head.split_at(SIGNATURE.len());
    let &[version, _, high, low] = rest else { return Err(ProxyError::Length) };
    if signature != SIGNATURE {
        return Err(if signature.starts_with(b"PROXY ") { ProxyError::Version1 } else { ProxyError::Absent });
    }
    if version >> 4 != 2 {
        return Err(ProxyError::Version);
    }
    let whole = HEAD + usize::from(u16::from_be_bytes([high, low]));
    if whole > MAX { Err(ProxyError::TooLong(whole)) } else { Ok(whole) }
}

/// Reads a whole header, and nothing behind it.
///
/// # Errors
/// [`ProxyError`]: the connection is not to be believed.
pub fn read(header: &[u8]) -> Result<Announced, ProxyError> {
    let (head, rest) = header.split_first_chunk::<HEAD>().ok_or(ProxyError::Length)?;
    if length(head)? != header.len() {
        return Err(ProxyError::Length);
    }
    let [.., command, family, _, _] = *head;
    let source = match (command & 0x0f, family) {
        // Whatever it says of addresses is not about this connection.
        (0, _) => return Ok(Announced::Local),
        (1, 0x11) => {
            let ([a, b, c, d, _, _, _, _, high, low, _, _], tlvs) = block::<12>(rest)?;
            check(header, tlvs)?;
            SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))
        }
        (1, 0x21) => {
            let (addresses, tlvs) = block::<36>(rest)?;
            check(header, tlvs)?;
            let (from, ports) = addresses.split_first_chunk::<16>().ok_or(ProxyError::Length)?;
            let [.., high, low, _, _] = *ports else { return Err(ProxyError::Length) };
            SocketAddr::new(Ipv6Addr::from(*from).to_canonical(), u16::from_be_bytes([high, low]))
        }
        (1, _) => return Err(ProxyError::Family),
        _ => return Err(ProxyError::Command),
    };
    let broadcast = source.ip() == Ipv4Addr::BROADCAST;
    if source.ip().is_unspecified() || source.ip().is_multicast() || broadcast || source.port() == 0 {
        return Err(ProxyError::Source);
    }
    Ok(Announced::Client(source))
}

fn block<const N: usize>(rest: &[u8]) -> Result<([u8; N], &[u8]), ProxyError> {
    let (block, tlvs) = rest.split_first_chunk::<N>().ok_or(ProxyError::Length)?;
    Ok((*block, tlvs))
}

/// TLVs fill the rest exactly. A checksum, if there is one, is right.
fn check(header: &[u8], mut tlvs: &[u8]) -> Result<(), ProxyError> {
    let mut claimed = None;
    for _ in 0..MAX_TLVS {
        let Some((&[kind, high, low], rest)) = tlvs.split_first_chunk::<3>() else { break };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, after) = rest.split_at_checked(length).ok_or(ProxyError::Tlv)?;
        if kind == CRC32C {
            let sum: [u8; 4] = value.try_into().map_err(|_| ProxyError::Tlv)?;
            let at = header.len() - rest.len();
            if claimed.replace((at, u32::from_be_bytes(sum))).is_some() {
                return Err(ProxyError::Tlv);
            }
        }
        tlvs = after;
    }
    if !tlvs.is_empty() {
        return Err(ProxyError::Tlv);
    }
    match claimed {
        Some((at, sum)) if crc32c(header, at) != sum => Err(ProxyError::Checksum),
        _ => Ok(()),
    }
}

/// CRC-32C of the header, with zeros in the place of the checksum itself.
fn crc32c(header: &[u8], at: usize) -> u32 {
    let zeroed = header.iter().enumerate().map(|(i, byte)| if (at..at + 4).contains(&i) { 0 } else { *byte });
    !zeroed.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0x20, 0xfb];

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, body].concat()
    }

    fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[kind], u16::try_from(value.len()).unwrap().to_be_bytes().as_slice(), value].concat()
    }

    fn v6(from: &str) -> Vec<u8> {
        let from: Ipv6Addr = from.parse().unwrap();
        [from.octets().as_slice(), &Ipv6Addr::LOCALHOST.octets(), &[0x12, 0x67, 0x20, 0xfb]].concat()
    }

    fn summed(mut header: Vec<u8>, wrong: u32) -> Vec<u8> {
        let at = header.len() - 4;
        let sum = crc32c(&header, at) ^ wrong;
        header[at..].copy_from_slice(&sum.to_be_bytes());
        header
    }

    #[test]
    fn crc32c_is_that_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789", usize::MAX - 4), 0xe306_9283);
        assert_eq!(crc32c(&[0xff; 32], 100), 0x62a8_ab43);
        assert_eq!(crc32c(&[0x55; 36], 0), crc32c(&[&[0; 4], [0x55; 32].as_slice()].concat(), 100));
    }

    #[test]
    fn attack_40_a_header_is_read_whole_or_not_at_all() {
        let client = |text: &str| Ok(Announced::Client(text.parse().unwrap()));
        let with = |tlvs: &[u8]| header(0x21, 0x11, &[V4.as_slice(), tlvs].concat());
        let many = |count| with(&(0..count).flat_map(|_| tlv(0x04, b"")).collect::<Vec<_>>());
        let sum = |wrong| summed(with(&[tlv(0x02, b"a.example"), tlv(CRC32C, &[0; 4])].concat()), wrong);
        let twice = with(&[tlv(CRC32C, &[0; 4]), tlv(CRC32C, &[0; 4])].concat());
        let from = |address: [u8; 4], port: u8| {
            let mut body = V4;
            body[..4].copy_from_slice(&address);
            (body[8], body[9]) = (0, port);
            header(0x21, 0x11, &body)
        };
        for (case, bytes, want) in [
            ("IPv4", with(b""), client("192.0.2.7:4711")),
            ("IPv6", header(0x21, 0x21, &v6("2001:db8::7")), client("[2001:db8::7]:4711")),
            ("IPv4 as IPv6", header(0x21, 0x21, &v6("::ffff:192.0.2.7")), client("192.0.2.7:4711")),
            ("local", header(0x20, 0x00, b""), Ok(Announced::Local)),
            ("local with an address", header(0x20, 0x11, &V4), Ok(Announced::Local)),
            ("TLVs of others", with(&tlv(0xea, b"vpce-1\r\n\0\xff")), client("192.0.2.7:4711")),
            ("checksum", sum(0), client("192.0.2.7:4711")),
            ("wrong checksum", sum(1), Err(ProxyError::Checksum)),
            ("two checksums", twice, Err(ProxyError::Tlv)),
            ("short checksum", with(&tlv(CRC32C, &[0; 3])), Err(ProxyError::Tlv)),
            ("TLV past the end", with(&[0x02, 0, 9, b'a']), Err(ProxyError::Tlv)),
            ("half a TLV", with(&[0x02, 0]), Err(ProxyError::Tlv)),
            ("as many TLVs as may be", many(MAX_TLVS), client("192.0.2.7:4711")),
            ("one more", many(MAX_TLVS + 1), Err(ProxyError::Tlv)),
            ("TLVs of 64 KiB", with(&tlv(0x02, &[b'a'; 65_000])), Err(ProxyError::TooLong(HEAD + 12 + 3 + 65_000))),
            ("no family", header(0x21, 0x00, b""), Err(ProxyError::Family)),
            ("UDP", header(0x21, 0x12, &V4), Err(ProxyError::Family)),
            ("Unix", header(0x21, 0x31, &[0; 216]), Err(ProxyError::Family)),
            ("IPv4 in part", header(0x21, 0x11, &V4[..11]), Err(ProxyError::Length)),
            ("IPv6 in part", header(0x21, 0x21, &V4), Err(ProxyError::Length)),
            ("another command", header(0x22, 0x11, &V4), Err(ProxyError::Command)),
            ("version 1 in version 2", header(0x11, 0x11, &V4), Err(ProxyError::Version)),
            ("version 1", b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(), Err(ProxyError::Version1)),
            ("none", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Err(ProxyError::Absent)),
            ("something behind", [with(b""), vec![0]].concat(), Err(ProxyError::Length)),
            ("from nowhere", from([0, 0, 0, 0], 1), Err(ProxyError::Source)),
            ("from many", from([224, 0, 0, 1], 1), Err(ProxyError::Source)),
            ("from all", from([255; 4], 1), Err(ProxyError::Source)),
            ("from no port", from([192, 0, 2, 7], 0), Err(ProxyError::Source)),
        ] {
            assert_eq!(read(&bytes), want, "{case}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&header(0x21, 0x11, &bytes));
            let _ = read(&header(0x21, 0x21, &bytes));
        }

        #[test]
        fn a_cut_header_is_none(cut in 0_usize..60, tail in prop::collection::vec(any::<u8>(), 0..20)) {
            let whole = header(0x21, 0x21, &[v6("2001:db8::7"), tlv(0x02, &tail)].concat());
            prop_assume!(cut < whole.len());
            prop_assert_eq!(read(&whole[..cut]), Err(ProxyError::Length));
        }
    }
}

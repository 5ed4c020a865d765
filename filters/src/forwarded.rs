//! Who is behind the proxies in front of us: the address that `X-Forwarded-For` or `Forwarded` (RFC 7239) names.
//!
//! Only what a trusted proxy wrote is believed: the list is read from its right end, and the first address that is not a
//! trusted proxy itself is the client. What stands left of it is the client's own word and is never looked at. Whatever
//! we would have to rely on and cannot read refuses the request (attacks 24, 25).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use postern_config::{ForwardedBy, TrustedProxy};

use crate::Source;

/// Proxies that a request may have come through; a longer way is not believed.
const MAX_HOPS: usize = 16;

/// Why it cannot be told who a request is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForwardedError {
    #[error("the proxy in front of us names a client that is no address")]
    NotAnAddress,
    #[error("`{0}` cannot be read")]
    Malformed(&'static str),
    #[error("a request that came through more than {MAX_HOPS} proxies")]
    TooManyHops,
}

/// Reads the address out of one element.
type Read = fn(&str) -> Result<IpAddr, ForwardedError>;

/// The client's address as the proxy at the other end of the connection names it. `None` where that is no trusted proxy,
/// or where it names nobody: then the other end is the client.
///
/// # Errors
/// [`ForwardedError`] where a trusted proxy's word cannot be read.
pub fn client(
    trusted: &[TrustedProxy],
    peer: Source,
    principal: Option<&str>,
    headers: &HeaderMap,
) -> Result<Option<IpAddr>, ForwardedError> {
    let Some(peer) = peer.ip() else { return Ok(None) };
    let Some(proxy) = trusted.iter().find(|proxy| proxy.is(peer, principal)) else { return Ok(None) };
    let (name, read): (_, Read) = match proxy.headers {
        ForwardedBy::XForwarded => ("x-forwarded-for", address),
        ForwardedBy::Forwarded => ("forwarded", element),
    };
    let mut farthest = None;
    let mut hops = 0;
    for value in headers.get_all(name).iter().rev() {
        let text = value.to_str().map_err(|_| ForwardedError::Malformed(name))?;
        for item in split_from_the_right(text, name)? {
            hops += 1;
            if hops > MAX_HOPS {
                return Err(ForwardedError::TooManyHops);
            }
            let hop = read(item)?;
            if !trusted.iter().any(|proxy| proxy.cidr.contains(hop)) {
                return Ok(Some(hop));
            }
            farthest = Some(hop);
        }
    }
    Ok(farthest)
}

/// Items of a list, the last one first. A quote could hide a comma, so that two readers see two lists: what follows the
/// last quote is read, and what the quote is in is read by its element.
fn split_from_the_right<'t>(
    text: &'t str,
    name: &'static str,
) -> Result<impl Iterator<Item = &'t str>, ForwardedError> {
    // Inside quotes we take addresses only, and those hold neither commas nor quotes nor backslashes.
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '\\' => return Err(ForwardedError::Malformed(name)),
            ',' | ';' if quoted => return Err(ForwardedError::Malformed(name)),
            _ => {}
        }
    }
    if quoted {
        return Err(ForwardedError::Malformed(name));
    }
    Ok(text.rsplit(',').map(|item| item.trim_matches([' ', '\t'])))
}

/// An element of `Forwarded`: `for=192.0.2.7;proto=https`, `for="[2001:db8::7]:4711"`.
fn element(item: &str) -> Result<IpAddr, ForwardedError> {
    const NAME: &str = "forwarded";
    let mut found = None;
    for pair in item.split(';') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=').ok_or(ForwardedError::Malformed(NAME))?;
        if !name.eq_ignore_ascii_case("for") {
            continue;
        }
        let value = match value.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').ok_or(ForwardedError::Malformed(NAME))?,
            // RFC 7239 §6: with a colon it has to be quoted.
            None if value.contains(':') => return Err(ForwardedError::Malformed(NAME)),
            None => value,
        };
        if value.contains(':') && !value.starts_with('[') && value.parse::<SocketAddr>().is_err() {
            return Err(ForwardedError::Malformed(NAME));
        }
        if found.replace(address(value)?).is_some() {
            return Err(ForwardedError::Malformed(NAME));
        }
    }
    found.ok_or(ForwardedError::NotAnAddress)
}

/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:4711`.
fn address(item: &str) -> Result<IpAddr, ForwardedError> {
    let bracketed = || item.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let with_port = || item.parse::<SocketAddr>().ok().map(|address| address.ip());
    let ip = item.parse::<IpAddr>().ok().or_else(bracketed).or_else(with_port).ok_or(ForwardedError::NotAnAddress)?;
    let ip = ip.to_canonical();
    if ip.is_unspecified() || ip.is_multicast() { Err(ForwardedError::NotAnAddress) } else { Ok(ip) }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const LB: &str = "spiffe://example.org/ns/edge/sa/lb";

    fn trusted() -> Vec<TrustedProxy> {
        let proxy = |cidr: &str, principal: Option<&str>, headers| TrustedProxy {
            cidr: cidr.parse().unwrap(),
            principal: principal.map(str::to_owned),
            headers,
        };
        vec![
            proxy("10.0.0.0/24", None, ForwardedBy::XForwarded),
            proxy("10.0.1.0/24", Some(LB), ForwardedBy::XForwarded),
            proxy("10.0.2.0/24", None, ForwardedBy::Forwarded),
            proxy("2001:db8:1::/48", None, ForwardedBy::XForwarded),
        ]
    }

    fn asked(peer: &str, principal: Option<&str>, lines: &[(&str, &[u8])]) -> Result<Option<String>, ForwardedError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        let peer = peer.parse().map_or(Source::User(0), Source::Ip);
        client(&trusted(), peer, principal, &headers).map(|found| found.map(|ip| ip.to_string()))
    }

    #[test]
    fn attack_24_only_a_trusted_proxy_names_a_client() {
        let xff: &[(&str, &[u8])] = &[("x-forwarded-for", b"192.0.2.7")];
        let rfc: &[(&str, &[u8])] = &[("forwarded", b"for=192.0.2.7")];
        for (case, peer, principal, lines, want) in [
            ("trusted", "10.0.0.9", None, xff, Some("192.0.2.7")),
            ("as IPv6", "::ffff:10.0.0.9", None, xff, Some("192.0.2.7")),
            ("attack 25: a private address is no reason", "10.9.0.9", None, xff, None),
            ("loopback neither", "127.0.0.1", None, xff, None),
            ("over a Unix socket", "unix", None, xff, None),
            ("its address without its certificate", "10.0.1.9", None, xff, None),
            ("with another's", "10.0.1.9", Some("spiffe://example.org/ns/edge/sa/other"), xff, None),
            ("with its own", "10.0.1.9", Some(LB), xff, Some("192.0.2.7")),
            ("its certificate from elsewhere", "10.9.0.9", Some(LB), xff, None),
            ("the other header is the client's", "10.0.0.9", None, rfc, None),
            ("and the other way round", "10.0.2.9", None, xff, None),
            ("RFC 7239", "10.0.2.9", None, rfc, Some("192.0.2.7")),
        ] {
            assert_eq!(asked(peer, principal, lines), Ok(want.map(str::to_owned)), "{case}");
        }
    }

    #[test]
    fn attack_25_the_client_is_the_right_most_who_is_no_proxy() {
        let bad = || Err(ForwardedError::NotAnAddress);
        let is = |text: &str| Ok(Some(text.to_owned()));
        let many = vec!["10.0.0.1"; 17].join(",");
        for (value, want) in [
            ("203.0.113.9, 192.0.2.7", is("192.0.2.7")),
            ("203.0.113.9, 192.0.2.7, 10.0.0.3,10.0.1.4", is("192.0.2.7")),
            ("nonsense, <script>, 192.0.2.7", is("192.0.2.7")),
            ("10.0.0.3, 10.0.0.4", is("10.0.0.3")),
            ("192.0.2.7:4711", is("192.0.2.7")),
            ("[2001:db8::7]:4711", is("2001:db8::7")),
            ("[2001:db8::7]", is("2001:db8::7")),
            ("2001:db8::7, 2001:db8:1::1", is("2001:db8::7")),
            ("::ffff:192.0.2.7", is("192.0.2.7")),
            ("192.0.2.7, ", bad()),
            ("", bad()),
            ("unknown", bad()),
            ("192.0.2.7, nonsense", bad()),
            ("192.0.2.07", bad()),
            ("0.0.0.0", bad()),
            ("224.0.0.1", bad()),
            ("192.0.2.7%eth0", bad()),
            (&many, Err(ForwardedError::TooManyHops)),
            ("\"192.0.2.7, 203.0.113.9\"", Err(ForwardedError::Malformed("x-forwarded-for"))),
            ("192.0.2.7\\, 203.0.113.9", Err(ForwardedError::Malformed("x-forwarded-for"))),
        ] {
            assert_eq!(asked("10.0.0.9", None, &[("x-forwarded-for", value.as_bytes())]), want, "{value:?}");
        }
        let lines: &[(&str, &[u8])] = &[("x-forwarded-for", b"203.0.113.9"), ("x-forwarded-for", b"192.0.2.7")];
        assert_eq!(asked("10.0.0.9", None, lines), is("192.0.2.7"), "a second line continues the first");
        assert_eq!(asked("10.0.0.9", None, &[]), Ok(None), "a proxy that names nobody speaks for itself");
        let raw: &[(&str, &[u8])] = &[("x-forwarded-for", b"192.0.2.7\xff")];
        let want = Err(ForwardedError::Malformed("x-forwarded-for"));
        assert_eq!(asked("10.0.0.9", None, raw), want, "attack 28");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let malformed = || Err(ForwardedError::Malformed("forwarded"));
        let is = |text: &str| Ok(Some(text.to_owned()));
        for (value, want) in [
            ("for=203.0.113.9, for=192.0.2.7;proto=https;by=10.0.2.9", is("192.0.2.7")),
            ("For=\"[2001:db8::7]:4711\"", is("2001:db8::7")),
            ("for=\"192.0.2.7:4711\"", is("192.0.2.7")),
            ("for=192.0.2.7:4711", malformed()),
            ("for=[2001:db8::7]", malformed()),
            ("for=\"2001:db8::7\"", malformed()),
            ("for=\"192.0.2.7", malformed()),
            ("for=\"192.0.2.7\"x", malformed()),
            ("for=192.0.2.7;for=203.0.113.9", malformed()),
            ("for=\"192.0.2.7,203.0.113.9\"", malformed()),
            ("192.0.2.7", malformed()),
            ("for", malformed()),
            ("", malformed()),
            ("for=_hidden", Err(ForwardedError::NotAnAddress)),
            ("for=unknown", Err(ForwardedError::NotAnAddress)),
            ("proto=https", Err(ForwardedError::NotAnAddress)),
        ] {
            assert_eq!(asked("10.0.2.9", None, &[("forwarded", value.as_bytes())]), want, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_puts_in_front_changes_who_it_is(front in "[ -!#-+\\--\\[\\]-~]{0,40}") {
            let value = format!("{front}, 192.0.2.7");
            let found = asked("10.0.0.9", None, &[("x-forwarded-for", value.as_bytes())]);
            prop_assert_eq!(found, Ok(Some("192.0.2.7".to_owned())));
        }

        #[test]
        fn no_value_makes_the_reader_panic(value in "[ -~]{0,60}") {
            let _ = asked("10.0.0.9", None, &[("x-forwarded-for", value.as_bytes())]);
            let _ = asked("10.0.2.9", None, &[("forwarded", value.as_bytes())]);
        }
    }
}

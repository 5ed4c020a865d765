//! An absolute URL in its one spelling: what is refused here is what two parsers could take to different hosts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Longest URL.
const MAX: usize = 2048;

/// An http or https URL without user and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    https: bool,
    /// Lower case, without brackets.
    host: String,
    port: u16,
    /// Path and query, as they go on the request line.
    target: String,
}

/// Why a text is not a URL that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("a URL is `https://host[:port]/path`")]
    Form,
    #[error("a URL has at most {MAX} visible ASCII characters; escape the others")]
    Character,
    #[error("a user or password in a URL; send credentials in a header")]
    User,
    #[error("a fragment in a URL")]
    Fragment,
    #[error("the host of the URL is not a name or an address")]
    Host,
    #[error("the port of the URL is not one")]
    Port,
}

impl Url {
    /// # Errors
    /// [`UrlError`] for everything that is not plain.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Form)?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(UrlError::Form),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        if rest.contains(['\\', '"', '<', '>', '^', '`', '{', '|', '}']) {
            return Err(UrlError::Character);
        }
        let (authority, target) =
            rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len())).ok_or(UrlError::Form)?;
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let (host, port) = split_authority(authority)?;
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { https, host, port: port.unwrap_or(if https { 443 } else { 80 }), target })
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    /// Lower case, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The `Host` of a request for it.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.https { 443 } else { 80 };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }
}

/// Without the query, which may hold what is not for a log.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", if self.https { "https" } else { "http" }, self.authority())
    }
}

fn split_authority(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']').ok_or(UrlError::Host)?;
            let address: Ipv6Addr = inside.parse().map_err(|_| UrlError::Host)?;
            (address.to_string(), after)
        }
        None => {
            let (host, port) =
                authority.split_at_checked(authority.find(':').unwrap_or(authority.len())).ok_or(UrlError::Host)?;
            (name(host)?, port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?)
        }
        _ => return Err(UrlError::Port),
    };
    Ok((host, port))
}

/// A host name or an IPv4 address. What only looks like an address (`127.1`, `0x7f.1`, `2130706433`) is one to some
/// resolvers, and its last label has no letter to make it a name.
fn name(host: &str) -> Result<String, UrlError> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(UrlError::Host);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    if numeric && host.parse::<IpAddr>().is_err() {
        return Err(UrlError::Host);
    }
    Ok(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_one_host_or_none() {
        for (text, want) in [
            ("https://Login.Example.com/keys?x=1", Ok(("login.example.com", 443, "/keys?x=1"))),
            ("https://a", Ok(("a", 443, "/"))),
            ("https://a?x", Ok(("a", 443, "/?x"))),
            ("http://127.0.0.1:8080/", Ok(("127.0.0.1", 8080, "/"))),
            ("https://[::1]:1/x", Ok(("::1", 1, "/x"))),
            ("https://[0:0:0:0:0:0:0:1]/x", Ok(("::1", 443, "/x"))),
            ("ftp://a/", Err(UrlError::Form)),
            ("HTTPS://a/", Err(UrlError::Form)),
            ("//a/", Err(UrlError::Form)),
            ("https:a/", Err(UrlError::Form)),
            ("https:///x", Err(UrlError::Host)),
            ("https://u@a/", Err(UrlError::User)),
            ("https://u:p@a/", Err(UrlError::User)),
            ("https://a/#x", Err(UrlError::Fragment)),
            ("https://a\\@b/", Err(UrlError::Character)),
            ("https://a b/", Err(UrlError::Character)),
            ("https://ä/", Err(UrlError::Character)),
            ("https://a/\r\nX: y", Err(UrlError::Character)),
            ("https://a./", Err(UrlError::Host)),
            ("https://-a/", Err(UrlError::Host)),
            ("https://[::1/", Err(UrlError::Host)),
            ("https://[::g]/", Err(UrlError::Host)),
            ("https://::1/", Err(UrlError::Host)),
            ("https://127.1/", Err(UrlError::Host)),
            ("https://0x7f.0.0.1/", Err(UrlError::Host)),
            ("https://0x7f000001/", Err(UrlError::Host)),
            ("https://2130706433/", Err(UrlError::Host)),
            ("https://0177.0.0.1/", Err(UrlError::Host)),
            ("https://a:0/", Err(UrlError::Port)),
            ("https://a:/", Err(UrlError::Port)),
            ("https://a:65536/", Err(UrlError::Port)),
            ("https://a:+1/", Err(UrlError::Port)),
            ("https://a:1:2/", Err(UrlError::Port)),
        ] {
            let got = Url::parse(text);
            let got = got.as_ref().map(|url| (url.host(), url.port(), url.target())).map_err(|error| *error);
            assert_eq!(got, want, "{text}");
        }
        assert_eq!(Url::parse("https://a:8443/k?token=x").unwrap().to_string(), "https://a:8443/k");
    }

    proptest::proptest! {
        #[test]
        fn what_parses_is_read_the_same_by_another_parser(text in "https?://[a-zA-Z0-9.:@\\[\\]_-]{0,20}[/?][a-z%?=/.]{0,12}") {
            if let Ok(url) = Url::parse(&text) {
                let other: http::Uri = text.parse().unwrap();
                let host = other.host().unwrap().trim_matches(['[', ']']).to_ascii_lowercase();
                let same = match (host.parse::<IpAddr>(), url.host().parse::<IpAddr>()) {
                    (Ok(theirs), Ok(ours)) => theirs == ours,
                    _ => host == url.host(),
                };
                proptest::prop_assert!(same, "{text}: {host} and {}", url.host());
                proptest::prop_assert_eq!(other.port_u16().unwrap_or(if url.is_https() { 443 } else { 80 }), url.port());
            }
        }
    }
}

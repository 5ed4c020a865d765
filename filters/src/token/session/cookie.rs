//! One cookie of a request (RFC 6265 §4.2).

use http::{HeaderMap, header};

/// Why no cookie could be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    #[error("a cookie of ours comes twice")]
    Twice,
    #[error("the `cookie` header is not of ASCII characters")]
    Characters,
}

/// Longest value that is looked at; browsers keep cookies of at most 4096 bytes.
const MAX_VALUE: usize = 4096;

/// The value of the cookie `name`, over all `Cookie` headers: HTTP/2 splits them (RFC 9113 §8.2.3). A name that comes twice
/// is refused even with equal values: a cookie set by a neighbour must not stand before or behind ours.
///
/// # Errors
/// [`CookieError`]
pub fn take<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, CookieError> {
    let mut found = None;
    for value in headers.get_all(header::COOKIE) {
        let value = value.to_str().map_err(|_not_ascii| CookieError::Characters)?;
        for pair in value.split(';') {
            let Some((key, value)) = pair.trim_matches([' ', '\t']).split_once('=') else { continue };
            if key == name && found.replace(value).is_some() {
                return Err(CookieError::Twice);
            }
        }
    }
    Ok(found.filter(|value| value.len() <= MAX_VALUE))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static [u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn one_cookie_is_taken_and_two_are_none() {
        const TWICE: Result<Option<&str>, CookieError> = Err(CookieError::Twice);
        for (case, values, want) in [
            ("none", &[][..], Ok(None)),
            ("alone", &[&b"s=1"[..]][..], Ok(Some("1"))),
            ("among others", &[b"a=2; s=1; b=3"], Ok(Some("1"))),
            ("in a header of its own", &[b"a=2", b"s=1"], Ok(Some("1"))),
            ("without spaces", &[b"a=2;s=1"], Ok(Some("1"))),
            ("with more signs", &[b"s=1=2"], Ok(Some("1=2"))),
            ("other case", &[b"S=1"], Ok(None)),
            ("as the end of another", &[b"xs=1; s =1"], Ok(None)),
            ("without a value", &[b"s"], Ok(None)),
            ("twice", &[b"s=1; s=1"], TWICE),
            ("twice, in two headers", &[b"s=1", b"a=1; s=2"], TWICE),
            ("bytes above 0x7f", &[b"s=1\xff"], Err(CookieError::Characters)),
        ] {
            assert_eq!(take(&headers(values), "s"), want, "{case}");
        }
        let long = format!("s={}", "x".repeat(MAX_VALUE + 1));
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(&long).unwrap());
        assert_eq!(take(&headers, "s"), Ok(None));
    }
}

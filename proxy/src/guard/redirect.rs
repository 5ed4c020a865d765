//! Redirects of an upstream: answers that would send a caller, or a client library with the caller's credentials,
//! somewhere that no policy was asked about.

use http::header;
use pingora_http::ResponseHeader;
use postern_config::Redirects;
use postern_filters::{Reason, Refusal};

/// Refuses an answer that redirects further than policy allows. `host` is the one the request was for, lower case and
/// without port.
pub(crate) fn refuse_redirect(
    redirects: Redirects,
    answer: &ResponseHeader,
    host: &str,
    tls: bool,
) -> Result<(), Refusal> {
    let refused = |detail: &str| Err(Refusal::new(Reason::AnswerRefused, detail).by("redirects"));
    if answer.headers.contains_key(header::REFRESH) {
        return refused("the answer has a `Refresh` header, and policy refuses redirects");
    }
    // 201 names what was made, and is not followed.
    let status = answer.status.as_u16();
    if !(300..400).contains(&status) {
        return Ok(());
    }
    let mut places = answer.headers.get_all(header::LOCATION).iter();
    let Some(place) = places.next() else { return Ok(()) };
    match redirects {
        Redirects::Deny => refused("the upstream redirects, which policy refuses"),
        Redirects::SameHost if places.next().is_none() && stays(place.as_bytes(), host, tls) => Ok(()),
        Redirects::SameHost => refused("the upstream redirects to another host, which policy refuses"),
    }
}

/// Whether a caller that follows `place` stays with the scheme and the host it asked.
fn stays(place: &[u8], host: &str, tls: bool) -> bool {
    let Some(place) = std::str::from_utf8(place).ok().filter(|place| place.bytes().all(|b| b.is_ascii_graphic()))
    else {
        return false;
    };
    // Browsers read `\` as `/`.
    if place.contains('\\') || place.starts_with("//") {
        return false;
    }
    let before_path = place.split(['/', '?', '#']).next().unwrap_or_default();
    if !before_path.contains(':') {
        return true;
    }
    let wanted = if tls { "https://" } else { "http://" };
    let Some((scheme, rest)) = place.split_at_checked(wanted.len()) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (authority, ""),
    };
    scheme.eq_ignore_ascii_case(wanted)
        && !authority.contains('@')
        && port.bytes().all(|b| b.is_ascii_digit())
        && name.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_34_a_redirect_stays_with_the_host_that_was_asked_or_is_refused() {
        for (place, same) in [
            ("/v1/next", true),
            ("next?page=2", true),
            ("?page=2", true),
            ("", true),
            ("https://ai.example.com/v1", true),
            ("https://AI.example.com:8443", true),
            ("HTTPS://ai.example.com/", true),
            ("http://ai.example.com/v1", false),
            ("https://evil.example/v1", false),
            ("https://ai.example.com.evil.example/", false),
            ("https://ai.example.com@evil.example/", false),
            ("https://evil.example#ai.example.com", false),
            ("//evil.example/", false),
            ("/\\evil.example/", false),
            ("\\\\evil.example", false),
            ("https:evil.example", false),
            ("https:/evil.example", false),
            ("javascript:alert(1)", false),
            (" https://evil.example", false),
            ("https://", false),
            ("https://[::1]/", false),
        ] {
            assert_eq!(stays(place.as_bytes(), "ai.example.com", true), same, "{place}");
        }
        assert!(!stays(b"/caf\xc3\xa9", "ai.example.com", true));
    }

    #[test]
    fn only_redirects_are_refused() {
        let answer = |status: u16, name: &'static str, value: &str| {
            let mut head = ResponseHeader::build(status, None).unwrap();
            head.append_header(name, value).unwrap();
            head
        };
        for (status, name, deny, same) in [
            (302, "location", false, true),
            (307, "location", false, true),
            (201, "location", true, true),
            (200, "location", true, true),
            (304, "etag", true, true),
            (200, "refresh", false, false),
        ] {
            let head = answer(status, name, "/next");
            assert_eq!(refuse_redirect(Redirects::Deny, &head, "a.example", true).is_ok(), deny, "{status} {name}");
            assert_eq!(refuse_redirect(Redirects::SameHost, &head, "a.example", true).is_ok(), same, "{status} {name}");
        }
        let mut two = answer(302, "location", "/next");
        two.append_header("location", "https://evil.example").unwrap();
        assert!(refuse_redirect(Redirects::SameHost, &two, "a.example", true).is_err());
    }
}

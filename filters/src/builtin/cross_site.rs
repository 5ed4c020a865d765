//! Refuses what another site makes a browser send: a request with a non-safe method and a foreign origin.
//!
//! Browsers say where a request comes from in `Sec-Fetch-Site` (W3C Fetch Metadata) and `Origin` (RFC 6454 §7). Other
//! clients send neither and are not concerned. An upgrade is a `GET` that opens both directions, and no browser keeps one
//! site from opening it at another: it counts as non-safe.

use http::HeaderName;
use http::header::{ORIGIN, UPGRADE};
use postern_config::CrossSite as Rule;

use crate::{Context, Flow, Reason, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct CrossSite {
    allowed: Vec<String>,
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl CrossSite {
    pub(crate) const GUARD: &str = "crossSite";

    pub(crate) fn new(rule: &Rule) -> Self {
        let allowed = match rule {
            Rule::Deny => Vec::new(),
            Rule::AllowOrigins(origins) => origins.clone(),
        };
        Self { allowed }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, _cx: &mut Context) -> Verdict {
        if req.is_safe_method() && !req.headers.contains_key(UPGRADE) {
            return Ok(Flow::Continue);
        }
        // `None` is absent; repeated and unreadable values are nobody's, so they are not ours.
        let value =
            |name: &HeaderName| req.headers.contains_key(name).then(|| req.sole_header(name).unwrap_or_default());
        let site = value(&FETCH_SITE);
        match value(&ORIGIN) {
            Some(origin) if self.allowed.iter().any(|allowed| allowed == origin) => {}
            Some(origin) if !is_own(origin, req) => {
                return Ok(Flow::refuse(Reason::CrossSite, "the origin is another site's"));
            }
            // Another port of the same host is the same site.
            Some(_) if site.is_none_or(|site| matches!(site, "same-origin" | "same-site" | "none")) => {}
            None if site.is_none_or(|site| matches!(site, "same-origin" | "none")) => {}
            _ => return Ok(Flow::refuse(Reason::CrossSite, "`Sec-Fetch-Site` names another site")),
        }
        Ok(Flow::Continue)
    }
}

/// Same host, and the scheme the request came by; the port is the browser's own business, as we may stand behind
/// another one.
fn is_own(origin: &str, req: &RequestView<'_>) -> bool {
    let scheme = if req.tls { "https://" } else { "http://" };
    let Some(authority) = origin.strip_prefix(scheme) else { return false };
    let Some((host, rest)) = authority.split_at_checked(req.host.len()) else { return false };
    let port = rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    !host.is_empty() && host.eq_ignore_ascii_case(req.host) && (rest.is_empty() || port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Asked, asked, context};

    fn passes(rule: &Rule, asked: &Asked) -> bool {
        match CrossSite::new(rule).check(&asked.view(), &mut context()).unwrap() {
            Flow::Wait(need) => panic!("it asks for {need:?}"),
            Flow::Continue => true,
            Flow::Refuse(refusal) => {
                assert_eq!(refusal.reason, Reason::CrossSite);
                false
            }
        }
    }

    #[test]
    fn a_request_that_changes_something_comes_from_the_own_site_or_an_allowed_one() {
        let listed = Rule::AllowOrigins(vec!["https://app.example.com".to_owned()]);
        for (head, denied, allowed) in [
            ("", true, true),
            ("origin: https://ai.example.com", true, true),
            ("origin: https://AI.example.com", true, true),
            ("origin: https://ai.example.com:8443", true, true),
            ("origin: https://app.example.com", false, true),
            ("origin: https://app.example.com:8443", false, false),
            ("origin: https://app.example.com\nsec-fetch-site: cross-site", false, true),
            ("origin: http://ai.example.com", false, false),
            ("origin: https://evil.example", false, false),
            ("origin: https://ai.example.com.evil.example", false, false),
            ("origin: https://evil.ai.example.com", false, false),
            ("origin: https://ai.example.com:x@evil.example", false, false),
            ("origin: https://ai.example.com:99999", false, false),
            ("origin: https://ai.example.com:", false, false),
            ("origin: https://ai.example.com/", false, false),
            ("origin: https://user@ai.example.com", false, false),
            ("origin: https://", false, false),
            ("origin: null", false, false),
            ("origin:", false, false),
            ("origin: https://ai.example.com\norigin: https://ai.example.com", false, false),
            ("origin: https://ai.example.com\nsec-fetch-site: same-origin", true, true),
            ("origin: https://ai.example.com:8443\nsec-fetch-site: same-site", true, true),
            ("origin: https://ai.example.com\nsec-fetch-site: cross-site", false, false),
            ("sec-fetch-site: same-origin", true, true),
            ("sec-fetch-site: none", true, true),
            ("sec-fetch-site: same-site", false, false),
            ("sec-fetch-site: cross-site", false, false),
            ("sec-fetch-site: none\nsec-fetch-site: none", false, false),
            ("sec-fetch-site:", false, false),
        ] {
            let post = asked("POST", "/a").head(head);
            assert_eq!((passes(&Rule::Deny, &post), passes(&listed, &post)), (denied, allowed), "{head}");
        }
    }

    #[test]
    fn reading_is_free_and_opening_a_socket_is_not() {
        let foreign = "origin: https://evil.example\nsec-fetch-site: cross-site";
        for (method, head, want) in [
            ("GET", "", true),
            ("HEAD", "", true),
            ("OPTIONS", "", true),
            ("DELETE", "", false),
            ("PATCH", "", false),
            ("get", "", false),
            ("GET", "upgrade: websocket", false),
        ] {
            let asked = asked(method, "/a").head(foreign).head(head);
            assert_eq!(passes(&Rule::Deny, &asked), want, "{method} {head}");
        }
        assert!(passes(&Rule::Deny, &asked("GET", "/a").head("upgrade: websocket\norigin: https://ai.example.com")));
    }

    #[test]
    fn an_address_in_brackets_is_a_host_and_plain_http_its_own_scheme() {
        let mut asked = asked("POST", "/a");
        asked.host = "[::1]".to_owned();
        asked.tls = false;
        for (origin, want) in [
            ("http://[::1]", true),
            ("http://[::1]:8080", true),
            ("https://[::1]:8080", false),
            ("http://[::1]x", false),
            ("http://[::1", false),
            ("http://[::2]", false),
        ] {
            let asked = asked.clone().head(&format!("origin: {origin}"));
            assert_eq!(passes(&Rule::Deny, &asked), want, "{origin}");
        }
    }
}

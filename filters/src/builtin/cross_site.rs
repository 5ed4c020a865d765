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

//! Refuses what another site makes a browser send: a request with a non-safe method and a foreign origin.
//!
//! Browsers say where a request comes from in `Sec-Fetch-Site` (W3C Fetch Metadata) and `Origin` (RFC 6454 §7). Other
//! clients send neither and are not concerned.

use http::HeaderName;
use http::header::ORIGIN;
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
        if req.is_safe_method() {
            return Ok(Flow::Continue);
        }
        if req.headers.contains_key(ORIGIN) {
            // `null`, repeated and unreadable origins are nobody's, so they are not ours.
            let origin = req.sole_header(&ORIGIN).unwrap_or_default();
            if self.allowed.iter().any(|allowed| allowed == origin) || is_own(origin, req) {
                return Ok(Flow::Continue);
            }
            return Ok(Flow::refuse(Reason::CrossSite, "the origin is another site's"));
        }
        if req.headers.contains_key(FETCH_SITE) {
            let site = req.sole_header(&FETCH_SITE).unwrap_or_default();
            if !matches!(site, "same-origin" | "none") {
                return Ok(Flow::refuse(Reason::CrossSite, "`Sec-Fetch-Site` names another site"));
            }
        }
        Ok(Flow::Continue)
    }
}

/// Same host, and the scheme the request came by; the port is the browser's own business, as we may stand behind
/// another one.
fn is_own(origin: &str, req: &RequestView<'_>) -> bool {
    let scheme = if req.tls { "https://" } else { "http://" };
    origin.strip_prefix(scheme).is_some_and(|authority| {
        let host = if authority.starts_with('[') {
            authority.split_inclusive(']').next().unwrap_or_default()
        } else {
            authority.split(':').next().unwrap_or_default()
        };
        !host.is_empty() && host.eq_ignore_ascii_case(req.host)
    })
}

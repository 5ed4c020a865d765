//! Finds out whose data a request asks for, where each request says it: by its host, its path or a header.
//!
//! It refuses nobody. What is missing, repeated or unknown is no tenant, and a decision about no tenant's resource denies: so
//! an unknown tenant looks like a foreign one to everybody, and nobody can find out which there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::HeaderName;
use postern_config::TenantFromRequest;

use crate::{Context, RequestView};

#[derive(Debug)]
pub(crate) struct OfTenant {
    from: From,
    known: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
enum From {
    Host {
        before: String,
        after: String,
    },
    PathSegment(usize),
    /// `None` for a name that is none: then there is never a tenant.
    Header(Option<HeaderName>),
}

impl OfTenant {
    /// `known` are the tenants that a principal of the route can be of.
    pub(crate) fn new<'t>(from: &TenantFromRequest, known: impl Iterator<Item = &'t str>) -> Self {
        let from = match from {
            TenantFromRequest::Host { before, after } => From::Host { before: before.clone(), after: after.clone() },
            TenantFromRequest::PathSegment(number) => From::PathSegment(*number),
            TenantFromRequest::Header(name) => From::Header(HeaderName::from_bytes(name.as_bytes()).ok()),
        };
        Self { from, known: known.filter(|tenant| !tenant.is_empty()).map(Arc::from).collect() }
    }

    pub(crate) fn find(&self, req: &RequestView<'_>, cx: &mut Context) {
        let named = match &self.from {
            From::Host { before, after } => {
                let rest = req.host.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
                rest.filter(|label| !label.contains('.'))
            }
            // The path is canonical: it begins with `/` and has no empty segments and no dots.
            From::PathSegment(number) => req.path.split('/').skip(1).nth(*number),
            From::Header(name) => name.as_ref().and_then(|name| req.sole_header(name)),
        };
        cx.set_tenant(named.and_then(|tenant| self.known.get(tenant).cloned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{asked, context};

    fn found(from: &TenantFromRequest, host: &str, path: &str, heads: &str) -> Option<String> {
        let filter = OfTenant::new(from, ["acme", "globex", "a.b"].into_iter());
        let mut asked = asked("GET", path).head(heads);
        asked.host = host.to_owned();
        let mut cx = context();
        // What an earlier look left must not stay.
        cx.set_tenant(Some(Arc::from("stale")));
        filter.find(&asked.view(), &mut cx);
        cx.tenant().map(|tenant| tenant.to_string())
    }

    #[test]
    fn the_host_names_a_tenant_by_one_whole_label() {
        let from = TenantFromRequest::Host { before: String::new(), after: ".ai.example.com".to_owned() };
        for (host, want) in [
            ("acme.ai.example.com", Some("acme")),
            ("globex.ai.example.com", Some("globex")),
            ("evil.ai.example.com", None),
            ("acme.globex.ai.example.com", None),
            ("a.b.ai.example.com", None),
            (".ai.example.com", None),
            ("ai.example.com", None),
            ("acme.ai.example.com.evil.example", None),
            ("acmeai.example.com", None),
            ("acme.ai.example.net", None),
        ] {
            assert_eq!(found(&from, host, "/", "").as_deref(), want, "{host}");
        }
        let from = TenantFromRequest::Host { before: "api.".to_owned(), after: ".example.com".to_owned() };
        assert_eq!(found(&from, "api.acme.example.com", "/", "").as_deref(), Some("acme"));
        assert_eq!(found(&from, "acme.example.com", "/", ""), None);
    }

    #[test]
    fn attack_11_to_16_a_segment_names_a_tenant_as_it_stands_and_in_no_other_spelling() {
        let from = TenantFromRequest::PathSegment(1);
        for (path, want) in [
            ("/t/acme/orders", Some("acme")),
            ("/t/acme", Some("acme")),
            ("/t/globex/acme", Some("globex")),
            ("/t", None),
            ("/", None),
            ("/t/", None),
            ("/t/acme;globex/orders", None),
            ("/t/ACME", None),
            ("/t/acm%65", None),
            ("/t/acme%2fglobex", None),
            ("/acme/t", None),
        ] {
            assert_eq!(found(&from, "ai.example.com", path, "").as_deref(), want, "{path}");
        }
    }

    #[test]
    fn attack_26_a_header_names_a_tenant_only_where_it_stands_once() {
        let from = TenantFromRequest::Header("x-tenant".to_owned());
        for (heads, want) in [
            ("x-tenant: acme", Some("acme")),
            ("X-TENANT: acme", Some("acme")),
            ("", None),
            ("x-tenant:", None),
            ("x-tenant: acme\nx-tenant: acme", None),
            ("x-tenant: acme\nx-tenant: globex", None),
            ("x-tenant: acme, globex", None),
            ("x-tenant: evil", None),
            ("x_tenant: acme", None),
            ("x-tenant: acme\nx_tenant: globex", Some("acme")),
            ("x-tenant: acm\u{e9}", None),
        ] {
            assert_eq!(found(&from, "ai.example.com", "/", heads).as_deref(), want, "{heads:?}");
        }
    }
}

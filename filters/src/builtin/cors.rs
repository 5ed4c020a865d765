//! Tells browsers which sites may ask and read (CORS, Fetch §3.2). It refuses nothing that is asked: that is `crossSite`'s
//! part. A browser keeps an answer without these headers from the script that asked.

use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use postern_config::{Cors as Rule, CrossSite as Gate, Origins};

use super::CrossSite;
use crate::{Context, Flow, Reason, Refusal, RequestView, Verdict};

/// Headers that need no leave (Fetch §2.2.2); the value of `Content-Type` is policy's to judge in any case.
const SAFE_HEADERS: [&str; 4] = ["accept", "accept-language", "content-language", "content-type"];

#[derive(Debug)]
pub(crate) struct Cors {
    rule: Rule,
    gate: CrossSite,
    methods: String,
    headers: String,
    max_age: String,
}

impl Cors {
    pub(crate) const GUARD: &str = "cors";

    pub(crate) fn new(rule: &Rule, gate: &Gate) -> Self {
        Self {
            rule: rule.clone(),
            gate: CrossSite::new(gate),
            methods: rule.methods.join(", "),
            headers: rule.headers.join(", "),
            max_age: rule.max_age.as_secs().to_string(),
        }
    }

    /// Adds to whatever the request is answered, refusals included, what lets the script of an allowed origin read it.
    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        // Caches must not give the answer for one origin, or for none, to another.
        cx.add_header("vary", "Origin".to_owned());
        if let Some(origin) = self.origin(req)
            && self.rule.methods.iter().any(|method| method == req.method)
        {
            self.allow(origin, cx);
        }
        Ok(Flow::Continue)
    }

    /// Answers a preflight: nothing where the request is none; else the headers of a 204 are in `cx`.
    ///
    /// # Errors
    /// A refusal where the request that it announces would not be let through.
    pub(crate) fn preflight(&self, req: &RequestView<'_>, cx: &mut Context) -> Option<Result<(), Refusal>> {
        let is_preflight = req.method == "OPTIONS"
            && req.headers.contains_key(ORIGIN)
            && req.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        is_preflight.then(|| self.judge(req, cx))
    }

    fn judge(&self, req: &RequestView<'_>, cx: &mut Context) -> Result<(), Refusal> {
        cx.add_header("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers".to_owned());
        let refused = |what: &str| Refusal::new(Reason::CrossSite, format!("a preflight: {what}")).by(Self::GUARD);
        let origin = self.origin(req).ok_or_else(|| refused("no script of this origin may ask"))?;
        let method = req.sole_header(&ACCESS_CONTROL_REQUEST_METHOD).unwrap_or_default();
        if !self.rule.methods.iter().any(|allowed| allowed == method) {
            return Err(refused("not with this method"));
        }
        let announced = RequestView { method, ..*req };
        if let Flow::Refuse(refusal) = self.gate.check(&announced, cx)? {
            return Err(refusal);
        }
        if !self.are_allowed(req) {
            return Err(refused("not with these headers"));
        }
        self.allow(origin, cx);
        cx.add_header(ALLOW_METHODS, self.methods.clone());
        if !self.headers.is_empty() {
            cx.add_header(ALLOW_HEADERS, self.headers.clone());
        }
        cx.add_header(MAX_AGE, self.max_age.clone());
        cx.set_rule(Self::GUARD);
        Ok(())
    }

    /// The origin that asks, if it is allowed.
    fn origin<'r>(&self, req: &RequestView<'r>) -> Option<&'r str> {
        let origin = req.sole_header(&ORIGIN)?;
        let allowed = match &self.rule.origins {
            Origins::Any => true,
            Origins::These(origins) => origins.iter().any(|allowed| allowed == origin),
        };
        allowed.then_some(origin)
    }

    /// Whether all headers that a preflight announces are allowed. More than one list is none that can be read.
    fn are_allowed(&self, req: &RequestView<'_>) -> bool {
        if !req.headers.contains_key(ACCESS_CONTROL_REQUEST_HEADERS) {
            return true;
        }
        let Some(list) = req.sole_header(&ACCESS_CONTROL_REQUEST_HEADERS) else { return false };
        list.split(',').map(str::trim).all(|name| {
            SAFE_HEADERS.iter().any(|safe| name.eq_ignore_ascii_case(safe))
                || self.rule.headers.iter().any(|allowed| name.eq_ignore_ascii_case(allowed))
        })
    }

    fn allow(&self, origin: &str, cx: &mut Context) {
        let told = if self.rule.origins == Origins::Any { "*" } else { origin };
        cx.add_header(ALLOW_ORIGIN, told.to_owned());
        if self.rule.credentials {
            cx.add_header(ALLOW_CREDENTIALS, "true".to_owned());
        }
    }
}

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";
const ALLOW_METHODS: &str = "access-control-allow-methods";
const ALLOW_HEADERS: &str = "access-control-allow-headers";
const MAX_AGE: &str = "access-control-max-age";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{Asked, asked, context};

    const APP: &str = "https://app.example.com";

    fn rule(origins: Origins, credentials: bool) -> Rule {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect();
        Rule {
            origins,
            methods: list("GET PUT"),
            headers: list("x-a x-b"),
            credentials,
            max_age: Duration::from_secs(60),
        }
    }

    fn cors() -> Cors {
        let gate = Gate::AllowOrigins(vec![APP.to_owned()]);
        Cors::new(&rule(Origins::These(vec!["https://other.example.com".to_owned(), APP.to_owned()]), true), &gate)
    }

    fn headers(cx: &Context) -> String {
        let lines: Vec<_> = cx.headers().iter().map(|(name, value)| format!("{name}: {value}")).collect();
        lines.join("\n")
    }

    fn preflight(head: &str) -> Asked {
        asked("OPTIONS", "/a").head(head)
    }

    #[test]
    fn a_preflight_is_answered_for_what_would_be_let_through() {
        let put = "access-control-request-method: PUT";
        let from = format!("origin: {APP}");
        for (case, head, want) in [
            ("allowed", format!("{from}\n{put}"), Some(true)),
            (
                "with headers",
                format!("{from}\n{put}\naccess-control-request-headers: x-a,X-B, content-type"),
                Some(true),
            ),
            ("another header", format!("{from}\n{put}\naccess-control-request-headers: x-a,x-c"), Some(false)),
            ("an empty name", format!("{from}\n{put}\naccess-control-request-headers: x-a,,x-b"), Some(false)),
            (
                "two lists",
                format!("{from}\n{put}\naccess-control-request-headers: x-a\naccess-control-request-headers: x-b"),
                Some(false),
            ),
            ("another method", format!("{from}\naccess-control-request-method: DELETE"), Some(false)),
            ("a method in other letters", format!("{from}\naccess-control-request-method: put"), Some(false)),
            ("two methods", format!("{from}\n{put}\n{put}"), Some(false)),
            ("another origin", format!("origin: https://evil.example\n{put}"), Some(false)),
            ("an origin behind ours", format!("origin: {APP}.evil.example\n{put}"), Some(false)),
            ("no origin there is", format!("origin: null\n{put}"), Some(false)),
            ("two origins", format!("{from}\n{from}\n{put}"), Some(false)),
            ("allowed here, not by crossSite", format!("origin: https://other.example.com\n{put}"), Some(false)),
            ("to read", "origin: https://other.example.com\naccess-control-request-method: GET".to_owned(), Some(true)),
            ("no preflight", from.clone(), None),
            ("none either", put.to_owned(), None),
        ] {
            let mut cx = context();
            let answered = cors().preflight(&preflight(&head).view(), &mut cx).map(|answered| answered.is_ok());
            assert_eq!(answered, want, "{case}");
            assert_eq!(headers(&cx).contains("access-control"), want == Some(true), "{case}: {}", headers(&cx));
        }
        let mut cx = context();
        let asked = preflight(&format!("{from}\n{put}"));
        cors().preflight(&asked.view(), &mut cx).unwrap().unwrap();
        assert_eq!(
            headers(&cx),
            "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n\
             access-control-allow-origin: https://app.example.com\naccess-control-allow-credentials: true\n\
             access-control-allow-methods: GET, PUT\naccess-control-allow-headers: x-a, x-b\naccess-control-max-age: 60"
        );
        let get = asked_with("GET", &format!("{from}\n{put}"));
        assert!(cors().preflight(&get.view(), &mut context()).is_none(), "only OPTIONS announces");
    }

    fn asked_with(method: &str, head: &str) -> Asked {
        asked(method, "/a").head(head)
    }

    #[test]
    fn an_answer_is_readable_for_allowed_origins_and_methods_and_varies_for_all() {
        let any = Cors::new(&rule(Origins::Any, false), &Gate::Deny);
        for (cors, method, head, want) in [
            (&cors(), "GET", "origin: https://app.example.com", Some(APP)),
            (&cors(), "DELETE", "origin: https://app.example.com", None),
            (&cors(), "GET", "origin: https://evil.example", None),
            (&cors(), "GET", "", None),
            (&any, "GET", "origin: https://evil.example", Some("*")),
        ] {
            let mut cx = context();
            assert_eq!(cors.check(&asked_with(method, head).view(), &mut cx).unwrap(), Flow::Continue);
            let told = headers(&cx);
            assert!(told.starts_with("vary: Origin"), "{told}");
            let line = want.map(|origin| format!("access-control-allow-origin: {origin}\n"));
            assert_eq!(told.contains("access-control-allow-origin"), line.is_some(), "{method} {head}");
            assert!(line.is_none_or(|line| format!("{told}\n").contains(&line)), "{told}");
            assert_eq!(told.contains("credentials"), want == Some(APP));
        }
    }
}

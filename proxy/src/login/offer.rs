//! Sends a browser that has no session to the issuer.

use http::{HeaderMap, header};
use pingora_core::protocols::http::ServerSession;
use postern_config::OnDeny;
use postern_filters::token::session::{LOGIN_COOKIE, Login, SESSION_COOKIE};
use postern_filters::{Browser, Reason, Refusal};
use tracing::debug;

use super::own_address;
use super::reply::{cookie, forget};
use crate::exchange::Exchange;
use crate::head::Head;
use crate::story::Story;

/// Seconds that a browser keeps a login that it began.
const LOGIN: u64 = 600;
/// Seconds after which a session may be asked for a stronger login.
const SETTLED: i64 = 30;
/// Logins under way in one browser; with more, the older ones are forgotten.
const AT_ONCE: usize = 4;

/// What becomes of `refusal`, which lacks a session: for a browser that shows a page, the way to one. A script gets the refusal:
/// it could not follow to another site, and would take the page there for its answer.
pub(crate) async fn offer(
    exchange: Exchange<'_>,
    browser: &Browser,
    head: &Head,
    session: &ServerSession,
    story: &Story,
    refusal: Refusal,
) -> Refusal {
    let headers = &session.req_header().headers;
    let may = match refusal.reason {
        Reason::CredentialMissing | Reason::SessionEnded => true,
        // An issuer that does not do what it was asked for would be asked for ever.
        Reason::StepUp => is_settled_session(browser, story),
        _ => false,
    };
    if !may || exchange.connection.tls.is_none() || !shows_page(&head.method, headers) {
        return refusal;
    }
    let more = stronger(refusal.ask.as_deref());
    match begin(exchange, browser, head, headers, story, &more).await {
        Ok(found) => Refusal { reason: Reason::LoginNeeded, headers: found, ..refusal },
        Err(why) => {
            debug!(why, "no login can be offered");
            Refusal::new(Reason::Undecided, format!("{}; no login can be offered: {why}", refusal.detail))
        }
    }
}

async fn begin(
    exchange: Exchange<'_>,
    browser: &Browser,
    head: &Head,
    headers: &HeaderMap,
    story: &Story,
    more: &[(&str, String)],
) -> Result<Vec<(&'static str, String)>, String> {
    let shared = exchange.shared;
    let endpoints = shared.outside.issuers().endpoints(browser, &shared.outside).await?;
    let back = match head.query.as_deref() {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.clone(),
    };
    let login = Login::begin(&back, story.context.now()).map_err(|error| error.to_string())?;
    let settings = browser.settings();
    let redirect = own_address(head, &settings.callback);
    let query = login.query(&settings.client_id, &redirect, &settings.scopes, more);
    let sealed = login.cookie(browser.sessions().key(), browser.provider(), &head.host);
    let (name, value) = sealed.map_err(|error| error.to_string())?;
    let joint = if endpoints.authorization.contains('?') { '&' } else { '?' };
    let mut out = vec![
        ("location", format!("{}{joint}{query}", endpoints.authorization)),
        ("set-cookie", cookie(&name, &value, LOGIN)),
    ];
    let under_way = logins(headers);
    if under_way.len() >= AT_ONCE {
        out.extend(under_way.iter().take(AT_ONCE * 4).map(|name| ("set-cookie", forget(name))));
    }
    Ok(out)
}

/// Whether the caller has a session that did not begin just now.
fn is_settled_session(browser: &Browser, story: &Story) -> bool {
    let Some(who) = story.context.known_principal() else { return false };
    let age = i64::try_from(browser.settings().session_age.as_secs()).unwrap_or(i64::MAX);
    who.is_by_session() && story.context.now().saturating_sub(who.authn.expires_at.saturating_sub(age)) > SETTLED
}

/// What the authorization request asks for beyond a login (OpenID Connect Core 1.0 §3.1.2.1).
fn stronger(ask: Option<&OnDeny>) -> Vec<(&'static str, String)> {
    let Some(OnDeny::StepUp { acr_values, max_age }) = ask else { return Vec::new() };
    let acr = (!acr_values.is_empty()).then(|| ("acr_values", acr_values.join(" ")));
    let age = max_age.map(|age| ("max_age", age.as_secs().to_string()));
    acr.into_iter().chain(age).collect()
}

/// Whether a browser asks for a page to show: by what it says of the request (W3C Fetch Metadata), else by what it takes.
fn shows_page(method: &str, headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let page = match (said("sec-fetch-mode"), said("sec-fetch-dest")) {
        (None, None) => said(header::ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/html")),
        (mode, dest) => mode == Some("navigate") && dest.is_none_or(|dest| dest == "document"),
    };
    page && matches!(method, "GET" | "HEAD")
}

/// Names of the cookies of logins that the browser has under way.
fn logins(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split('=').next());
    let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    names.filter(|name| name.starts_with(LOGIN_COOKIE)).filter(plain).map(str::to_owned).collect()
}

/// Makes the browser forget its session.
pub(super) fn forget_session() -> String {
    forget(SESSION_COOKIE)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(pair).collect()
    }

    #[test]
    fn only_a_page_is_sent_away() {
        let page = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        for (case, method, lines, want) in [
            ("a page", "GET", &page[..], true),
            ("a form", "POST", &page, false),
            ("an old browser", "GET", &[("accept", "text/html,*/*")], true),
            ("curl", "GET", &[("accept", "*/*")], false),
            ("a script", "GET", &[("sec-fetch-mode", "cors"), ("accept", "text/html")], false),
            ("a frame", "GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], false),
            ("an image", "GET", &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], false),
        ] {
            assert_eq!(shows_page(method, &headers(lines)), want, "{case}");
        }
    }

    #[test]
    fn logins_under_way_are_told_from_other_cookies() {
        let headers = headers(&[(
            "cookie",
            "a=1; __Host-postern-login-abcdefgh=x; __Host-postern-session=y; __Host-postern-login-a\"b=z",
        )]);
        assert_eq!(logins(&headers), ["__Host-postern-login-abcdefgh"]);
    }
}

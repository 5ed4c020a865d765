//! Ends sessions: at the word of their user, and at that of the issuer.

use pingora_core::protocols::http::ServerSession;
use postern_filters::token::session::{LogoutToken, SESSION_COOKIE, take};
use postern_filters::{Browser, Given, Reason, Refusal};
use tracing::info;

use super::offer::forget_session;
use super::own_address;
use super::reply::Reply;
use crate::connections;
use crate::exchange::{Exchange, read_body};
use crate::head::Head;
use crate::outside::Outside;
use crate::story::Story;

/// Largest body with a logout token.
const MAX_BODY: u64 = 32 << 10;

/// A user logs out (RP-Initiated Logout 1.0). Only a page of the same host may ask for it: a link or an image elsewhere would
/// log people out.
pub(super) async fn by_user(
    exchange: Exchange<'_>,
    browser: &Browser,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<Reply, Refusal> {
    if head.method != "POST" {
        return Err(Refusal::new(Reason::NotPermitted, "logging out is a POST"));
    }
    read_body(MAX_BODY, head, session, story).await?;
    let headers = &session.req_header().headers;
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    let origin = headers.get("origin").map(|value| value.as_bytes());
    let ours = own_address(head, "");
    let same = match (site, origin) {
        (Some(site), _) => site == b"same-origin",
        (None, Some(origin)) => origin == ours.as_bytes(),
        (None, None) => false,
    };
    if !same {
        return Err(Refusal::new(Reason::CrossSite, "another site asks for the end of a session"));
    }
    let cookie =
        take(headers, SESSION_COOKIE).map_err(|error| Refusal::new(Reason::CredentialInvalid, error.to_string()))?;
    if let Some(cookie) = cookie
        && browser.sessions().end(browser.verifier(), cookie, &head.host, story.context.now())
    {
        judge_streams(exchange);
    }
    let shared = exchange.shared;
    let endpoints = shared.outside.issuers().endpoints(browser, &shared.outside).await;
    let there = endpoints.ok().and_then(|endpoints| endpoints.end_session.clone());
    let mut reply = Reply::see(match there {
        // Without `post_logout_redirect_uri`, which would have to be registered too: the issuer shows its own page.
        Some(url) => {
            let joint = if url.contains('?') { '&' } else { '?' };
            let client = postern_filters::token::session::escape(&browser.settings().client_id);
            format!("{url}{joint}client_id={client}")
        }
        None => "/".to_owned(),
    });
    reply.cookies = vec![forget_session()];
    Ok(reply)
}

/// The issuer says who logged out (Back-Channel Logout 1.0 §2.5 to §2.8).
pub(super) async fn by_issuer(
    exchange: Exchange<'_>,
    browser: &Browser,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<Reply, Refusal> {
    let malformed = |detail: &str| Refusal::new(Reason::Malformed, detail);
    let form = session.req_header().headers.get("content-type").and_then(|value| value.to_str().ok());
    let is_form = form.is_some_and(|form| form.split(';').next() == Some("application/x-www-form-urlencoded"));
    if head.method != "POST" || !is_form {
        return Err(malformed("a logout token comes as a form, by POST"));
    }
    let body = read_body(MAX_BODY, head, session, story).await?;
    let text = std::str::from_utf8(&body).map_err(|_utf8| malformed("the form is not UTF-8"))?;
    let mut tokens = text.split('&').filter_map(|pair| pair.strip_prefix("logout_token="));
    let (Some(token), None) = (tokens.next(), tokens.next()) else {
        return Err(malformed("the form has not one `logout_token`"));
    };
    let now = story.context.now();
    let mut given: Option<Given> = None;
    let verified = loop {
        match LogoutToken::verify(browser.verifier(), &browser.settings().client_id, token, now) {
            Ok(verified) => break verified,
            Err(error) => match error.need().filter(|_| given.is_none()) {
                Some(need) => given = Some(exchange.shared.outside.answer(need, Outside::deadline()).await?),
                // §2.8: 400 for a token that is not good.
                None if error.reason() == Reason::CredentialInvalid => {
                    return Err(Refusal::new(Reason::Malformed, format!("the logout token: {error}")));
                }
                None => return Err(Refusal::new(error.reason(), error.to_string())),
            },
        }
    };
    let fresh = browser.sessions().log_out(&verified, now);
    info!(provider = browser.provider(), fresh, "the issuer logged somebody out");
    if fresh {
        judge_streams(exchange);
    }
    Ok(Reply::status(200))
}

/// Streams of who has no session any more end now, and not with the next reload.
fn judge_streams(exchange: Exchange<'_>) {
    let shared = exchange.shared.clone();
    tokio::spawn(async move { connections::judge(&shared).await });
}

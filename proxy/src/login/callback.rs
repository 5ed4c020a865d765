//! Takes back a browser that the issuer sent: its code becomes an id token, and that a session.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use pingora_core::protocols::http::ServerSession;
use postern_config::Redacted;
use postern_filters::token::discovery::Endpoints;
use postern_filters::token::session::{Login, Returned, SESSION_COOKIE, SessionError};
use postern_filters::{Browser, Given, Reason, Refusal};

use super::own_address;
use super::reply::{Reply, cookie, forget};
use crate::exchange::Exchange;
use crate::head::Head;
use crate::outbound::{Request, Url};
use crate::outside::{self, Outside};
use crate::story::Story;

/// Largest answer of a token endpoint.
const MAX_ANSWER: usize = 64 << 10;

pub(super) async fn take(
    exchange: Exchange<'_>,
    browser: &Browser,
    head: &Head,
    query: Option<&str>,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<Reply, Refusal> {
    let refuse = |detail: String| Refusal::new(Reason::CredentialInvalid, detail);
    if head.method != "GET" || !session.is_body_empty() {
        return Err(Refusal::new(Reason::Malformed, "a login comes back by GET"));
    }
    let returned = Returned::read(query.unwrap_or_default())
        .ok_or_else(|| refuse("what the browser came back with is incomplete or ambiguous".to_owned()))?;
    let name = Login::cookie_name(&returned.state).ok_or_else(|| refuse("the state is none of ours".to_owned()))?;
    let headers = &session.req_header().headers;
    let held = postern_filters::token::session::take(headers, &name).map_err(|error| refuse(error.to_string()))?;
    let held = held.ok_or_else(|| refuse("this browser began no such login".to_owned()))?;
    let now = story.context.now();
    let login = Login::resume(browser.sessions().key(), browser.provider(), &head.host, held, &returned, now)
        .ok_or_else(|| refuse("the login is of another browser or host, or too old".to_owned()))?;
    let endpoints =
        exchange.shared.outside.issuers().endpoints(browser, &exchange.shared.outside).await.map_err(away)?;
    match returned.issuer.as_deref() {
        Some(issuer) if issuer != browser.issuer() => {
            return Err(refuse("the browser comes back from another issuer (RFC 9207)".to_owned()));
        }
        None if endpoints.names_itself => {
            return Err(refuse("the browser does not say from which issuer it comes back (RFC 9207)".to_owned()));
        }
        _ => {}
    }
    if let Some(error) = &returned.error {
        let shown: String = error.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
        return Err(refuse(format!("the issuer refused the login: `{shown}`")));
    }
    let code = returned.code.as_deref().ok_or_else(|| refuse("the browser came back without a code".to_owned()))?;
    let id_token = exchange_code(exchange, browser, head, &endpoints, &login, code).await?;
    let (cookie_value, principal) = begin(exchange, browser, head, &login, &id_token, now).await?;
    story.context.logged_in(principal);
    let settings = browser.settings();
    let mut reply = Reply::see(login.return_to().to_owned());
    reply.cookies = vec![cookie(SESSION_COOKIE, &cookie_value, settings.session_age.as_secs()), forget(&name)];
    Ok(reply)
}

fn away(why: String) -> Refusal {
    Refusal::new(Reason::Undecided, format!("the issuer cannot be asked: {why}"))
}

/// The id token for `code` (RFC 6749 §4.1.3).
async fn exchange_code(
    exchange: Exchange<'_>,
    browser: &Browser,
    head: &Head,
    endpoints: &Endpoints,
    login: &Login,
    code: &str,
) -> Result<Redacted<String>, Refusal> {
    let url = Url::parse(&endpoints.token).map_err(|error| away(format!("its token endpoint: {error}")))?;
    let settings = browser.settings();
    let body = login.exchange(&settings.client_id, &own_address(head, &settings.callback), code);
    let mut request = Request::post(url, Redacted::new(body.into_bytes()))
        .header(header::CONTENT_TYPE, Redacted::new(b"application/x-www-form-urlencoded".to_vec()))
        .header(header::ACCEPT, Redacted::new(b"application/json".to_vec()))
        .limits(outside::call_limits(MAX_ANSWER));
    if let Some(secret) = browser.secret() {
        request = request.header(header::AUTHORIZATION, basic(&settings.client_id, secret));
    }
    let answer =
        exchange.shared.outside.call(settings.ca.as_ref(), request).await.map_err(|error| away(error.to_string()))?;
    match answer.status.as_u16() {
        200 => {}
        // RFC 6749 §5.2: a code that is wrong, used or expired.
        400 | 401 => {
            return Err(Refusal::new(Reason::CredentialInvalid, "the issuer did not take the code, or not us"));
        }
        status => return Err(away(format!("its token endpoint answered {status}"))),
    }
    let token = postern_filters::token::session::id_token_of(&answer.body);
    token.map(Redacted::new).ok_or_else(|| Refusal::new(Reason::CredentialInvalid, "the issuer gave no id token"))
}

/// A session of whom the token names. Keys that are not there yet are asked for once.
async fn begin(
    exchange: Exchange<'_>,
    browser: &Browser,
    head: &Head,
    login: &Login,
    id_token: &Redacted<String>,
    now: i64,
) -> Result<(String, std::sync::Arc<postern_filters::Principal>), Refusal> {
    let mut given: Option<Given> = None;
    loop {
        let client = &browser.settings().client_id;
        let begun = browser.sessions().begin(browser.verifier(), login, client, id_token.expose(), &head.host, now);
        let error = match begun {
            Ok(begun) => return Ok(begun),
            Err(error) => error,
        };
        match &error {
            SessionError::Claims(cause) if given.is_none() => {
                if let Some(need) = cause.need() {
                    given = Some(exchange.shared.outside.answer(need, Outside::deadline()).await?);
                    continue;
                }
            }
            _ => {}
        }
        return Err(Refusal::new(error.reason(), error.to_string()));
    }
}

/// RFC 6749 §2.3.1: both parts escaped as in a form.
fn basic(client: &str, secret: &Redacted<String>) -> Redacted<Vec<u8>> {
    let escaped = postern_filters::token::session::escape;
    let pair = Redacted::new(format!("{}:{}", escaped(client), escaped(secret.expose())));
    Redacted::new(format!("Basic {}", STANDARD.encode(pair.expose())).into_bytes())
}

//! Logins of browsers at the edge: sends them to the issuer, takes them back, and ends their sessions.
//!
//! OpenID Connect Core 1.0 §3.1 (authorization code flow), RFC 7636 (PKCE), RFC 9207 (issuer in the answer), OpenID Connect
//! RP-Initiated Logout 1.0, Back-Channel Logout 1.0. What is sealed, kept and checked is in `postern_filters::token::session`;
//! here is what goes over the network.

mod callback;
mod endpoints;
mod keep;
mod logout;
mod offer;
mod reply;

pub(crate) use endpoints::Issuers;
pub(crate) use keep::keep;
pub(crate) use offer::offer;

use pingora_core::protocols::http::ServerSession;
use postern_config::Route;
use postern_filters::{Reason, Refusal};

use crate::exchange::{Exchange, Matched};
use crate::guard;
use crate::head::Head;
use crate::runtime::Runtime;
use crate::story::Story;

/// One of our own places on a route that lets browsers log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Callback,
    Logout,
    BackChannel,
}

/// The route that lets browsers log in at the place a request is for. Such a place is ours whatever an upstream has there, and
/// whichever path the route is for.
pub(crate) fn find<'r>(runtime: &'r Runtime, listener: &str, head: &Head) -> Option<(&'r Route, Place)> {
    if !runtime.chains.is_login_path(&head.path) {
        return None;
    }
    let here = runtime.snapshot.routes.iter().filter(|route| route.matches.is_for(listener, &head.host));
    let place = |route: &'r Route| {
        let (_, login) = route.policy.identity.browsers().next()?;
        let places = [
            (&login.callback, Place::Callback),
            (&login.logout, Place::Logout),
            (&login.back_channel, Place::BackChannel),
        ];
        places.into_iter().find_map(|(path, place)| (*path == head.path).then_some((route, place)))
    };
    here.filter_map(place).max_by_key(|(route, _)| route.matches.specificity())
}

impl Place {
    fn rule(self) -> &'static str {
        match self {
            Self::Callback => "login",
            Self::Logout => "logout",
            Self::BackChannel => "back-channel-logout",
        }
    }
}

/// Serves one of our own places. Whether the connection may carry another request.
///
/// # Errors
/// A refusal: nothing was changed.
pub(crate) async fn serve(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    place: Place,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<bool, Refusal> {
    story.route = Some(matched.route.name.clone());
    story.dialect = matched.route.dialect;
    guard::judge_route(&matched.network.gate, exchange.connection, head.client)?;
    exchange.within_limits(matched, head, session, story)?;
    let browser = matched.chain.browser();
    let browser = browser.ok_or_else(|| Refusal::new(Reason::Undecided, "the route has no login"))?;
    if !exchange.count(matched, head, session, story).await? {
        return Ok(false);
    }
    story.context.set_built_in(place.rule());
    if exchange.connection.tls.is_none() {
        return Err(Refusal::new(Reason::NotPermitted, "browsers log in over TLS only"));
    }
    // Codes and states are nobody's to read in a log.
    let query = story.head.as_mut().and_then(|head| head.query.take());
    let reply = match place {
        Place::Callback => callback::take(exchange, browser, head, query.as_deref(), session, story).await?,
        Place::Logout => logout::by_user(exchange, browser, head, session, story).await?,
        Place::BackChannel => logout::by_issuer(exchange, browser, head, session, story).await?,
    };
    exchange.keep_place(story)?;
    exchange.announce_drain(session);
    let reusable = session.is_body_done();
    if !reusable {
        session.set_keepalive(None);
    }
    reply::write(reply, session, story, exchange.hsts()).await;
    Ok(reusable && story.trouble.is_none())
}

/// The address of `path` at the host that the browser asked.
fn own_address(head: &Head, path: &str) -> String {
    match head.port.filter(|port| *port != 443) {
        Some(port) => format!("https://{}:{port}{path}", head.host),
        None => format!("https://{}{path}", head.host),
    }
}

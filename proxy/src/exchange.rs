//! One request, the whole way: frame, route, chain, permit, upstream, answer.
//!
//! The request is read whole before anything is sent, and the answer is judged before anything is returned; streams go
//! through the hold-back window. The parts live in `request`, `forward` and `respond`; this file is their order.

mod apart;
mod deadline;
mod external;
mod forward;
mod incoming;
pub(crate) mod limits;
mod metadata;
mod outgoing;
mod overlap;
mod request;
mod respond;
mod stream;

pub(crate) use deadline::Deadline;
pub(crate) use forward::{key, refusal};
pub(crate) use request::read_body;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::HeaderMap;
use pingora_core::protocols::http::ServerSession;
use postern_config::Route;
use postern_filters::{Chain, Context, MessageLimits, Need, Progress, Reason, Refusal, RequestView, Source, forwarded};
use tokio::time::Instant;

use crate::accept::Notice;
use crate::connection::Connection;
use crate::guard::{self, Pace, Patience, RouteGuard};
use crate::head::{self, Head};
use crate::outside::Outside;
use crate::runtime::{Network, Runtime};
use crate::shared::Shared;
use crate::standing::Standing;
use crate::story::Story;
use crate::{answer, login, relay, tunnel, workload};

/// Serves requests of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) connection: &'a Arc<Connection>,
    notice: &'a Notice,
    pub(crate) standing: &'a Arc<Standing>,
}

/// The route that matched, with all that was compiled for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matched<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) route: &'a Route,
    pub(crate) chain: &'a Chain,
    pub(crate) network: &'a Network,
    pub(crate) guard: &'a RouteGuard,
}

impl Matched<'_> {
    /// Largest request body, in bytes.
    fn max_body(&self) -> u64 {
        self.chain.max_body().min(self.guard.settings.max_body)
    }

    pub(crate) fn message_limits(&self) -> MessageLimits {
        guard::message_limits(&self.guard.settings, self.max_body())
    }
}

/// Whether the connection may carry another request.
type Reusable = bool;

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        connection: &'a Arc<Connection>,
        notice: &'a Notice,
        standing: &'a Arc<Standing>,
    ) -> Self {
        Self { shared, connection, notice, standing }
    }

    /// Serves the request in `session`, or refuses it where reading its head came to that; `story` holds what happened.
    pub(crate) async fn run(
        self,
        session: &mut ServerSession,
        story: &mut Story,
        begun: Result<(), Refusal>,
    ) -> Reusable {
        let runtime = self.shared.runtime.load_full();
        story.snapshot = runtime.snapshot.digest;
        story.http_version = if session.is_http2() { "2" } else { "1.1" };
        let counted = guard::judge_rate(
            self.shared,
            self.connection,
            None,
            &runtime.listener_guard(&self.connection.listener).requests,
        );
        let decided = match counted.and(begun) {
            Ok(()) => self.decide(&runtime, session, story).await,
            Err(refusal) => Err(refusal),
        };
        match decided {
            Ok(reusable) => reusable,
            Err(refusal) => {
                story.refuse(refusal);
                // The rest of a body nobody will read must not be taken for the next request (attack 1), and where the
                // head was ambiguous nobody knows where the next one begins. What comes behind a `CONNECT` was meant for
                // its tunnel (attack 38).
                let request = story.head.as_ref().is_some_and(|head| head.connect.is_none());
                let reusable = request && session.is_body_done() && story.trouble.is_none();
                if !reusable {
                    session.set_keepalive(None);
                }
                self.answer_refusal(session, story).await;
                reusable && story.trouble.is_none()
            }
        }
    }

    async fn decide(
        self,
        runtime: &Runtime,
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<Reusable, Refusal> {
        self.refuse_without_record()?;
        let (lines, bytes) = self.connection.head_limits();
        let mut head = head::read(session, lines, bytes, self.connection.workload.is_some())?;
        story.head = Some(head.clone());
        self.refuse_misdirected(&head)?;
        self.refuse_expired(runtime, story)?;
        self.refuse_excepted(runtime, session, story)?;
        self.refuse_distrusted(runtime, session)?;
        self.refuse_displaced(runtime, session)?;
        if let Some(client) = self.behind(runtime, session)? {
            head.client = Some(client);
            story.head = Some(head.clone());
            guard::judge_client(self.shared, self.connection, client)?;
        } else if self.connection.through.is_some() {
            // The place among the connections is the proxy's, so that a ban of the client does not end this one.
            guard::judge_client(self.shared, self.connection, guard::client_address(self.connection.source))?;
        }
        if let Some((route, place)) = login::find(runtime, &self.connection.listener, &head) {
            let matched = compiled(runtime, self.connection, route, story.context.now())?;
            return login::serve(self, matched, place, &head, session, story).await;
        }
        let metadata = runtime.chains.metadata();
        if let Some(found) = metadata.find(&self.connection.listener, &head.method, &head.host, &head.path) {
            return metadata::answer(self, runtime, found, &head, session, story).await;
        }
        let headers = &session.req_header().headers;
        let matched = matched(runtime, self.connection, &head, headers, story.context.now())?;
        story.route = Some(matched.route.name.clone());
        story.dialect = matched.route.dialect;
        guard::judge_route(&matched.network.gate, self.connection, head.client)?;
        self.within_limits(matched, &head, session, story)?;
        if self.is_preflight(matched, &head, session, story)? {
            let counted = self.count(matched, &head, session, story).await?;
            return if counted { answer::preflight(self, session, story).await } else { Ok(false) };
        }
        match self.check_head(matched, &head, session, story).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(refusal) => {
                let Some(browser) = matched.chain.browser() else { return Err(refusal) };
                return Err(login::offer(self, browser, &head, session, story, refusal).await);
            }
        }
        if let Some(port) = head.connect {
            tunnel::open(self, matched, port, &head, session, story).await?;
            return Ok(false);
        }
        if let Some(protocol) = &head.upgrade {
            return relay::run(self, matched, protocol, &head, session, story).await;
        }
        if matched.route.streams_bodies {
            return stream::run(self, matched, &head, session, story).await;
        }
        let body = read_body(matched.max_body(), &head, session, story).await?;
        let Some((permit, body)) = self.check_message(matched, &head, body, session, story).await? else {
            return Ok(false);
        };
        self.keep_place(story)?;
        let Some(upstream) = forward::send(self, matched, permit, &head, body, session, story).await? else {
            return Ok(false);
        };
        respond::answer(self, matched, upstream, &head, session, story).await
    }

    /// Runs what needs the head alone, and finds out what it asks for. False where the client left meanwhile.
    async fn check_head(
        self,
        matched: Matched<'_>,
        head: &Head,
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<bool, Refusal> {
        self.walk(head, session, story, |view, context| matched.chain.check_head(view, context)).await
    }

    /// Whether the request is a preflight that is let through: what is answered is in the story.
    fn is_preflight(
        self,
        matched: Matched<'_>,
        head: &Head,
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<bool, Refusal> {
        let answered = {
            let view = self.view(head, session);
            matched.chain.preflight(&view, &mut story.context)
        };
        let Some(answered) = answered else { return Ok(false) };
        answered?;
        if session.is_body_empty() {
            return Ok(true);
        }
        Err(Refusal::new(Reason::Malformed, "a preflight with a body"))
    }

    /// Counts a request that the proxy answers itself. False where the client left meanwhile.
    pub(crate) async fn count(
        self,
        matched: Matched<'_>,
        head: &Head,
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<bool, Refusal> {
        self.walk(head, session, story, |view, context| matched.chain.count(view, context)).await
    }

    /// Has a chain go on, and finds out what it asks for, until it has passed. False where the client left meanwhile.
    async fn walk(
        self,
        head: &Head,
        session: &mut ServerSession,
        story: &mut Story,
        mut go_on: impl FnMut(&RequestView<'_>, &mut Context) -> Result<Progress, Refusal>,
    ) -> Result<bool, Refusal> {
        let mut until = Outside::deadline();
        loop {
            let progress = {
                let view = self.view(head, session);
                go_on(&view, &mut story.context)?
            };
            match progress {
                Progress::Passed => return Ok(true),
                Progress::Waits(need) => {
                    if !self.supply(need, &mut until, session, story).await? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Finds out what the chain asks for, before `until`. False where the client left meanwhile.
    async fn supply(
        self,
        need: Need,
        until: &mut Instant,
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<bool, Refusal> {
        if need != Need::Limits {
            story.context.supply(self.shared.outside.answer(need, *until).await?);
            return Ok(true);
        }
        let began = Instant::now();
        let supplied = self.supply_limits(session, story).await?;
        // Limits say themselves how long a request may wait for them.
        *until += began.elapsed();
        Ok(supplied)
    }

    /// No record, no request: a proxy that cannot write down what it does refuses to do it.
    fn refuse_without_record(self) -> Result<(), Refusal> {
        match self.shared.writable() {
            Ok(()) => Ok(()),
            Err(error) => Err(Refusal::new(Reason::Undecided, format!("the audit log is not writable: {error}"))),
        }
    }

    /// Nothing is sent before there is room for its record.
    pub(crate) fn keep_place(self, story: &mut Story) -> Result<(), Refusal> {
        let place = self.shared.audit.reserve();
        story.place = Some(place.map_err(|error| Refusal::new(Reason::Undecided, error.to_string()))?);
        Ok(())
    }

    /// The client that a trusted proxy at the other end names.
    fn behind(self, runtime: &Runtime, session: &ServerSession) -> Result<Option<IpAddr>, Refusal> {
        let trusted = &runtime.snapshot.trusted_proxies;
        if trusted.is_empty() {
            return Ok(None);
        }
        let (peer, headers) = (self.connection.source.source(), &session.req_header().headers);
        let named = forwarded::client(trusted, peer, guard::peer_id(self.connection), headers);
        named.map_err(|error| Refusal::new(Reason::Malformed, error.to_string()))
    }

    fn refuse_misdirected(self, head: &Head) -> Result<(), Refusal> {
        if self.connection.covers(&head.host) {
            return Ok(());
        }
        Err(Refusal::new(Reason::Misdirected, format!("the presented certificate does not cover `{}`", head.host)))
    }

    /// A certificate that expired after the handshake speaks for nobody any more.
    fn refuse_expired(self, runtime: &Runtime, story: &Story) -> Result<(), Refusal> {
        let until = self.connection.valid_until();
        let denies = runtime.tls_of(&self.connection.listener).is_none_or(|(_, settings)| settings.deny_after_expiry);
        if denies && until.is_some_and(|until| until < story.context.now()) {
            return Err(Refusal::new(Reason::CredentialInvalid, "the client certificate has expired"));
        }
        Ok(())
    }

    /// Trust that a reload took away is gone for open connections too. They are cut after every reload; this is for the
    /// request that comes in between.
    fn refuse_distrusted(self, runtime: &Runtime, session: &mut ServerSession) -> Result<(), Refusal> {
        let name = &self.connection.listener;
        let listener = runtime.snapshot.listeners.iter().find(|listener| listener.name == *name);
        let trusted = match (&self.connection.tls, listener.map(|_| runtime.tls_of(name))) {
            (None, Some(None)) => Ok(()),
            (Some(_), Some(Some((tls, settings)))) => self.connection.is_trusted(tls, settings),
            // The client may ask again on another connection (RFC 9110 §15.5.20).
            _ => {
                session.set_keepalive(None);
                return Err(Refusal::new(Reason::Misdirected, "the listener of this connection is gone"));
            }
        };
        trusted.map_err(|why| {
            session.set_keepalive(None);
            Refusal::new(Reason::CredentialInvalid, format!("the connection is not trusted any more: {why}"))
        })
    }

    fn refuse_displaced(self, runtime: &Runtime, session: &mut ServerSession) -> Result<(), Refusal> {
        workload::judge(&runtime.snapshot, self.connection).inspect_err(|_| session.set_keepalive(None))
    }

    /// A listener that is there because of an exception serves nobody after it, open connections included.
    fn refuse_excepted(self, runtime: &Runtime, session: &mut ServerSession, story: &mut Story) -> Result<(), Refusal> {
        let unknown =
            runtime.tls_of(&self.connection.listener).and_then(|(_, settings)| settings.trust.unknown.as_ref());
        match unknown.filter(|_| self.connection.revocation_is_unknown()) {
            // Its trust is judged next, and by the lists alone.
            Some(waived) if waived.has_ended(story.context.now_ms()) => self.connection.forget_trust(),
            Some(waived) => story.context.note_exception(waived),
            None => {}
        }
        let Some(waived) = runtime.plaintext(&self.connection.listener) else { return Ok(()) };
        if waived.has_ended(story.context.now_ms()) {
            session.set_keepalive(None);
            return Err(Refusal::new(Reason::ExceptionEnded, waived.ended()).by(&*waived.exception));
        }
        story.context.note_exception(waived);
        Ok(())
    }

    /// Tells an HTTP/1.1 client with the answer that this connection takes no further request.
    pub(crate) fn announce_drain(self, session: &mut ServerSession) {
        if self.shared.draining.load(Ordering::Relaxed) || *self.notice.drain.borrow() {
            session.set_keepalive(None);
        }
    }

    pub(crate) fn view<'v>(self, head: &'v Head, session: &'v ServerSession) -> RequestView<'v>
    where
        'a: 'v,
    {
        view(self.connection, head, &session.req_header().headers)
    }

    /// What holds for requests of the route: how often, how large, under which load, and from here on how long.
    pub(crate) fn within_limits(
        self,
        matched: Matched<'_>,
        head: &Head,
        session: &ServerSession,
        story: &mut Story,
    ) -> Result<(), Refusal> {
        let (guard, settings) = (matched.guard, &matched.guard.settings);
        story.patience = Patience::of(settings);
        story.pace = Pace::new(settings.stream_idle);
        story.context.set_message_limits(matched.message_limits());
        guard::judge_rate(self.shared, self.connection, head.client, &guard.requests)?;
        head::check_sizes(&session.req_header().headers, settings.max_headers, settings.max_header_size)?;
        guard::judge_load(self.shared, self.connection, settings.shed)
    }

    /// Answers with the story's refusal, unless an answer has begun.
    pub(crate) async fn answer_refusal(self, session: &mut ServerSession, story: &mut Story) {
        self.announce_drain(session);
        answer::refuse(session, story, self.hsts()).await;
    }

    pub(crate) fn hsts(self) -> Option<&'a postern_config::Hsts> {
        self.connection.tls.as_ref()?.hsts.as_ref()
    }
}

/// The route for a request at `now` (Unix seconds), with all that was compiled for it.
///
/// # Errors
/// A refusal where none matches.
pub(crate) fn matched<'r>(
    runtime: &'r Runtime,
    connection: &Connection,
    head: &Head,
    headers: &HeaderMap,
    now: i64,
) -> Result<Matched<'r>, Refusal> {
    let sole = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let first = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(first)
    };
    let found = runtime.snapshot.route(&connection.listener, &head.host, &head.method, &head.path, sole);
    let route = found.ok_or_else(|| Refusal::new(Reason::NotPermitted, "no route matches"))?;
    compiled(runtime, connection, route, now)
}

/// A route as it is at `now` (Unix seconds), with all that was compiled for it.
fn compiled<'r>(
    runtime: &'r Runtime,
    connection: &Connection,
    route: &'r Route,
    now: i64,
) -> Result<Matched<'r>, Refusal> {
    let chain = runtime
        .chains
        .at(route, now)
        .ok_or_else(|| Refusal::new(Reason::Undecided, format!("route `{}` has no chain", route.name)))?;
    let network = runtime
        .network(&route.name)
        .ok_or_else(|| Refusal::new(Reason::Undecided, format!("route `{}` has no network policy", route.name)))?;
    let guard = runtime
        .route_guard(&route.name, &connection.listener)
        .ok_or_else(|| Refusal::new(Reason::Undecided, "the listener is not in the set any more"))?;
    Ok(Matched { runtime, route: route.at(now), chain, network, guard })
}

/// A request as filters see it.
pub(crate) fn view<'v>(connection: &'v Connection, head: &'v Head, headers: &'v HeaderMap) -> RequestView<'v> {
    RequestView {
        method: &head.method,
        host: &head.host,
        port: head.port,
        path: &head.path,
        query: head.query.as_deref(),
        headers,
        source: head.client.map_or(connection.source.source(), Source::Ip),
        tls: connection.tls.is_some(),
        peer: connection.peer_facts(),
        listener: &connection.listener,
    }
}

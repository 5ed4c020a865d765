//! Protected resource metadata: the one thing that is told to who has no credential yet (RFC 9728).
//!
//! A request for it is counted, limited and recorded like any other of its route; nobody is asked who they are.

use pingora_core::protocols::http::ServerSession;
use postern_filters::challenge::MetadataDocument;
use postern_filters::{Reason, Refusal};

use super::{Exchange, Reusable, compiled};
use crate::head::Head;
use crate::runtime::Runtime;
use crate::story::Story;
use crate::{answer, guard};

pub(super) async fn answer(
    exchange: Exchange<'_>,
    runtime: &Runtime,
    document: &MetadataDocument,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<Reusable, Refusal> {
    let route = runtime.snapshot.routes.iter().find(|route| route.name == document.route);
    let route = route.ok_or_else(|| Refusal::new(Reason::Undecided, "the route of the metadata is gone"))?;
    let matched = compiled(runtime, exchange.connection, route, story.context.now())?;
    story.route = Some(route.name.clone());
    story.dialect = route.dialect;
    guard::judge_route(&matched.network.gate, exchange.connection, head.client)?;
    exchange.within_limits(matched, head, session, story)?;
    if !exchange.count(matched, head, session, story).await? {
        return Ok(false);
    }
    story.context.set_built_in("protected-resource");
    exchange.keep_place(story)?;
    exchange.announce_drain(session);
    // A body that nobody reads must not be taken for the next request (attack 1).
    let reusable = session.is_body_done() && head.connect.is_none();
    if !reusable {
        session.set_keepalive(None);
    }
    answer::document(session, story, exchange.hsts(), document.body.clone()).await;
    Ok(reusable && story.trouble.is_none())
}

//! What a request waits for at its limits, with its body read or not, and what its bytes are charged to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use postern_filters::encoding::{Coding, Decoder};
use postern_filters::limit::Meter;
use postern_filters::{Checked, Given, Need, Permit, Reason, Refusal};
use tokio::time::Instant;

use super::{Exchange, Matched, apart, forward};
use crate::head::Head;
use crate::outside::limits::LimitLinks;
use crate::standing::Standing;
use crate::story::Story;

impl Exchange<'_> {
    /// Has the chain judge the whole body. Nothing where the client left while it waited.
    pub(crate) async fn check_message(
        self,
        matched: Matched<'_>,
        head: &Head,
        body: Bytes,
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<Option<(Permit, Bytes)>, Refusal> {
        let reserved = reserve(matched, session, &body, story)?;
        let mut checked = {
            let view = self.view(head, session);
            apart::inspect(body.len().max(reserved), || matched.chain.check_message(&view, body, &mut story.context))?
        };
        story.share.give(reserved.saturating_sub(story.context.body().len()));
        loop {
            let need = match checked {
                Checked::Passed(permit, body) => return Ok(Some((permit, body))),
                Checked::Waits(need) => need,
            };
            let supplied = match need {
                Need::Limits => self.supply_limits(session, story).await?,
                Need::External(questions) => self.supply_external(&questions, session, story).await?,
                Need::Keys(_) | Need::Introspection(_) => {
                    return Err(Refusal::new(Reason::Undecided, "a body waits for what decides about its head"));
                }
            };
            if !supplied {
                return Ok(None);
            }
            checked = {
                let view = self.view(head, session);
                matched.chain.resume_message(&view, &mut story.context)?
            };
        }
    }

    /// Waits for a seat, a moment or the store of all replicas. False where the client left meanwhile, which leaves the line
    /// as well.
    pub(super) async fn supply_limits(self, session: &mut ServerSession, story: &mut Story) -> Result<bool, Refusal> {
        let Some(wait) = story.context.take_limits_wait() else {
            return Err(Refusal::new(Reason::Undecided, "the limits wait for nothing"));
        };
        // An HTTP/1.1 client that sends a body is not looked at before somebody reads it.
        let watched = session.is_body_empty() || session.is_body_done() || session.is_http2();
        let (links, standing, began) = (&self.shared.limit_links, self.standing, Instant::now());
        let over = wait.over(tokio::time::sleep, async |ask| links.decide(ask, standing).await);
        let waited = tokio::select! {
            waited = over => waited,
            () = forward::client_left(session), if watched => {
                story.note_trouble("the client left while it waited for a limit");
                return Ok(false);
            }
        };
        story.context.supply(Given::Limits(waited.after(began.elapsed())));
        Ok(true)
    }

    /// Charges bytes of a body that are about to go on to the limits of the request.
    ///
    /// # Errors
    /// A refusal where they have to stay.
    pub(crate) async fn charge(self, bytes: usize, story: &Story) -> Result<(), Refusal> {
        let meter = story.context.meter();
        if meter.is_empty() {
            return Ok(());
        }
        let now = story.context.uptime() + story.began.elapsed();
        charge(meter, bytes, now, &self.shared.limit_links, self.standing).await
    }
}

/// Takes the memory that a body may need once it is decoded: until then, nobody knows how much that is. Returns how much.
fn reserve(matched: Matched<'_>, session: &ServerSession, body: &Bytes, story: &mut Story) -> Result<usize, Refusal> {
    let encoded = matches!(Coding::of(&session.req_header().headers), Ok(Some(_)));
    if !encoded || body.is_empty() || !matched.chain.decodes() {
        return Ok(0);
    }
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let most = matched.message_limits().decoded.most(length);
    let most = usize::try_from(most).unwrap_or(usize::MAX).saturating_add(Decoder::MOST_MEMORY);
    story.share.take(most).map_err(|error| Refusal::new(Reason::Undecided, error.to_string()))?;
    Ok(most)
}

/// Charges bytes, and asks the store of all replicas where that has to.
///
/// # Errors
/// A refusal where they have to stay.
pub(crate) async fn charge(
    meter: &Meter,
    bytes: usize,
    now: Duration,
    links: &LimitLinks,
    standing: &Arc<Standing>,
) -> Result<(), Refusal> {
    let Some(charge) = meter.charge(bytes, now)? else { return Ok(()) };
    let said = links.decide(charge.ask(), standing).await;
    charge.settle(said, now)
}

//! An upstream that does not know a new secret yet: for a while after a replacement it is asked once more, with the one of before.
//!
//! A 401 says that the request was not applied (RFC 9110 §15.5.2). That is taken at its word for methods that may be repeated anyway, and
//! for questions to models; who creates an order is not asked to trust that its service never answers 401 half way.

use std::sync::Arc;

use http::{Method, StatusCode};
use postern_config::Action;
use postern_filters::audit::SecretWord;

use super::{Exchange, Matched};
use crate::story::Story;
use crate::upstream::{Answering, Ask, Failure, Told, Upstream, is_idempotent};

/// Whether the same request may be sent after an answer that refused it.
pub(super) fn may_be_repeated(method: &Method, story: &Story) -> bool {
    is_idempotent(method) || matches!(story.context.action(), Some(Action::Chat | Action::Embed))
}

/// Calls the upstream, and calls it again with what shows the secret of before where it refuses the new one.
pub(super) async fn call(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    upstream: &Arc<Upstream>,
    ask: Ask,
    again: Option<Ask>,
    told: &mut Told,
    secrets: &mut Vec<SecretWord>,
) -> Result<Answering, Failure> {
    let (egress, metrics) = (&matched.network.egress, &exchange.shared.metrics);
    let answering = upstream.call(ask, egress, metrics, told).await?;
    let Some(again) = again.filter(|_| is_refused(&answering)) else { return Ok(answering) };
    // The callers of an upstream that answers everybody 401 do not double what it has to do.
    if !upstream.take_retry() {
        return Ok(answering);
    }
    drop(answering);
    secrets.push(SecretWord::PreviousUsed);
    let mut second = Told::default();
    let answered = upstream.call(again, egress, metrics, &mut second).await;
    let retries = told.retries.saturating_add(second.retries).saturating_add(1);
    *told = Told { address: second.address.or(told.address), retries };
    metrics.upstream_retried(&upstream.settings.name);
    let answering = answered?;
    metrics.secret_retried(&upstream.settings.name, !is_refused(&answering));
    Ok(answering)
}

fn is_refused(answering: &Answering) -> bool {
    answering.conversation.head().is_some_and(|head| head.status == StatusCode::UNAUTHORIZED)
}

//! The one way to the head of an upstream request: what the client sent, cleaned, then the proxy's own credentials.

use std::net::IpAddr;
use std::sync::Arc;

use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;
use postern_config::TokenForwarding;
use postern_filters::audit::SecretWord;
use postern_filters::token::Transaction;
use postern_filters::{Permit, Refusal};

use super::forward::unmade;
use super::{Exchange, Matched};
use crate::credentials::{self, Caller};
use crate::head::Head;
use crate::story::Story;
use crate::upstream_head::{self, BodyLength};

impl Exchange<'_> {
    /// The head of the one request that `permit` allows, complete but for its `Host`. The story learns which upstream it is
    /// for, and which credentials go with it.
    ///
    /// # Errors
    /// Where it cannot be made; nothing is sent then.
    pub(crate) async fn outgoing(
        self,
        matched: Matched<'_>,
        permit: Permit,
        head: &Head,
        session: &ServerSession,
        story: &mut Story,
        length: BodyLength,
    ) -> Result<Box<RequestHeader>, Refusal> {
        self.outgoing_twice(matched, permit, head, session, story, length).await.map(|(request, _)| request)
    }

    /// As [`Self::outgoing`]; the second is what may be sent to an upstream that does not know a new secret yet.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn outgoing_twice(
        self,
        matched: Matched<'_>,
        permit: Permit,
        head: &Head,
        session: &ServerSession,
        story: &mut Story,
        length: BodyLength,
    ) -> Result<(Box<RequestHeader>, Option<Box<RequestHeader>>), Refusal> {
        let upstream = matched.runtime.upstream(matched.route)?;
        story.upstream = Some(upstream.settings.name.clone());
        let request =
            upstream_head::build(permit, session.req_header(), head, matched.route, &upstream.settings, length);
        let mut request = request.map_err(|error| unmade(&error))?;
        if matched.chain.decodes() {
            // Not even that there is none.
            request.remove_header(&http::header::CONTENT_ENCODING);
        }
        if story.context.decoded().is_some() || story.context.is_rewritten() {
            upstream_head::remove_digests(&mut request);
        }
        let principal = story.context.known_principal().cloned();
        let (headers, now_ms) = (&session.req_header().headers, story.context.now_ms());
        let metrics = &self.shared.metrics;
        let caller = Caller { headers, principal: principal.as_deref(), now_ms, metrics };
        if matched.route.policy.token_forwarding == TokenForwarding::TxnToken {
            let id = story.id.to_string();
            let address = head.client.or_else(|| self.connection.source.source().ip());
            let transaction = transaction(&id, matched, head, story, address);
            if matched.runtime.txn.show(&mut request, caller, transaction)? {
                story.credentials.push(Arc::from("txn-token"));
            }
        }
        let overlaps = upstream.credentials.iter().any(|held| held.has_previous(now_ms));
        let mut again = overlaps.then(|| request.clone());
        // Last, so that nothing a client nominates in `Connection` can remove it (attack 7).
        for held in upstream.credentials.iter() {
            held.refuse_expired(now_ms.div_euclid(1000)).inspect_err(|_| {
                story.secrets.push(SecretWord::Refused);
                credentials::tell_ages(self.shared);
            })?;
            // A token service sees the secret even where nothing comes of it.
            story.credentials.push(held.name.clone());
            held.show(&mut request, caller).await?;
        }
        if let Some(again) = &mut again {
            for held in upstream.credentials.iter() {
                held.show_previous(again, caller).await?;
            }
            self.tell_certificate(matched.runtime, again)?;
        }
        self.tell_certificate(matched.runtime, &mut request)?;
        Ok((request, again))
    }
}

/// What a transaction token of the request says; `None` where nobody decided on it.
fn transaction<'a>(
    id: &'a str,
    matched: Matched<'a>,
    head: &'a Head,
    story: &'a Story,
    address: Option<IpAddr>,
) -> Option<Transaction<'a>> {
    let cx = &story.context;
    let principal = cx.known_principal()?;
    Some(Transaction {
        id,
        principal,
        action: cx.action()?.as_str(),
        route: &matched.route.name,
        method: &head.method,
        address,
        now: cx.now(),
    })
}

//! The one way to the head of an upstream request: what the client sent, cleaned, then the proxy's own credentials.

use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;
use postern_filters::{Permit, Refusal};

use super::forward::unmade;
use super::{Exchange, Matched};
use crate::credentials::Caller;
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
        let upstream = matched.runtime.upstream(matched.route)?;
        story.upstream = Some(upstream.settings.name.clone());
        let request =
            upstream_head::build(permit, session.req_header(), head, matched.route, &upstream.settings, length);
        let mut request = request.map_err(|error| unmade(&error))?;
        if story.context.is_rewritten() {
            upstream_head::remove_digests(&mut request);
        }
        let principal = story.context.known_principal().cloned();
        let (headers, now_ms) = (&session.req_header().headers, story.context.now_ms());
        let caller = Caller { headers, principal: principal.as_deref(), now_ms };
        // Last, so that nothing a client nominates in `Connection` can remove it (attack 7).
        for held in upstream.credentials.iter() {
            held.show(&mut request, caller).await?;
            story.credentials.push(held.name.clone());
        }
        self.tell_certificate(matched.runtime, &mut request)?;
        Ok(request)
    }
}

//! Settles who asks, from the bearer token and the peer's certificate.
//!
//! A credential that is presented and does not verify refuses, even if another does.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use postern_config::Identity;

use crate::authz::{Authorizer, PreparedPrincipal};
use crate::token::{self, TokenError, TokenSet, VerifiedToken};
use crate::{Context, Flow, Principal, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct Identify {
    identity: Identity,
    tokens: TokenSet,
    authorizer: Arc<Authorizer>,
}

impl Identify {
    pub(crate) const GUARD: &str = "identify";

    pub(crate) fn new(identity: Identity, tokens: TokenSet, authorizer: Arc<Authorizer>) -> Self {
        Self { identity, tokens, authorizer }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        match self.identify(req, cx) {
            Ok((principal, prepared)) => {
                cx.set_principal(principal, Some(prepared));
                Ok(Flow::Continue)
            }
            Err(error) => Ok(Flow::refuse(error.reason(), error.to_string())),
        }
    }

    fn identify(
        &self,
        req: &RequestView<'_>,
        cx: &Context,
    ) -> Result<(Arc<Principal>, Arc<PreparedPrincipal>), TokenError> {
        let values: Vec<&[u8]> = req.headers.get_all(AUTHORIZATION).iter().map(http::HeaderValue::as_bytes).collect();
        let leaf = req.peer.map(|peer| &peer.leaf_sha256);
        let verified = match token::bearer(&values)? {
            Some(text) => Some(self.tokens.authenticate(text, leaf, cx.now())?),
            None => None,
        };
        let principal = token::identify(&self.identity, verified.as_deref(), req.peer)?;
        let prepared = self.prepared(verified.as_deref(), &principal, cx.now_ms());
        Ok((principal, prepared))
    }

    /// The principal's entities for decisions. Kept with a cached token, as making them costs more than using them; the
    /// slot holds whoever came first, so it serves only that principal.
    fn prepared(&self, token: Option<&VerifiedToken>, who: &Arc<Principal>, now_ms: i64) -> Arc<PreparedPrincipal> {
        let fresh = || Arc::new(self.authorizer.prepare(who, now_ms));
        let Some(token) = token else { return fresh() };
        let kept = token.prepared.get_or_init(|| fresh()).clone();
        match kept.downcast::<PreparedPrincipal>() {
            Ok(kept) if **kept.principal() == **who => kept,
            _ => fresh(),
        }
    }
}

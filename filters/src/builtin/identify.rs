//! Settles who asks, from the bearer token and the peer's certificate.
//!
//! A credential that is presented and does not verify refuses, even if another does.
//!
//! What decisions need of a principal is made once: it is kept with a cached token, or for callers without one by their
//! certificate, and serves only a principal that is equal in all it says.

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use postern_config::Identity;
use quick_cache::sync::Cache;

use crate::authz::{Authorizer, PreparedPrincipal};
use crate::token::{self, TokenError, TokenSet, VerifiedToken};
use crate::{Context, Flow, Principal, RequestView, Verdict};

pub(crate) struct Identify {
    identity: Identity,
    tokens: TokenSet,
    authorizer: Arc<Authorizer>,
    /// Workloads that came without a token, by the SHA-256 of their certificate.
    workloads: Cache<[u8; 32], Arc<PreparedPrincipal>>,
}

/// Workloads remembered per route.
const WORKLOADS: usize = 1024;

impl Identify {
    pub(crate) const GUARD: &str = "identify";

    pub(crate) fn new(identity: Identity, tokens: TokenSet, authorizer: Arc<Authorizer>) -> Self {
        Self { identity, tokens, authorizer, workloads: Cache::new(WORKLOADS) }
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
        let prepared = self.prepared(verified.as_deref(), leaf, &principal, cx.now_ms());
        Ok((principal, prepared))
    }

    fn prepared(
        &self,
        token: Option<&VerifiedToken>,
        leaf: Option<&[u8; 32]>,
        who: &Arc<Principal>,
        now_ms: i64,
    ) -> Arc<PreparedPrincipal> {
        match (token, leaf) {
            (Some(token), _) => self.of_token(token, who, now_ms),
            (None, Some(leaf)) => self.of_workload(leaf, who, now_ms),
            (None, None) => Arc::new(self.authorizer.prepare(who, now_ms)),
        }
    }

    /// The slot holds whoever came first with the token, so it serves only that principal.
    fn of_token(&self, token: &VerifiedToken, who: &Arc<Principal>, now_ms: i64) -> Arc<PreparedPrincipal> {
        let fresh = || Arc::new(self.authorizer.prepare(who, now_ms));
        let kept = token.prepared.get_or_init(|| fresh()).clone();
        match kept.downcast::<PreparedPrincipal>() {
            Ok(kept) if serves(&kept, who, now_ms) => kept,
            _ => fresh(),
        }
    }

    fn of_workload(&self, leaf: &[u8; 32], who: &Arc<Principal>, now_ms: i64) -> Arc<PreparedPrincipal> {
        if let Some(kept) = self.workloads.get(leaf).filter(|kept| serves(kept, who, now_ms)) {
            return kept;
        }
        let fresh = Arc::new(self.authorizer.prepare(who, now_ms));
        self.workloads.insert(*leaf, Arc::clone(&fresh));
        fresh
    }
}

/// Whether `kept` was made of all that `who` says, and its roles are still those of `now_ms`.
fn serves(kept: &PreparedPrincipal, who: &Arc<Principal>, now_ms: i64) -> bool {
    **kept.principal() == **who && kept.is_valid(now_ms)
}

impl fmt::Debug for Identify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identify").field("identity", &self.identity).field("workloads", &self.workloads.len()).finish()
    }
}

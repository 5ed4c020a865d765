//! Everything a route can recognise a caller by, certificates aside.

use std::sync::Arc;

use super::binding::Sender;
use super::presented::{Presented, Wanted, presented};
use super::replay::{Replay, Spent};
use super::{
    ApiKeys, ProofProblem, SignatureKeys, TokenError, TokenSet, VerifiedToken, dpop, proof_nonce, sha256, signature,
};
use crate::{Given, RequestView};

/// The verifiers of one route.
#[derive(Debug)]
pub struct Recognised {
    tokens: TokenSet,
    keys: Vec<ApiKeys>,
    /// Verifies transaction tokens, where the route recognises any.
    txn: Option<TokenSet>,
    signatures: Vec<SignatureKeys>,
}

impl Recognised {
    #[must_use]
    pub fn new(tokens: TokenSet, keys: Vec<ApiKeys>) -> Self {
        Self { tokens, keys, txn: None, signatures: Vec::new() }
    }

    /// Recognises transaction tokens besides.
    #[must_use]
    pub fn with_txn(mut self, txn: Option<TokenSet>) -> Self {
        self.txn = txn;
        self
    }

    /// Has signed requests recognised as well.
    #[must_use]
    pub fn signed(mut self, signatures: Vec<SignatureKeys>) -> Self {
        self.signatures = signatures;
        self
    }

    /// What the request presents, verified and its sender checked; `None` where it presents nothing. `now` in Unix seconds.
    /// `again`: the request was let in before, so that what proved it was fresh and is spent. `given` as for
    /// [`TokenSet::authenticate`].
    ///
    /// # Errors
    /// [`TokenError`] for anything that is presented and does not verify.
    pub fn authenticate(
        &self,
        req: &RequestView<'_>,
        now: i64,
        again: bool,
        given: Option<&Given>,
    ) -> Result<Option<Arc<VerifiedToken>>, TokenError> {
        let wanted =
            Wanted { api_key: !self.keys.is_empty(), txn: self.txn.is_some(), signature: !self.signatures.is_empty() };
        let leaf_sha256 = req.peer.and_then(|peer| peer.leaf_sha256.as_ref());
        let bearer = Sender { leaf_sha256, jkt: None };
        match presented(req.headers, wanted)? {
            None => Ok(None),
            Some(Presented::Signature) => signature::authenticate(&self.signatures, req, now, again).map(Some),
            Some(Presented::Bearer(text)) => match self.keys_meant_by(text) {
                Some(keys) => keys.authenticate(text, now),
                None => self.tokens.authenticate(text, bearer, now, given),
            }
            .map(Some),
            Some(Presented::Dpop { token, proof }) => {
                let proof = dpop::open(proof, req, &sha256(token.as_bytes()), (!again).then_some(now))?;
                let verified =
                    self.tokens.authenticate(token, Sender { jkt: Some(&proof.jkt), ..bearer }, now, given)?;
                let nonced = || proof.nonce.as_deref().is_some_and(|nonce| proof_nonce::is_good(nonce, now));
                if verified.wants_nonce() && !again && !nonced() {
                    return Err(ProofProblem::Nonce.into());
                }
                if !again {
                    // Last: who has no token of the key cannot fill the memory.
                    Replay::of_process().spend(&proof.jkt, proof.jti.as_bytes(), now).map_err(|spent| match spent {
                        Spent::Before => ProofProblem::Replayed,
                        Spent::Full => ProofProblem::Undecided,
                    })?;
                }
                Ok(Some(verified))
            }
            Some(Presented::Txn(text)) => {
                let txn = self.txn.as_ref().ok_or(TokenError::Missing)?;
                txn.authenticate(text, bearer, now, given).map(Some)
            }
            Some(Presented::Key(text)) => {
                self.keys_meant_by(text).ok_or(TokenError::KeyShape)?.authenticate(text, now).map(Some)
            }
        }
    }

    /// The provider whose keys begin as `text` does; two such providers do not load.
    fn keys_meant_by(&self, text: &str) -> Option<&ApiKeys> {
        self.keys.iter().find(|keys| keys.are_meant_by(text))
    }
}

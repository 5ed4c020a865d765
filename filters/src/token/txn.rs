//! Transaction tokens for upstreams (draft-ietf-oauth-transaction-tokens): for whom a request is, what it may do, and under which
//! decision, in a form that workloads behind us can check without asking anybody.

use std::net::IpAddr;
use std::sync::Arc;

use postern_config::{Redacted, TxnTokens};
use serde_json::{Map, Value, json};

use super::mint::{MintError, SigningKey};
use crate::Principal;

/// Seconds that a token is good for at least: what was let in within the clock skew must be able to arrive.
const SHORTEST: i64 = 5;

/// Makes the tokens of one route.
#[derive(Debug)]
pub struct TxnMinter {
    settings: TxnTokens,
    header: Value,
    key: Arc<SigningKey>,
}

/// A request that was let in.
#[derive(Debug, Clone, Copy)]
pub struct Transaction<'a> {
    /// Of the decision, as its record has it.
    pub id: &'a str,
    pub principal: &'a Principal,
    /// What was permitted.
    pub action: &'a str,
    pub route: &'a str,
    pub method: &'a str,
    pub address: Option<IpAddr>,
    /// Unix seconds.
    pub now: i64,
}

impl TxnMinter {
    #[must_use]
    pub fn new(settings: TxnTokens, key: Arc<SigningKey>) -> Self {
        let mut header = key.header();
        if let Some(members) = header.as_object_mut() {
            members.insert("typ".to_owned(), "txntoken+jwt".into());
        }
        Self { settings, header, key }
    }

    /// The token for one request.
    ///
    /// # Errors
    /// [`MintError`] where the key could not sign.
    pub fn mint(&self, transaction: &Transaction<'_>) -> Result<Redacted<String>, MintError> {
        self.key.sign(&self.header, &self.claims(transaction)).map(Redacted::new)
    }

    pub(super) fn claims(&self, transaction: &Transaction<'_>) -> Value {
        let Transaction { principal, now, .. } = *transaction;
        // An Agent acts for its User: RFC 8693 §4.1.
        let (subject, actor) = match &principal.on_behalf_of {
            Some(user) => (&**user, Some(principal)),
            None => (principal, None),
        };
        let lifetime = i64::try_from(self.settings.lifetime.as_secs()).unwrap_or(i64::MAX);
        let ends = subject.authn.expires_at.min(principal.authn.expires_at).max(now.saturating_add(SHORTEST));
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
        put("iss", self.settings.issuer.as_str().into());
        put("aud", self.settings.audience.as_str().into());
        put("iat", now.into());
        put("exp", now.saturating_add(lifetime).min(ends).into());
        put("txn", transaction.id.into());
        put("sub", subject.id().into());
        if let Some(actor) = actor {
            put("act", json!({"sub": actor.id()}));
        }
        // What was decided, and no more: the caller's own scopes are for us.
        put("scope", transaction.action.into());
        put("req_wl", self.settings.issuer.as_str().into());
        put(
            "tctx",
            details([
                ("tenant", Some(principal.tenant.as_str().into())),
                ("route", Some(transaction.route.into())),
                ("method", Some(transaction.method.into())),
            ]),
        );
        let authn = &subject.authn;
        put(
            "rctx",
            details([
                ("req_ip", transaction.address.map(|address| address.to_string().into())),
                ("type", Some(subject.kind.as_str().into())),
                ("authn", Some(authn.method.as_str().into())),
                ("acr", Some(authn.acr.as_str()).filter(|acr| !acr.is_empty()).map(Value::from)),
                ("amr", Some(&authn.amr).filter(|amr| !amr.is_empty()).map(|amr| json!(amr))),
                ("auth_time", authn.auth_time.map(Value::from)),
            ]),
        );
        Value::Object(claims)
    }
}

fn details<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let known = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(known.collect())
}

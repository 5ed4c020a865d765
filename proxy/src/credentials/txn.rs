//! Transaction tokens towards upstreams: who makes them, and the public halves that those behind us check them by.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use pingora_http::RequestHeader;
use postern_config::{OwnKey, Snapshot, TokenKey};
use postern_filters::token::mint::SigningKey;
use postern_filters::token::{Transaction, TxnMinter};
use postern_filters::{Reason, Refusal};
use serde_json::json;

use super::Caller;
use crate::{own_key, private};

const TXN_TOKEN: HeaderName = HeaderName::from_static("txn-token");

/// Who makes the tokens of each route, and the JWK set that is published.
#[derive(Debug, Default)]
pub(crate) struct TxnKeys {
    minters: HashMap<String, TxnMinter>,
    jwks: Option<String>,
}

impl TxnKeys {
    /// Reads every key that the set signs tokens with or publishes. What cannot be had is added to `problems`.
    pub(crate) fn load(snapshot: &Snapshot, problems: &mut Vec<String>) -> Self {
        let mut keys: HashMap<TokenKey, Option<Arc<SigningKey>>> = HashMap::new();
        let mut key = |wanted: &TokenKey, problems: &mut Vec<String>| {
            let read = || {
                read(wanted, &snapshot.state_dir)
                    .map_err(|why| problems.push(format!("error: key `{}`: {why}", wanted.key.name())))
                    .ok()
                    .map(Arc::new)
            };
            keys.entry(wanted.clone()).or_insert_with(read).clone()
        };
        let mut made = Self::default();
        for route in &snapshot.routes {
            let Some(settings) = &route.policy.txn_tokens else { continue };
            if let Some(key) = key(&settings.key, problems) {
                made.minters.insert(route.name.clone(), TxnMinter::new(settings.clone(), key));
            }
        }
        let published: Vec<_> = snapshot.published_keys.iter().filter_map(|wanted| key(wanted, problems)).collect();
        made.jwks = (!published.is_empty())
            .then(|| json!({"keys": published.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string());
        made
    }

    /// The JWK set of `/jwks.json`; `None` where nothing is published.
    pub(crate) fn jwks(&self) -> Option<&str> {
        self.jwks.as_deref()
    }

    /// Puts the token for one request into it. One that the caller brought, and that was recognised, goes on as it is. Who is
    /// nobody in particular gets none.
    ///
    /// # Errors
    /// Where none can be made; nothing is sent then.
    pub(crate) fn show(
        &self,
        request: &mut RequestHeader,
        caller: Caller<'_>,
        transaction: Option<Transaction<'_>>,
    ) -> Result<bool, Refusal> {
        let refuse = |why: String| Refusal::new(Reason::Undecided, why);
        let transaction =
            transaction.ok_or_else(|| refuse("a transaction token is to be made before a decision".to_owned()))?;
        let principal = transaction.principal;
        if principal.is_anonymous() {
            return Ok(false);
        }
        let brought = principal.is_by_txn() || principal.on_behalf_of.as_ref().is_some_and(|user| user.is_by_txn());
        let value = if brought {
            caller.headers.get(TXN_TOKEN).cloned().ok_or_else(|| refuse("the transaction token is gone".to_owned()))?
        } else {
            let minter = self.minters.get(transaction.route);
            let minter = minter.ok_or_else(|| refuse("nobody makes transaction tokens of this route".to_owned()))?;
            let token = minter.mint(&transaction).map_err(|error| refuse(error.to_string()))?;
            HeaderValue::from_str(token.expose())
                .map_err(|_| refuse("the transaction token is no header".to_owned()))?
        };
        let mut value = value;
        value.set_sensitive(true);
        request.insert_header(TXN_TOKEN, value).map_err(|error| refuse(error.to_string()))?;
        Ok(true)
    }
}

fn read(wanted: &TokenKey, state_dir: &Path) -> Result<SigningKey, String> {
    if matches!(wanted.key, OwnKey::Generate { .. }) {
        private::directory(state_dir).map_err(|error| format!("`{}`: {error}", state_dir.display()))?;
    }
    let seed = own_key::seed(&wanted.key, state_dir).map_err(|error| error.to_string())?;
    SigningKey::from_seed(wanted.algorithm, wanted.key.name(), seed.expose())
        .map_err(|_| "the seed is no private key of its algorithm".to_owned())
}

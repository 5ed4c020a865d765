//! Where an issuer lets browsers log in: its metadata, fetched when the first browser needs it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postern_filters::Browser;
use postern_filters::token::discovery::{self, Endpoints};
use tokio::time::Instant;
use tracing::warn;

use crate::outbound::{Request, Url};
use crate::outside::{self, Outside};

/// How long metadata is used before it is fetched again.
const FRESH: Duration = Duration::from_secs(600);
/// How long a failure is remembered: browsers do not make us ask more often.
const PAUSE: Duration = Duration::from_secs(5);
/// Longest time metadata is used of an issuer that does not answer.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Issuers remembered; a set has as many as it has providers.
const ROOM: usize = 256;

/// The metadata of issuers.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Mutex<HashMap<String, Arc<Issuer>>>);

#[derive(Debug, Default)]
struct Issuer(tokio::sync::Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    endpoints: Option<(Arc<Endpoints>, Instant)>,
    failed: Option<(String, Instant)>,
}

impl Issuers {
    /// The endpoints of `issuer`. One request fetches them, the others wait for it.
    ///
    /// # Errors
    /// Why they cannot be had, for the record.
    pub(super) async fn endpoints(&self, browser: &Browser, outside: &Outside) -> Result<Arc<Endpoints>, String> {
        let issuer = browser.issuer();
        let known = self.issuer(issuer);
        let mut known = known.0.lock().await;
        let now = Instant::now();
        if let Some((endpoints, _)) = known.endpoints.as_ref().filter(|(_, at)| now < *at + FRESH) {
            return Ok(endpoints.clone());
        }
        let old = known.endpoints.as_ref().filter(|(_, at)| now < *at + STALE).map(|(endpoints, _)| endpoints.clone());
        if let Some((why, _)) = known.failed.as_ref().filter(|(_, at)| now < *at + PAUSE) {
            return old.ok_or_else(|| why.clone());
        }
        match fetch(browser, outside).await {
            Ok(endpoints) => {
                let endpoints = Arc::new(endpoints);
                *known = Known { endpoints: Some((endpoints.clone(), Instant::now())), failed: None };
                Ok(endpoints)
            }
            Err(why) => {
                warn!("error.type" = "login", issuer, why, "the metadata of an issuer cannot be had");
                known.failed = Some((why.clone(), Instant::now()));
                old.ok_or(why)
            }
        }
    }

    fn issuer(&self, issuer: &str) -> Arc<Issuer> {
        let mut issuers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if issuers.len() >= ROOM && !issuers.contains_key(issuer) {
            issuers.clear();
        }
        issuers.entry(issuer.to_owned()).or_default().clone()
    }
}

async fn fetch(browser: &Browser, outside: &Outside) -> Result<Endpoints, String> {
    let issuer = browser.issuer();
    let [url, _] = discovery::metadata_urls(issuer);
    let parsed = Url::parse(&url).map_err(|error| format!("`{url}`: {error}"))?;
    let request = Request::get(parsed).limits(outside::call_limits(discovery::MAX_METADATA));
    let answer = outside.call(browser.settings().ca.as_ref(), request).await.map_err(|error| error.to_string())?;
    if answer.status != http::StatusCode::OK {
        return Err(format!("`{url}` answered {}", answer.status.as_u16()));
    }
    discovery::endpoints(&answer.body, issuer).map_err(|error| format!("`{url}`: {error}"))
}

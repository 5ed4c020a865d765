//! Exchanges a token for one that the upstream takes (RFC 8693). What the service gives is used again for the same caller's
//! token, until shortly before it ends or that one does; one call is made for all who wait for the same.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use postern_config::{Exchange as Settings, Redacted};
use postern_filters::{Principal, Reason, Refusal};
use quick_cache::sync::Cache;
use serde::Deserialize;

use super::escaped;
use crate::egress::Egress;
use crate::outbound::{Limits, Outbound, OutboundError, Request, Roots, TlsSetupError, Url};
use crate::telemetry::Metrics;

/// Longest time that a request waits for a token.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tokens that are kept for one upstream.
const KEPT: usize = 4096;
/// A failure is told to everybody who asks for the same within this time.
const FAILED_FOR_MS: i64 = 1000;
/// A token is used no more this long before it ends, or a tenth of its life.
const BEFORE_END_MS: i64 = 30_000;
/// Bytes of an answer, and of the token in it.
const MAX_ANSWER: usize = 64 << 10;
const MAX_TOKEN: usize = 16 << 10;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// What a service may say that it refused for (RFC 6749 §5.2, RFC 8693 §2.2.2); nothing else of its words is repeated.
const ERRORS: [&str; 7] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
];

/// Why an exchange cannot be set up. Names places, never a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("the URL of the token service: {0}")]
    Url(#[from] crate::outbound::UrlError),
    #[error("TLS towards the token service: {0}")]
    Tls(#[from] TlsSetupError),
    #[error("`clientAuthFrom` does not hold `id:secret`")]
    Client,
}

/// Who asks, as far as that matters to a token service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'c> {
    pub(crate) headers: &'c HeaderMap,
    pub(crate) principal: Option<&'c Principal>,
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
    /// Where exchanges are counted.
    pub(crate) metrics: &'c Metrics,
}

/// A token service, as one upstream needs it.
pub(crate) struct Exchanger {
    settings: Settings,
    /// For metrics.
    upstream: String,
    url: Url,
    /// `Basic …`.
    client: Redacted<Vec<u8>>,
    /// A token of our own; `None` for the caller's.
    own: Option<Redacted<Vec<u8>>>,
    outbound: Outbound,
    issued: Cache<[u8; 32], Arc<Issued>>,
}

impl fmt::Debug for Exchanger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchanger").field("settings", &self.settings).field("kept", &self.issued.len()).finish()
    }
}

/// What came of one exchange.
struct Issued {
    token: Result<Redacted<Vec<u8>>, Trouble>,
    /// Unix milliseconds until which it stands.
    until: i64,
}

/// Why there is no token. Words of ours, and codes of the standard.
#[derive(Debug, Clone, thiserror::Error)]
enum Trouble {
    #[error("the token service cannot be asked: {0}")]
    Away(String),
    #[error("the token service refused the exchange ({0})")]
    Refused(String),
    /// It did not believe the secret that it was shown.
    #[error("the token service refused the exchange ({0})")]
    Denied(String),
    #[error("the token service answered what cannot be used: {0}")]
    Unusable(&'static str),
}

impl Trouble {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Away(_) => "unavailable",
            Self::Refused(_) | Self::Denied(_) => "refused",
            Self::Unusable(_) => "unusable",
        }
    }
}

/// No token, and whether that is because of the secret that was shown for it.
pub(super) struct Unissued {
    pub(super) refusal: Refusal,
    pub(super) denied: bool,
}

impl From<Refusal> for Unissued {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, denied: false }
    }
}

impl Exchanger {
    /// `upstream` is whom the tokens are for, `egress` is what the proxy's own calls may reach; `ca` is PEM.
    ///
    /// # Errors
    /// Where the service could not be called at all.
    pub(crate) fn new(
        settings: Settings,
        upstream: &str,
        client: &Redacted<Vec<u8>>,
        own: Option<Redacted<Vec<u8>>>,
        ca: Option<Vec<u8>>,
        egress: Egress,
    ) -> Result<Self, SetupError> {
        let bytes = client.expose();
        let colon = bytes.iter().position(|byte| *byte == b':').filter(|at| *at > 0 && at + 1 < bytes.len());
        if colon.is_none() || !bytes.iter().all(|byte| (0x20..=0x7e).contains(byte)) {
            return Err(SetupError::Client);
        }
        let encoded = Redacted::new(STANDARD.encode(bytes));
        Ok(Self {
            url: Url::parse(&settings.url)?,
            settings,
            upstream: upstream.to_owned(),
            client: Redacted::new([b"Basic ".as_slice(), encoded.expose().as_bytes()].concat()),
            own,
            outbound: Outbound::new(Arc::new(egress), ca.map_or(Roots::System, Roots::Given), None)?,
            issued: Cache::new(KEPT),
        })
    }

    /// The value of `Authorization` for a request of `caller`.
    ///
    /// # Errors
    /// 401 for a caller without a token where it is the caller's that is exchanged; 502 where the service gives none, 503 where it
    /// cannot be asked.
    pub(super) async fn authorization(&self, caller: Caller<'_>) -> Result<Redacted<Vec<u8>>, Unissued> {
        let late = |_| {
            caller.metrics.token_exchanged(&self.upstream, "unavailable");
            Refusal::new(Reason::UpstreamUnavailable, "the token service took too long")
        };
        let issued = tokio::time::timeout(PATIENCE, self.current(caller)).await.map_err(late)??;
        match &issued.token {
            Ok(token) => Ok(Redacted::new([b"Bearer ".as_slice(), token.expose()].concat())),
            Err(trouble) => {
                let away = matches!(trouble, Trouble::Away(_));
                let reason = if away { Reason::UpstreamUnavailable } else { Reason::UpstreamFailed };
                let denied = matches!(trouble, Trouble::Denied(_));
                Err(Unissued { refusal: Refusal::new(reason, trouble.to_string()), denied })
            }
        }
    }

    async fn current(&self, caller: Caller<'_>) -> Result<Arc<Issued>, Refusal> {
        let subject = match &self.own {
            Some(own) => own.expose(),
            None => presented(caller.headers).ok_or_else(|| {
                Refusal::new(
                    Reason::CredentialMissing,
                    "the upstream takes a token for the caller's, and it brought none",
                )
            })?,
        };
        let key = self.key(subject, caller);
        loop {
            match self.issued.get_value_or_guard_async(&key).await {
                Ok(issued) if caller.now_ms < issued.until => {
                    let outcome = issued.token.as_ref().map_or_else(Trouble::as_str, |_| "reused");
                    caller.metrics.token_exchanged(&self.upstream, outcome);
                    return Ok(issued);
                }
                Ok(over) => drop(self.issued.remove_if(&key, |kept| Arc::ptr_eq(kept, &over))),
                Err(place) => {
                    let issued = Arc::new(self.exchange(subject, caller).await);
                    // Whoever waits gets it, also where it is good for nobody later.
                    let _ = place.insert(issued.clone());
                    return Ok(issued);
                }
            }
        }
    }

    /// Whom a token is kept for: the token that was exchanged and, where it is the caller's, whom it was accepted for.
    fn key(&self, subject: &[u8], caller: Caller<'_>) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut part = |bytes: &[u8]| {
            context.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(bytes);
        };
        part(subject);
        let mut who = caller.principal.filter(|_| self.own.is_none());
        while let Some(principal) = who {
            part(principal.issuer.as_bytes());
            part(principal.subject.as_bytes());
            part(principal.tenant.as_bytes());
            who = principal.on_behalf_of.as_deref();
        }
        let mut key = [0; 32];
        key.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        key
    }

    async fn exchange(&self, subject: &[u8], caller: Caller<'_>) -> Issued {
        let (now, began) = (caller.now_ms, Instant::now());
        let asked = self.ask(subject).await;
        let outcome = asked.as_ref().map_or_else(Trouble::as_str, |_| "issued");
        caller.metrics.token_exchanged(&self.upstream, outcome);
        caller.metrics.token_exchange_took(began.elapsed().as_secs_f64());
        match asked {
            Ok((token, life)) => {
                let life_ms = life.map_or(0, |seconds| i64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
                let own = now.saturating_add(life_ms).saturating_sub(BEFORE_END_MS.min(life_ms / 10));
                let caller = if self.own.is_some() { i64::MAX } else { end_of(caller.principal) };
                Issued { token: Ok(token), until: own.min(caller) }
            }
            Err(trouble) => Issued { token: Err(trouble), until: now.saturating_add(FAILED_FOR_MS) },
        }
    }

    async fn ask(&self, subject: &[u8]) -> Result<(Redacted<Vec<u8>>, Option<u64>), Trouble> {
        let header = |text: &str| Redacted::new(text.as_bytes().to_vec());
        let limits = Limits { whole: PATIENCE, body: MAX_ANSWER, ..Limits::default() };
        let request = Request::post(self.url.clone(), self.form(subject))
            .header(AUTHORIZATION, self.client.clone())
            .header(CONTENT_TYPE, header("application/x-www-form-urlencoded"))
            .header(ACCEPT, header("application/json"))
            .limits(limits)
            .allow_plain_loopback();
        let away = |error: OutboundError| Trouble::Away(error.to_string());
        let answer = self.outbound.send(request).await.map_err(away)?;
        let media = answer.content_type.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or_default();
        let is_json = media.trim().eq_ignore_ascii_case("application/json");
        match answer.status {
            StatusCode::OK if is_json => read(&answer.body),
            StatusCode::OK => Err(Trouble::Unusable("it is not JSON")),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Trouble::Away(format!("it answered {}", status.as_u16())))
            }
            status => {
                let code = code_of(&answer.body);
                let said = format!("{}{}", status.as_u16(), code.map(|code| format!(", {code}")).unwrap_or_default());
                let denied = status == StatusCode::UNAUTHORIZED
                    || code == Some("invalid_client")
                    || (self.own.is_some() && code == Some("invalid_grant"));
                Err(if denied { Trouble::Denied(said) } else { Trouble::Refused(said) })
            }
        }
    }

    fn form(&self, subject: &[u8]) -> Redacted<Vec<u8>> {
        // Of our own it is not known what it is; three parts are what a JWT has.
        let is_jwt = self.own.is_some() && subject.split(|byte| *byte == b'.').count() == 3;
        let subject = escaped(subject);
        let scopes = self.settings.scopes.join(" ");
        let fields: [(&str, &[u8]); 6] = [
            ("grant_type", GRANT.as_bytes()),
            ("audience", self.settings.audience.as_bytes()),
            ("requested_token_type", ACCESS_TOKEN.as_bytes()),
            ("subject_token_type", if is_jwt { JWT } else { ACCESS_TOKEN }.as_bytes()),
            ("scope", scopes.as_bytes()),
            ("subject_token", b""),
        ];
        let mut form = Vec::with_capacity(subject.expose().len().saturating_add(MAX_ANSWER));
        for (name, value) in fields.into_iter().filter(|(name, value)| !value.is_empty() || *name == "subject_token") {
            form.extend_from_slice(if form.is_empty() { b"" } else { b"&" });
            form.extend_from_slice(name.as_bytes());
            form.push(b'=');
            form.extend_from_slice(escaped(value).expose());
        }
        form.extend_from_slice(subject.expose());
        Redacted::new(form)
    }
}

/// The one token of `Authorization`, whether it is bound to its sender or not. The chain has accepted it.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.as_bytes();
    let at = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, token) = value.split_at_checked(at)?;
    let known = scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"dpop");
    let token = token.trim_ascii();
    (known && values.next().is_none() && !token.is_empty()).then_some(token)
}

/// Unix milliseconds at which the first credential of a caller ends.
fn end_of(principal: Option<&Principal>) -> i64 {
    let mut end = i64::MIN;
    let mut who = principal;
    while let Some(principal) = who {
        let own = principal.authn.expires_at.saturating_mul(1000);
        end = if end == i64::MIN { own } else { end.min(own) };
        who = principal.on_behalf_of.as_deref();
    }
    end
}

/// RFC 8693 §2.2.1. A member that stands twice makes it unusable, and so does a token that is not what was asked for.
fn read(body: &[u8]) -> Result<(Redacted<Vec<u8>>, Option<u64>), Trouble> {
    #[derive(Deserialize)]
    struct Said {
        access_token: String,
        issued_token_type: String,
        token_type: String,
        expires_in: Option<u64>,
    }
    let said =
        serde_json::from_slice::<Said>(body).map_err(|_| Trouble::Unusable("it lacks a member, or has one twice"))?;
    let token = Redacted::new(said.access_token.into_bytes());
    if ![ACCESS_TOKEN, JWT].contains(&said.issued_token_type.as_str()) {
        return Err(Trouble::Unusable("the token is of another type than was asked for"));
    }
    if !said.token_type.eq_ignore_ascii_case("bearer") {
        return Err(Trouble::Unusable("the token is not to be sent as a bearer token"));
    }
    let visible = token.expose().iter().all(u8::is_ascii_graphic);
    if !visible || token.expose().is_empty() || token.expose().len() > MAX_TOKEN {
        return Err(Trouble::Unusable("the token cannot stand in a header"));
    }
    Ok((token, said.expires_in))
}

fn code_of(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Failed {
        error: String,
    }
    let code = serde_json::from_slice::<Failed>(body).ok().map(|failed| failed.error);
    code.and_then(|code| ERRORS.into_iter().find(|known| *known == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_a_token() {
        let good =
            format!(r#"{{"access_token":"a.b.c","issued_token_type":"{JWT}","token_type":"bearer","expires_in":60}}"#);
        for (what, from, to, is_good) in [
            ("as it should be", "", "", true),
            ("any case of the type", "\"bearer\"", "\"BEARER\"", true),
            ("no life", ",\"expires_in\":60", "", true),
            ("more than was asked", "}", ",\"scope\":\"a\",\"refresh_token\":\"r\"}", true),
            ("no token", "\"access_token\":\"a.b.c\",", "", false),
            ("two tokens", "{", "{\"access_token\":\"x\",", false),
            ("an empty token", "a.b.c", "", false),
            ("two words", "a.b.c", "a b", false),
            ("a line end", "a.b.c", "a\\nb", false),
            ("another type", "token-type:jwt", "token-type:saml2", false),
            ("no type", "\"token_type\":\"bearer\",", "", false),
            ("bound to a key", "\"bearer\"", "\"DPoP\"", false),
            ("not to be sent", "\"bearer\"", "\"N_A\"", false),
            ("a life that is none", ":60", ":-1", false),
            ("a life in words", ":60", ":\"60\"", false),
            ("no object", "{", "[", false),
        ] {
            let body = if from.is_empty() { good.clone() } else { good.replacen(from, to, 1) };
            assert_eq!(read(body.as_bytes()).is_ok(), is_good, "{what}: {body}");
        }
        let long = good.replace("a.b.c", &"a".repeat(MAX_TOKEN + 1));
        assert!(read(long.as_bytes()).is_err());
    }

    #[test]
    fn only_codes_of_the_standard_are_repeated() {
        assert_eq!(code_of(br#"{"error":"invalid_grant","error_description":"secret"}"#), Some("invalid_grant"));
        for body in [r#"{"error":"secret"}"#, "secret", ""] {
            assert_eq!(code_of(body.as_bytes()), None);
        }
    }

    #[test]
    fn the_token_of_a_caller_is_the_one_that_was_accepted() {
        for (values, want) in [
            (&["Bearer a.b"][..], Some("a.b")),
            (&["DPoP a.b"], Some("a.b")),
            (&["bearer   a.b"], Some("a.b")),
            (&[], None),
            (&["Basic YTpi"], None),
            (&["Bearer"], None),
            (&["Bearer "], None),
            (&["Bearer a", "Bearer b"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(presented(&headers), want.map(str::as_bytes), "{values:?}");
        }
    }
}

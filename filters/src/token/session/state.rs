//! A session, in the cookie and out of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_config::{JwtProvider, Provider, TenantSource};
use quick_cache::sync::Cache;
use serde_json::{Map, Value, json};

use super::super::claims::Claims;
use super::super::verified::{VerifiedToken, Window};
use super::super::verifier::seconds;
use super::super::{JwtVerifier, TokenError};
use super::seal::Purpose;
use super::{EndedSessions, Login, LogoutToken, SealKey, SealProblem, id_token};
use crate::{Principal, Reason};

/// Longest value of the cookie. Browsers keep 4096 bytes, name and attributes included.
const MAX_COOKIE: usize = 3800;
/// Sessions remembered per route.
const REMEMBERED: usize = 4096;
/// Claims that every session keeps; those that the provider's mapping reads come on top.
const ALWAYS: [&str; 7] = ["sub", "acr", "amr", "auth_time", "sid", "iat", "may_act"];

/// Why there is no session, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("the session cookie is not one of ours, or of another host or key")]
    NotOurs,
    #[error("the session began {seconds} s ago, and may last {max}")]
    TooOld { seconds: i64, max: i64 },
    #[error("the session was not used for {seconds} s, and may rest for {max}")]
    Idle { seconds: i64, max: i64 },
    #[error("the session was logged out")]
    LoggedOut,
    #[error("what the session holds is refused: {0}")]
    Claims(#[from] TokenError),
    #[error("the claims that the provider's mapping reads take {bytes} bytes of cookie, and {max} are allowed")]
    TooLarge { bytes: usize, max: usize },
    #[error(transparent)]
    Seal(#[from] SealProblem),
}

impl SessionError {
    /// The public reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotOurs | Self::TooOld { .. } | Self::Idle { .. } | Self::LoggedOut => Reason::SessionEnded,
            Self::Claims(error) => error.reason(),
            Self::TooLarge { .. } => Reason::CredentialInvalid,
            Self::Seal(_) => Reason::Undecided,
        }
    }
}

/// How long sessions last.
#[derive(Debug, Clone, Copy)]
struct Lives {
    max_age: i64,
    idle: i64,
}

/// Makes and reads the sessions of one provider.
pub struct Sessions {
    key: Arc<SealKey>,
    ended: Arc<EndedSessions>,
    lives: Lives,
    opened: Cache<[u8; 32], Arc<Opened>>,
}

/// A session that was read.
#[derive(Debug)]
pub struct Session {
    /// As a token with the session's claims.
    pub token: Arc<VerifiedToken>,
    /// The cookie anew, where it is time: it says when the session was last used.
    pub renewed: Option<String>,
}

/// What the cookie says.
struct Opened {
    claims: Map<String, Value>,
    id: String,
    began: i64,
    seen: i64,
    token: Arc<VerifiedToken>,
}

impl Sessions {
    #[must_use]
    pub fn new(key: Arc<SealKey>, ended: Arc<EndedSessions>, max_age: Duration, idle: Duration) -> Self {
        let lives = Lives { max_age: seconds(max_age), idle: seconds(idle) };
        Self { key, ended, lives, opened: Cache::new(REMEMBERED) }
    }

    #[must_use]
    pub fn key(&self) -> &SealKey {
        &self.key
    }

    /// A session of whom `id_token` names: the value of its cookie for `host`, and the principal.
    ///
    /// # Errors
    /// [`SessionError`]: the token is not good, or its claims make no principal here or are too many for a cookie.
    pub fn begin(
        &self,
        verifier: &JwtVerifier,
        login: &Login,
        client: &str,
        id_token: &str,
        host: &str,
        now: i64,
    ) -> Result<(String, Arc<Principal>), SessionError> {
        let mut claims = id_token::verify(verifier, client, login.nonce(), id_token, now)?;
        let (provider, jwt) = verifier.settings();
        let kept = kept_claims(provider, jwt);
        claims.retain(|name, _| kept.contains(&name.as_str()));
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_unspecified| SealProblem::Random)?;
        let id = URL_SAFE_NO_PAD.encode(id);
        let token = self.token(verifier, &claims, now)?;
        let cookie = self.seal(verifier, host, &claims, &id, now, now)?;
        Ok((cookie, token.principal.clone()))
    }

    /// The session in `cookie`, as it was sent to `host`.
    ///
    /// # Errors
    /// [`SessionError`]
    pub fn open(&self, verifier: &JwtVerifier, cookie: &str, host: &str, now: i64) -> Result<Session, SessionError> {
        let opened = self.opened(verifier, cookie, host)?;
        let (age, rested) = (now.saturating_sub(opened.began), now.saturating_sub(opened.seen));
        // A clock set back makes no session younger.
        if age >= self.lives.max_age || age < 0 {
            return Err(SessionError::TooOld { seconds: age, max: self.lives.max_age });
        }
        if rested >= self.lives.idle {
            return Err(SessionError::Idle { seconds: rested, max: self.lives.idle });
        }
        let sid = opened.claims.get("sid").and_then(Value::as_str);
        let subject = opened.claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let names: Vec<&str> = sid.into_iter().chain([opened.id.as_str()]).collect();
        if self.ended.has_ended(verifier.issuer(), subject, &names, opened.began) {
            return Err(SessionError::LoggedOut);
        }
        let is_due = rested.saturating_mul(10) >= self.lives.idle;
        let renewed = is_due.then(|| self.seal(verifier, host, &opened.claims, &opened.id, opened.began, now));
        Ok(Session { token: opened.token.clone(), renewed: renewed.transpose()? })
    }

    /// Ends what the issuer says. `false` where it said so before.
    pub fn log_out(&self, token: &LogoutToken, now: i64) -> bool {
        self.ended.log_out(token, now, self.lives.max_age)
    }

    /// Ends the session in `cookie`, whatever else may be wrong with it. `false` where there is none.
    pub fn end(&self, verifier: &JwtVerifier, cookie: &str, host: &str, now: i64) -> bool {
        let Ok(opened) = self.opened(verifier, cookie, host) else { return false };
        self.ended.end(verifier.issuer(), &opened.id, now, self.lives.max_age);
        true
    }

    fn opened(&self, verifier: &JwtVerifier, cookie: &str, host: &str) -> Result<Arc<Opened>, SessionError> {
        let mut digest = digest::Context::new(&digest::SHA256);
        digest.update(host.as_bytes());
        digest.update(b"\n");
        digest.update(cookie.as_bytes());
        let digest: [u8; 32] = digest.finish().as_ref().try_into().map_err(|_length| SessionError::NotOurs)?;
        if let Some(opened) = self.opened.get(&digest) {
            return Ok(opened);
        }
        let context = [verifier.provider(), verifier.issuer(), host];
        let plain = self.key.open(Purpose::Session, &context, cookie).ok_or(SessionError::NotOurs)?;
        let Ok(Value::Array(parts)) = serde_json::from_slice(&plain) else { return Err(SessionError::NotOurs) };
        let Ok([Value::Object(claims), Value::String(id), began, seen]) = <[Value; 4]>::try_from(parts) else {
            return Err(SessionError::NotOurs);
        };
        let (Some(began), Some(seen)) = (began.as_i64(), seen.as_i64()) else { return Err(SessionError::NotOurs) };
        let token = self.token(verifier, &claims, began)?;
        let opened = Arc::new(Opened { claims, id, began, seen, token });
        self.opened.insert(digest, opened.clone());
        Ok(opened)
    }

    /// The claims as a token that is good for as long as the session.
    fn token(
        &self,
        verifier: &JwtVerifier,
        claims: &Map<String, Value>,
        began: i64,
    ) -> Result<Arc<VerifiedToken>, TokenError> {
        let jwt = verifier.settings().1;
        let window = Window {
            exp: began.saturating_add(self.lives.max_age),
            not_before: 0,
            issued_at: began,
            max_age: self.lives.max_age,
            skew: seconds(jwt.clock_skew),
        };
        let mut token = verifier.verified(&Claims::new(claims.clone()), jwt.audiences.clone(), window, None, 0)?;
        let by_session = |principal: &Arc<Principal>| {
            let mut principal = Principal::clone(principal);
            principal.authn.method = Principal::BY_SESSION.to_owned();
            Arc::new(principal)
        };
        token.principal = by_session(&token.principal);
        token.delegate = token.delegate.as_ref().map(|delegate| {
            let user = token.principal.clone();
            Arc::new(Principal { on_behalf_of: Some(user), ..Principal::clone(&by_session(delegate)) })
        });
        Ok(Arc::new(token))
    }

    fn seal(
        &self,
        verifier: &JwtVerifier,
        host: &str,
        claims: &Map<String, Value>,
        id: &str,
        began: i64,
        seen: i64,
    ) -> Result<String, SessionError> {
        let plain = json!([claims, id, began, seen]).to_string();
        let cookie =
            self.key.seal(Purpose::Session, &[verifier.provider(), verifier.issuer(), host], plain.as_bytes())?;
        if cookie.len() > MAX_COOKIE {
            return Err(SessionError::TooLarge { bytes: cookie.len(), max: MAX_COOKIE });
        }
        Ok(cookie)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("lives", &self.lives).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("began", &self.began).finish_non_exhaustive()
    }
}

/// Names of the claims that the mapping of `provider` reads: what else a token says stays out of the cookie.
fn kept_claims<'p>(provider: &'p Provider, jwt: &'p JwtProvider) -> Vec<&'p str> {
    let mut names: Vec<&str> = ALWAYS.to_vec();
    names.extend([jwt.id_claim.as_str(), jwt.actor_claim.as_str(), jwt.scopes_claim.as_str()]);
    names.extend(jwt.groups_claim.as_deref());
    let of_tenant = match &provider.tenant {
        TenantSource::Claim(pointer) => Some(pointer.as_str()),
        _ => None,
    };
    let pointers = of_tenant.into_iter().chain(jwt.tags.iter().map(|(_, pointer)| pointer.as_str()));
    // A pointer with an escape in its first name keeps nothing, and the mapping then says what is missing.
    names.extend(pointers.filter_map(|pointer| pointer.strip_prefix('/')?.split('/').next()));
    names
}

//! The sessions of browsers on a route: reads the cookie of a request, and knows what a login there needs.

use std::fmt;
use std::sync::Arc;

use postern_config::{BrowserLogin, Redacted};

use crate::token::session::{SESSION_COOKIE, Session, Sessions, take};
use crate::token::{JwtVerifier, TokenError, VerifiedToken};
use crate::{Context, RequestView};

/// Logins of one provider on one route.
pub struct Browser {
    settings: BrowserLogin,
    secret: Option<Redacted<String>>,
    verifier: JwtVerifier,
    sessions: Sessions,
}

impl Browser {
    pub(crate) fn new(
        settings: BrowserLogin,
        secret: Option<Redacted<String>>,
        verifier: JwtVerifier,
        sessions: Sessions,
    ) -> Self {
        Self { settings, secret, verifier, sessions }
    }

    #[must_use]
    pub fn settings(&self) -> &BrowserLogin {
        &self.settings
    }

    /// The client's secret at the issuer; none for a public client.
    #[must_use]
    pub fn secret(&self) -> Option<&Redacted<String>> {
        self.secret.as_ref()
    }

    #[must_use]
    pub fn verifier(&self) -> &JwtVerifier {
        &self.verifier
    }

    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    #[must_use]
    pub fn provider(&self) -> &str {
        self.verifier.provider()
    }

    #[must_use]
    pub fn issuer(&self) -> &str {
        self.verifier.issuer()
    }

    /// The token that stands for the session of a request; `None` where it brings no cookie of ours.
    pub(crate) fn session(
        &self,
        req: &RequestView<'_>,
        cx: &mut Context,
    ) -> Result<Option<Arc<VerifiedToken>>, TokenError> {
        let Some(cookie) = take(req.headers, SESSION_COOKIE).map_err(TokenError::Cookie)? else { return Ok(None) };
        if !req.tls {
            return Err(TokenError::PlainSession);
        }
        let Session { token, renewed } = self.sessions.open(&self.verifier, cookie, req.host, cx.now())?;
        if let Some(renewed) = renewed {
            let age = self.settings.session_age.as_secs();
            let cookie = format!("{SESSION_COOKIE}={renewed}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Lax");
            cx.add_header("set-cookie", cookie);
            // Nobody between us and the browser may keep the answer with the cookie in it.
            cx.add_header("cache-control", "private, no-store".to_owned());
        }
        Ok(Some(token))
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").field("settings", &self.settings).finish_non_exhaustive()
    }
}

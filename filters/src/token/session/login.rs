//! A login under way: what is asked of the issuer, and what has to come back (RFC 6749 §4.1, RFC 7636, RFC 9207).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_config::percent;
use serde_json::{Value, json};

use super::seal::Purpose;
use super::{LOGIN_COOKIE, SealKey, SealProblem};

/// Seconds in which a login has to be done.
pub(super) const MAX_AGE: i64 = 600;
/// Longest address to which a browser returns; of a longer one it returns to `/`.
const MAX_RETURN: usize = 1024;

/// A login that has begun. Its secrets are in a sealed cookie of the browser and nowhere else.
#[derive(Debug)]
pub struct Login {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    began: i64,
}

/// What the issuer sent the browser back with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Returned {
    pub state: String,
    pub code: Option<String>,
    /// The issuer, where it says so (RFC 9207).
    pub issuer: Option<String>,
    pub error: Option<String>,
}

impl Login {
    /// A new one. `return_to` is path and query of what was asked for.
    ///
    /// # Errors
    /// [`SealProblem::Random`]
    pub fn begin(return_to: &str, now: i64) -> Result<Self, SealProblem> {
        // `//host` and `/\\host` are other hosts to a browser.
        let local = return_to.starts_with('/') && !return_to.get(1..).unwrap_or_default().starts_with(['/', '\\']);
        let fits = local && return_to.len() <= MAX_RETURN && !return_to.chars().any(char::is_control);
        Ok(Self {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            return_to: if fits { return_to } else { "/" }.to_owned(),
            began: now,
        })
    }

    /// Query of the authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3); `more` comes from policy.
    #[must_use]
    pub fn query(&self, client: &str, redirect_uri: &str, scopes: &[String], more: &[(&str, String)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.verifier.as_bytes()));
        let scope = scopes.join(" ");
        let own = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", redirect_uri),
            ("scope", &scope),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let more = more.iter().map(|(name, value)| (*name, value.as_str()));
        let pairs = own.into_iter().chain(more);
        pairs.map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&")
    }

    /// Body of the token request (RFC 6749 §4.1.3, RFC 7636 §4.5).
    #[must_use]
    pub fn exchange(&self, client: &str, redirect_uri: &str, code: &str) -> String {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("client_id", client),
            ("code_verifier", &self.verifier),
        ];
        pairs.map(|(name, value)| format!("{name}={}", escape(value))).join("&")
    }

    /// Name and value of the cookie that holds it.
    ///
    /// # Errors
    /// [`SealProblem`]
    pub fn cookie(&self, key: &SealKey, provider: &str, host: &str) -> Result<(String, String), SealProblem> {
        let plain = json!([self.state, self.nonce, self.verifier, self.return_to, self.began]).to_string();
        let value = key.seal(Purpose::Login, &[provider, host], plain.as_bytes())?;
        Ok((Self::cookie_name(&self.state).unwrap_or_else(|| LOGIN_COOKIE.to_owned()), value))
    }

    /// The name of the cookie for the login of `state`; `None` for what is no state of ours.
    #[must_use]
    pub fn cookie_name(state: &str) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let short = state.get(..8).filter(|short| short.bytes().all(plain))?;
        Some(format!("{LOGIN_COOKIE}{short}"))
    }

    /// The login that `cookie` holds, if it is the one that `returned` belongs to (attack: a login that somebody else began).
    #[must_use]
    pub fn resume(
        key: &SealKey,
        provider: &str,
        host: &str,
        cookie: &str,
        returned: &Returned,
        now: i64,
    ) -> Option<Self> {
        let plain = key.open(Purpose::Login, &[provider, host], cookie)?;
        let Value::Array(parts) = serde_json::from_slice(&plain).ok()? else { return None };
        let [Value::String(state), Value::String(nonce), Value::String(verifier), Value::String(return_to), began] =
            <[Value; 5]>::try_from(parts).ok()?
        else {
            return None;
        };
        verify_slices_are_equal(state.as_bytes(), returned.state.as_bytes()).ok()?;
        let began = began.as_i64().filter(|began| now >= *began && now.saturating_sub(*began) < MAX_AGE)?;
        Some(Self { state, nonce, verifier, return_to, began })
    }

    #[must_use]
    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }
}

impl Returned {
    /// Reads the query of the callback. A parameter that comes twice is refused (RFC 6749 §3.1).
    #[must_use]
    pub fn read(query: &str) -> Option<Self> {
        let mut read = Self::default();
        let mut state = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "state" => &mut state,
                "code" => &mut read.code,
                "iss" => &mut read.issuer,
                "error" => &mut read.error,
                _ => continue,
            };
            if place.replace(unescape(value)?).is_some() {
                return None;
            }
        }
        read.state = state?;
        Some(read)
    }
}

/// 256 random bits in base64url: 43 characters, as RFC 7636 §4.1 recommends.
fn random() -> Result<String, SealProblem> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_unspecified| SealProblem::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// As a form writes it (RFC 3986 §2.3: only what is unreserved stands for itself).
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// As a form is read; what has control characters is none of an issuer's.
fn unescape(text: &str) -> Option<String> {
    percent::decode_form(text).filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(query: &str, name: &str) -> String {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        unescape(found.unwrap()).unwrap()
    }

    #[test]
    fn a_login_is_resumed_by_the_browser_that_began_it() {
        let key = SealKey::from_seed(&[7; 32]).unwrap();
        let login = Login::begin("/orders?page=2", 1000).unwrap();
        let query = login.query("shop", "https://shop.example/cb", &["openid".into(), "profile".into()], &[]);
        assert_eq!(parameter(&query, "scope"), "openid profile");
        assert_eq!(parameter(&query, "redirect_uri"), "https://shop.example/cb");
        let (name, cookie) = login.cookie(&key, "sso", "shop.example").unwrap();
        let state = parameter(&query, "state");
        assert_eq!(name, Login::cookie_name(&state).unwrap());
        assert!(name.starts_with("__Host-postern-login-") && cookie.len() < 3000);
        let returned = Returned { state, code: Some("c".into()), ..Returned::default() };
        let resume = |host: &str, returned: &Returned, now| Login::resume(&key, "sso", host, &cookie, returned, now);
        let resumed = resume("shop.example", &returned, 1100).unwrap();
        assert_eq!(resumed.return_to(), "/orders?page=2");
        assert_eq!(parameter(&query, "nonce"), resumed.nonce());
        // RFC 7636 §4.6: the challenge is the digest of what the exchange shows.
        let verifier = parameter(&resumed.exchange("shop", "https://shop.example/cb", "c"), "code_verifier");
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        assert_eq!(challenge, parameter(&query, "code_challenge"));
        let other = Returned { state: "x".repeat(43), ..returned.clone() };
        assert!(resume("shop.example", &other, 1100).is_none(), "a login that somebody else began");
        assert!(resume("admin.example", &returned, 1100).is_none(), "a cookie of another host");
        assert!(resume("shop.example", &returned, 1600).is_none(), "too late");
        assert!(resume("shop.example", &returned, 999).is_none(), "a clock set back");
    }

    #[test]
    fn a_browser_returns_to_this_host_only() {
        for (asked, want) in [
            ("/a?b=c", "/a?b=c"),
            ("https://evil.example/", "/"),
            ("", "/"),
            ("a", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/a\r\nset-cookie: b=c", "/"),
            (&format!("/{}", "a".repeat(1024)), "/"),
        ] {
            assert_eq!(Login::begin(asked, 0).unwrap().return_to(), want);
        }
    }

    #[test]
    fn what_comes_back_is_read_strictly() {
        let read = Returned::read("code=a%2Bb&state=s&iss=https%3A%2F%2Fi.example&session_state=1").unwrap();
        assert_eq!(read.code.as_deref(), Some("a+b"));
        assert_eq!(read.issuer.as_deref(), Some("https://i.example"));
        for query in ["", "code=a", "state=s&state=s", "state=s&code=a&code=a", "state=%", "state=%ff", "state=%0a"] {
            assert_eq!(Returned::read(query), None, "{query}");
        }
        for state in ["", "short", "with%20s", "abcdef;g", "äöüäöüäöü"] {
            assert_eq!(Login::cookie_name(state), None, "{state}");
        }
    }
}

//! Sessions of browsers: OpenID Connect code flow with PKCE at the edge, kept in a sealed cookie.
//!
//! A browser that brings nothing is sent to the issuer (`login`); what it comes back with is exchanged for an id token
//! (`id_token`), and the claims of that token which the provider's mapping reads are sealed into a cookie (`seal`). A
//! request with the cookie has the principal that a token with these claims would have: the mapping runs as for tokens, so
//! a policy that changes changes sessions too. Nothing is kept here but what was ended before its time (`ended`).

mod cookie;
mod ended;
mod id_token;
mod login;
mod logout;
mod seal;
mod state;
#[cfg(test)]
mod tests;

pub use cookie::{CookieError, take};
pub use ended::EndedSessions;
pub use id_token::of_answer as id_token_of;
pub use login::{Login, Returned, escape};
pub use logout::LogoutToken;
pub use seal::{SealKey, SealProblem};
pub use state::{Session, SessionError, Sessions};

/// Name of the cookie that holds a session. The prefix makes browsers refuse it from anything but this host over TLS
/// (RFC 6265bis §4.1.3).
pub const SESSION_COOKIE: &str = "__Host-postern-session";
/// What the name of a cookie of a login under way begins with; the rest tells logins of several tabs apart.
pub const LOGIN_COOKIE: &str = "__Host-postern-login-";

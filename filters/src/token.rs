//! Who asks: bearer tokens (RFC 7519, RFC 9068), what binds them to their sender (RFC 8705), SPIFFE identities, and the
//! rule that makes one [`Principal`](crate::Principal) of what was presented.
//!
//! Signatures are checked by aws-lc-rs over keys that were parsed once, at load: a key that cannot verify anything is
//! found there and not at the first request. Everything around the signature is ours, because it has to be narrower
//! than JOSE libraries are: one algorithm list per provider, exact signature lengths, canonical base64url, unique JSON
//! names, no header member that could point at a key.

mod bearer;
mod binding;
mod claims;
mod delegation;
mod error;
mod identify;
mod jws;
mod key;
mod keyset;
pub mod mint;
mod ring;
mod rsa;
pub mod session;
mod set;
mod spiffe;
mod strict;
mod subject;
#[cfg(test)]
mod tests;
mod verified;
mod verifier;

pub use bearer::bearer;
pub use error::{Excerpt, TokenError, TokenPart};
pub use identify::{PeerFacts, identify};
pub use jws::MAX_TOKEN_BYTES;
pub use keyset::{KeyName, KeyProblem, KeySet, KeySetError};
pub use ring::KeyRing;
pub use set::{TokenCache, TokenSet, issuer_of};
pub use spiffe::{combine, principal_from_svid};
pub use verified::VerifiedToken;
pub use verifier::JwtVerifier;

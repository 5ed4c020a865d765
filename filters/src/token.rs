//! Who asks: bearer tokens (RFC 7519, RFC 9068), what binds them to their sender (RFC 8705), SPIFFE identities, and the
//! rule that makes one [`Principal`](crate::Principal) of what was presented.
//!
//! Signatures are checked by aws-lc-rs over keys that were parsed once, at load: a key that cannot verify anything is
//! found there and not at the first request. Everything around the signature is ours, because it has to be narrower
//! than JOSE libraries are: one algorithm list per provider, exact signature lengths, canonical base64url, unique JSON
//! names, no header member that could point at a key.

mod api_key;
mod assumed;
mod bearer;
mod binding;
mod claims;
mod delegation;
pub mod discovery;
pub(crate) mod dpop;
mod error;
mod identify;
mod introspection;
mod jws;
mod jwt_svid;
mod key;
mod keyset;
pub mod mint;
mod mtls;
mod presented;
pub(crate) mod proof_nonce;
mod recognised;
mod replay;
mod ring;
mod rsa;
pub mod session;
mod set;
mod signature;
mod spiffe;
mod strict;
mod subject;
#[cfg(test)]
mod tests;
mod txn;
mod verified;
mod verifier;

use aws_lc_rs::digest;

pub use api_key::{ApiKeys, ApiKeysError, EntryProblem, MadeKey, MadeKeyError};
pub use assumed::Claimed;
pub use bearer::bearer;
pub use binding::Sender;
pub use discovery::{MAX_METADATA, MetadataError, jwks_uri, metadata_urls};
pub use error::{Excerpt, ProofProblem, TokenError, TokenPart};
pub use identify::{PeerFacts, identify};
pub use introspection::{AnswerError, IntrospectionAnswer, Introspector, MAX_ANSWER, basic_auth, question};
pub use jws::MAX_TOKEN_BYTES;
pub use jwt_svid::SvidVerifier;
pub use keyset::{KeyName, KeyProblem, KeySet, KeySetError};
pub use mtls::NamedCertificate;
pub use recognised::Recognised;
pub use ring::{KeyRing, KeyRings};
pub use set::{TokenCache, TokenSet, issuer_of};
pub use signature::{SignatureKeys, SignatureKeysError, SignatureProblem, check_body};
pub use spiffe::{combine, principal_from_svid};
pub use txn::{Transaction, TxnMinter};
pub use verified::VerifiedToken;
pub use verifier::JwtVerifier;

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    // INVARIANT: SHA-256 has 32 bytes; `zip` rather than a copy that could panic.
    for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    out
}

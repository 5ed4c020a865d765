//! What is written down: one record per decision, and the arithmetic of the signed log that keeps it.
//!
//! A record becomes one OCSF event ([`AuditRecord::to_json`]). The log commits to it with a salted hash ([`leaf`]), hashes the
//! commitments into an RFC 6962 tree ([`merkle`]) stored as C2SP tlog tiles ([`tiles`]), and signs the head of the tree as a
//! checkpoint ([`checkpoint`], [`note`]). [`verify`] needs the files and the public key, nothing else. Nothing here opens a file.

pub mod checkpoint;
mod escape;
pub mod leaf;
pub mod merkle;
pub mod note;
mod ocsf;
mod record;
mod redact;
pub mod tiles;
pub mod verify;

pub use ocsf::PRODUCT;
pub use record::{
    AuditRecord, ConnectionEvent, ConnectionFailure, ConnectionRef, Decision, Event, LifecycleEvent, Name,
    RequestEvent, SecretEvent, SecretRef, SecretWord, TlsFacts,
};
pub use redact::{Redaction, RedactionError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Standard, padded base64 (RFC 4648 §4), as C2SP writes hashes and signatures.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The only accepted spelling of `N` bytes: padded, canonical trailing bits, exact length.
pub(crate) fn decode_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Lower-case hexadecimal.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

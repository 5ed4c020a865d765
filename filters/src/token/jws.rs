//! Compact JWS (RFC 7515 §5.2): from text to a payload whose signature was checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_config::JwtAlgorithm;
use serde_json::{Map, Value};

use super::key::{self, Key};
use super::{Excerpt, KeySet, TokenError, TokenPart, strict};

/// Longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Longest `kid`, `alg` and `typ`.
pub(super) const MAX_HEADER_TEXT: usize = 256;

/// Header members that ask the reader to fetch or believe a key, to change what is signed, or to open another token
/// inside (RFC 7515 §4.1, RFC 7797, RFC 7516). A token that carries one is refused rather than read without it.
pub(super) const REFUSED: [&str; 8] = ["crit", "b64", "jku", "x5u", "jwk", "x5c", "zip", "enc"];

/// What the signature of a token covers, and with which key.
#[derive(Debug)]
pub(super) struct Signed<'k> {
    pub(super) payload: Vec<u8>,
    pub(super) typ: Option<String>,
    pub(super) key: &'k Key,
    /// The header names the key, and says nothing beside that, algorithm and type.
    pub(super) is_plain: bool,
}

/// Unpadded base64url, and only its one canonical spelling: no padding, no stray trailing bits, no other alphabet.
/// Otherwise one signature would have several texts, and a token seen before could be told from itself.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    URL_SAFE_NO_PAD.decode(text)
}

/// Checks the signature of `token` with a key of `keys`, by one of `algorithms` only (RFC 8725 §3.1).
pub(super) fn open<'k>(token: &str, keys: &'k KeySet, algorithms: &[JwtAlgorithm]) -> Result<Signed<'k>, TokenError> {
    let parts = Parts::of(token)?;
    let header = Header::read(parts.header)?;
    let algorithm = *algorithms
        .iter()
        .find(|algorithm| key::name(**algorithm) == header.alg)
        .ok_or_else(|| TokenError::Algorithm(Excerpt::of(&header.alg)))?;
    let key = keys.find(header.kid.as_deref())?;
    if !key.allows(algorithm) {
        return Err(TokenError::KeyAlgorithm(key::name(algorithm)));
    }
    let signature = part(parts.signature, TokenPart::Signature)?;
    // Verifiers have accepted trailing bytes; one length per key leaves nothing to accept.
    if signature.len() != key.signature_len {
        return Err(TokenError::SignatureLength { bytes: signature.len(), want: key.signature_len });
    }
    if !key.verifies(algorithm, parts.signed.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    Ok(Signed { payload: part(parts.claims, TokenPart::Claims)?, typ: header.typ, key, is_plain: header.is_plain })
}

/// The claims of `token`, believed by nobody yet.
pub(super) fn unverified_claims(token: &str) -> Result<Map<String, Value>, TokenError> {
    claims(&part(Parts::of(token)?.claims, TokenPart::Claims)?)
}

/// A payload as claims.
pub(super) fn claims(payload: &[u8]) -> Result<Map<String, Value>, TokenError> {
    strict::object(payload).map_err(|source| TokenError::Json { part: TokenPart::Claims, source })
}

pub(super) struct Parts<'t> {
    pub(super) header: &'t str,
    pub(super) claims: &'t str,
    pub(super) signature: &'t str,
    /// `header.claims`, which is what was signed.
    pub(super) signed: &'t str,
}

impl<'t> Parts<'t> {
    pub(super) fn of(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge { bytes: token.len(), max: MAX_TOKEN_BYTES });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Parts)?;
        if claims.contains('.') {
            return Err(TokenError::Parts);
        }
        Ok(Self { header, claims, signature, signed })
    }
}

struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    is_plain: bool,
}

impl Header {
    fn read(text: &str) -> Result<Self, TokenError> {
        let mut header = strict::object(&part(text, TokenPart::Header)?)
            .map_err(|source| TokenError::Json { part: TokenPart::Header, source })?;
        if let Some(name) = REFUSED.iter().find(|name| header.contains_key(**name)) {
            return Err(TokenError::HeaderMember(name));
        }
        // `cty` says that the payload is itself a JWT (RFC 7519 §5.2), or something else that is not claims.
        if header.contains_key("cty") {
            return Err(TokenError::HeaderMember("cty"));
        }
        let alg = take_text(&mut header, "alg")?.ok_or(TokenError::HeaderText("alg"))?;
        let (kid, typ) = (take_text(&mut header, "kid")?, take_text(&mut header, "typ")?);
        Ok(Self { alg, is_plain: kid.is_some() && header.is_empty(), kid, typ })
    }
}

fn take_text(header: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, TokenError> {
    match header.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_HEADER_TEXT => Ok(Some(text)),
        Some(_) => Err(TokenError::HeaderText(name)),
    }
}

pub(super) fn part(text: &str, part: TokenPart) -> Result<Vec<u8>, TokenError> {
    decode(text.as_bytes()).map_err(|source| TokenError::Encoding { part, source })
}

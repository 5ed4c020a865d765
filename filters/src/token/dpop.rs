//! Proofs that whoever sends a token holds the key it is bound to (DPoP, RFC 9449 §4.3). A proof is for one request: method
//! and URI, one token, about now, once.

use postern_config::JwtAlgorithm;
use serde_json::{Map, Value};

use super::claims::{self, Claims};
use super::jws::{self, Parts};
use super::key::{self, Key};
use super::{ProofProblem, TokenError, TokenPart, sha256, strict};
use crate::{RequestView, path};

/// Proofs of elliptic curve keys only: an RSA key in every request costs bytes and time that no client needs to spend.
const ALGORITHMS: [JwtAlgorithm; 3] = [JwtAlgorithm::ES256, JwtAlgorithm::ES384, JwtAlgorithm::EdDSA];

/// The same, as challenges name them.
pub(crate) const ALGORITHM_NAMES: &str = "ES256 ES384 EdDSA";

/// Longest proof that is looked at.
const MAX_BYTES: usize = 4096;

/// Seconds from `iat` in which a proof is good, and seconds that a client's clock may be ahead.
pub(super) const MAX_AGE: i64 = 60;
pub(super) const AHEAD: i64 = 30;

/// A proof that holds for the request it came with, but for whether it came before.
#[derive(Debug)]
pub(super) struct Proof {
    /// SHA-256 thumbprint of the key (RFC 7638).
    pub(super) jkt: [u8; 32],
    pub(super) jti: String,
    pub(super) nonce: Option<String>,
}

/// Checks `text`, which came with a token of SHA-256 `token` in `req` at `now` (Unix seconds). `now` is `None` for a request
/// that is looked at again after it was let in: its proof was fresh then.
pub(super) fn open(text: &str, req: &RequestView<'_>, token: &[u8; 32], now: Option<i64>) -> Result<Proof, TokenError> {
    if text.len() > MAX_BYTES {
        return Err(TokenError::TooLarge { bytes: text.len(), max: MAX_BYTES });
    }
    let parts = Parts::of(text)?;
    let header = strict::object(&jws::part(parts.header, TokenPart::Header)?)
        .map_err(|source| TokenError::Json { part: TokenPart::Header, source })?;
    let jkt = signed(&parts, &header)?;
    let claims = Claims::new(jws::claims(&jws::part(parts.claims, TokenPart::Claims)?)?);
    if claims.required_text("htm")? != req.method {
        return Err(ProofProblem::Method.into());
    }
    if !is_uri_of(long_text(&claims, "htu")?, req) {
        return Err(ProofProblem::Uri.into());
    }
    let hash = jws::decode(claims.required_text("ath")?.as_bytes()).ok();
    if hash.as_deref() != Some(&token[..]) {
        return Err(ProofProblem::Token.into());
    }
    let issued_at = claims.required_time("iat")?;
    let until = claims.time("exp")?;
    let from = claims.time("nbf")?;
    if let Some(now) = now {
        let fresh = issued_at <= now.saturating_add(AHEAD) && now <= issued_at.saturating_add(MAX_AGE);
        if !fresh || until.is_some_and(|until| until <= now) || from.is_some_and(|from| from > now + AHEAD) {
            return Err(ProofProblem::Age.into());
        }
    }
    let nonce = claims.text("nonce")?.map(str::to_owned);
    Ok(Proof { jkt, jti: claims.required_text("jti")?.to_owned(), nonce })
}

/// The thumbprint of the key in the header, where it signed the proof.
fn signed(parts: &Parts<'_>, header: &Map<String, Value>) -> Result<[u8; 32], TokenError> {
    if let Some(name) = jws::REFUSED.iter().chain(&["cty"]).find(|name| **name != "jwk" && header.contains_key(**name))
    {
        return Err(TokenError::HeaderMember(name));
    }
    let named = |name| header.get(name).and_then(Value::as_str);
    if named("typ") != Some("dpop+jwt") {
        return Err(ProofProblem::Type.into());
    }
    let algorithm = ALGORITHMS.into_iter().find(|algorithm| named("alg") == Some(key::name(*algorithm)));
    let algorithm = algorithm.ok_or(ProofProblem::Algorithm)?;
    let jwk = header.get("jwk").and_then(Value::as_object).ok_or(ProofProblem::Key)?;
    // RSA keys are not even parsed.
    let jkt = thumbprint(jwk).ok_or(ProofProblem::Key)?;
    let key = Key::parse(jwk).map_err(|_problem| ProofProblem::Key)?;
    let signature = jws::part(parts.signature, TokenPart::Signature)?;
    if !key.allows(algorithm) || signature.len() != key.signature_len {
        return Err(ProofProblem::Key.into());
    }
    if !key.verifies(algorithm, parts.signed.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    Ok(jkt)
}

/// RFC 7638 §3: SHA-256 over the members that a key needs, in order. They were or will be read as canonical base64url, so the
/// text needs no escapes.
pub(super) fn thumbprint(jwk: &Map<String, Value>) -> Option<[u8; 32]> {
    let text = |name| jwk.get(name).and_then(Value::as_str).filter(|text| is_plain(text));
    let members = match text("kty")? {
        "EC" => {
            format!(r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#, text("crv")?, text("x")?, text("y")?)
        }
        "OKP" => format!(r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#, text("crv")?, text("x")?),
        _ => return None,
    };
    Some(sha256(members.as_bytes()))
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// `htu` may be longer than a name.
fn long_text<'c>(claims: &'c Claims, name: &'static str) -> Result<&'c str, TokenError> {
    let text = claims.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty() && text.len() <= MAX_BYTES)
        .ok_or_else(|| TokenError::claim(name, claims::NO_TEXT))
}

/// Whether `htu` names what was asked: the scheme, host, port and path that arrived here, in any spelling of them, without
/// query and fragment (RFC 9449 §4.3).
fn is_uri_of(htu: &str, req: &RequestView<'_>) -> bool {
    let Some((scheme, rest)) = htu.split_once("://") else { return false };
    let (wanted, default) = if req.tls { ("https", 443) } else { ("http", 80) };
    let bare = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = bare.split_at_checked(bare.find('/').unwrap_or(bare.len())).unwrap_or((bare, ""));
    let Some((host, port)) = host_and_port(authority, default) else { return false };
    let path = if path.is_empty() { "/" } else { path };
    scheme.eq_ignore_ascii_case(wanted)
        && host.eq_ignore_ascii_case(req.host)
        && port == req.port.unwrap_or(default)
        && path::canonical(path).is_ok_and(|target| target.path == req.path)
}

fn host_and_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let end = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority.get(end..)?.find(':').map(|at| at + end) else { return Some((authority, default)) };
    let digits = authority.get(colon + 1..)?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((authority.get(..colon)?, digits.parse().ok().filter(|_| plain)?))
}

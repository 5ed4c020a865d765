//! One public key of a set, parsed and ready to verify.

use std::fmt;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm};
use postern_config::JwtAlgorithm;
use serde_json::{Map, Value};

use super::keyset::KeyProblem;
use super::{jws, rsa};

/// Members that make a JWK secret (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

const RSA_ALGORITHMS: [JwtAlgorithm; 6] = [
    JwtAlgorithm::RS256,
    JwtAlgorithm::RS384,
    JwtAlgorithm::RS512,
    JwtAlgorithm::PS256,
    JwtAlgorithm::PS384,
    JwtAlgorithm::PS512,
];

/// A public key and the algorithms it may be used with: one, unless it is an RSA key without `alg`.
pub(super) struct Key {
    pub(super) id: Option<String>,
    uses: Vec<(JwtAlgorithm, ParsedPublicKey)>,
    /// Bytes of every signature of this key.
    pub(super) signature_len: usize,
}

impl Key {
    /// Reads a JWK (RFC 7517 §4). Members it does not know are ignored; `use`, `key_ops` and `alg` must allow what the
    /// key is wanted for.
    pub(super) fn parse(jwk: &Map<String, Value>) -> Result<Self, KeyProblem> {
        if text(jwk, "kty")? == "oct" {
            return Err(KeyProblem::Symmetric);
        }
        if let Some(name) = PRIVATE.iter().find(|name| jwk.contains_key(**name)) {
            return Err(KeyProblem::Private(name));
        }
        check_purpose(jwk)?;
        let named = optional_text(jwk, "alg")?;
        let (mut uses, signature_len) = match text(jwk, "kty")? {
            "EC" => elliptic(jwk)?,
            "OKP" => edwards(jwk)?,
            "RSA" => rsa(jwk)?,
            _ => return Err(KeyProblem::Type),
        };
        if let Some(named) = named {
            uses.retain(|(algorithm, _)| name(*algorithm) == named);
            if uses.is_empty() {
                return Err(KeyProblem::Algorithm);
            }
        }
        Ok(Self { id: key_id(jwk)?, uses, signature_len })
    }

    pub(super) fn allows(&self, algorithm: JwtAlgorithm) -> bool {
        self.uses.iter().any(|(a, _)| *a == algorithm)
    }

    /// Whether `signature` is this key's over `message`. The length was checked by the caller.
    pub(super) fn verifies(&self, algorithm: JwtAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let key = self.uses.iter().find(|(a, _)| *a == algorithm);
        key.is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<_> = self.uses.iter().map(|(a, _)| name(*a)).collect();
        f.debug_struct("Key").field("id", &self.id).field("algorithms", &algorithms).finish_non_exhaustive()
    }
}

/// The JOSE name of an algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
pub(super) fn name(algorithm: JwtAlgorithm) -> &'static str {
    match algorithm {
        JwtAlgorithm::ES256 => "ES256",
        JwtAlgorithm::ES384 => "ES384",
        JwtAlgorithm::EdDSA => "EdDSA",
        JwtAlgorithm::RS256 => "RS256",
        JwtAlgorithm::RS384 => "RS384",
        JwtAlgorithm::RS512 => "RS512",
        JwtAlgorithm::PS256 => "PS256",
        JwtAlgorithm::PS384 => "PS384",
        JwtAlgorithm::PS512 => "PS512",
    }
}

type Uses = (Vec<(JwtAlgorithm, ParsedPublicKey)>, usize);

fn elliptic(jwk: &Map<String, Value>) -> Result<Uses, KeyProblem> {
    let (algorithm, verification, size): (_, &'static dyn VerificationAlgorithm, _) = match text(jwk, "crv")? {
        "P-256" => (JwtAlgorithm::ES256, &signature::ECDSA_P256_SHA256_FIXED, 32),
        "P-384" => (JwtAlgorithm::ES384, &signature::ECDSA_P384_SHA384_FIXED, 48),
        _ => return Err(KeyProblem::Curve),
    };
    let mut point = vec![4];
    for coordinate in ["x", "y"] {
        let bytes = binary(jwk, coordinate)?;
        if bytes.len() != size {
            return Err(KeyProblem::Member(coordinate));
        }
        point.extend_from_slice(&bytes);
    }
    // Refuses a point that is not on the curve.
    let key = ParsedPublicKey::new(verification, &point).map_err(|_rejected| KeyProblem::Unusable)?;
    Ok((vec![(algorithm, key)], 2 * size))
}

fn edwards(jwk: &Map<String, Value>) -> Result<Uses, KeyProblem> {
    if text(jwk, "crv")? != "Ed25519" {
        return Err(KeyProblem::Curve);
    }
    let point = binary(jwk, "x")?;
    if point.len() != 32 {
        return Err(KeyProblem::Member("x"));
    }
    let key = ParsedPublicKey::new(&signature::ED25519, &point).map_err(|_rejected| KeyProblem::Unusable)?;
    Ok((vec![(JwtAlgorithm::EdDSA, key)], 64))
}

fn rsa(jwk: &Map<String, Value>) -> Result<Uses, KeyProblem> {
    let (n, e) = (binary(jwk, "n")?, binary(jwk, "e")?);
    // A leading zero is another spelling of the same key (RFC 7518 §2, Base64urlUInt).
    if n.first().is_none_or(|b| *b == 0) {
        return Err(KeyProblem::Member("n"));
    }
    if e.first().is_none_or(|b| *b == 0) || !rsa::is_sound_exponent(&e) {
        return Err(KeyProblem::Member("e"));
    }
    if !(2048..=8192).contains(&rsa::bits(&n)) {
        return Err(KeyProblem::RsaSize(rsa::bits(&n)));
    }
    if rsa::is_roca(&n) {
        return Err(KeyProblem::Roca);
    }
    let signature_len = n.len();
    let parts = RsaPublicKeyComponents { n, e };
    let parse = |algorithm| {
        let key = parts.to_parsed_public_key(rsa_parameters(algorithm)).map_err(|_rejected| KeyProblem::Unusable)?;
        Ok((algorithm, key))
    };
    let uses = RSA_ALGORITHMS.into_iter().map(parse).collect::<Result<_, KeyProblem>>()?;
    Ok((uses, signature_len))
}

fn rsa_parameters(algorithm: JwtAlgorithm) -> &'static RsaParameters {
    match algorithm {
        JwtAlgorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        JwtAlgorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        JwtAlgorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        JwtAlgorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        JwtAlgorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => &signature::RSA_PKCS1_2048_8192_SHA256,
    }
}

fn check_purpose(jwk: &Map<String, Value>) -> Result<(), KeyProblem> {
    if optional_text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyProblem::Purpose);
    }
    let Some(operations) = jwk.get("key_ops") else { return Ok(()) };
    // A public key can do nothing else; RFC 7517 §4.3 forbids repetition and discourages unrelated pairs.
    let verify = operations.as_array().map(Vec::as_slice);
    if verify == Some(&[Value::from("verify")]) { Ok(()) } else { Err(KeyProblem::Purpose) }
}

fn key_id(jwk: &Map<String, Value>) -> Result<Option<String>, KeyProblem> {
    match optional_text(jwk, "kid")? {
        Some(id) if id.is_empty() || id.len() > jws::MAX_HEADER_TEXT => Err(KeyProblem::Member("kid")),
        id => Ok(id.map(str::to_owned)),
    }
}

fn binary(jwk: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, KeyProblem> {
    jws::decode(text(jwk, member)?.as_bytes()).map_err(|_source| KeyProblem::Member(member))
}

fn text<'v>(jwk: &'v Map<String, Value>, member: &'static str) -> Result<&'v str, KeyProblem> {
    optional_text(jwk, member)?.ok_or(KeyProblem::Member(member))
}

fn optional_text<'v>(jwk: &'v Map<String, Value>, member: &'static str) -> Result<Option<&'v str>, KeyProblem> {
    match jwk.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyProblem::Member(member)),
    }
}

//! Makes tokens and their public keys: for upstreams ([`super::TxnMinter`]), for tests, and for the demo's throw-away issuer.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use postern_config::JwtAlgorithm;
use serde_json::{Value, json};

use super::{dpop, key, sha256};

/// A signing key. It is never shown.
pub struct SigningKey {
    id: String,
    algorithm: JwtAlgorithm,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// A key could not be made, or could not sign.
#[derive(Debug, thiserror::Error)]
#[error("the signing key of `{id}` failed")]
pub struct MintError {
    id: String,
    #[source]
    source: aws_lc_rs::error::Unspecified,
}

impl SigningKey {
    /// A fresh P-256 key whose `kid` is `id`.
    ///
    /// # Errors
    /// [`MintError`] where no key could be made.
    pub fn generate_es256(id: &str) -> Result<Self, MintError> {
        Self::generate(JwtAlgorithm::ES256, id)
    }

    /// A fresh key for `algorithm`; RSA keys have 2048 bits.
    ///
    /// # Errors
    /// As [`SigningKey::generate_es256`].
    pub fn generate(algorithm: JwtAlgorithm, id: &str) -> Result<Self, MintError> {
        let pair = match algorithm {
            JwtAlgorithm::ES256 => EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Ecdsa),
            JwtAlgorithm::ES384 => EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).map(Pair::Ecdsa),
            JwtAlgorithm::EdDSA => Ed25519KeyPair::generate().map(Pair::Ed25519),
            _ => RsaKeyPair::generate(KeySize::Rsa2048).map(|pair| Pair::Rsa(Box::new(pair))),
        };
        let pair = pair.map_err(|source| MintError { id: id.to_owned(), source })?;
        Ok(Self { id: id.to_owned(), algorithm, pair })
    }

    /// The key of `seed`: the private scalar of P-256, big-endian, or the seed of RFC 8032. Its `kid` is its thumbprint
    /// (RFC 7638), so that another key never has the same.
    ///
    /// # Errors
    /// [`MintError`] where the seed is none of such a key, or `algorithm` is neither `ES256` nor `EdDSA`.
    pub fn from_seed(algorithm: JwtAlgorithm, name: &str, seed: &[u8]) -> Result<Self, MintError> {
        let pair = match algorithm {
            JwtAlgorithm::ES256 => p256(seed).map(Pair::Ecdsa),
            JwtAlgorithm::EdDSA => Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Pair::Ed25519),
            _ => None,
        };
        let failed = || MintError { id: name.to_owned(), source: aws_lc_rs::error::Unspecified };
        let mut made = Self { id: String::new(), algorithm, pair: pair.ok_or_else(failed)? };
        let thumbprint = made.jwk().as_object().and_then(dpop::thumbprint).ok_or_else(failed)?;
        made.id = encode(thumbprint);
        Ok(made)
    }

    /// The public key as a JWK with `kid`, `alg` and `use`.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Ecdsa(pair) => {
                // Uncompressed: 4, x, y.
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.algorithm == JwtAlgorithm::ES384 { "P-384" } else { "P-256" };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Pair::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())}),
            Pair::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                json!({"kty": "RSA", "n": encode(n), "e": encode(e)})
            }
        };
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), self.id.as_str().into());
            members.insert("alg".to_owned(), key::name(self.algorithm).into());
            members.insert("use".to_owned(), "sig".into());
        }
        jwk
    }

    /// A JWK set with this key alone, as a file would hold it.
    #[must_use]
    pub fn jwks(&self) -> String {
        json!({"keys": [self.jwk()]}).to_string()
    }

    /// The header of an access token of this key: `alg`, `kid`, `typ: at+jwt` (RFC 9068 §2.1).
    #[must_use]
    pub fn header(&self) -> Value {
        json!({"alg": key::name(self.algorithm), "kid": self.id, "typ": "at+jwt"})
    }

    /// The header of a proof that whoever sends a token holds this key (RFC 9449 §4.2): the public key is in it.
    #[must_use]
    pub fn proof_header(&self) -> Value {
        json!({"alg": key::name(self.algorithm), "typ": "dpop+jwt", "jwk": self.jwk()})
    }

    /// `cnf` claim that binds a token to this key (RFC 9449 §6.1); `null` for RSA keys, which sign no proofs here.
    #[must_use]
    pub fn confirmation(&self) -> Value {
        let jkt = self.jwk().as_object().and_then(dpop::thumbprint);
        jkt.map_or(Value::Null, |jkt| json!({"jkt": encode(jkt)}))
    }

    /// A compact JWS over `header` and `claims` as they are, also where they contradict the key.
    ///
    /// # Errors
    /// [`MintError`] where the key could not sign.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String, MintError> {
        self.sign_parts(&header.to_string(), &claims.to_string())
    }

    /// As [`SigningKey::sign`], over any text.
    ///
    /// # Errors
    /// As [`SigningKey::sign`].
    pub fn sign_parts(&self, header: &str, claims: &str) -> Result<String, MintError> {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature =
            self.signature(signed.as_bytes()).map_err(|source| MintError { id: self.id.clone(), source })?;
        Ok(format!("{signed}.{}", encode(signature)))
    }

    /// The signature over `text` in base64, as `Signature` holds it (RFC 9421 §4.2).
    ///
    /// # Errors
    /// As [`SigningKey::sign`].
    pub fn sign_text(&self, text: &str) -> Result<String, MintError> {
        let signature = self.signature(text.as_bytes());
        signature.map(|bytes| STANDARD.encode(bytes)).map_err(|source| MintError { id: self.id.clone(), source })
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(encoding(self.algorithm), &random, message, &mut out).map(|()| out)
            }
        }
    }
}

/// From the private scalar, by way of RFC 5915: a sequence of version 1, the scalar, and the name of the curve.
fn p256(scalar: &[u8]) -> Option<EcdsaKeyPair> {
    const BEFORE: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
    const AFTER: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    if scalar.len() != 32 {
        return None;
    }
    let der = zeroize::Zeroizing::new([&BEFORE, scalar, &AFTER].concat());
    EcdsaKeyPair::from_private_key_der(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// `cnf` claim that binds a token to the certificate with this digest (RFC 8705 §3.1).
#[must_use]
pub fn bound_to(leaf_sha256: &[u8; 32]) -> Value {
    json!({"x5t#S256": encode(leaf_sha256)})
}

/// `ath` of a proof that goes with `token` (RFC 9449 §4.2).
#[must_use]
pub fn token_hash(token: &str) -> String {
    encode(sha256(token.as_bytes()))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn encoding(algorithm: JwtAlgorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        JwtAlgorithm::RS384 => &signature::RSA_PKCS1_SHA384,
        JwtAlgorithm::RS512 => &signature::RSA_PKCS1_SHA512,
        JwtAlgorithm::PS256 => &signature::RSA_PSS_SHA256,
        JwtAlgorithm::PS384 => &signature::RSA_PSS_SHA384,
        JwtAlgorithm::PS512 => &signature::RSA_PSS_SHA512,
        _ => &signature::RSA_PKCS1_SHA256,
    }
}

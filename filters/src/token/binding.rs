//! What binds a token to its sender: the confirmation claim (RFC 7800) with the digest of a certificate (RFC 8705 §3.1), the
//! thumbprint of a key (RFC 9449 §6.1), or both, which must both hold.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_config::SenderConstraint;
use serde_json::{Map, Value};

use super::claims::Claims;
use super::{Excerpt, TokenError, jws};

const CERTIFICATE: &str = "x5t#S256";
const KEY: &str = "jkt";

/// What a token is bound to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Binding {
    /// SHA-256 of a client certificate.
    pub(super) x5t_s256: Option<[u8; 32]>,
    /// Thumbprint of a key.
    pub(super) jkt: Option<[u8; 32]>,
}

/// What whoever sends a token has shown to hold, in this request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sender<'s> {
    /// SHA-256 of the DER client certificate of the connection.
    pub leaf_sha256: Option<&'s [u8; 32]>,
    /// Thumbprint of the key that proved the request. It came with the scheme `DPoP`, and only then is there one.
    pub jkt: Option<&'s [u8; 32]>,
}

impl<'s> From<Option<&'s [u8; 32]>> for Sender<'s> {
    fn from(leaf_sha256: Option<&'s [u8; 32]>) -> Self {
        Self { leaf_sha256, jkt: None }
    }
}

impl Binding {
    /// Reads `cnf`. It must hold what can be checked and nothing else: a binding that cannot be checked is not thereby absent,
    /// and a token that carries one was not meant to be used without it.
    pub(super) fn read(claims: &Claims) -> Result<Self, TokenError> {
        let Some(cnf) = claims.get("cnf") else { return Ok(Self::default()) };
        let members = cnf.as_object().ok_or_else(|| TokenError::claim("cnf", "is not an object"))?;
        if let Some(other) = members.keys().find(|name| ![CERTIFICATE, KEY].contains(&name.as_str())) {
            return Err(TokenError::UnknownBinding(Excerpt::of(other)));
        }
        let found = Self { x5t_s256: digest(members, CERTIFICATE)?, jkt: digest(members, KEY)? };
        if found.exists() { Ok(found) } else { Err(TokenError::claim("cnf", NO_DIGEST)) }
    }

    pub(super) fn exists(&self) -> bool {
        self.x5t_s256.is_some() || self.jkt.is_some()
    }

    /// Whether the sender is the one a token is bound to. A bound token must match even where the provider does not demand a
    /// binding, and a proof of a key that the token does not name proves nothing.
    pub(super) fn check(
        &self,
        provider: &str,
        constraint: SenderConstraint,
        sender: Sender<'_>,
    ) -> Result<(), TokenError> {
        let demanded = match constraint {
            SenderConstraint::None => true,
            SenderConstraint::Any => self.exists(),
            SenderConstraint::Mtls => self.x5t_s256.is_some(),
            SenderConstraint::Dpop | SenderConstraint::DpopNonce => self.jkt.is_some(),
        };
        if !demanded {
            return Err(TokenError::NotBound(provider.to_owned()));
        }
        if let Some(want) = &self.x5t_s256 {
            let leaf = sender.leaf_sha256.ok_or(TokenError::OtherSender)?;
            verify_slices_are_equal(want, leaf).map_err(|_differ| TokenError::OtherSender)?;
        }
        match (&self.jkt, sender.jkt) {
            (None, None) => Ok(()),
            (Some(want), Some(proven)) => verify_slices_are_equal(want, proven).map_err(|_differ| TokenError::OtherKey),
            (Some(_), None) => Err(TokenError::ProofMissing),
            (None, Some(_)) => Err(TokenError::ProofForNothing),
        }
    }
}

const NO_DIGEST: &str = "does not hold a digest";

fn digest(members: &Map<String, Value>, name: &str) -> Result<Option<[u8; 32]>, TokenError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    let bytes = value.as_str().and_then(|text| jws::decode(text.as_bytes()).ok());
    let digest = bytes.and_then(|bytes| bytes.try_into().ok());
    digest.map(Some).ok_or_else(|| TokenError::claim("cnf", NO_DIGEST))
}

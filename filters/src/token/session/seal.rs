//! What we hand to a browser and take back: sealed, for one purpose, one provider and one host.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Seals by AES-256-GCM under a key for each purpose, derived from one of 32 bytes (RFC 5869).
pub struct SealKey {
    session: LessSafeKey,
    login: LessSafeKey,
}

/// What is sealed: one does not open as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Session,
    Login,
}

/// Why a key or a seal could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealProblem {
    #[error("a sealing key has 32 bytes")]
    Key,
    #[error("the system has no random bytes")]
    Random,
    #[error("the text could not be sealed")]
    Seal,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"postern session v1",
            Self::Login => b"postern login v1",
        }
    }
}

impl SealKey {
    /// # Errors
    /// [`SealProblem::Key`] for a seed that has not 32 bytes.
    pub fn from_seed(seed: &[u8]) -> Result<Self, SealProblem> {
        if seed.len() != 32 {
            return Err(SealProblem::Key);
        }
        let derived = |purpose: Purpose| {
            let prk = Salt::new(HKDF_SHA256, b"postern state sealing").extract(seed);
            let info = [purpose.label()];
            let okm = prk.expand(&info, Length).map_err(|_unspecified| SealProblem::Key)?;
            let mut key = zeroize::Zeroizing::new([0; 32]);
            okm.fill(&mut *key).map_err(|_unspecified| SealProblem::Key)?;
            UnboundKey::new(&AES_256_GCM, &*key).map(LessSafeKey::new).map_err(|_unspecified| SealProblem::Key)
        };
        Ok(Self { session: derived(Purpose::Session)?, login: derived(Purpose::Login)? })
    }

    fn key(&self, purpose: Purpose) -> &LessSafeKey {
        match purpose {
            Purpose::Session => &self.session,
            Purpose::Login => &self.login,
        }
    }

    /// Base64url of nonce, ciphertext and tag. `context` has to be the same when it is opened.
    pub(super) fn seal(&self, purpose: Purpose, context: &[&str], plain: &[u8]) -> Result<String, SealProblem> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_unspecified| SealProblem::Random)?;
        let mut sealed = plain.to_vec();
        self.key(purpose)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound(context)), &mut sealed)
            .map_err(|_unspecified| SealProblem::Seal)?;
        let mut whole = nonce.to_vec();
        whole.append(&mut sealed);
        Ok(URL_SAFE_NO_PAD.encode(whole))
    }

    /// What was sealed, `None` for anything else.
    pub(super) fn open(&self, purpose: Purpose, context: &[&str], text: &str) -> Option<Vec<u8>> {
        let mut whole = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.key(purpose).open_in_place(nonce, Aad::from(bound(context)), sealed).ok()?;
        Some(plain.to_vec())
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// Words with their lengths, so that no two lists are one text.
fn bound(context: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in context {
        bytes.extend_from_slice(&u64::try_from(word.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_for_its_purpose_place_and_key_alone() {
        let key = SealKey::from_seed(&[7; 32]).unwrap();
        let sealed = key.seal(Purpose::Session, &["sso", "shop.example"], b"who").unwrap();
        assert_eq!(key.open(Purpose::Session, &["sso", "shop.example"], &sealed).unwrap(), b"who");
        assert_ne!(sealed, key.seal(Purpose::Session, &["sso", "shop.example"], b"who").unwrap());
        for (case, purpose, context) in [
            ("another purpose", Purpose::Login, ["sso", "shop.example"]),
            ("another host", Purpose::Session, ["sso", "admin.example"]),
            ("words cut elsewhere", Purpose::Session, ["ssosho", "p.example"]),
        ] {
            assert_eq!(key.open(purpose, &context, &sealed), None, "{case}");
        }
        let other = SealKey::from_seed(&[8; 32]).unwrap();
        assert_eq!(other.open(Purpose::Session, &["sso", "shop.example"], &sealed), None);
        assert!(matches!(SealKey::from_seed(&[7; 31]), Err(SealProblem::Key)));
    }

    #[test]
    fn no_changed_byte_opens() {
        let key = SealKey::from_seed(&[7; 32]).unwrap();
        let sealed = key.seal(Purpose::Session, &[], b"who").unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key.open(Purpose::Session, &[], &changed), None, "{place}");
        }
        for text in ["", "A", "====", "AAAAAAAAAAAAAAAA", "ü"] {
            assert_eq!(key.open(Purpose::Session, &[], text), None, "{text}");
        }
    }
}

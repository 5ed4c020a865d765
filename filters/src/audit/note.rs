//! C2SP signed notes with Ed25519: a text, a blank line, and signature lines that anybody with the public key can check.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_config::Redacted;

use super::encode_base64;
use super::merkle::sha256;

/// Largest note that is read, in bytes: sixteen post-quantum signatures fit.
pub const MAX_NOTE: usize = 128 * 1024;
const MAX_SIGNATURES: usize = 100;
/// Signature type byte of Ed25519.
const ED25519_TYPE: u8 = 1;
const DASH: &str = "\u{2014} ";

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key name `{0}` is empty, or has a space, a control character or a `+`")]
    Name(String),
    #[error("a verifier key is written `name+hash+key`")]
    Form,
    #[error("the hash in the verifier key is not that of its name and key")]
    Hash,
    #[error("the key is not an Ed25519 key")]
    NotEd25519,
    #[error("the seed has {0} bytes, not 32")]
    SeedLength(usize),
}

/// Why a note is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("it is not a signed note")]
    Malformed,
    #[error("it is larger than {MAX_NOTE} bytes")]
    TooLarge,
    #[error("it has no signature of the key")]
    Unsigned,
    #[error("its signature is not that of the key")]
    Forged,
}

/// Public half of a note key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl VerifyingKey {
    fn new(name: &str, public: [u8; 32]) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name(name.to_owned()));
        }
        let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[ED25519_TYPE], &public]);
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], public })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(text.as_bytes(), signature).is_ok()
    }
}

/// Names are not empty and have no Unicode space and no `+`; control characters could not stand in a note either.
fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

impl fmt::Display for VerifyingKey {
    /// `name+hash+key`, as `note` tools call it: a vkey.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), encode_base64(&key))
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        // Base64 has `+` too: the name and the hash end at the first two.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Form);
        };
        let key = STANDARD.decode(key).map_err(|_not_base64| KeyError::Form)?;
        let [ED25519_TYPE, public @ ..] = key.as_slice() else { return Err(KeyError::NotEd25519) };
        let Ok(public) = public.try_into() else { return Err(KeyError::NotEd25519) };
        let key = Self::new(name, public)?;
        if hash != format!("{:08x}", u32::from_be_bytes(key.id)) {
            return Err(KeyError::Hash);
        }
        Ok(key)
    }
}

/// A note key that signs. The seed itself is not kept.
#[derive(Debug)]
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A key from its 32-byte seed (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`KeyError::SeedLength`], or [`KeyError::Name`] where `name` cannot name a key.
    pub fn from_seed(name: &str, seed: &Redacted<Vec<u8>>) -> Result<Self, KeyError> {
        let seed = seed.expose();
        if seed.len() != 32 {
            return Err(KeyError::SeedLength(seed.len()));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_rejected| KeyError::NotEd25519)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_length| KeyError::NotEd25519)?;
        Ok(Self { verifying: VerifyingKey::new(name, public)?, pair })
    }

    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The whole note over `text`, which ends in a newline.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let mut signature = self.verifying.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{DASH}{} {}\n", self.verifying.name, encode_base64(&signature))
    }
}

/// A note as read; nothing in it may be believed before [`Note::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
    signatures: Vec<Signature<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature<'a> {
    name: &'a str,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Splits a note into text and signatures.
    ///
    /// # Errors
    /// [`NoteError::Malformed`], [`NoteError::TooLarge`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::TooLarge);
        }
        let note = std::str::from_utf8(bytes).map_err(|_not_utf8| NoteError::Malformed)?;
        if note.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteError::Malformed);
        }
        let (text, lines) = split_at_last_blank(note).ok_or(NoteError::Malformed)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let signatures: Option<Vec<_>> = lines.split('\n').take(MAX_SIGNATURES + 1).map(Signature::parse).collect();
        match signatures {
            Some(signatures) if signatures.len() <= MAX_SIGNATURES => Ok(Self { text, signatures }),
            _ => Err(NoteError::Malformed),
        }
    }

    /// The text, once `key` is seen to have signed it. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] where no signature names the key, [`NoteError::Forged`] where one does and is wrong.
    pub fn verify(&self, key: &VerifyingKey) -> Result<&'a str, NoteError> {
        let mut ours = self.signatures.iter().filter(|s| s.name == key.name && s.id == key.id).peekable();
        if ours.peek().is_none() {
            return Err(NoteError::Unsigned);
        }
        if ours.all(|signature| key.accepts(self.text, &signature.bytes)) {
            Ok(self.text)
        } else {
            Err(NoteError::Forged)
        }
    }
}

/// The text with its final newline, and what follows the last empty line.
fn split_at_last_blank(note: &str) -> Option<(&str, &str)> {
    let blank = note.rfind("\n\n")?;
    let (text, rest) = note.split_at_checked(blank.checked_add(1)?)?;
    Some((text, rest.strip_prefix('\n')?))
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
        let decoded = STANDARD.decode(signature).ok()?;
        let (id, bytes) = decoded.split_first_chunk::<4>()?;
        (is_key_name(name) && !bytes.is_empty()).then(|| Self { name, id: *id, bytes: bytes.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(name, &Redacted::new(vec![seed; 32])).unwrap()
    }

    /// The example of the golang.org/x/mod/sumdb/note documentation.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PETERS_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_published_note_verifies_under_its_published_key() {
        let key: VerifyingKey = PETER.parse().unwrap();
        assert_eq!(key.to_string(), PETER);
        let note = Note::parse(PETERS_NOTE.as_bytes()).unwrap();
        assert!(note.verify(&key).unwrap().ends_with("your problem is.\n"));
        let bent = PETERS_NOTE.replace("answer", "Answer");
        assert_eq!(Note::parse(bent.as_bytes()).unwrap().verify(&key), Err(NoteError::Forged));
    }

    #[test]
    fn only_the_key_that_signed_verifies() {
        let ours = key("log.example/edge", 1);
        let note = ours.sign("a\n\nb\n");
        let verify = |key: &SigningKey| Note::parse(note.as_bytes()).unwrap().verify(key.verifying_key());
        assert_eq!(verify(&ours), Ok("a\n\nb\n"));
        assert_eq!(verify(&key("log.example/edge", 2)), Err(NoteError::Unsigned), "same name, another key");
        assert_eq!(verify(&key("log.example/other", 1)), Err(NoteError::Unsigned), "same key, another name");
    }

    #[test]
    fn unknown_signatures_are_ignored_and_a_bad_known_one_spoils_the_note() {
        let (ours, other) = (key("log", 1), key("witness", 2));
        let (note, cosigned) = (ours.sign("t\n"), other.sign("t\n"));
        let line = cosigned.rsplit_once("\n\n").unwrap().1;
        let both = format!("{note}{line}");
        assert!(Note::parse(both.as_bytes()).unwrap().verify(ours.verifying_key()).is_ok());
        let other_text = ours.sign("u\n");
        let mixed = format!("{note}{}", other_text.rsplit_once("\n\n").unwrap().1);
        assert_eq!(Note::parse(mixed.as_bytes()).unwrap().verify(ours.verifying_key()), Err(NoteError::Forged));
    }

    #[test]
    fn what_is_not_a_note_is_not_read() {
        for (case, note) in [
            ("empty", ""),
            ("no signature", "text\n"),
            ("no signature line", "text\n\n"),
            ("no final newline", "t\n\n\u{2014} a AAAAAAA="),
            ("a hyphen", "t\n\n- a AAAAAAA=\n"),
            ("no key name", "t\n\n\u{2014}  AAAAAAA=\n"),
            ("short signature", "t\n\n\u{2014} a AAAAAA==\n"),
            ("base64 with spare bits", "t\n\n\u{2014} a AAAAAAB=\n"),
            ("carriage return", "t\r\n\n\u{2014} a AAAAAAA=\n"),
            ("plus in the name", "t\n\n\u{2014} a+b AAAAAAA=\n"),
        ] {
            assert_eq!(Note::parse(note.as_bytes()), Err(NoteError::Malformed), "{case}");
        }
        assert!(Note::parse("t\n\n\u{2014} a AAAAAAA=\n".as_bytes()).is_ok());
        assert_eq!(Note::parse(&vec![b'a'; MAX_NOTE + 1]), Err(NoteError::TooLarge));
        let many = "\u{2014} a AAAAAAA=\n".repeat(101);
        assert_eq!(Note::parse(format!("t\n\n{many}").as_bytes()), Err(NoteError::Malformed));
    }

    #[test]
    fn keys_that_contradict_themselves_are_refused() {
        for (text, want) in [
            ("", KeyError::Form),
            ("name+c74f20a3", KeyError::Form),
            ("PeterNeumann+c74f20a3+!", KeyError::Form),
            ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Hash),
            ("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Hash),
            ("PeterNeumann+c74f20a3+AhpcAA==", KeyError::NotEd25519),
            ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Name(String::new())),
        ] {
            assert_eq!(text.parse::<VerifyingKey>(), Err(want), "{text}");
        }
        let short = SigningKey::from_seed("a", &Redacted::new(vec![0; 31]));
        assert_eq!(short.unwrap_err(), KeyError::SeedLength(31));
        assert!(SigningKey::from_seed("a b", &Redacted::new(vec![0; 32])).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Note::parse(&bytes);
        }

        #[test]
        fn no_bit_of_a_note_changes_unnoticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let key = key("log", 3);
            let good = key.sign("origin\n7\nroot\n").into_bytes();
            let mut bent = good.clone();
            bent[at.index(good.len())] ^= 1 << bit;
            let read = Note::parse(&bent).and_then(|note| note.verify(key.verifying_key()).map(str::to_owned));
            prop_assert!(read.is_err());
        }
    }
}

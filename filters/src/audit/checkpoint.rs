//! C2SP checkpoints: the signed head of the tree.

use super::leaf::parse_decimal;
use super::merkle::Hash;
use super::note::{Note, NoteError, SigningKey, VerifyingKey};
use super::{decode_base64, encode_base64};

/// Origin, size and root of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log, one line.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    pub root: Hash,
    /// Opaque lines after the root; the log writes none.
    pub extensions: Vec<String>,
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("it is signed, but is not a checkpoint")]
    Malformed,
    #[error("it is of the log `{0}`")]
    OtherOrigin(String),
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = format!("{}\n{}\n{}\n", self.origin, self.size, encode_base64(&self.root));
        for line in &self.extensions {
            body.push_str(line);
            body.push('\n');
        }
        body
    }

    /// Reads the text of a checkpoint. `None` where a line is empty or not in its only spelling.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        let mut lines = body.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if origin.is_empty() || extensions.iter().any(String::is_empty) {
            return None;
        }
        let (size, root) = (parse_decimal(size.as_bytes())?, decode_base64(root)?);
        Some(Self { origin: origin.to_owned(), size, root, extensions })
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        key.sign(&self.body())
    }

    /// Reads a signed checkpoint of the log `origin`.
    ///
    /// # Errors
    /// [`CheckpointError`] where it is no note, not signed by `key`, no checkpoint, or of another log.
    pub fn open(note: &[u8], key: &VerifyingKey, origin: &str) -> Result<Self, CheckpointError> {
        let text = Note::parse(note)?.verify(key)?;
        let checkpoint = Self::parse(text).ok_or(CheckpointError::Malformed)?;
        if checkpoint.origin != origin {
            return Err(CheckpointError::OtherOrigin(checkpoint.origin));
        }
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use postern_config::Redacted;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed("log.example/edge", &Redacted::new(vec![9; 32])).unwrap()
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_signed() {
        let extensions = vec!["extension".to_owned()];
        for extensions in [Vec::new(), extensions] {
            let origin = "log.example/edge".to_owned();
            let checkpoint = Checkpoint { origin, size: 20_852_163, root: [3; 32], extensions };
            let note = checkpoint.sign(&key());
            assert!(note.starts_with("log.example/edge\n20852163\nAwMD"));
            let read = Checkpoint::open(note.as_bytes(), key().verifying_key(), "log.example/edge");
            assert_eq!(read, Ok(checkpoint));
            let read = Checkpoint::open(note.as_bytes(), key().verifying_key(), "log.example/other");
            assert_eq!(read, Err(CheckpointError::OtherOrigin("log.example/edge".into())));
        }
    }

    #[test]
    fn only_one_spelling_of_a_checkpoint_is_read() {
        let root = encode_base64(&[1; 32]);
        assert!(Checkpoint::parse(&format!("o\n0\n{root}\n")).is_some());
        for body in [
            String::new(),
            "o\n1\n".into(),
            format!("\n1\n{root}\n"),
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n\n{root}\n"),
            format!("o\n18446744073709551616\n{root}\n"),
            format!("o\n1\n{}\n", encode_base64(&[1; 31])),
            format!("o\n1\n{root}"),
            format!("o\n1\n{root}\n\n"),
            format!("o\n1\n{root}\n\nx\n"),
        ] {
            assert_eq!(Checkpoint::parse(&body), None, "{body:?}");
        }
    }
}

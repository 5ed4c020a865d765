//! Secrets and keys: named in manifests, read at load, never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroize;

/// Where a piece of material is. The material itself is never in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Material {
    /// `env:NAME`.
    Env(String),
    /// `file:/path`; relative paths were resolved against the bootstrap file.
    File(PathBuf),
}

impl fmt::Display for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// Why material could not be had. Names the place, never the content.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    #[error("environment variable `{0}` is not set")]
    EnvMissing(String),
    #[error("environment variable `{0}` is not text")]
    EnvNotText(String),
    #[error("file `{path}` cannot be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("file `{0}` can be read by its group or by everybody")]
    TooOpen(PathBuf),
    #[error("file `{0}` is larger than 1Mi")]
    TooLarge(PathBuf),
}

impl Material {
    const MAX: u64 = 1 << 20;

    /// Reads public material: certificates, key sets. At most 1Mi.
    ///
    /// # Errors
    /// [`MaterialError`] where it is absent, unreadable or too large.
    pub fn read_public(&self) -> Result<Vec<u8>, MaterialError> {
        match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(value) => Ok(value.into_bytes()),
                Err(std::env::VarError::NotPresent) => Err(MaterialError::EnvMissing(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => Err(MaterialError::EnvNotText(name.clone())),
            },
            Self::File(path) => {
                let unreadable = |source| MaterialError::Unreadable { path: path.clone(), source };
                let meta = std::fs::metadata(path).map_err(unreadable)?;
                if meta.len() > Self::MAX {
                    return Err(MaterialError::TooLarge(path.clone()));
                }
                std::fs::read(path).map_err(unreadable)
            }
        }
    }

    /// Reads a secret. A file that its group or others may read is refused. One trailing newline is dropped.
    ///
    /// # Errors
    /// As [`Material::read_public`], and [`MaterialError::TooOpen`].
    pub fn read_secret(&self) -> Result<Redacted<Vec<u8>>, MaterialError> {
        if let Self::File(path) = self {
            refuse_open_file(path)?;
        }
        let mut bytes = self.read_public()?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        Ok(Redacted::new(bytes))
    }
}

fn refuse_open_file(path: &Path) -> Result<(), MaterialError> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(path).map_err(|source| MaterialError::Unreadable { path: path.to_owned(), source })?;
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(MaterialError::TooOpen(path.to_owned()));
    }
    Ok(())
}

/// A value that must not be printed: `Debug` shows its length, `Drop` wipes it.
#[derive(Clone)]
pub struct Redacted<T: Zeroize + AsRef<[u8]>>(T);

impl<T: Zeroize + AsRef<[u8]>> Redacted<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Every caller of this is a place where a secret is used.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The value, to be filled in.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[redacted, {} bytes]", self.0.as_ref().len())
    }
}

impl<T: Zeroize + AsRef<[u8]>> Drop for Redacted<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

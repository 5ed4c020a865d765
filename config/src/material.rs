//! Secrets and keys: named in manifests, read at load, never printed.

mod mounted;

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use mounted::MountedSecret;
use zeroize::Zeroize;

/// Where a piece of material is. The material itself is never in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Material {
    /// `env:NAME`.
    Env(String),
    /// `file:/path`; relative paths were resolved against the bootstrap file.
    File(PathBuf),
    /// `secret:NAME/KEY`.
    Secret(Box<MountedSecret>),
}

impl fmt::Display for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Secret(secret) => secret.fmt(f),
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
    #[error(
        "`{0}` can be read by its group or by everybody; mount the Secret with `defaultMode: 0400`, for the user of the proxy"
    )]
    SecretTooOpen(PathBuf),
    #[error("`{0}` leads out of the folder of its Secret")]
    Elsewhere(PathBuf),
    #[error("`{0}` is not a file")]
    NotAFile(PathBuf),
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
            Self::Env(name) => variable(name),
            Self::File(path) => public(path),
            Self::Secret(secret) => public(&secret.resolved()?),
        }
    }

    /// The file to watch, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Env(_) => None,
            Self::File(path) => Some(path.clone()),
            Self::Secret(secret) => Some(secret.path()),
        }
    }

    /// Reads a secret. A file that its group or others may read is refused. One trailing newline is dropped.
    ///
    /// # Errors
    /// As [`Material::read_public`], and [`MaterialError::TooOpen`].
    pub fn read_secret(&self) -> Result<Redacted<Vec<u8>>, MaterialError> {
        self.read_secret_dated().map(|(secret, _)| secret)
    }

    /// As [`Material::read_secret`], with the Unix seconds at which its file was last written; none for what is no file.
    ///
    /// # Errors
    /// As there.
    pub fn read_secret_dated(&self) -> Result<(Redacted<Vec<u8>>, Option<i64>), MaterialError> {
        let (mut secret, written) = match self {
            Self::Env(name) => (Redacted(variable(name)?), None),
            Self::File(path) => secret_in(path)?,
            Self::Secret(secret) => secret_in(&secret.resolved()?).map_err(|error| match error {
                MaterialError::TooOpen(_) => MaterialError::SecretTooOpen(secret.path()),
                other => other,
            })?,
        };
        let bytes = &mut secret.0;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        Ok((secret, written))
    }
}

fn public(path: &Path) -> Result<Vec<u8>, MaterialError> {
    let (mut file, length) = open(path, false)?;
    let mut bytes = Vec::with_capacity(length);
    fill(&mut file, &mut bytes, path)?;
    Ok(bytes)
}

fn secret_in(path: &Path) -> Result<(Redacted<Vec<u8>>, Option<i64>), MaterialError> {
    use std::os::unix::fs::MetadataExt as _;
    let (mut file, length) = open(path, true)?;
    let written =
        file.metadata().map_err(|source| MaterialError::Unreadable { path: path.to_owned(), source })?.mtime();
    // Room for all of it: a buffer that grows leaves its pieces behind.
    let mut secret = Redacted(Vec::with_capacity(length));
    fill(&mut file, &mut secret.0, path)?;
    Ok((secret, Some(written)))
}

fn variable(name: &str) -> Result<Vec<u8>, MaterialError> {
    match std::env::var(name) {
        Ok(value) => Ok(value.into_bytes()),
        Err(std::env::VarError::NotPresent) => Err(MaterialError::EnvMissing(name.to_owned())),
        Err(std::env::VarError::NotUnicode(_)) => Err(MaterialError::EnvNotText(name.to_owned())),
    }
}

/// Opens a file, and says how much room it takes. It is the open file that is judged, not whatever has its name later.
fn open(path: &Path, secret: bool) -> Result<(File, usize), MaterialError> {
    use std::os::unix::fs::PermissionsExt as _;
    let unreadable = |source| MaterialError::Unreadable { path: path.to_owned(), source };
    // Opening a pipe would wait for somebody to write.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(MaterialError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if found.len() > Material::MAX {
        return Err(MaterialError::TooLarge(path.to_owned()));
    }
    if secret && found.permissions().mode() & 0o077 != 0 {
        return Err(MaterialError::TooOpen(path.to_owned()));
    }
    Ok((file, usize::try_from(found.len()).unwrap_or(0).saturating_add(1)))
}

fn fill(file: &mut File, bytes: &mut Vec<u8>, path: &Path) -> Result<(), MaterialError> {
    let read = file.take(Material::MAX.saturating_add(1)).read_to_end(bytes);
    read.map_err(|source| MaterialError::Unreadable { path: path.to_owned(), source })?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= Material::MAX) {
        Ok(())
    } else {
        Err(MaterialError::TooLarge(path.to_owned()))
    }
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_read_from_a_file_of_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let from = Material::File(path.clone());
        for (mode, good) in
            [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o660, false), (0o601, false)]
        {
            std::fs::write(&path, "hunter22\r\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = from.read_secret();
            assert_eq!(read.is_ok(), good, "{mode:o}");
            assert!(read.is_ok_and(|secret| secret.expose() == b"hunter22") || !good);
            assert!(from.read_public().is_ok(), "what is public may be open");
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Material::File(dir.path().to_owned()).read_secret(), Err(MaterialError::NotAFile(_))));
        let path = dir.path().join("large");
        File::create(&path).unwrap().set_len(Material::MAX + 1).unwrap();
        assert!(matches!(Material::File(path).read_public(), Err(MaterialError::TooLarge(_))));
    }

    #[test]
    fn a_secret_shows_its_length_and_nothing_else() {
        let secret = Redacted::new(b"hunter22".to_vec());
        assert_eq!(format!("{secret:?}"), "[redacted, 8 bytes]");
    }

    /// A volume as the kubelet makes it: the key is a link through `..data` to the folder of one version.
    #[test]
    fn a_mounted_secret_is_read_through_its_links_and_through_no_others() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("team-a/openai");
        let version = |name: &str, text: &str, mode: u32| {
            std::fs::create_dir_all(home.join(name)).unwrap();
            std::fs::write(home.join(name).join("key"), text).unwrap();
            std::fs::set_permissions(home.join(name).join("key"), std::fs::Permissions::from_mode(mode)).unwrap();
            let _ = std::fs::remove_file(home.join("..tmp"));
            symlink(name, home.join("..tmp")).unwrap();
            std::fs::rename(home.join("..tmp"), home.join("..data")).unwrap();
        };
        let from = Material::Secret(Box::new(MountedSecret::new(dir.path(), "team-a", "openai", "key").unwrap()));
        assert!(matches!(from.read_secret(), Err(MaterialError::Unreadable { .. })));
        version("..one", "first", 0o400);
        symlink("..data/key", home.join("key")).unwrap();
        assert_eq!(from.read_secret().unwrap().expose(), b"first");
        version("..two", "second", 0o400);
        assert_eq!(from.read_secret().unwrap().expose(), b"second");
        version("..three", "third", 0o644);
        let error = from.read_secret().unwrap_err();
        assert!(matches!(error, MaterialError::SecretTooOpen(_)) && error.to_string().contains("defaultMode: 0400"));
        assert_eq!(from.read_public().unwrap(), b"third", "what is public may be open");
        // The Secret of somebody else, and a file of the machine.
        let other = dir.path().join("team-b/openai");
        std::fs::create_dir_all(&other).unwrap();
        std::fs::write(other.join("key"), "theirs").unwrap();
        std::fs::set_permissions(other.join("key"), std::fs::Permissions::from_mode(0o400)).unwrap();
        for to in ["../../team-b/openai/key", "/etc/hostname"] {
            std::fs::remove_file(home.join("key")).unwrap();
            symlink(to, home.join("key")).unwrap();
            assert!(matches!(from.read_secret(), Err(MaterialError::Elsewhere(_))), "{to}");
            assert!(matches!(from.read_public(), Err(MaterialError::Elsewhere(_))), "{to}");
        }
        assert_eq!((from.to_string(), from.file()), ("secret:openai/key".to_owned(), Some(home.join("key"))));
    }
}

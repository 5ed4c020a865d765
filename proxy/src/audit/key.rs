//! The key that signs the log.
//!
//! In the note the key has the name of the log's origin, as tlog-checkpoint recommends, so that a verifier key also says which log
//! it is for: a checkpoint of another log with the same seed is not believed.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_config::{AuditKey, AuditLog, Material, MaterialError, Redacted};
use postern_filters::audit::note::{KeyError, SigningKey};
use zeroize::Zeroize as _;

use super::disk::{sync_dir, write_atomically};

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Material(#[from] MaterialError),
    #[error("the seed is neither 32 bytes nor their base64 or hexadecimal")]
    Seed,
    #[error("the origin of the log cannot name its key")]
    Key(#[from] KeyError),
    #[error("the key name `{0}` cannot be a file name: use letters, digits, `-`, `_` and `.`")]
    FileName(String),
    #[error("the system has no random bytes")]
    Random,
    #[error("the key file `{path}` cannot be written")]
    Unwritable { path: PathBuf, source: std::io::Error },
}

/// The signing key of the log. A key that is to be generated is made once and kept as `<state>/keys/<name>.seed`, mode 0600.
///
/// # Errors
/// [`LoadError`]; a file that others can read is refused, and so is an origin with a space or a `+`.
pub fn load(settings: &AuditLog, state_dir: &Path) -> Result<SigningKey, LoadError> {
    let seed = match &settings.key {
        AuditKey::Material { from, .. } => read_seed(from)?,
        AuditKey::Generate { name } => {
            let path = generated_path(state_dir, name)?;
            if !path.exists() {
                generate(&path)?;
            }
            read_seed(&Material::File(path))?
        }
    };
    Ok(SigningKey::from_seed(&settings.origin, &seed)?)
}

/// The key as it is now, where this process may read it. Nothing is made.
pub(crate) fn existing(settings: &AuditLog, state_dir: &Path) -> Option<SigningKey> {
    if let AuditKey::Generate { name } = &settings.key
        && !generated_path(state_dir, name).ok()?.exists()
    {
        return None;
    }
    load(settings, state_dir).ok()
}

/// Writes the public half beside the log, where operators look for it.
///
/// # Errors
/// Where the file cannot be written.
pub fn publish(dir: &Path, key: &SigningKey) -> std::io::Result<()> {
    write_atomically(&dir.join("log.vkey"), format!("{}\n", key.verifying_key()).as_bytes())
}

fn generated_path(state_dir: &Path, name: &str) -> Result<PathBuf, LoadError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 128 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(LoadError::FileName(name.to_owned()));
    }
    Ok(state_dir.join("keys").join(format!("{name}.seed")))
}

/// Makes a seed file. A link into place either makes the whole file or finds another process's whole file.
fn generate(path: &Path) -> Result<(), LoadError> {
    let unwritable = |source| LoadError::Unwritable { path: path.to_owned(), source };
    let mut seed = [0; 32];
    let filled = aws_lc_rs::rand::fill(&mut seed);
    let text = Redacted::new(format!("{}\n", STANDARD.encode(seed)));
    seed.zeroize();
    filled.map_err(|_unspecified| LoadError::Random)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(unwritable)?;
    let draft = path.with_extension(format!("seed.{}", std::process::id()));
    let linked = write_private(&draft, text.expose().as_bytes()).and_then(|()| std::fs::hard_link(&draft, path));
    let cleared = std::fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(unwritable(error)),
        _ => cleared.and_then(|()| sync_dir(dir)).map_err(unwritable),
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read_seed(from: &Material) -> Result<Redacted<Vec<u8>>, LoadError> {
    let text = from.read_secret()?;
    // Reading a secret drops a final newline, which a raw seed may end in.
    let exact = Redacted::new(from.read_public()?);
    if exact.expose().len() == 32 {
        return Ok(exact);
    }
    let seed = match text.expose().len() {
        64 => decode_hex(text.expose()),
        _ => STANDARD.decode(text.expose()).ok(),
    };
    seed.filter(|seed| seed.len() == 32).map(Redacted::new).ok_or(LoadError::Seed)
}

fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, _) = text.as_chunks::<2>();
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    fn settings(key: AuditKey) -> AuditLog {
        AuditLog {
            origin: "log.example/edge".into(),
            key,
            checkpoint_interval: Duration::from_secs(10),
            dir: PathBuf::new(),
            redact: vec![],
        }
    }

    #[test]
    fn a_key_is_generated_once_and_only_its_owner_can_read_it() {
        let state = tempfile::tempdir().unwrap();
        let settings = settings(AuditKey::Generate { name: "audit-log".into() });
        let first = load(&settings, state.path()).unwrap();
        let path = state.path().join("keys/audit-log.seed");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        let again = load(&settings, state.path()).unwrap();
        assert_eq!(first.verifying_key(), again.verifying_key());
        assert!(first.verifying_key().to_string().starts_with("log.example/edge+"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load(&settings, state.path()), Err(LoadError::Material(MaterialError::TooOpen(_)))));
    }

    #[test]
    fn a_seed_is_read_raw_in_base64_and_in_hexadecimal() {
        let dir = tempfile::tempdir().unwrap();
        let mut seed = [0x5a; 32];
        seed[31] = b'\n';
        let hex: String = seed.iter().map(|b| format!("{b:02x}")).collect();
        let mut keys = Vec::new();
        for (name, bytes) in [
            ("raw", seed.to_vec()),
            ("base64", STANDARD.encode(seed).into_bytes()),
            ("base64 line", format!("{}\n", STANDARD.encode(seed)).into_bytes()),
            ("hex", hex.clone().into_bytes()),
            ("hex line", format!("{}\r\n", hex.to_uppercase()).into_bytes()),
        ] {
            let path = dir.path().join(name);
            write_private(&path, &bytes).unwrap();
            let from = Material::File(path);
            let key = load(&settings(AuditKey::Material { name: "k".into(), from }), dir.path()).expect(name);
            keys.push(key.verifying_key().to_string());
        }
        keys.dedup();
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn what_is_not_a_seed_or_not_a_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [&b""[..], &[1; 31], &[1; 33], &[b'g'; 64], b"AAAA"] {
            let path = dir.path().join("seed");
            write_private(&path, bytes).unwrap();
            let key = AuditKey::Material { name: "k".into(), from: Material::File(path) };
            assert!(matches!(load(&settings(key), dir.path()), Err(LoadError::Seed)), "{bytes:?}");
        }
        for name in ["", "../up", ".hidden", "a/b", "a b"] {
            let key = AuditKey::Generate { name: name.into() };
            assert!(matches!(load(&settings(key), dir.path()), Err(LoadError::FileName(_))), "{name}");
        }
        let spaced = AuditLog { origin: "two words".into(), ..settings(AuditKey::Generate { name: "k".into() }) };
        assert!(matches!(load(&spaced, dir.path()), Err(LoadError::Key(_))));
    }
}

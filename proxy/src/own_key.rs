//! Keys of our own: 32 bytes that are made once and kept in the state directory, or that somebody hands us.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_config::{Material, MaterialError, OwnKey, Redacted};
use zeroize::Zeroize as _;

use crate::audit::sync_dir;

/// Why there is no such key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeedError {
    #[error(transparent)]
    Material(#[from] MaterialError),
    #[error("the seed is neither 32 bytes nor their base64 or hexadecimal")]
    Seed,
    #[error("the key name `{0}` cannot be a file name: use letters, digits, `-`, `_` and `.`")]
    FileName(String),
    #[error("the system has no random bytes")]
    Random,
    #[error("the key file `{path}` cannot be written")]
    Unwritable { path: PathBuf, source: std::io::Error },
}

/// The 32 bytes of `key`. One that is to be generated is made once and kept as `<state>/keys/<name>.seed`, mode 0600.
///
/// # Errors
/// [`SeedError`]; a file that others can read is refused.
pub(crate) fn seed(key: &OwnKey, state_dir: &Path) -> Result<Redacted<Vec<u8>>, SeedError> {
    match key {
        OwnKey::Material { from, .. } => read_seed(from),
        OwnKey::Generate { name } => {
            let path = generated_path(state_dir, name)?;
            if !path.exists() {
                generate(&path)?;
            }
            read_seed(&Material::File(path))
        }
    }
}

/// Whether [`seed`] would make none.
pub(crate) fn is_there(key: &OwnKey, state_dir: &Path) -> bool {
    match key {
        OwnKey::Material { .. } => true,
        OwnKey::Generate { name } => generated_path(state_dir, name).is_ok_and(|path| path.exists()),
    }
}

fn generated_path(state_dir: &Path, name: &str) -> Result<PathBuf, SeedError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 128 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(SeedError::FileName(name.to_owned()));
    }
    Ok(state_dir.join("keys").join(format!("{name}.seed")))
}

/// Makes a seed file. A link into place either makes the whole file or finds another process's whole file.
fn generate(path: &Path) -> Result<(), SeedError> {
    let unwritable = |source| SeedError::Unwritable { path: path.to_owned(), source };
    let mut seed = [0; 32];
    let filled = aws_lc_rs::rand::fill(&mut seed);
    let text = Redacted::new(format!("{}\n", STANDARD.encode(seed)));
    seed.zeroize();
    filled.map_err(|_unspecified| SeedError::Random)?;
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

fn read_seed(from: &Material) -> Result<Redacted<Vec<u8>>, SeedError> {
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
    seed.filter(|seed| seed.len() == 32).map(Redacted::new).ok_or(SeedError::Seed)
}

fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, _) = text.as_chunks::<2>();
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_generated_once_and_only_its_owner_can_read_it() {
        let state = tempfile::tempdir().unwrap();
        let key = OwnKey::Generate { name: "audit-log".into() };
        let first = seed(&key, state.path()).unwrap();
        let path = state.path().join("keys/audit-log.seed");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        assert_eq!(first.expose(), seed(&key, state.path()).unwrap().expose());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(seed(&key, state.path()), Err(SeedError::Material(MaterialError::TooOpen(_)))));
    }

    #[test]
    fn a_seed_is_read_raw_in_base64_and_in_hexadecimal() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = [0x5a; 32];
        bytes[31] = b'\n';
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        for (name, text) in [
            ("raw", bytes.to_vec()),
            ("base64", STANDARD.encode(bytes).into_bytes()),
            ("base64 line", format!("{}\n", STANDARD.encode(bytes)).into_bytes()),
            ("hex", hex.clone().into_bytes()),
            ("hex line", format!("{}\r\n", hex.to_uppercase()).into_bytes()),
        ] {
            let path = dir.path().join(name);
            write_private(&path, &text).unwrap();
            let key = OwnKey::Material { name: "k".into(), from: Material::File(path) };
            assert_eq!(seed(&key, dir.path()).expect(name).expose(), &bytes, "{name}");
        }
    }

    #[test]
    fn what_is_not_a_seed_or_not_a_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [&b""[..], &[1; 31], &[1; 33], &[b'g'; 64], b"AAAA"] {
            let path = dir.path().join("seed");
            write_private(&path, bytes).unwrap();
            let key = OwnKey::Material { name: "k".into(), from: Material::File(path) };
            assert!(matches!(seed(&key, dir.path()), Err(SeedError::Seed)), "{bytes:?}");
        }
        for name in ["", "../up", ".hidden", "a/b", "a b"] {
            let key = OwnKey::Generate { name: name.into() };
            assert!(matches!(seed(&key, dir.path()), Err(SeedError::FileName(_))), "{name}");
        }
    }
}

//! A key of a Kubernetes Secret, as a folder of Secrets shows it: `DIR/NAMESPACE/NAME/KEY`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::MaterialError;

/// `secret:NAME/KEY` of a manifest in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MountedSecret {
    namespace: String,
    name: String,
    key: String,
    /// The folder of all Secrets.
    dir: PathBuf,
}

/// Names of Secrets are DNS subdomains.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// Keys of Secrets are names of files, and none of them leads elsewhere.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=253).contains(&key.len()) && key.chars().all(inner) && key != "." && !key.starts_with("..")
}

impl MountedSecret {
    /// `None` where a name is not one: nothing that is written can lead to another namespace, or out of the folder.
    pub(crate) fn new(dir: &Path, namespace: &str, name: &str, key: &str) -> Option<Self> {
        let sound = is_secret_name(namespace) && is_secret_name(name) && is_secret_key(key);
        sound.then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            dir: dir.to_owned(),
        })
    }

    /// Where its file is. What is there may be a link, and another one a moment later.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder().join(&self.key)
    }

    fn folder(&self) -> PathBuf {
        self.dir.join(&self.namespace).join(&self.name)
    }

    /// The file that its links lead to at the moment. Kubernetes' own links stay within the folder of the Secret.
    pub(super) fn resolved(&self) -> Result<PathBuf, MaterialError> {
        let path = self.path();
        let unreadable = |source| MaterialError::Unreadable { path: path.clone(), source };
        let file = std::fs::canonicalize(&path).map_err(unreadable)?;
        let folder = std::fs::canonicalize(self.folder()).map_err(unreadable)?;
        if file.starts_with(folder) { Ok(file) } else { Err(MaterialError::Elsewhere(path)) }
    }
}

impl fmt::Display for MountedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret:{}/{}", self.name, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder_of_its_namespace() {
        let dir = Path::new("/run/secrets");
        for (namespace, name, key, good) in [
            ("team-a", "openai", "api-key", true),
            ("team-a", "openai.prod", "tls.crt", true),
            ("team-a", "openai", ".dockerconfigjson", true),
            ("team-a", "openai", "a..b", true),
            ("..", "openai", "key", false),
            ("team-a", "..", "key", false),
            ("team-a", ".", "key", false),
            ("team-a", "a/b", "key", false),
            ("team-a", "a..b", "key", false),
            ("team-a", "", "key", false),
            ("team-a", "Upper", "key", false),
            ("team-a", "openai", "..", false),
            ("team-a", "openai", "..data", false),
            ("team-a", "openai", ".", false),
            ("team-a", "openai", "a/b", false),
            ("team-a", "openai", "", false),
            ("team-a", "openai", "a\0b", false),
        ] {
            let made = MountedSecret::new(dir, namespace, name, key);
            assert_eq!(made.is_some(), good, "{namespace} {name} {key}");
            if let Some(made) = made {
                assert_eq!(made.path().parent(), Some(dir.join(namespace).join(name).as_path()));
            }
        }
    }
}

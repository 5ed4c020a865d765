//! How the files of a set look from outside: enough to see that one was written, replaced, added, removed or locked.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Folders within a folder of manifests, as deep as the loader goes.
const MAX_DEPTH: usize = 16;
/// Names looked at below one folder; the loader takes fewer files.
const MAX_NAMES: usize = 50_000;

/// Files as they were at one moment. Equal stamps mean that a load would read the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stamps(BTreeMap<PathBuf, Option<Stamp>>);

/// Inode and change time show a replaced file of the same length, and a mode that was corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamps {
    /// Looks at `paths`; of folders at the manifests in them, and below them.
    pub(crate) fn of(paths: &[PathBuf]) -> Self {
        let mut all = BTreeMap::new();
        for path in paths {
            if path.is_dir() {
                walk(path, |file| {
                    all.insert(file.to_owned(), stamp(file));
                });
            } else {
                all.insert(path.clone(), stamp(path));
            }
        }
        Self(all)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        length: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

/// Folders whose events concern `paths`: those the files are in, since editors and Kubernetes replace files instead of
/// writing into them, and those below folders of manifests.
pub(super) fn folders(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            all.extend(walk(path, |_| {}));
        }
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => continue,
        };
        if parent.is_dir() {
            all.insert(parent.to_owned());
        }
    }
    all
}

/// Shows every file below `folder` that the loader would read, and returns the folders it went through.
fn walk(folder: &Path, mut show: impl FnMut(&Path)) -> Vec<PathBuf> {
    let (mut open, mut seen, mut names) = (vec![(folder.to_owned(), 0)], Vec::new(), 0);
    while let Some((folder, depth)) = open.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        for entry in entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
            names += 1;
            if names > MAX_NAMES {
                return seen;
            }
            let path = entry.path();
            if path.is_dir() && depth < MAX_DEPTH {
                open.push((path, depth + 1));
            } else if is_manifest(&path) {
                show(&path);
            }
        }
        seen.push(folder);
    }
    seen
}

fn is_manifest(path: &Path) -> bool {
    let known = ["yaml", "yml", "json"];
    path.extension().is_some_and(|end| known.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn every_change_that_a_load_could_see_changes_the_stamps() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("manifests/deep/er")).unwrap();
        fs::write(at("postern.yaml"), "a").unwrap();
        fs::write(at("manifests/one.yaml"), "a").unwrap();
        let paths = [at("postern.yaml"), at("manifests"), at("absent.key")];
        let mut last = Stamps::of(&paths);
        let steps: [(&str, &dyn Fn()); 7] = [
            ("replaced by one of the same length", &|| {
                fs::write(at("draft"), "b").unwrap();
                fs::rename(at("draft"), at("postern.yaml")).unwrap();
            }),
            ("written in place", &|| fs::write(at("manifests/one.yaml"), "ab").unwrap()),
            ("added in a folder of a folder", &|| fs::write(at("manifests/deep/er/two.yml"), "").unwrap()),
            ("written there", &|| fs::write(at("manifests/deep/er/two.yml"), "a").unwrap()),
            ("removed there", &|| fs::remove_file(at("manifests/deep/er/two.yml")).unwrap()),
            ("named, and there at last", &|| fs::write(at("absent.key"), "a").unwrap()),
            ("given another mode", &|| {
                fs::set_permissions(at("absent.key"), fs::Permissions::from_mode(0o600)).unwrap();
            }),
        ];
        for (what, change) in steps {
            change();
            let now = Stamps::of(&paths);
            assert_ne!(now, last, "{what}");
            assert_eq!(now, Stamps::of(&paths), "{what}: looking changes nothing");
            last = now;
        }
        fs::write(at("manifests/.one.yaml.swp"), "").unwrap();
        fs::write(at("manifests/notes.txt"), "").unwrap();
        assert_eq!(Stamps::of(&paths), last, "what the loader does not read is no change");
    }

    #[test]
    fn a_bootstrap_file_without_a_folder_is_watched_in_the_working_directory() {
        assert_eq!(folders(&[PathBuf::from("postern.yaml")]), BTreeSet::from([PathBuf::from(".")]));
    }
}

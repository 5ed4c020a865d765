//! Reading files of bounded size, in a stable order.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::SourceFile;
use crate::{Code, Position, Report};

const PV_SHAPE: Code = Code(2);
const PV_CEILING: Code = Code(9);

/// Most files a folder of manifests may hold.
const MAX_FILES: usize = 10_000;
/// Folders within folders.
const MAX_FOLDERS: usize = 16;
/// One byte more than a manifest may have, so that the parser sees that it is too large.
const MAX_READ: u64 = (1 << 20) + 1;

/// Reads at most [`MAX_READ`] bytes.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_READ).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How problems name a file: relative to the bootstrap file where it is below it.
pub(crate) fn name_of(path: &Path, base: &Path) -> String {
    let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    path.strip_prefix(base).unwrap_or(path).display().to_string()
}

/// The files of a folder, and whether all of them could be read.
pub(crate) fn read_folder(folder: &Path, recursive: bool, base: &Path, report: &mut Report) -> (Vec<SourceFile>, bool) {
    let mut walk = Walk { recursive, base, report, paths: Vec::new(), cases: Vec::new(), whole: true };
    walk.folder(folder, 0);
    let Walk { mut paths, cases, mut whole, report, .. } = walk;
    paths.sort();
    // What stands in them is not enforced, so a manifest must not be among it.
    for path in cases {
        if let Ok(bytes) = read_file(&path) {
            crate::cases::refuse_manifests(&name_of(&path, base), &bytes, report);
        }
    }
    let mut files = Vec::new();
    let mut total = 0;
    for path in paths {
        match read_file(&path) {
            Ok(bytes) => {
                total += bytes.len();
                files.push(SourceFile { name: name_of(&path, base), bytes });
            }
            Err(error) => {
                unreadable(&path, base, &error, report);
                whole = false;
            }
        }
        // The parser reports a set that is too large; reading the rest of it would only use memory.
        if total > 16 << 20 {
            break;
        }
    }
    if files.is_empty() && whole {
        let help = "put manifests (`.yaml`, `.yml`, `.json`) there, or correct `manifests.path`";
        report.error(PV_SHAPE, &start(folder, base), "", "the folder holds no manifest", help);
        whole = false;
    }
    (files, whole)
}

/// The files of test cases below a folder, sorted.
pub(crate) fn case_files(folder: &Path, report: &mut Report) -> Vec<PathBuf> {
    let mut walk = Walk { recursive: true, base: folder, report, paths: Vec::new(), cases: Vec::new(), whole: true };
    walk.folder(folder, 0);
    let mut cases = walk.cases;
    cases.sort();
    cases
}

struct Walk<'r> {
    recursive: bool,
    base: &'r Path,
    report: &'r mut Report,
    paths: Vec<PathBuf>,
    /// Files of test cases.
    cases: Vec<PathBuf>,
    whole: bool,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) {
        if depth > MAX_FOLDERS {
            return self.refuse(
                folder,
                "folders are nested more than 16 deep",
                "flatten them; a link may lead back to its own folder",
            );
        }
        let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => {
                self.whole = false;
                return unreadable(folder, self.base, &error, self.report);
            }
        };
        for entry in entries {
            if !entry.file_name().to_string_lossy().starts_with('.') {
                self.entry(&entry.path(), depth);
            }
        }
    }

    fn entry(&mut self, path: &Path, depth: usize) {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() && self.recursive => self.folder(path, depth + 1),
            Ok(meta) if meta.is_file() && crate::cases::is_case_file(path) => {
                if self.cases.len() < MAX_FILES {
                    self.cases.push(path.to_owned());
                }
            }
            Ok(meta) if meta.is_file() && is_manifest(path) && self.paths.len() >= MAX_FILES => {
                self.refuse(path, "the folder holds more than 10000 files", "remove what is not needed");
            }
            Ok(meta) if meta.is_file() && is_manifest(path) => self.paths.push(path.to_owned()),
            Ok(_) => {}
            Err(error) => {
                self.whole = false;
                unreadable(path, self.base, &error, self.report);
            }
        }
    }

    fn refuse(&mut self, path: &Path, message: &str, help: &str) {
        self.whole = false;
        self.report.error(PV_CEILING, &start(path, self.base), "", message, help);
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Reports a file that cannot be read.
pub(crate) fn unreadable(path: &Path, base: &Path, error: &io::Error, report: &mut Report) {
    let message = format!("the file cannot be read: {error}");
    report.error(
        PV_SHAPE,
        &start(path, base),
        "",
        message,
        "check that it exists and that the proxy's user may read it",
    );
}

fn start(path: &Path, base: &Path) -> Position {
    Position { file: Arc::from(name_of(path, base)), line: 1, column: 1 }
}

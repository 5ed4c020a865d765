//! Files of the log: appended, or written whole or not at all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use postern_filters::audit::leaf::records_path;
use postern_filters::audit::tiles::{Kind, TileFile};

/// Makes renames and new names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Writes a file so that after a crash its old or its new content is there. The parent directory must exist.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    replace(path, bytes)?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".tmp");
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(&draft, path)
}

/// A whole file of at most `max` bytes, or `None` where there is none.
pub(super) fn read_bounded(path: &Path, max: usize) -> std::io::Result<Option<Vec<u8>>> {
    match read_beginning(path, max)? {
        Some(bytes) if bytes.len() > max => {
            Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("longer than {max} bytes")))
        }
        found => Ok(found),
    }
}

/// The first `max + 1` bytes of a file, or `None` where there is none.
pub(super) fn read_beginning(path: &Path, max: usize) -> std::io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The records file that is being written.
#[derive(Debug)]
pub(super) struct Segment {
    dir: PathBuf,
    number: u32,
    file: File,
    /// Bytes that are whole and on disk; what is behind them is a write that failed.
    good: u64,
    /// Whether the file's name is durable.
    named: bool,
}

impl Segment {
    /// Opens records file `number` behind its first `good` bytes and drops what is behind them.
    pub(super) fn open(dir: &Path, number: u32, good: u64) -> std::io::Result<Self> {
        let path = dir.join(records_path(number));
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        let mut segment = Self { dir: dir.to_owned(), number, file, good, named: false };
        segment.rewind()?;
        segment.file.sync_all()?;
        segment.name()?;
        Ok(segment)
    }

    fn rewind(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.good)?;
        self.file.seek(std::io::SeekFrom::Start(self.good))?;
        Ok(())
    }

    /// Appends whole lines and makes them durable; on an error nothing counts as written, and the call may be repeated. A file
    /// that would grow past `max` bytes is left, and the next begun.
    pub(super) fn append(&mut self, lines: &[u8], max: usize) -> std::io::Result<()> {
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if self.good > 0 && self.good.saturating_add(length) > u64::try_from(max).unwrap_or(u64::MAX) {
            self.next()?;
        }
        self.name()?;
        // After a failed write or sync the kernel may have kept any part of it.
        self.rewind()?;
        self.file.write_all(lines)?;
        self.file.sync_data()?;
        self.good = self.good.saturating_add(length);
        Ok(())
    }

    fn next(&mut self) -> std::io::Result<()> {
        let number = self.number.saturating_add(1);
        let path = self.dir.join(records_path(number));
        let file = File::options().write(true).create_new(true).open(path)?;
        (self.number, self.file, self.good, self.named) = (number, file, 0, false);
        Ok(())
    }

    fn name(&mut self) -> std::io::Result<()> {
        if !self.named {
            sync_dir(&self.dir.join("records"))?;
            self.named = true;
        }
        Ok(())
    }
}

/// Writes tiles and remembers what has to be synced before a checkpoint may name them.
#[derive(Debug)]
pub(super) struct TileStore {
    dir: PathBuf,
    unsynced: BTreeSet<PathBuf>,
    /// Directories of partial tiles whose full tile is written.
    outdated: Vec<PathBuf>,
}

impl TileStore {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), unsynced: BTreeSet::new(), outdated: Vec::new() }
    }

    /// Writes a tile. What a checkpoint over `covered` entries covers is never replaced by something else.
    pub(super) fn write(&mut self, file: &TileFile, covered: u64) -> std::io::Result<()> {
        let path = self.dir.join(file.tile.path());
        if let Some(there) = read_bounded(&path, file.bytes.len())? {
            if there == file.bytes {
                return Ok(());
            }
            if end_of(file) <= covered {
                let what = format!("`{}` does not hold what was signed", file.tile.path());
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
            }
        }
        let parent = path.parent().unwrap_or(&self.dir);
        std::fs::create_dir_all(parent)?;
        replace(&path, &file.bytes)?;
        let inside = parent.ancestors().take_while(|dir| dir.starts_with(&self.dir));
        self.unsynced.extend(inside.map(Path::to_owned));
        if file.tile.path() == file.tile.full_path() {
            self.outdated.push(self.dir.join(format!("{}.p", file.tile.full_path())));
        }
        Ok(())
    }

    /// Makes every tile written so far durable.
    pub(super) fn sync(&mut self) -> std::io::Result<()> {
        while let Some(dir) = self.unsynced.first() {
            sync_dir(dir)?;
            self.unsynced.pop_first();
        }
        Ok(())
    }

    /// Removes partial tiles that a full one has replaced. They are allowed to stay, so a failure is not one of the log.
    pub(super) fn remove_outdated(&mut self) {
        for dir in self.outdated.drain(..) {
            if let Err(error) = std::fs::remove_dir_all(&dir)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::debug!(path = %dir.display(), %error, "partial tiles stay beside their full tile");
            }
        }
    }
}

/// Entries of the log up to the end of a tile.
fn end_of(file: &TileFile) -> u64 {
    let items = file.tile.index.saturating_mul(256).saturating_add(u64::try_from(file.tile.width).unwrap_or(u64::MAX));
    match file.tile.kind {
        Kind::Entries => items,
        Kind::Hashes(level) => items.saturating_mul(256u64.saturating_pow(u32::from(level))),
    }
}

//! Takes up a log where the last process left it, killed at any byte included, or says why it must not be extended.

use std::fs::File;
use std::path::{Path, PathBuf};

use postern_filters::audit::checkpoint::{Checkpoint, CheckpointError};
use postern_filters::audit::leaf::{Commitment, Line, MAX_LINE, SEGMENT, records_path};
use postern_filters::audit::note::{MAX_NOTE, VerifyingKey};
use postern_filters::audit::tiles::{
    CHECKPOINT, Kind, Tile, TileFile, TileTree, WIDTH, decode_entries, decode_hashes, partials,
};

use super::disk::{Segment, read_bounded, sync_dir};

/// Why a log is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("`{path}` of the audit log")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("another process writes the audit log in `{0}`")]
    Locked(PathBuf),
    #[error("the checkpoint of the audit log is not believed; was the key or the origin changed?")]
    Checkpoint(#[from] CheckpointError),
    #[error("the audit log has records but no checkpoint")]
    NoCheckpoint,
    #[error("the audit log contradicts its checkpoint of {size} entries: {what}; see `postern audit verify`")]
    Contradiction { size: u64, what: String },
    #[error("`redact` of the audit log")]
    Redaction(#[from] postern_filters::audit::RedactionError),
    #[error("the writer of the audit log cannot be started")]
    Thread(#[source] std::io::Error),
}

/// A log ready to be extended.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Held as long as the process writes.
    pub(super) lock: File,
    pub(super) tree: TileTree,
    pub(super) segment: Segment,
    /// Entries under the last checkpoint; `None` where the log is new.
    pub(super) covered: Option<u64>,
    /// Tiles that the entries after the checkpoint complete.
    pub(super) full: Vec<TileFile>,
    /// Bytes of an unfinished record that were dropped.
    pub(super) torn_bytes: u64,
}

/// Opens or makes the log in `dir`, whose checkpoints `key` signs under its own name as origin.
pub(super) fn recover(dir: &Path, key: &VerifyingKey) -> Result<Recovered, OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    let records = dir.join("records");
    std::fs::create_dir_all(&records).map_err(io(&records))?;
    sync_dir(dir).map_err(io(dir))?;
    let lock = lock(dir)?;
    let reader = Reader { dir, covered: 0 };
    let last = reader.last_segment()?;
    let Some(note) = reader.read(CHECKPOINT, MAX_NOTE)? else {
        return match last {
            Some(number) if number > 0 || !reader.segment(number)?.is_empty() => Err(OpenError::NoCheckpoint),
            _ => {
                let segment = Segment::open(dir, 0, 0).map_err(io(&records))?;
                Ok(Recovered { lock, tree: TileTree::new(), segment, covered: None, full: Vec::new(), torn_bytes: 0 })
            }
        };
    };
    let head = Checkpoint::open(&note, key, key.name())?;
    let reader = Reader { dir, covered: head.size };
    let tree = reader.tree(&head)?;
    let tail = reader.tail(tree, last.unwrap_or(0))?;
    let segment = Segment::open(dir, last.unwrap_or(0), tail.good).map_err(io(&records))?;
    Ok(Recovered {
        lock,
        tree: tail.tree,
        segment,
        covered: Some(head.size),
        full: tail.full,
        torn_bytes: tail.torn_bytes,
    })
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let io = |source| OpenError::Io { path: path.clone(), source };
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Locked(dir.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
    }
}

struct Reader<'d> {
    dir: &'d Path,
    covered: u64,
}

/// The end of the records, read.
struct Tail {
    tree: TileTree,
    full: Vec<TileFile>,
    /// Length of the last file without its torn end.
    good: u64,
    torn_bytes: u64,
    /// Index of the next line.
    next: u64,
    /// Entries of the bundle that the last compared line is in, by the bundle's index.
    bundle: Option<(u64, Vec<Commitment>)>,
}

impl Reader<'_> {
    fn contradiction(&self, what: impl Into<String>) -> OpenError {
        OpenError::Contradiction { size: self.covered, what: what.into() }
    }

    fn read(&self, path: &str, max: usize) -> Result<Option<Vec<u8>>, OpenError> {
        let path = self.dir.join(path);
        read_bounded(&path, max).map_err(|source| OpenError::Io { path, source })
    }

    fn segment(&self, number: u32) -> Result<Vec<u8>, OpenError> {
        let path = records_path(number);
        let bytes = self.read(&path, SEGMENT + MAX_LINE)?;
        bytes.ok_or_else(|| self.contradiction(format!("`{path}` is missing")))
    }

    /// Number of the last records file; every one before it must be there.
    fn last_segment(&self) -> Result<Option<u32>, OpenError> {
        let dir = self.dir.join("records");
        let io = |source| OpenError::Io { path: dir.clone(), source };
        let mut count = 0u32;
        for entry in std::fs::read_dir(&dir).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            count = count.saturating_add(u32::from(Path::new(&name).extension().is_some_and(|end| end == "jsonl")));
        }
        let missing = (0..count).find(|number| !self.dir.join(records_path(*number)).exists());
        match missing {
            Some(number) => Err(self.contradiction(format!("`{}` is missing", records_path(number)))),
            None => Ok(count.checked_sub(1)),
        }
    }

    /// The tree under the checkpoint, from its rightmost tiles.
    fn tree(&self, head: &Checkpoint) -> Result<TileTree, OpenError> {
        let mut tiles = Vec::new();
        for tile in partials(head.size) {
            let hashes = self.tile(&tile)?.and_then(|bytes| decode_hashes(&bytes));
            tiles.push((tile, hashes.ok_or_else(|| self.contradiction(format!("`{}` is not whole", tile.path())))?));
        }
        let entries = self.bundle(head.size / 256, usize::try_from(head.size % 256).unwrap_or(0))?;
        TileTree::resume(head.size, &tiles, entries)
            .filter(|tree| tree.root() == head.root)
            .ok_or_else(|| self.contradiction("its tiles have another root"))
    }

    fn bundle(&self, index: u64, width: usize) -> Result<Vec<Commitment>, OpenError> {
        if width == 0 {
            return Ok(Vec::new());
        }
        let tile = Tile { kind: Kind::Entries, index, width };
        let entries = self.tile(&tile)?.and_then(|bytes| decode_entries(&bytes));
        entries.ok_or_else(|| self.contradiction(format!("`{}` is not whole", tile.path())))
    }

    /// A tile, or the beginning of the full one that replaced it.
    fn tile(&self, tile: &Tile) -> Result<Option<Vec<u8>>, OpenError> {
        let most = Tile { width: WIDTH, ..*tile }.len();
        for path in [tile.path(), tile.full_path()] {
            if let Some(mut bytes) = self.read(&path, most)? {
                bytes.truncate(tile.len());
                return Ok((bytes.len() == tile.len()).then_some(bytes));
            }
        }
        Ok(None)
    }

    /// Reads the last records file, and those before it back to the one with the last signed record. Signed records must be the
    /// ones that were signed; later ones are taken into the tree.
    fn tail(&self, tree: TileTree, last: u32) -> Result<Tail, OpenError> {
        let first = self.first_to_read(last)?;
        let mut tail = Tail { tree, full: Vec::new(), good: 0, torn_bytes: 0, next: 0, bundle: None };
        for number in first..=last {
            let bytes = self.segment(number)?;
            if number == first {
                tail.next = first_index(&bytes).unwrap_or(0);
            }
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
            let (lines, torn) = bytes.split_at_checked(whole).unwrap_or((&bytes, &[]));
            if number != last && !torn.is_empty() {
                return Err(self.contradiction(format!("`{}` ends in half a record", records_path(number))));
            }
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                self.take(&mut tail, line.strip_suffix(b"\n").unwrap_or(line))?;
            }
            tail.good = u64::try_from(lines.len()).unwrap_or(u64::MAX);
            tail.torn_bytes = u64::try_from(torn.len()).unwrap_or(u64::MAX);
        }
        if tail.next < self.covered {
            return Err(self.contradiction(format!("its records end after {}", tail.next)));
        }
        Ok(tail)
    }

    /// The last file that begins with a signed record, or the first file.
    fn first_to_read(&self, last: u32) -> Result<u32, OpenError> {
        for number in (1..=last).rev() {
            if first_index(&self.segment(number)?).is_some_and(|index| index < self.covered) {
                return Ok(number);
            }
        }
        Ok(0)
    }

    fn take(&self, tail: &mut Tail, line: &[u8]) -> Result<(), OpenError> {
        let index = tail.next;
        let line = Line::parse(line).filter(|line| line.index == index);
        let commitment = line.ok_or_else(|| self.contradiction(format!("record {index} is not one")))?.commitment();
        if index >= self.covered {
            tail.tree.push(commitment, &mut tail.full);
        } else if self.signed(tail, index)? != Some(commitment) {
            return Err(self.contradiction(format!("record {index} is not the one that was signed")));
        }
        tail.next = index.saturating_add(1);
        Ok(())
    }

    fn signed(&self, tail: &mut Tail, index: u64) -> Result<Option<Commitment>, OpenError> {
        let row = index / 256;
        if tail.bundle.as_ref().is_none_or(|(at, _)| *at != row) {
            let width =
                usize::try_from(self.covered.saturating_sub(row.saturating_mul(256))).unwrap_or(WIDTH).min(WIDTH);
            tail.bundle = Some((row, self.bundle(row, width)?));
        }
        let offset = usize::try_from(index % 256).unwrap_or(WIDTH);
        Ok(tail.bundle.as_ref().and_then(|(_, entries)| entries.get(offset).copied()))
    }
}

fn first_index(bytes: &[u8]) -> Option<u64> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    Line::parse(line).map(|line| line.index)
}

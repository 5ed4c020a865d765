//! Checks that every tile above level 0, and every partial tile of an earlier checkpoint, follows from the tiles of level 0.

use super::columns::read_tile;
use super::{BadEntry, LogSource, Tampering, VerifyError, read};
use crate::audit::tiles::{Kind, Tile, TileFile, TileTree};

pub(super) struct Upper {
    tree: TileTree,
    bad: Option<BadEntry>,
    full: Vec<TileFile>,
}

impl Upper {
    pub(super) fn new() -> Self {
        Self { tree: TileTree::new(), bad: None, full: Vec::new() }
    }

    /// The next leaf of level 0.
    pub(super) fn push(&mut self, source: &dyn LogSource, leaf: [u8; 32]) -> Result<(), VerifyError> {
        self.tree.push_leaf(leaf, &mut self.full);
        for file in std::mem::take(&mut self.full) {
            self.compare(source, &file)?;
        }
        Ok(())
    }

    /// The first file that is wrong, once `covered` leaves were pushed.
    pub(super) fn finish(mut self, source: &dyn LogSource, covered: u64) -> Result<Option<BadEntry>, VerifyError> {
        // With a hole in level 0 nothing above it can be told.
        if self.tree.size() != covered {
            return Ok(None);
        }
        for file in self.tree.partial_files() {
            self.compare(source, &file)?;
            self.compare_narrower(source, &file)?;
        }
        Ok(self.bad)
    }

    fn compare(&mut self, source: &dyn LogSource, file: &TileFile) -> Result<(), VerifyError> {
        if file.tile.kind == Kind::Hashes(0) || self.bad.is_some() {
            return Ok(());
        }
        let there = read_tile(source, &file.tile)?;
        self.bad = match there {
            Some(bytes) if bytes == file.bytes => None,
            Some(bytes) => Some(wrong(&file.tile, &bytes, &file.bytes)),
            None => Some(BadEntry { what: Tampering::FileMissing, ..wrong(&file.tile, &[], &file.bytes) }),
        };
        Ok(())
    }

    fn compare_narrower(&mut self, source: &dyn LogSource, file: &TileFile) -> Result<(), VerifyError> {
        if self.bad.is_none() {
            self.bad = first_bad_narrower(source, file)?;
        }
        Ok(())
    }
}

/// Partial tiles or bundles of earlier checkpoints, kept until the full one is there: each must be the beginning of `file`.
pub(super) fn first_bad_narrower(source: &dyn LogSource, file: &TileFile) -> Result<Option<BadEntry>, VerifyError> {
    for width in 1..file.tile.width {
        let tile = Tile { width, ..file.tile };
        let Some(bytes) = read(source, &tile.path(), file.tile.len())? else { continue };
        let wanted = file.bytes.get(..tile.len()).unwrap_or_default();
        if bytes != wanted {
            return Ok(Some(wrong(&tile, &bytes, wanted)));
        }
    }
    Ok(None)
}

/// Names the first entry under the first item of a tile that is not the wanted one.
fn wrong(tile: &Tile, found: &[u8], wanted: &[u8]) -> BadEntry {
    let same = found.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let item = u64::try_from(same / Tile { width: 1, ..*tile }.len()).unwrap_or(0);
    let (level, what) = match tile.kind {
        Kind::Hashes(level) => (u32::from(level), Tampering::TileWrong),
        Kind::Entries => (0, Tampering::EntryWrong),
    };
    let items = tile.index.saturating_mul(256).saturating_add(item);
    BadEntry { index: Some(items.saturating_mul(256u64.saturating_pow(level))), file: tile.path(), what }
}

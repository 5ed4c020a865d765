//! One pass over records, entry bundles and tiles, side by side.

use super::records::{Records, Step};
use super::sequence::Sequences;
use super::upper::{Upper, first_bad_narrower};
use super::{BadEntry, LogSource, Tampering, VerifyError, read};
use crate::audit::leaf::{Commitment, Line};
use crate::audit::merkle::{CompactRange, Hash};
use crate::audit::tiles::{Kind, Tile, TileFile, WIDTH, decode_entries, decode_hashes};

/// Where a leaf hash was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Records,
    Entries,
    Tiles,
}

/// What the pass found.
#[derive(Debug)]
pub(super) struct Columns {
    /// Root of each column over the signed size; `None` where the column has a hole.
    roots: [Option<Hash>; 3],
    /// First index at which two columns differ: records and entries, records and tiles, entries and tiles.
    differ: [Option<u64>; 3],
    /// Whole records, those under no checkpoint included.
    pub(super) records_total: u64,
    pub(super) last_file: String,
    pub(super) torn_bytes: u64,
    /// Root of the records at the size of the kept checkpoint.
    pub(super) kept_root: Option<Hash>,
    /// First tile above level 0, or partial tile or bundle of an earlier checkpoint, that does not follow from level 0.
    pub(super) upper: Option<BadEntry>,
    /// First line under no checkpoint that is not the next record.
    pub(super) stray: Option<BadEntry>,
    pub(super) sequences: Sequences,
}

/// A column while it grows; `None` once an entry was missing.
struct Growing(Option<CompactRange>);

impl Growing {
    fn push(&mut self, leaf: Option<Hash>) {
        match (leaf, &mut self.0) {
            (Some(leaf), Some(range)) => range.push(leaf),
            (_, range) => *range = None,
        }
    }

    fn root(&self) -> Option<Hash> {
        self.0.as_ref().map(CompactRange::root)
    }
}

impl Columns {
    /// Walks the first `covered` entries in all columns, and the records beyond in theirs.
    pub(super) fn walk(source: &dyn LogSource, covered: u64, kept: Option<u64>) -> Result<Self, VerifyError> {
        let mut records = Records::open(source)?;
        let mut grow = std::array::from_fn(|_| Growing(Some(CompactRange::new())));
        let [by_record, by_entry, by_tile] = &mut grow;
        let mut upper = Upper::new();
        let mut found = Self {
            roots: [None; 3],
            differ: [None; 3],
            records_total: 0,
            last_file: records.file(),
            torn_bytes: 0,
            kept_root: None,
            upper: None,
            stray: None,
            sequences: Sequences::default(),
        };
        let mut at = 0;
        while at < covered {
            let entries = read_column(source, Column::Entries, at, covered)?;
            let tiles = read_column(source, Column::Tiles, at, covered)?;
            for offset in 0..width_at(at, covered) {
                found.note_kept(by_record, kept);
                let record = found.next_record(&mut records)?.map(|commitment| commitment.leaf());
                let (entry, tile) = (entries.get(offset).copied(), tiles.get(offset).copied());
                found.compare(at, [record, entry, tile]);
                by_record.push(record);
                by_entry.push(entry);
                by_tile.push(tile);
                if let Some(leaf) = tile {
                    upper.push(source, leaf)?;
                }
                at = at.saturating_add(1);
            }
        }
        found.roots = [by_record.root(), by_entry.root(), by_tile.root()];
        found.upper =
            upper.finish(source, covered)?.map_or_else(|| bad_old_bundle(source, covered), |bad| Ok(Some(bad)))?;
        found.walk_uncovered(&mut records, by_record, kept)?;
        Ok(found)
    }

    /// Which column hashes to the signed root; tiles first, since other tools read those.
    pub(super) fn truth(&self, root: &Hash) -> Option<Column> {
        let [records, entries, tiles] = self.roots;
        [(tiles, Column::Tiles), (entries, Column::Entries), (records, Column::Records)]
            .into_iter()
            .find_map(|(found, column)| (found.as_ref() == Some(root)).then_some(column))
    }

    /// First index at which two columns differ.
    pub(super) fn first_difference(&self, a: Column, b: Column) -> Option<u64> {
        let [records_entries, records_tiles, entries_tiles] = self.differ;
        match (a, b) {
            (Column::Records, Column::Entries) | (Column::Entries, Column::Records) => records_entries,
            (Column::Records, Column::Tiles) | (Column::Tiles, Column::Records) => records_tiles,
            (Column::Entries, Column::Tiles) | (Column::Tiles, Column::Entries) => entries_tiles,
            _ => None,
        }
    }

    fn compare(&mut self, at: u64, [record, entry, tile]: [Option<Hash>; 3]) {
        for (slot, (a, b)) in self.differ.iter_mut().zip([(record, entry), (record, tile), (entry, tile)]) {
            if slot.is_none() && (a.is_none() || a != b) {
                *slot = Some(at);
            }
        }
    }

    fn note_kept(&mut self, by_record: &Growing, kept: Option<u64>) {
        if let Some(range) = &by_record.0
            && Some(range.size()) == kept
        {
            self.kept_root = Some(range.root());
        }
    }

    /// The next record as the signed part wants it: `None` where there is none, or not with the next index.
    fn next_record(&mut self, records: &mut Records<'_>) -> Result<Option<Commitment>, VerifyError> {
        let index = self.records_total;
        let commitment = match records.step()? {
            Step::Line(line) => {
                self.records_total = index.saturating_add(1);
                let line = Line::parse(line).filter(|line| line.index == index);
                if let Some(line) = &line {
                    self.sequences.observe(index, line.record);
                }
                line.map(|line| line.commitment())
            }
            Step::Torn(bytes) => {
                self.torn_bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                None
            }
            Step::End => None,
        };
        self.last_file = records.file();
        Ok(commitment)
    }

    fn walk_uncovered(
        &mut self,
        records: &mut Records<'_>,
        by_record: &mut Growing,
        kept: Option<u64>,
    ) -> Result<(), VerifyError> {
        loop {
            self.note_kept(by_record, kept);
            let before = self.records_total;
            let record = self.next_record(records)?;
            if self.records_total == before {
                return Ok(());
            }
            if record.is_none() && self.stray.is_none() {
                let what = Tampering::NotARecord;
                self.stray = Some(BadEntry { index: Some(before), file: self.last_file.clone(), what });
            }
            by_record.push(record.map(|commitment| commitment.leaf()));
        }
    }
}

/// The first bundle of an earlier checkpoint that is not the beginning of the last bundle.
fn bad_old_bundle(source: &dyn LogSource, covered: u64) -> Result<Option<BadEntry>, VerifyError> {
    let tile = tile_at(Column::Entries, covered / 256 * 256, covered);
    match read_tile(source, &tile)? {
        Some(bytes) => first_bad_narrower(source, &TileFile { tile, bytes }),
        None => Ok(None),
    }
}

/// How many entries of the bundle that begins at `at` a log of `covered` entries has.
pub(super) fn width_at(at: u64, covered: u64) -> usize {
    usize::try_from(covered.saturating_sub(at)).unwrap_or(WIDTH).min(WIDTH)
}

/// The tile or bundle of a column that begins at entry `at`.
pub(super) fn tile_at(column: Column, at: u64, covered: u64) -> Tile {
    let kind = if column == Column::Tiles { Kind::Hashes(0) } else { Kind::Entries };
    Tile { kind, index: at / 256, width: width_at(at, covered) }
}

/// Leaf hashes of 256 entries from a bundle or tile, fewer where the file is short or absent. A partial one that was replaced
/// by the full one is read from that.
pub(super) fn read_column(
    source: &dyn LogSource,
    column: Column,
    at: u64,
    covered: u64,
) -> Result<Vec<Hash>, VerifyError> {
    let tile = tile_at(column, at, covered);
    let Some(bytes) = read_tile(source, &tile)? else { return Ok(Vec::new()) };
    let hashes = match column {
        Column::Entries => decode_entries(&bytes).map(|entries| entries.iter().map(Commitment::leaf).collect()),
        _ => decode_hashes(&bytes),
    };
    Ok(hashes.unwrap_or_default())
}

/// The bytes of a tile or bundle, cut to its width.
pub(super) fn read_tile(source: &dyn LogSource, tile: &Tile) -> Result<Option<Vec<u8>>, VerifyError> {
    let most = Tile { width: WIDTH, ..*tile }.len();
    let exact = read(source, &tile.path(), most)?.filter(|bytes| bytes.len() == tile.len());
    if exact.is_some() || tile.width >= WIDTH {
        return Ok(exact);
    }
    let full = read(source, &tile.full_path(), most)?.filter(|bytes| bytes.len() == most);
    Ok(full.map(|mut bytes| {
        bytes.truncate(tile.len());
        bytes
    }))
}

//! From where the columns part to what was done.

use super::columns::{Column, Columns, read_column, tile_at};
use super::records::{Records, Step};
use super::{BadEntry, LogSource, Tampering, VerifyError, read};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::leaf::{Line, MAX_LINE, SEGMENT, records_path};
use crate::audit::merkle::Hash;
use crate::audit::tiles::CHECKPOINT;

/// The first thing that is not what `head` signed.
pub(super) fn first_bad(
    source: &dyn LogSource,
    columns: &Columns,
    head: &Checkpoint,
) -> Result<Option<BadEntry>, VerifyError> {
    let Some(truth) = columns.truth(&head.root) else { return undecided(source, columns, head).map(Some) };
    let first = [Column::Records, Column::Entries, Column::Tiles]
        .into_iter()
        .filter_map(|column| Some((columns.first_difference(column, truth)?, column)))
        .min_by_key(|(index, _)| *index);
    match first {
        Some((index, column)) => name(source, column, truth, index, head.size).map(Some),
        None => Ok(columns.upper.clone().or_else(|| columns.stray.clone())),
    }
}

/// No column hashes to the signed root. Where one stands against two, it is the bad one; where all agree, all were rewritten.
fn undecided(source: &dyn LogSource, columns: &Columns, head: &Checkpoint) -> Result<BadEntry, VerifyError> {
    let difference = |a, b| columns.first_difference(a, b);
    let records_entries = difference(Column::Records, Column::Entries);
    let records_tiles = difference(Column::Records, Column::Tiles);
    let entries_tiles = difference(Column::Entries, Column::Tiles);
    let first = [records_entries, records_tiles, entries_tiles].into_iter().flatten().min();
    let Some(index) = first else {
        let rewritten = BadEntry { index: None, file: CHECKPOINT.to_owned(), what: Tampering::RootWrong };
        // The tile above may still know from where.
        let known = columns.upper.clone().map(|upper| BadEntry { what: Tampering::RootWrong, ..upper });
        return Ok(known.unwrap_or(rewritten));
    };
    let here = |found: Option<u64>| found == Some(index);
    let (bad, witness) = match (here(records_entries), here(records_tiles), here(entries_tiles)) {
        (false, ..) => (Column::Tiles, Column::Records),
        (_, false, _) => (Column::Entries, Column::Records),
        _ => (Column::Records, Column::Entries),
    };
    name(source, bad, witness, index, head.size)
}

/// Says what is wrong with `column` at `index`, where `truth` has it right.
fn name(
    source: &dyn LogSource,
    column: Column,
    truth: Column,
    index: u64,
    covered: u64,
) -> Result<BadEntry, VerifyError> {
    if column == Column::Records {
        return Ok(Diagnosis::new(source, truth, index, covered)?.name());
    }
    let tile = tile_at(column, index / 256 * 256, covered);
    let there = [tile.path(), tile.full_path()]
        .into_iter()
        .map(|path| read(source, &path, SEGMENT))
        .collect::<Result<Vec<_>, _>>()?;
    let what = match (there.iter().any(Option::is_some), column) {
        (false, _) => Tampering::FileMissing,
        (true, Column::Entries) => Tampering::EntryWrong,
        (true, _) => Tampering::TileWrong,
    };
    Ok(BadEntry { index: Some(index), file: tile.path(), what })
}

/// Everything about the first bad record.
struct Diagnosis {
    index: u64,
    covered: u64,
    file: String,
    /// Its leaf, where it is a record at all.
    leaf: Option<Hash>,
    /// Where the tree has that leaf.
    belongs: Option<u64>,
    /// Whether a later line is the record that belongs here.
    displaced: bool,
    /// Lines in the records files.
    lines: u64,
    /// A records file that is missing, though a later one is there.
    missing: Option<String>,
}

impl Diagnosis {
    fn new(source: &dyn LogSource, truth: Column, index: u64, covered: u64) -> Result<Self, VerifyError> {
        let wanted = leaf_at(source, truth, index, covered)?;
        let mut records = Records::open(source)?;
        let mut found = Self {
            index,
            covered,
            file: records.file(),
            leaf: None,
            belongs: None,
            displaced: false,
            lines: 0,
            missing: None,
        };
        while let Step::Line(line) = records.step()? {
            let leaf = Line::parse(line).map(|line| line.commitment().leaf());
            if found.lines == index {
                (found.leaf, found.file) = (leaf, records.file());
            } else if found.lines > index && leaf.is_some() && leaf == wanted {
                found.displaced = true;
            }
            found.lines = found.lines.saturating_add(1);
        }
        if found.lines <= index {
            found.file = records.file();
            found.missing = missing_file(source, &found.file)?;
        }
        if let Some(leaf) = found.leaf {
            found.belongs = place_of(source, truth, &leaf, covered)?;
        }
        Ok(found)
    }

    fn name(self) -> BadEntry {
        let index = self.index;
        let what = match (self.belongs, self.displaced) {
            _ if self.lines <= index && self.missing.is_some() => {
                Tampering::Removed { count: self.covered.saturating_sub(index) }
            }
            _ if self.lines <= index => Tampering::Shortened { records: self.lines, covered: self.covered },
            (Some(place), _) if place < index => Tampering::Duplicated { of: place },
            (Some(place), true) if place > index => Tampering::Reordered { belongs: place },
            (Some(place), false) if place > index => Tampering::Removed { count: place.saturating_sub(index) },
            (None, true) => Tampering::RecordWithoutLeaf,
            _ => Tampering::Edited,
        };
        BadEntry { index: Some(index), file: self.missing.unwrap_or(self.file), what }
    }
}

/// The file after `last`, if it is absent and the one after it is not.
fn missing_file(source: &dyn LogSource, last: &str) -> Result<Option<String>, VerifyError> {
    let after = (0..u32::MAX).find(|number| records_path(*number) == last).unwrap_or(0).saturating_add(1);
    let there = |number| Ok(read(source, &records_path(number), SEGMENT + MAX_LINE)?.is_some());
    // Records::open takes an absent first file for an empty one.
    let number = if after == 1 && !there(0)? { 0 } else { after };
    Ok((!there(number)? && there(number.saturating_add(1))?).then(|| records_path(number)))
}

fn leaf_at(source: &dyn LogSource, column: Column, index: u64, covered: u64) -> Result<Option<Hash>, VerifyError> {
    let chunk = read_column(source, column, index / 256 * 256, covered)?;
    Ok(usize::try_from(index % 256).ok().and_then(|offset| chunk.get(offset).copied()))
}

fn place_of(source: &dyn LogSource, column: Column, leaf: &Hash, covered: u64) -> Result<Option<u64>, VerifyError> {
    let mut at = 0;
    while at < covered {
        let chunk = read_column(source, column, at, covered)?;
        if let Some(offset) = chunk.iter().position(|hash| hash == leaf) {
            return Ok(Some(at.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX))));
        }
        at = at.saturating_add(256);
    }
    Ok(None)
}

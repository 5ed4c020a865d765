//! C2SP tlog-tiles: where hashes and entries of the tree are kept, so that other log tools can read them.
//!
//! A tile holds up to 256 hashes of one level of tiles; level 0 are the leaf hashes, a hash of level `l + 1` is the head of a full
//! tile of level `l`. An entry bundle holds the 256 entries under a level-0 tile, each after its length as a big-endian `u16`.

use super::leaf::Commitment;
use super::merkle::{CompactRange, Hash, root_of};

/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH: usize = 256;
const WIDTH_U64: u64 = 256;
/// Name of the signed head, relative to the log's directory.
pub const CHECKPOINT: &str = "checkpoint";
/// Bytes of one entry in a bundle: its length and the commitment.
const ENTRY: usize = 34;
/// Most levels a tree of 2^64 entries has.
pub const LEVELS: u8 = 8;

/// What a tile file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Hashes of this level.
    Hashes(u8),
    Entries,
}

/// A file of the log: kind, index in its row, and how many hashes or entries it holds, 1 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    pub kind: Kind,
    pub index: u64,
    pub width: usize,
}

impl Tile {
    /// `tile/0/x001/x234/067`, `tile/entries/000.p/17`.
    #[must_use]
    pub fn path(&self) -> String {
        let base = self.full_path();
        if self.width >= WIDTH { base } else { format!("{base}.p/{}", self.width) }
    }

    /// The path the tile has once it is full.
    #[must_use]
    pub fn full_path(&self) -> String {
        let kind = match self.kind {
            Kind::Hashes(level) => level.to_string(),
            Kind::Entries => "entries".to_owned(),
        };
        format!("tile/{kind}/{}", index_path(self.index))
    }

    /// Exact length of the file.
    #[must_use]
    pub fn len(&self) -> usize {
        let one = if self.kind == Kind::Entries { ENTRY } else { 32 };
        self.width.saturating_mul(one)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.width == 0
    }
}

/// `1234067` is `x001/x234/067`.
fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// The partial tiles that a checkpoint over `size` entries needs beside the full ones, lowest level first.
pub fn partials(size: u64) -> impl Iterator<Item = Tile> {
    let mut at_level = size;
    (0..LEVELS).filter_map(move |level| {
        let (index, width) = (at_level / WIDTH_U64, usize::try_from(at_level % WIDTH_U64).unwrap_or(0));
        at_level = index;
        (width > 0).then_some(Tile { kind: Kind::Hashes(level), index, width })
    })
}

/// Hashes as a tile's bytes.
#[must_use]
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Commitments as an entry bundle's bytes.
#[must_use]
pub fn encode_entries(entries: &[Commitment]) -> Vec<u8> {
    entries.iter().flat_map(|entry| [&[0, 32], entry.0.as_slice()].concat()).collect()
}

/// A tile's bytes as hashes; `None` unless they are whole.
#[must_use]
pub fn decode_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && hashes.len() <= WIDTH).then(|| hashes.to_vec())
}

/// A bundle's bytes as commitments; `None` unless every entry is one.
#[must_use]
pub fn decode_entries(bytes: &[u8]) -> Option<Vec<Commitment>> {
    let (entries, rest) = bytes.as_chunks::<ENTRY>();
    if !rest.is_empty() || entries.len() > WIDTH {
        return None;
    }
    entries.iter().map(|entry| entry.strip_prefix(&[0, 32])?.try_into().ok().map(Commitment)).collect()
}

/// A growing tree that says which tiles are complete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TileTree {
    range: CompactRange,
    /// Hashes of the rightmost tile of each level, fewer than 256 each.
    levels: Vec<Vec<Hash>>,
    /// Entries of the rightmost bundle, fewer than 256.
    entries: Vec<Commitment>,
}

/// A tile and its bytes, to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileFile {
    pub tile: Tile,
    pub bytes: Vec<u8>,
}

impl TileTree {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn size(&self) -> u64 {
        self.range.size()
    }

    #[must_use]
    pub fn root(&self) -> Hash {
        self.range.root()
    }

    /// Appends an entry; `full` gets every tile and bundle it completes.
    pub fn push(&mut self, entry: Commitment, full: &mut Vec<TileFile>) {
        self.entries.push(entry);
        if self.entries.len() >= WIDTH {
            let tile = Tile { kind: Kind::Entries, index: self.size() / WIDTH_U64, width: WIDTH };
            full.push(TileFile { tile, bytes: encode_entries(&std::mem::take(&mut self.entries)) });
        }
        self.push_leaf(entry.leaf(), full);
    }

    /// Appends a leaf of which only the hash is known; no bundle is made of it.
    pub fn push_leaf(&mut self, leaf: Hash, full: &mut Vec<TileFile>) {
        let (mut hash, mut row) = (leaf, self.size());
        self.range.push(leaf);
        for level in 0..LEVELS {
            let slot = usize::from(level);
            if self.levels.len() <= slot {
                self.levels.push(Vec::with_capacity(WIDTH));
            }
            let Some(hashes) = self.levels.get_mut(slot) else { return };
            hashes.push(hash);
            if hashes.len() < WIDTH {
                return;
            }
            let tile = Tile { kind: Kind::Hashes(level), index: row / WIDTH_U64, width: WIDTH };
            full.push(TileFile { tile, bytes: encode_hashes(hashes) });
            hash = root_of(hashes);
            hashes.clear();
            row /= WIDTH_U64;
        }
    }

    /// The partial tiles and the partial bundle of the tree as it stands.
    #[must_use]
    pub fn partial_files(&self) -> Vec<TileFile> {
        let hashes = partials(self.size()).filter_map(|tile| {
            let Kind::Hashes(level) = tile.kind else { return None };
            let hashes = self.levels.get(usize::from(level))?;
            Some(TileFile { tile, bytes: encode_hashes(hashes) })
        });
        let mut files: Vec<_> = hashes.collect();
        if !self.entries.is_empty() {
            let tile = Tile { kind: Kind::Entries, index: self.size() / WIDTH_U64, width: self.entries.len() };
            files.push(TileFile { tile, bytes: encode_entries(&self.entries) });
        }
        files
    }

    /// Takes up a tree of `size` entries again from its rightmost tiles, as [`partials`] names them, and its rightmost bundle.
    /// `None` where widths, entries and leaf hashes do not fit each other. The caller compares [`TileTree::root`].
    #[must_use]
    pub fn resume(size: u64, tiles: &[(Tile, Vec<Hash>)], entries: Vec<Commitment>) -> Option<Self> {
        let wanted: Vec<_> = partials(size).collect();
        let mut levels: Vec<Vec<Hash>> = Vec::new();
        for (tile, hashes) in tiles {
            let Kind::Hashes(level) = tile.kind else { return None };
            if hashes.len() != tile.width {
                return None;
            }
            levels.resize(usize::from(level).saturating_add(1), Vec::new());
            hashes.clone_into(levels.last_mut()?);
        }
        let bottom = levels.first().map_or(&[][..], Vec::as_slice);
        let fits = wanted.iter().eq(tiles.iter().map(|(tile, _)| tile))
            && bottom.iter().copied().eq(entries.iter().map(Commitment::leaf));
        let range = CompactRange::resume(size, &levels);
        fits.then_some(Self { range, levels, entries })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::audit::merkle::sha256;

    fn entry(i: u64) -> Commitment {
        Commitment(sha256(&[&i.to_be_bytes()]))
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        for (kind, index, width, path) in [
            (Kind::Hashes(0), 1_234_067, 256, "tile/0/x001/x234/067"),
            (Kind::Hashes(0), 273, 112, "tile/0/273.p/112"),
            (Kind::Hashes(2), 0, 1, "tile/2/000.p/1"),
            (Kind::Entries, 999, 256, "tile/entries/999"),
            (Kind::Entries, 1000, 7, "tile/entries/x001/000.p/7"),
        ] {
            assert_eq!(Tile { kind, index, width }.path(), path);
        }
    }

    #[test]
    fn a_tree_of_70000_entries_needs_the_partial_tiles_of_the_specification() {
        let paths: Vec<_> = partials(70_000).map(|tile| tile.path()).collect();
        assert_eq!(paths, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
        let paths: Vec<_> = partials(256).map(|tile| tile.path()).collect();
        assert_eq!(paths, ["tile/1/000.p/1"]);
        assert_eq!(partials(0).count(), 0);
    }

    #[test]
    fn a_tree_is_taken_up_again_from_its_rightmost_tiles_at_every_size() {
        let (mut tree, mut full, mut oracle) = (TileTree::new(), Vec::new(), CompactRange::new());
        let mut files: HashMap<String, Vec<u8>> = HashMap::new();
        for i in 0..66_100 {
            tree.push(entry(i), &mut full);
            oracle.push(entry(i).leaf());
            let boundary = (i + 1) % 256 < 2 || !(300..65_500).contains(&i);
            files.extend(full.drain(..).map(|file| (file.tile.path(), file.bytes)));
            if !boundary {
                continue;
            }
            let partial = tree.partial_files();
            assert!(partial.iter().all(|file| file.bytes.len() == file.tile.len()));
            let tiles: Vec<_> = partial
                .iter()
                .filter(|file| file.tile.kind != Kind::Entries)
                .map(|file| (file.tile, decode_hashes(&file.bytes).unwrap()))
                .collect();
            let bundle = partial.iter().find(|file| file.tile.kind == Kind::Entries);
            let entries = bundle.map_or(Vec::new(), |file| decode_entries(&file.bytes).unwrap());
            let resumed = TileTree::resume(i + 1, &tiles, entries).unwrap();
            assert_eq!(resumed.root(), oracle.root(), "{i}");
            assert_eq!(resumed.size(), tree.size());
        }
        assert_eq!(files.len(), 258 * 2 + 1, "258 tiles and bundles, and one tile of level 1");
        assert_eq!(files["tile/1/000"].len(), 8192);
    }

    #[test]
    fn tiles_that_do_not_fit_are_not_taken_up() {
        let mut tree = TileTree::new();
        (0..300).for_each(|i| tree.push(entry(i), &mut Vec::new()));
        let hashes = |file: &TileFile| (file.tile, decode_hashes(&file.bytes).unwrap());
        let files = tree.partial_files();
        let (tiles, entries) = (vec![hashes(&files[0]), hashes(&files[1])], tree.entries.clone());
        assert!(TileTree::resume(300, &tiles, entries.clone()).is_some());
        assert!(TileTree::resume(301, &tiles, entries.clone()).is_none(), "another size");
        assert!(TileTree::resume(300, &tiles[..1], entries.clone()).is_none(), "a tile missing");
        assert!(TileTree::resume(300, &tiles, entries[1..].to_vec()).is_none(), "an entry missing");
        assert!(decode_entries(&[0, 31]).is_none() && decode_hashes(&[0; 31]).is_none());
    }
}

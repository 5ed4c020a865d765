//! Merkle trees of RFC 6962 §2.1: heads, inclusion proofs and consistency proofs. The hash is SHA-256.

use aws_lc_rs::digest::{Context, SHA256};

/// A node of the tree.
pub type Hash = [u8; 32];

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("the sizes or the index do not fit each other")]
    Range,
    #[error("the proof has too few or too many hashes")]
    Length,
    #[error("the proof leads to another root")]
    Root,
}

/// SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    // A SHA-256 digest has 32 bytes; `zip` cannot go out of bounds whatever its length.
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// `SHA-256(0x00 || entry)`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The head of the tree without entries, `SHA-256()`.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The head of a growing tree in O(log n) memory: the roots of its perfect subtrees, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactRange {
    size: u64,
    peaks: Vec<Hash>,
}

impl CompactRange {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of `size` leaves from the hashes of its rightmost tiles: `levels[l]` are the last `size / 256^l % 256` heads of
    /// subtrees of `256^l` leaves.
    pub(crate) fn resume(size: u64, levels: &[Vec<Hash>]) -> Self {
        let peaks = levels.iter().rev().flat_map(|hashes| {
            let mut row = Self::new();
            hashes.iter().for_each(|hash| row.push(*hash));
            row.peaks
        });
        Self { size, peaks: peaks.collect() }
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its [`leaf_hash`].
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // INVARIANT: one peak per set bit of `size`; each trailing one merges.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size = self.size.saturating_add(1);
    }

    /// MTH of everything pushed so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// MTH over leaves (or over equally sized perfect subtrees) given as hashes.
#[must_use]
pub fn root_of(hashes: &[Hash]) -> Hash {
    let mut range = CompactRange::new();
    hashes.iter().for_each(|hash| range.push(*hash));
    range.root()
}

/// PATH(index, D) of RFC 6962 §2.1.1, from the leaf upwards. `None` where `index` is not in the tree.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    let (mut rest, mut index, mut path) = (leaves, index, Vec::new());
    if index >= rest.len() {
        return None;
    }
    while rest.len() > 1 {
        let (left, right) = rest.split_at(split(rest.len()));
        if index < left.len() {
            path.push(root_of(right));
            rest = left;
        } else {
            path.push(root_of(left));
            index = index.checked_sub(left.len())?;
            rest = right;
        }
    }
    path.reverse();
    Some(path)
}

/// PROOF(first, D) of RFC 6962 §2.1.2. `None` unless `0 < first ≤ leaves.len()`.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], first: usize) -> Option<Vec<Hash>> {
    let (mut rest, mut first, mut path) = (leaves, first, Vec::new());
    if first == 0 || first > rest.len() {
        return None;
    }
    // Whether the old tree is still a prefix that the verifier knows the head of.
    let mut known = true;
    while first != rest.len() {
        let (left, right) = rest.split_at(split(rest.len()));
        if first <= left.len() {
            path.push(root_of(right));
            rest = left;
        } else {
            path.push(root_of(left));
            first = first.checked_sub(left.len())?;
            rest = right;
            known = false;
        }
    }
    if !known {
        path.push(root_of(rest));
    }
    path.reverse();
    Some(path)
}

/// Largest power of two below `n`, for `n ≥ 2`.
fn split(n: usize) -> usize {
    n.div_ceil(2).next_power_of_two()
}

/// Checks that `leaf` is entry `index` of the tree of `size` entries with head `root` (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`ProofError`] says which of range, length and root is wrong.
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    let (mut node, mut last) = (index, size.checked_sub(1).ok_or(ProofError::Range)?);
    if node > last {
        return Err(ProofError::Range);
    }
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// Checks that the tree of `size2` entries begins with the tree of `size1` entries (RFC 9162 §2.1.4.2). A proof from the
/// empty tree proves nothing and is refused, unless both are empty.
///
/// # Errors
/// [`ProofError`] says which of range, length and roots is wrong.
pub fn verify_consistency(
    size1: u64,
    size2: u64,
    proof: &[Hash],
    root1: &Hash,
    root2: &Hash,
) -> Result<(), ProofError> {
    if size1 == size2 {
        let same = root1 == root2 && (size1 > 0 || *root1 == empty_root());
        return match (proof.is_empty(), same) {
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::Root),
            (false, _) => Err(ProofError::Length),
        };
    }
    if size1 == 0 || size1 > size2 {
        return Err(ProofError::Range);
    }
    // A perfect old tree is itself the first node of the proof.
    let (seed, rest) =
        if size1.is_power_of_two() { (root1, proof) } else { proof.split_first().ok_or(ProofError::Length)? };
    let shift = (size1 - 1).trailing_ones();
    let (mut node, mut last) = ((size1 - 1) >> shift, (size2 - 1) >> shift);
    let (mut old, mut new) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    match (last, old == *root1 && new == *root2) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::*;
    use crate::audit::{decode_base64, encode_hex};

    fn leaves(n: usize) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    /// The recursive definition of RFC 6962 §2.1, as an oracle.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            many => {
                let k = split(many.len());
                node_hash(&mth(&many[..k]), &mth(&many[k..]))
            }
        }
    }

    #[test]
    fn the_empty_tree_has_the_published_head() {
        assert_eq!(encode_hex(&empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(CompactRange::new().root(), empty_root());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_growing_tree_has_the_heads_of_the_definition(n in 0usize..300) {
            prop_assert_eq!(root_of(&leaves(n)), mth(&leaves(n)));
        }

        #[test]
        fn every_entry_is_proved_and_no_other(n in 1usize..300, pick in any::<prop::sample::Index>(), flip in any::<(u8, u8)>()) {
            let (all, i) = (leaves(n), pick.index(n));
            let root = root_of(&all);
            let proof = inclusion_proof(&all, i).unwrap();
            let (index, size) = (i as u64, n as u64);
            prop_assert_eq!(verify_inclusion(index, size, &all[i], &proof, &root), Ok(()));
            prop_assert!(verify_inclusion(index, size, &leaf_hash(b"other"), &proof, &root).is_err());
            prop_assert!(n == 1 || verify_inclusion((index + 1) % size, size, &all[i], &proof, &root).is_err());
            if !proof.is_empty() {
                let mut bent = proof.clone();
                let at = usize::from(flip.0) % bent.len();
                bent[at][usize::from(flip.1) % 32] ^= 1;
                prop_assert_eq!(verify_inclusion(index, size, &all[i], &bent, &root), Err(ProofError::Root));
                prop_assert!(verify_inclusion(index, size, &all[i], &proof[1..], &root).is_err());
            }
        }

        #[test]
        fn every_prefix_is_proved_and_no_other_history(n in 1usize..300, pick in any::<prop::sample::Index>()) {
            let (all, k) = (leaves(n), pick.index(n) + 1);
            let (old, new) = (root_of(&all[..k]), root_of(&all));
            let proof = consistency_proof(&all, k).unwrap();
            prop_assert_eq!(verify_consistency(k as u64, n as u64, &proof, &old, &new), Ok(()));
            let mut rewritten = all.clone();
            rewritten[k - 1] = leaf_hash(b"rewritten");
            let (proof, new) = (consistency_proof(&rewritten, k).unwrap(), root_of(&rewritten));
            prop_assert!(verify_consistency(k as u64, n as u64, &proof, &old, &new).is_err());
        }
    }

    fn shared() -> Option<PathBuf> {
        let found = std::env::var_os("POSTERN_SHARED").map(PathBuf::from).or_else(|| {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .ancestors()
                .map(|dir| dir.join("shared"))
                .find(|dir| dir.join("data").is_dir())
        });
        if found.is_none() {
            assert_ne!(std::env::var("POSTERN_REQUIRE_SHARED").as_deref(), Ok("1"), "shared data is required");
            eprintln!("skipped: no shared/data beside the workspace");
        }
        found
    }

    fn json_files(dir: &Path, into: &mut Vec<serde_json::Value>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                json_files(&path, into);
            } else if path.extension().is_some_and(|e| e == "json") {
                into.push(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
            }
        }
    }

    fn hashes(value: &serde_json::Value) -> Option<Vec<Hash>> {
        value.as_array().map_or(Some(Vec::new()), |list| list.iter().map(hash).collect())
    }

    fn hash(value: &serde_json::Value) -> Option<Hash> {
        decode_base64(value.as_str()?)
    }

    /// Some cases write words for roots that do not matter.
    fn any_hash(value: &serde_json::Value) -> Option<Hash> {
        let text = value.as_str()?;
        decode_base64(text).or_else(|| Some(sha256(&[text.as_bytes()])))
    }

    #[test]
    fn published_proofs_hold_and_corrupted_ones_do_not() {
        let Some(shared) = shared() else { return };
        let dir = shared.join("data/vectors/merkle/testdata");
        let mut run = 0;
        for (kind, inclusion) in [("inclusion", true), ("consistency", false)] {
            let mut cases = Vec::new();
            json_files(&dir.join(kind), &mut cases);
            for case in &cases {
                let number = |name: &str| case[name].as_u64();
                let held = (|| {
                    let proof = hashes(&case["proof"])?;
                    if inclusion {
                        let (leaf, root) = (hash(&case["leafHash"])?, hash(&case["root"])?);
                        verify_inclusion(number("leafIdx")?, number("treeSize")?, &leaf, &proof, &root).ok()
                    } else {
                        let (root1, root2) = (any_hash(&case["root1"])?, any_hash(&case["root2"])?);
                        verify_consistency(number("size1")?, number("size2")?, &proof, &root1, &root2).ok()
                    }
                })();
                assert_eq!(held.is_none(), case["wantErr"].as_bool().unwrap(), "{case}");
                run += 1;
            }
        }
        assert!(run > 190, "only {run} cases were found");
    }
}

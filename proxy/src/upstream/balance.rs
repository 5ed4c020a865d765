//! Which endpoint a request goes to. All choices look at every endpoint once: there are at most 64, and nothing is kept.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Hands out turns.
#[derive(Debug, Default)]
pub(crate) struct Turns(AtomicUsize);

impl Turns {
    /// The next of `candidates` in turn.
    pub(crate) fn next(&self, candidates: &[usize]) -> Option<usize> {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        candidates.get(turn.checked_rem(candidates.len())?).copied()
    }

    /// The one with the least `load`, in turn among equals.
    pub(crate) fn least(&self, candidates: &[usize], load: impl Fn(usize) -> usize) -> Option<usize> {
        let least = candidates.iter().map(|index| load(*index)).min()?;
        let equals: Vec<usize> = candidates.iter().copied().filter(|index| load(*index) <= least).collect();
        self.next(&equals).or_else(|| candidates.first().copied())
    }
}

/// The candidate with the highest score for `key` (rendezvous hashing): without it, only its own keys go elsewhere, and
/// replicas agree without a word.
pub(crate) fn rendezvous(candidates: &[usize], key: u64, name: impl Fn(usize) -> u64) -> Option<usize> {
    candidates.iter().copied().max_by_key(|index| {
        let name = name(*index);
        (hash_of(&(key, name)), name)
    })
}

/// The same in every process of this version: unkeyed.
pub(crate) fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn turns_go_round_and_the_least_loaded_comes_first() {
        let turns = Turns::default();
        let round: Vec<_> = (0..6).filter_map(|_| turns.next(&[4, 7, 9])).collect();
        assert_eq!(round, [4, 7, 9, 4, 7, 9]);
        assert_eq!(turns.next(&[]), None);
        assert_eq!(turns.least(&[0, 1, 2], |index| [3, 1, 2][index]), Some(1));
        let equal: Vec<_> = (0..2).filter_map(|_| turns.least(&[0, 1, 2], |index| [3, 1, 1][index])).collect();
        assert!(equal.contains(&1) && equal.contains(&2));
    }

    proptest! {
        #[test]
        fn a_key_moves_only_if_its_own_endpoint_goes(
            names in proptest::collection::btree_set(any::<u64>(), 2..64), key: u64, gone: prop::sample::Index,
        ) {
            let names: Vec<u64> = names.into_iter().collect();
            let all: Vec<usize> = (0..names.len()).collect();
            let gone = gone.index(names.len());
            let left: Vec<usize> = all.iter().copied().filter(|index| *index != gone).collect();
            let before = rendezvous(&all, key, |index| names[index]).unwrap();
            let after = rendezvous(&left, key, |index| names[index]).unwrap();
            prop_assert!(before == gone || before == after);
        }
    }

    #[test]
    fn keys_are_spread_over_all_endpoints() {
        let all: Vec<usize> = (0..8).collect();
        let mut counts = [0; 8];
        for key in 0..8000_u32 {
            counts[rendezvous(&all, hash_of(&key), |index| hash_of(&format!("10.0.0.{index}:443"))).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}

//! Words that were seen already.

use crate::scan::model::word::GRAM_KEY;

/// Remembers the words of a block, so that most that come twice count once: one for each value of eight bits of its hash.
pub(super) struct Seen {
    slots: [u32; 256],
    /// Another in each block, so that none of an earlier block is taken for one of this.
    key: u32,
}

/// Shows no text.
impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seen")
    }
}

impl Seen {
    /// Whether this is new, as far as is remembered.
    #[inline]
    pub(super) fn is_new(&mut self, hash: u32) -> bool {
        let keyed = hash ^ self.key;
        self.slots.get_mut((hash >> 24) as usize).is_some_and(|slot| std::mem::replace(slot, keyed) != keyed)
    }

    pub(super) fn new() -> Self {
        Self { slots: [0; 256], key: GRAM_KEY }
    }

    /// A block has ended.
    pub(super) fn next_block(&mut self) {
        self.key = self.key.wrapping_add(GRAM_KEY);
    }
}

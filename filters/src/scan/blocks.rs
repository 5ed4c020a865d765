//! Classes of bytes, found for 64 bytes at once: one bit each, by arithmetic on eight bytes in a word.

/// Bytes in a block.
pub(crate) const BLOCK: usize = 64;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;
const LOW: u64 = 0x7F * ONES;
/// What makes letters small.
const SMALL: u64 = 0x20 * ONES;

/// Of the bytes of a block, the first in the lowest bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// ASCII letters.
    pub(crate) letters: u64,
    /// ASCII letters, digits and `_`.
    pub(crate) word: u64,
    pub(crate) spaces: u64,
}

impl Marks {
    #[inline]
    pub(crate) fn of(block: &[u8; BLOCK]) -> Self {
        let mut marks = Self::default();
        for (place, eight) in block.as_chunks::<8>().0.iter().enumerate() {
            let x = u64::from_le_bytes(*eight);
            let ascii = !x & HIGH;
            let letters = within(x | SMALL, b'a', b'z') & ascii;
            let word = letters | (within(x, b'0', b'9') | equal(x, b'_')) & ascii;
            marks.letters |= gathered(letters) << (8 * place);
            marks.word |= gathered(word) << (8 * place);
            marks.spaces |= gathered(equal(x, b' ') & ascii) << (8 * place);
        }
        marks
    }
}

/// The high bit of each byte whose low seven bits are in `first..=last`. The others are not looked at.
#[inline]
fn within(x: u64, first: u8, last: u8) -> u64 {
    let low = x & LOW;
    let from = low + u64::from(0x80 - first) * ONES;
    let beyond = low + u64::from(0x7F - last) * ONES;
    from & !beyond & HIGH
}

#[inline]
fn equal(x: u64, byte: u8) -> u64 {
    let other = (x ^ (u64::from(byte) * ONES)) & LOW;
    !(other + LOW) & HIGH
}

/// The high bits of the bytes next to each other.
#[inline]
fn gathered(high: u64) -> u64 {
    (high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// How many bytes `bytes` begins with that are ASCII.
#[inline]
pub(crate) fn ascii_run(bytes: &[u8]) -> usize {
    let (eights, _) = bytes.as_chunks::<8>();
    let whole = 8 * eights.iter().take_while(|eight| u64::from_le_bytes(**eight) & HIGH == 0).count();
    whole + bytes.iter().skip(whole).take_while(|b| b.is_ascii()).count()
}

/// Walks over `bytes` from one run of ASCII letters to the next.
#[derive(Debug)]
pub(crate) struct Letters<'t> {
    bytes: &'t [u8],
    /// Behind the block that was looked at last.
    known: usize,
    letters: u64,
}

impl<'t> Letters<'t> {
    pub(crate) fn of(bytes: &'t [u8]) -> Self {
        Self { bytes, known: 0, letters: 0 }
    }

    pub(crate) fn bytes(&self) -> &'t [u8] {
        self.bytes
    }

    /// Where the run of letters ends that `from` stands in. Cheap where places are asked for in
    /// order.
    #[inline]
    pub(crate) fn end(&mut self, mut from: usize) -> usize {
        loop {
            if from >= self.known || from + BLOCK < self.known {
                let Some(block) = self.bytes.get(from..).and_then(<[u8]>::first_chunk) else {
                    let rest = self.bytes.get(from..).unwrap_or_default();
                    return from + rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
                };
                self.known = from + BLOCK;
                self.letters = Marks::of(block).letters;
            }
            let rest = !self.letters >> (from + BLOCK - self.known);
            if rest != 0 {
                return from + rest.trailing_zeros() as usize;
            }
            from = self.known;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: &[u8]) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..bytes.len()].copy_from_slice(bytes);
        block
    }

    #[test]
    fn every_byte_is_in_its_classes_wherever_it_stands() {
        let marks_of = |is: fn(&u8) -> bool, bytes: &[u8]| {
            bytes.iter().enumerate().map(|(i, b)| u64::from(is(b)) << i).fold(0, |all, bit| all | bit)
        };
        let assert_right = |block: [u8; BLOCK]| {
            let want = Marks {
                letters: marks_of(u8::is_ascii_alphabetic, &block),
                word: marks_of(|b| b.is_ascii_alphanumeric() || *b == b'_', &block),
                spaces: marks_of(|b| *b == b' ', &block),
            };
            assert_eq!(Marks::of(&block), want, "{block:?}");
        };
        for byte in 0..=255_u8 {
            for place in [0, 1, 7, 8, 31, 63] {
                let mut bytes = [b'#'; BLOCK];
                bytes[place] = byte;
                assert_right(bytes);
            }
            // Next to any other.
            for other in (0..=255_u8).step_by(BLOCK - 1) {
                let pairs: Vec<u8> = (0..32_u8).flat_map(|i| [byte, other.wrapping_add(2 * i)]).collect();
                assert_right(block(&pairs));
            }
        }
    }

    #[test]
    fn ascii_ends_where_it_ends() {
        for before in 0..40 {
            for behind in ["", "\u{e9}", "\u{e9}abcdefghijklmnop", "\u{1f600}a"] {
                assert_eq!(ascii_run(["a".repeat(before).as_str(), behind].concat().as_bytes()), before);
            }
        }
    }

    #[test]
    fn runs_of_letters_end_where_they_end() {
        let text = format!("{} {}\u{e9}{}1", "a".repeat(60), "b".repeat(140), "c".repeat(64));
        let (bytes, mut letters) = (text.as_bytes(), Letters::of(text.as_bytes()));
        for from in (0..bytes.len()).filter(|i| bytes[*i].is_ascii_alphabetic()) {
            let run = bytes[from..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
            assert_eq!(letters.end(from), from + run, "{from}");
            assert_eq!(letters.end(from), from + run, "{from}, asked again");
        }
        assert_eq!(letters.end(0), 60);
        assert_eq!(Letters::of(b"abc").end(1), 3);
    }
}

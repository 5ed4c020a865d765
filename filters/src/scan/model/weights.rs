//! The file of weights.
//!
//! Eight bytes of magic, then for each head: a scale and a bias for the logit, a slope and an offset for the probability, as
//! little-endian `f32`, and one signed byte for each feature, groups of characters first.

use aws_lc_rs::digest::{SHA256, digest};

use super::Head;
use super::features::{GRAM_BITS, Sink, WORD_BITS};

/// SHA-256 of the file that this release was made with.
pub(super) const DIGEST: &str = include_str!("injection.sha256");

const MAGIC: &[u8; 8] = b"PSTNINJ1";
/// Features of each kind.
pub const GRAMS: usize = 1 << GRAM_BITS;
pub const WORDS: usize = 1 << WORD_BITS;

/// What a signature's score has to be above to speak for an attack, and what each point above it adds to the logit.
const SPEAKS: f32 = 30.0;
const PER_POINT: f32 = 0.05;

/// Both heads.
#[derive(Debug)]
pub struct Model {
    user: Weights,
    document: Weights,
}

/// One head.
#[derive(Clone, PartialEq)]
pub struct Weights {
    /// By index of a group of characters.
    pub grams: Box<[i8; GRAMS]>,
    /// By index of words.
    pub words: Box<[i8; WORDS]>,
    /// What one step of a weight is worth, and what is added to every logit.
    pub scale: f32,
    pub bias: f32,
    /// Logit of a calibrated probability: `slope * logit + offset`.
    pub slope: f32,
    pub offset: f32,
}

/// Shows no weights.
impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({} values)", GRAMS + WORDS)
    }
}

/// What the features of a block add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) weight: i32,
    pub(super) count: u32,
}

impl Model {
    /// Reads `file` if `digest`, in hexadecimal, is its SHA-256.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(file: &[u8], wanted: &str) -> Result<Self, &'static str> {
        let found = digest(&SHA256, file);
        let hex: String = found.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if hex != wanted.trim() {
            return Err("its digest is not the one it was released with");
        }
        let mut rest = file.strip_prefix(MAGIC).ok_or("it is no model, or of another version")?;
        let mut head = || -> Result<Weights, &'static str> {
            let mut numbers = [0.0; 4];
            for number in &mut numbers {
                let (bytes, more) = rest.split_first_chunk::<4>().ok_or("it is cut off")?;
                (*number, rest) = (f32::from_le_bytes(*bytes), more);
            }
            let (grams, more) = rest.split_at_checked(GRAMS).ok_or("it is cut off")?;
            let (words, more) = more.split_at_checked(WORDS).ok_or("it is cut off")?;
            rest = more;
            let [scale, bias, slope, offset] = numbers;
            if numbers.iter().any(|number| !number.is_finite()) {
                return Err("a number in it is none");
            }
            let (grams, words) = (signed(grams).try_into(), signed(words).try_into());
            let (Ok(grams), Ok(words)) = (grams, words) else { return Err("it is cut off") };
            Ok(Weights { grams, words, scale, bias, slope, offset })
        };
        let (user, document) = (head()?, head()?);
        if !rest.is_empty() {
            return Err("something stands behind its end");
        }
        Ok(Self { user, document })
    }

    /// One of these heads.
    #[must_use]
    pub fn of(user: Weights, document: Weights) -> Self {
        Self { user, document }
    }

    /// The file that [`Model::read`] reads.
    #[must_use]
    pub fn write(user: &Weights, document: &Weights) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        for head in [user, document] {
            for number in [head.scale, head.bias, head.slope, head.offset] {
                file.extend_from_slice(&number.to_le_bytes());
            }
            file.extend(head.grams.iter().chain(head.words.iter()).map(|value| value.cast_unsigned()));
        }
        file
    }

    #[must_use]
    pub fn head(&self, head: Head) -> &Weights {
        match head {
            Head::User => &self.user,
            Head::Document => &self.document,
        }
    }
}

impl Weights {
    pub(super) fn gram(&self, index: usize) -> i32 {
        self.grams.get(index & (GRAMS - 1)).copied().map_or(0, i32::from)
    }

    pub(super) fn words(&self, index: usize) -> i32 {
        self.words.get(index & (WORDS - 1)).copied().map_or(0, i32::from)
    }

    /// The logit of a window, without what signatures say.
    pub(super) fn logit(&self, sum: Sum) -> f32 {
        self.scale * sum.weight as f32 / (sum.count as f32 + 40.0).sqrt() + self.bias
    }

    /// The score in percent.
    #[must_use]
    pub fn percent(&self, logit: f32) -> f32 {
        100.0 / (1.0 + (-(self.slope * logit + self.offset)).exp())
    }
}

/// What it adds to the logit of a window that signatures score `evidence` in it.
pub(crate) fn spoken(evidence: u8) -> f32 {
    PER_POINT * (f32::from(evidence) - SPEAKS).max(0.0)
}

fn signed(bytes: &[u8]) -> Box<[i8]> {
    bytes.iter().map(|byte| byte.cast_signed()).collect()
}

impl Sum {
    pub(super) fn plus(self, other: Self) -> Self {
        Self { weight: self.weight.saturating_add(other.weight), count: self.count.saturating_add(other.count) }
    }
}

/// Adds up weights of blocks.
#[derive(Debug)]
pub(super) struct Adder<'w, F> {
    pub(super) weights: &'w Weights,
    pub(super) sum: &'w mut Sum,
    pub(super) block: F,
}

impl<F: FnMut(Sum, usize, usize)> Sink for Adder<'_, F> {
    #[inline]
    fn gram(&mut self, index: usize) {
        self.sum.weight = self.sum.weight.wrapping_add(self.weights.gram(index));
        self.sum.count += 1;
    }

    #[inline]
    fn words(&mut self, index: usize) {
        self.sum.weight = self.sum.weight.wrapping_add(self.weights.words(index));
        self.sum.count += 1;
    }

    fn block(&mut self, start: usize, end: usize) {
        let sum = std::mem::take(self.sum);
        (self.block)(sum, start, end);
    }
}

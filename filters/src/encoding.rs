//! Content codings: bodies are decoded before anything reads them, within bounds, and leave as the text that was read.
//!
//! A coding is undone bit by bit, so that an event of a stream comes out as soon as its last byte is there. What two
//! decoders could take differently is refused: bytes behind the end, members one after another, a checksum that is not
//! the content's.

mod brotli;
mod gzip;
mod inflate;
#[cfg(test)]
mod tests;
mod zstd;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::Reason;

/// A content coding that is undone (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Also called `x-gzip`.
    Gzip,
    /// In the wrapper of zlib (RFC 1950): without it, what decoders make of it is anybody's guess.
    Deflate,
    Brotli,
    Zstd,
}

/// A `Content-Encoding` that is not undone: an unknown name, or more than one coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a content coding other than one of gzip, deflate, br and zstd")]
pub struct UnknownCoding;

impl Coding {
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Deflate, Self::Brotli, Self::Zstd];

    /// What the client of a body in another coding is told (RFC 9110 §12.5.3).
    pub const ACCEPTED: &'static str = "gzip, deflate, br, zstd, identity";

    /// The coding of a body, by its head; `None` where it has none.
    ///
    /// # Errors
    /// [`UnknownCoding`] for whatever is not exactly one known name.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, UnknownCoding> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.as_bytes().trim_ascii());
        let Some(first) = values.next() else { return Ok(None) };
        let is_identity = |value: &[u8]| value.eq_ignore_ascii_case(b"identity");
        if is_identity(first) {
            return if values.all(is_identity) { Ok(None) } else { Err(UnknownCoding) };
        }
        if values.next().is_some() {
            return Err(UnknownCoding);
        }
        let is = |name: &str| first.eq_ignore_ascii_case(name.as_bytes());
        let found = Self::ALL.into_iter().find(|coding| is(coding.as_str()));
        found.or(is("x-gzip").then_some(Self::Gzip)).map(Some).ok_or(UnknownCoding)
    }

    /// Its name in `Content-Encoding`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// How much may come out of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes altogether.
    pub output: u64,
    /// Bytes for each byte of the body, once more than [`DecodeLimits::FREE`] have come out. Counted in steps of
    /// [`DecodeLimits::STEP`] bytes of the body, so that it does not matter in which pieces that one comes.
    pub ratio: u32,
}

impl Default for DecodeLimits {
    /// What holds where no manifest says otherwise.
    fn default() -> Self {
        Self { output: 10 << 20, ratio: 100 }
    }
}

impl DecodeLimits {
    /// What a body may decode to whatever its size: a few bytes of it say little of how well it is compressed.
    pub const FREE: u64 = 64 << 10;
    pub const STEP: u64 = 1 << 10;

    /// The most that may have come out once `taken` bytes have gone in.
    fn after(self, taken: u64) -> u64 {
        let steps = taken.div_ceil(Self::STEP).saturating_mul(Self::STEP);
        steps.saturating_mul(u64::from(self.ratio)).max(Self::FREE)
    }

    /// The most that may come out of a body of `length` bytes.
    #[must_use]
    pub fn most(self, length: u64) -> u64 {
        self.after(length).min(self.output)
    }
}

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the body is not {0}")]
    Malformed(&'static str),
    #[error("the {0} body ends too early")]
    Truncated(&'static str),
    #[error("something follows the end of the {0} body")]
    Trailing(&'static str),
    #[error("the {0} body needs a window of more than 8 MiB")]
    Window(&'static str),
    #[error("decoded, the body exceeds {0} bytes")]
    TooLarge(u64),
    #[error("the body decodes to more than {0} times its size")]
    Ratio(u32),
    #[error("the {0} decoder failed")]
    Failed(&'static str),
}

impl DecodeError {
    /// What a request with such a body is refused for.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Malformed(_) | Self::Truncated(_) | Self::Trailing(_) => Reason::Malformed,
            Self::Window(_) | Self::TooLarge(_) | Self::Ratio(_) => Reason::TooLarge,
            Self::Failed(_) => Reason::Undecided,
        }
    }
}

/// Window of a decoder, at most: RFC 9659 has it so for zstd. Larger ones are for archives.
const WINDOW_BITS: u8 = 23;

/// What one look at a body did.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    taken: usize,
    given: usize,
    /// There is more to give before more is taken.
    more: bool,
    /// The body has come to its end.
    ended: bool,
}

enum Body {
    Gzip(gzip::Gzip),
    Deflate(inflate::Inflate),
    Brotli(Box<brotli::Brotli>),
    Zstd(zstd::Zstd),
    #[cfg(test)]
    Panics,
}

impl Body {
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, DecodeError> {
        match self {
            Self::Gzip(body) => body.step(input, out),
            Self::Deflate(body) => body.step(input, out).ok_or(DecodeError::Malformed(Coding::Deflate.as_str())),
            Self::Brotli(body) => body.step(input, out),
            Self::Zstd(body) => body.step(input, out),
            #[cfg(test)]
            Self::Panics => panic!("on purpose"),
        }
    }
}

/// Undoes the coding of one body. After an error it gives nothing any more.
pub struct Decoder {
    coding: Coding,
    body: Body,
    limits: DecodeLimits,
    /// Bytes of the body so far, and bytes that came out.
    taken: u64,
    given: u64,
    more: bool,
    ended: bool,
    error: Option<DecodeError>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("coding", &self.coding)
            .field("taken", &self.taken)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// What one holds at most: the window, what was read of a block, and tables.
    pub const MOST_MEMORY: usize = (1 << WINDOW_BITS) + (1 << 20);

    #[must_use]
    pub fn new(coding: Coding, limits: DecodeLimits) -> Self {
        let body = match coding {
            Coding::Gzip => Body::Gzip(gzip::Gzip::new()),
            Coding::Deflate => Body::Deflate(inflate::Inflate::zlib()),
            Coding::Brotli => Body::Brotli(Box::new(brotli::Brotli::new())),
            Coding::Zstd => Body::Zstd(zstd::Zstd::new()),
        };
        Self { coding, body, limits, taken: 0, given: 0, more: false, ended: false, error: None }
    }

    /// Takes from the front of `input` and fills `out` from its start; returns how many bytes it wrote. 0 where all of
    /// `input` has been taken, and nothing more comes of it.
    ///
    /// # Errors
    /// As soon as it is known that the body will not do; at most `out` has then been decoded beyond a limit.
    pub fn run(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, DecodeError> {
        let done = match self.error {
            Some(error) => Err(error),
            None => self.fill(input, out),
        };
        done.inspect_err(|error| self.error = Some(*error))
    }

    /// # Errors
    /// [`DecodeError::Truncated`] where the end of the body has not come.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.error {
            Some(error) => Err(error),
            None if self.ended => Ok(()),
            None => Err(DecodeError::Truncated(self.coding.as_str())),
        }
    }

    #[must_use]
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Memory that it holds, in bytes: known once the head of the body has been read.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.body {
            Body::Gzip(_) | Body::Deflate(_) => inflate::MEMORY,
            Body::Brotli(body) => body.memory(),
            Body::Zstd(body) => body.memory(),
            #[cfg(test)]
            Body::Panics => 0,
        }
    }

    fn fill(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, DecodeError> {
        let mut written = 0;
        while let Some(room) = out.get_mut(written..).filter(|room| !room.is_empty()) {
            if self.ended {
                return if input.is_empty() { Ok(written) } else { Err(DecodeError::Trailing(self.coding.as_str())) };
            }
            let piece = self.piece(input);
            if piece.is_empty() && !self.more {
                break;
            }
            let step = self.step(piece, room)?;
            *input = input.get(step.taken..).unwrap_or_default();
            written += step.given;
            if step.taken + step.given == 0 && step.more {
                return Err(DecodeError::Failed(self.coding.as_str()));
            }
        }
        Ok(written)
    }

    /// What is decoded next: nothing where there is more to give of what came before. It does not cross a step by which
    /// the ratio is counted.
    fn piece<'i>(&self, input: &'i [u8]) -> &'i [u8] {
        if self.more {
            return &[];
        }
        let room = DecodeLimits::STEP - self.taken % DecodeLimits::STEP;
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(input.len());
        input.get(..room).unwrap_or_default()
    }

    fn step(&mut self, piece: &[u8], out: &mut [u8]) -> Result<Step, DecodeError> {
        // What a decoder does not foresee must end this body and nothing else.
        let step = catch_unwind(AssertUnwindSafe(|| self.body.step(piece, out)));
        let step = step.map_err(|_| DecodeError::Failed(self.coding.as_str()))??;
        // INVARIANT: no endless loop: with something to take, a decoder takes it, gives something, or is refused.
        if step.taken + step.given == 0 && !piece.is_empty() && !step.ended {
            return Err(DecodeError::Failed(self.coding.as_str()));
        }
        self.taken = self.taken.saturating_add(u64::try_from(step.taken).unwrap_or(u64::MAX));
        self.given = self.given.saturating_add(u64::try_from(step.given).unwrap_or(u64::MAX));
        (self.more, self.ended) = (step.more, step.ended);
        if self.given > self.limits.output {
            return Err(DecodeError::TooLarge(self.limits.output));
        }
        if self.given > self.limits.after(self.taken) {
            return Err(DecodeError::Ratio(self.limits.ratio));
        }
        Ok(step)
    }
}

/// Bytes that are decoded at a time.
pub const CHUNK: usize = 16 << 10;

/// Decodes a whole body.
///
/// # Errors
/// [`DecodeError`]; at most one [`CHUNK`] has then been decoded beyond a limit.
pub fn decode(coding: Coding, body: &[u8], limits: DecodeLimits) -> Result<Bytes, DecodeError> {
    let mut decoder = Decoder::new(coding, limits);
    let (mut rest, mut chunk, mut out) = (body, vec![0; CHUNK], Vec::new());
    loop {
        let given = decoder.run(&mut rest, &mut chunk)?;
        out.extend_from_slice(chunk.get(..given).unwrap_or_default());
        if given == 0 {
            break;
        }
    }
    decoder.finish()?;
    Ok(Bytes::from(out))
}

//! Brotli (RFC 7932), without the larger windows and the dictionaries that came after it.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Coding, DecodeError, Step, WINDOW_BITS};

/// What it holds beside its window: tables, of which there are up to 256 of each kind.
const TABLES: usize = 256 << 10;

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

pub(super) struct Brotli {
    state: State,
    /// Known with the first byte.
    window: Option<u8>,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        let state = State::new_strict(alloc(), alloc(), alloc());
        Self { state, window: None }
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, DecodeError> {
        if let (None, Some(first)) = (self.window, input.first()) {
            let bits = window_bits(*first);
            if bits > WINDOW_BITS {
                return Err(DecodeError::Window(Coding::Brotli.as_str()));
            }
            self.window = Some(bits);
        }
        let (mut left, mut taken) = (input.len(), 0);
        let (mut room, mut given, mut total) = (out.len(), 0, 0);
        let done = BrotliDecompressStream(
            &mut left,
            &mut taken,
            input,
            &mut room,
            &mut given,
            out,
            &mut total,
            &mut self.state,
        );
        let (more, ended) = match done {
            BrotliResult::ResultSuccess => (false, true),
            BrotliResult::NeedsMoreInput => (false, false),
            BrotliResult::NeedsMoreOutput => (true, false),
            BrotliResult::ResultFailure => return Err(DecodeError::Malformed(Coding::Brotli.as_str())),
        };
        Ok(Step { taken, given, more, ended })
    }

    pub(super) fn memory(&self) -> usize {
        TABLES + self.window.map_or(0, |bits| 1 << bits)
    }
}

/// The size of the window, as the first byte has it (RFC 7932 §9.1). What is no size there is told by the decoder.
pub(super) fn window_bits(first: u8) -> u8 {
    match (first & 1, (first >> 1) & 7, (first >> 4) & 7) {
        (0, _, _) => 16,
        (_, 0, 0) => 17,
        (_, 0, bits) => 8 + bits,
        (_, bits, _) => 17 + bits,
    }
}

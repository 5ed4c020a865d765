//! Zstandard (RFC 8878): one frame, without a dictionary, in a window of at most 8 MiB (RFC 9659).

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{Coding, DecodeError, Step, WINDOW_BITS};

/// How a frame begins. Frames that are to be skipped, and those of the time before the RFC, begin otherwise.
const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// `ZSTD_error_frameParameter_windowTooLarge`, as the library returns errors.
const WINDOW_TOO_LARGE: usize = 16_usize.wrapping_neg();

const MALFORMED: DecodeError = DecodeError::Malformed(Coding::Zstd.as_str());

pub(super) struct Zstd {
    /// `None` where there is no memory for one, or it does not take its bound.
    context: Option<DCtx<'static>>,
    /// Bytes of [`MAGIC`] that have come.
    begun: usize,
}

impl Zstd {
    pub(super) fn new() -> Self {
        let mut context = DCtx::try_create();
        if let Some(made) = &mut context
            && made.set_parameter(DParameter::WindowLogMax(u32::from(WINDOW_BITS))).is_err()
        {
            context = None;
        }
        Self { context, begun: 0 }
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, DecodeError> {
        let context = self.context.as_mut().ok_or(DecodeError::Failed(Coding::Zstd.as_str()))?;
        let rest = MAGIC.get(self.begun..).unwrap_or_default();
        if !rest.iter().zip(input).all(|(want, byte)| want == byte) {
            return Err(MALFORMED);
        }
        self.begun += rest.len().min(input.len());
        let room = out.len();
        let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(out));
        let left = context.decompress_stream(&mut to, &mut from).map_err(|code| match code {
            WINDOW_TOO_LARGE => DecodeError::Window(Coding::Zstd.as_str()),
            _ => MALFORMED,
        })?;
        let (taken, given) = (from.pos, to.pos());
        let ended = left == 0;
        Ok(Step { taken, given, more: given == room && !ended, ended })
    }

    pub(super) fn memory(&self) -> usize {
        self.context.as_ref().map_or(0, DCtx::sizeof)
    }
}

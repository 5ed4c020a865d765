//! The compressed part of gzip and deflate (RFC 1951), bare or in the wrapper of zlib (RFC 1950).

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::Step;

/// Its window and tables, whatever the body.
pub(super) const MEMORY: usize = size_of::<InflateState>();

pub(super) struct Inflate(Box<InflateState>);

impl Inflate {
    pub(super) fn raw() -> Self {
        Self(InflateState::new_boxed(DataFormat::Raw))
    }

    /// With its header and its checksum. A preset dictionary is refused.
    pub(super) fn zlib() -> Self {
        Self(InflateState::new_boxed(DataFormat::Zlib))
    }

    /// `None` for what is not valid.
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Option<Step> {
        let room = out.len();
        let done = inflate(&mut self.0, input, out, MZFlush::None);
        let ended = match done.status {
            Ok(MZStatus::StreamEnd) => true,
            // It waits for more.
            Ok(MZStatus::Ok) | Err(MZError::Buf) => false,
            Ok(MZStatus::NeedDict) | Err(_) => return None,
        };
        // What fills the room may have left something behind.
        let more = done.bytes_written == room || self.0.last_status() == TINFLStatus::HasMoreOutput;
        Some(Step { taken: done.bytes_consumed, given: done.bytes_written, more: more && !ended, ended })
    }
}

//! Makes encoded bodies for tests, of this crate and of the proxy.

#![allow(dead_code, unreachable_pub, reason = "tests of two crates share it")]

use std::io::Write;

use miniz_oxide::MZFlush;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use postern_filters::encoding::Coding;
use zstd_safe::{CCtx, InBuffer, OutBuffer};

/// A whole body.
pub fn encoded(coding: Coding, text: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(coding);
    let mut out = encoder.write(text);
    out.extend(encoder.finish());
    out
}

/// Encodes as a server does that streams.
pub enum Encoder {
    Flate { raw: bool, state: Box<CompressorOxide>, sum: crc32fast::Hasher, length: u32, begun: bool },
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(CCtx<'static>),
}

impl Encoder {
    pub fn new(coding: Coding) -> Self {
        let flate = |raw: bool| {
            let flags = create_comp_flags_from_zip_params(6, if raw { -15 } else { 15 }, 0);
            let state = Box::new(CompressorOxide::new(flags));
            Self::Flate { raw, state, sum: crc32fast::Hasher::new(), length: 0, begun: false }
        };
        match coding {
            Coding::Gzip => flate(true),
            Coding::Deflate => flate(false),
            Coding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 2, 18))),
            Coding::Zstd => Self::Zstd(CCtx::create()),
        }
    }

    /// What is encoded of `text`, some of it perhaps held back.
    pub fn write(&mut self, text: &[u8]) -> Vec<u8> {
        self.go(text, MZFlush::None)
    }

    /// What is encoded of `text`, all of it.
    pub fn flush(&mut self, text: &[u8]) -> Vec<u8> {
        self.go(text, MZFlush::Sync)
    }

    pub fn finish(&mut self) -> Vec<u8> {
        self.go(b"", MZFlush::Finish)
    }

    fn go(&mut self, text: &[u8], how: MZFlush) -> Vec<u8> {
        match self {
            Self::Flate { raw, state, sum, length, begun } => {
                let mut out = Vec::new();
                if *raw && !std::mem::replace(begun, true) {
                    out.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
                }
                sum.update(text);
                *length = length.wrapping_add(u32::try_from(text.len()).unwrap());
                let (mut rest, mut buffer) = (text, vec![0; 32 << 10]);
                loop {
                    let done = deflate(state, rest, &mut buffer, how);
                    rest = &rest[done.bytes_consumed..];
                    out.extend_from_slice(&buffer[..done.bytes_written]);
                    if rest.is_empty() && done.bytes_written < buffer.len() {
                        break;
                    }
                }
                if *raw && how == MZFlush::Finish {
                    out.extend(sum.clone().finalize().to_le_bytes());
                    out.extend(length.to_le_bytes());
                }
                out
            }
            Self::Brotli(writer) => {
                writer.write_all(text).unwrap();
                match how {
                    MZFlush::None => {}
                    MZFlush::Finish => {
                        let ended =
                            std::mem::replace(&mut **writer, brotli::CompressorWriter::new(Vec::new(), 16, 0, 10));
                        return ended.into_inner();
                    }
                    _ => writer.flush().unwrap(),
                }
                std::mem::take(writer.get_mut())
            }
            Self::Zstd(context) => {
                let mut out = Vec::new();
                let (mut from, mut buffer) = (InBuffer::around(text), vec![0; 32 << 10]);
                loop {
                    let mut to = OutBuffer::around(&mut buffer[..]);
                    let left = match how {
                        _ if from.pos < text.len() => context.compress_stream(&mut to, &mut from).map(|_| 1),
                        MZFlush::None => Ok(0),
                        MZFlush::Finish => context.end_stream(&mut to),
                        _ => context.flush_stream(&mut to),
                    };
                    out.extend_from_slice(to.as_slice());
                    if left.unwrap() == 0 {
                        return out;
                    }
                }
            }
        }
    }
}

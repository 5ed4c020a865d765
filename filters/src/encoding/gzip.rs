//! gzip (RFC 1952): a header, one deflated member, its checksum and its length. Several members, or anything else behind
//! the first, are refused: readers that stop there and readers that go on would see different texts.

use crc32fast::Hasher;

use super::inflate::Inflate;
use super::{Coding, DecodeError, Step};

/// A header with its name, its comment and its extra field; longer ones are refused.
const MAX_HEADER: usize = 1 << 10;
const TRAILER: usize = 8;

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

const MALFORMED: DecodeError = DecodeError::Malformed(Coding::Gzip.as_str());

enum At {
    /// What has come of it.
    Header(Vec<u8>),
    Body,
    /// What has come of it.
    Trailer(Vec<u8>),
}

pub(super) struct Gzip {
    at: At,
    body: Inflate,
    sum: Hasher,
    /// Of what came out, modulo 2³².
    length: u32,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { at: At::Header(Vec::new()), body: Inflate::raw(), sum: Hasher::new(), length: 0 }
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, DecodeError> {
        match &mut self.at {
            At::Header(held) => {
                let before = held.len();
                held.extend_from_slice(input);
                let length = header(held)?;
                if length.unwrap_or(held.len()) > MAX_HEADER {
                    return Err(MALFORMED);
                }
                let Some(length) = length else { return Ok(taken(input.len())) };
                self.at = At::Body;
                Ok(taken(length.saturating_sub(before)))
            }
            At::Body => {
                let mut step = self.body.step(input, out).ok_or(MALFORMED)?;
                let given = out.get(..step.given).unwrap_or_default();
                self.sum.update(given);
                self.length = self.length.wrapping_add(u32::try_from(given.len()).map_err(|_| MALFORMED)?);
                if std::mem::take(&mut step.ended) {
                    self.at = At::Trailer(Vec::with_capacity(TRAILER));
                    let rest = self.trailer(input.get(step.taken..).unwrap_or_default())?;
                    (step.taken, step.ended) = (step.taken + rest.taken, rest.ended);
                }
                Ok(step)
            }
            At::Trailer(_) => self.trailer(input),
        }
    }

    fn trailer(&mut self, input: &[u8]) -> Result<Step, DecodeError> {
        let At::Trailer(held) = &mut self.at else { return Err(MALFORMED) };
        let part = input.get(..TRAILER.saturating_sub(held.len())).unwrap_or(input);
        held.extend_from_slice(part);
        if held.len() < TRAILER {
            return Ok(taken(part.len()));
        }
        let own = [self.sum.clone().finalize().to_le_bytes(), self.length.to_le_bytes()].concat();
        if *held != own {
            return Err(MALFORMED);
        }
        Ok(Step { ended: true, ..taken(part.len()) })
    }
}

fn taken(taken: usize) -> Step {
    Step { taken, ..Step::default() }
}

/// The length of the header at the start of `bytes`; `None` where that is not all of it.
fn header(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    for (byte, want) in bytes.iter().zip([0x1f, 0x8b, 8]) {
        if *byte != want {
            return Err(MALFORMED);
        }
    }
    let Some([_, _, _, flags, _, _, _, _, _, _]) = bytes.first_chunk::<10>() else { return Ok(None) };
    if flags & RESERVED != 0 {
        return Err(MALFORMED);
    }
    let mut at = 10;
    if flags & FEXTRA != 0 {
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes(*length));
    }
    for flag in [FNAME, FCOMMENT] {
        if flags & flag != 0 {
            let Some(end) = bytes.get(at..).and_then(|rest| memchr::memchr(0, rest)) else { return Ok(None) };
            at += end + 1;
        }
    }
    if flags & FHCRC != 0 {
        let Some(sum) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()) else { return Ok(None) };
        let [own @ .., _, _] = crc32fast::hash(bytes.get(..at).unwrap_or_default()).to_le_bytes();
        if own != *sum {
            return Err(MALFORMED);
        }
        at += 2;
    }
    Ok((at <= bytes.len()).then_some(at))
}

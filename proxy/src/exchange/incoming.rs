//! The body of an upstream's answer as it comes in, decoded where it is read.

use bytes::{Buf as _, Bytes};
use postern_filters::encoding::{CHUNK, DecodeError, Decoder};
use postern_filters::{AnswerHead, Reason, Refusal};

use super::Deadline;
use crate::budget::Share;
use crate::upstream::Conversation;

pub(super) struct Incoming<'u> {
    pub(super) upstream: &'u mut Conversation,
    deadline: Deadline,
    coded: Option<Coded>,
}

/// A body in a coding.
struct Coded {
    decoder: Decoder,
    head: AnswerHead,
    /// What has come and is not decoded.
    rest: Bytes,
    chunk: Vec<u8>,
    /// Something has come at all: no bytes are no bytes in any coding.
    begun: bool,
    /// Memory that was taken for the decoder.
    held: usize,
}

impl<'u> Incoming<'u> {
    pub(super) fn new(upstream: &'u mut Conversation, deadline: Deadline) -> Self {
        Self { upstream, deadline, coded: None }
    }

    /// Pieces are what `decoder` makes of them, each at most a [`CHUNK`] long.
    pub(super) fn decoded(mut self, decoder: Option<Decoder>, head: &AnswerHead) -> Self {
        self.coded = decoder.map(|decoder| Coded {
            decoder,
            head: head.clone(),
            rest: Bytes::new(),
            chunk: vec![0; CHUNK],
            begun: false,
            held: 0,
        });
        self
    }

    /// The next piece; nothing at the end. Dropped while it waits, it has lost nothing.
    ///
    /// # Errors
    /// A refusal where the upstream breaks off or is late, and where what it sent cannot be decoded, within limits.
    pub(super) async fn read(&mut self, share: &mut Share) -> Result<Option<Bytes>, Refusal> {
        loop {
            if let Some(piece) = self.coded.as_mut().map(|coded| coded.next(share)).transpose()?.flatten() {
                return Ok(Some(piece));
            }
            let piece = match self.deadline.step(self.upstream.read_body()).await {
                Ok(Ok(piece)) => piece,
                Ok(Err(failure)) => return Err(failure.refusal()),
                Err(late) => {
                    self.upstream.distrust();
                    return Err(late.refusal("the answer"));
                }
            };
            match (&mut self.coded, piece) {
                (None, piece) => return Ok(piece),
                (Some(coded), Some(piece)) => {
                    coded.begun |= !piece.is_empty();
                    coded.rest = piece;
                }
                (Some(coded), None) => return coded.finish().map(|()| None),
            }
        }
    }
}

impl Coded {
    fn next(&mut self, share: &mut Share) -> Result<Option<Bytes>, Refusal> {
        let mut input = &self.rest[..];
        let given = self.decoder.run(&mut input, &mut self.chunk);
        let left = input.len();
        self.rest.advance(self.rest.len() - left);
        let given = given.map_err(|error| self.refusal(error))?;
        let held = self.decoder.memory().saturating_add(self.chunk.len());
        if let Some(more) = held.checked_sub(self.held).filter(|more| *more > 0) {
            share.take(more).map_err(|error| Refusal::new(Reason::Undecided, error.to_string()))?;
            self.held = held;
        }
        Ok(self.chunk.get(..given).filter(|chunk| !chunk.is_empty()).map(Bytes::copy_from_slice))
    }

    fn finish(&self) -> Result<(), Refusal> {
        if self.begun { self.decoder.finish().map_err(|error| self.refusal(error)) } else { Ok(()) }
    }

    fn refusal(&self, error: DecodeError) -> Refusal {
        self.head.undecodable(error)
    }
}

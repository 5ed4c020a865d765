//! The frames in a run of bytes (RFC 9113 §4.1), however the bytes are cut. Payloads are passed over, not kept.

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const NO_ERROR: u32 = 0;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;

const PREFACE: u32 = 24;
const HEAD: usize = 9;
const CODE: usize = 4;

/// What is known of a frame once it is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) length: u32,
    /// The first four bytes of the payload: the error code of a reset.
    pub(super) code: u32,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes of the present frame's head, as far as they came.
    head: [u8; HEAD],
    have: usize,
    /// The frame whose payload is being passed over, and how much of it is left.
    present: Option<Frame>,
    left: u32,
    code: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn after_preface() -> Self {
        // Passed over as the payload of something that is not told of.
        Self { left: PREFACE, ..Self::default() }
    }

    /// Tells of every frame that `bytes` complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                bytes = self.pass(bytes);
            } else {
                bytes = self.begin(bytes);
            }
            if self.left == 0
                && let Some(frame) = self.present.take()
            {
                tell(frame);
            }
        }
    }

    /// Whether a frame has begun that is not DATA, or may be another.
    pub(super) fn is_inside_of_other_than_data(&self) -> bool {
        match self.present {
            Some(frame) => frame.kind != DATA,
            None => self.have > 0,
        }
    }

    fn pass<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (passed, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        if let Some(frame) = &mut self.present {
            for byte in passed.iter().take(CODE.saturating_sub(self.code)) {
                frame.code = (frame.code << 8) | u32::from(*byte);
                self.code += 1;
            }
        }
        self.left = self.left.saturating_sub(u32::try_from(passed.len()).unwrap_or(u32::MAX));
        rest
    }

    fn begin<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let count = HEAD.saturating_sub(self.have).min(bytes.len());
        let (came, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        for (to, from) in self.head.iter_mut().skip(self.have).zip(came) {
            *to = *from;
        }
        self.have += came.len();
        if self.have >= HEAD {
            let [a, b, c, kind, flags, ..] = self.head;
            let length = u32::from_be_bytes([0, a, b, c]);
            (self.have, self.code, self.left) = (0, 0, length);
            self.present = Some(Frame { kind, flags, length, code: 0 });
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn an_open_frame_is_known_to_be_open() {
        let mut frames = Frames::new();
        for (piece, open) in [(&b"\0\0\x02"[..], true), (b"\x01\0\0\0\0\x01", true), (b"a", true), (b"b", false)] {
            frames.feed(piece, |_| ());
            assert_eq!(frames.is_inside_of_other_than_data(), open, "{piece:?}");
        }
        frames.feed(b"\0\0\x02\0\0\0\0\0\x01a", |_| ());
        assert!(!frames.is_inside_of_other_than_data(), "a slow body has a pace of its own");
    }

    proptest! {
        #[test]
        fn frames_are_the_same_however_they_are_cut(
            all in proptest::collection::vec((0_u8..12, any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
            cuts in proptest::collection::vec(1_usize..30, 0..40),
        ) {
            let mut stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            let mut want = Vec::new();
            for (kind, flags, payload) in &all {
                stream.extend(bytes(*kind, *flags, payload));
                let code = payload.iter().take(4).fold(0, |code, byte| (code << 8) | u32::from(*byte));
                want.push(Frame { kind: *kind, flags: *flags, length: u32::try_from(payload.len()).unwrap(), code });
            }
            let (mut frames, mut found, mut rest) = (Frames::after_preface(), Vec::new(), stream.as_slice());
            for cut in cuts.iter().chain(std::iter::repeat(&7)) {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                frames.feed(piece, |frame| found.push(frame));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, want);
        }
    }
}

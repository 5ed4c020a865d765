//! What two processes say to each other: a tag, a length, and so many bytes.

use std::io::{Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest frame that is read: a record is at most half a line of the log.
const MAX_FRAME: usize = 1 << 20;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Hello = 1,
    Offer = 2,
    Ready = 3,
    Released = 4,
    Taken = 5,
    Record = 6,
    Sync = 7,
    Synced = 8,
    Given = 9,
}

impl Tag {
    const ALL: [Self; 9] = [
        Self::Hello,
        Self::Offer,
        Self::Ready,
        Self::Released,
        Self::Taken,
        Self::Record,
        Self::Sync,
        Self::Synced,
        Self::Given,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| *tag as u8 == byte)
    }
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) tag: Tag,
    pub(crate) payload: Vec<u8>,
}

/// Why nothing, or not what was awaited, was said.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the other process fell silent: {0}")]
    Io(#[from] std::io::Error),
    #[error("the other process said something unknown")]
    Unknown,
    #[error("the other process said too much at once: {0} bytes")]
    TooLong(usize),
    #[error("the other process said something else than awaited")]
    Unexpected,
    #[error("what the other process said cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// Says one thing.
///
/// # Errors
/// [`FrameError`]
pub(crate) fn write(to: &mut impl Write, tag: Tag, payload: &[u8]) -> Result<(), FrameError> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_FRAME);
    let length = length.ok_or(FrameError::TooLong(payload.len()))?;
    let mut frame = Vec::with_capacity(payload.len().saturating_add(5));
    frame.push(tag as u8);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
    Ok(to.write_all(&frame)?)
}

/// Says `value`.
///
/// # Errors
/// [`FrameError`]
pub(super) fn write_json(to: &mut impl Write, tag: Tag, value: &impl Serialize) -> Result<(), FrameError> {
    write(to, tag, &serde_json::to_vec(value)?)
}

/// Hears one thing, and takes not a byte more.
///
/// # Errors
/// [`FrameError`]
pub(crate) fn read(from: &mut impl Read) -> Result<Frame, FrameError> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [tag, length @ ..] = head;
    let tag = Tag::of(tag).ok_or(FrameError::Unknown)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Ok(Frame { tag, payload })
}

/// Hears a frame of this kind.
///
/// # Errors
/// [`FrameError`]; another kind is one.
pub(crate) fn expect(from: &mut impl Read, tag: Tag) -> Result<Vec<u8>, FrameError> {
    let frame = read(from)?;
    if frame.tag == tag { Ok(frame.payload) } else { Err(FrameError::Unexpected) }
}

/// Hears a value.
///
/// # Errors
/// [`FrameError`]; another kind is one.
pub(super) fn expect_json<T: DeserializeOwned>(from: &mut impl Read, tag: Tag) -> Result<T, FrameError> {
    Ok(serde_json::from_slice(&expect(from, tag)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_and_nothing_more_is_taken() {
        let mut bytes = Vec::new();
        for (tag, payload) in [(Tag::Ready, &b""[..]), (Tag::Record, b"{\"a\":1}"), (Tag::Sync, b"")] {
            write(&mut bytes, tag, payload).unwrap();
        }
        bytes.push(0xff);
        let mut rest = bytes.as_slice();
        assert_eq!(expect(&mut rest, Tag::Ready).unwrap(), b"");
        assert_eq!(read(&mut rest).unwrap(), Frame { tag: Tag::Record, payload: b"{\"a\":1}".to_vec() });
        assert!(matches!(expect(&mut rest, Tag::Synced), Err(FrameError::Unexpected)));
        assert_eq!(rest, [0xff]);
    }

    #[test]
    fn what_is_no_frame_is_refused_before_it_takes_room() {
        for (bytes, what) in [
            (&[][..], "nothing"),
            (&[1, 0, 0, 0], "half a head"),
            (&[0, 0, 0, 0, 0], "no such tag"),
            (&[10, 0, 0, 0, 0], "nor this"),
            (&[1, 0, 0, 0, 2, 0], "half a payload"),
            (&[6, 0xff, 0xff, 0xff, 0xff], "4 GiB"),
            (&[6, 0, 0x10, 0, 1], "one byte above the most"),
        ] {
            assert!(read(&mut &*bytes).is_err(), "{what}");
        }
        assert!(matches!(write(&mut Vec::new(), Tag::Record, &vec![0; MAX_FRAME + 1]), Err(FrameError::TooLong(_))));
    }
}

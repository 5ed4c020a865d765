//! The body of a request that goes out piece by piece, while its answer may come in.

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;

use super::failure::Failure;
use super::h2_stream::Outlet;
use super::wire::Wire;

/// Where pieces go. Dropping one that has not ended leaves a request that never was whole.
pub(crate) enum Upload {
    /// In chunks, or as many bytes as were declared.
    H1 {
        wire: Wire,
        left: Option<u64>,
    },
    H2(Outlet),
}

impl Upload {
    /// Sends `piece`; `end` with the last one, which may be empty.
    pub(crate) async fn push(mut self, piece: Bytes, end: bool) -> Result<Self, Failure> {
        let sent = match &mut self {
            Self::H1 { wire, left } => push(wire, left, &piece, end).await.map_err(|error| error.to_string()),
            Self::H2(outlet) => outlet.send(piece, end).await.map_err(|error| error.to_string()),
        };
        sent.map_err(|error| Failure::broken(format!("the upstream took no more of the request: {error}")))?;
        Ok(self)
    }

    /// Ends the request where it stands.
    pub(crate) fn cancel(&mut self) {
        if let Self::H2(outlet) = self {
            outlet.cancel();
        }
    }
}

async fn push(wire: &mut Wire, left: &mut Option<u64>, piece: &[u8], end: bool) -> std::io::Result<()> {
    let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
    match left {
        // INVARIANT: never a byte beyond what the head says; it would be the next request.
        Some(left) if length > *left || (end && length != *left) => {
            return Err(std::io::Error::other("the body is not as long as declared"));
        }
        Some(left) => {
            *left -= length;
            wire.write_all(piece).await?;
        }
        None => {
            let mut chunk = BytesMut::with_capacity(piece.len().saturating_add(32));
            if !piece.is_empty() {
                chunk.extend_from_slice(format!("{length:x}\r\n").as_bytes());
                chunk.extend_from_slice(piece);
                chunk.extend_from_slice(b"\r\n");
            }
            if end {
                chunk.extend_from_slice(b"0\r\n\r\n");
            }
            wire.write_all(&chunk).await?;
        }
    }
    wire.flush().await
}

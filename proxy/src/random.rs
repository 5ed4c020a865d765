//! Random bytes, handed to filters like the time.

/// Fills `bytes` from the system's generator; `false` where it has none to give.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    aws_lc_rs::rand::fill(bytes).is_ok()
}

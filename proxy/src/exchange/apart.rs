//! Long work apart from what others wait for: whoever sends much to inspect keeps one core busy, and nobody's connection.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Bytes of a body from which on its inspection is long: ordinary text of this length takes half a millisecond.
const LONG: usize = 64 << 10;

/// Does `work` on a body of `bytes`. Other tasks of this thread go on meanwhile, on another.
pub(super) fn inspect<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    // Handing the others over takes longer than to look through what is short. A runtime of one thread (tests) has nobody to take
    // them.
    if bytes < LONG || Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    tokio::task::block_in_place(work)
}

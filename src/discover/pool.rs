//! The threads that ask the file system.

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::error::DiscoverError;
use crate::threads::pool_of_up_to;

/// More than there are cores: what is waited for is a file server's answer, a millisecond a call on shared storage.
pub(super) const THREADS: usize = 16;

/// Of a list, so many neighbours are one thread's at a time, at most.
const NEIGHBOURS: usize = 256;

/// Of a list of `count`, how many neighbours are one thread's at a time: a few for each thread, however few there are, for
/// on shared storage an answer may take a millisecond.
pub(super) fn neighbours(count: usize) -> usize {
    (count / (4 * THREADS)).clamp(1, NEIGHBOURS)
}

pub(super) fn pool() -> Result<ThreadPool, DiscoverError> {
    let build = |threads| {
        let builder = ThreadPoolBuilder::new().num_threads(threads);
        builder.thread_name(|index| format!("discover-{index}")).build()
    };
    pool_of_up_to(THREADS, build).map_err(DiscoverError::Threads)
}

//! The threads that search the file system.

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::error::DiscoverError;
use crate::threads::pool_of_up_to;

/// More than there are cores, since threads mostly wait for a file server: a millisecond per call on shared storage.
pub(super) const THREADS: usize = 16;

/// The most neighbours in a list that one thread takes at a time.
const NEIGHBOURS: usize = 256;

/// How many neighbours in a list of `count` one thread takes at a time: so few that all threads have work even with short
/// lists, as a call may take a millisecond on shared storage.
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

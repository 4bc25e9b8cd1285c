//! The threads that ask the file system.

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::error::DiscoverError;

/// More than there are cores: what is waited for is a file server's answer, a millisecond a call on shared storage.
const THREADS: usize = 16;

pub(super) fn pool() -> Result<ThreadPool, DiscoverError> {
    ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .thread_name(|index| format!("discover-{index}"))
        .build()
        .map_err(DiscoverError::Threads)
}

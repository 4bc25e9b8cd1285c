//! Pools of threads where threads may be few: `ulimit -u` and the cgroup's limit count those of others, too.

use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuildError};

/// Threads of an attempt that failed half way take a moment to end, and count until they have.
const PAUSE: Duration = Duration::from_millis(20);

/// A pool of `most` threads, or of as many as can be had, by halves; `build` makes one of a given size.
///
/// # Errors
/// When not even one thread can be started.
pub fn pool_of_up_to(
    most: usize,
    build: impl Fn(usize) -> Result<ThreadPool, ThreadPoolBuildError>,
) -> Result<ThreadPool, ThreadPoolBuildError> {
    let mut threads = most;
    loop {
        match build(threads) {
            Err(_) if threads > 1 => {
                threads /= 2;
                std::thread::sleep(PAUSE);
            }
            built => return built,
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

    use super::pool_of_up_to;

    /// Of at most so many, as if the system had no more.
    fn scarce(there_are: usize) -> impl Fn(usize) -> Result<ThreadPool, ThreadPoolBuildError> {
        move |threads| {
            let builder = ThreadPoolBuilder::new().num_threads(threads);
            builder
                .spawn_handler(move |thread| {
                    if thread.index() >= there_are {
                        return Err(std::io::ErrorKind::WouldBlock.into());
                    }
                    std::thread::Builder::new().spawn(|| thread.run()).map(drop)
                })
                .build()
        }
    }

    #[test]
    fn a_pool_is_smaller_where_threads_are_few() {
        for (most, there_are, threads) in [(16, 99, 16), (16, 15, 8), (20, 3, 2), (3, 1, 1), (1, 1, 1)] {
            let pool = pool_of_up_to(most, scarce(there_are)).unwrap();
            assert_eq!(pool.current_num_threads(), threads, "{most} {there_are}");
        }
        assert!(pool_of_up_to(16, scarce(0)).is_err());
    }
}

//! Thread pools that cope with few available threads: `ulimit -u` and the cgroup's limit count those of other processes, too.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, available_parallelism};
use std::time::Duration;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// If a thread panics, the others continue.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a change, for at most this long if there is a limit.
pub fn wait<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Option<Duration>,
) -> MutexGuard<'a, T> {
    match limit {
        None => changed.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(limit) => changed.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner).0,
    }
}

/// The longest time until it is noticed that work must be abandoned.
const LEAVE: Duration = Duration::from_millis(100);

/// What comes of work in a thread of its own, for which there is no telling it to stop: where `keep_going` says so, it is left
/// behind, and nothing comes of it. To be used only where the process then ends.
///
/// # Errors
/// When no thread can be started.
pub fn unless_stopped<T: Send + 'static>(
    keep_going: &dyn Fn() -> bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (sender, receiver) = channel();
    // Its receiver may be gone.
    let thread = Builder::new().name("left-behind".to_owned()).spawn(move || _ = sender.send(work()))?;
    while keep_going() {
        match receiver.recv_timeout(LEAVE) {
            Ok(done) => return Ok(Some(done)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => return Ok(None),
            },
        }
    }
    Ok(None)
}

/// Threads of an attempt that failed half way take a moment to end, and count until they have.
const PAUSE: Duration = Duration::from_millis(20);

/// A pool of `most` threads, or of as many as are available, trying by halves; `build` makes one of a given size.
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

/// More of them would wait for memory and storage.
const MOST_THREADS: usize = 8;

/// On shared storage a call may take a millisecond.
const STORAGE_THREADS: usize = 16;

/// Enough for work that does not recurse, bytes: with many CPUs, stacks count.
const STACK: usize = 512 * 1024;

/// Threads for CPU-bound work: one for each usable CPU.
#[derive(Debug)]
pub struct CpuPool(Option<ThreadPool>);

impl CpuPool {
    /// Only the calling thread where there is but one CPU, no other thread can be had, or the caller is of a pool itself.
    pub fn gather() -> Self {
        let cpus = available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        if cpus == 1 || rayon::current_thread_index().is_some() {
            return Self(None);
        }
        let build = |threads| {
            let builder = ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK);
            builder.thread_name(|index| format!("cpu-{index}")).build()
        };
        Self(pool_of_up_to(cpus, build).ok())
    }

    /// For work that mostly waits for storage: more threads than there are CPUs.
    pub fn for_storage() -> Self {
        let build = |threads| {
            let builder = ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK);
            builder.thread_name(|index| format!("storage-{index}")).build()
        };
        let is_alone = rayon::current_thread_index().is_some();
        Self(if is_alone { None } else { pool_of_up_to(STORAGE_THREADS, build).ok() })
    }

    /// How many work at a time.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, ThreadPool::current_num_threads)
    }

    /// What `work` makes of each item, in their order.
    pub fn map<I: Send, T: Send>(&self, items: Vec<I>, work: impl Fn(I) -> T + Send + Sync) -> Vec<T> {
        match &self.0 {
            Some(pool) if items.len() > 1 => pool.install(|| items.into_par_iter().map(work).collect()),
            _ => items.into_iter().map(work).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

    use std::sync::mpsc::channel;

    use super::{CpuPool, pool_of_up_to, unless_stopped};

    #[test]
    fn work_that_does_not_end_is_left_when_it_is_to_stop() {
        assert_eq!(unless_stopped(&|| true, || 7).unwrap(), Some(7));
        let (sender, receiver) = channel::<()>();
        let asked = std::cell::Cell::new(0);
        let keep_going = || asked.replace(asked.get() + 1) < 2;
        assert!(unless_stopped(&keep_going, move || receiver.recv().is_ok()).unwrap().is_none());
        drop(sender);
    }

    #[test]
    fn what_a_crew_does_comes_in_order_and_who_is_of_one_gathers_none() {
        let crew = CpuPool::gather();
        let squares = crew.map((0..1000).collect(), |number: u64| number * number);
        assert!(squares.into_iter().eq((0..1000).map(|number| number * number)));
        assert_eq!(crew.map(vec![(), ()], |()| CpuPool::gather().size() == 1 || crew.size() == 1), [true; 2]);
    }

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

//! The stages of this process's shutdown, which threads check and wait for.
//!
//! When draining, it starts nothing more and lets running tasks finish; in a graceful shutdown it sends them SIGTERM; in a forced
//! one it kills them.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::SIGTERM;

use crate::process::latch::Latch;
use crate::threads::locked;

/// Whether this process is shutting down, and the stage.
#[derive(Debug)]
pub struct Shutdown {
    /// The signal that had us start nothing more; 0 before it.
    drain_signal: AtomicI32,
    /// The first signal that had us stop; 0 before it.
    signal: AtomicI32,
    /// Whether another process continues what runs here.
    yields: AtomicBool,
    /// When the first of these had what runs end.
    since: OnceLock<Instant>,
    drained: Latch,
    graceful: Latch,
    forced: Latch,
    /// Those of launches, each of which may end before this process does.
    launches: Mutex<Vec<Weak<Self>>>,
}

impl Shutdown {
    /// A shutdown without signals, for use inside other programs and tests.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub fn unconnected() -> io::Result<Self> {
        Ok(Self {
            drain_signal: AtomicI32::new(0),
            signal: AtomicI32::new(0),
            yields: AtomicBool::new(false),
            since: OnceLock::new(),
            drained: Latch::new()?,
            graceful: Latch::new()?,
            forced: Latch::new()?,
            launches: Mutex::default(),
        })
    }

    /// A shutdown for a launch, which can yield to a successor while this process continues. It receives everything that this one
    /// receives, including what came before.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub fn of_launch(&self) -> io::Result<Arc<Self>> {
        let launch = Arc::new(Self::unconnected()?);
        let mut launches = locked(&self.launches);
        launches.retain(|other| other.strong_count() > 0);
        launches.push(Arc::downgrade(&launch));
        if let Some(signal) = self.drain_signal() {
            launch.drain(signal);
        }
        if let Some(signal) = self.external_signal() {
            launch.request(signal);
            if self.is_forced() {
                launch.request(signal);
            }
        }
        Ok(launch)
    }

    /// Applies it to this one and to those of launches, none of which begins meanwhile.
    fn tell_all(&self, tell: impl Fn(&Self)) {
        let launches = locked(&self.launches);
        tell(self);
        launches.iter().filter_map(Weak::upgrade).for_each(|launch| tell(&launch));
    }

    /// Has nothing more be started; what runs may finish.
    pub fn drain(&self, signal: i32) {
        self.tell_all(|each| {
            each.drain_signal.store(signal, Ordering::Release);
            each.drained.open();
        });
    }

    /// The signal that has us start nothing more, once there was one.
    pub fn drain_signal(&self) -> Option<i32> {
        Some(self.drain_signal.load(Ordering::Acquire)).filter(|signal| *signal != 0)
    }

    /// A request to stop: the first one ends, every later one kills.
    pub fn request(&self, signal: i32) {
        self.tell_all(|each| {
            if each.signal.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                each.since.get_or_init(Instant::now);
                each.graceful.open();
            } else {
                each.forced.open();
            }
        });
    }

    /// Ends running tasks as SIGTERM does: another process continues them. It does not count as a request.
    pub fn yield_to_successor(&self) {
        self.yields.store(true, Ordering::Release);
        self.since.get_or_init(Instant::now);
        self.graceful.open();
    }

    /// The first request to stop from outside, once there was one.
    pub fn external_signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Acquire)).filter(|signal| *signal != 0)
    }

    /// The signal that what runs is ended for, once it is: that of the first request, or SIGTERM where this yields.
    pub fn signal(&self) -> Option<i32> {
        self.external_signal().or_else(|| self.yields.load(Ordering::Acquire).then_some(SIGTERM))
    }

    /// Whether running tasks were asked to end at least this long ago.
    pub fn is_overdue(&self, time: Duration) -> bool {
        self.since.get().is_some_and(|since| since.elapsed() >= time)
    }

    /// Waits up to `patience` for the first request to stop. Returns whether there was one.
    pub fn begins_within(&self, patience: Duration) -> bool {
        wait_for(&self.graceful, patience)
    }

    /// The same for the signal to start nothing more.
    pub fn drains_within(&self, patience: Duration) -> bool {
        wait_for(&self.drained, patience)
    }

    /// Whether a second signal came.
    pub fn is_forced(&self) -> bool {
        self.forced.is_open()
    }

    /// Hangs up at the first signal.
    pub fn graceful(&self) -> BorrowedFd<'_> {
        self.graceful.as_fd()
    }

    /// Hangs up at the second signal.
    pub fn forced(&self) -> BorrowedFd<'_> {
        self.forced.as_fd()
    }
}

/// Waits up to `patience` until a latch is open. Returns whether it is.
fn wait_for(latch: &Latch, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    while !latch.is_open() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let mut polled = [PollFd::from_borrowed_fd(latch.as_fd(), PollFlags::IN)];
        // Interrupted or not, check the latch again.
        let _ = poll(&mut polled, Timespec::try_from(left).ok().as_ref());
    }
    true
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Shutdown;

    #[test]
    fn the_first_signal_ends_and_the_second_kills() {
        let stop = Shutdown::unconnected().unwrap();
        assert_eq!((stop.signal(), stop.is_forced()), (None, false));
        assert!(!stop.begins_within(Duration::from_millis(1)) && !stop.is_overdue(Duration::ZERO));
        stop.request(15);
        assert_eq!((stop.signal(), stop.is_forced()), (Some(15), false));
        assert!(stop.begins_within(Duration::ZERO));
        assert!(stop.is_overdue(Duration::ZERO) && !stop.is_overdue(Duration::from_hours(1)));
        stop.request(2);
        assert_eq!((stop.signal(), stop.is_forced()), (Some(15), true));
        assert_eq!(stop.external_signal(), Some(15));
    }

    #[test]
    fn who_yields_was_told_by_nobody_and_the_first_signal_is_still_the_first() {
        let stop = Shutdown::unconnected().unwrap();
        stop.yield_to_successor();
        stop.yield_to_successor();
        assert_eq!((stop.signal(), stop.external_signal(), stop.is_forced()), (Some(15), None, false));
        assert!(stop.begins_within(Duration::ZERO));
        stop.request(2);
        assert_eq!((stop.signal(), stop.external_signal(), stop.is_forced()), (Some(2), Some(2), false));
        stop.request(2);
        assert!(stop.is_forced());
    }

    #[test]
    fn a_launch_hears_what_its_process_is_told_and_yields_alone() {
        let process = Shutdown::unconnected().unwrap();
        let first = process.of_launch().unwrap();
        first.yield_to_successor();
        assert_eq!((first.signal(), process.signal()), (Some(15), None));
        process.drain(10);
        process.request(2);
        let second = process.of_launch().unwrap();
        for launch in [&first, &second] {
            assert_eq!((launch.external_signal(), launch.is_forced()), (Some(2), false));
            assert_eq!(launch.drain_signal(), Some(10));
        }
        process.request(15);
        let third = process.of_launch().unwrap();
        for launch in [&first, &second, &third] {
            assert_eq!((launch.external_signal(), launch.is_forced()), (Some(2), true));
        }
    }
}

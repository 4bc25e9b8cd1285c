//! How far this process is on its way to its end: its stages are what threads look at, and wait for.
//!
//! Drained, it starts nothing more and lets what runs finish; in a graceful shutdown what runs is told to end; in a forced
//! one it is killed.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::SIGTERM;

use crate::run::latch::Latch;

/// Whether and how far this process was told to stop.
#[derive(Debug)]
pub struct Shutdown {
    /// The signal that had us start nothing more; 0 before it.
    drain_signal: AtomicI32,
    /// The first signal that had us stop; 0 before it.
    signal: AtomicI32,
    /// Whether that came from this process itself.
    is_own: AtomicBool,
    drained: Latch,
    graceful: Latch,
    forced: Latch,
}

impl Shutdown {
    /// One that no signal reaches, for use inside other programs and tests.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub fn unconnected() -> io::Result<Self> {
        Ok(Self {
            drain_signal: AtomicI32::new(0),
            signal: AtomicI32::new(0),
            is_own: AtomicBool::new(false),
            drained: Latch::new()?,
            graceful: Latch::new()?,
            forced: Latch::new()?,
        })
    }

    /// Has nothing more be started; what runs may finish.
    pub fn drain(&self, signal: i32) {
        self.drain_signal.store(signal, Ordering::Release);
        self.drained.open();
    }

    /// The signal that has us start nothing more, once there was one.
    pub fn drain_signal(&self) -> Option<i32> {
        Some(self.drain_signal.load(Ordering::Acquire)).filter(|signal| *signal != 0)
    }

    /// A request to stop: the first one ends, every later one kills.
    pub fn request(&self, signal: i32) {
        if self.signal.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.graceful.open();
        } else {
            self.forced.open();
        }
    }

    /// Ends what runs as if there had been a SIGTERM, unless there was a signal: another process goes on with it.
    pub fn yield_to_successor(&self) {
        if self.signal().is_none() {
            self.is_own.store(true, Ordering::Release);
            self.request(SIGTERM);
        }
    }

    /// The first signal, unless this process gave way by itself.
    pub fn external_signal(&self) -> Option<i32> {
        self.signal().filter(|_| !self.is_own.load(Ordering::Acquire))
    }

    /// The first signal, once there was one.
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Acquire)).filter(|signal| *signal != 0)
    }

    /// Waits up to `patience` for the first request to stop. Tells whether there was one.
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

/// Waits up to `patience` until a latch is open. Tells whether it is.
fn wait_for(latch: &Latch, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    while !latch.is_open() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let mut polled = [PollFd::from_borrowed_fd(latch.as_fd(), PollFlags::IN)];
        // Interrupted or not, the latch is looked at afresh.
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
        assert!(!stop.begins_within(Duration::from_millis(1)));
        stop.request(15);
        assert_eq!((stop.signal(), stop.is_forced()), (Some(15), false));
        assert!(stop.begins_within(Duration::ZERO));
        stop.request(2);
        assert_eq!((stop.signal(), stop.is_forced()), (Some(15), true));
        assert_eq!(stop.external_signal(), Some(15));
    }

    #[test]
    fn who_gives_way_was_told_by_nobody() {
        let stop = Shutdown::unconnected().unwrap();
        stop.yield_to_successor();
        stop.yield_to_successor();
        assert_eq!((stop.signal(), stop.external_signal(), stop.is_forced()), (Some(15), None, false));
    }
}

//! Signals of the system to two stages of stopping that threads can wait on: start nothing more, then kill.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::run::latch::Latch;
use crate::run::proc_text;

/// The signals that are requests to stop.
pub const REQUESTS: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];

/// Whether and how far this process was told to stop.
#[derive(Debug)]
pub struct Shutdown {
    /// The first signal; 0 before it.
    signal: AtomicI32,
    /// Whether that came from this process itself.
    is_own: AtomicBool,
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
            signal: AtomicI32::new(0),
            is_own: AtomicBool::new(false),
            graceful: Latch::new()?,
            forced: Latch::new()?,
        })
    }

    /// Takes SIGTERM, SIGINT and SIGHUP over, from now on and for good. One that is ignored (as under `nohup`) stays
    /// ignored, unless this is PID 1, for whom the kernel ignores what has no handler.
    ///
    /// # Errors
    /// When handlers can't be installed.
    pub fn on_signals() -> io::Result<Arc<Self>> {
        let stop = Arc::new(Self::unconnected()?);
        let taken = REQUESTS.into_iter().filter(|signal| std::process::id() == 1 || !is_ignored(*signal));
        let mut signals = Signals::new(taken)?;
        let listener = Arc::clone(&stop);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                listener.request(signal);
            }
        })?;
        Ok(stop)
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

    /// Waits up to `patience` for the first signal. Tells whether there was one.
    pub fn begins_within(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        // The signal itself may interrupt the wait, before it is taken note of.
        while self.signal().is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let mut graceful = [PollFd::from_borrowed_fd(self.graceful(), PollFlags::IN)];
            let _ = poll(&mut graceful, Timespec::try_from(left).ok().as_ref());
        }
        true
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

/// Has writing beyond the limit on the size of files (`ulimit -f`) fail, as on a full disk, instead of killing this process.
/// What it starts inherits nothing of it.
pub fn survive_limits_on_files() {
    if !is_ignored(SIGXFSZ) {
        // Where that can't be had, the limit kills as it did.
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    }
}

/// Whether a signal is ignored, as inherited from who started this process.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = proc_text::word(&status, "SigIgn:");
    let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
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

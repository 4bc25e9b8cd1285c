//! Heartbeats: a file of this process grows as long as it runs, even while other threads wait.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::host::storage::StorageError;
use crate::store::pulse::{Pulse, sync};
use crate::threads::locked;

/// The heartbeat interval, and the timeout after which a launch counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatTimes {
    /// How often a running process lets its file grow.
    pub interval: Duration,
    /// A file that has not grown for this long has lost its writer.
    pub timeout: Duration,
}

impl Default for HeartbeatTimes {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(30) }
    }
}

impl HeartbeatTimes {
    /// A process that has not looked for a newer launch for this long may have been frozen, and looks again before it
    /// writes anything. Far below the timeout, after which a newer launch may begin.
    pub fn recheck(self) -> Duration {
        self.timeout / 10
    }
}

/// What is written is synced this often, so that it lasts through a power loss and other hosts see it.
const SYNCED: Duration = Duration::from_secs(1);

/// A sync that hangs blocks a thread. How many may hang before no more are tried.
const MOST_SYNCS: usize = 4;

/// These threads do hardly anything.
const STACK: usize = 128 * 1024;

/// Sends heartbeats from its own thread as long as this is kept, whatever its owner waits for. Other threads sync
/// them: if one sync hangs, the heartbeats continue, and so do other attempts to sync them.
#[must_use = "signs of life end when it is dropped"]
pub struct Heartbeat<P: Pulse> {
    shared: Arc<HeartbeatShared<P>>,
    /// Wakes the thread when it is dropped.
    _goes_on: PipeWriter,
}

/// The check before a heartbeat after a gap in which this process may not have run: see [`Heartbeat::start`].
pub type GoesOn = Box<dyn Fn() -> bool + Send + Sync>;

struct HeartbeatShared<P> {
    pulse: Arc<Mutex<P>>,
    times: HeartbeatTimes,
    goes_on: GoesOn,
    state: Mutex<HeartbeatState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct HeartbeatState {
    is_over: bool,
    is_sync_wanted: bool,
    syncs: usize,
    idle_syncs: usize,
    last_sync_began: Option<Instant>,
    /// When the newest heartbeat began.
    last_sign: Option<Instant>,
    /// When the newest one was begun that is known to be synced.
    last_synced: Option<Instant>,
    trouble: Option<StorageError>,
}

impl<P: Pulse> Heartbeat<P> {
    /// Begins, right after its owner has written to the file: that is the first sign. After a gap that is long enough for others to have taken this process for dead, `goes_on` says whether to
    /// give a sign once more.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(pulse: Arc<Mutex<P>>, times: HeartbeatTimes, goes_on: GoesOn) -> io::Result<Self> {
        let state = HeartbeatState { last_sign: Some(Instant::now()), ..HeartbeatState::default() };
        let state = Mutex::new(state);
        let shared = Arc::new(HeartbeatShared { pulse, times, goes_on, state, changed: Condvar::new() });
        let (over, kept) = io::pipe()?;
        let heartbeat = Self { shared: Arc::clone(&shared), _goes_on: kept };
        shared.start_sync()?;
        spawn("heartbeat", move || shared.give_signs(&over))?;
        Ok(heartbeat)
    }

    /// Why heartbeats did not reach storage, if that ever happened.
    pub fn trouble(&self) -> Option<StorageError> {
        locked(&self.shared.state).trouble.clone()
    }

    /// When the newest heartbeat began that is known to be synced, so that other hosts see it.
    pub fn last_synced(&self) -> Option<Instant> {
        locked(&self.shared.state).last_synced
    }
}

impl<P: Pulse> Drop for Heartbeat<P> {
    fn drop(&mut self) {
        // Wait for a heartbeat that is being written, so that none comes later; don't wait for a sync that hangs.
        let _pulse = locked(&self.shared.pulse);
        locked(&self.shared.state).is_over = true;
        self.shared.changed.notify_all();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(work).map(drop)
}

/// Whether the other end of a pipe is dropped within this time.
fn hangs_up_within(pipe: &PipeReader, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(pipe, PollFlags::IN)];
        match poll(&mut polled, Timespec::try_from(left).ok().as_ref()) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return true,
        }
    }
}

impl<P: Pulse> HeartbeatShared<P> {
    fn give_signs(self: Arc<Self>, over: &PipeReader) {
        let HeartbeatTimes { interval, .. } = self.times;
        let mut last = Instant::now();
        while !hangs_up_within(over, SYNCED.min(interval)) {
            let now = Instant::now();
            let gap = now - last;
            if gap >= interval {
                // A process that was frozen for long may have lost what it was at.
                if gap > interval + self.times.recheck() && !(self.goes_on)() {
                    return;
                }
                last = now;
                if !self.beat() {
                    return;
                }
            }
            self.ask_for_sync();
        }
    }

    /// Whether it continues.
    fn beat(&self) -> bool {
        let mut pulse = locked(&self.pulse);
        if locked(&self.state).is_over {
            return false;
        }
        let begun = Instant::now();
        let result = pulse.beat();
        drop(pulse);
        if result.is_ok() {
            locked(&self.state).last_sign = Some(begun);
        }
        self.note("write", &result);
        true
    }

    fn note(&self, what: &'static str, result: &io::Result<()>) {
        if let Err(error) = result {
            let trouble = || StorageError::new(&format!("can't {what} {}", P::NAME), error);
            locked(&self.state).trouble.get_or_insert_with(trouble);
        }
    }

    fn ask_for_sync(self: &Arc<Self>) {
        let mut state = locked(&self.state);
        state.is_sync_wanted = true;
        let hangs = state.last_sync_began.is_some_and(|began| began.elapsed() >= self.times.interval);
        let needs_another = state.idle_syncs == 0 && hangs && state.syncs < MOST_SYNCS;
        drop(state);
        self.changed.notify_all();
        if needs_another {
            // Without one more, this is as it was.
            let _ = self.start_sync();
        }
    }

    fn start_sync(self: &Arc<Self>) -> io::Result<()> {
        let shared = Arc::clone(self);
        spawn("sync", move || shared.sync_again_and_again())?;
        locked(&self.state).syncs += 1;
        Ok(())
    }

    fn sync_again_and_again(self: Arc<Self>) {
        let mut state = locked(&self.state);
        loop {
            state.idle_syncs += 1;
            while !state.is_sync_wanted && !state.is_over {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.idle_syncs -= 1;
            if state.is_over {
                return;
            }
            state.is_sync_wanted = false;
            state.last_sync_began = Some(Instant::now());
            let sign = state.last_sign;
            drop(state);
            let result = sync(&self.pulse);
            self.note("sync", &result);
            state = locked(&self.state);
            if result.is_ok() {
                // Another one that hung until now may have covered less.
                state.last_synced = state.last_synced.max(sign);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use crate::store::pulse::Pulse;

    use super::{Heartbeat, HeartbeatTimes};

    /// What never grows, and may be synced or not.
    struct TestPulse(Arc<File>);

    impl Pulse for TestPulse {
        type Mark = ();

        const NAME: &str = "a test's file";

        fn beat(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn begin_sync(&mut self) -> Option<(Arc<File>, ())> {
            Some((Arc::clone(&self.0), ()))
        }

        fn end_sync(&mut self, (): (), _: &io::Result<()>) {}
    }

    fn beating(file: File) -> Heartbeat<TestPulse> {
        let times = HeartbeatTimes { interval: Duration::from_millis(5), timeout: Duration::from_secs(1) };
        let pulse = Arc::new(Mutex::new(TestPulse(Arc::new(file))));
        Heartbeat::start(pulse, times, Box::new(|| true)).unwrap()
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < Duration::from_mins(1));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_last_sign_that_was_synced_is_known() {
        let heartbeat = beating(tempfile::tempfile().unwrap());
        for _ in 0..2 {
            let now = Instant::now();
            wait_until(|| heartbeat.last_synced().is_some_and(|sign| sign > now));
        }
    }

    #[test]
    fn what_is_not_known_to_be_synced_does_not_count() {
        // A device can't be synced.
        let heartbeat = beating(File::open("/dev/null").unwrap());
        wait_until(|| heartbeat.trouble().is_some());
        assert_eq!(heartbeat.last_synced(), None);
    }
}

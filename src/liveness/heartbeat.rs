//! Whether the process that began a file (a journal, the sign that somebody is listing) is still at it.
//!
//! Clocks of hosts differ and file locks over a network may lie, so a lock is believed only on the very host that took it,
//! and everybody else watches the file for growth by their own clock.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::host::storage::StorageError;
use crate::model::provenance::Process;
use crate::store::pulse::{Pulse, sync};
use crate::threads::locked;

/// How often signs of life are given, and when their absence means that nobody is there.
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

/// How long a watched file is left before the next look: soon at first, for who is done in no time, then seldom, since
/// each look costs the file server a call.
const LOOKS: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(500);

/// What can be said at once of a file's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs on this host.
    Alive,
    /// It ran on this host and is gone.
    Dead,
    /// Only watching can tell.
    Unknown,
}

/// What watching a file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrowthWatch {
    /// It did not grow: nobody writes it any more.
    Quiet,
    /// It grew.
    Grew,
    /// It is not there.
    Missing,
    /// The watch was given up.
    Stopped,
}

/// Locks the file at `path` for as long as `file` stays open. `false` where the file system can't, or says that it did and
/// lets others have the lock too.
pub fn lock(file: &File, path: &Path) -> bool {
    let refuses_others = || {
        let other = File::open(path).ok()?;
        flock(&other, FlockOperation::NonBlockingLockShared).err()
    };
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
        && refuses_others() == Some(Errno::WOULDBLOCK)
}

/// Asks the lock of the file at `path`, which `writer` began and, as it says, locked.
///
/// # Errors
/// When the file can't be opened.
pub fn probe(path: &Path, writer: &Process, locked: bool, me: &Process) -> io::Result<Liveness> {
    if !locked || !me.is_on_the_host_of(writer) {
        return Ok(Liveness::Unknown);
    }
    let file = File::open(path)?;
    Ok(match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Liveness::Dead,
        Err(Errno::WOULDBLOCK) => Liveness::Alive,
        Err(_) => Liveness::Unknown,
    })
}

/// Watches the file at `path` until it grows, vanishes or was quiet for `quiet`. `keep_going` is asked at every look.
///
/// # Errors
/// When the file can't be looked at.
pub fn watch(path: &Path, quiet: Duration, keep_going: &dyn Fn() -> bool) -> io::Result<GrowthWatch> {
    let Some(at_first) = length(path)? else { return Ok(GrowthWatch::Missing) };
    let mut time = AnsweredTime::new(quiet);
    let mut pause = *LOOKS.start();
    while time.passed < quiet {
        if !keep_going() {
            return Ok(GrowthWatch::Stopped);
        }
        std::thread::sleep(pause.min(quiet));
        pause = (pause * 2).min(*LOOKS.end());
        match length(path)? {
            Some(now) if now == at_first => time.note_answer(),
            Some(_) => return Ok(GrowthWatch::Grew),
            None => return Ok(GrowthWatch::Missing),
        }
    }
    Ok(GrowthWatch::Quiet)
}

/// Watches files side by side. Gives the lengths of those that were quiet for `quiet`; none when the watch was given up.
pub fn quiet_ones(
    paths: Vec<PathBuf>,
    quiet: Duration,
    keep_going: &dyn Fn() -> bool,
) -> BTreeMap<PathBuf, u64> {
    let length_if_told = |path: &Path| length(path).ok().flatten();
    let at_first: Vec<_> =
        paths.into_iter().filter_map(|path| Some((length_if_told(&path)?, path))).collect();
    let mut time = AnsweredTime::new(quiet);
    while time.passed < quiet {
        if !keep_going() {
            return BTreeMap::new();
        }
        std::thread::sleep(quiet.saturating_sub(time.passed).min(*LOOKS.start() * 5));
        // Whether storage answers is seen by any of them.
        if at_first.first().is_none_or(|(_, path)| length(path).is_ok()) {
            time.note_answer();
        }
    }
    let is_quiet = |(before, path): &(u64, PathBuf)| length_if_told(path) == Some(*before);
    at_first.into_iter().filter(is_quiet).map(|(length, path)| (path, length)).collect()
}

/// The length of the file at `path`; `None` where it is not there.
fn length(path: &Path) -> io::Result<Option<u64>> {
    let mut tries = 0;
    loop {
        match std::fs::metadata(path) {
            Ok(metadata) => return Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // What was known of it is out of date: a new look tells.
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle && tries < STALE_LOOKS => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

const STALE_LOOKS: u32 = 3;

/// The time in which looks were answered. Neither an observer that was frozen nor storage that stands still, for which the
/// watched one waits as well, is to make the living seem dead.
struct AnsweredTime {
    passed: Duration,
    last_answer: Instant,
    longest_gap: Duration,
}

impl AnsweredTime {
    fn new(quiet: Duration) -> Self {
        Self { passed: Duration::ZERO, last_answer: Instant::now(), longest_gap: quiet / 3 }
    }

    fn note_answer(&mut self) {
        let now = Instant::now();
        self.passed += now.duration_since(self.last_answer).min(self.longest_gap);
        self.last_answer = now;
    }
}

/// What is written is synced this often, so that it lasts through a power loss and other hosts see it.
const SYNCED: Duration = Duration::from_secs(1);

/// A sync that hangs holds up a thread. So many may hang before no more are tried.
const MOST_SYNCS: usize = 4;

/// These threads do hardly anything.
const STACK: usize = 128 * 1024;

/// Gives signs of life from a thread of its own as long as this is kept, whatever its owner waits for. Other threads sync
/// them: where one sync hangs, the signs go on, and so do other tries to sync them.
#[must_use = "signs of life end when it is dropped"]
pub struct Heartbeat<P: Pulse> {
    shared: Arc<HeartbeatShared<P>>,
    /// Wakes the thread when it is dropped.
    _goes_on: PipeWriter,
}

/// What must hold before a sign of life is given after a gap in which nobody may have run here: see [`Heartbeat::start`].
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
    trouble: Option<StorageError>,
}

impl<P: Pulse> Heartbeat<P> {
    /// Begins. After a gap that is long enough for others to have taken this process for dead, `goes_on` says whether to
    /// give a sign once more.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(pulse: Arc<Mutex<P>>, times: HeartbeatTimes, goes_on: GoesOn) -> io::Result<Self> {
        let state = Mutex::new(HeartbeatState::default());
        let shared = Arc::new(HeartbeatShared { pulse, times, goes_on, state, changed: Condvar::new() });
        let (over, kept) = io::pipe()?;
        let heartbeat = Self { shared: Arc::clone(&shared), _goes_on: kept };
        shared.start_sync()?;
        spawn("heartbeat", move || shared.give_signs(&over))?;
        Ok(heartbeat)
    }

    /// Why signs of life did not arrive, if they ever did not.
    pub fn trouble(&self) -> Option<StorageError> {
        locked(&self.shared.state).trouble.clone()
    }
}

impl<P: Pulse> Drop for Heartbeat<P> {
    fn drop(&mut self) {
        // Whoever gives a sign right now is waited for, so that none comes later. A sync that hangs is not.
        let _pulse = locked(&self.shared.pulse);
        locked(&self.shared.state).is_over = true;
        self.shared.changed.notify_all();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(work).map(drop)
}

/// Whether the other end of a pipe is dropped within so long.
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

    /// Whether it goes on.
    fn beat(&self) -> bool {
        let mut pulse = locked(&self.pulse);
        if locked(&self.state).is_over {
            return false;
        }
        let result = pulse.beat();
        drop(pulse);
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
            drop(state);
            self.note("sync", &sync(&self.pulse));
            state = locked(&self.state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use crate::model::provenance::Process;

    use super::{GrowthWatch, Liveness, lock, probe, watch};

    #[test]
    fn a_lock_tells_whether_the_writer_on_this_host_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let me = Process::current(None);
        let file = File::create(&path).unwrap();
        assert!(lock(&file, &path));
        assert!(!lock(&File::open(&path).unwrap(), &path));
        assert_eq!(probe(&path, &me, true, &me).unwrap(), Liveness::Alive);
        assert_eq!(probe(&path, &me, false, &me).unwrap(), Liveness::Unknown);
        let elsewhere = Process { host: "elsewhere".into(), ..me.clone() };
        assert_eq!(probe(&path, &elsewhere, true, &me).unwrap(), Liveness::Unknown);
        drop(file);
        assert_eq!(probe(&path, &me, true, &me).unwrap(), Liveness::Dead);
    }

    #[test]
    fn watching_tells_a_quiet_file_from_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert_eq!(watch(&path, Duration::from_millis(1), &|| true).unwrap(), GrowthWatch::Missing);
        File::create(&path).unwrap();
        assert_eq!(watch(&path, Duration::from_millis(1), &|| true).unwrap(), GrowthWatch::Quiet);
        assert_eq!(watch(&path, Duration::from_secs(30), &|| false).unwrap(), GrowthWatch::Stopped);
        let grown = std::cell::Cell::new(false);
        let grow = || {
            if !grown.replace(true) {
                std::fs::write(&path, "more").unwrap();
            }
            true
        };
        assert_eq!(watch(&path, Duration::from_secs(30), &grow).unwrap(), GrowthWatch::Grew);
    }
}

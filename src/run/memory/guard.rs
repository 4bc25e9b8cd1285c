//! Watches the container's memory while tasks run: near the limit nothing new begins, nearer the task that grew most is
//! stopped. Best effort: what grows faster than it looks is the kernel's.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::record::history::share_of_memory;
use crate::run::cgroup::MemoryGroup;
use crate::run::memory::judge::Judge;
use crate::run::memory::room::{Measured, Room};
use crate::run::memory::roster::{Overview, Roster};
use crate::run::source::Source;

/// How often it looks.
const PACE: Duration = Duration::from_millis(50);

/// The same where memory has little room left.
const CLOSE_PACE: Duration = Duration::from_millis(20);

/// Looking at tasks may take this part of the time, unless one is about to be stopped.
const COST: u32 = 10;

/// Who ends sooner than this is not looked at, unless one is about to be stopped: many short tasks cost nothing.
const YOUNG: Duration = Duration::from_millis(50);

/// The bell is rung at most this often.
const BETWEEN_RINGS: Duration = Duration::from_secs(1);

/// The guard of one launch.
#[derive(Debug)]
pub struct Guard<'a> {
    memory: &'a MemoryGroup,
    room: Room,
    /// Whether a container died of this replica before.
    died_before: bool,
    roster: &'a Roster,
    source: &'a Source,
    /// The most in use since it was last asked for, bytes.
    peak: AtomicU64,
    bell: (io::PipeReader, io::PipeWriter),
}

/// What it remembers from look to look.
struct Watch {
    judge: Judge,
    /// Not before this are tasks looked at again.
    next_tasks: Instant,
    /// Bytes that tasks had when they were.
    tasks: u64,
    is_full: bool,
    /// When the bell was last rung, if use went over what tasks may fill and it is to be told of it.
    rung: Option<Instant>,
    is_told: bool,
}

impl<'a> Guard<'a> {
    /// One that says to `source` how many may run at once.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub fn new(
        memory: &'a MemoryGroup,
        room: Room,
        died_before: bool,
        roster: &'a Roster,
        source: &'a Source,
    ) -> io::Result<Self> {
        let bell = io::pipe()?;
        rustix::io::ioctl_fionbio(&bell.0, true)?;
        rustix::io::ioctl_fionbio(&bell.1, true)?;
        Ok(Self { memory, room, died_before, roster, source, peak: AtomicU64::new(0), bell })
    }

    /// Looks on from a thread of its own as long as `work` goes on.
    ///
    /// # Errors
    /// When the thread can't be started: then nothing was done.
    pub fn watch_over<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let mut watch = Watch {
            judge: Judge::new(self.memory.limit()),
            next_tasks: Instant::now(),
            tasks: 0,
            is_full: false,
            rung: None,
            is_told: false,
        };
        // Nothing begins before it is known how many may.
        self.look(&mut watch);
        let (working, is_working) = channel::<()>();
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("memory".into());
            thread.spawn_scoped(scope, move || {
                let pace = |watch: &Watch| if watch.is_full { CLOSE_PACE } else { PACE };
                while is_working.recv_timeout(pace(&watch)) == Err(RecvTimeoutError::Timeout) {
                    self.look(&mut watch);
                }
            })?;
            let done = work();
            drop(working);
            Ok(done)
        })
    }

    /// Ready to be read when a sign of life is due at once: what comes next may be the end.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.0.as_fd()
    }

    /// The most in use since this was last asked, bytes. Silences the bell.
    pub fn peak(&self) -> Option<u64> {
        // There is nothing to tell of a bell that did not ring.
        let _ = (&self.bell.0).read(&mut [0; 64]);
        let before = self.peak.swap(0, Ordering::Relaxed);
        self.memory.in_use().map(|now| now.max(before))
    }

    fn look(&self, watch: &mut Watch) {
        let now = Instant::now();
        let Some(in_use) = self.memory.in_use() else { return };
        self.peak.fetch_max(in_use, Ordering::Relaxed);
        watch.is_full = in_use >= share_of_memory(self.memory.limit());
        watch.judge.note_use(now, in_use);
        let is_near = watch.judge.is_near_the_limit();
        if is_near || now >= watch.next_tasks {
            let tasks = self.roster.look(if is_near { Duration::ZERO } else { YOUNG });
            watch.next_tasks = Instant::now() + now.elapsed() * COST;
            watch.tasks = tasks.iter().map(|(_, bytes)| bytes).sum();
            watch.judge.note_tasks(now, &tasks);
            if let Some((serial, shortage)) = watch.judge.verdict() {
                // One that left meanwhile gives its memory back just the same.
                self.roster.stop(serial, shortage);
            }
        }
        let Overview { seen, ran_short } = self.roster.overview();
        self.source.allow(self.room.at_once(Measured {
            in_use,
            tasks: watch.tasks,
            ended: seen.attempts,
            largest: seen.largest,
            is_careful: ran_short || self.died_before,
        }));
        self.ring_if_due(watch, now);
    }

    fn ring_if_due(&self, watch: &mut Watch, now: Instant) {
        watch.is_told &= watch.is_full;
        let is_rested = watch.rung.is_none_or(|rung| now.duration_since(rung) >= BETWEEN_RINGS);
        if watch.is_full && !watch.is_told && is_rested {
            watch.rung = Some(now);
            watch.is_told = true;
            // A full pipe is loud enough.
            let _ = (&self.bell.1).write(&[0]);
        }
    }
}

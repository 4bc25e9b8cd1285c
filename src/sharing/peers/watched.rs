//! One launch's journal, polled repeatedly: each time only what is new is read.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::journal::event::{EventKind, LaunchBegun};
use crate::journal::launch_state::LaunchState;
use crate::journal::line::JournalLine;
use crate::journal::tail;
use crate::liveness::answered_time::AnsweredTime;
use crate::liveness::probe::{is_in_sight, liveness_without_end};
use crate::liveness::watch::Liveness;
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::sharing::peers::{PeerLook, PeerState, TAKEOVER_AFTER};
use crate::store::regular;

/// Inode and length.
type Seen = (u64, u64);

/// A journal that is watched.
#[derive(Debug)]
pub(super) struct WatchedJournal {
    path: PathBuf,
    peer: LaunchId,
    /// At the last look that was answered; `None` where it was not there.
    seen: Option<Seen>,
    /// Where to read on; `None` where nothing was read yet.
    offset: Option<u64>,
    /// Which process began it, once that is written.
    begun: Option<Box<LaunchBegun>>,
    launch: LaunchState,
    /// Since it last grew, or was first seen.
    quiet: AnsweredTime,
    /// When the last look began that was answered.
    last_asked: Instant,
    /// Whether it grew since it was first seen.
    has_grown: bool,
    /// After this moment it certainly lived.
    lived_after: Option<Instant>,
    lock: Liveness,
}

impl WatchedJournal {
    pub(super) fn new(path: PathBuf, peer: LaunchId, now: Instant) -> Self {
        Self {
            path,
            peer,
            seen: None,
            offset: None,
            begun: None,
            launch: LaunchState::new(peer.replica, peer.launch),
            quiet: AnsweredTime::new(TAKEOVER_AFTER, now),
            last_asked: now,
            has_grown: false,
            lived_after: None,
            lock: Liveness::Unknown,
        }
    }

    /// Checks it: reads what is new, and tests its lock if it is on this host.
    ///
    /// # Errors
    /// When the storage does not answer; all is then as before.
    pub(super) fn look(
        &mut self,
        run: &str,
        me: &Process,
        clock: impl Fn() -> Instant,
    ) -> anyhow::Result<()> {
        let asked = clock();
        let seen = self.stat()?;
        if seen != self.seen {
            self.read_new(run, seen)?;
        }
        self.note_seen(seen, clock());
        self.last_asked = asked;
        if self.lock != Liveness::Dead && seen.is_some() && self.launch.stop.is_none() {
            self.ask_lock(run, me)?;
        }
        Ok(())
    }

    fn stat(&self) -> anyhow::Result<Option<Seen>> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) => Ok(Some((metadata.ino(), metadata.len()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.cannot_read()),
        }
    }

    fn cannot_read(&self) -> String {
        format!("can't read the journal {}", self.path.display())
    }

    fn read_new(&mut self, run: &str, seen: Option<Seen>) -> anyhow::Result<()> {
        if seen.is_none() {
            return Ok(());
        }
        if !is_longer(self.seen, seen) {
            self.forget();
        }
        let read = self.read_on(run);
        if read.is_err() {
            // Its lines would be applied twice.
            self.offset = None;
        }
        read.with_context(|| self.cannot_read())
    }

    /// It is another one than before.
    fn forget(&mut self) {
        (self.offset, self.begun, self.lock) = (None, None, Liveness::Unknown);
    }

    fn read_on(&mut self, run: &str) -> anyhow::Result<()> {
        let file = regular::open(&self.path)?;
        if self.begun.is_none() {
            self.begun = tail::begun(&self.path)?;
        }
        let offset = if let Some(offset) = self.offset {
            offset
        } else {
            self.launch = LaunchState::new(self.peer.replica, self.peer.launch);
            let sign = tail::last_of(&file, file.metadata()?.len(), EventKind::Alive, run, 1)?;
            sign.map_or(0, |(offset, _)| offset)
        };
        let launch = &mut self.launch;
        let mut take = |line: Option<&JournalLine<'_>>| match line {
            Some(line) if line.run == run => _ = launch.take(line),
            _ => launch.take_unreadable(),
        };
        self.offset = Some(tail::read_on(&file, &self.path, offset, &mut take)?);
        Ok(())
    }

    fn note_seen(&mut self, seen: Option<Seen>, now: Instant) {
        if seen == self.seen {
            self.quiet.note_answer(now);
            return;
        }
        self.quiet = AnsweredTime::new(self.takeover_after(), now);
        self.has_grown = is_longer(self.seen, seen);
        // What is new was written after the look before.
        self.lived_after = self.has_grown.then_some(self.last_asked);
        self.seen = seen;
    }

    fn takeover_after(&self) -> Duration {
        self.begun.as_ref().and_then(|begun| begun.takeover_after()).unwrap_or(TAKEOVER_AFTER)
    }

    /// A lock is held as long as its process exists, or, if that was killed while it started a task, until the new process
    /// has executed the task's program: then the lock means neither dead nor alive.
    fn ask_lock(&mut self, run: &str, me: &Process) -> anyhow::Result<()> {
        self.lock = liveness_without_end(&self.path, self.begun.as_deref(), me);
        match self.lock {
            Liveness::Dead => {
                // Its stop record may have come after this check.
                let seen = self.stat()?;
                if seen != self.seen {
                    self.read_new(run, seen)?;
                    self.seen = seen;
                }
            }
            Liveness::Alive if self.begun.as_ref().is_some_and(|begun| is_in_sight(&begun.process)) => {
                self.lived_after = Some(self.last_asked);
            }
            Liveness::Alive | Liveness::Unknown => self.lock = Liveness::Unknown,
        }
        Ok(())
    }

    pub(super) fn known(&self) -> PeerLook {
        PeerLook {
            state: self.state(),
            blocks: self.launch.blocks.values().copied().collect(),
            claims: self.launch.heartbeat.as_ref().map(|_| self.launch.claims),
            trouble: None,
        }
    }

    fn state(&self) -> PeerState {
        let is_quiet = self.quiet.passed() >= self.takeover_after();
        match self.seen {
            None if is_quiet => PeerState::Missing,
            Some(_) if self.launch.stop.is_some() => PeerState::Stopped,
            Some(_) if is_quiet || self.lock == Liveness::Dead => PeerState::Dead,
            Some(_) if self.has_grown || self.lock == Liveness::Alive => PeerState::Alive,
            None | Some(_) => PeerState::Unknown,
        }
    }

    pub(super) fn is_certainly_over(&self) -> bool {
        self.launch.stop.is_some() || self.lock == Liveness::Dead
    }

    pub(super) fn has_lived_since(&self, since: Instant) -> bool {
        self.lived_after.is_some_and(|moment| moment >= since)
    }
}

/// Whether a file is the same and has grown.
fn is_longer(before: Option<Seen>, now: Option<Seen>) -> bool {
    matches!((before, now), (Some((one, shorter)), Some((other, longer))) if one == other && longer > shorter)
}

//! Polls one replica: of its newest journal only what is new is read.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;

use crate::clock;
use crate::journal::event::{
    BlockProgress, Event, EventKind, LaunchBegun, ResultsWritten, StopReason, Stopped,
};
use crate::journal::launch_state::LaunchEnd;
use crate::journal::line::JournalLine;
use crate::journal::state::JournalState;
use crate::journal::tail;
use crate::liveness::probe::liveness_without_end;
use crate::liveness::watch::Liveness;
use crate::model::blocks::Blocks;
use crate::model::counts::TaskCounts;
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::model::rate::time_left;
use crate::model::shares::Share;
use crate::record::command_files::{LaunchHeads, RecordsByContent};
use crate::record::inputs::Header;
use crate::status::block_accounts::{BlockAccounts, ClaimedBlock};
use crate::status::block_counts::{BlockCounts, NewestLaunch, WholeCounts};
use crate::status::run_status::{ReplicaState, ReplicaStatus};
use crate::status::tail_state::{TailScope, TailState};
use crate::store::layout::Layout;
use crate::store::regular;
use crate::store::server_clock::age;
use crate::units;

/// Heartbeats to begin with: those of a minute, which a rate is taken over, and one more.
const HEARTBEATS: usize = 7;

/// What all replicas have in common at one look.
#[derive(Debug, Clone, Copy)]
pub(super) struct StatusLook<'a> {
    pub(super) layout: &'a Layout,
    pub(super) header: &'a Header,
    pub(super) me: &'a Process,
    /// How the shares are cut, where the run shares its work.
    pub(super) blocks: Option<&'a Blocks>,
    /// A launch without a heartbeat for this long counts as dead, unless its journal sets the time.
    pub(super) timeout: Duration,
    /// The file server's clock, for journals that were never seen before.
    pub(super) server_now: SystemTime,
    pub(super) now: Instant,
}

/// What is known about a replica.
#[derive(Debug)]
pub(super) struct ReplicaMonitor {
    id: u32,
    share: Share,
    launch: Option<LaunchMonitor>,
    /// How the launches before it began.
    earlier: LaunchHeads,
    /// The counts of blocks if the end of the newest journal is not enough.
    whole: WholeCounts,
}

/// A replica's newest launch.
#[derive(Debug)]
struct LaunchMonitor {
    number: u32,
    path: PathBuf,
    inode: u64,
    /// Length of the journal when it was read.
    length: u64,
    /// Where to read on.
    offset: u64,
    tail: TailState,
    /// When its journal was last seen to have grown, and how old that was then; no age if unknown.
    grown: (Instant, Option<Duration>),
    end: LaunchEnd,
    /// Read completely, since its end is not enough; valid as long as the journal has this length.
    exact: Option<(u64, TaskCounts)>,
    /// Why the journal can't be read.
    trouble: Option<String>,
}

impl ReplicaMonitor {
    pub(super) fn new(id: u32, share: Share) -> Self {
        Self { id, share, launch: None, earlier: LaunchHeads::default(), whole: WholeCounts::default() }
    }

    /// Which, from 1.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Whether it has a launch.
    pub(super) fn has_begun(&self) -> bool {
        self.launch.is_some()
    }

    /// Checks the newest of its launches.
    pub(super) fn look(&mut self, launches: &[u32], at: &StatusLook<'_>) {
        let (last, earlier) =
            launches.split_last().map_or((None, launches), |(last, earlier)| (Some(*last), earlier));
        if self.launch.as_ref().map(|launch| launch.number) != last {
            self.launch = last.map(|number| LaunchMonitor::unread(self.id, number, at));
            self.earlier = LaunchHeads::read(at.layout, self.id, earlier);
        }
        let Some(launch) = &mut self.launch else { return };
        let looked = launch.look(at, scope(&self.share, at));
        let looked = looked.and_then(|()| match at.blocks {
            Some(_) => Ok(()),
            None => launch.complete(self.id, at, &self.share),
        });
        launch.trouble = looked.err().as_ref().map(in_one_line);
    }

    /// The blocks that its newest launch says it has, and those that it may have claimed.
    pub(super) fn named_blocks(&self) -> impl Iterator<Item = (LaunchId, &BlockProgress)> {
        self.launch.iter().flat_map(|launch| {
            let blocks = launch.tail.launch.blocks.values();
            blocks.map(|block| (launch.id(), block))
        })
    }

    /// The counts of its blocks, in a run that shares its work.
    pub(super) fn count_blocks(
        &mut self,
        own: &[&ClaimedBlock],
        accounts: &BlockAccounts,
        at: &StatusLook<'_>,
    ) -> BlockCounts {
        let newest = self
            .launch
            .as_ref()
            .map(|launch| NewestLaunch { tail: &launch.tail, is_running: launch.end == LaunchEnd::Running });
        let counted = self.whole.count(own, newest, accounts, at);
        counted.unwrap_or_else(|error| {
            if let Some(launch) = &mut self.launch {
                launch.trouble.get_or_insert_with(|| in_one_line(&error));
            }
            BlockCounts::default()
        })
    }

    /// Which contents of the command's files made its `ok` records.
    pub(super) fn records_by_content(&self, ok: u64) -> RecordsByContent {
        let mut heads = self.earlier.clone();
        heads.push(self.launch.as_ref().and_then(|launch| launch.tail.head.as_ref()));
        heads.records(ok)
    }

    /// The counts of its share.
    pub(super) fn of_share(&self, at: &StatusLook<'_>) -> ReplicaStatus {
        let counts = self.launch.as_ref().map(LaunchMonitor::counts).unwrap_or_default();
        let counts = TaskCounts { files: self.share.len(), ..counts };
        self.figures(counts, 0, at)
    }

    /// The counts of its blocks, in a run that shares its work; and how many files of its own share are left that no replica
    /// has, or, where it never began, that have no record.
    pub(super) fn of_blocks(&self, counts: TaskCounts, open: u64, at: &StatusLook<'_>) -> ReplicaStatus {
        ReplicaStatus { eta_s: None, ..self.figures(counts, open, at) }
    }

    fn figures(&self, counts: TaskCounts, open: u64, at: &StatusLook<'_>) -> ReplicaStatus {
        let files = counts.files;
        let launch = self.launch.as_ref();
        let counts = TaskCounts {
            files,
            ok: counts.ok.min(files),
            failed: counts.failed.min(files - counts.ok.min(files)),
            without_result: counts.without_result.min(counts.ok),
            products: counts.products,
            ..TaskCounts::default()
        };
        let left = counts.unfinished();
        let is_done = left + open == 0;
        let never_began = if is_done { ReplicaState::Done } else { ReplicaState::Waiting };
        let state = launch.map_or(never_began, |launch| launch.state(is_done, at));
        let process = launch.and_then(|launch| launch.tail.head.as_ref()).map(|head| &head.begun.process);
        let stop = launch.and_then(|launch| match &launch.end {
            LaunchEnd::Stopped(stop) => Some(stop),
            LaunchEnd::Running | LaunchEnd::Died => None,
        });
        let alive = launch.filter(|_| state == ReplicaState::Running);
        let rate =
            alive.and_then(|launch| launch.tail.per_second(launch.quiet_for(at.now), scope(&self.share, at)));
        let left_to_run = alive.and_then(|launch| launch.tail.launch.left);
        ReplicaStatus {
            replica_id: self.id,
            state,
            counts,
            launch: launch.map(|launch| launch.number),
            host: process.map(|process| process.host.clone()),
            session_id: process.and_then(|process| process.session.clone()),
            pid: process.map(|process| process.pid),
            started_at: launch
                .and_then(|launch| Some(clock::format(launch.tail.head.as_ref()?.at?.instant()?))),
            last_sign_age_s: launch
                .and_then(|launch| launch.age(at.now))
                .map(|age| units::thousandths(age.as_secs_f64())),
            left,
            running: alive.map_or(0, |launch| launch.tail.launch.running_count()),
            rate_per_s: rate.map(units::thousandths),
            eta_s: left_to_run.and_then(|left| time_left(left, rate)).map(|time| time.as_secs_f64().round()),
            reason: stop.map(|stop| stop.reason),
            signal: stop.and_then(|stop| stop.signal),
            exit: stop.map(|stop| stop.exit),
            said: launch.and_then(LaunchMonitor::said),
        }
    }

    /// The results file that the stop record of its newest launch confirms.
    pub(super) fn results(&self) -> Option<&ResultsWritten> {
        let launch = &self.launch.as_ref()?.tail.launch;
        launch.stop.as_ref().and(launch.results.as_ref())
    }
}

/// Which tasks the launches of a replica have that begins with `share`.
fn scope<'s>(share: &'s Share, at: &StatusLook<'s>) -> TailScope<'s> {
    at.blocks.map_or(TailScope::Share(share), TailScope::Blocks)
}

fn in_one_line(error: &anyhow::Error) -> String {
    units::printable(&format!("{error:#}"))
}

impl LaunchMonitor {
    fn unread(replica: u32, number: u32, at: &StatusLook<'_>) -> Self {
        Self {
            number,
            path: at.layout.journal(replica, number),
            inode: 0,
            length: 0,
            offset: 0,
            tail: TailState::new(replica, number),
            grown: (at.now, None),
            end: LaunchEnd::Running,
            exact: None,
            trouble: None,
        }
    }

    fn id(&self) -> LaunchId {
        let launch = &self.tail.launch;
        LaunchId { replica: launch.replica, launch: launch.number }
    }

    /// Reads what is new, and finds out whether it is still running.
    fn look(&mut self, at: &StatusLook<'_>, scope: TailScope<'_>) -> anyhow::Result<()> {
        let path = self.path.clone();
        let cannot = || format!("can't read the journal {}", path.display());
        let metadata = std::fs::metadata(&path).with_context(cannot)?;
        let is_new = self.inode != metadata.ino() || metadata.len() < self.length;
        if is_new || metadata.len() != self.length || self.trouble.is_some() {
            let file = regular::open(&path).with_context(cannot)?;
            if is_new || metadata.len() != self.length {
                self.grown = (at.now, Some(Duration::ZERO));
            }
            if is_new {
                self.begin(&file, at).with_context(cannot)?;
                let modified = metadata.modified().ok();
                self.grown.1 = modified.map(|then| age(at.server_now, then));
            }
            if self.tail.head.as_ref().is_none_or(|head| head.first_heartbeat.is_none()) {
                self.tail.head = tail::head(&file).with_context(cannot)?;
            }
            let tail = &mut self.tail;
            let mut take = |line: Option<&JournalLine<'_>>| tail.take(line, &at.header.run, scope);
            self.offset = tail::read_on(&file, &path, self.offset, &mut take)?;
            (self.inode, self.length) = (metadata.ino(), metadata.len());
        }
        self.end = self.how_it_ended(at);
        Ok(())
    }

    /// Finds the offset to read from: the last heartbeat, and for the rate those shortly before it.
    fn begin(&mut self, file: &File, at: &StatusLook<'_>) -> std::io::Result<()> {
        let sign = tail::last_of(file, file.metadata()?.len(), EventKind::Alive, &at.header.run, HEARTBEATS)?;
        self.offset = sign.map_or(0, |(offset, _)| offset);
        let launch = &self.tail.launch;
        self.tail = TailState::new(launch.replica, launch.number);
        Ok(())
    }

    fn how_it_ended(&self, at: &StatusLook<'_>) -> LaunchEnd {
        let begun = self.tail.head.as_ref().map(|head| &*head.begun);
        let timeout = begun.and_then(LaunchBegun::takeover_after).unwrap_or(at.timeout);
        self.tail.launch.end(|| match liveness_without_end(&self.path, begun, at.me) {
            // A frozen launch still holds its lock, and others take its blocks over.
            Liveness::Alive => at.blocks.is_none() || self.quiet_for(at.now) < timeout,
            // If its age is unknown, it is watched first.
            Liveness::Unknown => self.quiet_for(at.now) < timeout,
            Liveness::Dead => false,
        })
    }

    /// How long the journal has not grown, as far as is known.
    fn quiet_for(&self, now: Instant) -> Duration {
        let (seen, age) = self.grown;
        age.unwrap_or_default() + now.duration_since(seen)
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        self.grown.1.map(|_| self.quiet_for(now))
    }

    /// Reads all journals of the replica if the end of the newest one is not enough to count its tasks: before its first
    /// heartbeat, and if its container may have died because of the task that ran alone.
    fn complete(&mut self, id: u32, at: &StatusLook<'_>, share: &Share) -> anyhow::Result<()> {
        if self.exact.is_some_and(|(length, _)| length == self.length) {
            return Ok(());
        }
        self.exact = None;
        let has_all = self.tail.launch.heartbeat.is_some() || self.number == 1;
        if has_all && !(self.end == LaunchEnd::Died && self.died_alone(&at.header.run)?) {
            return Ok(());
        }
        let lives = self.end == LaunchEnd::Running;
        let state = JournalState::read(at.layout, &at.header.run_ref(), id, share.clone(), lives)?;
        self.exact = Some((self.length, state.counts()));
        Ok(())
    }

    /// Whether the attempt that began last had the container to itself.
    fn died_alone(&self, run: &str) -> anyhow::Result<bool> {
        let last = || tail::last_of(&regular::open(&self.path)?, self.length, EventKind::Start, run, 1);
        let last = last().with_context(|| format!("can't read the journal {}", self.path.display()))?;
        Ok(matches!(last, Some((_, Event::Start(begun))) if begun.alone))
    }

    fn counts(&self) -> TaskCounts {
        self.exact.map_or(self.tail.launch.counts, |(_, counts)| counts)
    }

    fn state(&self, is_done: bool, at: &StatusLook<'_>) -> ReplicaState {
        match &self.end {
            _ if self.trouble.is_some() => ReplicaState::Unreadable,
            LaunchEnd::Running => ReplicaState::Running,
            _ if is_done => ReplicaState::Done,
            LaunchEnd::Died => ReplicaState::Silent,
            LaunchEnd::Stopped(stop) if self.was_refused(stop, at) => ReplicaState::Refused,
            LaunchEnd::Stopped(_) => ReplicaState::Stopped,
        }
    }

    /// Whether it ended before any of its tasks did, for a reason independent of the tasks.
    fn was_refused(&self, stop: &Stopped, at: &StatusLook<'_>) -> bool {
        let launch = &self.tail.launch;
        let is_at_once = at.blocks.is_some() && self.tail.ended_of_blocks() == 0
            || at.blocks.is_none()
                && match (self.tail.head.as_ref().and_then(|head| head.first_heartbeat.as_ref()), launch.left)
                {
                    (Some((_, first)), Some(left)) => first.left == left,
                    // It did not even get as far as its first heartbeat.
                    _ => launch.ended == 0,
                };
        is_at_once && matches!(stop.reason, StopReason::CannotStart | StopReason::CannotWrite)
    }

    fn said(&self) -> Option<String> {
        let why = match &self.end {
            LaunchEnd::Stopped(stop) => stop.why.as_deref().map(units::printable),
            LaunchEnd::Running | LaunchEnd::Died => None,
        };
        self.trouble.clone().or(why)
    }
}

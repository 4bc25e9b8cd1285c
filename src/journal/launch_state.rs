//! The state of one launch, folded from the lines of its journal or of the end of it: its progress, and how it ended.

use std::collections::BTreeMap;

use crate::journal::event::{
    AttemptEnded, BlockProgress, Event, LaunchBegun, LaunchProgress, ResultsWritten, Stopped, TaskEnded,
};
use crate::journal::line::{JournalLine, WrittenTime};
use crate::model::blocks::{BlockId, ClaimName};
use crate::model::counts::{TaskCounts, TaskState};
use crate::model::launch_id::LaunchId;
use crate::model::quarantine::share_of_memory;

/// An attempt that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningAttempt {
    /// 1..=jobs.
    pub slot: usize,
    /// Whether nothing else runs beside it.
    pub alone: bool,
    /// When it began.
    pub at: Option<WrittenTime>,
    /// Whether its command has ended and what that made is being published: no container dies of that.
    pub is_publishing: bool,
}

impl RunningAttempt {
    /// Whether a container may have died because of it, or of another task running at the same time.
    pub fn may_kill_with_others(&self) -> bool {
        !self.alone && !self.is_publishing
    }
}

/// An attempt that ended, with the launch that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct PastAttempt {
    /// Which launch.
    pub by: LaunchId,
    /// How it ended.
    pub ended: AttemptEnded,
}

/// What a line says about an attempt that no longer runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttemptOver<'a> {
    /// The task.
    pub index: u64,
    /// How it began, if that was seen.
    pub begun: Option<RunningAttempt>,
    /// How it ended; `None` where it was stopped with its launch.
    pub ended: Option<&'a AttemptEnded>,
}

/// How a launch ended, if it did.
#[derive(Debug, Clone, PartialEq)]
pub enum LaunchEnd {
    /// It runs.
    Running,
    /// In order.
    Stopped(Stopped),
    /// Without a stop record.
    Died,
}

/// What is known of one launch of a replica.
#[derive(Debug, Clone, Default)]
pub struct LaunchState {
    /// Which replica, from 1.
    pub replica: u32,
    /// Which launch of it, from 1.
    pub number: u32,
    /// How it began; `None` for a journal that was cut before its first line was whole.
    pub begun: Option<Box<LaunchBegun>>,
    /// When the first and the newest of the lines that were read were written, by the clock of the launch's host.
    pub times: Option<(WrittenTime, WrittenTime)>,
    /// The newest heartbeat.
    pub heartbeat: Option<LaunchProgress>,
    /// The counts of the share's tasks, from that heartbeat and the tasks that ended since.
    pub counts: TaskCounts,
    /// Tasks that it has still to run; not known before a heartbeat.
    pub left: Option<u64>,
    /// Attempts that were seen to begin.
    pub attempts: u64,
    /// Tasks that were seen to end.
    pub ended: u64,
    /// Of these, the ok ones.
    pub ok: u64,
    /// Tasks of which it found a product gone.
    pub gone: u64,
    /// The claims that it was seen to announce, in order.
    pub claims_announced: Vec<ClaimName>,
    /// The unfinished blocks that it has, and those that it may have claimed: from its newest heartbeat, its
    /// stop record, and what it announced since.
    pub blocks: BTreeMap<BlockId, BlockProgress>,
    /// How many claims it made, by the newest heartbeat.
    pub claims: u64,
    /// The results file that its stop record confirms.
    pub results: Option<ResultsWritten>,
    /// How it ended in order, if nothing follows.
    pub stop: Option<Stopped>,
    /// How many tasks were running at the same time when it died; `None` if it ended cleanly, or may be alive.
    pub died_with: Option<usize>,
    /// By index, attempts that were seen to begin.
    running: BTreeMap<u64, RunningAttempt>,
    /// Running attempts that began before what was read.
    unseen: u64,
}

impl LaunchState {
    /// Nothing was read yet.
    pub fn new(replica: u32, number: u32) -> Self {
        Self { replica, number, ..Self::default() }
    }

    /// Applies the next line; returns the attempt that it ends.
    pub fn take<'l>(&mut self, line: &'l JournalLine<'_>) -> Option<AttemptOver<'l>> {
        self.stop = None;
        if let Some(at) = line.written {
            // Clocks may be set back.
            let (first, last) = self.times.unwrap_or((at, at));
            self.times = Some((first, last.max(at)));
        }
        match &line.event {
            Event::Run(begun) => self.begun = Some(begun.clone()),
            Event::Start(begun) => {
                self.results = None;
                self.attempts += 1;
                let attempt = RunningAttempt {
                    slot: begun.slot,
                    alone: begun.alone,
                    at: line.written,
                    is_publishing: false,
                };
                self.running.insert(begun.index, attempt);
            }
            Event::NotStarted(task) => _ = self.end_attempt(task.index),
            Event::Interrupted(task) => {
                let begun = self.end_attempt(task.index);
                return Some(AttemptOver { index: task.index, begun, ended: None });
            }
            Event::Attempt(ended) => {
                let begun = self.end_attempt(ended.index);
                return Some(AttemptOver { index: ended.index, begun, ended: Some(ended) });
            }
            Event::End(ended) => self.take_end(*ended),
            // The heartbeat that follows says how many are ok.
            Event::DueAgain(tasks) => self.gone = self.gone.saturating_add(tasks.gone.count()),
            Event::Claim(announced) => {
                self.claims_announced.push(announced.claim);
                self.blocks.insert(announced.claim.block, BlockProgress::announced(announced.claim));
            }
            Event::Alive(progress) => {
                self.counts = progress.counts;
                self.left = Some(progress.left);
                self.unseen = (progress.running as u64).saturating_sub(self.running.len() as u64);
                self.set_blocks(&progress.blocks);
                self.claims = progress.claims;
                self.heartbeat = Some(progress.clone());
            }
            Event::ResultsWritten(written) => self.results = Some((**written).clone()),
            Event::Stop(stopped) => {
                self.set_blocks(&stopped.blocks);
                self.stop = Some((**stopped).clone());
            }
            Event::Publish(task) => {
                self.running
                    .get_mut(&task.index)
                    .into_iter()
                    .for_each(|attempt| attempt.is_publishing = true);
            }
            Event::Unknown => {}
        }
        None
    }

    /// Applies an unreadable line: whatever it is, the journal does not end with the line before it.
    pub fn take_unreadable(&mut self) {
        self.stop = None;
    }

    fn set_blocks(&mut self, blocks: &[BlockProgress]) {
        self.blocks = blocks.iter().map(|block| (block.claim.block, *block)).collect();
    }

    fn end_attempt(&mut self, index: u64) -> Option<RunningAttempt> {
        let begun = self.running.remove(&index);
        self.unseen = self.unseen.saturating_sub(u64::from(begun.is_none()));
        begun
    }

    fn take_end(&mut self, ended: TaskEnded) {
        self.results = None;
        // The attempt has ended, unless its line can't be read.
        self.running.remove(&ended.index);
        let state = ended.state();
        if state == TaskState::Unfinished {
            return;
        }
        self.ended += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.ok += u64::from(state == TaskState::Ok);
        ended.count(&mut self.counts);
    }

    /// By index, the attempts that were seen to begin and not to end.
    pub fn running(&self) -> &BTreeMap<u64, RunningAttempt> {
        &self.running
    }

    /// How many attempts run, if the launch lives.
    pub fn running_count(&self) -> u64 {
        self.running.len() as u64 + self.unseen
    }

    /// Whether its last heartbeat showed free memory. Unknown memory counts as full.
    pub fn had_room(&self) -> bool {
        let limit = self.begun.as_ref().and_then(|begun| begun.limits.memory_bytes);
        let in_use = self.heartbeat.as_ref().and_then(|heartbeat| heartbeat.memory_bytes);
        matches!((in_use, limit), (Some(in_use), Some(limit)) if in_use < share_of_memory(limit))
    }

    /// How it ended; `lives` is asked where it has no stop record.
    pub fn end(&self, lives: impl FnOnce() -> bool) -> LaunchEnd {
        match &self.stop {
            Some(stopped) => LaunchEnd::Stopped(stopped.clone()),
            None if lives() => LaunchEnd::Running,
            None => LaunchEnd::Died,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::LaunchState;
    use crate::journal::event::{
        BlockProgress, ClaimAnnounced, Event, EventKind, LaunchProgress, StopReason, Stopped,
    };
    use crate::journal::tail;
    use crate::journal::writer::JournalWriter;

    fn folded(file: &File, path: &std::path::Path, from: u64) -> LaunchState {
        let mut launch = LaunchState::new(1, 1);
        tail::read_on(file, path, from, &mut |line| _ = launch.take(line.unwrap())).unwrap();
        launch
    }

    #[test]
    fn the_end_of_a_journal_tells_of_the_same_blocks_as_all_of_it() {
        let claim = |name: &str| name.parse().unwrap();
        let announce = |name| Event::Claim(ClaimAnnounced { claim: claim(name) });
        let has = |name| BlockProgress { claim: claim(name), files: 9, ok: 3, failed: 1, left: 5 };
        let alive = |blocks: &[BlockProgress], claims| {
            Event::Alive(LaunchProgress { blocks: blocks.to_vec(), claims, ..LaunchProgress::default() })
        };
        let announced = |name| BlockProgress::announced(claim(name));
        let stop = |blocks| {
            let reason = StopReason::Deadline;
            Event::Stop(Box::new(Stopped { reason, signal: None, exit: 3, why: None, figures: None, blocks }))
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.1.jsonl");
        let mut journal = JournalWriter::create(&path, "run", 1).unwrap();
        for (event, blocks, claims) in [
            (announce("0/1.0"), vec![announced("0/1.0")], 0),
            (alive(&[has("0/1.0")], 1), vec![has("0/1.0")], 1),
            (announce("1/1.0"), vec![has("0/1.0"), announced("1/1.0")], 1),
            (alive(&[has("0/1.0"), announced("1/1.0")], 1), vec![has("0/1.0"), announced("1/1.0")], 1),
            (announce("0/2.4"), vec![has("0/1.0"), announced("0/2.4"), announced("1/1.0")], 1),
            (alive(&[has("0/2.4")], 2), vec![has("0/2.4")], 2),
            (alive(&[], 2), vec![], 2),
            (announce("3/1.1"), vec![announced("3/1.1")], 2),
            (stop(vec![has("3/1.1")]), vec![has("3/1.1")], 2),
            (stop(vec![]), vec![], 2),
        ] {
            journal.add(&event);
            journal.commit().unwrap();
            let file = File::open(&path).unwrap();
            let end = file.metadata().unwrap().len();
            let sign = tail::last_of(&file, end, EventKind::Alive, "run", 1).unwrap();
            for from in [0, sign.map_or(0, |(at, _)| at)] {
                let launch = folded(&file, &path, from);
                let told: Vec<BlockProgress> = launch.blocks.into_values().collect();
                assert_eq!((told, launch.claims), (blocks.clone(), claims), "{event:?} {from}");
            }
        }
        let names = folded(&File::open(&path).unwrap(), &path, 0).claims_announced;
        assert_eq!(names, ["0/1.0", "1/1.0", "0/2.4", "3/1.1"].map(claim));
    }
}

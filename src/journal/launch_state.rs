//! One launch, followed line by line through its journal, or through the end of it: how far it is, and how it ended.

use std::collections::BTreeMap;

use crate::journal::event::{
    AttemptEnded, Event, LaunchBegun, LaunchProgress, ResultsWritten, Stopped, TaskEnded,
};
use crate::journal::line::{JournalLine, WrittenTime};
use crate::model::counts::{TaskCounts, TaskState};
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
}

/// An attempt that ended, with the launch that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct PastAttempt {
    /// From 1.
    pub launch: u32,
    /// How it ended.
    pub ended: AttemptEnded,
}

/// What a line says of an attempt that runs no more.
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
    /// How the tasks of the share stand, by that heartbeat and what ended since.
    pub counts: TaskCounts,
    /// Tasks that it has still to run; not known before a heartbeat.
    pub left: Option<u64>,
    /// Tasks that were seen to end.
    pub ended: u64,
    /// Of these, the ok ones.
    pub ok: u64,
    /// The results file that its last words vouch for.
    pub results: Option<ResultsWritten>,
    /// How it ended in order, if nothing follows.
    pub stop: Option<Stopped>,
    /// How many tasks were running side by side when it died; `None` where it ended in order, or may live.
    pub died_with: Option<usize>,
    /// By index, attempts that were seen to begin.
    running: BTreeMap<u64, RunningAttempt>,
    /// Running attempts that began before what was read.
    unseen: u64,
}

impl LaunchState {
    /// Of which nothing was read yet.
    pub fn new(replica: u32, number: u32) -> Self {
        Self { replica, number, ..Self::default() }
    }

    /// Takes in the next line; tells of the attempt that it ends.
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
                let attempt = RunningAttempt { slot: begun.slot, alone: begun.alone, at: line.written };
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
            Event::Alive(progress) => {
                self.counts = progress.counts;
                self.left = Some(progress.left);
                self.unseen = (progress.running as u64).saturating_sub(self.running.len() as u64);
                self.heartbeat = Some(*progress);
            }
            Event::ResultsWritten(written) => self.results = Some((**written).clone()),
            Event::Stop(stopped) => self.stop = Some((**stopped).clone()),
            Event::Unknown => {}
        }
        None
    }

    /// Takes in a line that can't be read: whatever it is, the journal does not end with what was before it.
    pub fn take_unreadable(&mut self) {
        self.stop = None;
    }

    fn end_attempt(&mut self, index: u64) -> Option<RunningAttempt> {
        let begun = self.running.remove(&index);
        self.unseen = self.unseen.saturating_sub(u64::from(begun.is_none()));
        begun
    }

    fn take_end(&mut self, ended: TaskEnded) {
        self.results = None;
        // The attempt has said that it ended, but for one whose line can't be read.
        self.running.remove(&ended.index);
        let state = ended.state();
        if state == TaskState::Unfinished {
            return;
        }
        self.ended += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
        let is_ok = state == TaskState::Ok;
        self.ok += u64::from(is_ok);
        self.counts.without_result += u64::from(ended.no_result && is_ok);
        let before = if ended.replaces { TaskState::Failed } else { TaskState::Unfinished };
        self.counts.change(before, state);
    }

    /// By index, the attempts that were seen to begin and not to end.
    pub fn running(&self) -> &BTreeMap<u64, RunningAttempt> {
        &self.running
    }

    /// How many attempts run, if the launch lives.
    pub fn running_count(&self) -> u64 {
        self.running.len() as u64 + self.unseen
    }

    /// Whether its last heartbeat showed memory with room in it. Memory that can't be told has none.
    pub fn had_room(&self) -> bool {
        let limit = self.begun.as_ref().and_then(|begun| begun.limits.memory_bytes);
        let in_use = self.heartbeat.and_then(|heartbeat| heartbeat.memory_bytes);
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

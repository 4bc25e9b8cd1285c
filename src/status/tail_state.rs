//! The progress of a launch from the two ends of its journal, and how fast tasks end.

use std::time::Duration;

use jiff::Timestamp;

use crate::journal::event::{BlockProgress, Event, LaunchProgress, TaskEnded};
use crate::journal::launch_state::LaunchState;
use crate::journal::line::{JournalLine, WrittenTime};
use crate::journal::tail::LaunchHead;
use crate::model::blocks::Blocks;
use crate::model::counts::{TaskCounts, TaskState};
use crate::model::rate::RateEstimator;
use crate::model::shares::Share;

/// Which tasks a launch has.
#[derive(Debug, Clone, Copy)]
pub(super) enum TailScope<'a> {
    /// The tasks of its share.
    Share(&'a Share),
    /// The tasks of the blocks that it says it has.
    Blocks(&'a Blocks),
}

impl TailScope<'_> {
    fn has(self, index: u64) -> bool {
        match self {
            Self::Share(share) => share.position_of(index).is_some(),
            Self::Blocks(blocks) => blocks.block_of(index).is_some(),
        }
    }
}

/// A launch from its last heartbeats on.
#[derive(Debug)]
pub(super) struct TailState {
    /// How it began.
    pub(super) head: Option<LaunchHead>,
    /// What is known of it since. In a run that shares its work what it says of its blocks is brought up to date with every
    /// task that ends.
    pub(super) launch: LaunchState,
    /// The counts of the tasks of its blocks, in a run that shares its work.
    pub(super) in_blocks: TaskCounts,
    /// By the first heartbeat that was read, tasks that it has ended, its own and those of its blocks before it had them.
    ended_before: Option<u64>,
    rate: RateEstimator,
}

impl TailState {
    pub(super) fn new(replica: u32, number: u32) -> Self {
        Self {
            head: None,
            launch: LaunchState::new(replica, number),
            in_blocks: TaskCounts::default(),
            ended_before: None,
            rate: RateEstimator::default(),
        }
    }

    /// Applies the next line of the journal of `run`, as far as it is about tasks of `scope`; `None` is an unreadable one.
    pub(super) fn take(&mut self, line: Option<&JournalLine<'_>>, run: &str, scope: TailScope<'_>) {
        let is_ours = |line: &&JournalLine<'_>| {
            line.run == run && line.event.index().is_none_or(|index| scope.has(index))
        };
        let Some(line) = line.filter(is_ours) else { return self.launch.take_unreadable() };
        self.launch.take(line);
        if let TailScope::Blocks(blocks) = scope {
            self.take_of_blocks(&line.event, blocks);
        }
        if let Event::Alive(_) = &line.event
            && let Some((time, ended)) = line.written.and_then(|at| self.ended_until(at, scope))
        {
            self.rate.mark(time, ended);
        }
    }

    fn take_of_blocks(&mut self, event: &Event, blocks: &Blocks) {
        match event {
            Event::Alive(progress) => {
                self.in_blocks = progress.counts;
                let before = self.launch.ended;
                self.ended_before.get_or_insert(recorded(progress).saturating_sub(before));
            }
            Event::End(ended) => {
                let block = blocks.block_of(ended.index).and_then(|block| self.launch.blocks.get_mut(&block));
                if let Some(block) = block.filter(|block| block.is_held()) {
                    note_end(ended, block, &mut self.in_blocks);
                }
            }
            Event::Run(_)
            | Event::Start(_)
            | Event::NotStarted(_)
            | Event::Interrupted(_)
            | Event::Attempt(_)
            | Event::Publish(_)
            | Event::DueAgain(_)
            | Event::Claim(_)
            | Event::ResultsWritten(_)
            | Event::Stop(_)
            | Event::Unknown => {}
        }
    }

    /// Tasks that end per second, `quiet` after its last line; `None` before the first ended.
    pub(super) fn per_second(&self, quiet: Duration, scope: TailScope<'_>) -> Option<f64> {
        let (time, ended) = self.ended_until(self.launch.times?.1, scope)?;
        self.rate.per_second(time + quiet, ended)
    }

    /// How long after its first task could begin a moment is, by the clock of the launch's host, and how many have ended by
    /// now.
    fn ended_until(&self, at: WrittenTime, scope: TailScope<'_>) -> Option<(Duration, u64)> {
        let head = self.head.as_ref()?;
        let (began, ended) = match (scope, &head.first_heartbeat, self.launch.left) {
            (TailScope::Blocks(_), ..) => (head.at?, self.ended_of_blocks()),
            (TailScope::Share(_), Some((at, first)), Some(left)) => ((*at)?, first.left.saturating_sub(left)),
            (TailScope::Share(_), ..) => (head.at?, self.launch.ended),
        };
        let (began, at): (Timestamp, Timestamp) = (began.instant()?, at.instant()?);
        Some((at.duration_since(began).try_into().unwrap_or_default(), ended))
    }

    /// How many tasks have ended in a launch that takes blocks, about: those of blocks that it took over before the part of
    /// its journal that was read count as its own.
    pub(super) fn ended_of_blocks(&self) -> u64 {
        let first = self.head.as_ref().and_then(|head| head.first_heartbeat.as_ref());
        let inherited = match first {
            Some((_, progress)) => Some(recorded(progress)),
            None => (self.launch.number == 1).then_some(0),
        };
        let before = self.ended_before.zip(inherited).map_or(0, |(before, had)| before.saturating_sub(had));
        before + self.launch.ended
    }
}

fn recorded(progress: &LaunchProgress) -> u64 {
    progress.counts.ok + progress.counts.failed
}

/// Counts a task that ended, in its block and in all blocks.
fn note_end(ended: &TaskEnded, block: &mut BlockProgress, all: &mut TaskCounts) {
    if ended.state() == TaskState::Unfinished {
        return;
    }
    let mut counts = TaskCounts { ok: block.ok, failed: block.failed, ..TaskCounts::default() };
    ended.count(&mut counts);
    (block.ok, block.failed) = (counts.ok, counts.failed);
    block.left = block.left.saturating_sub(1);
    ended.count(all);
}

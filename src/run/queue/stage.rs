//! The stages in which tasks run, and the tasks waiting in one of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// When in a launch a task comes: a stage begins when nothing of the one before is left, runs or waits for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// In order, several at a time.
    Ordinary,
    /// Several at a time, after all others: it may have killed a container.
    Suspect,
    /// Last, and nothing else runs at the same time.
    Alone,
}

/// How many stages there are.
pub(super) const STAGES: usize = 3;

/// A task to run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// The piece it came with, in the order in which they came.
    pub piece: u32,
    /// Its place in the piece.
    pub position: u32,
    /// Attempts this launch has made of it already that count as tries.
    pub tried: u32,
    /// When it comes.
    pub stage: Stage,
    /// Whether its command has ended, and what it made is being published.
    pub is_publishing: bool,
}

impl Ticket {
    /// The first of a task.
    pub fn first(piece: u32, position: u32, stage: Stage) -> Self {
        Self { piece, position, tried: 0, stage, is_publishing: false }
    }

    /// Whether nothing else runs at the same time.
    pub fn is_alone(&self) -> bool {
        self.stage == Stage::Alone
    }
}

/// Positions in a piece, by the stage in which they come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TasksByStage {
    /// In order, several at a time.
    pub ordinary: Vec<u32>,
    /// Then these, several at a time.
    pub suspects: Vec<u32>,
    /// Then these, one at a time.
    pub alone: Vec<u32>,
}

impl TasksByStage {
    /// How many tasks.
    pub fn len(&self) -> u64 {
        (self.ordinary.len() + self.suspects.len() + self.alone.len()) as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All positions, stage by stage.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ordinary.iter().chain(&self.suspects).chain(&self.alone).copied()
    }

    /// The same tasks by other positions.
    #[must_use]
    pub fn map(self, other: impl Fn(u32) -> u32) -> Self {
        let all = |positions: Vec<u32>| positions.into_iter().map(&other).collect();
        Self { ordinary: all(self.ordinary), suspects: all(self.suspects), alone: all(self.alone) }
    }
}

/// Waiting tasks of one piece in order.
#[derive(Debug)]
struct WaitingLine {
    piece: u32,
    positions: std::vec::IntoIter<u32>,
}

/// The waiting and running tasks of one stage.
#[derive(Debug, Default)]
pub(super) struct StageQueue {
    /// Before all others.
    pub(super) returned: VecDeque<Ticket>,
    /// Of each piece that has some.
    waiting: VecDeque<WaitingLine>,
    /// After all others.
    pub(super) added: VecDeque<Ticket>,
    pub(super) retries: BinaryHeap<Reverse<(Instant, Ticket)>>,
    pub(super) running: usize,
}

impl StageQueue {
    pub(super) fn add(&mut self, piece: u32, positions: Vec<u32>) {
        if !positions.is_empty() {
            self.waiting.push_back(WaitingLine { piece, positions: positions.into_iter() });
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting_in_order() + self.retries.len()
    }

    /// Everything that waits, except retries.
    fn waiting_in_order(&self) -> usize {
        let lines: usize = self.waiting.iter().map(|line| line.positions.len()).sum();
        self.returned.len() + lines + self.added.len()
    }

    /// Whether fewer than `slots` wait that are due.
    pub(super) fn is_low(&self, slots: usize, now: Instant) -> bool {
        let missing = slots.saturating_sub(self.waiting_in_order());
        let due = self.retries.iter().filter(|Reverse((due, _))| *due <= now);
        due.take(missing).count() < missing
    }

    pub(super) fn has_unfinished(&self) -> bool {
        self.waiting() + self.running > 0
    }

    pub(super) fn next(&mut self, stage: Stage, now: Instant) -> Option<Ticket> {
        if self.retries.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            return self.retries.pop().map(|Reverse((_, ticket))| ticket);
        }
        let returned = self.returned.pop_front();
        returned.or_else(|| self.next_in_order(stage)).or_else(|| self.added.pop_front())
    }

    fn next_in_order(&mut self, stage: Stage) -> Option<Ticket> {
        let WaitingLine { piece, positions } = self.waiting.front_mut()?;
        let ticket = positions.next().map(|position| Ticket::first(*piece, position, stage));
        if positions.len() == 0 {
            self.waiting.pop_front();
        }
        ticket
    }

    pub(super) fn next_retry(&self, now: Instant) -> Option<Duration> {
        self.retries.peek().map(|Reverse((due, _))| due.saturating_duration_since(now))
    }

    /// Takes away what waits of a piece.
    pub(super) fn remove(&mut self, piece: u32) {
        self.returned.retain(|ticket| ticket.piece != piece);
        self.waiting.retain(|line| line.piece != piece);
        self.added.retain(|ticket| ticket.piece != piece);
        self.retries.retain(|Reverse((_, ticket))| ticket.piece != piece);
    }
}

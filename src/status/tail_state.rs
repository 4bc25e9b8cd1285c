//! How far a launch is: its last sign of life, and what its journal tells since.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::journal::event::{Stopped, Totals};
use crate::journal::line::{Members, ReadLine};
use crate::journal::state::ShareCounts;
use crate::journal::tail::{Head, Sign};
use crate::model::outcome::Status;
use crate::model::shares::Share;

/// Signs of life that a rate is taken over, at most: a minute, and one more to begin with.
pub(super) const SIGNS: usize = 7;

/// Fewer tasks than this within the last signs of life make no rate: then the whole launch does.
const ENOUGH: u64 = 10;

/// How many tasks of a share have which record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TailCounts {
    pub(super) ok: u64,
    pub(super) failed: u64,
    pub(super) without_result: u64,
}

impl From<ShareCounts> for TailCounts {
    fn from(standing: ShareCounts) -> Self {
        let ShareCounts { ok, failed, lost, without_result, .. } = standing;
        Self { ok, failed: failed + lost, without_result }
    }
}

/// A moment of a launch, by the clock of its host.
#[derive(Debug, Clone, Copy)]
struct RateMark {
    at: Timestamp,
    /// Tasks that ended since this ledger was begun.
    ended: u64,
}

/// What is known of a launch from the last lines of its journal.
#[derive(Debug, Default)]
pub(super) struct TailState {
    pub(super) counts: TailCounts,
    /// Whether the counts begin with a sign of life, and not with nothing.
    pub(super) has_base: bool,
    /// Tasks that the launch has still to run; not known before a sign of life.
    pub(super) due: Option<u64>,
    /// How it ended, if nothing follows.
    pub(super) stop: Option<Stopped>,
    /// Indices of attempts that began since the ledger did and have not ended.
    running: BTreeSet<u64>,
    /// Running attempts that began before.
    unseen: u64,
    ended: u64,
    signs: VecDeque<RateMark>,
    last: Option<RateMark>,
}

impl TailState {
    /// Takes in the next line of the journal of `run`; `None` is one that can't be read.
    pub(super) fn take(&mut self, line: Option<&ReadLine<'_>>, run: &str, share: &Share) {
        self.stop = None;
        let Some(line) = line.filter(|line| line.members.run == run) else { return };
        let members = &line.members;
        let index = members.index.filter(|index| share.position_of(*index).is_some());
        match (members.event.as_ref(), index) {
            ("alive", _) => self.take_sign(line.text),
            ("stop", _) => {
                self.stop = serde_json::from_slice(line.text).ok();
                self.running.clear();
                self.unseen = 0;
            }
            ("start", Some(index)) => _ = self.running.insert(index),
            ("attempt" | "not_started" | "interrupted", Some(index)) => {
                let is_of_before = !self.running.remove(&index);
                self.unseen = self.unseen.saturating_sub(u64::from(is_of_before));
            }
            ("end", Some(_)) => self.take_end(members),
            _ => {}
        }
        if let Some(at) = time_of(line.text) {
            self.last = Some(RateMark { at, ended: self.ended });
        }
    }

    fn take_sign(&mut self, text: &[u8]) {
        let Ok(Sign { t, totals }) = serde_json::from_slice::<Sign>(text) else { return };
        let Totals { ok, failed, without_result, .. } = totals;
        self.counts = TailCounts { ok, failed, without_result };
        self.due = Some(totals.left);
        self.has_base = true;
        self.unseen = (totals.running as u64).saturating_sub(self.running.len() as u64);
        if let Ok(at) = t.parse() {
            self.signs.push_back(RateMark { at, ended: self.ended });
            self.signs.drain(..self.signs.len().saturating_sub(SIGNS));
        }
    }

    fn take_end(&mut self, &Members { status, replaces, no_result, .. }: &Members<'_>) {
        self.ended += 1;
        self.due = self.due.map(|due| due.saturating_sub(1));
        self.counts.without_result += u64::from(no_result && status == Some(Status::Ok));
        match (status, replaces) {
            (Some(Status::Ok), true) => {
                self.counts.ok += 1;
                self.counts.failed = self.counts.failed.saturating_sub(1);
            }
            (Some(Status::Ok), false) => self.counts.ok += 1,
            (Some(Status::Failed), false) => self.counts.failed += 1,
            (Some(Status::Failed), true) | (None, _) => {}
        }
    }

    /// Tasks that were seen to end.
    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    /// Attempts that run now, if the launch lives.
    pub(super) fn running(&self) -> u64 {
        self.running.len() as u64 + self.unseen
    }

    /// Tasks that ended per second: over the last signs of life where enough did, else over the launch; `quiet` went by
    /// since its last word. `None` before the first.
    pub(super) fn rate(&self, head: Option<&Head>, quiet: Duration) -> Option<f64> {
        let last = self.last?;
        let recent = self.signs.front().map(|first| (first.at, last.ended - first.ended));
        let recent = recent.filter(|(_, ended)| *ended >= ENOUGH);
        let (since, ended) = recent.or_else(|| self.whole_launch(head?))?;
        let seconds = last.at.duration_since(since).as_secs_f64() + quiet.as_secs_f64();
        (ended > 0 && seconds > 0.0).then(|| ended as f64 / seconds)
    }

    /// When the first task of the launch could begin, and how many have ended since.
    fn whole_launch(&self, head: &Head) -> Option<(Timestamp, u64)> {
        match (&head.sign, self.due) {
            (Some(first), Some(due)) => Some((first.t.parse().ok()?, first.totals.left.saturating_sub(due))),
            _ => Some((head.t.parse().ok()?, self.ended)),
        }
    }
}

/// When a line was written; it stands near its beginning.
fn time_of(line: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Time<'a>(&'a str);
    const NEAR: usize = 200;
    let near = &line[..line.len().min(NEAR)];
    let at = memchr::memmem::find(near, b"\"t\":")? + b"\"t\":".len();
    let end = memchr::memchr(b',', &near[at..])?;
    let Time(text) = serde_json::from_slice(&near[at..at + end]).ok()?;
    text.parse().ok()
}

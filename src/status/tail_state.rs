//! How far a launch is by the two ends of its journal, and how fast tasks end.

use std::time::Duration;

use jiff::Timestamp;

use crate::journal::event::Event;
use crate::journal::launch_state::LaunchState;
use crate::journal::line::{JournalLine, WrittenTime};
use crate::journal::tail::LaunchHead;
use crate::model::rate::RateEstimator;
use crate::model::shares::Share;

/// A launch from its last heartbeats on.
#[derive(Debug)]
pub(super) struct TailState {
    /// How it began.
    pub(super) head: Option<LaunchHead>,
    /// What is known of it since.
    pub(super) launch: LaunchState,
    rate: RateEstimator,
}

impl TailState {
    pub(super) fn new(replica: u32, number: u32) -> Self {
        Self { head: None, launch: LaunchState::new(replica, number), rate: RateEstimator::default() }
    }

    /// Takes in the next line of the journal of `run`, as far as it is about `share`; `None` is one that can't be read.
    pub(super) fn take(&mut self, line: Option<&JournalLine<'_>>, run: &str, share: &Share) {
        let is_ours = |line: &&JournalLine<'_>| {
            let index = line.event.index();
            line.run == run && index.is_none_or(|index| share.position_of(index).is_some())
        };
        let Some(line) = line.filter(is_ours) else { return self.launch.take_unreadable() };
        self.launch.take(line);
        if let Event::Alive(_) = &line.event
            && let Some((time, ended)) = line.written.and_then(|at| self.ended_until(at))
        {
            self.rate.mark(time, ended);
        }
    }

    /// Tasks that end per second, `quiet` after its last line; `None` before the first ended.
    pub(super) fn per_second(&self, quiet: Duration) -> Option<f64> {
        let (time, ended) = self.ended_until(self.launch.times?.1)?;
        self.rate.per_second(time + quiet, ended)
    }

    /// How long after its first task could begin a moment is, by the clock of the launch's host, and how many have ended by
    /// now.
    fn ended_until(&self, at: WrittenTime) -> Option<(Duration, u64)> {
        let head = self.head.as_ref()?;
        let (began, ended) = match (&head.first_heartbeat, self.launch.left) {
            (Some((at, first)), Some(left)) => ((*at)?, first.left.saturating_sub(left)),
            _ => (head.at?, self.launch.ended),
        };
        let (began, at): (Timestamp, Timestamp) = (began.instant()?, at.instant()?);
        Some((at.duration_since(began).try_into().unwrap_or_default(), ended))
    }
}

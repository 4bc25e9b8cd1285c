//! How far a launch is by the end of its journal, and how fast tasks end.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::journal::event::Event;
use crate::journal::launch_state::LaunchState;
use crate::journal::line::{JournalLine, WrittenTime};
use crate::journal::tail::LaunchHead;

/// Heartbeats that a rate is taken over, at most: a minute, and one more to begin with.
pub(super) const HEARTBEATS: usize = 7;

/// Fewer tasks than this within the last heartbeats make no rate: then the whole launch does.
const ENOUGH: u64 = 10;

/// A launch from its last heartbeats on.
#[derive(Debug)]
pub(super) struct TailState {
    pub(super) launch: LaunchState,
    /// By the clock of the launch's host: when heartbeats were given, and how many tasks had been seen to end.
    heartbeats: VecDeque<(Timestamp, u64)>,
}

impl TailState {
    pub(super) fn new(replica: u32, number: u32) -> Self {
        Self { launch: LaunchState::new(replica, number), heartbeats: VecDeque::new() }
    }

    /// Takes in the next line of the journal of `run`; `None` is one that can't be read.
    pub(super) fn take(&mut self, line: Option<&JournalLine<'_>>, run: &str) {
        let Some(line) = line.filter(|line| line.run == run) else { return self.launch.take_unreadable() };
        self.launch.take(line);
        if let Event::Alive(_) = &line.event
            && let Some(at) = line.written.and_then(WrittenTime::instant)
        {
            self.heartbeats.push_back((at, self.launch.ended));
            self.heartbeats.drain(..self.heartbeats.len().saturating_sub(HEARTBEATS));
        }
    }

    /// Tasks that ended per second: over the last heartbeats where enough did, else over the launch; `quiet` went by since
    /// its last line. `None` before the first task ended.
    pub(super) fn rate(&self, head: Option<&LaunchHead>, quiet: Duration) -> Option<f64> {
        let last = self.launch.times?.1.instant()?;
        let recent = self.heartbeats.front().map(|(at, ended)| (*at, self.launch.ended - ended));
        let recent = recent.filter(|(_, ended)| *ended >= ENOUGH);
        let (since, ended) = recent.or_else(|| self.whole_launch(head?))?;
        let seconds = last.duration_since(since).as_secs_f64() + quiet.as_secs_f64();
        (ended > 0 && seconds > 0.0).then(|| ended as f64 / seconds)
    }

    /// When the first task of the launch could begin, and how many have ended since.
    fn whole_launch(&self, head: &LaunchHead) -> Option<(Timestamp, u64)> {
        match (&head.first_heartbeat, self.launch.left) {
            (Some((at, first)), Some(left)) => Some(((*at)?.instant()?, first.left.saturating_sub(left))),
            _ => Some((head.at?.instant()?, self.launch.ended)),
        }
    }
}

//! When each launch and each attempt of a replica ran, according to the journals.

use std::collections::BTreeMap;

use crate::journal::event::LaunchBegun;
use crate::journal::launch_state::{AttemptOver, LaunchEnd, LaunchState, RunningAttempt};
use crate::journal::line::{JournalLine, WrittenTime};
use crate::journal::state::JournalState;
use crate::model::outcome::Status;
use crate::report::html::model::sharing::TaskSource;
use crate::units;

/// One launch of a replica.
#[derive(Debug, Clone)]
pub struct TimelineLaunch {
    /// From 1.
    pub replica: u32,
    /// From 1.
    pub number: u32,
    /// Which process began it, with which settings; `None` if the journal's first line can't be read.
    pub begun: Option<Box<LaunchBegun>>,
    /// When it began, milliseconds since 1970.
    pub begun_ms: i64,
    /// Its last heartbeat, milliseconds since 1970.
    pub last_ms: i64,
    /// How it ended.
    pub end: LaunchEnd,
    /// Slots it used.
    pub slots: u32,
    /// CPU time of all its attempts, seconds.
    pub cpu_s: f64,
    /// Wall time of all its attempts together, milliseconds.
    pub busy_ms: i64,
}

impl TimelineLaunch {
    /// From its first to its last heartbeat, milliseconds.
    pub fn span_ms(&self) -> i64 {
        self.last_ms - self.begun_ms
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptSpanEnd {
    /// Ok.
    Ok,
    /// It failed.
    Failed,
    /// It was stopped with its launch, or died with it.
    Cut,
    /// It runs.
    Running,
}

/// The time an attempt had a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptSpan {
    /// The task.
    pub index: u64,
    /// Which replica, from 1.
    pub replica: u32,
    /// Which of its slots, from 1.
    pub slot: u32,
    /// When it began, milliseconds since 1970.
    pub begun_ms: i64,
    /// How long it took, milliseconds.
    pub ms: i64,
    /// How it ended.
    pub end: AttemptSpanEnd,
    /// From where the replica had the task.
    pub source: TaskSource,
}

/// The launches and attempts of a replica, gathered as its journals are read.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    spans: Vec<AttemptSpan>,
    /// By launch.
    used: BTreeMap<u32, SlotUse>,
}

/// What the attempts of a launch used.
#[derive(Debug, Clone, Copy, Default)]
struct SlotUse {
    slots: u32,
    cpu_s: f64,
    busy_ms: i64,
}

impl Timeline {
    /// Adds an attempt that ended.
    pub(super) fn take(&mut self, launch: &LaunchState, line: &JournalLine<'_>, over: AttemptOver<'_>) {
        let end = match over.ended {
            None => AttemptSpanEnd::Cut,
            Some(ended) if ended.status == Some(Status::Ok) && ended.cause.is_none() => AttemptSpanEnd::Ok,
            Some(_) => AttemptSpanEnd::Failed,
        };
        let took = over.ended.map(|ended| units::millis(ended.duration_s));
        self.used.entry(launch.number).or_default().cpu_s += over.ended.map_or(0.0, |ended| ended.cpu_s);
        self.add(launch, over.index, over.begun, line.written, took, end);
    }

    fn add(
        &mut self,
        launch: &LaunchState,
        index: u64,
        begun: Option<RunningAttempt>,
        ended: Option<WrittenTime>,
        took: Option<i64>,
        end: AttemptSpanEnd,
    ) {
        let Some(begun) = begun else { return };
        let (Some(begun_ms), Some(ended_ms)) = (millis(begun.at), millis(ended)) else { return };
        let slot = u32::try_from(begun.slot).unwrap_or(u32::MAX);
        let ms = took.unwrap_or(ended_ms - begun_ms).max(0);
        let used = self.used.entry(launch.number).or_default();
        (used.slots, used.busy_ms) = (used.slots.max(slot), used.busy_ms + ms);
        let (replica, source) = (launch.replica, TaskSource::OwnShare);
        self.spans.push(AttemptSpan { index, replica, slot, begun_ms, ms, end, source });
    }

    /// The launches, oldest first, and all attempts, including running ones and those cut short with their launch; `lives` says
    /// whether the last launch is alive. Launches with journals without times are left out.
    pub(super) fn finish(
        mut self,
        state: &JournalState,
        lives: bool,
    ) -> (Vec<TimelineLaunch>, Vec<AttemptSpan>) {
        let newest = state.launches.last().map(|launch| launch.number);
        let mut launches = Vec::new();
        for launch in &state.launches {
            let Some((first, last)) = launch.times else { continue };
            let (Some(begun_ms), Some(last_ms)) = (millis(Some(first)), millis(Some(last))) else { continue };
            let lives = lives && Some(launch.number) == newest;
            let end = if lives { AttemptSpanEnd::Running } else { AttemptSpanEnd::Cut };
            for (index, attempt) in launch.running() {
                self.add(launch, *index, Some(*attempt), Some(last), None, end);
            }
            let SlotUse { slots, cpu_s, busy_ms } =
                self.used.get(&launch.number).copied().unwrap_or_default();
            launches.push(TimelineLaunch {
                replica: launch.replica,
                number: launch.number,
                begun: launch.begun.clone(),
                begun_ms,
                last_ms,
                end: launch.end(|| lives),
                slots,
                cpu_s,
                busy_ms,
            });
        }
        (launches, self.spans)
    }
}

/// Milliseconds since 1970.
fn millis(at: Option<WrittenTime>) -> Option<i64> {
    at?.instant().map(jiff::Timestamp::as_millisecond)
}

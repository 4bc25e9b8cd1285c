//! When each launch and each attempt of a replica was at work, as the journals tell.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::journal::event::{LaunchBegun, Stopped};
use crate::journal::launches::launches_of;
use crate::journal::line::ReadLine;
use crate::journal::reader;
use crate::model::outcome::{Cause, Status};
use crate::report::html::model::task::millis;
use crate::store::layout::Layout;

/// How a launch ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TimelineEnd {
    /// In order.
    Stopped(Stopped),
    /// Without a word.
    Died,
    /// It is at work.
    AtWork,
}

/// One launch of a replica.
#[derive(Debug, Clone)]
pub struct TimelineLaunch {
    /// From 1.
    pub replica: u32,
    /// From 1.
    pub number: u32,
    /// Who began it, with what; `None` where the journal's first line can't be read.
    pub begun: Option<LaunchBegun>,
    /// When it began, milliseconds since 1970.
    pub begun_ms: i64,
    /// Its last sign of life, milliseconds since 1970.
    pub last_ms: i64,
    /// How it ended.
    pub end: TimelineEnd,
    /// Slots it used.
    pub slots: u32,
    /// CPU time of all its attempts, seconds.
    pub cpu_s: f64,
    /// Wall time of all its attempts together, milliseconds.
    pub busy_ms: i64,
}

impl TimelineLaunch {
    /// From its first to its last sign of life, milliseconds.
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
}

/// What is read of a line.
#[derive(Deserialize)]
struct TimelineLine<'a> {
    t: &'a str,
    #[serde(default)]
    slot: u32,
    #[serde(default)]
    duration_s: f64,
    #[serde(default)]
    cpu_s: f64,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    cause: Option<Cause>,
}

/// The launches of a replica with their stretches, oldest first.
///
/// # Errors
/// When a journal can't be read or is of another version.
pub(super) fn launches(
    layout: &Layout,
    run: &str,
    replica: u32,
    is_at_work: bool,
) -> anyhow::Result<(Vec<TimelineLaunch>, Vec<AttemptSpan>)> {
    let (mut launches, mut stretches) = (Vec::new(), Vec::new());
    let numbers = launches_of(layout, replica)?;
    for &number in &numbers {
        let lives = is_at_work && Some(&number) == numbers.last();
        let mut reader = Reader::new(replica, number, &mut stretches);
        reader::read(&layout.journal(replica, number), |line| {
            if line.members.run == run {
                reader.take(line);
            }
        })?;
        launches.extend(reader.finish(lives));
    }
    Ok((launches, stretches))
}

/// One journal being read.
struct Reader<'a> {
    launch: TimelineLaunch,
    has_begun: bool,
    /// By task: slot and time.
    running: BTreeMap<u64, (u32, i64)>,
    stretches: &'a mut Vec<AttemptSpan>,
}

impl<'a> Reader<'a> {
    fn new(replica: u32, number: u32, stretches: &'a mut Vec<AttemptSpan>) -> Self {
        let launch = TimelineLaunch {
            replica,
            number,
            begun: None,
            begun_ms: 0,
            last_ms: 0,
            end: TimelineEnd::Died,
            slots: 0,
            cpu_s: 0.0,
            busy_ms: 0,
        };
        Self { launch, has_begun: false, running: BTreeMap::new(), stretches }
    }

    fn take(&mut self, line: &ReadLine<'_>) {
        let event = line.members.event.as_ref();
        // The attempt has said all that the task's end says, and that line is long.
        if event == "end" {
            return;
        }
        let Ok(read) = serde_json::from_slice::<TimelineLine<'_>>(line.text) else { return };
        let Some(now) = millis(read.t) else { return };
        if !self.has_begun {
            self.has_begun = true;
            self.launch.begun_ms = now;
        }
        // Clocks may be set back.
        self.launch.last_ms = now.max(self.launch.last_ms).max(self.launch.begun_ms);
        match (event, line.members.index) {
            ("run", _) => self.launch.begun = serde_json::from_slice(line.text).ok(),
            ("stop", _) => {
                self.launch.end =
                    serde_json::from_slice(line.text).map_or(TimelineEnd::Died, TimelineEnd::Stopped);
            }
            ("start", Some(index)) => {
                self.launch.slots = self.launch.slots.max(read.slot);
                self.running.insert(index, (read.slot, now));
            }
            ("not_started", Some(index)) => _ = self.running.remove(&index),
            ("interrupted", Some(index)) => self.end(index, now, None, AttemptSpanEnd::Cut),
            ("attempt", Some(index)) => {
                let is_ok = read.status == Some(Status::Ok) && read.cause.is_none();
                let end = if is_ok { AttemptSpanEnd::Ok } else { AttemptSpanEnd::Failed };
                self.launch.cpu_s += read.cpu_s;
                self.end(index, now, Some(whole_millis(read.duration_s)), end);
            }
            _ => {}
        }
    }

    fn end(&mut self, index: u64, now: i64, took: Option<i64>, end: AttemptSpanEnd) {
        let Some((slot, begun_ms)) = self.running.remove(&index) else { return };
        let ms = took.unwrap_or(now - begun_ms).max(0);
        self.launch.busy_ms += ms;
        self.stretches.push(AttemptSpan { index, replica: self.launch.replica, slot, begun_ms, ms, end });
    }

    /// `None` for a journal without a line that tells a time.
    fn finish(mut self, lives: bool) -> Option<TimelineLaunch> {
        let last = self.launch.last_ms;
        let end = if lives { AttemptSpanEnd::Running } else { AttemptSpanEnd::Cut };
        let left: Vec<u64> = self.running.keys().copied().collect();
        left.into_iter().for_each(|index| self.end(index, last, None, end));
        if lives && self.launch.end == TimelineEnd::Died {
            self.launch.end = TimelineEnd::AtWork;
        }
        self.has_begun.then_some(self.launch)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "no attempt takes that long, and it saturates")]
fn whole_millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

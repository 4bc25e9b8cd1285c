//! What is known of one replica from its journals: which tasks have a record and where it lies, which were running when
//! a container died, how its launches ended. Resuming, merging and every report are derived from this.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::journal::event::{LaunchBegun, ResultsWritten, Stopped, TaskEnded, Totals};
use crate::journal::launches::launches_of;
use crate::journal::line::{Members, ReadLine};
use crate::journal::reader::{self, BadLine};
use crate::journal::writer::RecordSpan;
use crate::model::outcome::{Cause, Status};
use crate::model::quarantine::{SeenUsage, Suspect, share_of_memory};
use crate::model::shares::Share;
use crate::store::layout::Layout;

/// What is known of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// It has not ended.
    Nothing,
    /// It has an ok record.
    Ok,
    /// It has the record of a failure.
    Failed,
    /// The container died while it ran alone. A later launch writes the record of that.
    Lost,
}

impl TaskState {
    /// What a record of it says; `None` where there is nothing to record.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Nothing => None,
            Self::Ok => Some(Status::Ok),
            Self::Failed | Self::Lost => Some(Status::Failed),
        }
    }
}

/// One task's note: 24 bytes, since a share may have a million.
#[derive(Debug, Clone, Copy)]
pub struct TaskNote {
    pub(super) offset: u64,
    pub(super) bytes: u32,
    pub(super) launch: u32,
    /// Attempts begun over all launches.
    pub attempts: u16,
    /// What is known.
    pub known: TaskState,
    /// Whether it is ok and has no result, although one was expected.
    pub no_result: bool,
}

impl TaskNote {
    /// Whether a journal holds its record.
    pub fn has_record(&self) -> bool {
        self.bytes > 0
    }
}

const UNTOUCHED: TaskNote =
    TaskNote { offset: 0, bytes: 0, launch: 0, attempts: 0, known: TaskState::Nothing, no_result: false };

/// How the tasks of a share stand: how many there are, how many of them are as [`TaskState`] says, and how many of the ok ones
/// have no result, although one was expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ShareCounts {
    pub files: u64,
    pub ok: u64,
    pub failed: u64,
    pub lost: u64,
    pub without_result: u64,
}

impl ShareCounts {
    /// What is known of one task has changed.
    fn change(&mut self, before: TaskState, now: TaskState) {
        if let Some(count) = self.count(before) {
            *count -= 1;
        }
        if let Some(count) = self.count(now) {
            *count += 1;
        }
    }

    fn count(&mut self, known: TaskState) -> Option<&mut u64> {
        match known {
            TaskState::Nothing => None,
            TaskState::Ok => Some(&mut self.ok),
            TaskState::Failed => Some(&mut self.failed),
            TaskState::Lost => Some(&mut self.lost),
        }
    }

    /// Whether the newest record of any is a failure, or is to be one.
    pub fn has_failures(&self) -> bool {
        self.failed + self.lost > 0
    }
}

impl Totals {
    /// With how the tasks of a share stand.
    #[must_use]
    pub fn with(self, standing: ShareCounts) -> Self {
        let ShareCounts { ok, failed, lost, without_result, .. } = standing;
        Self { ok, failed: failed + lost, without_result, ..self }
    }
}

/// One launch of a replica.
#[derive(Debug, Clone)]
pub struct LaunchState {
    /// From 1.
    pub number: u32,
    /// Its journal.
    pub path: PathBuf,
    /// How it began; `None` for a journal that was cut before its first line was whole.
    pub begun: Option<LaunchBegun>,
    /// The results file that its last word vouches for.
    pub results: Option<ResultsWritten>,
    /// How it ended in order.
    pub stop: Option<Stopped>,
    /// Ok records it made.
    pub ok: u64,
    /// Its last sign of life.
    pub sign: Option<Totals>,
    /// How many tasks were running side by side when it died; `None` where it ended in order, or may live.
    pub died_with: Option<usize>,
}

impl LaunchState {
    /// Whether its last sign of life showed memory with room in it. Memory that can't be told has none.
    pub fn had_room(&self) -> bool {
        let limit = self.begun.as_ref().and_then(|begun| begun.limits.memory_bytes);
        let in_use = self.sign.and_then(|sign| sign.memory_bytes);
        matches!((in_use, limit), (Some(in_use), Some(limit)) if in_use < share_of_memory(limit))
    }
}

/// Something in a journal that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A line that does not parse.
    Line(PathBuf, BadLine),
    /// A journal of another run.
    OtherRun(PathBuf, String),
    /// Lines about tasks that are not of the share.
    Stranger(PathBuf, u64),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(path, bad) => {
                write!(
                    out,
                    "{}: the line at byte {} can't be read and was skipped: {}",
                    path.display(),
                    bad.offset,
                    bad.why
                )
            }
            Self::OtherRun(path, run) => {
                let run = crate::units::printable(run);
                write!(out, "{}: is of another run ({run}) and was left out", path.display())
            }
            Self::Stranger(path, lines) => {
                write!(out, "{}: {lines} lines are about tasks that are not of this share", path.display())
            }
        }
    }
}

/// Whether the last launch can still be at work, when its journal has no `stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastLaunch {
    /// It is known to be dead.
    Dead,
    /// It may live.
    MayLive,
}

impl LastLaunch {
    /// By whether it is at work.
    pub fn at_work(lives: bool) -> Self {
        if lives { Self::MayLive } else { Self::Dead }
    }
}

/// Everything the journals of one replica tell.
#[derive(Debug)]
pub struct JournalState {
    share: Share,
    tasks: Vec<TaskNote>,
    standing: ShareCounts,
    /// All launches, oldest first.
    pub launches: Vec<LaunchState>,
    /// By index, tasks that were running when a container died and have not ended since, or that ran out of memory.
    pub suspects: BTreeMap<u64, Suspect>,
    /// What tasks were seen to use.
    pub seen: SeenUsage,
    /// What was passed over.
    pub problems: Vec<Problem>,
}

impl JournalState {
    /// Reads all journals of a replica whose part of the list is `share`.
    ///
    /// # Errors
    /// When a journal can't be read or is of another version.
    pub fn read(
        layout: &Layout,
        run: &str,
        replica_id: u32,
        share: Share,
        last: LastLaunch,
    ) -> anyhow::Result<Self> {
        let mut history = Self::empty(share)?;
        let numbers = launches_of(layout, replica_id)?;
        for &number in &numbers {
            let dead = last == LastLaunch::Dead || Some(&number) != numbers.last();
            history.read_launch(&layout.journal(replica_id, number), number, run, dead)?;
        }
        Ok(history)
    }

    fn empty(share: Share) -> anyhow::Result<Self> {
        let tasks = vec![UNTOUCHED; usize::try_from(share.len())?];
        Ok(Self {
            standing: ShareCounts { files: share.len(), ..ShareCounts::default() },
            share,
            tasks,
            launches: Vec::new(),
            suspects: BTreeMap::new(),
            seen: SeenUsage::default(),
            problems: Vec::new(),
        })
    }

    fn read_launch(&mut self, path: &Path, number: u32, run: &str, dead: bool) -> anyhow::Result<()> {
        let mut launch = LaunchState {
            number,
            path: path.to_owned(),
            begun: None,
            results: None,
            stop: None,
            ok: 0,
            sign: None,
            died_with: None,
        };
        let mut running: BTreeMap<u64, bool> = BTreeMap::new();
        let (mut other_run, mut strangers) = (None, 0);
        let bad = reader::read(path, |line| {
            if line.members.run != run {
                other_run.get_or_insert_with(|| line.members.run.clone().into_owned());
            } else if !self.take(&mut launch, &mut running, line) {
                strangers += 1;
            }
        })?;
        self.problems.extend(bad.into_iter().map(|bad| Problem::Line(path.to_owned(), bad)));
        if let Some(other) = other_run {
            self.problems.push(Problem::OtherRun(path.to_owned(), other));
        }
        if strangers > 0 {
            self.problems.push(Problem::Stranger(path.to_owned(), strangers));
        }
        if launch.stop.is_none() && dead {
            launch.died_with = Some(running.values().filter(|alone| !**alone).count());
            self.note_death(&running, launch.had_room());
        }
        self.launches.push(launch);
        Ok(())
    }

    /// Takes in one line; `false` for one about a task that is not of the share.
    fn take(
        &mut self,
        launch: &mut LaunchState,
        running: &mut BTreeMap<u64, bool>,
        line: &ReadLine<'_>,
    ) -> bool {
        let ReadLine { members: line, text, record } = line;
        let position = line.index.and_then(|index| Some((index, self.position(index)?)));
        match (line.event.as_ref(), position) {
            ("start", Some((index, position))) => {
                let attempts = &mut self.tasks[position].attempts;
                *attempts = attempts.saturating_add(1);
                running.insert(index, line.alone.unwrap_or(false));
                launch.results = None;
            }
            ("not_started", Some((index, position))) => {
                running.remove(&index);
                self.tasks[position].attempts = self.tasks[position].attempts.saturating_sub(1);
            }
            ("interrupted", Some((index, _))) => _ = running.remove(&index),
            ("attempt", Some((index, _))) => {
                running.remove(&index);
                self.note_attempt(index, line);
            }
            ("end", Some((index, position))) => {
                running.remove(&index);
                launch.results = None;
                if let (Some(status), Some(span)) = (line.status, *record) {
                    launch.ok += u64::from(status == Status::Ok);
                    let Members { cause, replaces, no_result, .. } = *line;
                    let ended = TaskEnded { index, status, cause, replaces, no_result };
                    self.note(position, ended, launch.number, span);
                }
            }
            ("start" | "not_started" | "interrupted" | "attempt" | "end", None) => return false,
            ("run", _) => launch.begun = serde_json::from_slice(text).ok(),
            ("alive", _) => launch.sign = serde_json::from_slice(text).ok(),
            ("results_written", _) => launch.results = serde_json::from_slice(text).ok(),
            ("stop", _) => launch.stop = serde_json::from_slice(text).ok(),
            _ => {}
        }
        true
    }

    fn note_attempt(&mut self, index: u64, line: &Members<'_>) {
        self.note_cause(index, line.cause);
        if line.cause != Some(Cause::Oom) {
            self.seen.add(line.tree_bytes.or(line.max_rss_bytes));
        }
    }

    fn note_cause(&mut self, index: u64, cause: Option<Cause>) {
        if cause == Some(Cause::Oom) {
            self.suspects.insert(index, Suspect { is_hungry: true, ..Suspect::default() });
        } else {
            self.suspects.remove(&index);
        }
    }

    /// Ok before failed, then the newest.
    fn note(&mut self, position: usize, ended: TaskEnded, launch: u32, span: RecordSpan) {
        self.note_cause(ended.index, ended.cause);
        let note = &mut self.tasks[position];
        let known = match (ended.status, ended.cause) {
            (Status::Ok, _) => TaskState::Ok,
            (Status::Failed, Some(Cause::Lost)) => TaskState::Lost,
            (Status::Failed, _) => TaskState::Failed,
        };
        if known == TaskState::Ok || note.known != TaskState::Ok {
            let RecordSpan { offset, bytes } = span;
            let no_result = known == TaskState::Ok && ended.no_result;
            self.standing.change(note.known, known);
            self.standing.without_result -= u64::from(note.no_result);
            self.standing.without_result += u64::from(no_result);
            *note = TaskNote { offset, bytes, launch, known, no_result, ..*note };
        }
    }

    fn note_death(&mut self, running: &BTreeMap<u64, bool>, had_room: bool) {
        for (&index, &alone) in running {
            let Some(position) = self.position(index) else { continue };
            if self.tasks[position].known == TaskState::Ok {
                continue;
            }
            if alone {
                self.standing.change(self.tasks[position].known, TaskState::Lost);
                // The record of an earlier failure is not the record of this.
                self.tasks[position] = TaskNote { known: TaskState::Lost, bytes: 0, ..self.tasks[position] };
                self.suspects.remove(&index);
            } else {
                let suspect = self.suspects.entry(index).or_default();
                suspect.deaths += 1;
                suspect.had_room = had_room;
            }
        }
    }

    /// Notes a record that this process has just written as the newest launch.
    pub fn note_own(&mut self, ended: TaskEnded, launch: u32, span: RecordSpan) {
        if let Some(position) = self.position(ended.index) {
            self.note(position, ended, launch, span);
        }
    }

    /// Notes an attempt that this process begins; gives its number over all launches, from 1.
    pub fn begin_attempt(&mut self, index: u64) -> u32 {
        let Some(position) = self.position(index) else { return 1 };
        let attempts = &mut self.tasks[position].attempts;
        *attempts = attempts.saturating_add(1);
        u32::from(*attempts)
    }

    /// Takes back that an attempt began.
    pub fn take_back_attempt(&mut self, index: u64) {
        if let Some(position) = self.position(index) {
            self.tasks[position].attempts = self.tasks[position].attempts.saturating_sub(1);
        }
    }

    fn position(&self, index: u64) -> Option<usize> {
        self.share.position_of(index).and_then(|position| usize::try_from(position).ok())
    }

    /// The part of the list it is about.
    pub fn share(&self) -> &Share {
        &self.share
    }

    /// The note of the task at an index; `None` for one that is not of the share.
    pub fn task(&self, index: u64) -> Option<TaskNote> {
        self.position(index).map(|position| self.tasks[position])
    }

    /// All tasks: index and note, in list order.
    pub fn tasks(&self) -> impl Iterator<Item = (u64, TaskNote)> + '_ {
        self.share.iter().zip(self.tasks.iter().copied())
    }

    /// The indices of tasks that are ok and have no result, although one was expected.
    pub fn without_result(&self) -> impl Iterator<Item = u64> + '_ {
        self.tasks().filter(|(_, note)| note.no_result).map(|(index, _)| index)
    }

    /// How all tasks stand.
    pub fn standing(&self) -> ShareCounts {
        self.standing
    }

    /// The results file that the last word of the last launch vouches for.
    pub fn current_results(&self) -> Option<&ResultsWritten> {
        self.launches.last()?.results.as_ref()
    }
}

#[cfg(test)]
mod tests;

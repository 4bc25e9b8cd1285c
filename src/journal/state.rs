//! The state of a run, folded from the journals of a replica: of every task that they tell of, and of every launch. Launches,
//! results, merging and every report are derived from it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::journal::event::{Event, ResultsWritten};
use crate::journal::launch_state::{AttemptOver, LaunchState};
use crate::journal::launches::launches_of;
use crate::journal::line::JournalLine;
use crate::journal::reader::{self, BadLine};
use crate::journal::task_states::TaskTable;
use crate::model::counts::TaskCounts;
use crate::model::outcome::Cause;
use crate::model::quarantine::SeenUsage;
use crate::model::shares::Share;
use crate::store::layout::Layout;
use crate::units;

/// The run that journals are read for.
#[derive(Debug, Clone)]
pub struct RunRef<'a> {
    /// Its id.
    pub id: &'a str,
    /// The indices of its tasks.
    pub indices: Range<u64>,
}

/// Something in a journal that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A line that does not parse.
    Line(PathBuf, BadLine),
    /// A journal of another run.
    OtherRun(PathBuf, String),
    /// Lines about tasks that are not in the list.
    UnknownTasks(PathBuf, u64),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(path, BadLine { offset, why }) => {
                write!(
                    out,
                    "{}: the line at byte {offset} can't be read and was skipped: {why}",
                    path.display()
                )
            }
            Self::OtherRun(path, run) => {
                let run = units::printable(run);
                write!(out, "{}: is of another run ({run}) and was left out", path.display())
            }
            Self::UnknownTasks(path, lines) => {
                let lines = units::plural(*lines, "line is about a task", "lines are about tasks");
                write!(out, "{}: {lines} not in the list", path.display())
            }
        }
    }
}

/// Everything the journals of one replica tell.
#[derive(Debug)]
pub struct JournalState {
    replica: u32,
    /// Its tasks.
    pub tasks: TaskTable,
    /// All launches, oldest first.
    pub launches: Vec<LaunchState>,
    /// What tasks were seen to use.
    pub seen: SeenUsage,
    /// What was passed over.
    pub problems: Vec<Problem>,
}

/// Who is told of each attempt that ended, with its launch and the line that says so.
pub type TakeAttempt<'a> = dyn FnMut(&LaunchState, &JournalLine<'_>, AttemptOver<'_>) + 'a;

impl JournalState {
    /// Reads all journals of a replica that begins with `share`. `lives` tells whether its last launch can still be running,
    /// where that has no stop record.
    ///
    /// # Errors
    /// When a journal can't be read or is of another version.
    pub fn read(
        layout: &Layout,
        run: &RunRef<'_>,
        replica: u32,
        share: Share,
        lives: bool,
    ) -> anyhow::Result<Self> {
        Self::read_with(layout, run, replica, share, lives, &mut |_, _, _| {})
    }

    /// The same; `take` is told of each attempt that ended.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_with(
        layout: &Layout,
        run: &RunRef<'_>,
        replica: u32,
        share: Share,
        lives: bool,
        take: &mut TakeAttempt<'_>,
    ) -> anyhow::Result<Self> {
        let mut state = Self {
            replica,
            tasks: TaskTable::new(share)?,
            launches: Vec::new(),
            seen: SeenUsage::default(),
            problems: Vec::new(),
        };
        let numbers = launches_of(layout, replica)?;
        for &number in &numbers {
            let may_live = lives && Some(&number) == numbers.last();
            state.read_launch(&layout.journal(replica, number), number, run, may_live, take)?;
        }
        Ok(state)
    }

    fn read_launch(
        &mut self,
        path: &Path,
        number: u32,
        run: &RunRef<'_>,
        may_live: bool,
        take: &mut TakeAttempt<'_>,
    ) -> anyhow::Result<()> {
        let mut launch = LaunchState::new(self.replica, number);
        let (mut other_run, mut unknown) = (None, 0);
        let bad = reader::read(path, |line| {
            if line.run != run.id {
                other_run.get_or_insert_with(|| line.run.clone().into_owned());
            } else if line.event.index().is_some_and(|index| !run.indices.contains(&index)) {
                unknown += 1;
            } else {
                self.take(&launch, line);
                if let Some(over) = launch.take(line) {
                    take(&launch, line, over);
                }
            }
        })?;
        self.problems.extend(bad.into_iter().map(|bad| Problem::Line(path.to_owned(), bad)));
        self.problems.extend(other_run.map(|other| Problem::OtherRun(path.to_owned(), other)));
        self.problems.extend((unknown > 0).then(|| Problem::UnknownTasks(path.to_owned(), unknown)));
        if launch.stop.is_none() && !may_live {
            launch.died_with = Some(launch.running().values().filter(|attempt| !attempt.alone).count());
            self.tasks.note_death(launch.running(), launch.had_room());
        }
        self.launches.push(launch);
        Ok(())
    }

    /// Takes in what a line of a launch's journal says of a task.
    fn take(&mut self, launch: &LaunchState, line: &JournalLine<'_>) {
        match &line.event {
            Event::Start(begun) => _ = self.tasks.begin_attempt(begun.index),
            Event::NotStarted(task) => self.tasks.take_back_attempt(task.index),
            Event::Attempt(ended) => {
                self.tasks.end_attempt(ended.index, ended.cause);
                if ended.cause != Some(Cause::Oom) {
                    self.seen.add(ended.tree_bytes.or(ended.max_rss_bytes));
                }
            }
            Event::End(ended) => {
                if let Some(span) = line.record {
                    self.tasks.end(*ended, (launch.replica, launch.number), span);
                }
            }
            Event::Run(_)
            | Event::Interrupted(_)
            | Event::Claim(_)
            | Event::Alive(_)
            | Event::ResultsWritten(_)
            | Event::Stop(_)
            | Event::Unknown => {}
        }
    }

    /// How the tasks of its share stand.
    pub fn counts(&self) -> TaskCounts {
        self.tasks.counts()
    }

    /// The results file that the last word of the last launch vouches for.
    pub fn current_results(&self) -> Option<&ResultsWritten> {
        self.launches.last()?.results.as_ref()
    }
}

#[cfg(test)]
mod tests;

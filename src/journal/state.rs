//! The state of a run, folded from the journals of a replica: of every task in them, and of every launch. Launches,
//! results, merging and every report are derived from it.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use crate::journal::event::{Event, ResultsWritten, TasksDueAgain};
use crate::journal::launch_state::{AttemptOver, LaunchState};
use crate::journal::launches::launches_of;
use crate::journal::line::JournalLine;
use crate::journal::reader::{self, BadLine};
use crate::journal::task_states::{BlockTasks, TaskTable};
use crate::model::blocks::BlockId;
use crate::model::counts::TaskCounts;
use crate::model::launch_id::LaunchId;
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
    /// A journal that is not there.
    Gone(PathBuf),
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
                write!(out, "{}: belongs to another run ({run}) and was left out", path.display())
            }
            Self::UnknownTasks(path, lines) => {
                let lines = units::plural(*lines, "line is about a task", "lines are about tasks");
                write!(out, "{}: {lines} not in the list", path.display())
            }
            Self::Gone(path) => {
                write!(out, "{}: is missing; tasks that are recorded nowhere else run again", path.display())
            }
        }
    }
}

/// Everything in the journals of one replica, or everything about some blocks in the journals of several.
#[derive(Debug)]
pub struct JournalState {
    /// The tasks.
    pub tasks: TaskTable,
    /// The launches, in the order in which they had the tasks: those of a replica oldest first.
    pub launches: Vec<LaunchState>,
    /// The observed resource usage of tasks.
    pub seen: SeenUsage,
    /// Which launches took back records of tasks, and of which: those that lie in journals of other replicas, too.
    pub due_again: Vec<(LaunchId, TasksDueAgain)>,
    /// What was passed over.
    pub problems: Vec<Problem>,
}

/// Called for each attempt that ended, with its launch and the line that says so.
pub type TakeAttempt<'a> = dyn FnMut(&LaunchState, &JournalLine<'_>, AttemptOver<'_>) + 'a;

impl JournalState {
    /// Reads all journals of a replica that begins with `share`. `lives` says whether its last launch can still be running,
    /// if it has no stop record.
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

    /// The same for a replica with known launches.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_launches(
        layout: &Layout,
        run: &RunRef<'_>,
        launches: &[LaunchId],
        share: Share,
        lives: bool,
        take: &mut TakeAttempt<'_>,
    ) -> anyhow::Result<Self> {
        let mut state = Self::of_tasks(TaskTable::new(share)?);
        let last = launches.last().copied();
        for launch in launches {
            state.read_launch(layout, *launch, run, &|id| lives && Some(id) == last, &|| true, take)?;
        }
        Ok(state)
    }

    /// The same; `take` is called for each attempt that ended.
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
        Self::read_launches(layout, run, &launches_of_replica(layout, replica)?, share, lives, take)
    }

    /// What these launches tell of some blocks, which they had one after the other in this order; a
    /// launch that is named again counts where it is first. What they tell of other
    /// tasks is passed over, and so is a journal that is gone. `may_live` is asked about those without a stop record, and
    /// `keep_going`, now and then, whether to read on.
    ///
    /// # Errors
    /// [`ReadingStopped`](reader::ReadingStopped), or when a journal that is there can't be read or is of another version.
    pub fn of_blocks(
        layout: &Layout,
        run: &RunRef<'_>,
        blocks: &[(BlockId, Share)],
        launches: &[LaunchId],
        may_live: &dyn Fn(LaunchId) -> bool,
        keep_going: &dyn Fn() -> bool,
    ) -> anyhow::Result<Self> {
        let mut state = Self::of_tasks(TaskTable::of_blocks());
        for (block, indices) in blocks {
            state.tasks.hold(*block, BlockTasks::new(indices.clone())?);
        }
        for (at, &launch) in launches.iter().enumerate() {
            // It may have had one block before another launch and one after.
            if launches[..at].contains(&launch) {
                continue;
            }
            match state.read_launch(layout, launch, run, may_live, keep_going, &mut |_, _, _| {}) {
                Err(error) if is_not_found(&error) => {
                    let path = layout.journal(launch.replica, launch.launch);
                    state.problems.push(Problem::Gone(path));
                }
                read => read?,
            }
        }
        Ok(state)
    }

    /// The launches of a replica, their claims, and the usage of tasks, for a replica that begins without tasks: blocks are added
    /// afterwards. `lives` says whether its last launch can still be running, if it has no stop record; `keep_going` as
    /// for [`Self::of_blocks`].
    ///
    /// # Errors
    /// As for [`Self::of_blocks`].
    pub fn of_replica_without_tasks(
        layout: &Layout,
        run: &RunRef<'_>,
        replica: u32,
        lives: bool,
        keep_going: &dyn Fn() -> bool,
    ) -> anyhow::Result<Self> {
        let launches = launches_of_replica(layout, replica)?;
        let last = launches.last().copied();
        Self::of_blocks(layout, run, &[], &launches, &|id| lives && Some(id) == last, keep_going)
    }

    fn of_tasks(tasks: TaskTable) -> Self {
        Self {
            tasks,
            launches: Vec::new(),
            seen: SeenUsage::default(),
            due_again: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn read_launch(
        &mut self,
        layout: &Layout,
        id: LaunchId,
        run: &RunRef<'_>,
        may_live: &dyn Fn(LaunchId) -> bool,
        keep_going: &dyn Fn() -> bool,
        take: &mut TakeAttempt<'_>,
    ) -> anyhow::Result<()> {
        let path = &layout.journal(id.replica, id.launch);
        let mut launch = LaunchState::new(id.replica, id.launch);
        let (mut other_run, mut unknown) = (None, 0);
        let bad = reader::read(path, keep_going, |line| {
            if line.run != run.id {
                other_run.get_or_insert_with(|| line.run.clone().into_owned());
            } else if line.event.index().is_some_and(|index| !run.indices.contains(&index)) {
                unknown += 1;
            } else {
                self.take(&launch, line, &run.indices);
                if let Some(over) = launch.take(line) {
                    take(&launch, line, over);
                }
            }
        })?;
        self.problems.extend(bad.into_iter().map(|bad| Problem::Line(path.to_owned(), bad)));
        self.problems.extend(other_run.map(|other| Problem::OtherRun(path.to_owned(), other)));
        self.problems.extend((unknown > 0).then(|| Problem::UnknownTasks(path.to_owned(), unknown)));
        if launch.stop.is_none() && !may_live(id) {
            launch.died_with =
                Some(launch.running().values().filter(|attempt| attempt.may_kill_with_others()).count());
            self.tasks.note_death(launch.running(), launch.had_room());
        }
        self.launches.push(launch);
        Ok(())
    }

    /// Applies what a line of a launch's journal says about a task.
    fn take(&mut self, launch: &LaunchState, line: &JournalLine<'_>, indices: &Range<u64>) {
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
            Event::Publish(announced) => self.tasks.note_directories(announced),
            Event::DueAgain(tasks) => {
                tasks.within(indices).for_each(|index| self.tasks.make_due_again(index));
                let by = LaunchId { replica: launch.replica, launch: launch.number };
                self.due_again.push((by, (**tasks).clone()));
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

    /// The counts of the tasks of its share, or of its blocks.
    pub fn counts(&self) -> TaskCounts {
        self.tasks.counts()
    }

    /// The results file that the stop record of the last launch confirms.
    pub fn current_results(&self) -> Option<&ResultsWritten> {
        self.launches.last()?.results.as_ref()
    }
}

fn launches_of_replica(layout: &Layout, replica: u32) -> anyhow::Result<Vec<LaunchId>> {
    let launches = launches_of(layout, replica)?;
    Ok(launches.into_iter().map(|launch| LaunchId { replica, launch }).collect())
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod block_tests;
#[cfg(test)]
mod product_tests;
#[cfg(test)]
mod tests;

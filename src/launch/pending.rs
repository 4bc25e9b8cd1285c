//! Which tasks of a share, or of a block, a launch has to run, and when in it.

use crate::journal::state::JournalState;
use crate::journal::task_states::{NotedTasks, TaskNote};
use crate::model::blocks::BlockId;
use crate::model::counts::TaskState;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Rerun;
use crate::model::quarantine::Suspect;
use crate::model::selection::TaskSelection;
use crate::model::shares::Share;
use crate::run::queue::TasksByStage;

/// Which tasks a launch is to run of those that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueRule<'a> {
    /// Those without a record, and of the others those that run again on a later launch.
    Rerun(Rerun),
    /// These and no others (`--only`).
    Only(&'a TaskSelection),
}

impl DueRule<'_> {
    /// Whether a task is due that `holder` had before and that stands so.
    pub(super) fn has(self, index: u64, note: TaskNote, died_around: bool, holder: PreviousHolder) -> bool {
        let is_own = holder == PreviousHolder::OwnReplica;
        match (self, note.state) {
            (Self::Only(selection), _) => is_own && is_selected(selection, index, note),
            (Self::Rerun(_), TaskState::Unfinished) => true,
            (Self::Rerun(_), TaskState::Ok) => false,
            (Self::Rerun(rerun), TaskState::Failed) => is_own && (rerun != Rerun::Never || died_around),
            (Self::Rerun(rerun), TaskState::Lost) => is_own && rerun == Rerun::All,
        }
    }

    /// Whether a task is one of those that are to run and no others, where there are such.
    pub(super) fn may_begin(self, index: u64) -> bool {
        match self {
            Self::Rerun(_) => true,
            Self::Only(selection) => is_selected(selection, index, TaskNote::default()),
        }
    }
}

fn is_selected(selection: &TaskSelection, index: u64, note: TaskNote) -> bool {
    let (replica, launch) = note.made_by();
    selection.has(index, note.state, note.cause(), LaunchId { replica, launch })
}

/// What is left of a share, or of a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Where in the share or block it is.
    pub tasks: TasksByStage,
    /// How many of these were running when a container died.
    pub suspects: u64,
    /// How many others ran out of memory.
    pub hungry: u64,
    /// How many others of a block have no record and are left out here (`--only`).
    pub left_out: u64,
}

/// Which replica's launches left the tasks to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviousHolder {
    /// This replica's own.
    OwnReplica,
    /// Others had it last. They may be alive after all, so that what ran there never has company here; and what has the record
    /// of a failure is theirs to run again.
    OtherReplica,
}

impl Pending {
    /// Of what the journals tell, under a rule.
    pub fn of(state: &JournalState, rule: DueRule<'_>) -> Self {
        let mut due = Self::default();
        for (position, (index, note)) in (0..).zip(state.tasks.of_share()) {
            let suspect = state.tasks.suspects.get(&index);
            due.take(position, (index, note), suspect, rule, PreviousHolder::OwnReplica);
        }
        due
    }

    /// Of what the journals tell of a block that `state` holds; positions are those within the block.
    pub fn of_block(state: &JournalState, block: BlockId, rule: DueRule<'_>, holder: PreviousHolder) -> Self {
        let mut due = Self::default();
        let tasks = state.tasks.block(block).into_iter().flat_map(NotedTasks::iter);
        for (position, (index, note)) in (0..).zip(tasks) {
            due.take(position, (index, note), state.tasks.suspects.get(&index), rule, holder);
        }
        due
    }

    fn take(
        &mut self,
        position: u32,
        (index, note): (u64, TaskNote),
        suspect: Option<&Suspect>,
        rule: DueRule<'_>,
        holder: PreviousHolder,
    ) {
        let is_own = holder == PreviousHolder::OwnReplica;
        let died_around = suspect.is_some_and(|suspect| suspect.deaths > 0);
        if !rule.has(index, note, died_around, holder) {
            self.left_out += u64::from(!note.has_record());
            return;
        }
        self.suspects += u64::from(died_around);
        self.hungry += u64::from(suspect.is_some() && !died_around);
        let may_have_company = is_own && suspect.is_some_and(|suspect| suspect.may_have_company());
        let stage = match (suspect, note.state) {
            (Some(_), _) if may_have_company => &mut self.tasks.suspects,
            (Some(_), _) | (None, TaskState::Lost) => &mut self.tasks.alone,
            (None, _) => &mut self.tasks.ordinary,
        };
        stage.push(position);
    }

    /// The indices of all of them in the list, ascending, where they are of a share.
    pub fn in_share<'s>(&self, share: &'s Share) -> impl Iterator<Item = u64> + use<'s> {
        let mut places: Vec<u32> = self.tasks.iter().collect();
        places.sort_unstable();
        places.into_iter().filter_map(|place| share.index_at(u64::from(place)))
    }

    /// Where in the share or block all of them are, stage by stage.
    pub fn places(self) -> Vec<u32> {
        let TasksByStage { ordinary, suspects, alone } = self.tasks;
        [ordinary, suspects, alone].concat()
    }

    /// How many tasks.
    pub fn len(&self) -> u64 {
        self.tasks.len()
    }

    /// Whether nothing must be run.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{DueRule, Pending, PreviousHolder};
    use crate::journal::event::{AttemptBegun, Event, LaunchBegun, LaunchProgress, Limits, TaskEnded};
    use crate::journal::state::{JournalState, RunRef};
    use crate::journal::writer::JournalWriter;
    use crate::model::blocks::BlockId;
    use crate::model::launch_id::LaunchId;
    use crate::model::outcome::{Cause, Rerun, Status};
    use crate::model::provenance::Process;
    use crate::model::shares::Share;
    use crate::run::queue::TasksByStage;
    use crate::store::layout::Layout;

    const BLOCK: BlockId = BlockId { round: 0, share: 1 };

    /// Of a block of 10, 20, 30 and 40 a launch ended the first two, and died around the third with room in memory.
    fn left_by_the_dead(layout: &Layout) -> JournalState {
        std::fs::create_dir_all(layout.journals()).unwrap();
        let mut journal = JournalWriter::create(&layout.journal(2, 1), "run", 1).unwrap();
        journal.add(&Event::Run(Box::new(LaunchBegun {
            replica_id: 2,
            replica_count: 2,
            process: Process::current(None),
            locked: true,
            options: std::collections::BTreeMap::new(),
            limits: Limits { cpus: 1.0, memory_bytes: Some(1000), cpu_set: None },
            jobs: 2,
            command_files: Vec::new(),
            share: 0,
            takeover_after_s: None,
            command: None,
            by_another: false,
        })));
        journal.add(&Event::Alive(LaunchProgress { memory_bytes: Some(10), ..LaunchProgress::default() }));
        for (index, status) in [(10, Status::Ok), (20, Status::Failed)] {
            let cause = (status == Status::Failed).then_some(Cause::Exit);
            let status = Some(status);
            journal.add_end(TaskEnded { index, status, cause, ..TaskEnded::default() }, b"{}");
        }
        journal.add(&Event::Start(AttemptBegun { index: 30, attempt: 1, slot: 1, alone: false }));
        journal.commit().unwrap();
        let run = RunRef { id: "run", indices: 0..50 };
        let blocks = [(BLOCK, Share::Listed(vec![10, 20, 30, 40]))];
        let launches = [LaunchId { replica: 2, launch: 1 }];
        JournalState::of_blocks(layout, &run, &blocks, &launches, &|_| false, &|| true).unwrap()
    }

    #[test]
    fn what_another_replica_had_running_runs_alone_and_its_failures_are_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let state = left_by_the_dead(&Layout::new(folder.path()));
        let due = |rerun, holder| Pending::of_block(&state, BLOCK, DueRule::Rerun(rerun), holder).tasks;
        let tasks = |ordinary: &[u32], suspects: &[u32], alone: &[u32]| {
            let [ordinary, suspects, alone] = [ordinary, suspects, alone].map(<[u32]>::to_vec);
            TasksByStage { ordinary, suspects, alone }
        };
        assert_eq!(due(Rerun::Failed, PreviousHolder::OwnReplica), tasks(&[1, 3], &[2], &[]));
        assert_eq!(due(Rerun::Never, PreviousHolder::OwnReplica), tasks(&[3], &[2], &[]));
        assert_eq!(due(Rerun::All, PreviousHolder::OtherReplica), tasks(&[3], &[], &[2]));
        let other = BlockId { round: 1, ..BLOCK };
        assert!(
            Pending::of_block(&state, other, DueRule::Rerun(Rerun::All), PreviousHolder::OwnReplica)
                .is_empty()
        );
    }
}

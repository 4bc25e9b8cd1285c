//! Which tasks of a share, or of a block, a launch has to run, and when in it.

use crate::journal::state::JournalState;
use crate::journal::task_states::NotedTasks;
use crate::model::blocks::BlockId;
use crate::model::counts::TaskState;
use crate::model::outcome::Rerun;
use crate::model::quarantine::Suspect;
use crate::run::queue::TasksByStage;

/// What is left of a share, or of a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Where in the share or block it is.
    pub tasks: TasksByStage,
    /// How many of these were running when a container died.
    pub suspects: u64,
    /// How many others ran out of memory.
    pub hungry: u64,
}

/// Whose launches left what is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inherited {
    /// This replica's own.
    OwnReplica,
    /// Others had it last. They may be alive after all, so that what ran there never has company here; and what has the record
    /// of a failure is theirs to run again.
    OtherReplica,
}

impl Pending {
    /// Of what the journals tell, under a rule for failed tasks.
    pub fn of(state: &JournalState, rerun: Rerun) -> Self {
        let mut due = Self::default();
        for (position, (index, note)) in (0..).zip(state.tasks.of_share()) {
            due.take(position, note.state, state.tasks.suspects.get(&index), rerun, Inherited::OwnReplica);
        }
        due
    }

    /// Of what the journals tell of a block that `state` holds; positions are those within the block.
    pub fn of_block(state: &JournalState, block: BlockId, rerun: Rerun, inherited: Inherited) -> Self {
        let mut due = Self::default();
        let tasks = state.tasks.block(block).into_iter().flat_map(NotedTasks::iter);
        for (position, (index, note)) in (0..).zip(tasks) {
            due.take(position, note.state, state.tasks.suspects.get(&index), rerun, inherited);
        }
        due
    }

    fn take(
        &mut self,
        position: u32,
        state: TaskState,
        suspect: Option<&Suspect>,
        rerun: Rerun,
        inherited: Inherited,
    ) {
        let is_own = inherited == Inherited::OwnReplica;
        let died_around = suspect.is_some_and(|suspect| suspect.deaths > 0);
        let is_due = match state {
            TaskState::Unfinished => true,
            TaskState::Ok => false,
            TaskState::Failed => is_own && (rerun != Rerun::Never || died_around),
            TaskState::Lost => is_own && rerun == Rerun::All,
        };
        if !is_due {
            return;
        }
        self.suspects += u64::from(died_around);
        self.hungry += u64::from(suspect.is_some() && !died_around);
        let may_have_company = is_own && suspect.is_some_and(|suspect| suspect.may_have_company());
        let stage = match (suspect, state) {
            (Some(_), _) if may_have_company => &mut self.tasks.suspects,
            (Some(_), _) | (None, TaskState::Lost) => &mut self.tasks.alone,
            (None, _) => &mut self.tasks.ordinary,
        };
        stage.push(position);
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

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

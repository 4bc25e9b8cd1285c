//! Which tasks of a share a launch has to run, and when in it.

use crate::journal::state::JournalState;
use crate::model::counts::TaskState;
use crate::model::outcome::Rerun;
use crate::run::queue::TasksByStage;

/// What is left of a share.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Where in the share it is.
    pub tasks: TasksByStage,
    /// How many of these were running when a container died.
    pub suspects: u64,
    /// How many others ran out of memory.
    pub hungry: u64,
}

impl Pending {
    /// Of what the journals tell, under a rule for failed tasks.
    pub fn of(state: &JournalState, rerun: Rerun) -> Self {
        let mut due = Self::default();
        for (position, (index, note)) in (0..).zip(state.tasks.of_share()) {
            let suspect = state.tasks.suspects.get(&index);
            let died_around = suspect.is_some_and(|suspect| suspect.deaths > 0);
            let is_due = match note.state {
                TaskState::Unfinished => true,
                TaskState::Ok => false,
                TaskState::Failed => rerun != Rerun::Never || died_around,
                TaskState::Lost => rerun == Rerun::All,
            };
            if !is_due {
                continue;
            }
            due.suspects += u64::from(died_around);
            due.hungry += u64::from(suspect.is_some() && !died_around);
            let may_have_company = suspect.is_some_and(|suspect| suspect.may_have_company());
            let stage = match (suspect, note.state) {
                (Some(_), _) if may_have_company => &mut due.tasks.suspects,
                (Some(_), _) | (None, TaskState::Lost) => &mut due.tasks.alone,
                (None, _) => &mut due.tasks.ordinary,
            };
            stage.push(position);
        }
        due
    }

    /// Where in the share all of them are, stage by stage.
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

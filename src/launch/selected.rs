//! What a replica has of the tasks that `resume --only` names, and how all that it has stands.

use crate::journal::state::JournalState;
use crate::journal::task_states::{NotedTasks, TaskNote};
use crate::launch::Launcher;
use crate::launch::balance::history_of_claims;
use crate::launch::pending::{DueRule, PreviousHolder};
use crate::model::launch_id::LaunchId;
use crate::model::selection::KindCounts;
use crate::model::shares::Share;
use crate::sharing::ledger::BlockLedger;

/// What a look at the tasks of a replica showed.
#[derive(Debug, Default)]
pub struct SelectedTasks {
    /// The indices of those that are to run, ascending, with how often each was tried before.
    pub due: Vec<(u64, u32)>,
    /// How all that the replica has stand.
    pub kinds: KindCounts,
}

impl SelectedTasks {
    fn add(&mut self, tasks: impl Iterator<Item = (u64, TaskNote)>, rule: DueRule<'_>) {
        for (index, note) in tasks {
            self.kinds.add(note.state, note.cause());
            if rule.has(index, note, false, PreviousHolder::OwnReplica) {
                self.due.push((index, note.attempts.into()));
            }
        }
    }
}

impl Launcher<'_> {
    /// Looks at the tasks that the replica has: those of its share or, where the run shares its work, by a ledger of claims,
    /// those of its blocks and of the blocks of its share that nobody has begun.
    ///
    /// # Errors
    /// When journals or claims can't be read.
    pub fn look_for_selected(
        &self,
        share: &Share,
        ledger: Option<&BlockLedger<'_>>,
    ) -> anyhow::Result<SelectedTasks> {
        let (mut selected, rule) = (SelectedTasks::default(), self.due_rule());
        let run = self.list.header().run_ref();
        let (Some(ledger), Some(sharing)) = (ledger, self.sharing) else {
            let replica = self.id();
            let launches: Vec<LaunchId> =
                self.launches()?.into_iter().map(|launch| LaunchId { replica, launch }).collect();
            let history = JournalState::read_launches(
                self.layout,
                &run,
                &launches,
                share.clone(),
                false,
                &mut |_, _, _| {},
            )?;
            selected.add(history.tasks.of_share(), rule);
            return Ok(selected);
        };
        for (history, claims) in history_of_claims(self, sharing.blocks, ledger)? {
            for claim in claims {
                let tasks = history.tasks.block(claim.block).into_iter().flat_map(NotedTasks::iter);
                selected.add(tasks, rule);
            }
        }
        let free = sharing.blocks.of_share(self.id()).filter(|block| ledger.is_free(*block));
        for indices in free.filter_map(|block| sharing.blocks.indices(block)) {
            selected.add(indices.iter().map(|index| (index, TaskNote::default())), rule);
        }
        selected.due.sort_unstable();
        Ok(selected)
    }
}

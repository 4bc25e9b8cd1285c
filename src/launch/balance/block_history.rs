//! What earlier claimants of a block left: their records, the tasks they died with, and the tasks still to be run.

use std::collections::BTreeMap;

use anyhow::bail;

use crate::journal::state::JournalState;
use crate::journal::task_states::NotedTasks;
use crate::launch::Launcher;
use crate::launch::concurrency_cap::after_deaths;
use crate::launch::pending::{DueRule, Pending, PreviousHolder};
use crate::model::blocks::{BlockId, Blocks, ClaimName};
use crate::model::counts::TaskState;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Rerun;
use crate::model::shares::Share;
use crate::run::queue::TasksByStage;
use crate::sharing::claims::{ClaimRead, ClaimsFolder};

/// After this many deaths in a row without a record, a block is left to `resume`.
const MOST_DEATHS: usize = 5;

/// The launches that had a block, oldest claim first.
pub(super) type Chain = Vec<LaunchId>;

/// The launches that claimed a block up to a claim. Unreadable claims are skipped: the launches that made them began
/// nothing.
///
/// # Errors
/// When storage gives an error.
pub(super) fn chain(claims: &ClaimsFolder, standing: ClaimName) -> anyhow::Result<Chain> {
    let mut chain = Chain::new();
    for generation in 0..=standing.generation {
        let name = ClaimName { generation, ..standing };
        match claims.read(name)? {
            ClaimRead::Of(claim) => {
                chain.retain(|by| *by != claim.by);
                chain.push(claim.by);
            }
            ClaimRead::Broken => {}
            // Names never vanish: without this one, it is unknown what was begun.
            ClaimRead::Missing => {
                bail!("{} can't be found, although a later claim exists", claims.path_of(name).display())
            }
        }
    }
    Ok(chain)
}

/// Claims to blocks with the same owners, so that reading the journals once covers all of them.
pub(super) fn by_chain(
    claims: &ClaimsFolder,
    standing: impl IntoIterator<Item = ClaimName>,
) -> anyhow::Result<BTreeMap<Chain, Vec<ClaimName>>> {
    let mut all: BTreeMap<Chain, Vec<ClaimName>> = BTreeMap::new();
    for claim in standing {
        all.entry(chain(claims, claim)?).or_default().push(claim);
    }
    Ok(all)
}

/// Reads what a chain of launches, all of which have ended, left of blocks.
///
/// # Errors
/// When journals can't be read.
pub(super) fn history(
    launcher: &Launcher<'_>,
    blocks: &Blocks,
    chain: &[LaunchId],
    claims: &[ClaimName],
) -> anyhow::Result<JournalState> {
    history_beside(launcher, blocks, chain, claims, None)
}

/// The same if `me`, which has had them before, continues.
///
/// # Errors
/// As [`history`].
pub(super) fn history_beside(
    launcher: &Launcher<'_>,
    blocks: &Blocks,
    chain: &[LaunchId],
    claims: &[ClaimName],
    me: Option<LaunchId>,
) -> anyhow::Result<JournalState> {
    let indices = |claim: &ClaimName| Some((claim.block, blocks.indices(claim.block)?));
    let of: Vec<(BlockId, Share)> = claims.iter().filter_map(indices).collect();
    let run = launcher.list.header().run_ref();
    JournalState::of_blocks(launcher.layout, &run, &of, chain, &|id| Some(id) == me, &|| {
        launcher.stop.signal().is_none()
    })
}

/// Whether the last launches of a chain all died and made no record of a block.
pub(super) fn is_deadly(history: &JournalState, chain: &[LaunchId], block: BlockId) -> bool {
    let Some(last) = chain.len().checked_sub(MOST_DEATHS).map(|at| &chain[at..]) else { return false };
    let has_died = |by: &LaunchId| {
        let mut launches = history.launches.iter();
        launches.any(|launch| {
            (launch.replica, launch.number) == (by.replica, by.launch) && launch.died_with.is_some()
        })
    };
    let is_theirs = |(replica, launch)| last.contains(&LaunchId { replica, launch });
    let mut notes = history.tasks.block(block).into_iter().flat_map(NotedTasks::iter);
    last.iter().all(has_died) && !notes.any(|(_, note)| note.has_record() && is_theirs(note.made_by()))
}

/// Tasks that launches of other replicas died with, for the very end, when nothing else is left.
#[derive(Debug)]
pub(super) struct QuarantinedTasks {
    /// What they are held by now.
    pub(super) claim: ClaimName,
    /// Which launches had the block before.
    pub(super) chain: Chain,
    /// In the block, tasks that were running when a container died: each runs alone.
    pub(super) suspects: Vec<u32>,
    /// Tasks that died alone with their container.
    pub(super) lost: Vec<LostTask>,
}

/// A task that died alone with its container, and has no record of that yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct LostTask {
    pub(super) index: u64,
    /// That were begun.
    pub(super) attempts: u32,
    /// The launch that ran it alone last.
    pub(super) by: LaunchId,
}

/// The tasks of a block that a launch must run when it takes it over, or continues with it.
#[derive(Debug)]
pub(super) struct RemainingTasks {
    pub(super) tasks: TasksByStage,
    /// As in [`QuarantinedTasks`].
    pub(super) lost: Vec<LostTask>,
    /// How many others have no record and are left out.
    pub(super) left_out: u64,
    /// While any of these runs, at most this many tasks run at a time.
    pub(super) at_most: Option<usize>,
}

impl RemainingTasks {
    /// According to the journals.
    pub(super) fn of(
        launcher: &Launcher<'_>,
        history: &JournalState,
        block: BlockId,
        rule: DueRule<'_>,
        holder: PreviousHolder,
    ) -> Self {
        let pending = Pending::of_block(history, block, rule, holder);
        let is_unwritten = |state, has_record: bool| state == TaskState::Lost && !has_record;
        let lost = history.tasks.block(block).into_iter().flat_map(NotedTasks::iter);
        let lost = lost.filter(|(_, note)| is_unwritten(note.state, note.has_record()));
        let lost = lost.filter_map(|(index, note)| {
            let by = ran_alone(history, index)?;
            Some(LostTask { index, attempts: u32::from(note.attempts), by })
        });
        // Those that run again get their record by that.
        let is_written = match rule {
            DueRule::Only(_) => false,
            DueRule::Rerun(rerun) => holder == PreviousHolder::OtherReplica || rerun != Rerun::All,
        };
        let lost = lost.filter(|_| is_written).collect();
        let left_out = if matches!(rule, DueRule::Only(_)) { pending.left_out } else { 0 };
        let cap = || after_deaths(history, u32::MAX, launcher.memory_limit(), launcher.config.jobs);
        let at_most = (holder == PreviousHolder::OtherReplica).then(cap).flatten().map(|cap| cap.jobs);
        Self { tasks: pending.tasks, lost, at_most, left_out }
    }

    /// How many tasks get a record by it.
    pub(super) fn len(&self) -> u64 {
        self.tasks.len() + self.lost.len() as u64
    }
}

/// The launch that ran a task alone last, and died with it.
fn ran_alone(history: &JournalState, index: u64) -> Option<LaunchId> {
    let mut latest_first = history.launches.iter().rev();
    let launch =
        latest_first.find(|launch| launch.running().get(&index).is_some_and(|attempt| attempt.alone))?;
    Some(LaunchId { replica: launch.replica, launch: launch.number })
}

//! The state of the tasks in a replica's blocks: from the end of its newest journal, and if that is not enough, by reading
//! the whole journals of all launches that had a block.

use std::collections::BTreeMap;

use crate::journal::event::BlockProgress;
use crate::journal::state::JournalState;
use crate::journal::task_states::NotedTasks;
use crate::model::blocks::{BlockId, ClaimName};
use crate::model::counts::TaskCounts;
use crate::model::launch_id::LaunchId;
use crate::model::shares::Share;
use crate::sharing::peers::TAKEOVER_AFTER;
use crate::status::block_accounts::{BlockAccounts, ClaimedBlock};
use crate::status::replica::StatusLook;
use crate::status::tail_state::TailState;
use crate::store::server_clock::age;

/// The counts of a replica's blocks.
#[derive(Debug, Default)]
pub(super) struct BlockCounts {
    /// The tasks of all of them.
    pub(super) counts: TaskCounts,
    /// Of each block, how many tasks have no record.
    pub(super) left: BTreeMap<BlockId, u64>,
    /// Whether it is certain that each task has a record.
    pub(super) is_recorded: bool,
}

impl BlockCounts {
    /// By reading whole journals.
    pub(super) fn of_whole(read: &BTreeMap<BlockId, TaskCounts>) -> Self {
        let left: BTreeMap<BlockId, u64> =
            read.iter().map(|(block, counts)| (*block, counts.unfinished())).collect();
        let is_recorded = left.values().all(|left| *left == 0);
        Self { counts: read.values().copied().sum(), left, is_recorded }
    }
}

/// A replica's newest launch, as a look found it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewestLaunch<'a> {
    pub(super) tail: &'a TailState,
    pub(super) is_running: bool,
}

impl NewestLaunch<'_> {
    fn id(self) -> LaunchId {
        LaunchId { replica: self.tail.launch.replica, launch: self.tail.launch.number }
    }

    /// Its entry for a block that it claimed and has not finished.
    fn progress(self, claim: ClaimName) -> Option<BlockProgress> {
        let progress = self.tail.launch.blocks.get(&claim.block)?;
        (progress.claim == claim && progress.is_held()).then_some(*progress)
    }

    /// The counts of the tasks in all blocks that it says it has and no other launch took over; and whether one was taken over.
    fn counts(self, accounts: &BlockAccounts) -> (TaskCounts, bool) {
        let (mut counts, mut has_lost) = (self.tail.in_blocks, false);
        let held = self.tail.launch.blocks.values().filter(|block| block.is_held());
        for lost in held.filter(|block| accounts.is_lost(block.claim)) {
            counts.files = counts.files.saturating_sub(lost.files);
            counts.ok = counts.ok.saturating_sub(lost.ok);
            counts.failed = counts.failed.saturating_sub(lost.failed);
            has_lost = true;
        }
        (counts, has_lost)
    }

    /// Whether the end of its journal says everything about its replica's blocks.
    fn tells_all(self, own: &[&ClaimedBlock], accounts: &BlockAccounts) -> bool {
        let tells_all_of = |block: &&ClaimedBlock| {
            let has_tasks_left =
                || self.progress(block.claim).is_some_and(|progress| unrecorded(progress) > 0);
            // The previous owner may have recorded more since.
            block.is_ended || block.chain.len() == 1 && has_tasks_left()
        };
        let (counts, has_lost) = self.counts(accounts);
        let files: u64 = own.iter().map(|block| block.files).sum();
        // Of those that it lost it does not tell how many have no result, and what they made.
        let is_unclear = has_lost && (counts.without_result > 0 || !counts.products.is_empty());
        let is_exact = counts.files == files && !is_unclear;
        is_exact && own.iter().all(tells_all_of)
    }

    /// What is left of blocks, according to it.
    fn told(self, own: &[&ClaimedBlock]) -> BlockCounts {
        let left = |block: &&ClaimedBlock| {
            let named = self.tail.launch.blocks.get(&block.claim.block);
            let left = match named.filter(|named| named.claim == block.claim && !block.is_ended) {
                Some(progress) if progress.is_held() => unrecorded(*progress),
                // It has only announced the claim.
                Some(_) => block.files,
                None => 0,
            };
            (block.claim.block, left)
        };
        let is_recorded = own.iter().all(|block| block.is_ended);
        BlockCounts { left: own.iter().map(left).collect(), is_recorded, ..BlockCounts::default() }
    }
}

/// The state of blocks from whole journals, valid as long as there are no new claims and the journals have these lengths.
#[derive(Debug, Default)]
pub(super) struct WholeCounts(BTreeMap<BlockId, WholeCount>);

#[derive(Debug)]
struct WholeCount {
    claim: ClaimName,
    /// Of the journals of all that had the block.
    seen: Vec<SeenJournal>,
    counts: TaskCounts,
}

/// A journal's length, if it is there, and whether its launch may live.
type SeenJournal = (Option<u64>, bool);

impl WholeCounts {
    /// Counts the tasks of blocks of one replica, with the newest launch `newest`.
    ///
    /// # Errors
    /// When a journal can't be read.
    pub(super) fn count(
        &mut self,
        own: &[&ClaimedBlock],
        newest: Option<NewestLaunch<'_>>,
        accounts: &BlockAccounts,
        at: &StatusLook<'_>,
    ) -> anyhow::Result<BlockCounts> {
        let lives = |launch: LaunchId| match newest {
            Some(newest) if newest.id() == launch => newest.is_running,
            _ => !accounts.has_ended(launch) && is_fresh(launch, at),
        };
        match newest {
            Some(newest) if newest.is_running => self.count_of_running(own, newest, accounts, at, &lives),
            Some(newest) if newest.tells_all(own, accounts) => {
                Ok(BlockCounts { counts: newest.counts(accounts).0, ..newest.told(own) })
            }
            _ => Ok(BlockCounts::of_whole(&self.read(own, at, &lives)?)),
        }
    }

    /// Journals that grow are not read as a whole again and again: it soon says itself how its blocks stand.
    fn count_of_running(
        &mut self,
        own: &[&ClaimedBlock],
        newest: NewestLaunch<'_>,
        accounts: &BlockAccounts,
        at: &StatusLook<'_>,
        lives: &dyn Fn(LaunchId) -> bool,
    ) -> anyhow::Result<BlockCounts> {
        let counts = newest.counts(accounts).0;
        let is_of_earlier = |block: &&ClaimedBlock| block.by != Some(newest.id());
        let earlier: Vec<&ClaimedBlock> = own.iter().copied().filter(is_of_earlier).collect();
        if counts.files < earlier.iter().map(|block| block.files).sum() {
            // It has not taken in yet what earlier launches left.
            return Ok(BlockCounts::of_whole(&self.read(own, at, lives)?));
        }
        let mut told = newest.told(own);
        let unended: Vec<&ClaimedBlock> = earlier.into_iter().filter(|block| !block.is_ended).collect();
        for (block, counts) in self.read(&unended, at, lives)? {
            told.left.insert(block, counts.unfinished());
        }
        let is_sure = |block: &&ClaimedBlock| block.is_ended || is_of_earlier(block);
        let is_recorded = own.iter().all(is_sure) && told.left.values().all(|left| *left == 0);
        Ok(BlockCounts { counts, is_recorded, ..told })
    }

    /// Counts the tasks of blocks by the journals of all that had them.
    pub(super) fn read(
        &mut self,
        of: &[&ClaimedBlock],
        at: &StatusLook<'_>,
        lives: &dyn Fn(LaunchId) -> bool,
    ) -> anyhow::Result<BTreeMap<BlockId, TaskCounts>> {
        let mut unread: BTreeMap<&[LaunchId], Vec<ClaimName>> = BTreeMap::new();
        let mut journals: BTreeMap<LaunchId, SeenJournal> = BTreeMap::new();
        for block in of {
            for by in &block.chain {
                journals.entry(*by).or_insert_with(|| (length_of(*by, at), lives(*by)));
            }
            let known = self.0.get(&block.claim.block);
            let is_same = |known: &WholeCount| {
                known.claim == block.claim && known.seen.iter().eq(block.chain.iter().map(|by| &journals[by]))
            };
            if !known.is_some_and(is_same) {
                unread.entry(&block.chain).or_default().push(block.claim);
            }
        }
        for (chain, claims) in unread {
            let with_indices = |claim: &ClaimName| Some((claim.block, at.blocks?.indices(claim.block)?));
            let with_indices: Vec<(BlockId, Share)> = claims.iter().filter_map(with_indices).collect();
            let run = at.header.run_ref();
            let may_live = |launch: LaunchId| journals[&launch].1;
            let state = JournalState::of_blocks(at.layout, &run, &with_indices, chain, &may_live, &|| true)?;
            for claim in claims {
                let counts = state.tasks.block(claim.block).map(NotedTasks::counts).unwrap_or_default();
                let seen = chain.iter().map(|by| journals[by]).collect();
                self.0.insert(claim.block, WholeCount { claim, seen, counts });
            }
        }
        let counts =
            |block: &&ClaimedBlock| Some((block.claim.block, self.0.get(&block.claim.block)?.counts));
        Ok(of.iter().filter_map(counts).collect())
    }
}

fn unrecorded(progress: BlockProgress) -> u64 {
    progress.files.saturating_sub(progress.ok).saturating_sub(progress.failed)
}

fn length_of(launch: LaunchId, at: &StatusLook<'_>) -> Option<u64> {
    let metadata = std::fs::metadata(at.layout.journal(launch.replica, launch.launch));
    metadata.map(|metadata| metadata.len()).ok()
}

/// Whether a launch without a stop record wrote so recently that it may be alive.
pub(super) fn is_fresh(launch: LaunchId, at: &StatusLook<'_>) -> bool {
    let metadata = std::fs::metadata(at.layout.journal(launch.replica, launch.launch));
    let written = metadata.and_then(|metadata| metadata.modified());
    written.is_ok_and(|then| age(at.server_now, then) < TAKEOVER_AFTER)
}

//! Polls the work that replicas share: which launch has which part of each share, and what is left of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;

use crate::model::blocks::{BlockId, Blocks};
use crate::model::counts::TaskCounts;
use crate::sharing::ledger::BlockLedger;
use crate::status::block_accounts::{BlockAccounts, ClaimedBlock};
use crate::status::block_counts::{BlockCounts, WholeCounts, is_fresh};
use crate::status::replica::{ReplicaMonitor, StatusLook};
use crate::status::run_status::{HeldPart, ReplicaState, ReplicaStatus, ShareHoldings, SharingStatus};
use crate::threads::CpuPool;

/// Blocks and the launches that claimed them.
#[derive(Debug)]
pub(super) struct SharedWorkMonitor<'a> {
    blocks: &'a Blocks,
    ledger: BlockLedger<'a>,
    /// How the tasks of blocks stand of which nobody can tell who has them.
    unreadable: WholeCounts,
}

/// What a look showed.
#[derive(Debug)]
pub(super) struct SharedFigures {
    pub(super) replicas: Vec<ReplicaStatus>,
    pub(super) sharing: SharingStatus,
    /// How the tasks of blocks stand of which nobody can tell who has them.
    pub(super) unreadable: TaskCounts,
    /// Whether every block is ended, or each of its tasks has a record.
    pub(super) is_recorded: bool,
}

impl<'a> SharedWorkMonitor<'a> {
    pub(super) fn new(blocks: &'a Blocks, ledger: BlockLedger<'a>) -> Self {
        Self { blocks, ledger, unreadable: WholeCounts::default() }
    }

    /// Learns of claims and of the ends of those launches' journals. Comes before a look at replicas: what they have by then is
    /// newer.
    ///
    /// # Errors
    /// When the claims can't be read.
    pub(super) fn look(&mut self) -> anyhow::Result<BlockAccounts> {
        BlockAccounts::look(&mut self.ledger, self.blocks)
    }

    /// The result of checking the replicas.
    ///
    /// # Errors
    /// When journals about blocks with an unknown owner can't be read.
    pub(super) fn figures(
        &mut self,
        mut accounts: BlockAccounts,
        replicas: &mut [ReplicaMonitor],
        at: &StatusLook<'_>,
        crew: &CpuPool,
    ) -> anyhow::Result<SharedFigures> {
        for (by, block) in replicas.iter().flat_map(ReplicaMonitor::named_blocks) {
            accounts.note(by, block);
        }
        let mut by_replica = accounts.by_replica();
        let unreadable = by_replica.remove(&None).unwrap_or_default();
        let unreadable = self.count_unreadable(&unreadable, &accounts, at)?;
        let own = |id: u32| by_replica.get(&Some(id)).map(Vec::as_slice).unwrap_or_default();
        let counted: Vec<BlockCounts> = crew.map(replicas.iter_mut().collect(), |replica| {
            replica.count_blocks(own(replica.id()), &accounts, at)
        });
        let left: BTreeMap<BlockId, u64> =
            counted.iter().chain([&unreadable]).flat_map(|counts| counts.left.clone()).collect();
        let shares = self.shares(&accounts, &left, at.header.replica_count);
        let rows = replicas.iter().zip(&counted);
        let rows: Vec<ReplicaStatus> = rows
            .map(|(replica, counted)| replica.of_blocks(counted.counts, open_files(replica, &shares), at))
            .collect();
        let is_claimed = self.blocks.count() == accounts.claimed.len();
        let is_recorded = is_claimed && counted.iter().chain([&unreadable]).all(|counts| counts.is_recorded);
        let results_to_write = results_to_write(replicas, &rows, &by_replica, at);
        let sum = |of: fn(&ShareHoldings) -> u64| shares.iter().map(of).sum();
        let sharing = SharingStatus {
            unclaimed: sum(|share| share.unclaimed),
            moved: sum(ShareHoldings::moved),
            taken_over: sum(|share| share.taken_over),
            results_to_write,
            shares,
        };
        Ok(SharedFigures { replicas: rows, sharing, unreadable: unreadable.counts, is_recorded })
    }

    fn count_unreadable(
        &mut self,
        blocks: &[&ClaimedBlock],
        accounts: &BlockAccounts,
        at: &StatusLook<'_>,
    ) -> anyhow::Result<BlockCounts> {
        let lives = |launch| !accounts.has_ended(launch) && is_fresh(launch, at);
        let read = self.unreadable.read(blocks, at, &lives);
        Ok(BlockCounts::of_whole(&read.context("can't tell which replica has some files of the run")?))
    }

    fn shares(
        &self,
        accounts: &BlockAccounts,
        left: &BTreeMap<BlockId, u64>,
        count: u32,
    ) -> Vec<ShareHoldings> {
        (1..=count)
            .map(|share| {
                let mut holdings = ShareHoldings { share, ..ShareHoldings::default() };
                for block in self.blocks.of_share(share) {
                    let files = || self.blocks.indices(block).map_or(0, |indices| indices.len());
                    match accounts.claimed.get(&block) {
                        Some(claimed) => holdings.add(claimed, left.get(&block).copied().unwrap_or(0)),
                        None => holdings.add_unclaimed(files()),
                    }
                }
                holdings
            })
            .collect()
    }
}

/// Files of a replica's share that it would still begin with: unclaimed ones, or, if it never began, those without a
/// record.
fn open_files(replica: &ReplicaMonitor, shares: &[ShareHoldings]) -> u64 {
    let share = shares.iter().find(|share| share.share == replica.id());
    share.map_or(0, |share| if replica.has_begun() { share.unclaimed } else { share.left })
}

impl ShareHoldings {
    fn add_unclaimed(&mut self, files: u64) {
        self.files += files;
        self.left += files;
        self.unclaimed += files;
    }

    fn add(&mut self, block: &ClaimedBlock, left: u64) {
        let (replica_id, files) = (block.by.map(|by| by.replica), block.files);
        self.files += files;
        self.left += left;
        self.ended += if block.is_ended { files } else { 0 };
        self.taken_over += if block.claim.generation > 0 { files } else { 0 };
        match self.held_by.iter_mut().find(|part| part.replica_id == replica_id) {
            Some(part) => {
                part.files += files;
                part.left += left;
            }
            None => self.held_by.push(HeldPart { replica_id, files, left }),
        }
    }

    /// Files of it that a replica other than the planned one has.
    fn moved(&self) -> u64 {
        let others = self.held_by.iter().filter(|part| part.replica_id.is_some_and(|id| id != self.share));
        others.map(|part| part.files).sum()
    }
}

/// The replicas with missing or outdated results files, once no replica is running any more.
fn results_to_write(
    replicas: &[ReplicaMonitor],
    rows: &[ReplicaStatus],
    by_replica: &BTreeMap<Option<u32>, Vec<&ClaimedBlock>>,
    at: &StatusLook<'_>,
) -> Vec<u32> {
    if rows.iter().any(|row| matches!(row.state, ReplicaState::Running | ReplicaState::Unreadable)) {
        return Vec::new();
    }
    let has_wrong = |(replica, row): &(&ReplicaMonitor, &ReplicaStatus)| {
        let own = by_replica.get(&Some(row.replica_id)).into_iter().flatten();
        !has_right_results(replica, row, &own.map(|block| block.claim.block).collect(), at)
    };
    replicas.iter().zip(rows).filter(has_wrong).map(|(_, row)| row.replica_id).collect()
}

/// Whether the results file of a replica has the ok records of its blocks, and no others, according to its stop record.
fn has_right_results(
    replica: &ReplicaMonitor,
    row: &ReplicaStatus,
    own: &BTreeSet<BlockId>,
    at: &StatusLook<'_>,
) -> bool {
    let length = std::fs::metadata(at.layout.results(row.replica_id)).map(|file| file.len());
    let Some(written) = replica.results() else { return row.counts.ok == 0 && length.is_err() };
    let is_own =
        |index| at.blocks.and_then(|blocks| blocks.block_of(index)).is_some_and(|block| own.contains(&block));
    let has_only_own = written.tasks.as_ref().is_some_and(|tasks| tasks.iter().all(is_own));
    written.records == row.counts.ok && has_only_own && length.is_ok_and(|length| length == written.bytes)
}

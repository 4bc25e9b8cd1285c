//! The blocks of a run that shares its work, at one moment: which launch has which, and which of them are finished.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;

use crate::journal::event::BlockProgress;
use crate::model::blocks::{BlockId, Blocks, ClaimName};
use crate::model::launch_id::LaunchId;
use crate::sharing::ledger::{BlockLedger, BlockStanding};
use crate::sharing::peers::PeerState;

/// A claimed block.
#[derive(Debug, Clone)]
pub(super) struct ClaimedBlock {
    /// The highest claim.
    pub(super) claim: ClaimName,
    /// Which launch made it; `None` if unknown.
    pub(super) by: Option<LaunchId>,
    /// Whether that has ended it: each of its tasks has a record then.
    pub(super) is_ended: bool,
    /// Its tasks.
    pub(super) files: u64,
    /// The launches that had it, that one last.
    pub(super) chain: Vec<LaunchId>,
}

/// Blocks by owner.
#[derive(Debug, Default)]
pub(super) struct BlockAccounts {
    pub(super) claimed: BTreeMap<BlockId, ClaimedBlock>,
    /// Launches that have certainly ended.
    ended: BTreeSet<LaunchId>,
}

impl BlockAccounts {
    /// According to the claims and the ends of journals.
    ///
    /// # Errors
    /// When the folders of claims can't be read.
    pub(super) fn look(ledger: &mut BlockLedger<'_>, blocks: &Blocks) -> anyhow::Result<Self> {
        ledger.refresh().context("can't read the claims of the run")?;
        let standings: Vec<(BlockId, BlockStanding)> = ledger.standings().collect();
        let mut accounts = Self::default();
        for (block, standing) in standings {
            let (claim, by, is_ended) = match standing {
                BlockStanding::Free => continue,
                BlockStanding::Held { claim, by, .. } | BlockStanding::Unclear { claim, by } => {
                    (claim, Some(by), false)
                }
                BlockStanding::Ended { claim, by } => (claim, Some(by), true),
                BlockStanding::Broken { claim } => (claim, None, false),
            };
            let files = blocks.indices(block).map_or(0, |indices| indices.len());
            let chain = ledger.chain(block);
            accounts.claimed.insert(block, ClaimedBlock { claim, by, is_ended, files, chain });
        }
        for launch in ledger.claimants() {
            let state = ledger.peers().known(launch).map(|look| look.state);
            if matches!(state, Some(PeerState::Stopped | PeerState::Dead)) {
                accounts.ended.insert(launch);
            }
        }
        Ok(accounts)
    }

    /// Notes that a launch has a block: journals are read after the claims and may know newer ones.
    pub(super) fn note(&mut self, by: LaunchId, progress: &BlockProgress) {
        let (claim, files) = (progress.claim, progress.files);
        let is_newer = |known: &ClaimedBlock| known.claim.generation < claim.generation;
        if !progress.is_held() || self.claimed.get(&claim.block).is_some_and(|known| !is_newer(known)) {
            return;
        }
        let known = self.claimed.remove(&claim.block);
        let mut chain = known.map(|known| known.chain).unwrap_or_default();
        chain.retain(|before| *before != by);
        chain.push(by);
        let block = ClaimedBlock { claim, by: Some(by), is_ended: false, files, chain };
        self.claimed.insert(claim.block, block);
    }

    /// The blocks of each replica; under `None`, those with an unknown owner.
    pub(super) fn by_replica(&self) -> BTreeMap<Option<u32>, Vec<&ClaimedBlock>> {
        let mut replicas: BTreeMap<Option<u32>, Vec<&ClaimedBlock>> = BTreeMap::new();
        for block in self.claimed.values() {
            replicas.entry(block.by.map(|by| by.replica)).or_default().push(block);
        }
        replicas
    }

    /// Whether a block was taken over from a claim.
    pub(super) fn is_lost(&self, claim: ClaimName) -> bool {
        let known = self.claimed.get(&claim.block);
        known.is_some_and(|block| block.claim.generation > claim.generation)
    }

    /// Whether a launch has certainly ended.
    pub(super) fn has_ended(&self, launch: LaunchId) -> bool {
        self.ended.contains(&launch)
    }
}

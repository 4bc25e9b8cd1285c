//! Which replica had which block, from the claims alone: where a task's record can be, which of several counts, and which replicas
//! depend on each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::blocks::{BlockId, Blocks};
use crate::model::index_ranges::IndexRanges;
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::record::inputs::InputList;
use crate::sharing::ledger::BlockLedger;
use crate::store::layout::Layout;

/// The claims of a run that shares its work, as they were when they were read.
#[derive(Debug)]
pub struct BlockClaimants {
    blocks: Blocks,
    /// For each claimed block, the launches that claimed it, by generation; `None` if unknown.
    claims: BTreeMap<BlockId, BTreeMap<u32, Option<LaunchId>>>,
    /// Replicas that had a block that another one had too.
    entangled: BTreeSet<u32>,
    /// Whether all claims could be read.
    is_whole: bool,
    /// Why they could not be listed.
    pub trouble: Option<String>,
}

impl BlockClaimants {
    /// Those of the run in a results directory; `None` where its replicas keep to their shares. Claims that can't be read leave
    /// the journals, which have all that counts.
    ///
    /// # Errors
    /// When the list can't be read.
    pub fn read(layout: &Layout, list: &InputList) -> anyhow::Result<Option<Self>> {
        if !list.has_balance() {
            return Ok(None);
        }
        let run = &list.header().run;
        let blocks = list.blocks()?;
        let mut ledger = BlockLedger::new(layout, run, &blocks, Process::current(None));
        let cannot = |error| format!("can't read the claims in {}: {error}", layout.claims_of(run).display());
        let trouble = ledger.refresh_claims().err().map(cannot);
        let mut claims: BTreeMap<BlockId, BTreeMap<u32, Option<LaunchId>>> = BTreeMap::new();
        for (claim, by) in ledger.claims() {
            claims.entry(claim.block).or_default().insert(claim.generation, by);
        }
        let is_whole = trouble.is_none() && claims.values().flat_map(BTreeMap::values).all(Option::is_some);
        let entangled =
            claims.values().map(replicas).filter(|of_block| of_block.len() > 1).flatten().collect();
        Ok(Some(Self { blocks, claims, entangled, is_whole, trouble }))
    }

    /// How the shares are cut.
    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Whether journals of no other replica than this one can have records of these tasks, and those of this one have no others
    /// that another one has, too: it has their blocks, and never had one that another one had.
    pub fn are_only_of(&self, replica: u32, tasks: &IndexRanges) -> bool {
        let is_own = |index| self.holder(index).is_some_and(|by| by.replica == replica);
        self.is_whole && !self.entangled.contains(&replica) && tasks.iter().all(is_own)
    }

    /// The launch that has the block of a task; `None` if none has, or it is unknown.
    pub fn holder(&self, index: u64) -> Option<LaunchId> {
        *self.claims_to(index)?.last_key_value()?.1
    }

    /// By which of the claims to its task's block a launch had that; `None` where it made none.
    pub fn generation(&self, index: u64, by: LaunchId) -> Option<u32> {
        let claims = self.claims_to(index)?;
        claims.iter().rev().find(|(_, other)| **other == Some(by)).map(|(generation, _)| *generation)
    }

    /// Whether a launch had its last claim to a task's block before another one had its first: what it recorded of the task
    /// does not count once that one took it back.
    pub fn is_before(&self, index: u64, launch: LaunchId, other: LaunchId) -> bool {
        let claims = self.claims_to(index).into_iter().flatten();
        let mut others = claims.filter(|(_, by)| **by == Some(other));
        let first = others.next().map(|(generation, _)| *generation);
        self.generation(index, launch).zip(first).is_some_and(|(last, first)| last < first)
    }

    /// The replicas that had the block of a task, oldest first; `None` if none is known.
    pub fn replicas_of(&self, index: u64) -> Option<Vec<u32>> {
        let mut in_order: Vec<u32> = Vec::new();
        for by in self.claims_to(index).filter(|_| self.is_whole)?.values().flatten() {
            if !in_order.contains(&by.replica) {
                in_order.push(by.replica);
            }
        }
        Some(in_order)
    }

    /// The replica from which a replica took over the block of a task; `None` if it was the first to have it, or never had it.
    pub fn taken_over_from(&self, index: u64, by: u32) -> Option<u32> {
        let mut before = None;
        for claim in self.claims_to(index)?.values().flatten() {
            if claim.replica == by {
                return before;
            }
            before = Some(claim.replica);
        }
        None
    }

    fn claims_to(&self, index: u64) -> Option<&BTreeMap<u32, Option<LaunchId>>> {
        self.claims.get(&self.blocks.block_of(index)?)
    }
}

/// The replicas that claimed a block.
fn replicas(claims: &BTreeMap<u32, Option<LaunchId>>) -> BTreeSet<u32> {
    claims.values().flatten().map(|by| by.replica).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::{BTreeMap, BTreeSet, BlockClaimants, Blocks, LaunchId};
    use crate::model::shares::Strategy;

    #[test]
    fn of_two_launches_that_had_a_block_the_claims_tell_which_was_before() {
        let launch = |replica, launch| LaunchId { replica, launch };
        let (first, second, other) = (launch(1, 1), launch(2, 1), launch(3, 1));
        let blocks = Blocks::new(Strategy::Even, 16, &[], NonZeroU32::MIN);
        let block = blocks.block_of(0).unwrap();
        let by = |claims: &[LaunchId]| (0..).zip(claims.iter().copied().map(Some)).collect();
        let mut claimants = BlockClaimants {
            claims: BTreeMap::from([(block, by(&[first, second]))]),
            entangled: BTreeSet::new(),
            is_whole: true,
            trouble: None,
            blocks,
        };
        assert!(claimants.is_before(0, first, second) && !claimants.is_before(0, second, first));
        assert!(!claimants.is_before(0, second, second) && !claimants.is_before(0, other, second));
        assert!(!claimants.is_before(0, first, other), "whoever never had it takes nothing back");
        assert!(!claimants.is_before(99, first, second));
        // Whoever had it again has what it recorded last from after that.
        claimants.claims.insert(block, by(&[first, second, first]));
        assert!(!claimants.is_before(0, first, second) && !claimants.is_before(0, second, first));
    }
}

//! How a replica of a run that shares its work stands before a launch begins.

use crate::journal::launches::launches_of;
use crate::journal::tail;
use crate::launch::balance::block_history::{by_chain, history};
use crate::launch::pending::{Pending, PreviousHolder};
use crate::launch::{Launcher, ShareStatus};
use crate::model::blocks::{Blocks, ClaimName};
use crate::model::counts::TaskCounts;
use crate::model::provenance::Process;
use crate::sharing::claims::ClaimsFolder;
use crate::sharing::ledger::{BlockLedger, BlockStanding};

impl Launcher<'_> {
    /// Whether a launch would find nothing to do in the whole run.
    ///
    /// # Errors
    /// When journals, claims or the results file can't be read.
    pub(in crate::launch) fn look_at_run(
        &self,
        blocks: &Blocks,
        me: &Process,
    ) -> anyhow::Result<ShareStatus> {
        let Some(last) = launches_of(self.layout, self.id())?.pop() else { return Ok(ShareStatus::Unread) };
        let Some(last_words) = tail::last_words(&self.layout.journal(self.id(), last))? else {
            return Ok(ShareStatus::Unread);
        };
        let Some(written) = last_words.results.filter(|_| last_words.run == self.run_id()) else {
            return Ok(ShareStatus::Unread);
        };
        let mut ledger = BlockLedger::new(self.layout, self.run_id(), blocks, me.clone());
        ledger.refresh()?;
        let is_ended = |block| matches!(ledger.standing(block), BlockStanding::Ended { .. });
        if !blocks.all().all(is_ended) {
            return Ok(ShareStatus::Unread);
        }
        let own = self.own_claims(&ledger);
        let Some(counts) = self.counts_if_done(blocks, own)? else { return Ok(ShareStatus::Unread) };
        let is_right = counts.ok == written.records && self.is_current(&written)?;
        Ok(if is_right { ShareStatus::Done(counts) } else { ShareStatus::Unread })
    }

    /// The standing claims that launches of this replica made.
    pub(super) fn own_claims(&self, ledger: &BlockLedger<'_>) -> Vec<ClaimName> {
        let id = self.id();
        let own = ledger.by_launch().into_iter().filter(|(by, _)| by.replica == id);
        own.flat_map(|(_, claims)| claims).collect()
    }

    /// How the tasks of these blocks stand, if none of them is to be run.
    fn counts_if_done(&self, blocks: &Blocks, claims: Vec<ClaimName>) -> anyhow::Result<Option<TaskCounts>> {
        let folder = ClaimsFolder::new(self.layout, self.run_id());
        let mut counts = Vec::new();
        for (chain, claims) in by_chain(&folder, claims)? {
            let history = history(self, blocks, &chain, &claims)?;
            for claim in claims {
                if !Pending::of_block(&history, claim.block, self.config.rerun, PreviousHolder::OwnReplica)
                    .is_empty()
                {
                    return Ok(None);
                }
            }
            counts.push(history.counts());
        }
        Ok(Some(counts.into_iter().sum()))
    }
}

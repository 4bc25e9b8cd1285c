//! The state of a replica before a launch begins, in a run that shares its work.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::journal::event::ResultsWritten;
use crate::journal::state::JournalState;
use crate::journal::tail;
use crate::launch::balance::block_history::{by_chain, history};
use crate::launch::balance::{Reach, Sharing};
use crate::launch::pending::{Pending, PreviousHolder};
use crate::launch::share_status::LaterLook;
use crate::launch::{Launcher, ShareStatus};
use crate::model::blocks::{BlockId, Blocks, ClaimName};
use crate::model::counts::TaskCounts;
use crate::products::look::ProductChanges;
use crate::sharing::claims::ClaimsFolder;
use crate::sharing::ledger::BlockLedger;

/// The maximum age of claim information for a replica that takes nothing from others: a launch that made claims since is running, or has
/// just ended.
const LISTED_LATELY: Duration = Duration::from_secs(10);

/// The state of the tasks of some blocks.
enum BlocksStatus {
    /// All have a record, and none must be run.
    Done(TaskCounts),
    /// All have a record, but some have products that are gone or changed, so they must be run again.
    ProductsGone(ProductChanges),
    /// Some must be run.
    Due,
}

/// What is known of the blocks that a replica has by its standing claims.
///
/// # Errors
/// When journals or claims can't be read.
pub(in crate::launch) fn history_of_claims(
    launcher: &Launcher<'_>,
    blocks: &Blocks,
    ledger: &BlockLedger<'_>,
) -> anyhow::Result<Vec<(JournalState, Vec<ClaimName>)>> {
    let folder = ClaimsFolder::new(launcher.layout, launcher.run_id());
    let chains = by_chain(&folder, launcher.own_claims(ledger))?;
    chains
        .into_iter()
        .map(|(chain, claims)| Ok((history(launcher, blocks, &chain, &claims)?, claims)))
        .collect()
}

impl Launcher<'_> {
    /// Whether a launch would find nothing to do in its reach. What is known about claims is kept in `ledger`.
    ///
    /// # Errors
    /// When journals, claims or the results file can't be read.
    pub(in crate::launch) fn look_at_run(
        &self,
        Sharing { blocks, reach }: Sharing<'_>,
        ledger: &mut BlockLedger<'_>,
    ) -> anyhow::Result<ShareStatus> {
        let Some(last) = self.launches()?.pop() else {
            // Other launches may have run all of it.
            let is_done = self.is_reach_ended(blocks, reach, ledger) && self.own_claims(ledger).is_empty();
            return Ok(if is_done { ShareStatus::Done(TaskCounts::default()) } else { ShareStatus::Unread });
        };
        let last_words = tail::last_words(&self.layout.journal(self.id(), last))?;
        let written = last_words.filter(|words| words.run == self.run_id()).and_then(|words| words.results);
        let Some(written) = written else { return Ok(ShareStatus::Unread) };
        if !self.is_reach_ended(blocks, reach, ledger) {
            return Ok(ShareStatus::Unread);
        }
        let own = self.own_claims(ledger);
        let has_products = !self.list.header().products.is_empty();
        let in_results = if has_products { None } else { self.counts_if_all_in(blocks, &own, &written) };
        let counts = match in_results {
            Some(counts) => counts,
            None => match self.counts_if_done(blocks, own)? {
                BlocksStatus::Done(counts) => counts,
                BlocksStatus::ProductsGone(products) => {
                    return Ok(ShareStatus::ProductsGone(Box::new(LaterLook { after: last, products })));
                }
                BlocksStatus::Due => return Ok(ShareStatus::Unread),
            },
        };
        let is_right = counts.ok == written.records && self.is_current(&written)?;
        Ok(if is_right { ShareStatus::Done(counts) } else { ShareStatus::Unread })
    }

    /// Whether nothing is left to take in its reach. If storage gives an error, a launch finds out: a passing error
    /// must not keep a container from its work.
    fn is_reach_ended(&self, blocks: &Blocks, reach: Reach, ledger: &mut BlockLedger<'_>) -> bool {
        self.ask_reach(blocks, reach, ledger).unwrap_or_else(|error| {
            self.console.warn(&format!("can't read the claims of the run: {error}"));
            false
        })
    }

    fn ask_reach(&self, blocks: &Blocks, reach: Reach, ledger: &mut BlockLedger<'_>) -> io::Result<bool> {
        if !reach.has_others() {
            ledger.refresh_claims_older_than(LISTED_LATELY)?;
            return Ok(!blocks.of_share(self.id()).any(|block| ledger.is_free(block)));
        }
        // Most replicas find at once that the last blocks are free.
        let last = blocks.depth().saturating_sub(1);
        ledger.refresh_round(last)?;
        if !ledger.is_full(last) {
            return Ok(false);
        }
        ledger.refresh()?;
        Ok(ledger.is_all_ended())
    }

    /// How the tasks of these blocks stand, if the records of all of them are in the results file and no others: then there is
    /// nothing that only the journals can tell.
    fn counts_if_all_in(
        &self,
        blocks: &Blocks,
        claims: &[ClaimName],
        written: &ResultsWritten,
    ) -> Option<TaskCounts> {
        let own: BTreeSet<BlockId> = claims.iter().map(|claim| claim.block).collect();
        let files: u64 = own.iter().filter_map(|block| blocks.indices(*block)).map(|share| share.len()).sum();
        let tasks =
            written.tasks_within(&self.list.header().indices()).filter(|_| files == written.records)?;
        let are_own =
            tasks.iter().all(|index| blocks.block_of(index).is_some_and(|block| own.contains(&block)));
        let without_result = written.without_result;
        are_own.then(|| TaskCounts { files, ok: files, without_result, ..TaskCounts::default() })
    }

    /// The standing claims that launches of this replica made.
    pub(super) fn own_claims(&self, ledger: &BlockLedger<'_>) -> Vec<ClaimName> {
        let id = self.id();
        let own = ledger.by_launch().into_iter().filter(|(by, _)| by.replica == id);
        own.flat_map(|(_, claims)| claims).collect()
    }

    /// Whether any task of these blocks must be run.
    fn counts_if_done(&self, blocks: &Blocks, claims: Vec<ClaimName>) -> anyhow::Result<BlocksStatus> {
        let folder = ClaimsFolder::new(self.layout, self.run_id());
        let mut histories = Vec::new();
        for (chain, claims) in by_chain(&folder, claims)? {
            let history = history(self, blocks, &chain, &claims)?;
            for claim in claims {
                if !Pending::of_block(&history, claim.block, self.due_rule(), PreviousHolder::OwnReplica)
                    .is_empty()
                {
                    return Ok(BlocksStatus::Due);
                }
            }
            histories.push(history);
        }
        let products = self.look_at_products(&histories)?;
        if !self.due_again(&products).is_empty() {
            return Ok(BlocksStatus::ProductsGone(products));
        }
        self.say_changes(&products);
        Ok(BlocksStatus::Done(histories.iter().map(JournalState::counts).sum()))
    }
}

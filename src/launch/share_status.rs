//! The status of a share before a launch begins.

use anyhow::Context;

use crate::journal::event::ResultsWritten;
use crate::journal::state::JournalState;
use crate::journal::tail;
use crate::launch::due_again::take_back_what_is_gone;
use crate::launch::{Launcher, Pending, Sharing};
use crate::liveness::takeover::or_moved_away;
use crate::model::counts::TaskCounts;
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::model::shares::Share;
use crate::products::look::ProductChanges;
use crate::record::results;
use crate::sharing::ledger::BlockLedger;

/// The result of checking a share before a launch begins.
#[derive(Debug)]
pub enum ShareStatus {
    /// Nothing is left to do.
    Done(TaskCounts),
    /// Something is, after launches that all ended.
    Left(Box<LeftShare>),
    /// Products of what is done are, and the run shares its work, so that only this is kept of what was read.
    ProductsGone(Box<LaterLook>),
    /// There was none, or the last one left no stop record.
    Unread,
}

/// The state of the products of all finished tasks of a replica.
#[derive(Debug)]
pub struct LaterLook {
    /// By the end of its launch of this number.
    pub(super) after: u32,
    pub(super) products: ProductChanges,
}

/// What is left of a share.
#[derive(Debug)]
pub struct LeftShare {
    /// The state from earlier launches. Tasks that must be run again count as not run.
    pub(super) history: JournalState,
    /// The state of the products of finished tasks.
    pub(super) products: ProductChanges,
}

impl ShareStatus {
    /// What was read, if that is all that there is before the journal of `launch`: it is long, and is not read again.
    pub(super) fn until(self, launch: u32) -> Option<LeftShare> {
        let Self::Left(left) = self else { return None };
        let last = left.history.launches.last()?;
        let is_all = last.stop.is_some() && last.number.checked_add(1) == Some(launch);
        is_all.then_some(*left)
    }

    /// How products were found, if no other launch can have made any before the one of this number.
    pub(super) fn products_until(self, launch: u32) -> Option<ProductChanges> {
        let Self::ProductsGone(look) = self else { return None };
        (look.after.checked_add(1) == Some(launch)).then_some(look.products)
    }
}

impl Launcher<'_> {
    /// Whether nothing is left to do of a share and its results file is as it should be.
    ///
    /// # Errors
    /// When journals or the results file can't be read.
    pub fn look(&self, share: &Share, me: &Process) -> anyhow::Result<ShareStatus> {
        let Some(sharing) = self.sharing else {
            return self.read_share(share).map_err(|error| or_moved_away(self.layout, self.run_id(), error));
        };
        let mut ledger = BlockLedger::new(self.layout, self.run_id(), sharing.blocks, me.clone());
        self.look_by(&mut ledger, sharing)
    }

    /// The same of a replica of a run that shares its work, by a ledger that is kept for several of them.
    ///
    /// # Errors
    /// As for [`Self::look`], and when claims can't be read.
    pub fn look_by(&self, ledger: &mut BlockLedger<'_>, sharing: Sharing<'_>) -> anyhow::Result<ShareStatus> {
        let looked = self.look_at_run(sharing, ledger);
        looked.map_err(|error| or_moved_away(self.layout, self.run_id(), error))
    }

    fn read_share(&self, share: &Share) -> anyhow::Result<ShareStatus> {
        let launches = self.launches()?;
        let Some(last) = launches.last() else { return Ok(ShareStatus::Unread) };
        let journal = self.layout.journal(self.id(), *last);
        let Some(last_words) = tail::last_words(&journal)? else { return Ok(ShareStatus::Unread) };
        // Where all records are in the results file, there is nothing that only the journals can tell, but of products.
        let has_products = !self.list.header().products.is_empty();
        let promised = last_words.results.filter(|_| last_words.run == self.run_id() && !has_products);
        if let Some(promised) =
            promised.filter(|promised| promised.if_all_of(share, &self.list.header().indices()).is_some())
            && self.is_current(&promised)?
        {
            let (files, without_result) = (share.len(), promised.without_result);
            let counts = TaskCounts { files, ok: files, without_result, ..TaskCounts::default() };
            return Ok(ShareStatus::Done(counts));
        }
        let left = self.read_left(share, &launches, true)?;
        let history = &left.history;
        let is_done = Pending::of(history, self.due_rule()).is_empty();
        let promised = history.current_results().filter(|_| is_done);
        match promised.map(|promised| self.is_current(promised)).transpose()? {
            Some(true) => {
                self.say_changes(&left.products);
                Ok(ShareStatus::Done(history.counts()))
            }
            Some(false) | None => Ok(ShareStatus::Left(Box::new(left))),
        }
    }

    /// Reads what earlier launches left of a share, the last of which may live, and looks at what they made.
    pub(super) fn read_left(
        &self,
        share: &Share,
        launches: &[u32],
        lives: bool,
    ) -> anyhow::Result<LeftShare> {
        let (run, replica) = (self.list.header().run_ref(), self.id());
        let launches: Vec<LaunchId> =
            launches.iter().map(|launch| LaunchId { replica, launch: *launch }).collect();
        let mut history = JournalState::read_launches(
            self.layout,
            &run,
            &launches,
            share.clone(),
            lives,
            &mut |_, _, _| {},
        )?;
        let products =
            take_back_what_is_gone(self.config, self.due_rule(), self.list, self.stop, &mut history)?;
        Ok(LeftShare { history, products })
    }

    pub(super) fn is_current(&self, promised: &ResultsWritten) -> anyhow::Result<bool> {
        results::matches_digest(self.layout, self.id(), promised)
            .with_context(|| format!("can't read {}", self.layout.results(self.id()).display()))
    }
}

//! The products of the tasks, from the records that count.

use std::path::Path;

use crate::merge::index::{MergeIndex, TaskRanks};
use crate::merge::input::MergeDirectory;
use crate::model::outcome::Status;
use crate::model::product::{MadeProducts, Product, ProductTotals};
use crate::record::inputs::InputList;
use crate::record::task_record;
use crate::threads::CpuPool;

/// An ok task with the record that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeByTask {
    /// Its index in the list, where it is known.
    pub index: Option<u64>,
    /// What it made.
    pub products: Vec<Product>,
}

/// How the entries of one directory's list stand, those left out of which another directory has the record that counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListStanding {
    /// Ok ones.
    pub ok: u64,
    /// Failed ones.
    pub failed: u64,
    /// Those without a record.
    pub missing: u64,
}

impl MergeDirectory {
    /// Its run's list, if it has one.
    pub fn list(&self) -> Option<&InputList> {
        self.list.as_ref()
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// Whether its tasks may have made products: without a list that is unknown.
    pub(super) fn may_have_products(&self) -> bool {
        self.list.as_ref().is_none_or(|list| !list.header().products.is_empty())
    }
}

impl MergeIndex {
    /// The directories, in the order given.
    pub fn directories(&self) -> &[MergeDirectory] {
        &self.directories
    }

    /// Gives what the tasks of a directory made to `take`, by replica, in list order; nothing of tasks that failed.
    ///
    /// # Errors
    /// When a record can't be read, and those of `take`.
    pub fn each_made(
        &self,
        number: usize,
        take: &mut dyn FnMut(MadeByTask) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let directory = &self.directories[number];
        let parts = if directory.may_have_products() { directory.parts.len() } else { 0 };
        for part_number in (0..parts).filter(|part| !self.left_out[number].contains(part)) {
            self.winners(number, part_number, &mut |record| {
                if record.status != Status::Ok {
                    return Ok(());
                }
                let products = task_record::products_in(record.record);
                if products.is_empty() {
                    return Ok(());
                }
                take(MadeByTask { index: record.task.as_ref().map(|task| task.index), products })
            })?;
        }
        Ok(())
    }

    /// The products of all tasks with a record that counts, in runs that declared products.
    ///
    /// # Errors
    /// When a record can't be read.
    pub(super) fn count_products(&self) -> anyhow::Result<ProductTotals> {
        let has_products = |number: &usize| {
            self.directories[*number].may_have_products() && self.directories[*number].list.is_some()
        };
        let parts = (0..self.directories.len()).filter(has_products).flat_map(|number| {
            let parts = 0..self.directories[number].parts.len();
            parts.filter(move |part| !self.left_out[number].contains(part)).map(move |part| (number, part))
        });
        let counted = CpuPool::gather().map(parts.collect(), |(number, part)| {
            let mut totals = ProductTotals::default();
            self.winners(number, part, &mut |record| {
                if record.status == Status::Ok {
                    let made = MadeProducts::of(&task_record::products_in(record.record)).unwrap_or_default();
                    totals.change(MadeProducts::default(), made);
                }
                Ok(())
            })?;
            anyhow::Ok(totals)
        });
        counted.into_iter().sum()
    }

    /// The counts of the entries of a directory's list.
    pub fn standing_of(&self, number: usize) -> ListStanding {
        let none = TaskRanks::default();
        let tasks = self.own_tasks(number).unwrap_or(&none);
        let (ok, failed) = tasks.counts();
        let known = ok + failed + tasks.superseded.count();
        let count = self.directories[number].list().map_or(0, |list| list.header().count);
        ListStanding { ok, failed, missing: count.saturating_sub(known) }
    }
}

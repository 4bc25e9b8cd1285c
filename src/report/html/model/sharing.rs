//! How the files of a run moved from one replica to another, if replicas share their work.

use std::collections::BTreeMap;

use crate::report::html::model::task::{TaskHistory, TaskStanding};
use crate::sharing::claimants::BlockClaimants;

/// From where a replica had a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskSource {
    /// It belongs to the replica's own share.
    #[default]
    OwnShare,
    /// It is of this replica's share, and no other one had begun its block.
    OtherShare(u32),
    /// This replica had its block before.
    TakenOver(u32),
}

/// Files that a replica recorded in the place of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takeover {
    /// The replica that had them first.
    pub from: u32,
    /// The replica that took over.
    pub to: u32,
    /// Tasks that it recorded.
    pub files: u64,
}

/// Which replica had what.
#[derive(Debug)]
pub struct SharedWork {
    pub(super) claimants: BlockClaimants,
}

impl SharedWork {
    /// The share that a task belongs to.
    pub fn share_of(&self, index: u64) -> u32 {
        self.claimants.blocks().block_of(index).map_or(0, |block| block.share)
    }

    /// From where a replica had a task that it ran.
    pub fn source(&self, index: u64, by: u32) -> TaskSource {
        match (self.claimants.taken_over_from(index, by), self.share_of(index)) {
            (Some(from), _) => TaskSource::TakenOver(from),
            (None, share) if share == by => TaskSource::OwnShare,
            (None, share) => TaskSource::OtherShare(share),
        }
    }

    /// The replica that has a task without a record: the one that claimed it last, else the replica of its share.
    pub(super) fn holder(&self, index: u64) -> u32 {
        self.claimants.holder(index).map_or_else(|| self.share_of(index), |by| by.replica)
    }

    /// Which replica took over how many files from which, the most files first. The first of `tasks` has the index
    /// `first_index`.
    pub fn takeovers(&self, first_index: u64, tasks: &[TaskHistory]) -> Vec<Takeover> {
        let mut files: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for (index, task) in (first_index..).zip(tasks) {
            let is_recorded = matches!(task.state, TaskStanding::Ok | TaskStanding::Failed);
            if let TaskSource::TakenOver(from) = self.source(index, task.replica)
                && is_recorded
            {
                *files.entry((from, task.replica)).or_default() += 1;
            }
        }
        let mut takeovers: Vec<Takeover> =
            files.into_iter().map(|((from, to), files)| Takeover { from, to, files }).collect();
        takeovers.sort_by_key(|takeover| std::cmp::Reverse(takeover.files));
        takeovers
    }
}

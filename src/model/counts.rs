//! How many tasks are in which state: the one set of counts that journals keep and status, merge and reports show.

use serde::{Deserialize, Serialize};

use crate::model::outcome::Status;
use crate::model::product::ProductTotals;

/// The counts of tasks, according to their newest records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskCounts {
    /// How many there are.
    pub files: u64,
    /// Those with an ok record.
    pub ok: u64,
    /// Failed or lost tasks.
    pub failed: u64,
    /// Of the failed ones, those that were lost: their container died while they ran in it alone. Not
    /// written: a failure that is run again does not say whether it was one.
    #[serde(skip)]
    pub lost: u64,
    /// Of the ok ones, those without a result, although one was expected.
    pub without_result: u64,
    /// What the ok ones made.
    #[serde(skip_serializing_if = "ProductTotals::is_empty")]
    pub products: ProductTotals,
}

/// What is known of a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskState {
    /// It has not ended.
    #[default]
    Unfinished,
    /// It has an ok record.
    Ok,
    /// It has the record of a failure.
    Failed,
    /// The container died while it ran alone. A later launch writes the record of that.
    Lost,
}

impl TaskState {
    /// The content of its record; `None` if there is nothing to record.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Unfinished => None,
            Self::Ok => Some(Status::Ok),
            Self::Failed | Self::Lost => Some(Status::Failed),
        }
    }
}

impl TaskCounts {
    /// Those without a record.
    pub fn unfinished(&self) -> u64 {
        self.files.saturating_sub(self.ok).saturating_sub(self.failed)
    }

    /// Counts a task that was `before` and is `now`.
    pub fn change(&mut self, before: TaskState, now: TaskState) {
        let changed = |count: u64, is: fn(TaskState) -> bool| {
            (count + u64::from(is(now))).saturating_sub(u64::from(is(before)))
        };
        self.ok = changed(self.ok, |state| state == TaskState::Ok);
        self.failed = changed(self.failed, |state| state.status() == Some(Status::Failed));
        self.lost = changed(self.lost, |state| state == TaskState::Lost);
    }
}

impl std::iter::Sum for TaskCounts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            files: sum.files + one.files,
            ok: sum.ok + one.ok,
            failed: sum.failed + one.failed,
            lost: sum.lost + one.lost,
            without_result: sum.without_result + one.without_result,
            products: [sum.products, one.products].into_iter().sum(),
        })
    }
}

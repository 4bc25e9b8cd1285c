//! How many tasks stand how: the one count that journals keep and status, merge and reports show.

use serde::{Deserialize, Serialize};

use crate::model::outcome::Status;

/// How tasks stand, by their newest records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskCounts {
    /// How many there are.
    pub files: u64,
    /// Those with an ok record.
    pub ok: u64,
    /// Those that failed, or were lost.
    pub failed: u64,
    /// Of the failed ones, those that were lost: their container died while they ran in it alone.
    pub lost: u64,
    /// Of the ok ones, those without a result, although one was expected.
    pub without_result: u64,
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
    /// What a record of it says; `None` where there is nothing to record.
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
        self.of(before, |count| *count = count.saturating_sub(1));
        self.of(now, |count| *count += 1);
    }

    fn of(&mut self, state: TaskState, apply: impl Fn(&mut u64)) {
        match state {
            TaskState::Unfinished => {}
            TaskState::Ok => apply(&mut self.ok),
            TaskState::Failed => apply(&mut self.failed),
            TaskState::Lost => {
                apply(&mut self.failed);
                apply(&mut self.lost);
            }
        }
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
        })
    }
}

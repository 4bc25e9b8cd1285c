//! How many tasks fit into memory at once: a pure function of the measurements.

use crate::host::limits::JobsRule;
use crate::model::quarantine::share_of_memory;

/// A launch without any measurements begins with this many at once.
const AT_FIRST: u64 = 2;

/// What does not change during a launch.
#[derive(Debug, Clone, Copy)]
pub struct MemoryBudget {
    /// Bytes that may be used.
    pub limit: u64,
    /// At most this many at once.
    pub jobs: usize,
    /// Whether that is measured.
    pub rule: JobsRule,
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// Bytes in use in the container.
    pub(super) in_use: u64,
    /// The part of these bytes that tasks use.
    pub(super) tasks: u64,
    /// Tasks that ended.
    pub(super) ended: u64,
    /// The most bytes that one of them, or of those running, had; 0 if that is not known.
    pub(super) largest: u64,
    /// Whether memory ran out under a task, or a container died.
    pub(super) is_careful: bool,
}

impl MemoryBudget {
    /// How many may run at once, at least 1.
    pub(super) fn at_once(&self, now: Measured) -> usize {
        let share = share_of_memory(self.limit);
        if now.in_use >= share {
            // Nothing more begins, unless nothing runs: what is in use then goes with no task.
            return 1;
        }
        let others = now.in_use.saturating_sub(now.tasks);
        let allowed = match self.rule {
            JobsRule::Measured => {
                fitting(share.saturating_sub(others), now.largest).min(AT_FIRST.saturating_add(now.ended))
            }
            JobsRule::Fixed if now.is_careful => fitting(share, now.largest),
            JobsRule::Fixed => u64::MAX,
        };
        usize::try_from(allowed).unwrap_or(self.jobs).clamp(1, self.jobs.max(1))
    }
}

/// How many of a size fit; any number of what has none.
pub fn fitting(room: u64, each: u64) -> u64 {
    room.checked_div(each).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Measured, MemoryBudget};
    use crate::host::limits::JobsRule::{Fixed, Measured as Grows};

    const NOTHING: Measured = Measured { in_use: 0, tasks: 0, ended: 0, largest: 0, is_careful: false };

    #[test]
    fn measured_jobs_begin_with_two_and_grow_as_far_as_memory_and_the_quota_allow() {
        let budget = MemoryBudget { limit: 1000, jobs: 8, rule: Grows };
        for (ended, largest, in_use, tasks, at_once) in [
            (0, 0, 0, 0, 2),
            (1, 0, 0, 0, 3),
            (1, 100, 200, 200, 3),
            (5, 100, 200, 200, 7),
            (90, 100, 200, 200, 8),
            (90, 150, 300, 300, 5),
            // What others than tasks use is not theirs.
            (90, 150, 300, 100, 4),
            (90, 10, 799, 799, 8),
            (90, 10, 800, 10, 1),
            (90, 900, 400, 400, 1),
            (90, 10, 790, 0, 1),
        ] {
            let now = Measured { in_use, tasks, ended, largest, ..NOTHING };
            assert_eq!(budget.at_once(now), at_once, "{now:?}");
        }
    }

    #[test]
    fn a_number_is_taken_literally_until_memory_ran_out_under_it() {
        let budget = MemoryBudget { limit: 1000, jobs: 8, rule: Fixed };
        let tasks = Measured { in_use: 300, ended: 9, largest: 300, ..NOTHING };
        assert_eq!(budget.at_once(tasks), 8);
        assert_eq!(budget.at_once(Measured { is_careful: true, ..tasks }), 2);
        assert_eq!(budget.at_once(Measured { is_careful: true, ..NOTHING }), 8);
        assert_eq!(budget.at_once(Measured { in_use: 800, ..tasks }), 1);
    }
}

//! Which tasks `resume --only` names: by how they stand, by why they failed, or one by one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;

use crate::model::counts::TaskState;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Cause;

/// How a task stands, as `--only` tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKind {
    /// It has no record.
    Missing,
    /// It failed, for whatever cause.
    Failed,
    /// It died alone with its container.
    Lost,
    /// It failed for this cause.
    FailedBy(Cause),
}

impl TaskKind {
    /// All that have a name.
    pub const NAMED: [Self; 10] = [
        Self::Failed,
        Self::Lost,
        Self::Missing,
        Self::FailedBy(Cause::Timeout),
        Self::FailedBy(Cause::Oom),
        Self::FailedBy(Cause::Exit),
        Self::FailedBy(Cause::Signal),
        Self::FailedBy(Cause::Spawn),
        Self::FailedBy(Cause::Result),
        Self::FailedBy(Cause::Product),
    ];

    fn has(self, state: TaskState, cause: Option<Cause>) -> bool {
        match self {
            Self::Missing => state == TaskState::Unfinished,
            Self::Failed => state == TaskState::Failed,
            Self::Lost => state == TaskState::Lost,
            Self::FailedBy(named) => state == TaskState::Failed && cause == Some(named),
        }
    }
}

/// The word for it on the command line.
impl fmt::Display for TaskKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => out.write_str("missing"),
            Self::Failed => out.write_str("failed"),
            Self::Lost => out.write_str("lost"),
            Self::FailedBy(cause) => cause.fmt(out),
        }
    }
}

/// The value of `--only`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnlyList {
    /// Words for how tasks stand.
    pub kinds: BTreeSet<TaskKind>,
    /// Indices, paths and base names, as they were typed.
    pub names: Vec<OsString>,
}

/// Tasks to run again, and no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskSelection {
    /// Those that stand so.
    pub kinds: BTreeSet<TaskKind>,
    /// Those that are named one by one, by their indices: they run although they are ok.
    pub named: BTreeSet<u64>,
    /// Launches of this very try that were cut short: what is ok by them need not run once more.
    pub this_try: BTreeSet<LaunchId>,
}

impl TaskSelection {
    /// Whether a task is to run that stands so, by a record that a launch made.
    pub fn has(&self, index: u64, state: TaskState, cause: Option<Cause>, made_by: LaunchId) -> bool {
        let is_done = || state == TaskState::Ok && self.this_try.contains(&made_by);
        self.kinds.iter().any(|kind| kind.has(state, cause)) || (self.named.contains(&index) && !is_done())
    }
}

/// How many tasks stand how, and why the failed ones did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindCounts {
    ok: u64,
    missing: u64,
    lost: u64,
    failed: std::collections::BTreeMap<Option<Cause>, u64>,
}

impl KindCounts {
    /// Counts one more.
    pub fn add(&mut self, state: TaskState, cause: Option<Cause>) {
        match state {
            TaskState::Unfinished => self.missing += 1,
            TaskState::Ok => self.ok += 1,
            TaskState::Lost => self.lost += 1,
            TaskState::Failed => *self.failed.entry(cause).or_default() += 1,
        }
    }

    /// Counts those of others, too.
    pub fn join(&mut self, others: &Self) {
        self.ok += others.ok;
        self.missing += others.missing;
        self.lost += others.lost;
        for (cause, count) in &others.failed {
            *self.failed.entry(*cause).or_default() += count;
        }
    }
}

/// Such as `38 ok, 3 failed (2 timeout, 1 exit), 4 missing`.
impl fmt::Display for KindCounts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ok", self.ok)?;
        let failed: u64 = self.failed.values().sum();
        if failed > 0 {
            let mut causes: Vec<(&Option<Cause>, &u64)> = self.failed.iter().collect();
            causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let cause = |cause: &Option<Cause>| cause.unwrap_or(Cause::Other).to_string();
            let causes: Vec<String> =
                causes.into_iter().map(|(why, count)| format!("{count} {}", cause(why))).collect();
            write!(out, ", {failed} failed ({})", causes.join(", "))?;
        }
        for (count, what) in [(self.lost, "lost"), (self.missing, "missing")] {
            if count > 0 {
                write!(out, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{KindCounts, TaskKind, TaskSelection};
    use crate::model::counts::TaskState;
    use crate::model::launch_id::LaunchId;
    use crate::model::outcome::Cause;

    const BY: LaunchId = LaunchId { replica: 1, launch: 2 };

    #[test]
    fn tasks_are_selected_by_how_they_stand_or_by_name_although_they_are_ok() {
        let selection = |kinds: &[TaskKind], named: &[u64]| TaskSelection {
            kinds: kinds.iter().copied().collect(),
            named: named.iter().copied().collect(),
            this_try: BTreeSet::new(),
        };
        let failed = (TaskState::Failed, Some(Cause::Timeout));
        let lost = (TaskState::Lost, Some(Cause::Lost));
        for (kinds, named, (state, cause), is_in) in [
            (&[TaskKind::Failed][..], &[][..], failed, true),
            (&[TaskKind::Failed], &[], lost, false),
            (&[TaskKind::Lost], &[], lost, true),
            (&[TaskKind::FailedBy(Cause::Timeout)], &[], failed, true),
            (&[TaskKind::FailedBy(Cause::Oom)], &[], failed, false),
            (&[TaskKind::Missing], &[], (TaskState::Unfinished, None), true),
            (&[TaskKind::Missing], &[], (TaskState::Ok, None), false),
            (&[], &[7], (TaskState::Ok, None), true),
            (&[], &[8], failed, false),
        ] {
            let selected = selection(kinds, named).has(7, state, cause, BY);
            assert_eq!(selected, is_in, "{kinds:?} {named:?} {state:?}");
        }
    }

    #[test]
    fn what_this_try_has_made_does_not_run_once_more() {
        let mut selection = TaskSelection { named: [7].into(), ..TaskSelection::default() };
        selection.this_try.insert(BY);
        assert!(!selection.has(7, TaskState::Ok, None, BY));
        assert!(selection.has(7, TaskState::Ok, None, LaunchId { launch: 1, ..BY }));
        assert!(selection.has(7, TaskState::Failed, Some(Cause::Exit), BY));
    }

    #[test]
    fn counts_are_told_with_causes() {
        let mut counts = KindCounts::default();
        for (state, cause) in [
            (TaskState::Ok, None),
            (TaskState::Failed, Some(Cause::Exit)),
            (TaskState::Failed, Some(Cause::Timeout)),
            (TaskState::Failed, Some(Cause::Timeout)),
            (TaskState::Unfinished, None),
        ] {
            counts.add(state, cause);
        }
        assert_eq!(counts.to_string(), "1 ok, 3 failed (2 timeout, 1 exit), 1 missing");
    }
}

//! What one replica did: its tasks, failures, launches and what was odd about its journals.

use crate::journal::records::Records;
use crate::journal::state::{JournalState, LastLaunch, TaskState};
use crate::model::entries::Entries;
use crate::model::shares::Share;
use crate::report::html::model::failures::OfReplica;
use crate::report::html::model::task::{RecordFacts, TaskHistory, TaskStanding, millis};
use crate::report::html::model::timeline::{self, AttemptSpan, AttemptSpanEnd, TimelineLaunch};
use crate::store::layout::Layout;
use crate::units;

/// What one replica did.
pub(super) struct ReplicaHistory {
    /// In the order of its share.
    pub(super) tasks: Vec<(u64, TaskHistory)>,
    pub(super) failures: OfReplica,
    pub(super) launches: Vec<TimelineLaunch>,
    pub(super) stretches: Vec<AttemptSpan>,
    pub(super) problems: Vec<String>,
}

/// Which replica is to be read.
pub(super) struct ReplicaReader<'a> {
    pub(super) layout: &'a Layout,
    pub(super) run: &'a str,
    pub(super) id: u32,
    pub(super) share: &'a Share,
    pub(super) entries: &'a Entries,
    pub(super) is_at_work: bool,
}

impl ReplicaReader<'_> {
    /// Reads it; what can't be read at all is a problem, and its tasks then count as missing.
    pub(super) fn tell(&self) -> ReplicaHistory {
        self.read().unwrap_or_else(|error| {
            let untouched = |index| (index, TaskHistory { replica: self.id, ..TaskHistory::default() });
            ReplicaHistory {
                tasks: self.share.iter().map(untouched).collect(),
                failures: OfReplica::default(),
                launches: Vec::new(),
                stretches: Vec::new(),
                problems: vec![format!("replica {} could not be read: {error:#}", self.id)],
            }
        })
    }

    fn read(&self) -> anyhow::Result<ReplicaHistory> {
        let last = LastLaunch::at_work(self.is_at_work);
        let history = JournalState::read(self.layout, self.run, self.id, self.share.clone(), last)?;
        let (launches, stretches) = timeline::launches(self.layout, self.run, self.id, self.is_at_work)?;
        let mut failures = OfReplica::default();
        let tasks = self.tasks(&history, &stretches, &mut failures)?;
        let problems = history.problems.iter().map(ToString::to_string).collect();
        Ok(ReplicaHistory { tasks, failures, launches, stretches, problems })
    }

    fn tasks(
        &self,
        history: &JournalState,
        stretches: &[AttemptSpan],
        failures: &mut OfReplica,
    ) -> anyhow::Result<Vec<(u64, TaskHistory)>> {
        let mut records = Records::new(self.layout.clone(), self.id);
        let mut tasks = Vec::with_capacity(usize::try_from(self.share.len())?);
        let running: Vec<u64> =
            stretches.iter().filter(|one| one.end == AttemptSpanEnd::Running).map(|one| one.index).collect();
        for (index, note) in history.tasks() {
            let meta = records.read(note)?.and_then(RecordFacts::of);
            let mut task = TaskHistory {
                state: match note.known {
                    TaskState::Ok => TaskStanding::Ok,
                    TaskState::Failed | TaskState::Lost => TaskStanding::Failed,
                    TaskState::Nothing if running.contains(&index) => TaskStanding::Running,
                    TaskState::Nothing => TaskStanding::Missing,
                },
                no_result: note.no_result,
                replica: self.id,
                launch: meta.as_ref().map_or(0, |meta| meta.launch),
                attempts: u32::from(note.attempts),
                begun_ms: meta.as_ref().and_then(|meta| millis(meta.started_at.as_deref()?)),
                ..TaskHistory::default()
            };
            // The record of one that was lost knows no times.
            task.usage = meta.as_ref().filter(|_| task.begun_ms.is_some()).map(|meta| meta.usage);
            if task.state == TaskStanding::Failed {
                let path = usize::try_from(index).ok().and_then(|at| self.entries.get(at));
                let path = path.map(|entry| units::path(entry.path)).unwrap_or_default();
                failures.add(index, &path, meta, self.id);
            }
            tasks.push((index, task));
        }
        Ok(tasks)
    }
}

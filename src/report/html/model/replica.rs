//! What one replica did: its tasks, failures, launches and problems with its journals.

use crate::journal::record_reader::Records;
use crate::journal::state::JournalState;
use crate::journal::task_states::TaskNote;
use crate::model::counts::TaskState;
use crate::model::entries::Entries;
use crate::model::shares::Share;
use crate::record::inputs::Header;
use crate::report::html::model::failures::FailuresWithExamples;
use crate::report::html::model::task::{RecordFacts, TaskHistory, TaskStanding, millis};
use crate::report::html::model::timeline::{AttemptSpan, AttemptSpanEnd, Timeline, TimelineLaunch};
use crate::store::layout::Layout;
use crate::units;

/// What one replica did.
pub(super) struct ReplicaHistory {
    /// In list order: the tasks of its share, and others in its journals.
    pub(super) tasks: Vec<(u64, TaskNote, TaskHistory)>,
    pub(super) failures: FailuresWithExamples,
    pub(super) launches: Vec<TimelineLaunch>,
    pub(super) spans: Vec<AttemptSpan>,
    /// Tasks with a product that a launch found missing, each time.
    pub(super) products_gone: u64,
    pub(super) problems: Vec<String>,
}

/// Which replica to read.
pub(super) struct ReplicaReader<'a> {
    pub(super) layout: &'a Layout,
    pub(super) header: &'a Header,
    pub(super) id: u32,
    pub(super) share: &'a Share,
    pub(super) entries: &'a Entries,
    pub(super) lives: bool,
}

impl ReplicaReader<'_> {
    /// Reads it; what can't be read at all is a problem, and its tasks then count as missing.
    pub(super) fn read_or_problem(&self) -> ReplicaHistory {
        self.read().unwrap_or_else(|error| {
            let untouched = TaskHistory { replica: self.id, ..TaskHistory::default() };
            ReplicaHistory {
                tasks: self.share.iter().map(|index| (index, TaskNote::default(), untouched)).collect(),
                failures: FailuresWithExamples::default(),
                launches: Vec::new(),
                spans: Vec::new(),
                products_gone: 0,
                problems: vec![format!("replica {} could not be read: {error:#}", self.id)],
            }
        })
    }

    fn read(&self) -> anyhow::Result<ReplicaHistory> {
        let mut timeline = Timeline::default();
        let state = JournalState::read_with(
            self.layout,
            &self.header.run_ref(),
            self.id,
            self.share.clone(),
            self.lives,
            &mut |launch, line, over| timeline.take(launch, line, over),
        )?;
        let (launches, spans) = timeline.finish(&state, self.lives);
        let mut failures = FailuresWithExamples::default();
        let tasks = self.tasks(&state, &spans, &mut failures)?;
        let problems = state.problems.iter().map(ToString::to_string).collect();
        let products_gone = state.launches.iter().map(|launch| launch.gone).sum();
        Ok(ReplicaHistory { tasks, failures, launches, spans, products_gone, problems })
    }

    fn tasks(
        &self,
        state: &JournalState,
        spans: &[AttemptSpan],
        failures: &mut FailuresWithExamples,
    ) -> anyhow::Result<Vec<(u64, TaskNote, TaskHistory)>> {
        let mut records = Records::new(self.layout.clone());
        let mut tasks = Vec::with_capacity(usize::try_from(self.share.len())?);
        let running: Vec<u64> =
            spans.iter().filter(|one| one.end == AttemptSpanEnd::Running).map(|one| one.index).collect();
        for (index, note) in state.tasks.all() {
            let meta = records.read(note)?.and_then(RecordFacts::of);
            let mut task = TaskHistory {
                state: match note.state {
                    TaskState::Ok => TaskStanding::Ok,
                    TaskState::Failed | TaskState::Lost => TaskStanding::Failed,
                    TaskState::Unfinished if running.contains(&index) => TaskStanding::Running,
                    TaskState::Unfinished => TaskStanding::Missing,
                },
                no_result: note.has_no_result(),
                replica: self.id,
                launch: meta.as_ref().map_or(0, |meta| meta.launch),
                // If replicas share their work, others may have tried it before.
                attempts: meta.as_ref().map_or(0, |meta| meta.attempts).max(u32::from(note.attempts)),
                products: meta.as_ref().map(RecordFacts::products).unwrap_or_default(),
                begun_ms: meta.as_ref().and_then(|meta| millis(meta.started_at.as_deref()?)),
                ..TaskHistory::default()
            };
            // The record of a lost task has no times.
            task.usage = meta.as_ref().filter(|_| task.begun_ms.is_some()).map(|meta| meta.usage);
            if task.state == TaskStanding::Failed {
                let path = self.header.place_of(index).and_then(|at| self.entries.get(at));
                let path = path.map(|entry| units::path(entry.path)).unwrap_or_default();
                task.kind = Some(failures.add(index, &path, meta, self.id));
            }
            tasks.push((index, note, task));
        }
        Ok(tasks)
    }
}

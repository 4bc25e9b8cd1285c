//! Reads a whole run: every replica, several at a time, and combines them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::discover::sizes_where_told;
use crate::journal::launch_state::LaunchEnd;
use crate::journal::launches::last_launches;
use crate::journal::task_states::TaskNote;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::probe::Prober;
use crate::model::counts::{TaskCounts, TaskState};
use crate::model::entries::Entries;
use crate::model::launch_id::LaunchId;
use crate::model::shares::Share;
use crate::products::declared::DeclaredProducts;
use crate::record::inputs::{Header, InputList};
use crate::report::html::model::failures::{FailureKind, FailuresWithExamples};
use crate::report::html::model::replica::{ReplicaHistory, ReplicaReader};
use crate::report::html::model::sharing::SharedWork;
use crate::report::html::model::task::{TaskHistory, TaskStanding};
use crate::report::html::model::timeline::{AttemptSpan, TimelineLaunch};
use crate::sharing::claimants::BlockClaimants;
use crate::store::layout::{Layout, ResultsName};
use crate::text::seen_from;
use crate::threads::CpuPool;
use crate::units;

/// Information that storage does not return within this time is left out.
const PATIENCE: Duration = Duration::from_secs(10);

/// What happened in a run.
#[derive(Debug)]
pub struct RunHistory {
    /// What the run is.
    pub header: Header,
    /// Its list.
    pub entries: Entries,
    /// The outcome of each entry.
    pub tasks: Vec<TaskHistory>,
    /// Kinds of failure, the most frequent first.
    pub kinds: Vec<FailureKind>,
    /// All launches, by replica, then by number.
    pub launches: Vec<TimelineLaunch>,
    /// All attempts, by replica, slot and time.
    pub spans: Vec<AttemptSpan>,
    /// Which replica had which blocks, if replicas share their work.
    pub shared: Option<SharedWork>,
    /// Tasks with a product that a launch found missing, each time.
    pub products_gone: u64,
    /// What was odd about the files of the run.
    pub problems: Vec<String>,
}

/// Reads a run.
///
/// # Errors
/// When the directory holds no run, or its list or a folder can't be read.
pub fn load(layout: &Layout, times: HeartbeatTimes) -> anyhow::Result<RunHistory> {
    let list = open(layout)?;
    let header = list.header().clone();
    let shares = list.shares()?;
    let entries = list.entries(&Share::Range(header.indices()))?;
    let last = last_launches(layout)?;
    let claimants = BlockClaimants::read(layout, &list)?;
    let prober = Prober::new(layout, times);
    let nothing = Share::Range(0..0);
    // Where work is shared, containers may have been added.
    let added = last.keys().filter(|id| claimants.is_some() && **id > header.replica_count);
    let replicas =
        (1..).zip(&shares).chain(added.map(|id| (*id, &nothing))).map(|(id, share)| ReplicaReader {
            layout,
            header: &header,
            id,
            share,
            entries: &entries,
            lives: last.get(&id).is_some_and(|last| prober.is_running(&layout.journal(id, *last))),
        });
    let told = CpuPool::gather().map(replicas.collect(), |replica| replica.read_or_problem());
    let tasks = vec![TaskHistory::default(); entries.len()];
    let shared = claimants.map(|claimants| SharedWork { claimants });
    let mut history = RunHistory {
        header,
        entries,
        tasks,
        kinds: Vec::new(),
        launches: Vec::new(),
        spans: Vec::new(),
        shared,
        products_gone: 0,
        problems: results_without_journals(layout, |id| last.contains_key(&id)),
    };
    history.take(told, layout);
    history.tell_sources();
    history.ask_for_sizes();
    Ok(history)
}

fn open(layout: &Layout) -> anyhow::Result<InputList> {
    let root = layout.root().display();
    match InputList::open(layout)? {
        Some(list) => Ok(list),
        None if !layout.root().is_dir() => {
            bail!("{root} is no directory: give the one that was given with --results-dir")
        }
        None => bail!(
            "{root} holds no run (inputs.jsonl), so there is nothing to report: a report needs the list and the journals that canfar-run writes. Is it the directory given with --results-dir?"
        ),
    }
}

/// Results that were copied here, or came from elsewhere: they have no times.
fn results_without_journals(layout: &Layout, has_journal: impl Fn(u32) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(layout.root()).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let is_alone = |name: &std::ffi::OsString| match ResultsName::parse(name) {
        Some(ResultsName::Id(id)) => u32::try_from(id).map_or(true, |id| !has_journal(id)),
        Some(ResultsName::Other(_)) => true,
        None => false,
    };
    let mut alone: Vec<String> = names.filter(is_alone).map(units::path).collect();
    alone.sort();
    alone
        .into_iter()
        .map(|name| format!("{name} is not shown here: it has no journal (merge does include its records)"))
        .collect()
}

/// Of what several replicas tell of a task, that of the highest rank is shown: ok before failed, then that something runs; where
/// replicas share their work then by the highest claim to its block, else the newest.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct TaskRank {
    is_ok: bool,
    is_known: bool,
    is_running: bool,
    generation: Option<u32>,
    launch: u32,
    replica: u32,
}

impl TaskRank {
    fn of(index: u64, note: &TaskNote, task: &TaskHistory, shared: Option<&SharedWork>) -> Self {
        let (replica, launch) = note.made_by();
        let generation =
            |shared: &SharedWork| shared.claimants.generation(index, LaunchId { replica, launch });
        Self {
            is_ok: note.state == TaskState::Ok,
            is_known: note.state != TaskState::Unfinished,
            is_running: task.state == TaskStanding::Running,
            generation: shared.and_then(generation),
            launch,
            replica,
        }
    }
}

impl RunHistory {
    fn take(&mut self, told: Vec<ReplicaHistory>, layout: &Layout) {
        // Which replica's state of a task is shown, if several have one.
        let mut shown = vec![TaskRank::default(); self.tasks.len()];
        let mut failures = FailuresWithExamples::default();
        for of_one in told {
            let kinds = failures.absorb(of_one.failures);
            for (index, note, mut task) in of_one.tasks {
                let place = self.header.place_of(index).unwrap_or(usize::MAX);
                let rank = TaskRank::of(index, &note, &task, self.shared.as_ref());
                let Some(best) = shown.get_mut(place).filter(|best| rank >= **best) else { continue };
                task.kind = task.kind.and_then(|kind| kinds.get(kind as usize).copied());
                (*best, self.tasks[place]) = (rank, task);
            }
            self.launches.extend(of_one.launches);
            self.spans.extend(of_one.spans);
            self.products_gone += of_one.products_gone;
            self.problems.extend(of_one.problems);
        }
        self.kinds = failures.into_kinds(&mut self.tasks, &self.header, layout);
        self.spans.sort_by_key(|one| (one.replica, one.slot, one.begun_ms));
    }

    /// If replicas share their work, says which replica has a task.
    fn tell_sources(&mut self) {
        let Some(shared) = &self.shared else { return };
        self.problems.extend(shared.claimants.trouble.clone());
        for (index, task) in (self.header.first_index..).zip(&mut self.tasks) {
            if task.state == TaskStanding::Missing {
                task.replica = shared.holder(index);
            }
        }
        self.spans.iter_mut().for_each(|span| span.source = shared.source(span.index, span.replica));
    }

    /// Storage that is slow, or gone, costs a chart and no more.
    fn ask_for_sizes(&mut self) {
        let begun = Instant::now();
        let (mut places, mut paths) = (Vec::new(), Vec::new());
        // A list that does not say where it was begun has no relative entry that is a file.
        let folder = self.header.begun_in().unwrap_or(Path::new("/"));
        for (place, (task, entry)) in self.tasks.iter_mut().zip(self.entries.iter()).enumerate() {
            task.size = entry.size;
            if task.usage.is_some() && entry.size.is_none() {
                places.push(place);
                paths.push(seen_from(folder, entry.path));
            }
        }
        let asked = sizes_where_told(&paths, &|| begun.elapsed() < PATIENCE).unwrap_or_default();
        places.into_iter().zip(asked).for_each(|(place, size)| self.tasks[place].size = size);
    }

    /// The counts of tasks.
    pub fn counts(&self) -> TaskCounts {
        let mut counts = TaskCounts { files: self.tasks.len() as u64, ..TaskCounts::default() };
        for task in &self.tasks {
            counts.ok += u64::from(task.state == TaskStanding::Ok);
            counts.failed += u64::from(task.state == TaskStanding::Failed);
            counts.without_result += u64::from(task.no_result);
        }
        counts.products = self.tasks.iter().map(|task| task.products).sum();
        counts
    }

    /// The products that the tasks had to make, as far as known.
    pub fn declared_products(&self) -> Option<DeclaredProducts> {
        let Header { products, source, .. } = &self.header;
        let folder = self.header.begun_in().unwrap_or(Path::new("/"));
        DeclaredProducts::new(products, source, folder).ok().filter(|declared| !declared.is_empty())
    }

    /// How many tasks run.
    pub fn running(&self) -> u64 {
        self.tasks.iter().filter(|task| task.state == TaskStanding::Running).count() as u64
    }

    /// From the first launch's beginning to the last heartbeat, milliseconds since 1970; `None` before any launch.
    pub fn times(&self) -> Option<(i64, i64)> {
        let begun = self.launches.iter().map(|launch| launch.begun_ms).min()?;
        Some((begun, self.launches.iter().map(|launch| launch.last_ms).max()?.max(begun)))
    }

    /// Whether any replica is running.
    pub fn is_in_progress(&self) -> bool {
        self.launches.iter().any(|launch| launch.end == LaunchEnd::Running)
    }
}

//! The first pass: which tasks have a record, which records win, what is missing, which files can't be read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use crate::merge::columns::Columns;
use crate::merge::earlier::JoinedResults;
use crate::merge::input::{MergeDirectory, MergeInput, MergeInputKind};
use crate::merge::output::Format;
use crate::merge::proof::{BrokenFile, Proof};
use crate::merge::reading::{Checked, RecordTask, WithoutResult};
use crate::merge::resource_usage::{ResourceUsage, effort, record_origins};
use crate::merge::sparse_bit_set::SparseBitSet;
use crate::model::outcome::Status;
use crate::record::family::descendants;
use crate::threads::CpuPool;
use crate::units;

/// What is known of one run's tasks.
#[derive(Debug, Default)]
pub(super) struct TaskRanks {
    pub(super) ok: SparseBitSet,
    pub(super) failed: SparseBitSet,
    /// Tasks that are ok and have no result, although one was expected.
    without_result: SparseBitSet,
    /// More of these, not known which.
    more_without_result: u64,
    /// Tasks for which another directory has a better or newer record of the same file.
    pub(super) superseded: SparseBitSet,
    /// Tasks with several records, with the one that wins.
    contested: HashMap<u64, Option<Winner>>,
}

/// The best of several records.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Winner {
    rank: RecordRank,
    place: RecordPlace,
}

/// Of several records of a task counts the one of the highest rank: ok before failed; in a run that shares its work then by the
/// highest claim to its block; then the newest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RecordRank {
    is_ok: bool,
    generation: Option<u32>,
    launch: u32,
    started_at: Option<String>,
}

impl RecordRank {
    fn of(status: Status, task: &RecordTask<'_>, directory: &MergeDirectory) -> Self {
        let claimants = directory.claimants.as_ref().filter(|_| directory.run() == Some(&task.run));
        Self {
            is_ok: status == Status::Ok,
            generation: claimants.and_then(|claimants| claimants.generation(task.index, task.by)),
            launch: task.by.launch,
            started_at: task.started_at.as_deref().map(str::to_owned),
        }
    }
}

/// The position of a record: which input, and which record in it.
pub(super) type RecordPlace = (usize, u64);

/// All inputs of the merge, and what is known about them.
#[derive(Debug)]
pub struct MergeIndex {
    pub(super) directories: Vec<MergeDirectory>,
    /// For each directory, tasks by run id.
    pub(super) tasks: Vec<HashMap<String, TaskRanks>>,
    /// Parts that are left out, by directory.
    pub(super) left_out: Vec<HashSet<usize>>,
    /// Of all records that win, for a table.
    pub(super) columns: Option<Columns>,
    /// Results of earlier merges, elsewhere, that were joined from several directories.
    pub(super) other_joined_results: Vec<JoinedResults>,
    /// What was found.
    pub proof: Proof,
    /// What the launches used.
    pub effort: ResourceUsage,
}

/// Reads everything once.
///
/// # Errors
/// When something can't be read at all; files that are broken inside are part of the answer instead.
pub fn survey(directories: Vec<MergeDirectory>, format: Format) -> anyhow::Result<MergeIndex> {
    let mut survey = MergeIndex {
        tasks: directories.iter().map(|_| HashMap::new()).collect(),
        left_out: vec![HashSet::new(); directories.len()],
        columns: None,
        other_joined_results: Vec::new(),
        proof: Proof::default(),
        effort: effort(&directories),
        directories,
    };
    for number in 0..survey.directories.len() {
        survey.read(number)?;
        survey.settle_contests(number)?;
    }
    survey.compare_copies();
    survey.compare_lists()?;
    survey.find_missing()?;
    survey.conclude();
    survey.proof.counts.products = survey.count_products()?;
    let origins = record_origins(&survey.directories);
    survey.proof.command_files = origins.files;
    survey.proof.commands = origins.commands;
    if format.delimiter().is_some() {
        survey.columns = Some(survey.learn_columns()?);
    }
    Ok(survey)
}

impl TaskRanks {
    /// Notes a record.
    fn take(&mut self, index: u64, status: Status, proof: &mut Proof) {
        let (same, other) = match status {
            Status::Ok => (&mut self.ok, &self.failed),
            Status::Failed => (&mut self.failed, &self.ok),
        };
        let is_first = same.insert(index) && !other.contains(index);
        if !is_first {
            proof.repeated += 1;
            self.contested.insert(index, None);
        }
    }

    /// Whether every record that there is of these tasks is the one that counts.
    pub(super) fn is_settled(&self) -> bool {
        self.contested.is_empty() && self.superseded.count() == 0
    }

    /// How many have an ok record, and how many only that of a failure, those left out that another directory has.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.ok.count_without(&[&self.superseded]), self.failed.count_without(&[&self.ok, &self.superseded]))
    }

    /// How many of the ok ones have no result, those left out that another directory has.
    fn count_without_result(&self) -> u64 {
        self.without_result.count_without(&[&self.superseded]) + self.more_without_result
    }

    /// Whether the record at `place` is the one of its task.
    pub(super) fn wins(&self, index: u64, place: RecordPlace) -> bool {
        if self.superseded.contains(index) {
            return false;
        }
        match self.contested.get(&index) {
            Some(winner) => winner.as_ref().is_some_and(|winner| winner.place == place),
            None => self.rank(index) > 0,
        }
    }

    /// Ok before failed before none.
    pub(super) fn rank(&self, index: u64) -> u8 {
        if self.ok.contains(index) { 2 } else { u8::from(self.failed.contains(index)) }
    }

    /// The same, but of a task of which another directory has a better record there is none here.
    pub(super) fn standing(&self, index: u64) -> u8 {
        if self.superseded.contains(index) { 0 } else { self.rank(index) }
    }

    /// All tasks with a record, with their rank.
    pub(super) fn held(&self) -> impl Iterator<Item = (u64, u8)> + '_ {
        let only_failed = self.failed.iter().filter(|index| !self.ok.contains(*index));
        self.ok.iter().map(|index| (index, 2)).chain(only_failed.map(|index| (index, 1)))
    }
}

impl MergeIndex {
    fn read(&mut self, number: usize) -> anyhow::Result<()> {
        let checked =
            CpuPool::gather().map(self.directories[number].parts.iter().collect(), MergeInput::check);
        let mut files = Vec::new();
        for (part_number, checked) in checked.into_iter().enumerate() {
            match checked {
                Ok(checked) => {
                    self.take_known(number, part_number);
                    self.take_without_result(number, part_number)?;
                    files.push((part_number, checked));
                }
                Err(why) => {
                    let file = units::path(&self.directories[number].parts[part_number].name);
                    self.proof.broken.push(BrokenFile { file, why });
                    self.left_out[number].insert(part_number);
                }
            }
        }
        self.count_run_twice(number);
        files
            .into_iter()
            .try_for_each(|(part_number, checked)| self.take_records(number, part_number, checked))
    }

    /// In a run that shares its work, journals of several replicas have a record of a task only if each of them ran it.
    fn count_run_twice(&mut self, number: usize) {
        let Some(claimants) = &self.directories[number].claimants else { return };
        let twice = self.own_tasks(number).map_or(0, |tasks| tasks.contested.len() as u64);
        self.proof.problems.extend(claimants.trouble.clone());
        *self.proof.run_twice.get_or_insert(0) += twice;
    }

    /// What is known of a replica without reading its records.
    fn take_known(&mut self, number: usize, part_number: usize) {
        let directory = &self.directories[number];
        let part = &directory.parts[part_number];
        let Some(known) = part.known() else { return };
        let tasks = self.tasks[number].entry(directory.run().unwrap_or_default().to_owned()).or_default();
        known.for_each(|(index, status)| tasks.take(index, status, &mut self.proof));
        if let MergeInputKind::Journals { state, .. } = &part.kind {
            self.proof.problems.extend(state.problems.iter().map(ToString::to_string));
        }
    }

    /// Which tasks have no result. For a replica with only ok tasks the number is enough if no other directory has
    /// records of the same files.
    fn take_without_result(&mut self, number: usize, part_number: usize) -> anyhow::Result<()> {
        let is_only = self.directories.len() == 1;
        let directory = &self.directories[number];
        let part = &directory.parts[part_number];
        let Some((replica_id, share)) = part.replica().and_then(|id| Some((id, directory.share(id)?))) else {
            return Ok(());
        };
        let tasks = self.tasks[number].entry(directory.run().unwrap_or_default().to_owned()).or_default();
        let indices = match part.without_result() {
            WithoutResult::Tasks(indices) => indices,
            WithoutResult::Count(count) if is_only || count == 0 => {
                tasks.more_without_result += count;
                return Ok(());
            }
            WithoutResult::Count(_) => directory.state(replica_id, share)?.tasks.without_result().collect(),
        };
        indices.into_iter().for_each(|index| _ = tasks.without_result.insert(index));
        Ok(())
    }

    /// What only the records show: which tasks a file is about.
    fn take_records(&mut self, number: usize, part_number: usize, checked: Checked) -> anyhow::Result<()> {
        if checked != Checked::Tasks {
            self.proof.foreign += checked.foreign();
            return Ok(());
        }
        let directory = &self.directories[number];
        let listed = self.listed();
        directory.parts[part_number].each(directory, &mut |item| {
            match &item.task {
                None => self.proof.foreign += 1,
                Some(task) if is_admitted(directory, task, &listed) => {
                    take(task, item.status, &mut self.tasks[number], &mut self.proof);
                }
                Some(_) => self.proof.of_other_runs += 1,
            }
            Ok(())
        })
    }

    fn learn_columns(&self) -> anyhow::Result<Columns> {
        let mut columns = Columns::new();
        for (number, directory) in self.directories.iter().enumerate() {
            let parts = (0..directory.parts.len()).filter(|part| !self.left_out[number].contains(part));
            for part_number in parts {
                self.winners(number, part_number, &mut |item| {
                    if item.status == Status::Ok {
                        columns.learn(item.record);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(columns)
    }

    /// Finds the best of several records of a task, where there are any.
    fn settle_contests(&mut self, number: usize) -> anyhow::Result<()> {
        if self.tasks[number].values().all(|tasks| tasks.contested.is_empty()) {
            return Ok(());
        }
        let directory = &self.directories[number];
        for (part_number, part) in directory.parts.iter().enumerate() {
            if self.left_out[number].contains(&part_number) {
                continue;
            }
            let tasks = &mut self.tasks[number];
            let mut record = 0;
            part.each(directory, &mut |item| {
                let place = (part_number, record);
                record += 1;
                let Some(task) = &item.task else { return Ok(()) };
                if let Some(best) =
                    tasks.get_mut(&*task.run).and_then(|tasks| tasks.contested.get_mut(&task.index))
                {
                    let rank = RecordRank::of(item.status, task, directory);
                    if best.as_ref().is_none_or(|best| best.rank <= rank) {
                        *best = Some(Winner { rank, place });
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The tasks of the run in a directory, according to its list.
    pub(super) fn own_tasks(&self, number: usize) -> Option<&TaskRanks> {
        self.tasks[number].get(self.directories[number].run()?)
    }

    /// The indices of the lists, by their runs.
    fn listed(&self) -> HashMap<String, Range<u64>> {
        let lists = self.directories.iter().filter_map(|directory| directory.list.as_ref());
        lists.map(|list| (list.header().run.clone(), list.header().indices())).collect()
    }

    /// The numbers of the directories in the order in which their records are written: as given, but a run and those that
    /// continue it one after the other.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let list = |number: usize| self.directories[number].list.as_ref();
        let holder =
            |run: &str| (0..self.directories.len()).find(|other| self.directories[*other].run() == Some(run));
        let parent = |number: usize| list(number).and_then(|list| holder(list.header().parent.as_deref()?));
        let first_of_family = |number: usize| {
            let mut lineage = std::iter::successors(Some(number), |number| parent(*number));
            // An edited list may name itself.
            lineage.by_ref().take(self.directories.len()).last().unwrap_or(number)
        };
        let mut numbers: Vec<usize> = (0..self.directories.len()).collect();
        numbers.sort_by_cached_key(|number| {
            (first_of_family(*number), list(*number).map_or(0, |list| list.header().first_index))
        });
        numbers
    }

    /// Finds the runs that continue those that are merged, and are not merged themselves.
    fn find_continuing(&mut self) {
        let mut found = BTreeMap::new();
        for directory in &self.directories {
            let Some(run) = directory.run() else { continue };
            for child in descendants(&directory.layout, run) {
                let child = child.told();
                if !self.directories.iter().any(|other| other.run() == Some(&child.run)) {
                    found.insert(child.run.clone(), child);
                }
            }
        }
        self.proof.continued_by = found.into_values().collect();
        self.proof.continued_by.sort_by(|one, other| one.results_dir.cmp(&other.results_dir));
    }

    fn conclude(&mut self) {
        let failed_in = self
            .directories
            .iter()
            .zip(&self.tasks)
            .filter(|(_, tasks)| tasks.values().any(|tasks| tasks.counts().1 > 0));
        self.proof.failed_in = failed_in.map(|(directory, _)| units::path(directory.root())).collect();
        let listed = self.listed();
        for (directory, tasks) in self.directories.iter().zip(&self.tasks) {
            if let Some(list) = &directory.list {
                self.proof.proven = true;
                let unreadable = list.header().unreadable.iter().map(|folder| units::path(&folder.0));
                self.proof.unreadable.extend(unreadable);
            }
            for (run, tasks) in tasks {
                let (ok, failed) = tasks.counts();
                match (listed.contains_key(run), &directory.list) {
                    (false, _) => self.proof.foreign += ok + failed,
                    (true, list) => {
                        self.proof.counts.ok += ok;
                        self.proof.counts.failed += failed;
                        self.proof.counts.without_result += tasks.count_without_result();
                        // Tasks of a list were counted with it.
                        self.proof.counts.files += if list.is_none() { ok + failed } else { 0 };
                    }
                }
            }
        }
        let proof = &mut self.proof;
        if let ([directory], true) = (self.directories.as_slice(), proof.proven) {
            proof.journals = Some(directory.journals.clone());
        }
        proof.complete = proof.proven && proof.missing == 0 && proof.broken.is_empty();
        self.find_continuing();
        self.warn_of_gaps();
    }
}

/// Whether a record of a file must be merged: not if it belongs to a different run than the list beside it, so to an older
/// result, or of no entry of its list. `listed` are the indices of the lists by their runs.
fn is_admitted(
    directory: &MergeDirectory,
    task: &RecordTask<'_>,
    listed: &HashMap<String, Range<u64>>,
) -> bool {
    directory.run().is_none_or(|run| run == task.run)
        && listed.get(&*task.run).is_none_or(|indices| indices.contains(&task.index))
}

fn take(task: &RecordTask<'_>, status: Status, tasks: &mut HashMap<String, TaskRanks>, proof: &mut Proof) {
    // A name is made only for the first record of a run.
    if let Some(tasks) = tasks.get_mut(&*task.run) {
        tasks.take(task.index, status, proof);
    } else {
        tasks.entry(task.run.to_string()).or_default().take(task.index, status, proof);
    }
}

//! The files to merge in a results directory, in merge order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use crate::exit_code::CannotGoOn;

use crate::journal::event::ResultsWritten;
use crate::journal::launches::{fingerprint, last_launches};
use crate::journal::state::JournalState;
use crate::journal::tail;
use crate::journal::task_states::TaskNote;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::probe::Prober;
use crate::model::counts::{TaskCounts, TaskState};
use crate::model::index_ranges::IndexRanges;
use crate::model::launch_id::LaunchId;
use crate::model::shares::Share;
use crate::record::inputs::InputList;
use crate::record::results;
use crate::sharing::claimants::BlockClaimants;
use crate::store::layout::{Layout, ResultsName};
use crate::store::regular;
use crate::threads::CpuPool;

/// The client allows 512; an id far beyond is no replica's.
const MOST_REPLICAS: u64 = 10_000;

/// One results directory.
#[derive(Debug)]
pub struct MergeDirectory {
    pub(super) layout: Layout,
    pub(super) list: Option<InputList>,
    /// The shares of all replicas of the list.
    pub(super) shares: Vec<Share>,
    /// Which replica had which blocks, in a run that shares its work.
    pub(super) claimants: Option<BlockClaimants>,
    pub(super) parts: Vec<MergeInput>,
    /// Running replicas, as far as is known without waiting.
    at_work: BTreeSet<u32>,
    /// A digest of the journals before any was read, to recognise changes.
    pub(super) journals: String,
    /// Whether there are journals, of whatever replica.
    pub(super) has_journals: bool,
}

static NOTHING: Share = Share::Range(0..0);

/// Something to merge.
#[derive(Debug)]
pub(super) struct MergeInput {
    /// As people know it: a file's path, or the journals of a replica (`journal/7.*.jsonl`).
    pub(super) name: PathBuf,
    pub(super) kind: MergeInputKind,
}

#[derive(Debug)]
pub(super) enum MergeInputKind {
    /// A replica with only ok tasks among those that ran, and a results file that matches its journal.
    Verified { replica_id: u32, identity: FileIdentity, tasks: IndexRanges, without_result: u64 },
    /// A replica with records from its journals as they were when they were read: it may be running.
    Journals { replica_id: u32, state: Box<JournalState> },
    /// A replica with unreadable journals.
    Unreadable { replica_id: u32, why: String },
    /// A file without journals: ours that was copied here, or one that Python wrote.
    File,
}

/// Distinguishes a file from one that replaced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    inode: u64,
    pub(super) length: u64,
}

impl FileIdentity {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = file.metadata()?;
        Ok(Self { inode: metadata.ino(), length: metadata.len() })
    }
}

impl MergeDirectory {
    /// Lists the inputs.
    ///
    /// # Errors
    /// When the directory can't be read, or has neither a run nor results files.
    pub fn open(root: &Path, times: HeartbeatTimes) -> anyhow::Result<Self> {
        let layout = Layout::new(root);
        let mut files = results_files(&layout)?;
        let list = InputList::open(&layout)?;
        // An edited list proves nothing, even if none of its names is needed.
        list.as_ref().map(InputList::verify).transpose()?;
        let shares = list.as_ref().map(InputList::shares).transpose()?.unwrap_or_default();
        if list.is_none() && files.is_empty() {
            bail!(
                "{} holds neither a run (inputs.jsonl) nor results files (container_<id>_results.json): is it the directory given with --results-dir?",
                root.display()
            );
        }
        let journals = fingerprint(&layout)?;
        let launches = last_launches(&layout)?;
        let at_work = at_work(&layout, &launches, times);
        let claimants = list.as_ref().map(|list| BlockClaimants::read(&layout, list)).transpose()?.flatten();
        let has_journals = !launches.is_empty();
        let parts = Vec::new();
        let mut directory = Self { layout, list, shares, claimants, parts, at_work, journals, has_journals };
        let begun = launches.iter().filter_map(|(id, last)| Some((*id, *last, directory.share(*id)?)));
        let mut parts = CpuPool::gather().map(begun.collect(), |(number, last, share)| {
            (ResultsName::Id(u64::from(number)), directory.part_of(number, last, share))
        });
        if let (Some(claimants), Some(list)) = (&directory.claimants, &directory.list) {
            take_back_what_was_due_again(&mut parts, claimants, &list.header().run_ref().indices);
            forget_losses_known_elsewhere(&mut parts);
        }
        // If there are journals, the file either matches them or is not trusted.
        parts.iter().for_each(|(id, _)| _ = files.remove(id));
        parts.extend(
            files.into_iter().map(|(id, name)| (id, MergeInput { name, kind: MergeInputKind::File })),
        );
        parts.sort_by(|(one, _), (other, _)| one.cmp(other));
        directory.parts = parts.into_iter().map(|(_, part)| part).collect();
        Ok(directory)
    }

    /// What a replica that has journals has to give.
    fn part_of(&self, replica_id: u32, last: u32, share: &Share) -> MergeInput {
        let layout = &self.layout;
        let kind = || -> anyhow::Result<MergeInputKind> {
            if let Some(verified) = self.verified(replica_id, last, share)? {
                return Ok(verified);
            }
            Ok(MergeInputKind::Journals { replica_id, state: Box::new(self.state(replica_id, share)?) })
        };
        let kind = kind()
            .unwrap_or_else(|error| MergeInputKind::Unreadable { replica_id, why: format!("{error:#}") });
        let name = match kind {
            MergeInputKind::Verified { .. } => layout.results(replica_id),
            _ => layout.journals().join(format!("{replica_id}.*.jsonl")),
        };
        MergeInput { name, kind }
    }

    /// The state from the journals of a replica.
    pub(super) fn state(&self, replica_id: u32, share: &Share) -> anyhow::Result<JournalState> {
        let list = self.list.as_ref().context("a share without a list")?;
        let lives = self.is_at_work(replica_id);
        JournalState::read(&self.layout, &list.header().run_ref(), replica_id, share.clone(), lives)
    }

    /// The results file of a replica, if according to its stop record it holds everything in its journals, and it does.
    fn verified(&self, replica_id: u32, last: u32, share: &Share) -> anyhow::Result<Option<MergeInputKind>> {
        let layout = &self.layout;
        let journal = layout.journal(replica_id, last);
        let last_words = tail::last_words(&journal)?.filter(|words| self.run() == Some(&words.run));
        let Some(promised) = last_words.and_then(|words| words.results) else { return Ok(None) };
        let Some(tasks) = self.all_tasks(&promised, replica_id, share, &journal)? else { return Ok(None) };
        let Ok(file) = regular::open(&layout.results(replica_id)) else { return Ok(None) };
        let Ok(identity) = FileIdentity::of(&file) else { return Ok(None) };
        let is_current = results::matches_digest(layout, replica_id, &promised).unwrap_or(false);
        let without_result = promised.without_result;
        Ok(is_current.then_some(MergeInputKind::Verified { replica_id, identity, tasks, without_result }))
    }

    /// The tasks with a record in a results file, if the journals of its replica have no others: those of its share, or of
    /// blocks that never belonged to another one.
    fn all_tasks(
        &self,
        promised: &ResultsWritten,
        replica_id: u32,
        share: &Share,
        journal: &Path,
    ) -> anyhow::Result<Option<IndexRanges>> {
        let list = self.list.as_ref().map_or(0..0, |list| list.header().indices());
        let Some(claimants) = &self.claimants else { return Ok(promised.if_all_of(share, &list)) };
        let is_all = |tasks: &&IndexRanges| claimants.are_only_of(replica_id, tasks);
        let Some(tasks) = promised.tasks_within(&list).filter(is_all) else { return Ok(None) };
        let counts = tail::last_counts(journal, self.run().unwrap_or_default())?;
        let are_all_ok = |counts: &TaskCounts| (counts.ok, counts.failed) == (tasks.count(), 0);
        Ok(counts.filter(are_all_ok).map(|_| tasks.clone()))
    }

    /// The run id, if it holds a run.
    pub(super) fn run(&self) -> Option<&str> {
        self.list.as_ref().map(|list| list.header().run.as_str())
    }

    /// The part of the list of a replica; nothing for one that was added to a run that shares its work.
    pub(super) fn share(&self, replica_id: u32) -> Option<&Share> {
        let own = self.shares.get(usize::try_from(replica_id).ok()?.checked_sub(1)?);
        own.or_else(|| self.claimants.as_ref().map(|_| &NOTHING))
    }

    /// Ids below the largest one that have no results file.
    pub(super) fn gaps(&self) -> Vec<u64> {
        let ids: Vec<u64> = self
            .parts
            .iter()
            .filter_map(|part| match ResultsName::parse(part.name.file_name()?)? {
                ResultsName::Id(id) => Some(id),
                ResultsName::Other(_) => None,
            })
            .collect();
        let largest = ids.iter().copied().max().unwrap_or(0).min(MOST_REPLICAS);
        (1..largest).filter(|id| !ids.contains(id)).collect()
    }

    /// Whether any replica is running, as far as is known without waiting.
    pub(super) fn has_any_at_work(&self) -> bool {
        !self.at_work.is_empty()
    }

    /// Whether a replica is running, as far as is known without waiting.
    pub(super) fn is_at_work(&self, replica_id: u32) -> bool {
        self.at_work.contains(&replica_id)
    }
}

fn at_work(layout: &Layout, launches: &BTreeMap<u32, u32>, times: HeartbeatTimes) -> BTreeSet<u32> {
    let prober = Prober::new(layout, times);
    let is_running = |(id, last): &(&u32, &u32)| prober.is_running(&layout.journal(**id, **last));
    launches.iter().filter(is_running).map(|(id, _)| *id).collect()
}

fn results_files(layout: &Layout) -> anyhow::Result<BTreeMap<ResultsName, PathBuf>> {
    let cannot = |error: io::Error| {
        let root = layout.root().display();
        let what =
            format!("can't read the results directory {root} (is it the one given with --results-dir?)");
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => anyhow!(error).context(what),
            _ => anyhow!(error).context(CannotGoOn(what)),
        }
    };
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(layout.root()).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if let Some(id) = ResultsName::parse(&entry.file_name()) {
            files.insert(id, entry.path());
        }
    }
    Ok(files)
}

/// A launch whose replica took a block over may have found the products of another replica's record gone: that record counts
/// no more, even if the attempt that followed failed, or was never begun.
fn take_back_what_was_due_again(
    parts: &mut [(ResultsName, MergeInput)],
    claimants: &BlockClaimants,
    indices: &Range<u64>,
) {
    let states = parts.iter().filter_map(|(_, part)| part.state());
    let due_again = states.flat_map(|state| &state.due_again);
    let taken_back: Vec<(u64, LaunchId)> = due_again
        .flat_map(|(by, tasks)| tasks.within(indices).map(|index| (index, *by)).collect::<Vec<_>>())
        .collect();
    for (_, part) in parts {
        let MergeInputKind::Journals { state, .. } = &mut part.kind else { continue };
        for &(index, by) in &taken_back {
            let (replica, launch) = state.tasks.get(index).made_by();
            if claimants.is_before(index, LaunchId { replica, launch }, by) {
                state.tasks.make_due_again(index);
            }
        }
    }
}

/// A task may have died alone with launches of several replicas, or with one before another one recorded it: only the one that
/// counts is left. Of several deaths it does not matter which.
fn forget_losses_known_elsewhere(parts: &mut [(ResultsName, MergeInput)]) {
    let is_unwritten = |note: TaskNote| note.state == TaskState::Lost && !note.has_record();
    let states = || parts.iter().map(|(_, part)| part.state());
    let lost = |state: &JournalState| -> Vec<u64> {
        state.tasks.all().filter(|(_, note)| is_unwritten(*note)).map(|(index, _)| index).collect()
    };
    let lost: BTreeSet<u64> = states().flatten().flat_map(lost).collect();
    let tells = |place: usize, index: u64| {
        let note = states().nth(place).flatten().map(|state| state.tasks.get(index)).unwrap_or_default();
        (note.has_record(), note.state == TaskState::Lost)
    };
    let best = |index: u64| (0..parts.len()).max_by_key(|place| tells(*place, index));
    let best: BTreeMap<u64, Option<usize>> = lost.into_iter().map(|index| (index, best(index))).collect();
    for (place, (_, part)) in parts.iter_mut().enumerate() {
        let MergeInputKind::Journals { state, .. } = &mut part.kind else { continue };
        let others = best.iter().filter(|(_, best)| **best != Some(place));
        others.for_each(|(index, _)| state.tasks.forget_unwritten_loss(*index));
    }
}

impl MergeInput {
    /// The state from its journals, if they were read.
    fn state(&self) -> Option<&JournalState> {
        match &self.kind {
            MergeInputKind::Journals { state, .. } => Some(state),
            MergeInputKind::Verified { .. } | MergeInputKind::Unreadable { .. } | MergeInputKind::File => {
                None
            }
        }
    }

    /// The replica that the journals belong to.
    pub(super) fn replica(&self) -> Option<u32> {
        match self.kind {
            MergeInputKind::Verified { replica_id, .. }
            | MergeInputKind::Journals { replica_id, .. }
            | MergeInputKind::Unreadable { replica_id, .. } => Some(replica_id),
            MergeInputKind::File => None,
        }
    }
}

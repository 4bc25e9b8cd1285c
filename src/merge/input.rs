//! What there is to merge in a results directory, in the order it is merged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use crate::exit_code::CannotGoOn;

use crate::journal::launches::{fingerprint, last_launches};
use crate::journal::state::JournalState;
use crate::journal::tail;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::probe::Prober;
use crate::model::counts::TaskState;
use crate::model::index_ranges::IndexRanges;
use crate::model::shares::Share;
use crate::record::inputs::InputList;
use crate::record::results;
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
    pub(super) parts: Vec<MergeInput>,
    /// Replicas at work, as far as can be told at once.
    at_work: BTreeSet<u32>,
    /// What tells the journals, as they were before any was read, from others and from later ones.
    pub(super) journals: String,
    /// Whether there are journals, of whatever replica.
    pub(super) has_journals: bool,
}

/// Something to merge.
#[derive(Debug)]
pub(super) struct MergeInput {
    /// As people know it: a file's path, or the journals of a replica (`journal/7.*.jsonl`).
    pub(super) name: PathBuf,
    pub(super) kind: MergeInputKind,
}

#[derive(Debug)]
pub(super) enum MergeInputKind {
    /// A replica whose every task is ok, and whose results file is what its journal says.
    Verified { replica_id: u32, identity: FileIdentity, tasks: IndexRanges, without_result: u64 },
    /// A replica to be derived from its journals, as they were when they were read: it may be at work.
    Journals { replica_id: u32, state: Box<JournalState> },
    /// A replica whose journals can't be read.
    Unreadable { replica_id: u32, why: String },
    /// A file without journals: ours that was copied here, or one that Python wrote.
    File,
}

/// Tells a file from one that took its place.
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
    /// Looks what there is.
    ///
    /// # Errors
    /// When the directory can't be read, or has neither a run nor results files.
    pub fn open(root: &Path, times: HeartbeatTimes) -> anyhow::Result<Self> {
        let layout = Layout::new(root);
        let mut files = results_files(&layout)?;
        let list = InputList::open(&layout)?;
        // Nothing is proven against a list that somebody edited, though not a name of it may be needed.
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
        let has_journals = !launches.is_empty();
        let mut directory = Self { layout, list, shares, parts: Vec::new(), at_work, journals, has_journals };
        let begun = (1..).zip(&directory.shares);
        let begun = begun.filter_map(|(number, share)| Some((number, *launches.get(&number)?, share)));
        let mut parts = CpuPool::gather().map(begun.collect(), |(number, last, share)| {
            (ResultsName::Id(u64::from(number)), directory.part_of(number, last, share))
        });
        // With journals, the file is either what they say or not to be believed.
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
        let run = self.run().unwrap_or_default();
        let count = self.list.as_ref().map_or(0, |list| list.header().count);
        let kind = || -> anyhow::Result<MergeInputKind> {
            if let Some(verified) = verified(layout, run, replica_id, last, share, count)? {
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

    /// What the journals of a replica tell.
    pub(super) fn state(&self, replica_id: u32, share: &Share) -> anyhow::Result<JournalState> {
        let list = self.list.as_ref().context("a share without a list")?;
        let lives = self.is_at_work(replica_id);
        JournalState::read(&self.layout, &list.header().run_ref(), replica_id, share.clone(), lives)
    }

    /// The run id, if it holds a run.
    pub(super) fn run(&self) -> Option<&str> {
        self.list.as_ref().map(|list| list.header().run.as_str())
    }

    /// The part of the list of a replica.
    pub(super) fn share(&self, replica_id: u32) -> Option<&Share> {
        self.shares.get(usize::try_from(replica_id).ok()?.checked_sub(1)?)
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

    /// Whether a replica is at work, as far as can be told at once.
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

/// The results file of a replica, if its last word is that all its tasks are ok and that file holds them, and it does.
fn verified(
    layout: &Layout,
    run: &str,
    replica_id: u32,
    last: u32,
    share: &Share,
    count: u64,
) -> anyhow::Result<Option<MergeInputKind>> {
    let last_words = tail::last_words(&layout.journal(replica_id, last))?.filter(|words| words.run == run);
    let Some(promised) = last_words.and_then(|words| words.results) else { return Ok(None) };
    let Some(tasks) = promised.if_all_of(share, count) else { return Ok(None) };
    let Ok(file) = regular::open(&layout.results(replica_id)) else { return Ok(None) };
    let Ok(identity) = FileIdentity::of(&file) else { return Ok(None) };
    let is_current = results::matches_digest(layout, replica_id, &promised).unwrap_or(false);
    let without_result = promised.without_result;
    Ok(is_current.then_some(MergeInputKind::Verified { replica_id, identity, tasks, without_result }))
}

impl MergeInput {
    /// The replica whose journals there are, with how many ok records it has.
    pub(super) fn ok(&self) -> Option<(u32, u64)> {
        match &self.kind {
            MergeInputKind::Verified { replica_id, tasks, .. } => Some((*replica_id, tasks.count())),
            MergeInputKind::Journals { replica_id, state } => {
                let ok = state.tasks.all().filter(|(_, note)| note.state == TaskState::Ok);
                Some((*replica_id, ok.count() as u64))
            }
            MergeInputKind::Unreadable { .. } | MergeInputKind::File => None,
        }
    }

    /// The replica whose journals there are.
    pub(super) fn replica(&self) -> Option<u32> {
        match self.kind {
            MergeInputKind::Verified { replica_id, .. }
            | MergeInputKind::Journals { replica_id, .. }
            | MergeInputKind::Unreadable { replica_id, .. } => Some(replica_id),
            MergeInputKind::File => None,
        }
    }
}

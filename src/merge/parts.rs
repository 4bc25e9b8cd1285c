//! What there is to merge in a results directory, in the order it is merged, and how each part is read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::json::{self, Elements};
use crate::outcome::Status;
use crate::provenance::Process;
use crate::record::history::{History, LastLaunch, TaskNote};
use crate::record::inputs::InputList;
use crate::record::item;
use crate::record::launches::last_launches;
use crate::record::layout::{Layout, ResultsName};
use crate::record::lease::now_at_file_server;
use crate::record::records::Records;
use crate::record::regular;
use crate::record::results;
use crate::record::succession::{is_at_work, last_words};
use crate::replica::Replica;
use crate::select::Share;

/// Records of other programs may be nested deeper than ours.
const FOREIGN_DEPTH: usize = 100_000;

/// The client allows 512; an id far beyond is no replica's.
const MOST_REPLICAS: u64 = 10_000;

/// One results directory.
#[derive(Debug)]
pub struct Directory {
    pub(super) layout: Layout,
    pub(super) list: Option<InputList>,
    /// The shares of all replicas of the list.
    pub(super) shares: Vec<Share>,
    pub(super) parts: Vec<Part>,
    /// Replicas at work, as far as can be told at once.
    at_work: BTreeSet<u32>,
    /// Whether there are journals, of whatever replica.
    pub(super) has_journals: bool,
}

/// Something to merge.
#[derive(Debug)]
pub(super) struct Part {
    /// As people know it: a file's path, or the journals of a replica (`journal/7.*.jsonl`).
    pub(super) name: PathBuf,
    pub(super) kind: PartKind,
}

#[derive(Debug)]
pub(super) enum PartKind {
    /// A replica whose every task is ok, and whose results file is what its journal says.
    Verified { replica_id: u32, identity: FileIdentity },
    /// A replica to be derived from its journals, as they were when they were read: it may be at work.
    Journals { replica_id: u32, history: Box<History> },
    /// A replica whose journals can't be read.
    Unreadable { replica_id: u32, why: String },
    /// A file without journals: ours that was copied here, or one that Python wrote.
    File,
}

/// Tells a file from one that took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    inode: u64,
    length: u64,
}

impl FileIdentity {
    fn of(file: &File) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = file.metadata()?;
        Ok(Self { inode: metadata.ino(), length: metadata.len() })
    }
}

/// One record as it is read: a line of JSON.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) record: &'a [u8],
    pub(super) status: Status,
    /// The task, where the record says so.
    pub(super) task: Option<Task>,
    /// NaN and Infinity that became null as it was read.
    pub(super) non_finite: u64,
}

/// Which task a record is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) run: String,
    pub(super) index: u64,
    /// Which launch made the record, and when: a later one is newer.
    pub(super) age: (u32, Option<String>),
}

#[derive(Deserialize)]
struct TaskMeta {
    run: String,
    index: u64,
    status: Status,
    launch: u32,
    started_at: Option<String>,
}

/// What records are given to.
pub(super) type Take<'a> = &'a mut dyn FnMut(&Item<'_>) -> anyhow::Result<()>;

/// Indices with how their tasks ended.
pub(super) type Known<'a> = Box<dyn Iterator<Item = (u64, Status)> + 'a>;

impl Directory {
    /// Looks what there is.
    ///
    /// # Errors
    /// When the directory can't be read, or has neither a run nor results files.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
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
        let launches = last_launches(&layout)?;
        let at_work = at_work(&layout, &launches);
        let has_journals = !launches.is_empty();
        let mut directory = Self { layout, list, shares, parts: Vec::new(), at_work, has_journals };
        let mut parts = Vec::new();
        for (number, share) in (1..).zip(&directory.shares) {
            let Some(last) = launches.get(&number) else { continue };
            // With journals, the file is either what they say or not to be believed.
            files.remove(&ResultsName::Id(u64::from(number)));
            parts.push((ResultsName::Id(u64::from(number)), directory.part_of(number, *last, share)));
        }
        parts.extend(files.into_iter().map(|(id, name)| (id, Part { name, kind: PartKind::File })));
        parts.sort_by(|(one, _), (other, _)| one.cmp(other));
        directory.parts = parts.into_iter().map(|(_, part)| part).collect();
        Ok(directory)
    }

    /// What a replica that has journals has to give.
    fn part_of(&self, replica_id: u32, last: u32, share: &Share) -> Part {
        let layout = &self.layout;
        let run = self.run().unwrap_or_default();
        let life = if self.is_at_work(replica_id) { LastLaunch::MayLive } else { LastLaunch::Dead };
        let kind = || -> anyhow::Result<PartKind> {
            if let Some(identity) = verified(layout, run, replica_id, last, share)? {
                return Ok(PartKind::Verified { replica_id, identity });
            }
            let history = History::read(layout, run, replica_id, share.clone(), life)?;
            Ok(PartKind::Journals { replica_id, history: Box::new(history) })
        };
        let kind =
            kind().unwrap_or_else(|error| PartKind::Unreadable { replica_id, why: format!("{error:#}") });
        let name = match kind {
            PartKind::Verified { .. } => layout.results(replica_id),
            _ => layout.journals().join(format!("{replica_id}.*.jsonl")),
        };
        Part { name, kind }
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

fn at_work(layout: &Layout, launches: &BTreeMap<u32, u32>) -> BTreeSet<u32> {
    let me = Process::current(None);
    let now = now_at_file_server(layout.root());
    let lives = |(id, last): &(&u32, &u32)| is_at_work(&layout.journal(**id, **last), &me, now);
    launches.iter().filter(lives).map(|(id, _)| *id).collect()
}

fn results_files(layout: &Layout) -> anyhow::Result<BTreeMap<ResultsName, PathBuf>> {
    let cannot = || {
        format!(
            "can't read the results directory {} (is it the one given with --results-dir?)",
            layout.root().display()
        )
    };
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(layout.root()).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        if let Some(id) = ResultsName::parse(&entry.file_name()) {
            files.insert(id, entry.path());
        }
    }
    Ok(files)
}

/// Whether the last word of a replica is that all its tasks are ok and its results file holds them, and that file does.
fn verified(
    layout: &Layout,
    run: &str,
    replica_id: u32,
    last: u32,
    share: &Share,
) -> anyhow::Result<Option<FileIdentity>> {
    let promised = last_words(&layout.journal(replica_id, last), run)?;
    let Some(promised) = promised.filter(|promised| promised.records == share.len()) else { return Ok(None) };
    let Ok(file) = regular::open(&layout.results(replica_id)) else { return Ok(None) };
    let Ok(identity) = FileIdentity::of(&file) else { return Ok(None) };
    Ok(results::is_as_promised(layout, replica_id, &promised).unwrap_or(false).then_some(identity))
}

impl Part {
    /// The replica whose journals there are.
    pub(super) fn replica(&self) -> Option<u32> {
        match self.kind {
            PartKind::Verified { replica_id, .. }
            | PartKind::Journals { replica_id, .. }
            | PartKind::Unreadable { replica_id, .. } => Some(replica_id),
            PartKind::File => None,
        }
    }

    /// Makes sure that all of it can be read, of files by reading them to their end: nothing of one that is broken
    /// somewhere is to be taken.
    ///
    /// # Errors
    /// Where it breaks and why, or why it can't be read.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.kind {
            PartKind::Verified { .. } | PartKind::Journals { .. } => Ok(()),
            PartKind::Unreadable { why, .. } => Err(why.clone()),
            PartKind::File => {
                let file =
                    regular::open(&self.name).map_err(|error| format!("it can't be opened: {error}"))?;
                let mut elements = Elements::new(file, FOREIGN_DEPTH);
                let why = |error| format!("{:#}", anyhow::Error::new(error));
                while elements.next().map_err(why)?.is_some() {}
                Ok(())
            }
        }
    }

    /// The tasks of a replica and how they ended, which is known without reading their records; `None` for a file.
    pub(super) fn known<'a>(&'a self, directory: &'a Directory) -> Option<Known<'a>> {
        match &self.kind {
            PartKind::Verified { replica_id, .. } => {
                let share = directory.share(*replica_id)?;
                Some(Box::new(share.iter().map(|index| (index, Status::Ok))))
            }
            PartKind::Journals { history, .. } => {
                let known = |(index, note): (u64, TaskNote)| Some((index, note.known.status()?));
                Some(Box::new(history.tasks().filter_map(known)))
            }
            PartKind::Unreadable { .. } | PartKind::File => None,
        }
    }

    /// Gives every record of the part to `take`, in list order where the part has one.
    pub(super) fn each(&self, directory: &Directory, take: Take<'_>) -> anyhow::Result<()> {
        match &self.kind {
            PartKind::Verified { replica_id, identity } => {
                self.each_verified(directory, *replica_id, *identity, take)
            }
            PartKind::Journals { replica_id, history } => {
                each_of_journals(directory, *replica_id, history, take)
            }
            PartKind::Unreadable { .. } => Ok(()),
            PartKind::File => self.each_of_file(take),
        }
    }

    /// Our own file, known to be one record a line, all ok, one for each of the share in its order.
    fn each_verified(
        &self,
        directory: &Directory,
        replica_id: u32,
        identity: FileIdentity,
        take: Take<'_>,
    ) -> anyhow::Result<()> {
        let cannot = || format!("can't read the results file {}", self.name.display());
        let file = regular::open(&self.name).with_context(cannot)?;
        if FileIdentity::of(&file).with_context(cannot)? != identity {
            bail!("{} was replaced while it was merged: merge again", self.name.display());
        }
        let share = directory.share(replica_id).into_iter().flat_map(Share::iter);
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).with_context(cannot)?;
        for index in share {
            line.clear();
            reader.read_until(b'\n', &mut line).with_context(cannot)?;
            let record = line.trim_ascii_end();
            let record = record.strip_suffix(b",").unwrap_or(record);
            if record.is_empty() {
                bail!("{} was cut while it was merged: merge again", self.name.display());
            }
            let run = directory.run().unwrap_or_default().to_owned();
            let task = Some(Task { run, index, age: (u32::MAX, None) });
            take(&Item { record, status: Status::Ok, task, non_finite: 0 })?;
        }
        Ok(())
    }

    /// A file that was found whole before.
    fn each_of_file(&self, take: Take<'_>) -> anyhow::Result<()> {
        let changed = || format!("{} changed while it was merged: merge again", self.name.display());
        let mut elements = Elements::new(regular::open(&self.name).with_context(changed)?, FOREIGN_DEPTH);
        while let Some(element) = elements.next().with_context(changed)? {
            let normal = json::normalise(element.text, FOREIGN_DEPTH).with_context(changed)?;
            let meta: Option<TaskMeta> = Some(normal.kind)
                .filter(|kind| *kind == json::Kind::Object)
                .and_then(|_| serde_json::from_slice(item::raw_meta(&normal.text)?).ok());
            let status = meta.as_ref().map_or(Status::Ok, |meta| meta.status);
            let task = meta.map(|meta| Task {
                run: meta.run,
                index: meta.index,
                age: (meta.launch, meta.started_at),
            });
            take(&Item { record: &normal.text, status, task, non_finite: normal.non_finite as u64 })?;
        }
        Ok(())
    }
}

fn each_of_journals(
    directory: &Directory,
    replica_id: u32,
    history: &History,
    take: Take<'_>,
) -> anyhow::Result<()> {
    let mut records = Records::new(directory.layout.clone(), replica_id);
    for (index, note) in history.tasks() {
        let Some(status) = note.known.status() else { continue };
        let record = match records.read(note)? {
            Some(record) => Cow::Borrowed(record),
            None => lost_record(directory, replica_id, index, u32::from(note.attempts), history)?.into(),
        };
        let run = directory.run().unwrap_or_default().to_owned();
        let task = Some(Task { run, index, age: (u32::MAX, None) });
        take(&Item { record: &record, status, task, non_finite: 0 })?;
    }
    Ok(())
}

/// The record that the next launch would write of a task that died alone with its container.
fn lost_record(
    directory: &Directory,
    replica_id: u32,
    index: u64,
    attempts: u32,
    history: &History,
) -> anyhow::Result<Vec<u8>> {
    let list = directory.list.as_ref().context("a run without a list")?;
    let mut path = std::ffi::OsString::new();
    list.read(std::iter::once(index), |_, entry| {
        path = entry.path;
        Ok(())
    })?;
    let replica = Replica::new(replica_id, list.header().replica_count)?;
    let launch = history.launches.last().map_or(0, |launch| launch.number);
    Ok(item::lost(&list.header().run, replica, launch, index, &path, attempts))
}

//! How an input of a merge is read: checked, indexed without parsing its records, or read record by record.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::exit_code::CannotGoOn;
use crate::journal::record_reader::Records;
use crate::journal::state::JournalState;
use crate::journal::task_states::TaskNote;
use crate::json::{self, Element, Elements};
use crate::merge::input::{FileIdentity, MergeDirectory, MergeInput, MergeInputKind};
use crate::model::index_ranges::IndexRanges;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Status;
use crate::model::replica::Replica;
use crate::record::results;
use crate::record::task_record;
use crate::store::regular;

/// Records of other programs may be nested deeper than ours.
const FOREIGN_DEPTH: usize = 100_000;

/// The content of a file that journals confirm is newer than any copy of it.
const NEWEST: LaunchId = LaunchId { replica: 0, launch: u32::MAX };

/// Large reads for a file server, and few of them.
const BUFFER: usize = 256 * 1024;

/// One record as it is read: a line of JSON.
#[derive(Debug)]
pub(super) struct MergeRecord<'a> {
    pub(super) record: &'a [u8],
    pub(super) status: Status,
    /// The task, where the record says so.
    pub(super) task: Option<RecordTask<'a>>,
    /// NaN and Infinity that became null as it was read.
    pub(super) non_finite: u64,
}

/// Which task a record is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordTask<'a> {
    pub(super) run: Cow<'a, str>,
    pub(super) index: u64,
    /// The launch that made the record.
    pub(super) by: LaunchId,
    /// When its last attempt began, where that may tell which of two records is newer.
    pub(super) started_at: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct TaskMeta<'a> {
    #[serde(borrow)]
    run: Cow<'a, str>,
    index: u64,
    status: Status,
    #[serde(default)]
    replica_id: u32,
    launch: u32,
    #[serde(borrow)]
    started_at: Option<Cow<'a, str>>,
}

/// What records are given to.
pub(super) type Take<'a> = &'a mut dyn FnMut(&MergeRecord<'_>) -> anyhow::Result<()>;

/// Indices with how their tasks ended.
pub(super) type KnownTasks<'a> = Box<dyn Iterator<Item = (u64, Status)> + 'a>;

/// The tasks of a replica that are ok and have no result, although one was expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WithoutResult {
    /// These.
    Tasks(Vec<u64>),
    /// This many; only the journals show which.
    Count(u64),
}

/// What is known of a part that was found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// Its tasks are known without reading its records.
    Known,
    /// A file in which some records may name a task.
    Tasks,
    /// A file of this many records, none of which names a task.
    NoTasks(u64),
}

impl Checked {
    /// Its records with an unknown owner, without reading them.
    pub(super) fn foreign(self) -> u64 {
        match self {
            Self::NoTasks(records) => records,
            Self::Known | Self::Tasks => 0,
        }
    }
}

impl MergeInput {
    /// Makes sure that all of it can be read; files are read to their end: nothing of a file that is broken
    /// somewhere may be used.
    ///
    /// # Errors
    /// Where it breaks and why, or why it can't be read.
    pub(super) fn check(&self) -> Result<Checked, String> {
        match &self.kind {
            MergeInputKind::Verified { .. } | MergeInputKind::Journals { .. } => Ok(Checked::Known),
            MergeInputKind::Unreadable { why, .. } => Err(why.clone()),
            MergeInputKind::File => {
                let file =
                    regular::open(&self.name).map_err(|error| format!("it can't be opened: {error}"))?;
                let mut elements = Elements::new(file, FOREIGN_DEPTH);
                let why = |error| format!("{:#}", anyhow::Error::new(error));
                let (mut records, mut has_tasks) = (0, false);
                while let Some(element) = elements.next().map_err(why)? {
                    records += 1;
                    has_tasks = has_tasks || task_record::raw_meta(element.text).is_some();
                }
                Ok(if has_tasks { Checked::Tasks } else { Checked::NoTasks(records) })
            }
        }
    }

    /// The tasks of a replica and how they ended, which is known without reading their records; `None` for a file.
    pub(super) fn known(&self) -> Option<KnownTasks<'_>> {
        match &self.kind {
            MergeInputKind::Verified { tasks, .. } => {
                Some(Box::new(tasks.iter().map(|index| (index, Status::Ok))))
            }
            MergeInputKind::Journals { state, .. } => {
                let known = |(index, note): (u64, TaskNote)| Some((index, note.state.status()?));
                Some(Box::new(state.tasks.all().filter_map(known)))
            }
            MergeInputKind::Unreadable { .. } | MergeInputKind::File => None,
        }
    }

    /// Its tasks without a result, as far as that is known without reading more.
    pub(super) fn without_result(&self) -> WithoutResult {
        match &self.kind {
            MergeInputKind::Verified { tasks, without_result, .. } if *without_result == tasks.count() => {
                WithoutResult::Tasks(tasks.iter().collect())
            }
            MergeInputKind::Verified { without_result, .. } => WithoutResult::Count(*without_result),
            MergeInputKind::Journals { state, .. } => {
                WithoutResult::Tasks(state.tasks.without_result().collect())
            }
            MergeInputKind::Unreadable { .. } | MergeInputKind::File => WithoutResult::Count(0),
        }
    }

    /// Gives every record of the part to `take`, in list order where the part has one.
    pub(super) fn each(&self, directory: &MergeDirectory, take: Take<'_>) -> anyhow::Result<()> {
        match &self.kind {
            MergeInputKind::Verified { identity, tasks, .. } => {
                self.each_verified(directory, *identity, tasks, take)
            }
            MergeInputKind::Journals { replica_id, state } => {
                each_of_journals(directory, *replica_id, state, take)
            }
            MergeInputKind::Unreadable { .. } => Ok(()),
            MergeInputKind::File => self.each_of_file(take),
        }
    }

    /// Our own file, known to be one record a line, all ok, one for each of these tasks in their order.
    fn each_verified(
        &self,
        directory: &MergeDirectory,
        identity: FileIdentity,
        tasks: &IndexRanges,
        take: Take<'_>,
    ) -> anyhow::Result<()> {
        let mut reader = BufReader::with_capacity(BUFFER, self.reopen(identity)?);
        let mut line = Vec::new();
        let mut next = |line: &mut Vec<u8>| {
            line.clear();
            reader.read_until(b'\n', line).with_context(|| self.cannot_read())
        };
        next(&mut line)?;
        for index in tasks.iter() {
            next(&mut line)?;
            let record = line.trim_ascii_end();
            let record = record.strip_suffix(b",").unwrap_or(record);
            if record.is_empty() {
                bail!(self.was_cut());
            }
            take(&MergeRecord {
                record,
                status: Status::Ok,
                task: Some(own_task(directory, index, NEWEST)),
                non_finite: 0,
            })?;
        }
        Ok(())
    }

    /// Gives what is between the brackets of our own file, which is known to be as it should, to `take` in pieces.
    pub(super) fn body(
        &self,
        identity: FileIdentity,
        take: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut file = self.reopen(identity)?;
        let body = results::body(identity.length);
        file.seek(SeekFrom::Start(body.start)).with_context(|| self.cannot_read())?;
        let mut left = body.end.saturating_sub(body.start);
        let mut piece = vec![0; BUFFER];
        while left > 0 {
            let most = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
            let read = file.read(&mut piece[..most]).with_context(|| self.cannot_read())?;
            if read == 0 {
                bail!(self.was_cut());
            }
            take(&piece[..read])?;
            left -= read as u64;
        }
        Ok(())
    }

    /// Our own file again, if it is still the one that was found to be valid.
    fn reopen(&self, identity: FileIdentity) -> anyhow::Result<std::fs::File> {
        let file = regular::open(&self.name).with_context(|| self.cannot_read())?;
        if FileIdentity::of(&file).with_context(|| self.cannot_read())? != identity {
            bail!(CannotGoOn(format!(
                "{} was replaced while it was merged: merge again",
                self.name.display()
            )));
        }
        Ok(file)
    }

    fn cannot_read(&self) -> CannotGoOn {
        CannotGoOn(format!("can't read the results file {}", self.name.display()))
    }

    fn was_cut(&self) -> CannotGoOn {
        CannotGoOn(format!("{} was truncated while it was merged: merge again", self.name.display()))
    }

    /// A file that was found whole before.
    fn each_of_file(&self, take: Take<'_>) -> anyhow::Result<()> {
        let changed =
            || CannotGoOn(format!("{} changed while it was merged: merge again", self.name.display()));
        let mut elements = Elements::new(regular::open(&self.name).with_context(changed)?, FOREIGN_DEPTH);
        while let Some(element) = elements.next().with_context(changed)? {
            let record = one_line(&element).with_context(changed)?;
            let meta: Option<TaskMeta<'_>> =
                task_record::raw_meta(&record).and_then(|meta| serde_json::from_slice(meta).ok());
            let status = meta.as_ref().map_or(Status::Ok, |meta| meta.status);
            let task = meta.map(|meta| RecordTask {
                run: meta.run,
                index: meta.index,
                by: LaunchId { replica: meta.replica_id, launch: meta.launch },
                started_at: meta.started_at,
            });
            take(&MergeRecord { record: &record, status, task, non_finite: element.non_finite as u64 })?;
        }
        Ok(())
    }
}

/// An element as a record: most are one already.
fn one_line<'a>(element: &Element<'a>) -> Result<Cow<'a, [u8]>, json::JsonError> {
    if element.non_finite == 0 && !element.line_breaks {
        return Ok(Cow::Borrowed(element.text));
    }
    json::normalise(element.text, FOREIGN_DEPTH).map(|normal| normal.text)
}

/// The task of the one record that its replica gives of it, which a launch made.
fn own_task(directory: &MergeDirectory, index: u64, by: LaunchId) -> RecordTask<'_> {
    RecordTask { run: directory.run().unwrap_or_default().into(), index, by, started_at: None }
}

fn each_of_journals(
    directory: &MergeDirectory,
    replica_id: u32,
    state: &JournalState,
    take: Take<'_>,
) -> anyhow::Result<()> {
    let mut records = Records::new(directory.layout.clone());
    for (index, note) in state.tasks.all() {
        let Some(status) = note.state.status() else { continue };
        let (replica, launch) = note.made_by();
        let record = match records.read(note)? {
            Some(record) => Cow::Borrowed(record),
            None => lost_record(directory, replica_id, index, u32::from(note.attempts), state)?.into(),
        };
        take(&MergeRecord {
            record: &record,
            status,
            task: Some(own_task(directory, index, LaunchId { replica, launch })),
            non_finite: 0,
        })?;
    }
    Ok(())
}

/// The record that the next launch would write of a task that died alone with its container.
fn lost_record(
    directory: &MergeDirectory,
    replica_id: u32,
    index: u64,
    attempts: u32,
    state: &JournalState,
) -> anyhow::Result<Vec<u8>> {
    let list = directory.list.as_ref().context("a run without a list")?;
    let replica = Replica::of_run(replica_id, list.header().replica_count);
    let launch = state.launches.last().map_or(0, |launch| launch.number);
    let mut record = None;
    list.read(std::iter::once(index), |_, entry| {
        record = Some(task_record::lost(&list.header().run, replica, launch, index, entry, attempts));
        Ok(())
    })?;
    record.with_context(|| format!("entry {index} is not in the list"))
}

//! What happens during a launch, as its journal keeps it. Events are read as they are written; unknown events and fields are
//! skipped. The two folds (`state`, `launch_state`) name every event, so that the compiler reports a forgotten one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::blocks::{BlockId, ClaimName};
use crate::model::counts::{TaskCounts, TaskState};
use crate::model::cpu_sharing::HostCpus;
use crate::model::index_ranges::IndexRanges;
use crate::model::outcome::{Cause, LogSpan, Status};
use crate::model::product::{DirectoryId, MadeProducts};
use crate::model::provenance::{NamedFile, Process};
use crate::model::shares::Share;
use crate::model::usage::UsageFigures;

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A launch begins.
    Run(Box<LaunchBegun>),
    /// An attempt begins.
    Start(AttemptBegun),
    /// An attempt that was announced did not begin: the system was short of something.
    NotStarted(TaskNamed),
    /// An attempt was stopped with the launch: its task is never suspected of that.
    Interrupted(TaskNamed),
    /// An attempt ended.
    Attempt(AttemptEnded),
    /// A task ended; its record is in the same line.
    End(TaskEnded),
    /// Directories that an attempt made are about to get the names of its task's products.
    Publish(PublishingBegun),
    /// Tasks that were ok must be run again: their records no longer count.
    DueAgain(Box<TasksDueAgain>),
    /// A block is about to be claimed: the name is put there after this.
    Claim(ClaimAnnounced),
    /// A heartbeat: how far the launch is.
    Alive(LaunchProgress),
    /// The results file was written.
    ResultsWritten(Box<ResultsWritten>),
    /// The launch ended in order.
    Stop(Box<Stopped>),
    /// One of a later version; never written.
    #[serde(skip_serializing)]
    Unknown,
}

/// The word by which a line names its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    Run,
    Start,
    NotStarted,
    Interrupted,
    Attempt,
    End,
    Publish,
    DueAgain,
    Claim,
    Alive,
    ResultsWritten,
    Stop,
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// Reads the members that follow the word.
    pub(super) fn read<'de, A: MapAccess<'de>>(self, members: A) -> Result<Event, A::Error> {
        let rest = MapAccessDeserializer::new(members);
        Ok(match self {
            Self::Run => Event::Run(Deserialize::deserialize(rest)?),
            Self::Start => Event::Start(Deserialize::deserialize(rest)?),
            Self::NotStarted => Event::NotStarted(Deserialize::deserialize(rest)?),
            Self::Interrupted => Event::Interrupted(Deserialize::deserialize(rest)?),
            Self::Attempt => Event::Attempt(Deserialize::deserialize(rest)?),
            Self::End => Event::End(Deserialize::deserialize(rest)?),
            Self::Publish => Event::Publish(Deserialize::deserialize(rest)?),
            Self::DueAgain => Event::DueAgain(Deserialize::deserialize(rest)?),
            Self::Claim => Event::Claim(Deserialize::deserialize(rest)?),
            Self::Alive => Event::Alive(Deserialize::deserialize(rest)?),
            Self::ResultsWritten => Event::ResultsWritten(Deserialize::deserialize(rest)?),
            Self::Stop => Event::Stop(Deserialize::deserialize(rest)?),
            Self::Unknown => {
                IgnoredAny::deserialize(rest)?;
                Event::Unknown
            }
        })
    }
}

impl Event {
    /// The task that it is about, by its index in the list.
    pub fn index(&self) -> Option<u64> {
        match self {
            Self::Start(begun) => Some(begun.index),
            Self::NotStarted(task) | Self::Interrupted(task) => Some(task.index),
            Self::Attempt(ended) => Some(ended.index),
            Self::End(ended) => Some(ended.index),
            Self::Publish(announced) => Some(announced.index),
            Self::Run(_)
            | Self::DueAgain(_)
            | Self::Claim(_)
            | Self::Alive(_)
            | Self::ResultsWritten(_)
            | Self::Stop(_)
            | Self::Unknown => None,
        }
    }

    /// Which one it is.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Run(_) => EventKind::Run,
            Self::Start(_) => EventKind::Start,
            Self::NotStarted(_) => EventKind::NotStarted,
            Self::Interrupted(_) => EventKind::Interrupted,
            Self::Attempt(_) => EventKind::Attempt,
            Self::End(_) => EventKind::End,
            Self::Publish(_) => EventKind::Publish,
            Self::DueAgain(_) => EventKind::DueAgain,
            Self::Claim(_) => EventKind::Claim,
            Self::Alive(_) => EventKind::Alive,
            Self::ResultsWritten(_) => EventKind::ResultsWritten,
            Self::Stop(_) => EventKind::Stop,
            Self::Unknown => EventKind::Unknown,
        }
    }
}

/// Which process began a launch, and with which settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchBegun {
    /// 1..=`replica_count`.
    pub replica_id: u32,
    /// How many replicas the run has.
    pub replica_count: u32,
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// Whether it holds a lock on its journal, so that on its host a free lock means that it is dead.
    pub locked: bool,
    /// The effective options that are not defaults, by their long names.
    pub options: BTreeMap<String, serde_json::Value>,
    /// What the container may use.
    pub limits: Limits,
    /// Tasks at a time.
    pub jobs: usize,
    /// The small files that the command names, as they are now.
    pub command_files: Vec<NamedFile>,
    /// Entries of the share.
    pub share: u64,
    /// The command as it is typed, where it is not the one that the list keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Whether another container acts as this replica, and finishes what that left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_another: bool,
    /// After how many seconds without growth of its journal others may take its blocks over. `None` if
    /// no other launch takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover_after_s: Option<f64>,
}

impl LaunchBegun {
    /// The tasks that it was told to run again (`--only`), as they were typed.
    pub fn only(&self) -> Option<&str> {
        self.options.get("only")?.as_str()
    }

    /// For how long its journal must not have grown for others to take it for dead; `None` where it does not tell.
    pub fn takeover_after(&self) -> Option<Duration> {
        let told = Duration::try_from_secs_f64(self.takeover_after_s?).ok();
        told.filter(|time| !time.is_zero())
    }

    /// The CPUs that it has; `None` where it does not tell.
    pub fn host_cpus(&self) -> Option<HostCpus> {
        self.process.host_cpus(self.limits.cpu_set?)
    }
}

/// What the container may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// CPUs, by quota and affinity.
    pub cpus: f64,
    /// Bytes of memory, by the cgroup; `None` where it sets no limit.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Stands for the CPUs, by quota and affinity: the same for all who share them on a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_set: Option<u32>,
}

/// An attempt that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptBegun {
    /// The task's index in the list.
    pub index: u64,
    /// Which attempt of the task it is, over all launches, from 1.
    pub attempt: u32,
    /// 1..=jobs.
    pub slot: usize,
    /// Whether nothing else runs beside it, so that a death of the container is its own.
    pub alone: bool,
}

/// The task that an event is about, if the event has no other members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskNamed {
    /// The task's index in the list.
    pub index: u64,
}

/// An attempt that ended.
// Not built from the source structures: serde would first collect flattened members, each in its own allocation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AttemptEnded {
    /// The task's index in the list.
    pub index: u64,
    /// Which attempt of the task it was, from 1.
    pub attempt: u32,
    /// Ok or failed; `None` for a word of a later version.
    #[serde(default, deserialize_with = "known_or_none")]
    pub status: Option<Status>,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// Its process's exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended its process, if one did.
    pub signal: Option<i32>,
    /// Wall time, seconds.
    #[serde(default)]
    pub duration_s: f64,
    /// CPU time, seconds.
    #[serde(default)]
    pub cpu_s: f64,
    /// Resident memory of its largest process, bytes.
    pub max_rss_bytes: Option<u64>,
    /// The most memory that all its processes together were seen to have, bytes; left out if it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree_bytes: Option<u64>,
    /// Where its output is kept.
    pub log: Option<LogSpan>,
    /// Processes it left behind, which were killed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_processes: u32,
}

/// A task that ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnded {
    /// The task's index in the list.
    pub index: u64,
    /// Ok or failed; `None` for a word of a later version.
    #[serde(default, deserialize_with = "known_or_none")]
    pub status: Option<Status>,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// Whether its record replaces that of a failure or a loss: readers of only the end of a journal need it to count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// Whether the task was ok before: another ok record takes the place of the one before, a failure leaves that as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_ok: bool,
    /// Whether it is ok and has no result, although one was expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_result: bool,
    /// Its products, if it has any and is ok.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub products: Option<MadeProducts>,
}

impl TaskEnded {
    /// The state of the task according to it.
    pub fn state(&self) -> TaskState {
        match (self.status, self.cause) {
            (None, _) => TaskState::Unfinished,
            (Some(Status::Ok), _) => TaskState::Ok,
            (Some(Status::Failed), Some(Cause::Lost)) => TaskState::Lost,
            (Some(Status::Failed), _) => TaskState::Failed,
        }
    }

    /// Counts it among tasks that it is one of, by what it says of the record before.
    pub fn count(&self, counts: &mut TaskCounts) {
        let now = self.state();
        if now == TaskState::Unfinished || self.was_ok {
            // What the earlier ok record had of results and products is told by the heartbeat that follows.
            return;
        }
        let before = if self.replaces { TaskState::Failed } else { TaskState::Unfinished };
        counts.change(before, now);
        if now == TaskState::Ok {
            counts.without_result += u64::from(self.no_result);
            counts.products.change(MadeProducts::default(), self.products.unwrap_or_default());
        }
    }
}

/// Tasks that were ok and must be run again because their products are gone or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TasksDueAgain {
    /// Tasks with a missing product.
    #[serde(default)]
    pub gone: IndexRanges,
    /// Tasks with a changed product, if those were asked for.
    #[serde(default)]
    pub changed: IndexRanges,
}

impl TasksDueAgain {
    /// This many ranges, of at most 65 bytes each, make a line that can be read with little memory.
    const MOST_RANGES: usize = 10_000;

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.gone.last().or(self.changed.last()).is_none()
    }

    /// The same, split so that each line is short.
    pub fn in_lines(self) -> impl Iterator<Item = Self> {
        let gone = self.gone.in_parts(Self::MOST_RANGES).map(|gone| Self { gone, ..Self::default() });
        let changed =
            self.changed.in_parts(Self::MOST_RANGES).map(|changed| Self { changed, ..Self::default() });
        gone.chain(changed)
    }

    /// All of them that are among `indices`: an edited line may name any.
    pub fn within(&self, indices: &Range<u64>) -> impl Iterator<Item = u64> + '_ {
        let indices = indices.clone();
        let within = move |tasks: &'_ IndexRanges| tasks.within(indices.clone()).collect::<Vec<_>>();
        [&self.gone, &self.changed].into_iter().flat_map(within)
    }
}

/// A string of JSON, borrowed where it can be.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A status, if it is one that this version knows: the rest of the line still counts.
fn known_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    let Text(word) = Text::deserialize(deserializer)?;
    Ok(Status::deserialize(StrDeserializer::<serde::de::value::Error>::new(&word)).ok())
}

/// A task whose command has ended and whose products are about to get their final names. Of directories these, and no others,
/// may a later attempt of it replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishingBegun {
    /// The task.
    pub index: u64,
    /// The inode numbers of the directories, once they are complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    directories: Vec<u64>,
    /// When they were made; left out if the file system does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    born: Vec<Option<Timestamp>>,
}

impl PublishingBegun {
    /// Of a task's products, of which these are directories.
    pub fn new(index: u64, directories: &[DirectoryId]) -> Self {
        let born = directories.iter().map(|directory| directory.born);
        let is_told = directories.iter().any(|directory| directory.born.is_some());
        Self {
            index,
            directories: directories.iter().map(|directory| directory.inode).collect(),
            born: if is_told { born.collect() } else { Vec::new() },
        }
    }

    /// Those that are directories.
    pub fn directories(&self) -> impl Iterator<Item = DirectoryId> {
        let born = self.born.iter().copied().chain(std::iter::repeat(None));
        self.directories.iter().zip(born).map(|(inode, born)| DirectoryId { inode: *inode, born })
    }
}

/// A claim that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimAnnounced {
    /// Its name.
    pub claim: ClaimName,
}

/// How far a launch is with a block that it has, or may have by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockProgress {
    /// By which claim.
    pub claim: ClaimName,
    /// Tasks of the block; 0 as long as the claim is announced and it is unknown whether it was made.
    pub files: u64,
    /// Those with an ok record, over all launches that had the block.
    pub ok: u64,
    /// Those that failed, or were lost.
    pub failed: u64,
    /// Tasks that this launch still has to run, including running ones.
    pub left: u64,
}

impl BlockProgress {
    /// Of a claim that is about to be made.
    pub fn announced(claim: ClaimName) -> Self {
        Self { claim, files: 0, ok: 0, failed: 0, left: 0 }
    }

    /// Whether the launch has the block, and has not just announced a claim to it.
    pub fn is_held(&self) -> bool {
        self.files > 0
    }
}

/// A heartbeat with the progress of a launch: written when it has read what earlier ones left, every 10 s, and before its stop record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchProgress {
    /// How the tasks of the share stand, or those of the blocks that the launch has had, over this and earlier launches.
    #[serde(flatten)]
    pub counts: TaskCounts,
    /// Tasks that this launch has still to run, those running included.
    pub left: u64,
    /// Attempts running now.
    pub running: usize,
    /// The most memory in use in the container since the heartbeat before, bytes, without cache that can be dropped;
    /// `None` where no limit is visible.
    pub memory_bytes: Option<u64>,
    /// The unfinished blocks that it has, and those that it may have claimed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockProgress>,
    /// Claims that it made, of blocks that it has ended or lost, too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub claims: u64,
}

/// The counts of tasks at an offset of a journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// As in [`LaunchProgress`].
    pub counts: TaskCounts,
    /// Tasks that the launch has still to run.
    pub left: u64,
}

impl LaunchProgress {
    /// The counts of tasks according to it.
    pub fn standing(&self) -> Standing {
        Standing { counts: self.counts, left: self.left }
    }

    /// One attempt less runs.
    pub fn end_attempt(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Names a block, in the place of what it named of the same block before.
    pub fn name_block(&mut self, block: BlockProgress) {
        self.drop_block(block.claim.block);
        self.blocks.push(block);
    }

    /// Removes a block; returns its entry.
    pub fn drop_block(&mut self, block: BlockId) -> Option<BlockProgress> {
        let at = self.blocks.iter().position(|named| named.claim.block == block)?;
        Some(self.blocks.remove(at))
    }
}

/// A results file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultsWritten {
    /// Records in it.
    pub records: u64,
    /// Of those, the ones without a result, although one was expected.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_result: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// BLAKE3 of it, hexadecimal.
    pub blake3: String,
    /// The tasks with a record in it. `None` in journals of version 1, which lack this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<IndexRanges>,
}

impl ResultsWritten {
    /// The tasks with a record in it, if all of `share` are among them, in a list of `count` entries.
    pub fn if_all_of(&self, share: &Share, list: &Range<u64>) -> Option<IndexRanges> {
        if self.tasks.is_none() {
            return (self.records == share.len()).then(|| IndexRanges::of(share.iter()));
        }
        let tasks = self.tasks_within(list)?;
        let mut rest = tasks.iter();
        let mut has_all = || share.iter().all(|index| rest.find(|other| *other >= index) == Some(index));
        has_all().then(|| tasks.clone())
    }

    /// The tasks whose records it has, of a list with these indices. Only an edited line has another number of them, or
    /// indices beyond the list: that is rejected.
    pub fn tasks_within(&self, list: &Range<u64>) -> Option<&IndexRanges> {
        let is_sound = |tasks: &&IndexRanges| {
            tasks.count() == self.records
                && tasks.iter().next().is_none_or(|first| first >= list.start)
                && tasks.last().is_none_or(|last| last < list.end)
        };
        self.tasks.as_ref().filter(is_sound)
    }
}

/// Why a launch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It ran everything that it had to run.
    Done,
    /// A signal.
    Signal,
    /// `--deadline`.
    Deadline,
    /// `--max-failures`.
    MaxFailures,
    /// Results could not be written.
    CannotWrite,
    /// The command can't be started at all.
    CannotStart,
    /// The system stayed short of processes, descriptors or memory.
    Short,
    /// A newer launch of the same replica took over.
    Superseded,
    /// A value of a later version; never written.
    #[serde(other)]
    Other,
}

/// A launch that ended in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    /// Why.
    pub reason: StopReason,
    /// The signal, if it was one.
    pub signal: Option<i32>,
    /// What the process exits with.
    pub exit: i32,
    /// The same as `reason`, in words, if there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What its attempts used; left out where none could begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Box<UsageFigures>>,
    /// The blocks that it had and did not end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockProgress>,
}

fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}

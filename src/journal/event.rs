//! What happens during a launch, as the journal keeps it: plain data. Readers ignore events and fields they don't know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::outcome::{Cause, LogSpan, ProcessEnd, Status, Usage};
use crate::model::provenance::NamedFile;
use crate::model::provenance::Process;
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
    NotStarted(NotStarted),
    /// An attempt was stopped with the launch: whatever becomes of that, its task is not what ended it.
    Interrupted(Interrupted),
    /// An attempt ended.
    Attempt(AttemptEnded),
    /// A task ended; its record stands beside this in the same line.
    End(TaskEnded),
    /// The launch is at work.
    Alive(Totals),
    /// The results file was written.
    ResultsWritten(ResultsWritten),
    /// The launch ended in order.
    Stop(Stopped),
}

/// Who began a launch, and with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchBegun {
    /// 1..=`replica_count`.
    pub replica_id: u32,
    /// How many replicas the run has.
    pub replica_count: u32,
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// Whether it holds a lock on its journal, so that on its host a free lock tells its death.
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
}

/// What the container may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// CPUs, by quota and affinity.
    pub cpus: f64,
    /// Bytes of memory, by the cgroup; `None` where it sets no limit.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
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

/// An attempt that was announced and did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotStarted {
    /// The task's index in the list.
    pub index: u64,
}

/// An attempt that was stopped with the launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    /// The task's index in the list.
    pub index: u64,
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptEnded {
    /// The task's index in the list.
    pub index: u64,
    /// Which attempt of the task it was, from 1.
    pub attempt: u32,
    /// Ok or failed.
    pub status: Status,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// How its process ended.
    #[serde(flatten)]
    pub end: ProcessEnd,
    /// What it used.
    #[serde(flatten)]
    pub usage: Usage,
    /// The most memory that all its processes together were seen to have, bytes; left out where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_bytes: Option<u64>,
    /// Where its output is kept.
    pub log: Option<LogSpan>,
    /// Processes it left behind, which were killed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_processes: u32,
}

/// A task that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnded {
    /// The task's index in the list.
    pub index: u64,
    /// Ok or failed.
    pub status: Status,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// Whether its record takes the place of a failure's, or of a loss: who reads only the end of a journal counts by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// Whether it is ok and has no result, although one was expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_result: bool,
}

/// How far a launch is: written when it has read what earlier ones left, every 10 s, and before its last words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Tasks of the share with an ok record, of this and earlier launches.
    pub ok: u64,
    /// Tasks of the share whose newest record is a failure.
    pub failed: u64,
    /// Of those that are ok, the ones without a result, although one was expected.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_result: u64,
    /// Tasks without a record that this launch has still to run, those running included.
    pub left: u64,
    /// Attempts running now.
    pub running: usize,
    /// The most memory in use in the container since the sign before, bytes, without cache that can be dropped; `None`
    /// where no limit is visible.
    pub memory_bytes: Option<u64>,
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
}

/// Why a launch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It ran all it had to run.
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
    /// One that a later version tells apart; never written.
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
    /// What its attempts used; left out where none could begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Box<UsageFigures>>,
}

fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}

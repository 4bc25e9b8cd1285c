//! The proof of completeness: plain data about what was found, for people, scripts and exit codes.

use serde::Serialize;

use crate::merge::product_check::ProductCheck;
use crate::model::counts::TaskCounts;
use crate::model::failures::{self, FailureGroup};
use crate::record::command_files::{CommandRecords, FileVersions};
use crate::record::family::ContinuingRun;

/// What a merge found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Proof {
    /// It is proven: every file of every list has a record, and every results file could be read.
    pub complete: bool,
    /// There was a list to prove that against.
    pub proven: bool,
    /// The counts of the entries of all lists together.
    #[serde(flatten)]
    pub counts: TaskCounts,
    /// Of all, those without a record.
    pub missing: u64,
    /// Records of files without a known list, such as Python's.
    pub foreign: u64,
    /// Records left out since another one of the same task is better or newer.
    pub repeated: u64,
    /// Of runs that share their work, tasks that several replicas ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_twice: Option<u64>,
    /// Records left out since they are of another run than the list beside them.
    pub of_other_runs: u64,
    /// NaN and Infinity that became null in this merge.
    pub non_finite: u64,
    /// Replicas that have files without a record.
    pub missing_replicas: Vec<MissingReplica>,
    /// Runs of files that came since, which are not merged with those that they continue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub continued_by: Vec<ContinuingRun>,
    /// Results files that could not be read to their end; nothing of them was merged.
    pub broken: Vec<BrokenFile>,
    /// Directories that could not be read when the list was made.
    pub unreadable: Vec<String>,
    /// Lines of journals that were passed over, and the like.
    pub problems: Vec<String>,
    /// Failures by cause and last line, most first.
    #[serde(serialize_with = "failures::serialize_files")]
    pub failures: Vec<FailureGroup>,
    /// The results directories that these failures come from.
    #[serde(skip)]
    pub failed_in: Vec<String>,
    /// Ok records that replicas made, by the contents of the files that the command names.
    pub command_files: Vec<FileVersions>,
    /// Ok records that replicas made, by the command that made them.
    pub commands: Vec<CommandRecords>,
    /// The result of comparing products with their records, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_check: Option<ProductCheck>,
    /// For one run: the journals it was made of, in 16 digits that change when any of them grows or one is added.
    pub journals: Option<String>,
}

/// A replica that has files without a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingReplica {
    /// The results directory.
    pub results_dir: String,
    /// Which replica.
    pub replica_id: u32,
    /// Whether anything is heard of it.
    pub state: Heard,
    /// Its files without a record.
    pub missing: u64,
    /// The first few of them.
    pub examples: Vec<String>,
    /// In a run that shares its work, which replicas have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<MissingPart>,
    /// Whether a running replica will run them.
    #[serde(skip)]
    pub is_waited_for: bool,
}

/// Files without a record that are in the same hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingPart {
    /// The replica that claimed them last; `None` if none has, or it is unknown.
    pub replica_id: Option<u32>,
    /// Whether anything is heard of it.
    pub state: Option<Heard>,
    /// How many.
    pub missing: u64,
}

/// Whether anything is heard of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// It is running.
    Running,
    /// It began and ended, or was lost.
    Stopped,
    /// It never began.
    NeverStarted,
}

impl Heard {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Running => "is running",
            Self::Stopped => "stopped",
            Self::NeverStarted => "never started",
        }
    }
}

/// A file that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenFile {
    /// Which.
    pub file: String,
    /// Where and why.
    pub why: String,
}

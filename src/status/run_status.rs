//! What is known about a run: plain data, printed unchanged with `--json`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::journal::event::StopReason;
use crate::model::counts::TaskCounts;
use crate::model::rate::time_left;
use crate::record::command_files::FileVersions;
use crate::record::family::ContinuingRun;
use crate::record::inputs::{FoundRun, Header, InputSpec, SourceRun};
use crate::units;

/// How far a run is: the object that `status --json` prints. Members are added in later versions and never change their
/// meaning within one `v`; what is not known is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunStatus {
    /// Always `canfar-run status`.
    pub format: &'static str,
    /// Major version: 1.
    pub v: u32,
    /// Run id.
    pub run: String,
    /// The results directory.
    pub dir: String,
    /// When the list was published, RFC 3339.
    pub created_at: String,
    /// Entries of the list.
    pub files: u64,
    /// The runs with the products that are the entries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_from: Vec<InputRun>,
    /// The runs of files that came since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub continued_by: Vec<ContinuingRun>,
    /// Whether every file has a record, ok or failed.
    pub complete: bool,
    /// All replicas together.
    pub totals: StatusTotals,
    /// Replicas that have files without a record and are not running. In a run that shares its work, while no replica is running: those
    /// with such files in their shares.
    pub without_owner: Vec<u32>,
    /// Who has what, in a run that shares its work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<SharingStatus>,
    /// Ok records by the contents of the files that the command names.
    pub command_files: Vec<FileVersions>,
    /// One for each replica, in the order of their ids. Those above the count of shares were added to the run.
    pub replicas: Vec<ReplicaStatus>,
}

/// A run with products that are entries of another one, in its state when they were listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputRun {
    /// Its results directory.
    pub results_dir: String,
    /// What was found there.
    #[serde(flatten)]
    pub found: FoundRun,
}

impl InputRun {
    /// The runs of a list.
    pub(super) fn all(header: &Header) -> Vec<Self> {
        let InputSpec::Products { runs, .. } = &header.source else { return Vec::new() };
        let input_run = |run: &SourceRun| {
            Some(Self { results_dir: units::path(&run.results_dir.0), found: run.found.clone()? })
        };
        runs.iter().filter_map(input_run).collect()
    }
}

/// Who has what, in a run that shares its work.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SharingStatus {
    /// Files that no replica has claimed yet.
    pub unclaimed: u64,
    /// Files that a replica other than the planned one has.
    pub moved: u64,
    /// Files in blocks that were taken over from a launch that had ended or died.
    pub taken_over: u64,
    /// Replicas with a results file that lacks records, or has some of another replica, while no replica is running that would
    /// write it again.
    pub results_to_write: Vec<u32>,
    /// Each share.
    pub shares: Vec<ShareHoldings>,
}

/// A share: what is left of it, and which replicas have it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ShareHoldings {
    /// Which, from 1.
    pub share: u32,
    /// Its files.
    pub files: u64,
    /// Files without a record.
    pub left: u64,
    /// Files that no replica has claimed yet.
    pub unclaimed: u64,
    /// Files in blocks that are ended.
    pub ended: u64,
    /// Files in blocks that were taken over.
    pub taken_over: u64,
    /// The replicas that have some of its blocks.
    pub held_by: Vec<HeldPart>,
}

/// What a replica has of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HeldPart {
    /// Which; `None` where a claim can't be read.
    pub replica_id: Option<u32>,
    /// Files that it has.
    pub files: u64,
    /// Files of these without a record.
    pub left: u64,
}

/// All replicas together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StatusTotals {
    /// The counts of its files.
    #[serde(flatten)]
    pub counts: TaskCounts,
    /// Files without a record.
    pub left: u64,
    /// Tasks running now.
    pub running: u64,
    /// Tasks that end per second, of all running replicas with a known rate.
    pub rate_per_s: Option<f64>,
    /// Seconds until the slowest running replica has finished, or, if they share the work, until all have; null while that is
    /// unknown for one of them, and if files are left without a running replica.
    pub eta_s: Option<f64>,
    /// How many replicas are in which state; empty states are left out.
    pub states: BTreeMap<ReplicaState, u64>,
}

/// What a replica is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// It is running.
    Running,
    /// It died: no heartbeat; the journal has no stop record and no longer grows.
    Silent,
    /// Its last launch ended at once, before any task: it can't start, or can't write.
    Refused,
    /// It ended in order with files left.
    Stopped,
    /// Its journals can't be read.
    Unreadable,
    /// It never began.
    Waiting,
    /// It is not running, and all of its files have a record.
    Done,
}

impl ReplicaState {
    /// All of them, in display order.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Silent,
        Self::Refused,
        Self::Stopped,
        Self::Unreadable,
        Self::Waiting,
        Self::Done,
    ];
}

/// Its name in files.
impl std::fmt::Display for ReplicaState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(out)
    }
}

/// One replica: its newest launch, and how its share, or what it has, stands over all of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplicaStatus {
    /// Which, from 1.
    pub replica_id: u32,
    /// What it is at.
    pub state: ReplicaState,
    /// Its newest launch, from 1.
    pub launch: Option<u32>,
    /// Where that runs or ran.
    pub host: Option<String>,
    /// The platform's session id, for `canfar events` and `canfar logs`.
    pub session_id: Option<String>,
    /// Its process, in its own PID namespace.
    pub pid: Option<u32>,
    /// When it began, by its own clock, RFC 3339.
    pub started_at: Option<String>,
    /// Seconds since its journal grew, by the file server's clock, or by that of this host as long as it watches.
    pub last_sign_age_s: Option<f64>,
    /// The counts of its files: those of its share, or of the blocks that it has.
    #[serde(flatten)]
    pub counts: TaskCounts,
    /// Files without a record.
    pub left: u64,
    /// Tasks running now.
    pub running: u64,
    /// Tasks that end per second: over the last minute where at least ten did, else over the launch.
    pub rate_per_s: Option<f64>,
    /// Seconds until it has run all tasks of this launch, including failed tasks that are run again; null in a run that
    /// shares its work, where it continues with what others have left.
    pub eta_s: Option<f64>,
    /// Why the launch ended, if it ended in order.
    pub reason: Option<StopReason>,
    /// The signal, if that was why.
    pub signal: Option<i32>,
    /// What its process exited with, if it ended in order.
    pub exit: Option<i32>,
    /// Why the launch ended, by its journal, or why its journals can't be read.
    pub said: Option<String>,
}

impl RunStatus {
    /// Whether any replica is running.
    pub fn is_at_work(&self) -> bool {
        self.totals.states.contains_key(&ReplicaState::Running)
    }

    /// Replicas in a state.
    pub fn count(&self, state: ReplicaState) -> u64 {
        self.totals.states.get(&state).copied().unwrap_or(0)
    }

    /// What has to differ for a new state to be printed without redrawing: not merely the elapsed time.
    pub fn has_moved_since(&self, before: &Self) -> bool {
        let moves = |figures: &Self| -> Vec<_> {
            let of_one =
                |replica: &ReplicaStatus| (replica.state, replica.launch, replica.counts, replica.running);
            figures.replicas.iter().map(of_one).collect()
        };
        moves(self) != moves(before)
    }
}

impl StatusTotals {
    pub(super) fn of(replicas: &[ReplicaStatus]) -> Self {
        let is_owned =
            replicas.iter().all(|replica| replica.left == 0 || replica.state == ReplicaState::Running);
        let at_work = replicas.iter().filter(|replica| replica.state == ReplicaState::Running);
        let slowest =
            at_work.map(|replica| replica.eta_s).try_fold(0.0, |slowest: f64, eta| Some(slowest.max(eta?)));
        let totals = Self::sum(replicas);
        let is_running = totals.states.contains_key(&ReplicaState::Running);
        Self { eta_s: slowest.filter(|_| is_owned && is_running), ..totals }
    }

    /// The totals of a run of this many files with shared work: all files without a record are left. `unreadable`: the
    /// counts of those with an unknown owner.
    pub(super) fn of_shared_work(replicas: &[ReplicaStatus], files: u64, unreadable: TaskCounts) -> Self {
        let totals = Self::sum(replicas);
        let counts = TaskCounts { files, ..[totals.counts, unreadable].into_iter().sum() };
        let left = counts.unfinished();
        let is_running = totals.states.contains_key(&ReplicaState::Running);
        let time = time_left(left, totals.rate_per_s).filter(|_| is_running);
        Self { counts, left, eta_s: time.map(|time| time.as_secs_f64().round()), ..totals }
    }

    fn sum(replicas: &[ReplicaStatus]) -> Self {
        let sum = |of: fn(&ReplicaStatus) -> u64| replicas.iter().map(of).sum();
        let mut states = BTreeMap::new();
        replicas.iter().for_each(|replica| *states.entry(replica.state).or_default() += 1);
        let at_work = replicas.iter().filter(|replica| replica.state == ReplicaState::Running);
        let rates: Vec<f64> = at_work.filter_map(|replica| replica.rate_per_s).collect();
        Self {
            counts: replicas.iter().map(|replica| replica.counts).sum(),
            left: sum(|replica| replica.left),
            running: sum(|replica| replica.running),
            rate_per_s: (!rates.is_empty()).then(|| rates.iter().sum()),
            eta_s: None,
            states,
        }
    }
}

//! Polls a run: what is known about each journal is kept, and only what was added to it is read.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::exit_code::CannotGoOn;
use crate::journal::launches::all_launches;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::model::blocks::Blocks;
use crate::model::provenance::Process;
use crate::model::shares::Share;
use crate::record::command_files::RecordsByContent;
use crate::record::family::{ChildRun, descendants};
use crate::record::inputs::{Header, InputList};
use crate::sharing::ledger::BlockLedger;
use crate::sharing::peers::TAKEOVER_AFTER;
use crate::status::replica::{ReplicaMonitor, StatusLook};
use crate::status::run_status::{InputRun, ReplicaState, ReplicaStatus, RunStatus, StatusTotals};
use crate::status::shared_work::{SharedFigures, SharedWorkMonitor};
use crate::store::layout::Layout;
use crate::store::server_clock::now_as_good_as_known;
use crate::threads::CpuPool;
use crate::units;

/// An existing run.
#[derive(Debug)]
pub struct MonitoredRun {
    layout: Layout,
    /// Without its pieces, which may be many.
    header: Header,
    /// The list's inode and when it was written: another one is another run.
    list: (u64, i64, i64),
    shares: Vec<Share>,
    /// How these are cut, where the run shares its work.
    blocks: Option<Blocks>,
}

/// Polls a run.
#[derive(Debug)]
pub struct RunMonitor<'a> {
    run: &'a MonitoredRun,
    /// By their ids.
    replicas: Vec<ReplicaMonitor>,
    shared: Option<SharedWorkMonitor<'a>>,
    me: Process,
    timeout: Duration,
    crew: CpuPool,
    has_looked: bool,
}

impl MonitoredRun {
    /// The run in a results directory.
    ///
    /// # Errors
    /// When there is none, or its list can't be read.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let layout = Layout::new(root);
        let Some(list) = InputList::open(&layout)? else {
            let hint = if layout.listing().exists() {
                "; its files are still being listed: try again when that is done"
            } else {
                ": is it the directory given with --results-dir? A run is there once its first replica has listed the files"
            };
            bail!("{} holds no run (no inputs.jsonl){hint}", root.display());
        };
        Ok(Self {
            shares: list.shares()?,
            blocks: list.has_balance().then(|| list.blocks()).transpose()?,
            header: Header { pieces: Vec::new(), ..list.header().clone() },
            list: identity(&layout)?,
            layout,
        })
    }

    /// What checks it. A launch without a timeout of its own counts as dead after that of `times`, or
    /// after that of a run with shared work.
    pub fn monitor(&self, times: HeartbeatTimes) -> RunMonitor<'_> {
        let me = Process::current(None);
        let ledger = |blocks| BlockLedger::new(&self.layout, &self.header.run, blocks, me.clone());
        RunMonitor {
            run: self,
            replicas: (1..)
                .zip(self.shares.clone())
                .map(|(id, share)| ReplicaMonitor::new(id, share))
                .collect(),
            shared: self.blocks.as_ref().map(|blocks| SharedWorkMonitor::new(blocks, ledger(blocks))),
            timeout: if self.blocks.is_some() { TAKEOVER_AFTER } else { times.timeout },
            me,
            crew: CpuPool::gather(),
            has_looked: false,
        }
    }
}

impl RunMonitor<'_> {
    /// How far the run is now.
    ///
    /// # Errors
    /// When the folder of journals can't be read, or another run took this one's place.
    pub fn look(&mut self) -> anyhow::Result<RunStatus> {
        let MonitoredRun { layout, header, list, blocks, .. } = self.run;
        if self.has_looked && identity(layout)? != *list {
            let root = layout.root().display();
            bail!(CannotGoOn(format!("the run {} in {root} was moved away in the meantime", header.run)));
        }
        let accounts = self.shared.as_mut().map(SharedWorkMonitor::look).transpose()?;
        let launches = all_launches(layout)?;
        let me = self.me.clone();
        let look = StatusLook {
            layout,
            header,
            me: &me,
            blocks: blocks.as_ref(),
            timeout: self.timeout,
            // Later, this host's own clock shows what has not grown since.
            server_now: now_as_good_as_known(layout.root()),
            now: Instant::now(),
        };
        if self.shared.is_some() {
            self.meet(launches.keys().copied());
        }
        let of = |id| launches.get(&id).map(Vec::as_slice).unwrap_or_default();
        self.crew.map(self.replicas.iter_mut().collect(), |replica: &mut ReplicaMonitor| {
            replica.look(of(replica.id()), &look);
        });
        self.has_looked = true;
        match (&mut self.shared, accounts) {
            (Some(shared), Some(accounts)) => {
                let figures = shared.figures(accounts, &mut self.replicas, &look, &self.crew)?;
                Ok(self.of_shared_work(figures))
            }
            _ => Ok(self.of_shares(&look)),
        }
    }

    /// Adds replicas that joined the run.
    fn meet(&mut self, ids: impl Iterator<Item = u32>) {
        for id in ids {
            if let Err(place) = self.replicas.binary_search_by_key(&id, ReplicaMonitor::id) {
                self.replicas.insert(place, ReplicaMonitor::new(id, Share::Range(0..0)));
            }
        }
    }

    fn of_shares(&self, look: &StatusLook<'_>) -> RunStatus {
        let replicas: Vec<_> = self.replicas.iter().map(|replica| replica.of_share(look)).collect();
        let totals = StatusTotals::of(&replicas);
        let is_unowned =
            |replica: &&ReplicaStatus| replica.left > 0 && replica.state != ReplicaState::Running;
        RunStatus {
            complete: totals.left == 0 && !totals.states.contains_key(&ReplicaState::Unreadable),
            without_owner: replicas.iter().filter(is_unowned).map(|replica| replica.replica_id).collect(),
            ..self.status(totals, replicas)
        }
    }

    fn of_shared_work(&self, figures: SharedFigures) -> RunStatus {
        let SharedFigures { replicas, sharing, unreadable, is_recorded } = figures;
        let totals = StatusTotals::of_shared_work(&replicas, self.run.header.count, unreadable);
        let is_at_work = totals.states.contains_key(&ReplicaState::Running);
        let unfinished = sharing.shares.iter().filter(|share| share.left > 0 && !is_at_work);
        RunStatus {
            complete: is_recorded && !totals.states.contains_key(&ReplicaState::Unreadable),
            without_owner: unfinished.map(|share| share.share).collect(),
            sharing: Some(sharing),
            ..self.status(totals, replicas)
        }
    }

    fn status(&self, totals: StatusTotals, replicas: Vec<ReplicaStatus>) -> RunStatus {
        let mut command_files = RecordsByContent::default();
        for (replica, row) in self.replicas.iter().zip(&replicas) {
            command_files.join(replica.records_by_content(row.counts.ok));
        }
        let header = &self.run.header;
        RunStatus {
            format: "canfar-run status",
            v: 1,
            run: header.run.clone(),
            dir: units::path(self.run.layout.root()),
            created_at: header.created_at.clone(),
            files: header.count,
            input_from: InputRun::all(header),
            continued_by: descendants(&self.run.layout, &header.run).iter().map(ChildRun::told).collect(),
            complete: false,
            totals,
            without_owner: Vec::new(),
            sharing: None,
            command_files: command_files.told(),
            replicas,
        }
    }
}

fn identity(layout: &Layout) -> anyhow::Result<(u64, i64, i64)> {
    let path = layout.inputs();
    let metadata = std::fs::metadata(&path).with_context(|| {
        format!("the input list {} is gone: was the run moved away (`canfar-run reset`)?", path.display())
    })?;
    Ok((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}

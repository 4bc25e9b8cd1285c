//! A run, looked at again and again: what is known of each journal is kept, and only what was added to it is read.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::exit_code::CannotGoOn;
use crate::journal::launches::all_launches;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::model::provenance::Process;
use crate::record::command_files::RecordsByContent;
use crate::record::inputs::{Header, InputList};
use crate::status::replica::{ReplicaMonitor, StatusLook};
use crate::status::run_status::{ReplicaState, ReplicaStatus, RunStatus, StatusTotals};
use crate::store::layout::Layout;
use crate::store::server_clock::now_as_good_as_known;
use crate::threads::CpuPool;
use crate::units;

/// A run that is looked at.
#[derive(Debug)]
pub struct RunMonitor {
    layout: Layout,
    /// Without its pieces, which may be many.
    header: Header,
    /// The list's inode and when it was written: another one is another run.
    list: (u64, i64, i64),
    replicas: Vec<ReplicaMonitor>,
    me: Process,
    timeout: Duration,
    crew: CpuPool,
    has_looked: bool,
}

impl RunMonitor {
    /// Of the run in a results directory.
    ///
    /// # Errors
    /// When there is none, or its list can't be read.
    pub fn open(root: &Path, times: HeartbeatTimes) -> anyhow::Result<Self> {
        let layout = Layout::new(root);
        let Some(list) = InputList::open(&layout)? else {
            let hint = if layout.listing().exists() {
                "; its files are being listed: look again when that is done"
            } else {
                ": is it the directory given with --results-dir? A run is there once its first replica has listed the files"
            };
            bail!("{} holds no run (no inputs.jsonl){hint}", root.display());
        };
        let shares = list.shares()?;
        let header = Header { pieces: Vec::new(), ..list.header().clone() };
        Ok(Self {
            list: identity(&layout)?,
            layout,
            header,
            replicas: (1..).zip(shares).map(|(id, share)| ReplicaMonitor::new(id, share)).collect(),
            me: Process::current(None),
            timeout: times.timeout,
            crew: CpuPool::gather(),
            has_looked: false,
        })
    }

    /// How far the run is now.
    ///
    /// # Errors
    /// When the folder of journals can't be read, or another run took this one's place.
    pub fn look(&mut self) -> anyhow::Result<RunStatus> {
        if self.has_looked && identity(&self.layout)? != self.list {
            let root = self.layout.root().display();
            bail!(CannotGoOn(format!("the run {} in {root} was moved away meanwhile", self.header.run)));
        }
        let launches = all_launches(&self.layout)?;
        let look = StatusLook {
            layout: &self.layout,
            header: &self.header,
            me: &self.me,
            timeout: self.timeout,
            // Later on this host's own clock tells what has not grown since.
            server_now: now_as_good_as_known(self.layout.root()),
            now: Instant::now(),
        };
        let of = |id| launches.get(&id).map(Vec::as_slice).unwrap_or_default();
        let replicas = (1..).zip(&mut self.replicas).map(|(id, replica)| (of(id), replica));
        let looked = self.crew.map(replicas.collect(), |(launches, replica)| {
            let figures = replica.look(launches, &look);
            let records = replica.records_by_content(figures.counts.ok);
            (figures, records)
        });
        self.has_looked = true;
        let (replicas, records): (Vec<_>, Vec<_>) = looked.into_iter().unzip();
        Ok(self.figures(replicas, records))
    }

    fn figures(&self, replicas: Vec<ReplicaStatus>, records: Vec<RecordsByContent>) -> RunStatus {
        let mut command_files = RecordsByContent::default();
        records.into_iter().for_each(|records| command_files.join(records));
        let totals = StatusTotals::of(&replicas);
        let is_unowned =
            |replica: &&ReplicaStatus| replica.left > 0 && replica.state != ReplicaState::Running;
        RunStatus {
            format: "canfar-run status",
            v: 1,
            run: self.header.run.clone(),
            dir: units::path(self.layout.root()),
            created_at: self.header.created_at.clone(),
            files: self.header.count,
            complete: totals.left == 0 && !totals.states.contains_key(&ReplicaState::Unreadable),
            totals,
            without_owner: replicas.iter().filter(is_unowned).map(|replica| replica.replica_id).collect(),
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

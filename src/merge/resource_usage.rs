//! What the launches of the merged runs used, according to their stop records: no task record is read for it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::journal::launches::all_launches;
use crate::journal::state::JournalState;
use crate::journal::tail;
use crate::merge::input::{MergeDirectory, MergeInputKind};
use crate::model::counts::TaskState;
use crate::model::cpu_sharing::CpuSharing;
use crate::model::shares::Share;
use crate::model::usage::{UsageFigures, UsageJson};
use crate::record::command_files::{CommandRecords, FileVersions, LaunchHeads, RecordsByContent};
use crate::threads::CpuPool;

/// What was used.
#[derive(Debug, Default)]
pub struct ResourceUsage {
    /// Usage by launches that ended with a stop record.
    pub figures: UsageFigures,
    /// Launches without a stop record: they died, or are running.
    pub untold: u64,
}

/// The same as it is printed.
#[derive(Debug, Serialize)]
pub(super) struct ResourceUsageJson {
    #[serde(flatten)]
    told: UsageJson,
    /// Launches that are not counted in.
    launches_untold: u64,
}

/// Reads it from all launches. Unreadable ones are not counted: they are reported elsewhere if it matters.
pub(super) fn effort(directories: &[MergeDirectory]) -> ResourceUsage {
    let (mut effort, mut uses) = (ResourceUsage::default(), Vec::new());
    for directory in directories {
        let (Some(run), Ok(launches)) = (directory.run(), all_launches(&directory.layout)) else { continue };
        let journals: Vec<_> = launches
            .into_iter()
            .flat_map(|(id, launches)| launches.into_iter().map(move |launch| (id, launch)))
            .map(|(id, launch)| directory.layout.journal(id, launch))
            .collect();
        let ends = CpuPool::gather().map(journals, |journal| {
            let end = tail::last_words(&journal).ok().flatten().filter(|end| end.run == run)?;
            let begun = end.stop.figures.as_ref().and_then(|_| tail::begun(&journal).ok().flatten());
            Some((end.stop.figures, begun.and_then(|begun| begun.host_cpus())))
        });
        for end in ends {
            match end {
                Some((Some(figures), cpus)) => {
                    effort.figures.add(&figures);
                    uses.push(figures.cpu_use(cpus));
                }
                Some((None, _)) => {}
                None => effort.untold += 1,
            }
        }
    }
    effort.figures.share_cpus(CpuSharing::of(uses));
    effort
}

/// By what the ok records of replicas were made.
#[derive(Debug, Default)]
pub(super) struct RecordOrigins {
    pub(super) files: Vec<FileVersions>,
    pub(super) commands: Vec<CommandRecords>,
}

/// How many ok records the replicas made by which contents of the files that their command names, and by which command.
pub(super) fn record_origins(directories: &[MergeDirectory]) -> RecordOrigins {
    let mut all = RecordsByContent::default();
    let mut commands: BTreeMap<String, u64> = BTreeMap::new();
    for directory in directories {
        let records = records_by_content(directory);
        let of_run =
            directory.list.as_ref().map(|list| list.header().command.to_string()).unwrap_or_default();
        for told in records.clone().commands(&of_run) {
            *commands.entry(told.command).or_default() += told.records;
        }
        all.join(records);
    }
    let commands = commands.into_iter().map(|(command, records)| CommandRecords { command, records });
    let mut commands: Vec<CommandRecords> = commands.collect();
    commands.sort_by_key(|told| Reverse(told.records));
    RecordOrigins { files: all.told(), commands }
}

fn records_by_content(directory: &MergeDirectory) -> RecordsByContent {
    let launches = all_launches(&directory.layout).unwrap_or_default();
    let records = CpuPool::gather().map(directory.parts.iter().collect(), |part| match &part.kind {
        MergeInputKind::Verified { replica_id, tasks, .. } => {
            let launches = launches.get(replica_id).map(Vec::as_slice).unwrap_or_default();
            let heads = LaunchHeads::read(&directory.layout, *replica_id, launches);
            let state = heads.has_retries().then(|| directory.state(*replica_id, &Share::Range(0..0)));
            match state {
                Some(Ok(state)) => by_launch(&state),
                Some(Err(_)) | None => heads.records(tasks.count()),
            }
        }
        MergeInputKind::Journals { state, .. } => by_launch(state),
        MergeInputKind::Unreadable { .. } | MergeInputKind::File => RecordsByContent::default(),
    });
    records.into_iter().fold(RecordsByContent::default(), |mut all, records| {
        all.join(records);
        all
    })
}

/// The same for the launches with journals that were read.
fn by_launch(state: &JournalState) -> RecordsByContent {
    let mut ok: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for (_, note) in state.tasks.all().filter(|(_, note)| note.state == TaskState::Ok) {
        *ok.entry(note.made_by()).or_default() += 1;
    }
    let mut records = RecordsByContent::default();
    for launch in &state.launches {
        let made = ok.get(&(launch.replica, launch.number)).copied().unwrap_or(0);
        launch.begun.iter().for_each(|begun| records.add(begun, made));
    }
    records
}

impl ResourceUsage {
    pub(super) fn told(&self) -> ResourceUsageJson {
        ResourceUsageJson { told: self.figures.told(), launches_untold: self.untold }
    }
}

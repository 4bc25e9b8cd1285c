//! Which other launches had the CPUs of one that ends, as the journals tell.

use std::path::{Path, PathBuf};

use crate::journal::launches::all_launches;
use crate::journal::tail;
use crate::launch::Launcher;
use crate::liveness::probe::liveness_without_end;
use crate::liveness::watch::Liveness;
use crate::model::cpu_sharing::{CpuSharing, CpuUse, HostCpus};
use crate::model::provenance::Process;
use crate::model::usage::UsageFigures;
use crate::store::regular;
use crate::threads::CpuPool;

/// Journals of so many replicas before and after this one are looked at. Those that are started together on one host have
/// numbers close to each other, and a run of thousands is not read for a line of advice.
const NEAREST: usize = 32;

impl Launcher<'_> {
    /// How launches of this run shared CPUs while one went on that has just ended; `None` where that can't be told.
    pub(super) fn cpu_sharing(&self, launch: u32, figures: &UsageFigures) -> Option<CpuSharing> {
        let me = Process::current(None);
        let own = figures.cpu_use(Some(me.host_cpus(self.config.cpu_set?)?));
        let cpus = own.cpus.as_ref()?;
        let others = CpuPool::for_storage()
            .map(self.journals_near(launch)?, |journal| use_beside(&journal, &own, cpus, &me));
        Some(CpuSharing::of(others.into_iter().flatten().chain([own.clone()])))
    }

    /// The newest journals of the nearest replicas, without that of `launch`.
    fn journals_near(&self, launch: u32) -> Option<Vec<PathBuf>> {
        let launches = all_launches(self.layout).ok()?;
        let before = launches.range(..self.id()).rev().take(NEAREST);
        let near = before.chain(launches.range(self.id()..).take(NEAREST + 1));
        let journals =
            near.flat_map(|(id, launches)| launches.iter().rev().take(2).map(|launch| (*id, *launch)));
        let others = journals.filter(|one| *one != (self.id(), launch));
        Some(others.map(|(id, launch)| self.layout.journal(id, launch)).collect())
    }
}

/// When the launch of a journal had the same CPUs, as far as that was meanwhile.
fn use_beside(journal: &Path, own: &CpuUse, cpus: &HostCpus, me: &Process) -> Option<CpuUse> {
    let head = tail::head(&regular::open(journal).ok()?).ok()??;
    if head.begun.host_cpus().as_ref() != Some(cpus) {
        return None;
    }
    let used = match tail::last_words(journal).ok()? {
        Some(words) => words.stop.figures?.cpu_use(Some(cpus.clone())),
        None if liveness_without_end(journal, Some(&head.begun), me) == Liveness::Alive => {
            let begun_s = head.at?.instant()?.as_duration().as_secs_f64();
            CpuUse { begun_s, ..own.clone() }
        }
        None => return None,
    };
    let (begun_s, ended_s) = (used.begun_s.max(own.begun_s), used.ended_s.min(own.ended_s));
    (begun_s < ended_s).then_some(CpuUse { begun_s, ended_s, ..used })
}

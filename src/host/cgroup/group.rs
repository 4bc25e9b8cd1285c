//! The limits of the groups this process is in. All levels count: a group can't use more than its parents may.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::memory::MemoryGroup;
use super::place::{CgroupPlace, CgroupVersion, Tables, read};
use crate::host::procfs;

/// The control groups this process is in, of version 1, 2 or both.
#[derive(Debug)]
pub struct Cgroup {
    root: PathBuf,
    cpu: Option<CgroupPlace>,
    memory: Option<CgroupPlace>,
    pids: Option<CgroupPlace>,
}

impl Cgroup {
    /// The groups that the kernel reports for this process.
    pub fn of_this_process() -> Self {
        Self::below(Path::new("/"))
    }

    /// The same with all of `/proc` and `/sys/fs/cgroup` below another root, for tests.
    pub fn below(root: &Path) -> Self {
        let tables = Tables::read(root);
        Self {
            root: root.to_owned(),
            cpu: tables.place("cpu"),
            memory: tables.place("memory"),
            pids: tables.place("pids"),
        }
    }

    /// CPUs by quota, `None` where none is set. A fraction where the quota is one.
    pub fn cpu_quota(&self) -> Option<f64> {
        self.tightest_quota().map(|(quota, _)| quota)
    }

    /// The number by which the kernel knows the group that sets the quota; `None` where none is set.
    pub fn cpu_quota_group(&self) -> Option<u64> {
        let (_, group) = self.tightest_quota()?;
        std::fs::metadata(group).ok().map(|group| group.ino())
    }

    /// The smallest quota of all levels, and the group that sets it.
    fn tightest_quota(&self) -> Option<(f64, &Path)> {
        let place = self.cpu.as_ref()?;
        let quotas = place.levels.iter().filter_map(|level| {
            let cpus = match place.version {
                CgroupVersion::V1 => {
                    quota(&read(level, "cpu.cfs_quota_us")?, &read(level, "cpu.cfs_period_us")?)
                }
                CgroupVersion::V2 => {
                    let text = read(level, "cpu.max")?;
                    let (quota_text, period) = text.split_once(' ')?;
                    quota(quota_text, period)
                }
            };
            Some((cpus?, level.as_path()))
        });
        quotas.min_by(|(one, _), (other, _)| one.total_cmp(other))
    }

    /// The memory it may use, `None` where that is all the machine has.
    pub fn memory(&self) -> Option<MemoryGroup> {
        MemoryGroup::of(self.memory.as_ref()?, self.machine_memory())
    }

    /// The machine's memory in bytes.
    pub fn machine_memory(&self) -> Option<u64> {
        procfs::bytes(&read(&self.root, "proc/meminfo")?, "MemTotal:")
    }

    /// How many more processes and threads may be started, `None` where that is unlimited.
    pub fn processes_left(&self) -> Option<u64> {
        let left = self.pids.as_ref()?.levels.iter().filter_map(|level| {
            let most: u64 = read(level, "pids.max")?.parse().ok()?;
            let now: u64 = read(level, "pids.current")?.parse().ok()?;
            Some(most.saturating_sub(now))
        });
        left.min()
    }
}

/// Microseconds of CPU time, and the length of the period. `max` and -1 mean no quota.
fn quota(quota: &str, period: &str) -> Option<f64> {
    let positive = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
    Some(positive(quota)? as f64 / positive(period)? as f64)
}

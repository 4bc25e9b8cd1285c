//! How many tasks at a time the limits on CPUs, open files and processes allow.

use crate::host::cgroup::Cgroup;

/// How the number of tasks at a time comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobsRule {
    /// It stands from the beginning.
    Fixed,
    /// It is the most: a launch begins with few and grows as measured memory allows.
    Measured,
}

/// A quota that is short of a whole CPU by less than this is taken for it: schedulers round.
const TOLERANCE: f64 = 0.02;

/// CPUs by the cgroup's quota and this process's affinity (which a cpuset sets, too): never the host's cores.
pub fn cpus(cgroup: &Cgroup) -> f64 {
    let usable = usable_cpus() as f64;
    cgroup.cpu_quota().map_or(usable, |quota| quota.min(usable))
}

/// Stands for the CPUs that this process may run on and for the group that sets their quota: of processes of one host, those
/// for which it is the same share them. `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn cpu_set(cgroup: &Cgroup) -> Option<u32> {
    let affinity = rustix::thread::sched_getaffinity(None).ok()?;
    let usable: Vec<usize> =
        (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| affinity.is_set(*cpu)).collect();
    let digest = blake3::hash(format!("{usable:?} {:?}", cgroup.cpu_quota_group()).as_bytes());
    let [first, second, third, fourth, ..] = digest.as_bytes();
    Some(u32::from_le_bytes([*first, *second, *third, *fourth]))
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
pub fn cpu_set(_: &Cgroup) -> Option<u32> {
    None
}

#[cfg(target_os = "linux")]
fn usable_cpus() -> usize {
    // std's own answer has the quota in it, rounded down.
    let affinity = rustix::thread::sched_getaffinity(None).map_or(0, |set| set.count() as usize);
    if affinity > 0 { affinity } else { std_parallelism() }
}

#[cfg(not(target_os = "linux"))]
fn usable_cpus() -> usize {
    std_parallelism()
}

fn std_parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The whole CPUs in `cpus`, at least 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a small positive number")]
pub fn whole_cpus(cpus: f64) -> usize {
    ((cpus + TOLERANCE).floor() as usize).max(1)
}

/// Descriptors that canfar-run itself needs, and those that it needs for each running task.
const DESCRIPTORS: (u64, u64) = (64, 10);

/// How many of `jobs` tasks at a time the limit on open descriptors allows, after raising it as far as is needed and
/// allowed; at least 1. Tasks inherit the raised limit.
pub fn jobs_within_descriptors(jobs: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let (own, each) = DESCRIPTORS;
    let needed = own + each * jobs as u64;
    let limit = getrlimit(Resource::Nofile);
    let Some(mut current) = limit.current else { return jobs };
    if current < needed {
        let raised = limit.maximum.map_or(needed, |maximum| needed.min(maximum));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }).is_ok() {
            current = raised;
        }
    }
    share(current, own, each, jobs)
}

/// Threads that canfar-run itself still starts beside those for tasks, and what one task needs: the thread that attends to it,
/// its process, and two that this may start at a time.
const PROCESSES: (u64, u64) = (7, 4);

/// How many of `jobs` tasks at a time, each with `threads` threads, the limits on processes and threads allow (`ulimit -u`,
/// and the cgroup's, for both count threads, too); at least 1.
pub fn jobs_within_processes(jobs: usize, threads: usize, cgroup: &Cgroup) -> usize {
    let (own, each) = PROCESSES;
    let left = cgroup.processes_left().into_iter().chain(user::processes_left()).min();
    left.map_or(jobs, |left| share(left, own, each + threads as u64, jobs))
}

/// How many of `jobs` fit, at least 1, where there are `room` of something of which each takes `each` beside `own`.
fn share(room: u64, own: u64, each: u64, jobs: usize) -> usize {
    usize::try_from(room.saturating_sub(own) / each).unwrap_or(jobs).clamp(1, jobs.max(1))
}

/// The limit on the processes of one user, setrlimit(2).
#[cfg(target_os = "linux")]
mod user {
    use std::fs;

    use rustix::process::{Resource, getrlimit, getuid};

    use crate::host::procfs::word;

    /// `CAP_SYS_ADMIN` and `CAP_SYS_RESOURCE`: a process with one of them is not limited.
    const EXEMPT: u64 = 1 << 21 | 1 << 24;

    /// How many more processes and threads this user may start; `None` where that is unlimited. Those of the same user
    /// in other containers count, too, but can't be seen.
    pub(crate) fn processes_left() -> Option<u64> {
        let most = getrlimit(Resource::Nproc).current?;
        let uid = getuid();
        let own = fs::read_to_string("/proc/self/status").ok()?;
        let capabilities = word(&own, "CapEff:").and_then(|text| u64::from_str_radix(text, 16).ok());
        if uid.is_root() || capabilities.is_some_and(|set| set & EXEMPT != 0) {
            return None;
        }
        Some(most.saturating_sub(threads_of(uid.as_raw())))
    }

    fn threads_of(uid: u32) -> u64 {
        let Ok(processes) = fs::read_dir("/proc") else { return 0 };
        // Links such as `self` would count one of them again.
        let is_process = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        // Neither non-processes nor processes that have just ended have such a file.
        let statuses = processes
            .flatten()
            .filter(is_process)
            .filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok());
        let number = |status: &str, name| word(status, name).and_then(|text| text.parse::<u64>().ok());
        statuses
            .filter(|status| number(status, "Uid:") == Some(u64::from(uid)))
            .filter_map(|status| number(&status, "Threads:"))
            .sum()
    }
}

#[cfg(not(target_os = "linux"))]
mod user {
    /// Not known here: what is short is waited for.
    pub(crate) fn processes_left() -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{share, whole_cpus};

    #[test]
    fn of_a_fraction_of_a_cpu_no_task_is_made_but_for_rounding() {
        for (cpus, whole) in [
            (0.01, 1),
            (0.5, 1),
            (1.0, 1),
            (1.5, 1),
            (1.97, 1),
            (1.99, 2),
            (2.0, 2),
            (7.999, 8),
            (64.2, 64),
            (f64::INFINITY, usize::MAX),
        ] {
            assert_eq!(whole_cpus(cpus), whole, "{cpus}");
        }
    }

    #[test]
    fn at_least_one_task_fits_and_never_more_than_asked_for() {
        for (room, fitting) in [(0, 1), (8, 1), (12, 1), (13, 1), (18, 2), (28, 4), (u64::MAX, 6)] {
            assert_eq!(share(room, 8, 5, 6), fitting, "{room}");
        }
    }
}

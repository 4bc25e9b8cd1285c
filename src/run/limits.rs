//! What the container may use, and uses.

use std::path::Path;

/// CPUs by the cgroup's quota and this process's affinity, at least 1: never the host's cores.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Descriptors that canfar-run itself needs, and those that one task in its hands does.
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
    usize::try_from(current.saturating_sub(own) / each).unwrap_or(jobs).clamp(1, jobs.max(1))
}

/// Memory in use in the container, bytes, as its cgroup (v2, then v1) counts; `None` where none is visible.
pub fn memory_in_use() -> Option<u64> {
    ["/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"]
        .iter()
        .find_map(|file| std::fs::read_to_string(Path::new(file)).ok()?.trim().parse().ok())
}

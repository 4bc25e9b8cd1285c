//! What the container may use, and uses.

use std::path::Path;

/// CPUs by the cgroup's quota and this process's affinity, at least 1: never the host's cores.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Memory in use in the container, bytes, as its cgroup (v2, then v1) counts; `None` where none is visible.
pub fn memory_in_use() -> Option<u64> {
    ["/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"]
        .iter()
        .find_map(|file| std::fs::read_to_string(Path::new(file)).ok()?.trim().parse().ok())
}

//! How a process ended, and what it used.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustix::process::Pid;
use wait4::try_wait4_pid;

use crate::host::procfs;
use crate::model::outcome::{ProcessEnd, Usage};
use crate::process::descendants;

/// Reaps a process that has ended, or is given up; its time counts from `started`.
pub(crate) fn reap(pid: Pid, started: Instant) -> (ProcessEnd, Usage) {
    let lock = descendants::reap_lock();
    let reaped = try_wait4_pid(pid.as_raw_pid().cast_unsigned()).ok().flatten();
    drop(lock);
    let duration_s = started.elapsed().as_secs_f64();
    let Some(reaped) = reaped else {
        return (ProcessEnd::default(), Usage { duration_s, ..Usage::default() });
    };
    let cpu = reaped.rusage.utime + reaped.rusage.stime;
    let usage = Usage {
        duration_s,
        cpu_s: cpu.as_secs_f64(),
        max_rss_bytes: Some(reaped.rusage.maxrss).filter(|peak| is_above_own_peak(*peak)),
    };
    let end = ProcessEnd { exit_code: reaped.status.code(), signal: reaped.status.signal() };
    (end, usage.rounded())
}

/// Whether a child's peak is its own. Ours only grows, so what was not above it once is not above it now, and the system
/// is asked for the others alone.
fn is_above_own_peak(peak: u64) -> bool {
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    if peak <= KNOWN.load(Ordering::Relaxed) {
        return false;
    }
    let own = own_peak();
    KNOWN.fetch_max(own, Ordering::Relaxed);
    peak > own
}

/// The largest resident memory this process ever had, bytes. A child starts as its copy, and the kernel counts that as the
/// child's own peak: a child's peak that is not above this one can't be distinguished.
fn own_peak() -> u64 {
    own_peak_since_exec().unwrap_or_else(own_peak_of_all)
}

/// Without what the process was that executed this program, which may have been far larger: a notebook, say. Of Linux.
fn own_peak_since_exec() -> Option<u64> {
    procfs::bytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

fn own_peak_of_all() -> u64 {
    use nix::sys::resource::{UsageWho, getrusage};
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    getrusage(UsageWho::RUSAGE_SELF)
        .ok()
        .and_then(|usage| u64::try_from(usage.max_rss()).ok())
        .map_or(0, |peak| peak * unit)
}

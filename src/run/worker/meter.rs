//! What a running worker has used so far: its CPU clock is read after each task, the rest only now and then.

use std::time::{Duration, Instant};

use rustix::process::Pid;

/// Between two looks into `/proc`, at least: they cost more than a quick task.
#[cfg(target_os = "linux")]
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The meter of one process.
#[derive(Debug)]
pub(super) struct Meter {
    #[cfg(target_os = "linux")]
    clock: Option<nix::time::ClockId>,
    #[cfg(target_os = "linux")]
    pid: Pid,
    #[cfg(target_os = "linux")]
    looked: Option<Instant>,
    /// CPU time of the children that it waited for, as last read.
    children: Duration,
    /// Its largest resident memory, bytes, as last read.
    peak: Option<u64>,
    /// CPU time that was already reported.
    told: Duration,
}

impl Meter {
    pub(super) fn new(pid: Pid) -> Self {
        #[cfg(not(target_os = "linux"))]
        let _ = pid;
        Self {
            #[cfg(target_os = "linux")]
            clock: nix::time::clock_getcpuclockid(nix::unistd::Pid::from_raw(pid.as_raw_pid())).ok(),
            #[cfg(target_os = "linux")]
            pid,
            #[cfg(target_os = "linux")]
            looked: None,
            children: Duration::ZERO,
            peak: None,
            told: Duration::ZERO,
        }
    }

    /// CPU time since this was last asked. What children took that it waited for belongs to the task at which it was seen.
    pub(super) fn cpu(&mut self, now: Instant) -> Duration {
        self.look(now);
        let Some(own) = self.own() else { return Duration::ZERO };
        let total = own + self.children;
        let since = total.saturating_sub(self.told);
        self.told += since;
        since
    }

    /// The part of a process's CPU time that was not reported yet.
    pub(super) fn rest_of(&self, total_s: f64) -> f64 {
        (total_s - self.told.as_secs_f64()).max(0.0)
    }

    /// The most memory it had, bytes, as last read.
    pub(super) fn peak(&self) -> Option<u64> {
        self.peak
    }

    #[cfg(target_os = "linux")]
    fn own(&self) -> Option<Duration> {
        self.clock?.now().ok().map(Duration::from)
    }

    #[cfg(target_os = "linux")]
    fn look(&mut self, now: Instant) {
        use crate::host::procfs;
        if self.looked.is_some_and(|looked| now.duration_since(looked) < BETWEEN_LOOKS) {
            return;
        }
        self.looked = Some(now);
        let read = |name: &str| std::fs::read(format!("/proc/{}/{name}", self.pid)).unwrap_or_default();
        self.peak = procfs::bytes(&String::from_utf8_lossy(&read("status")), "VmHWM:").or(self.peak);
        self.children = procfs::time_of_children(&read("stat")).unwrap_or(self.children);
    }

    #[cfg(not(target_os = "linux"))]
    fn own(&self) -> Option<Duration> {
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn look(&mut self, _now: Instant) {}
}

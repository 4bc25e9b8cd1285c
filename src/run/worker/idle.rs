//! Whether a worker with a request is idle: it uses no CPU and prints nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::host::procfs;

/// How many checks there are in the time after which a worker counts as idle.
const LOOKS: u32 = 3;

/// The part of the time between two checks that an idle worker may use as CPU time: some runtimes clean up now and then.
const AS_GOOD_AS_NONE: f64 = 0.01;

/// Watches one worker at one task.
#[derive(Debug)]
pub(super) struct IdleWatch {
    pid: Pid,
    between: Duration,
    next: Instant,
    last: Option<IdleLook>,
    /// Looks in a row that showed nothing new.
    quiet: u32,
}

#[derive(Debug, Clone, Copy)]
struct IdleLook {
    cpu: Duration,
    printed: u64,
}

impl IdleWatch {
    /// For a worker that gets a request now, and is idle after this long.
    pub(super) fn new(pid: Pid, now: Instant, after: Duration) -> Self {
        let between = after / LOOKS;
        Self { pid, between, next: now + between, last: None, quiet: 0 }
    }

    /// How long it may be waited until the next look.
    pub(super) fn patience(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Checks, if it is time to; `true` if it has been idle for long. It has printed this many bytes.
    pub(super) fn is_idle(&mut self, now: Instant, printed: impl FnOnce() -> u64) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + self.between;
        let look = cpu_of_tree(self.pid).map(|cpu| IdleLook { cpu, printed: printed() });
        let before = std::mem::replace(&mut self.last, look);
        let is_quiet = |before: IdleLook, now: IdleLook| {
            let used = now.cpu.saturating_sub(before.cpu);
            now.printed == before.printed && used <= self.between.mul_f64(AS_GOOD_AS_NONE)
        };
        let is_quiet = before.zip(look).is_some_and(|(before, now)| is_quiet(before, now));
        self.quiet = if is_quiet { self.quiet + 1 } else { 0 };
        self.quiet >= LOOKS
    }
}

/// CPU time of a process and of its descendants that are running or were waited for; `None` if unknown.
fn cpu_of_tree(pid: Pid) -> Option<Duration> {
    let times = procfs::tree(pid.as_raw_pid()).filter_map(|process| cpu_of(&process));
    times.reduce(|one, other| one + other)
}

#[cfg(target_os = "linux")]
fn cpu_of(process: &Path) -> Option<Duration> {
    let stat = std::fs::read(process.join("stat")).ok()?;
    Some(procfs::time_of_process(&stat)? + procfs::time_of_children(&stat)?)
}

#[cfg(not(target_os = "linux"))]
fn cpu_of(_process: &Path) -> Option<Duration> {
    None
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use rustix::process::Pid;

    use super::{IdleWatch, cpu_of_tree};

    /// Whether a shell that does this is found idle after five checks, having printed this much at each.
    fn is_idle(script: &str, is_busy: bool, printed: [u64; 5]) -> bool {
        let mut child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
        let (begun, pid) = (Instant::now(), Pid::from_child(&child));
        // A third of that is what a look at the clock of a process can tell apart, and more.
        let mut watch = IdleWatch::new(pid, begun, Duration::from_millis(30));
        let found = (1..=5).zip(printed).any(|(number, printed)| {
            let before = cpu_of_tree(pid);
            while is_busy && cpu_of_tree(pid) == before {
                assert!(begun.elapsed() < Duration::from_mins(1), "it gets no CPU");
                std::thread::sleep(Duration::from_millis(3));
            }
            watch.is_idle(begun + Duration::from_millis(10 * number), || printed)
        });
        child.kill().unwrap();
        child.wait().unwrap();
        found
    }

    #[test]
    fn who_neither_uses_cpu_nor_prints_is_idle() {
        assert!(is_idle("kill -STOP $$", false, [7; 5]));
        assert!(!is_idle("kill -STOP $$", false, [1, 2, 3, 3, 3]));
        assert!(!is_idle("while :; do :; done", true, [7; 5]));
    }
}

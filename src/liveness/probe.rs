//! Whether a launch is alive: by its journal's last line, by its lock on this host, else by how recently it wrote.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::journal::event::LaunchBegun;
use crate::journal::tail;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::watch::{Liveness, probe_lock};
use crate::model::provenance::Process;
use crate::store::layout::Layout;
use crate::store::server_clock::{age, now_as_good_as_known};

/// What is known about a launch without waiting.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// Dead is also one that ended in order. Where it is unknown, only watching the journal can tell.
    pub liveness: Liveness,
    /// How it began; not looked up for a launch that ended cleanly.
    begun: Option<Box<LaunchBegun>>,
}

impl Probed {
    /// Whether a process of its number is in sight.
    pub fn is_process_here(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| is_in_sight(&begun.process))
    }

    /// Which process a launch is that did not end in order.
    pub fn who(&self) -> String {
        who(self.begun.as_deref())
    }
}

/// Whether there is a process with the number of one that runs, or ran, on this host. Another PID namespace hides it.
pub fn is_in_sight(process: &Process) -> bool {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

/// Checks a journal, and its lock, to see whether its launch is alive.
///
/// # Errors
/// When the journal can't be read or is of another version.
pub fn probe(journal: &Path, me: &Process) -> anyhow::Result<Probed> {
    let begun = tail::begun(journal)?;
    probe_end(journal, me, || begun)
}

/// If its first line can't be read, or is of a later version, only watching can tell.
fn probe_any_version(journal: &Path, me: &Process) -> anyhow::Result<Probed> {
    probe_end(journal, me, || tail::begun(journal).ok().flatten())
}

/// The same; how it began is read only if it did not end cleanly.
fn probe_end(
    journal: &Path,
    me: &Process,
    begun: impl FnOnce() -> Option<Box<LaunchBegun>>,
) -> anyhow::Result<Probed> {
    if ended_in_order(journal)? {
        return Ok(Probed { liveness: Liveness::Dead, begun: None });
    }
    let begun = begun();
    Ok(Probed { liveness: liveness_without_end(journal, begun.as_deref(), me), begun })
}

/// What is known without waiting about a launch that began like this and left no stop record.
pub fn liveness_without_end(journal: &Path, begun: Option<&LaunchBegun>, me: &Process) -> Liveness {
    let Some(begun) = begun else { return Liveness::Unknown };
    probe_lock(journal, &begun.process, begun.locked, me).unwrap_or(Liveness::Unknown)
}

/// Whether a journal's last whole line is a `stop`.
///
/// # Errors
/// When it can't be read.
pub fn ended_in_order(journal: &Path) -> anyhow::Result<bool> {
    Ok(tail::last_words(journal)?.is_some())
}

/// Which launches of a results directory are running, as far as is known without watching them.
#[derive(Debug)]
pub struct Prober {
    me: Process,
    /// By the file server's clock.
    now: SystemTime,
    timeout: Duration,
}

impl Prober {
    /// Of the launches in `layout`, as they are now.
    pub fn new(layout: &Layout, times: HeartbeatTimes) -> Self {
        let now = now_as_good_as_known(layout.root());
        Self { me: Process::current(None), now, timeout: times.timeout }
    }

    /// Whether it is certain that the launch that a journal belongs to has ended: it said so, or it ran on this host and
    /// its lock is free.
    pub fn has_surely_ended(&self, journal: &Path) -> bool {
        probe_any_version(journal, &self.me).is_ok_and(|probed| probed.liveness == Liveness::Dead)
    }

    /// Whether the launch that a journal belongs to runs: by its lock on its own host, else by whether it was written lately.
    /// If others may take over from it, it counts as dead as soon as they may.
    pub fn is_running(&self, journal: &Path) -> bool {
        let Ok(Probed { liveness, begun }) = probe_any_version(journal, &self.me) else { return false };
        if liveness != Liveness::Unknown {
            return liveness == Liveness::Alive;
        }
        let quiet = begun.and_then(|begun| begun.takeover_after()).unwrap_or(self.timeout);
        let written = std::fs::metadata(journal).and_then(|metadata| metadata.modified());
        written.is_ok_and(|then| age(self.now, then) < quiet)
    }
}

pub(super) fn who(begun: Option<&LaunchBegun>) -> String {
    begun.map_or_else(|| "an unknown host".to_owned(), |begun| begun.process.to_string())
}

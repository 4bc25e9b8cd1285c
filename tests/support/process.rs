//! Processes of this machine, as /proc shows them: those in containers too, under the numbers they have here.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, kill_process};

use super::{DEADLINE, wait_until};

/// Stops a process and waits until it is: on a busy machine its threads go on for a moment.
#[track_caller]
pub(crate) fn stop_process(pid: Pid) {
    kill_process(pid, Signal::STOP).unwrap();
    wait_until(DEADLINE, "all threads are stopped", || Process::is_stopped(pid));
}

/// Whether there is a process of this number, be it a zombie.
pub(crate) fn exists(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid.trim()).exists()
}

/// One process, at the moment it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    parent: i32,
    pub(crate) name: String,
    pub(crate) state: char,
    /// In ticks since the machine was started: with the number, it is one process only.
    pub(crate) started: u64,
}

impl Process {
    /// All that came from a process, ended ones that nobody has reaped among them.
    pub(crate) fn descendants_of(ancestor: Pid) -> Vec<Self> {
        let mut others = Self::all();
        let mut family = BTreeSet::from([ancestor.as_raw_pid()]);
        let mut found = Vec::new();
        loop {
            let (children, rest): (Vec<_>, Vec<_>) =
                others.into_iter().partition(|process| family.contains(&process.parent));
            if children.is_empty() {
                return found;
            }
            family.extend(children.iter().map(|process| process.pid));
            found.extend(children);
            others = rest;
        }
    }

    fn all() -> Vec<Self> {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|entry| Self::read(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    /// `None` where there is none (any more).
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, parentheses too.
        let (before, after) = stat.rsplit_once(") ")?;
        let name = before.split_once(" (")?.1.to_owned();
        let fields: Vec<&str> = after.split(' ').collect();
        let state = fields.first()?.chars().next()?;
        let started = fields.get(19)?.parse().ok()?;
        Some(Self { pid, parent: fields.get(1)?.parse().ok()?, name, state, started })
    }

    /// Whether none of its threads goes on: stopped, or held by who traces it.
    fn is_stopped(pid: Pid) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
        let ids = threads.flatten().filter_map(|thread| thread.file_name().to_str()?.parse().ok());
        ids.filter_map(Self::read).all(|thread| matches!(thread.state, 'T' | 't' | 'Z' | 'X'))
    }

    /// Ended, and not reaped.
    pub(crate) fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// How many descriptors it has open; `None` where it is gone.
    pub(crate) fn descriptors(pid: Pid) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
    }
}

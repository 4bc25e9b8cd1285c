//! Real processes: what tasks leave behind, who reaps it, and how everything is stopped.
#![cfg(target_os = "linux")]

use crate::support::{DEADLINE, Dir, exists, wait_until};

mod left_behind;
mod nested;
mod orphans;
mod stopping;

/// A process that notes its number in `pids`, hears neither TERM nor HUP and stays as long as there is `data`.
const STAYS: &str = "echo $$ >> pids; trap '' TERM HUP; while [ -d data ]; do sleep 0.02; done";

/// A shell's words for [`STAYS`] in a session of its own.
fn in_own_session() -> String {
    format!("setsid sh -c \"{}\"", STAYS.replace('$', "\\$"))
}

/// R, S, T, Z, ...; `None` when there is no such process.
fn state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The numbers in a file, which are those of processes that were there.
#[track_caller]
fn noted(dir: &Dir, file: &str, count: usize) -> Vec<String> {
    let pids = dir.lines(file);
    assert_eq!(pids.len(), count, "{pids:?}");
    pids
}

/// All processes below one, and their states.
fn children(pid: u32) -> Vec<(String, char)> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let pids: Vec<String> =
        lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    pids.into_iter().filter_map(|pid| state(&pid).map(|state| (pid, state))).collect()
}

fn wait_for_file(dir: &Dir, name: &str) {
    wait_until(DEADLINE, name, || dir.exists(name));
}

fn wait_for_lines(dir: &Dir, name: &str, count: usize) {
    wait_until(DEADLINE, &format!("{count} lines in {name}"), || dir.lines(name).len() >= count);
}

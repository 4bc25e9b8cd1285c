//! What the runner asks of the kernel for each task: strace counts a long run's calls less a short one's, without those
//! of the tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::data;
use crate::timed;

const SHORT: u64 = 100;
const MORE: u64 = 1000;
/// Rarer ones depend on the moment.
const SHOWN: f64 = 0.01;

type Counts = BTreeMap<String, f64>;

/// Calls for each task: of all kinds, then those of each.
pub(crate) type PerTask = Vec<(String, f64)>;

pub(crate) fn per_task(bench: &Bench) -> Result<PerTask> {
    let more = bench.size(MORE);
    let (short, mut long) = (counts(bench, SHORT)?, counts(bench, SHORT + more)?);
    for (name, count) in &mut long {
        *count = (*count - short.get(name).copied().unwrap_or(0.0)) / more as f64;
    }
    let all = ("all".to_owned(), long.values().sum());
    let mut sorted: Vec<_> = long.into_iter().filter(|(_, count)| *count >= SHOWN).collect();
    sorted.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    Ok([all].into_iter().chain(sorted).collect())
}

/// Calls of the runner's threads in a run of so many tasks.
fn counts(bench: &Bench, tasks: u64) -> Result<Counts> {
    let (list, traced) = (data::list(bench, tasks)?, bench.fresh("calls")?);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&traced).arg(bench.binary());
    strace.args(["--jobs", "2", "--replica-id", "1", "--replica-count", "1", "--files-from"]).arg(list);
    strace.arg("-o").arg(bench.fresh("results")?).arg("--").arg(bench.program("true"));
    timed::quiet(bench, &mut strace)?;
    read(&traced)
}

/// Who executes a program is a task, but for the runner itself, which is the first.
fn read(traced: &Path) -> Result<Counts> {
    let mut by_thread: BTreeMap<u32, Counts> = BTreeMap::new();
    let mut tasks = BTreeSet::new();
    let mut runner = None;
    for line in BufReader::new(std::fs::File::open(traced)?).lines() {
        let line = line?;
        let (thread, call) = line.split_once(' ').context("a line without a thread")?;
        let (thread, call) = (thread.parse()?, call.trim_start());
        // What was interrupted comes twice, and signals and ends are no calls.
        let Some((name, _)) = call.split_once('(').filter(|_| !call.starts_with(['<', '-', '+'])) else {
            continue;
        };
        let runner = *runner.get_or_insert(thread);
        if name == "execve" && thread != runner {
            tasks.insert(thread);
        }
        *by_thread.entry(thread).or_default().entry(name.to_owned()).or_default() += 1.0;
    }
    let mut all = Counts::new();
    for (_, counts) in by_thread.into_iter().filter(|(thread, _)| !tasks.contains(thread)) {
        for (name, count) in counts {
            *all.entry(name).or_default() += count;
        }
    }
    Ok(all)
}

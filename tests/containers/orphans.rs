//! Processes that tasks leave behind: nobody of them lives on, and nobody of them stays unreaped.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::{Component, Contained, Dir, Process, require, wait_until};

/// How many tasks there are, in place of a number that even CI has the time for.
const TASKS: &str = "CANFAR_RUN_TEST_ORPHANED_TASKS";
const FEWER_TASKS: usize = 10_000;
const JOBS: usize = 4;

/// A zombie is gone within a second; a machine that is busy with much else may take some more to get round to it. One that
/// nobody reaps stays far longer.
const LONGEST_ZOMBIE: Duration = Duration::from_secs(10);

/// What is seen of a container's processes from outside, again and again.
#[derive(Debug, Default)]
struct Watch {
    /// By number and start.
    zombies: BTreeMap<(i32, u64), Instant>,
    most_processes: usize,
    /// Descriptors of the first process, look by look.
    descriptors: Vec<usize>,
}

impl Watch {
    fn look(&mut self, container: &Contained<'_>) {
        let processes = container.processes();
        self.most_processes = self.most_processes.max(processes.len());
        let now = Instant::now();
        let before = std::mem::take(&mut self.zombies);
        for zombie in processes.iter().filter(|process| process.is_zombie()) {
            let key = (zombie.pid, zombie.started);
            let since = before.get(&key).copied().unwrap_or(now);
            assert!(now - since < LONGEST_ZOMBIE, "a zombie for {:?}: {zombie:?}", now - since);
            self.zombies.insert(key, since);
        }
        self.descriptors.extend(Process::descriptors(container.pid()).filter(|count| *count > 0));
    }

    fn most_descriptors(looks: &[usize]) -> usize {
        looks.iter().copied().max().unwrap_or_default()
    }
}

#[test]
fn thousands_of_tasks_with_orphans_leave_no_process_no_zombie_and_no_descriptor() {
    if !require(Component::Containers) {
        return;
    }
    let tasks = std::env::var(TASKS).map_or(FEWER_TASKS, |tasks| tasks.parse().unwrap());
    let dir = Dir::new();
    let list: Vec<String> = (0..tasks).map(|task| task.to_string()).collect();
    dir.write("list", list.join("\n"));
    let container = dir.container().cpus("2").memory_mib(256);
    let container = container.args(["--files-from", "list", "-o", "out", "-j", &JOBS.to_string()]);
    // One in the task's group, one in a session of its own; both would stay for minutes.
    let container = container.args(["--", "leaver", "t", "ts", "{}"]).start();
    let mut watch = Watch::default();
    wait_until(Duration::from_mins(10), "all tasks", || {
        watch.look(&container);
        container.is_gone()
    });
    let ended = container.wait().exits(0);
    assert_eq!(dir.results(1).len(), tasks, "{ended}");

    // A task is its own process and the two it left; those of the one before it may wait to be swept away.
    assert!(watch.most_processes <= JOBS * 8, "{} processes at once", watch.most_processes);
    let (early, late) = watch.descriptors.split_at(watch.descriptors.len() / 2);
    let (early, late) = (Watch::most_descriptors(early), Watch::most_descriptors(late));
    assert!(late <= early + 2, "{late} descriptors, {early} in the first half");
}

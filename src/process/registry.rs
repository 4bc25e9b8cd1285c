//! Which tasks are running, with how much memory, and the memory of tasks that ended.
//!
//! A process is in the registry from its start until just before it is reaped, so a number in here never belongs to an
//! unrelated process. Signals are sent under the registry's lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::host::cgroup::MemoryGroup;
use crate::host::procfs;
use crate::model::quarantine::SeenUsage;
use crate::model::usage::TaskActivity;
use crate::process::memory_tree::bytes_of_tree;
use crate::threads::locked;

/// A task that was measured less often may have used more than was seen.
const ENOUGH_LOOKS: u32 = 5;

/// One process in the registry; no two ever have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Serial(pub(crate) u64);

/// What was found when a task was stopped for memory, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// What it had itself, with all its processes.
    pub task: u64,
    /// What was in use in the container.
    pub in_use: u64,
    /// What might be.
    pub limit: u64,
}

/// What the registry knows about a process that left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// The most memory its processes had together, bytes; `None` if it was not measured often enough.
    pub tree_bytes: Option<u64>,
    /// Why it was stopped, if it was.
    pub stopped: Option<Shortage>,
    /// The kernel's kills when it began.
    kills_before: u64,
}

#[derive(Debug)]
struct Running {
    serial: Serial,
    pid: Pid,
    since: Instant,
    looks: u32,
    peak: u64,
    stopped: Option<Shortage>,
    kills_before: u64,
}

#[derive(Debug, Default)]
struct RegistryState {
    /// By slot.
    running: BTreeMap<usize, Running>,
    entered: u64,
    seen: SeenUsage,
    /// How often memory ran out under a task.
    shortages: u64,
    activity: TaskActivity,
}

/// The combined usage of ended and running tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overview {
    /// Of those that ended, and the most that one of those running was seen to have.
    pub(crate) seen: SeenUsage,
    /// Whether memory ran out under a task.
    pub(crate) ran_short: bool,
}

/// The tasks that are running.
#[derive(Debug)]
pub struct ProcessRegistry {
    memory: Option<MemoryGroup>,
    state: Mutex<RegistryState>,
}

impl ProcessRegistry {
    /// Empty, in a container with this limit; `seen` is what earlier launches saw.
    pub fn new(memory: Option<MemoryGroup>, seen: SeenUsage) -> Self {
        Self { memory, state: Mutex::new(RegistryState { seen, ..RegistryState::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, RegistryState> {
        locked(&self.state)
    }

    /// The place of a slot.
    pub fn register(&self, slot: usize) -> Registration<'_> {
        Registration { registry: self, slot }
    }

    /// Whether the kernel killed a process of this container for memory while this one ran. It does not tell which.
    pub fn was_kernel_killing(&self, held: &MemoryUsage) -> bool {
        self.kills() > held.kills_before
    }

    /// The kernel's kills so far.
    pub fn kills(&self) -> u64 {
        self.memory.as_ref().map_or(0, MemoryGroup::oom_kills)
    }

    /// The limit, bytes; 0 where there is none.
    pub fn limit(&self) -> u64 {
        self.memory.as_ref().map_or(0, MemoryGroup::limit)
    }

    /// Takes an attempt that ended into account, with the most memory it had.
    pub fn ended(&self, bytes: Option<u64>) {
        self.state().seen.add(bytes);
    }

    /// Memory ran out under an attempt.
    pub fn ran_short(&self) {
        self.state().shortages += 1;
    }

    pub(crate) fn overview(&self) -> Overview {
        let state = self.state();
        let largest = state.running.values().map(|running| running.peak).max().unwrap_or(0);
        let seen = SeenUsage { largest: state.seen.largest.max(largest), ..state.seen };
        Overview { seen, ran_short: state.shortages > 0 }
    }

    /// Measures every task that is at least this old: its current memory, bytes.
    pub(crate) fn look(&self, age: Duration) -> Vec<(Serial, u64)> {
        let present: Vec<(Serial, Pid)> = self
            .state()
            .running
            .values()
            .filter(|running| running.since.elapsed() >= age)
            .map(|running| (running.serial, running.pid))
            .collect();
        let bytes = |pid: Pid| bytes_of_tree(pid.as_raw_pid());
        let mut looked: Vec<(Serial, u64)> =
            present.into_iter().map(|(serial, pid)| (serial, bytes(pid))).collect();
        let mut state = self.state();
        // The number of one that left meanwhile may have been a stranger's.
        looked.retain(|(serial, bytes)| {
            let running = state.running.values_mut().find(|running| running.serial == *serial);
            running.is_some_and(|running| {
                running.looks += 1;
                running.peak = running.peak.max(*bytes);
                true
            })
        });
        looked
    }

    /// Looks at what the tasks are at. Where the system does not tell, nobody is looked at.
    pub fn sample_activity(&self) {
        if !procfs::tells_children() {
            return;
        }
        let present: Vec<(Serial, Pid)> =
            self.state().running.values().map(|running| (running.serial, running.pid)).collect();
        for (serial, pid) in present {
            let threads = procfs::tree(pid.as_raw_pid());
            let sample = activity_of(threads.flat_map(|process| procfs::thread_states(&process)));
            let mut state = self.state();
            // The number of one that left meanwhile may have been a stranger's.
            if state.running.values().any(|running| running.serial == serial) {
                state.activity.add(sample);
            }
        }
    }

    /// What the tasks were seen to be at so far.
    pub fn activity(&self) -> TaskActivity {
        self.state().activity
    }

    /// Kills one for memory; `false` if it has left.
    pub(crate) fn stop(&self, serial: Serial, shortage: Shortage) -> bool {
        let mut state = self.state();
        let Some(running) = state.running.values_mut().find(|running| running.serial == serial) else {
            return false;
        };
        running.stopped = Some(shortage);
        // A failure can't be reported anywhere.
        let _ = kill_process_group(running.pid, Signal::KILL);
        true
    }
}

/// What a task is at whose threads are in these states.
fn activity_of(states: impl Iterator<Item = char>) -> TaskActivity {
    let (mut runnable, mut waits) = (0, false);
    for state in states {
        runnable += u64::from(state == 'R');
        // Not to be interrupted: in a read or write, or a call of a file system.
        waits |= state == 'D';
    }
    TaskActivity { looks: 1, runnable, stalled: u64::from(runnable == 0 && waits) }
}

/// The place of one slot in the registry.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    registry: &'a ProcessRegistry,
    slot: usize,
}

impl<'a> Registration<'a> {
    /// The registry it is of.
    pub fn registry(&self) -> &'a ProcessRegistry {
        self.registry
    }

    /// Registers a session leader that runs a task `since` this time, with the kernel's kill count from before.
    pub fn enter(&self, pid: Pid, since: Instant, kills_before: u64) {
        let mut state = self.registry.state();
        state.entered += 1;
        let running = Running {
            serial: Serial(state.entered),
            pid,
            since,
            looks: 0,
            peak: 0,
            stopped: None,
            kills_before,
        };
        state.running.insert(self.slot, running);
    }

    /// It is about to be reaped.
    pub fn leave(&self) -> MemoryUsage {
        let left = self.registry.state().running.remove(&self.slot);
        left.map_or_else(MemoryUsage::default, |left| MemoryUsage {
            tree_bytes: (left.looks >= ENOUGH_LOOKS).then_some(left.peak),
            stopped: left.stopped,
            kills_before: left.kills_before,
        })
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process_group};

    use super::{ProcessRegistry, Serial, Shortage, activity_of};
    use crate::model::quarantine::SeenUsage;
    use crate::model::usage::TaskActivity;

    const SHORTAGE: Shortage = Shortage { task: 1, in_use: 2, limit: 3 };

    #[test]
    fn a_task_runs_or_waits_for_a_cpu_or_for_storage_or_for_something_else() {
        for (states, runnable, stalled) in
            [("", 0, 0), ("SSZ", 0, 0), ("SR", 1, 0), ("RDR", 2, 0), ("SD", 0, 1), ("tDI", 0, 1)]
        {
            let expected = TaskActivity { looks: 1, runnable, stalled };
            assert_eq!(activity_of(states.chars()), expected, "{states:?}");
        }
    }

    #[test]
    fn what_descendants_do_counts_for_the_task() {
        let registry = ProcessRegistry::new(None, SeenUsage::default());
        let start = |shell| Command::new("/bin/sh").args(["-c", shell]).process_group(0).spawn().unwrap();
        let (mut waits, mut works) = (start("sleep 1000"), start("(while :; do :; done) & wait"));
        let (first, second) = (registry.register(1), registry.register(2));
        first.enter(Pid::from_child(&waits), Instant::now(), 0);
        let until = Instant::now() + Duration::from_mins(1);
        while registry.activity().looks < 20 {
            registry.sample_activity();
            std::thread::sleep(Duration::from_millis(1));
        }
        let idle = registry.activity().runnable;
        second.enter(Pid::from_child(&works), Instant::now(), 0);
        while registry.activity().runnable < idle + 10 && Instant::now() < until {
            registry.sample_activity();
            std::thread::sleep(Duration::from_millis(1));
        }
        let TaskActivity { looks, runnable, .. } = registry.activity();
        for (registration, child) in [(first, &mut waits), (second, &mut works)] {
            kill_process_group(Pid::from_child(child), Signal::KILL).unwrap();
            registration.leave();
            child.wait().unwrap();
        }
        assert!(idle < 10 && runnable >= idle + 10, "{idle} {runnable}");
        registry.sample_activity();
        assert_eq!(registry.activity().looks, looks, "nobody is there");
    }

    #[test]
    fn who_is_in_the_roster_is_looked_at_and_stopped_and_who_left_is_not() {
        let registry = ProcessRegistry::new(None, SeenUsage::default());
        let mut child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let registration = registry.register(1);
        registration.enter(Pid::from_child(&child), Instant::now(), 0);
        assert_eq!(registry.look(Duration::from_hours(1)), []);
        let looked = registry.look(Duration::ZERO);
        assert!(matches!(looked.as_slice(), [(Serial(1), bytes)] if *bytes > 0), "{looked:?}");
        assert_eq!(registry.overview().seen.largest, looked[0].1);
        assert!(registry.stop(Serial(1), SHORTAGE));
        let held = registration.leave();
        assert_eq!((held.stopped, held.tree_bytes), (Some(SHORTAGE), None), "one look is not enough");
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(!registry.stop(Serial(1), SHORTAGE));
        assert_eq!(
            (registry.look(Duration::ZERO), registry.overview().seen),
            (Vec::new(), SeenUsage::default())
        );
    }
}

//! Watches the container's memory while tasks run: near the limit nothing new starts; nearer still, the task that grew most
//! is stopped. Best effort: the kernel kills what grows faster than this looks.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::host::cgroup::MemoryGroup;
use crate::model::quarantine::share_of_memory;
use crate::process::registry::{Overview, ProcessRegistry};
use crate::run::memory::budget::{Measured, MemoryBudget};
use crate::run::memory::policy::OomPolicy;
use crate::run::queue::TaskQueue;

/// How often it looks.
const PACE: Duration = Duration::from_millis(50);

/// The same where memory has little room left.
const CLOSE_PACE: Duration = Duration::from_millis(20);

/// Looking at tasks may take this part of the time, unless one is about to be stopped.
const COST: u32 = 10;

/// Younger tasks are not looked at, unless one is about to be stopped: many short tasks cost nothing.
const YOUNG: Duration = Duration::from_millis(50);

/// The scheduler is woken at most this often.
const BETWEEN_WAKEUPS: Duration = Duration::from_secs(1);

/// Watches over one launch.
#[derive(Debug)]
pub struct MemoryMonitor<'a> {
    memory: &'a MemoryGroup,
    budget: MemoryBudget,
    /// Whether a container died of this replica before.
    died_before: bool,
    registry: &'a ProcessRegistry,
    queue: &'a TaskQueue,
    /// The most in use since it was last asked for, bytes.
    peak: AtomicU64,
    wakeup: (io::PipeReader, io::PipeWriter),
}

/// What it remembers from look to look.
struct MonitorWatch {
    policy: OomPolicy,
    /// When tasks may be measured again.
    next_tasks: Instant,
    /// Bytes that tasks had when they were.
    tasks: u64,
    is_full: bool,
    /// When the scheduler was last woken.
    woken: Option<Instant>,
    is_told: bool,
}

impl<'a> MemoryMonitor<'a> {
    /// Sets how many tasks of `queue` may run at once.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub fn new(
        memory: &'a MemoryGroup,
        budget: MemoryBudget,
        died_before: bool,
        registry: &'a ProcessRegistry,
        queue: &'a TaskQueue,
    ) -> io::Result<Self> {
        let wakeup = io::pipe()?;
        rustix::io::ioctl_fionbio(&wakeup.0, true)?;
        rustix::io::ioctl_fionbio(&wakeup.1, true)?;
        Ok(Self { memory, budget, died_before, registry, queue, peak: AtomicU64::new(0), wakeup })
    }

    /// Watches from a separate thread as long as `work` runs.
    ///
    /// # Errors
    /// When the thread can't be started: then nothing was done.
    pub fn watch_over<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let mut watch = MonitorWatch {
            policy: OomPolicy::new(self.memory.limit()),
            next_tasks: Instant::now(),
            tasks: 0,
            is_full: false,
            woken: None,
            is_told: false,
        };
        // Nothing begins before it is known how many may.
        self.look(&mut watch);
        let (working, is_working) = channel::<()>();
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("memory".into());
            thread.spawn_scoped(scope, move || {
                let pace = |watch: &MonitorWatch| if watch.is_full { CLOSE_PACE } else { PACE };
                while is_working.recv_timeout(pace(&watch)) == Err(RecvTimeoutError::Timeout) {
                    self.look(&mut watch);
                }
            })?;
            let done = work();
            drop(working);
            Ok(done)
        })
    }

    /// Ready to be read when a heartbeat is due at once: the kernel may kill this process next.
    pub fn wakeup(&self) -> BorrowedFd<'_> {
        self.wakeup.0.as_fd()
    }

    /// The most in use since this was last asked, bytes. Clears the wakeup.
    pub fn peak(&self) -> Option<u64> {
        // There is nothing to read if no wakeup was sent.
        let _ = (&self.wakeup.0).read(&mut [0; 64]);
        let before = self.peak.swap(0, Ordering::Relaxed);
        self.memory.in_use().map(|now| now.max(before))
    }

    fn look(&self, watch: &mut MonitorWatch) {
        let now = Instant::now();
        let Some(in_use) = self.memory.in_use() else { return };
        self.peak.fetch_max(in_use, Ordering::Relaxed);
        watch.is_full = in_use >= share_of_memory(self.memory.limit());
        watch.policy.note_use(now, in_use);
        let is_near = watch.policy.is_near_the_limit();
        if is_near || now >= watch.next_tasks {
            let tasks = self.registry.look(if is_near { Duration::ZERO } else { YOUNG });
            watch.next_tasks = Instant::now() + now.elapsed() * COST;
            watch.tasks = tasks.iter().map(|(_, bytes)| bytes).sum();
            watch.policy.note_tasks(now, &tasks);
            if let Some((serial, shortage)) = watch.policy.verdict() {
                // A task that left meanwhile frees its memory as well.
                self.registry.stop(serial, shortage);
            }
        }
        let Overview { seen, ran_short } = self.registry.overview();
        self.queue.set_max_concurrency(self.budget.at_once(Measured {
            in_use,
            tasks: watch.tasks,
            ended: seen.attempts,
            largest: seen.largest,
            is_careful: ran_short || self.died_before,
        }));
        self.wake_if_due(watch, now);
    }

    fn wake_if_due(&self, watch: &mut MonitorWatch, now: Instant) {
        watch.is_told &= watch.is_full;
        let is_rested = watch.woken.is_none_or(|woken| now.duration_since(woken) >= BETWEEN_WAKEUPS);
        if watch.is_full && !watch.is_told && is_rested {
            watch.woken = Some(now);
            watch.is_told = true;
            // A full pipe wakes as well.
            let _ = (&self.wakeup.1).write(&[0]);
        }
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::Pid;
    use tempfile::TempDir;

    use super::MemoryMonitor;
    use crate::host::cgroup::{Cgroup, MemoryGroup};
    use crate::host::limits::JobsRule;
    use crate::model::quarantine::SeenUsage;
    use crate::process::registry::ProcessRegistry;
    use crate::run::memory::MemoryBudget;
    use crate::run::queue::{TaskQueue, TasksByStage};

    const LIMIT: u64 = 100_000_000;
    const DEADLINE: Duration = Duration::from_mins(1);

    /// A container whose use is what a test says.
    struct ContainerMemory(TempDir);

    impl ContainerMemory {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let (proc, group) = (root.path().join("proc/self"), root.path().join("sys/fs/cgroup"));
            std::fs::create_dir_all(&proc).unwrap();
            std::fs::create_dir_all(&group).unwrap();
            std::fs::write(proc.join("cgroup"), "0::/\n").unwrap();
            std::fs::write(proc.join("mountinfo"), "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n")
                .unwrap();
            std::fs::write(group.join("memory.max"), format!("{LIMIT}\n")).unwrap();
            std::fs::write(group.join("memory.stat"), "active_file 0\n").unwrap();
            std::fs::write(group.join("memory.events"), "oom_kill 0\n").unwrap();
            let container = Self(root);
            container.uses(10);
            container
        }

        /// Percent of the limit, always of as many digits: who reads meanwhile sees the one or the other.
        fn uses(&self, percent: u64) {
            use std::os::unix::fs::FileExt;
            let path = self.0.path().join("sys/fs/cgroup/memory.current");
            let file =
                std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
            file.write_all_at(format!("{:012}", LIMIT / 100 * percent).as_bytes(), 0).unwrap();
        }

        /// So many processes, so far.
        fn kernel_killed(&self, kills: u64) {
            let path = self.0.path().join("sys/fs/cgroup/memory.events");
            std::fs::write(path, format!("oom_kill {kills}\n")).unwrap();
        }

        fn memory(&self) -> MemoryGroup {
            Cgroup::below(self.0.path()).memory().unwrap()
        }
    }

    /// A task that holds so many megabytes.
    fn hold(megabytes: usize) -> Child {
        let script =
            format!("x=$(head -c {megabytes}000000 /dev/zero | tr '\\0' x); echo ready; sleep 1000; :");
        let mut child = Command::new("/bin/sh")
            .args(["-c", &script])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        child
    }

    fn budget(rule: JobsRule) -> MemoryBudget {
        MemoryBudget { limit: LIMIT, jobs: 8, rule }
    }

    fn wait_until(mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < DEADLINE);
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    #[test]
    fn near_the_limit_the_largest_task_is_stopped_and_the_others_go_on() {
        let container = ContainerMemory::new();
        let memory = container.memory();
        let registry = ProcessRegistry::new(Some(memory.clone()), SeenUsage::default());
        let queue = TaskQueue::of(TasksByStage::default(), 8);
        let monitor = MemoryMonitor::new(&memory, budget(JobsRule::Fixed), false, &registry, &queue).unwrap();
        let (mut small, mut large) = (hold(1), hold(30));
        let (first, second) = (registry.register(1), registry.register(2));
        first.enter(Pid::from_child(&small), Instant::now(), 0);
        second.enter(Pid::from_child(&large), Instant::now(), 0);
        monitor
            .watch_over(|| {
                container.uses(95);
                assert_eq!(large.wait().unwrap().signal(), Some(9));
                container.uses(50);
                let shortage = second.leave().stopped.unwrap();
                assert_eq!((shortage.in_use, shortage.limit), (LIMIT / 100 * 95, LIMIT));
                assert!(shortage.task > 30_000_000, "{shortage:?}");
            })
            .unwrap();
        assert_eq!(small.try_wait().unwrap(), None);
        assert_eq!(first.leave().stopped, None);
        rustix::process::kill_process_group(Pid::from_child(&small), rustix::process::Signal::KILL).unwrap();
        small.wait().unwrap();
    }

    #[test]
    fn a_task_is_not_blamed_for_whom_the_kernel_killed_before_it_began() {
        let container = ContainerMemory::new();
        let registry = ProcessRegistry::new(Some(container.memory()), SeenUsage::default());
        let registration = registry.register(1);
        let blamed = |kills_meanwhile| {
            registration.enter(rustix::process::getpid(), Instant::now(), registry.kills());
            container.kernel_killed(kills_meanwhile);
            registry.was_kernel_killing(&registration.leave())
        };
        // The first one may have ended well: nobody asked then.
        container.kernel_killed(1);
        assert_eq!([1, 2, 2].map(blamed), [false, true, false]);
    }

    #[test]
    fn where_memory_fills_up_nothing_new_begins_and_a_sign_of_life_is_due() {
        let container = ContainerMemory::new();
        let memory = container.memory();
        let registry = ProcessRegistry::new(Some(memory.clone()), SeenUsage::default());
        let tasks = TasksByStage { ordinary: (0..20).collect(), ..TasksByStage::default() };
        let queue = TaskQueue::of(tasks, 8);
        let monitor =
            MemoryMonitor::new(&memory, budget(JobsRule::Measured), false, &registry, &queue).unwrap();
        let wakes = |patience: Duration| {
            let mut polled = [PollFd::new(&monitor.wakeup.0, PollFlags::IN)];
            poll(&mut polled, Some(&Timespec::try_from(patience).unwrap())).unwrap() > 0
        };
        std::thread::scope(|scope| {
            let watching = || {
                // Two at first, and one more with each that ended.
                let first = queue.next().unwrap();
                let second = queue.next().unwrap();
                registry.ended(Some(1000));
                let third = queue.next().unwrap();
                assert!(!wakes(Duration::ZERO));
                container.uses(85);
                assert!(wakes(DEADLINE));
                assert_eq!(monitor.peak(), Some(LIMIT / 100 * 85));
                assert!(!wakes(Duration::ZERO));
                let waiting = scope.spawn(|| queue.next());
                queue.complete(first);
                queue.complete(second);
                assert_eq!(queue.running(), 1);
                // What is in use goes with no task: one may run all the same.
                queue.complete(third);
                assert!(waiting.join().unwrap().is_some());
                container.uses(20);
                assert!(queue.next().is_some());
                wait_until(|| monitor.peak() == Some(LIMIT / 100 * 20));
            };
            monitor.watch_over(watching).unwrap();
        });
    }
}

//! Processes that tasks leave behind: found, killed and reaped.
//!
//! The kernel gives an orphan to its nearest ancestor that is a child subreaper (or to PID 1), as a child of its first
//! thread. Tasks are started by other threads, so the first thread's children are orphans, and processes that existed before this
//! program was executed. A process keeps its number until it is reaped: killing and reaping take
//! turns, so that no unrelated process is hit.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, waitpid};
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::host::procfs::{children, numbers};
use crate::threads::locked;

/// Set in every task; a canfar-run inside one takes no identity from the environment.
pub const TASK_ID: &str = "CANFAR_TASK_ID";

/// The longest time for killing all that are left.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The longest time for killing what a task left behind: it may fork faster than it is killed, or hang in the kernel.
const PATIENCE_AFTER_A_TASK: Duration = Duration::from_secs(1);

/// How long it takes until what was killed is looked for again: soon at first, since most are gone at once.
const PAUSES: std::ops::RangeInclusive<Duration> = Duration::from_micros(200)..=Duration::from_millis(20);

/// How long a process that is just executing a program may hide its environment: on a busy machine it may have to wait for
/// its turn in the midst of that.
const LONGEST_EXECUTION: Duration = PATIENCE_AFTER_A_TASK;

static REAPING: Mutex<()> = Mutex::new(());

/// Held while reaping, listing children, or killing by a number that another thread may reap. Never for longer than a few
/// system calls that can't wait.
pub fn reap_lock() -> MutexGuard<'static, ()> {
    locked(&REAPING)
}

/// This program's descendants, those apart that it was executed with.
#[derive(Debug)]
pub struct Descendants {
    /// Not ours to kill; `None` where this process belongs to another program.
    before: Option<BTreeSet<ProcessIdentity>>,
}

impl Descendants {
    /// Has every orphan below this process become its child from now on, and notes which children it has already: a shell
    /// may have started them before it executed this program. Does nothing unless called by the first thread.
    pub fn become_subreaper() -> Self {
        let own = getpid();
        let is_first_thread = std::fs::read_link("/proc/thread-self")
            .is_ok_and(|link| link == Path::new(&format!("{own}/task/{own}")));
        if !is_first_thread || !ask_for_orphans() {
            return Self { before: None };
        }
        Self { before: Some(children_of_all_threads().map(|process| process.identity).collect()) }
    }

    /// Stops all there are, theirs too, until none runs or `patience` is over.
    pub fn stop_all(&self, patience: Duration) -> StoppedProcesses {
        let until = Instant::now() + patience;
        let mut stopped: Vec<DescendantProcess> = Vec::new();
        loop {
            let is_known =
                |process: &DescendantProcess| stopped.iter().any(|known| known.identity == process.identity);
            let running = self.all().into_iter().filter(|process| process.is_running() && !is_known(process));
            let told: Vec<DescendantProcess> =
                running.filter(|process| process.signal(Signal::STOP)).collect();
            // Processes that were started meanwhile are found next.
            if told.is_empty() || Instant::now() >= until {
                return StoppedProcesses(stopped);
            }
            stopped.extend(told);
        }
    }

    /// All there are, parents before their children.
    fn all(&self) -> Vec<DescendantProcess> {
        let is_ours = |process: &DescendantProcess| {
            self.before.as_ref().is_none_or(|before| !before.contains(&process.identity))
        };
        let mut others: Vec<DescendantProcess> =
            all_numbers().into_iter().filter_map(DescendantProcess::find).collect();
        let mut parents = BTreeSet::from([getpid().as_raw_pid()]);
        let mut found = Vec::new();
        loop {
            let is_child =
                |process: &DescendantProcess| parents.contains(&process.parent) && is_ours(process);
            let (children, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(is_child);
            if children.is_empty() {
                return found;
            }
            parents = children.iter().map(|process| process.identity.pid).collect();
            found.extend(children);
            others = rest;
        }
    }

    /// Kills and reaps all that are left, until there is none or `patience` is over. Only when no task may continue.
    pub fn kill_all(&self, patience: Duration) {
        if let Some(before) = &self.before {
            let is_ours = |process: &DescendantProcess| !before.contains(&process.identity);
            kill_until_none(|_| children_of_all_threads().filter(is_ours).collect(), patience);
        }
    }
}

/// Processes that were stopped and must be continued.
#[derive(Debug)]
pub struct StoppedProcesses(Vec<DescendantProcess>);

impl StoppedProcesses {
    /// Continues them, children before their parents, so that none sees that another one was stopped.
    pub fn go_on(self) {
        self.0.into_iter().rev().for_each(|process| _ = process.signal(Signal::CONT));
    }
}

#[cfg(target_os = "linux")]
fn ask_for_orphans() -> bool {
    rustix::process::set_child_subreaper(Some(getpid())).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn ask_for_orphans() -> bool {
    false
}

/// Reaps the calling thread's children that ended. Called by the first thread: these are orphans, never tasks, which
/// other threads wait for.
pub fn reap_orphans() {
    #[cfg(target_os = "linux")]
    {
        /// `__WNOTHREAD` of `linux/wait.h`: no other thread's children.
        const OWN_CHILDREN: WaitOptions = WaitOptions::from_bits_retain(0x2000_0000);
        /// A process that starts others without end must not keep this thread from everything else.
        const MOST_AT_ONCE: usize = 1000;
        let reap_one = || {
            let _lock = reap_lock();
            matches!(rustix::process::wait(WaitOptions::NOHANG | OWN_CHILDREN), Ok(Some(_)))
        };
        let _ = (0..MOST_AT_ONCE).all(|_| reap_one());
    }
}

/// Kills what a task left behind: its group, and the orphans that bear its id in their environment. The task's own process,
/// the group's leader, must have ended and not be reaped. Returns how many orphans were killed.
pub fn kill_left_behind(leader: Pid, task_id: &OsStr) -> u32 {
    let find = |killed: &BTreeSet<ProcessIdentity>| {
        let is_left = |process: &DescendantProcess| {
            process.identity.pid != leader.as_raw_pid()
                && (process.group == leader.as_raw_pid()
                    || killed.contains(&process.identity)
                    || process.is_of_task(task_id))
        };
        let left = orphans().filter(is_left).collect();
        let _ = kill_process_group(leader, Signal::KILL);
        left
    };
    kill_until_none(find, PATIENCE_AFTER_A_TASK)
}

/// Kills what `find` finds, given what was killed already, until it finds nothing: children of killed processes
/// are found next. Returns how many were killed.
fn kill_until_none(
    find: impl Fn(&BTreeSet<ProcessIdentity>) -> Vec<DescendantProcess>,
    patience: Duration,
) -> u32 {
    let until = Instant::now() + patience;
    let mut pause = *PAUSES.start();
    let mut killed = BTreeSet::new();
    loop {
        let found = find(&killed);
        let before = killed.len();
        killed.extend(found.iter().filter(|process| !process.is_zombie).map(|process| process.identity));
        let reaped = found.iter().filter(|process| process.end()).count();
        if found.is_empty() || Instant::now() >= until {
            return u32::try_from(killed.len()).unwrap_or(u32::MAX);
        }
        pause = if killed.len() > before { *PAUSES.start() } else { (pause * 2).min(*PAUSES.end()) };
        if reaped < found.len() {
            std::thread::sleep(pause);
        }
    }
}

/// The first thread's list of children; an error where the kernel keeps none. Open all the time: to find it again at the
/// end of each task takes ten times as long as to read it.
static CHILDREN: LazyLock<io::Result<File>> =
    LazyLock::new(|| File::open(format!("/proc/self/task/{}/children", getpid())));

/// The first thread's children.
fn orphans() -> impl Iterator<Item = DescendantProcess> {
    let list = CHILDREN.as_ref().ok().and_then(|list| {
        // The kernel leaves out children while it lists them if one before them is reaped (`man 5 proc_pid_task`).
        let _lock = reap_lock();
        read_from_start(list).ok()
    });
    let found = list.map_or_else(all_numbers, |list| numbers(&list));
    found.into_iter().filter_map(DescendantProcess::look)
}

/// Without moving the file position, which is shared.
fn read_from_start(file: &File) -> io::Result<Vec<u8>> {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match file.read_at(&mut buffer, text.len() as u64)? {
            0 => return Ok(text),
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
}

/// This process's children.
fn children_of_all_threads() -> impl Iterator<Item = DescendantProcess> {
    let listed = || {
        let _lock = reap_lock();
        children(Path::new("/proc/self"))
    };
    let numbers = if CHILDREN.is_ok() { listed() } else { all_numbers() };
    numbers.into_iter().filter_map(DescendantProcess::look)
}

/// All there are, for a kernel without lists of children; none where `/proc` counts otherwise than this process does.
fn all_numbers() -> Vec<i32> {
    if !Path::new(&format!("/proc/self/task/{}", getpid())).exists() {
        return Vec::new();
    }
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Which process it is, also where its number is given out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ProcessIdentity {
    pid: i32,
    /// Clock ticks from boot to its start.
    started: u64,
}

/// A child of this process, as last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DescendantProcess {
    identity: ProcessIdentity,
    parent: i32,
    group: i32,
    is_zombie: bool,
    /// Whether it was stopped, by a signal or a tracer.
    is_stopped: bool,
    /// Bytes of its environment; `None` while it executes a program: reading it then may return only a part.
    environment: Option<u64>,
}

impl DescendantProcess {
    /// `None` when there is none of that number, or it is not this process's child.
    fn look(pid: i32) -> Option<Self> {
        Self::find(pid).filter(|process| process.parent == getpid().as_raw_pid())
    }

    /// The same whosever child it is.
    fn find(pid: i32) -> Option<Self> {
        Self::parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn look_again(&self) -> Option<Self> {
        Self::look(self.identity.pid).filter(|now| now.identity == self.identity)
    }

    /// From the text of `/proc/PID/stat` (see `man 5 proc_pid_stat`): the second field is a name in parentheses that may
    /// hold anything.
    fn parse(pid: i32, stat: &[u8]) -> Option<Self> {
        let rest = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
        let fields: Vec<&str> = std::str::from_utf8(rest).ok()?.split_ascii_whitespace().collect();
        // The first of them is the third one.
        let field = |number: usize| fields.get(number - 3).copied();
        let state = field(3)?;
        let is_zombie = matches!(state, "Z" | "X");
        let number = |of: usize| field(of)?.parse::<u64>().ok();
        // Where the environment begins and ends is said while it is still being measured, and only after that where the
        // program's code begins.
        let is_executing = number(26) == Some(0);
        let environment = number(50).zip(number(51)).filter(|(begin, _)| *begin > 0 && !is_executing);
        let environment = environment.and_then(|(begin, end)| end.checked_sub(begin));
        Some(Self {
            identity: ProcessIdentity { pid, started: field(22)?.parse().ok()? },
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            is_zombie,
            is_stopped: matches!(state, "T" | "t"),
            environment: if is_zombie { Some(0) } else { environment },
        })
    }

    fn is_running(&self) -> bool {
        !self.is_zombie && !self.is_stopped
    }

    /// Sends it a signal; `false` if that is impossible. No other process is hit, even if its number is reused.
    fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = Pid::from_raw(self.identity.pid) else { return false };
        let is_still = || Self::find(self.identity.pid).is_some_and(|now| now.identity == self.identity);
        #[cfg(target_os = "linux")]
        if let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) {
            return is_still() && pidfd_send_signal(&descriptor, signal).is_ok();
        }
        is_still() && kill_process(pid, signal).is_ok()
    }

    /// Whether it bears a task's id, or that of a task within the task.
    fn is_of_task(&self, id: &OsStr) -> bool {
        let begun = Instant::now();
        loop {
            let environment = match std::fs::read(format!("/proc/{}/environ", self.identity.pid)) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return false,
                // A process that is executing a program seems to be missing for a moment, too.
                read => read.unwrap_or_default(),
            };
            if is_within(&environment, id) {
                return true;
            }
            let Some(now) = self.look_again() else { return false };
            let is_whole = now.environment == Some(environment.len() as u64);
            if is_whole || begun.elapsed() >= LONGEST_EXECUTION {
                return false;
            }
            std::thread::sleep(*PAUSES.start());
        }
    }

    /// Kills it, or reaps it if it is dead already: then the answer is `true`.
    fn end(&self) -> bool {
        let _lock = reap_lock();
        let (Some(now), Some(pid)) = (self.look_again(), Pid::from_raw(self.identity.pid)) else {
            return true;
        };
        // A process with other live threads looks like a zombie, too.
        if now.is_zombie && matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_))) {
            return true;
        }
        // A failure can't be reported anywhere.
        let _ = kill_process(pid, Signal::KILL);
        false
    }
}

/// Whether an environment is that of the task `id`, or of a task within it.
fn is_within(environment: &[u8], id: &OsStr) -> bool {
    let value_of = |variable: &'_ [u8]| -> Option<usize> {
        let value = variable.strip_prefix(TASK_ID.as_bytes())?.strip_prefix(b"=")?;
        let inner = value.strip_prefix(id.as_bytes())?;
        (inner.is_empty() || inner.starts_with(b".")).then_some(inner.len())
    };
    environment.split(|byte| *byte == 0).any(|variable| value_of(variable).is_some())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{DescendantProcess, ProcessIdentity, all_numbers, children_of_all_threads, is_within};

    const STAT: &str = "77 (a) Z (b) S 5 70 70 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 2 3 4 5 6 7 8 9 0 0 0 0 0 0 0 17 1 0 0 0 0 0 10 20 30 40 50 60 70 0";

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let process = DescendantProcess::parse(77, STAT.as_bytes()).unwrap();
        assert_eq!(process.identity, ProcessIdentity { pid: 77, started: 4242 });
        assert_eq!((process.parent, process.group), (5, 70));
        assert_eq!((process.is_zombie, process.environment), (false, Some(10)));
        let zombie = DescendantProcess::parse(77, STAT.replace(") S", ") Z").as_bytes()).unwrap();
        assert_eq!((zombie.is_zombie, zombie.environment), (true, Some(0)));
        // What executes a program has none yet, which is not the same as an empty one.
        for (before, now, environment) in [
            (" 60 70 ", " 60 60 ", Some(0)),
            (" 60 70 ", " 0 0 ", None),
            (" 60 70 ", " 60 0 ", None),
            (" 3 4 5 6 ", " 3 4 0 0 ", None),
        ] {
            let process = DescendantProcess::parse(77, STAT.replace(before, now).as_bytes()).unwrap();
            assert_eq!(process.environment, environment, "{now}");
        }
    }

    #[test]
    fn a_line_that_was_cut_is_no_process() {
        let whole = STAT.find(" 2 3 4").unwrap();
        for end in 0..whole - 4 {
            assert_eq!(DescendantProcess::parse(77, &STAT.as_bytes()[..end]), None, "{end}");
        }
    }

    #[test]
    fn a_task_is_known_by_the_whole_of_its_id() {
        for (environment, is_its) in [
            ("A=1\0CANFAR_TASK_ID=r.1.1.1.1\0B=2\0", true),
            ("CANFAR_TASK_ID=r.1.1.1.1", true),
            ("CANFAR_TASK_ID=r.1.1.1.1.s.7.1.1.1\0", true),
            ("CANFAR_TASK_ID=r.1.1.1.11\0", false),
            ("CANFAR_TASK_ID=r.1.1.1\0", false),
            ("XCANFAR_TASK_ID=r.1.1.1.1\0", false),
            ("CANFAR_TASK_IDS=r.1.1.1.1\0", false),
            ("", false),
        ] {
            assert_eq!(is_within(environment.as_bytes(), OsStr::new("r.1.1.1.1")), is_its, "{environment:?}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn children_are_found_with_and_without_the_kernels_lists_and_nobody_else_is() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let is_it = |process: DescendantProcess| process.identity.pid.cast_unsigned() == child.id();
        assert_eq!(children_of_all_threads().filter(|process| is_it(*process)).count(), 1);
        assert_eq!(
            all_numbers()
                .into_iter()
                .filter_map(DescendantProcess::look)
                .filter(|process| is_it(*process))
                .count(),
            1
        );
        assert_eq!(DescendantProcess::look(1), None);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(DescendantProcess::look(child.id().cast_signed()), None);
    }
}

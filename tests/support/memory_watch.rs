//! A container's memory cgroup, seen from outside: how many processes the kernel killed in it, and, where the whole
//! container is to die at once, the one who sees to that.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How often the kernel's counters are looked at.
const LOOK: Duration = Duration::from_millis(1);

/// Looks until the cgroup is gone.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    kills: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl MemoryWatch {
    /// Of a container's first process. With `kills_all` a container in which the kernel would kill one process is killed
    /// as one: cgroup v2 can do so by itself (`memory.oom.group`); in one of v1, made so that the kernel lets who wants
    /// more memory wait, it is done from here.
    pub(crate) fn of(pid: Pid, kills_all: bool) -> Option<Self> {
        let cgroup = Cgroup::of(pid)?;
        if kills_all && cgroup.version == Version::V2 {
            std::fs::write(cgroup.folder.join("memory.oom.group"), "1").unwrap();
        }
        let kills = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&kills);
        let thread = std::thread::spawn(move || {
            while let Some(state) = cgroup.state() {
                seen.fetch_max(state.kills, Ordering::Relaxed);
                if kills_all && state.waits {
                    let _ = kill_process(pid, Signal::KILL);
                    seen.fetch_max(1, Ordering::Relaxed);
                }
                std::thread::sleep(LOOK);
            }
        });
        Some(Self { kills, thread })
    }

    /// How many there were, once the container is gone.
    pub(crate) fn kills(self) -> u64 {
        self.thread.join().unwrap();
        self.kills.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

#[derive(Debug)]
struct Cgroup {
    version: Version,
    folder: PathBuf,
}

struct State {
    kills: u64,
    /// Whether a process is held up until there is memory.
    waits: bool,
}

impl Cgroup {
    fn of(pid: Pid) -> Option<Self> {
        let lines = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = |controller: &str| {
            let mut fields = lines.lines().map(|line| line.splitn(3, ':').skip(1).collect::<Vec<_>>());
            fields
                .find(|fields| fields[0] == controller)
                .map(|fields| fields[1].trim_start_matches('/').to_owned())
        };
        let (version, folder) = match path("memory") {
            // That of a process which has ended already.
            Some(path) if path.is_empty() => return None,
            Some(path) => (Version::V1, PathBuf::from("/sys/fs/cgroup/memory").join(path)),
            None => {
                (Version::V2, PathBuf::from("/sys/fs/cgroup").join(path("").filter(|path| !path.is_empty())?))
            }
        };
        Some(Self { version, folder })
    }

    /// `None` when it is gone.
    fn state(&self) -> Option<State> {
        let file = match self.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        let text = std::fs::read_to_string(self.folder.join(file)).ok()?;
        let value = |name: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once(' '));
            fields.find(|field| field.0 == name).and_then(|field| field.1.parse().ok()).unwrap_or(0)
        };
        Some(State { kills: value("oom_kill"), waits: value("under_oom") > 0 })
    }
}

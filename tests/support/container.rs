//! canfar-run in a container, started as the platform does it: the first process, a user whom nobody knows, no
//! capabilities, nothing writable but /arc, no network, limits by cgroup. Or a container of an image, as people start one.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{MetadataExt, chown};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::container_root::container_root;
use super::memory_watch::MemoryWatch;
use super::{DEADLINE, Dir, Ended, InTime, Process, Run, Running, wait_until};

/// As Debian 12 has it: its crun refuses some machines, and there may be no systemd to ask for cgroups.
pub(super) const PODMAN: [&str; 2] = ["--runtime=runc", "--cgroup-manager=cgroupfs"];

/// A group of the user's, as of a project, beside the primary one.
pub(crate) const PROJECT_GROUP: u32 = 30_001;

/// What the kernel does in a container that needs more memory than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnOutOfMemory {
    /// Kills one process, as it does where nobody says otherwise.
    KillOne,
    /// Kills all of them at once, as Kubernetes has it.
    KillAll,
}

/// What is to be started, with the test's folder at /arc.
#[derive(Debug)]
pub(crate) struct Container<'d> {
    dir: &'d Dir,
    flags: Vec<OsString>,
    /// In place of [`container_root`].
    image: Option<String>,
    on_out_of_memory: OnOutOfMemory,
    words: Vec<OsString>,
}

impl<'d> Container<'d> {
    pub(super) fn new(dir: &'d Dir) -> Self {
        let user = owner(dir);
        Self::bare(dir, "/arc")
            .flag(format!("--user={user}:{user}"))
            .flag("--passwd=false")
            .flag(format!("--group-add={PROJECT_GROUP}"))
            .flag("--cap-drop=ALL")
            .flag("--security-opt=no-new-privileges")
            .flag("--read-only")
            .flag("--read-only-tmpfs=false")
            .env("HOME", "/arc")
            .env("REPLICA_ID", "1")
            .env("REPLICA_COUNT", "1")
    }

    /// `sh -c SCRIPT` as root in a container that can be written to, with the test's folder at /work.
    pub(super) fn of_image(dir: &'d Dir, image: &str, script: &str) -> Self {
        let container = Self { image: Some(image.to_owned()), ..Self::bare(dir, "/work") };
        container.flag("--pull=never").program("sh").args(["-c", script])
    }

    fn bare(dir: &'d Dir, home: &str) -> Self {
        let container = Self {
            dir,
            flags: Vec::new(),
            image: None,
            on_out_of_memory: OnOutOfMemory::KillOne,
            words: vec!["canfar-run".into()],
        };
        container
            .flag("--network=none")
            // Without them runc fails where it may not raise its own. Of two of a kind the last one counts.
            .flag("--ulimit=nofile=1024:1024")
            .flag("--ulimit=nproc=1000:1000")
            .flag(format!("--volume={}:{home}", dir.root().display()))
            .flag(format!("--workdir={home}"))
    }

    /// One more for `podman run`.
    pub(crate) fn flag(mut self, flag: impl AsRef<OsStr>) -> Self {
        self.flags.push(flag.as_ref().to_owned());
        self
    }

    pub(crate) fn cpus(self, cpus: &str) -> Self {
        self.flag(format!("--cpus={cpus}"))
    }

    /// Memory, and none by swapping.
    pub(crate) fn memory_mib(self, mib: u64) -> Self {
        self.flag(format!("--memory={mib}m")).flag(format!("--memory-swap={mib}m"))
    }

    /// The kernel kills all of it where it would have killed one process for want of memory.
    pub(crate) fn killed_whole(mut self) -> Self {
        self.on_out_of_memory = OnOutOfMemory::KillAll;
        self
    }

    pub(crate) fn env(self, name: &str, value: &str) -> Self {
        self.flag(format!("--env={name}={value}"))
    }

    /// A host of a name: what tells one container from the next.
    pub(crate) fn host(self, name: &str) -> Self {
        self.flag(format!("--hostname={name}"))
    }

    /// Another first process than canfar-run.
    pub(crate) fn program(mut self, program: &str) -> Self {
        self.words = vec![program.into()];
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// `-i data/* -o out`.
    pub(crate) fn launch(self) -> Self {
        self.args(["-i", "data/*", "-o", "out"])
    }

    /// The command of the tasks: `/bin/sh -c SCRIPT sh {}`, the path being `$1`.
    pub(crate) fn sh(self, script: &str) -> Self {
        self.args(["--", "/bin/sh", "-c", script, "sh", "{}"])
    }

    fn root(&self) -> Vec<OsString> {
        match &self.image {
            Some(image) => vec![image.into()],
            None => vec!["--rootfs".into(), container_root().unwrap().into()],
        }
    }

    pub(crate) fn run(self) -> Ended {
        self.start().wait()
    }

    /// Returns when its first process has been started.
    #[track_caller]
    pub(crate) fn start(self) -> Contained<'d> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("canfar-run-test-{}-{number}", std::process::id());
        let files = tempfile::tempdir().unwrap();
        let pid_file = files.path().join("pid");
        let kills_all = self.on_out_of_memory == OnOutOfMemory::KillAll;
        // Cgroups of version 2 have no such thing, and need none: see `MemoryWatch`.
        let lets_wait = kills_all && std::path::Path::new("/sys/fs/cgroup/memory").exists();
        let run = Run::of(self.dir, "podman")
            .args(PODMAN)
            .args(["run", "--rm", "--name", &name, "--pidfile"])
            .arg(&pid_file)
            .args(&self.flags)
            .args(lets_wait.then_some("--oom-kill-disable"))
            .args(self.root())
            .args(&self.words)
            // It leaves a file where it is started when the kernel has killed somebody.
            .cwd(files.path().to_owned());
        // Whole from here on, so that it is removed should it not come up.
        let mut contained =
            Contained { running: Some(run.start()), name, pid: None, memory: None, _files: files };
        let starts = format!("{} is started", contained.name);
        wait_until(DEADLINE, &starts, || {
            let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
            contained.pid = text.trim().parse().ok().and_then(Pid::from_raw);
            contained.pid.is_some_and(is_under_way) || contained.running.as_mut().unwrap().has_ended()
        });
        contained.memory = contained.pid.and_then(|pid| MemoryWatch::of(pid, kills_all));
        contained
    }
}

/// The user who has the test's folder. It gets one of its own, for a user's processes are counted on the whole machine.
fn owner(dir: &Dir) -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let owner = std::fs::metadata(dir.root()).unwrap().uid();
    if owner != 0 {
        return owner;
    }
    let user = 20_001 + (std::process::id() * 64 + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
    chown(dir.root(), Some(user), Some(user)).unwrap();
    user
}

/// A container that was started. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Contained<'d> {
    running: Option<Running<'d>>,
    name: String,
    pid: Option<Pid>,
    memory: Option<MemoryWatch>,
    _files: TempDir,
}

impl Contained<'_> {
    /// Its first process, as this side knows it.
    #[track_caller]
    pub(crate) fn pid(&self) -> Pid {
        self.pid.expect("it was started")
    }

    /// To its first process, which is all that the platform signals.
    pub(crate) fn signal(&self, signal: Signal) {
        // One that has ended by itself in the meantime is no failure.
        let _ = kill_process(self.pid(), signal);
    }

    /// All processes in it but the first, also those that ended and were not reaped.
    pub(crate) fn processes(&self) -> Vec<Process> {
        Process::descendants_of(self.pid())
    }

    /// Whether its first process has ended, and so, by the kernel, all of them.
    pub(crate) fn is_gone(&self) -> bool {
        rustix::process::test_kill_process(self.pid()).is_err()
    }

    /// Waits until the first process takes care of SIGTERM itself: before that the kernel keeps it from one.
    #[track_caller]
    pub(crate) fn wait_until_it_can_be_stopped(&self) {
        wait_until(DEADLINE, "SIGTERM is taken over", || self.is_gone() || blocks_term(self.pid()));
    }

    #[track_caller]
    pub(crate) fn wait(self) -> Ended {
        self.wait_and_count().0
    }

    /// Its end, and how many processes the kernel killed in it for want of memory.
    #[track_caller]
    pub(crate) fn wait_and_count(mut self) -> (Ended, u64) {
        let ended = self.running.take().unwrap().wait();
        let kills = self.memory.take().map_or(0, MemoryWatch::kills);
        (ended, kills)
    }
}

impl Drop for Contained<'_> {
    fn drop(&mut self) {
        if self.running.is_some() {
            let mut remove = Command::new("podman");
            remove.args(PODMAN).args(["rm", "--force", "--time=0", "--ignore", &self.name]);
            let _ = remove.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// Whether the container's program has taken the place of runc, which prepares everything for it.
fn is_under_way(pid: Pid) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0);
    let is_runc = words.next().is_some_and(|word| word.ends_with(b"runc"));
    !(is_runc && words.next() == Some(b"init"))
}

fn blocks_term(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    let blocked = blocked.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    blocked & (1 << (Signal::TERM.as_raw() - 1)) != 0
}

/// Why no container can be started here; `None` when one can.
pub(super) fn why_none() -> Option<String> {
    static WHY: OnceLock<Option<String>> = OnceLock::new();
    WHY.get_or_init(|| {
        if !rustix::process::geteuid().is_root() {
            return Some("only root can start containers with all their limits".to_owned());
        }
        if let Err(why) = container_root() {
            return Some(why.clone());
        }
        if let Err(error) = Command::new("podman").arg("--version").output_in_time() {
            return Some(format!("podman: {error}"));
        }
        let dir = Dir::new();
        let trial = Container::new(&dir).cpus("0.5").memory_mib(64).args(["--version"]).start().wait();
        (trial.code != Some(0)).then(|| format!("podman can't start a container here:\n{trial}"))
    })
    .clone()
}

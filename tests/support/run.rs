//! canfar-run, started as a test says and nothing else.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{DEADLINE, Dir, Ended, wait_until};

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Run<'d> {
    dir: &'d Dir,
    command: Command,
    stdout: Option<File>,
}

impl<'d> Run<'d> {
    pub(super) fn new(dir: &'d Dir) -> Self {
        Self::of(dir, env!("CARGO_BIN_EXE_canfar-run"))
    }

    /// Another program, for what only it can arrange before it executes canfar-run.
    pub(crate) fn of(dir: &'d Dir, program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TMPDIR", dir.scratch());
        command.current_dir(dir.root()).stdin(Stdio::null());
        Self { dir, command, stdout: None }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// The command of the tasks: `/bin/sh -c SCRIPT sh {}`, the path being `$1`.
    pub(crate) fn sh(self, script: &str) -> Self {
        self.args(["--", "/bin/sh", "-c", script, "sh", "{}"])
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// A replica that keeps to its share: most tests start one after the other and are about what a replica of a known share
    /// does, while of those that share their work the first to start would run everything.
    pub(crate) fn replica(self, id: usize, count: usize) -> Self {
        self.sharing_replica(id, count).env("CANFAR_RUN_BALANCE", "false")
    }

    /// A replica as users start it: the run shares its work unless the options say otherwise.
    pub(crate) fn sharing_replica(self, id: usize, count: usize) -> Self {
        self.env("REPLICA_ID", id.to_string()).env("REPLICA_COUNT", count.to_string())
    }

    /// With signs of life that come, and are waited for, in a hurry: what takes half a minute takes three seconds.
    pub(crate) fn quick_heartbeat(self) -> Self {
        self.env("CANFAR_RUN_TEST_HEARTBEAT", "250ms").env("CANFAR_RUN_TEST_HEARTBEAT_TIMEOUT", "3s")
    }

    pub(crate) fn cwd(mut self, folder: PathBuf) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn stdin(mut self, file: File) -> Self {
        self.command.stdin(file);
        self
    }

    /// In place of a file that can be looked at.
    pub(crate) fn stdout(mut self, file: impl Into<OwnedFd>) -> Self {
        self.stdout = Some(file.into().into());
        self
    }

    /// As a user for whom permissions count. Whoever is not root is one already.
    pub(crate) fn without_rights(mut self, uid: u32) -> Self {
        if rustix::process::geteuid().is_root() {
            self.command.uid(uid).gid(uid);
        }
        self
    }

    pub(crate) fn start(mut self) -> Running<'d> {
        // Beside the test's folder, so that it holds nothing but what the test and canfar-run put there.
        let streams = tempfile::tempdir().unwrap();
        let stream = |name| File::create(streams.path().join(name)).unwrap();
        let stdout = self.stdout.take().unwrap_or_else(|| stream("stdout"));
        self.command.stdout(stdout).stderr(stream("stderr"));
        let words: Vec<OsString> = std::iter::once(self.command.get_program())
            .chain(self.command.get_args())
            .map(OsStr::to_owned)
            .collect();
        let line = words.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ");
        let child = self.command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        Running { dir: self.dir, child, streams, line }
    }

    pub(crate) fn run(self) -> Ended {
        self.start().wait()
    }
}

/// Starts canfar-run as often as there are ways to complete it: all wait for each other first.
pub(crate) fn at_once<'d, F: FnOnce(Run<'d>) -> Run<'d>>(
    dir: &'d Dir,
    completed: impl IntoIterator<Item = F>,
) -> Vec<Running<'d>> {
    let (reader, writer) = std::io::pipe().unwrap();
    let wait_for_end_of_input = "read _; exec \"$@\" < /dev/null";
    let start = |complete: F| {
        let stdin = File::from(OwnedFd::from(reader.try_clone().unwrap()));
        let program = ["-c", wait_for_end_of_input, "sh", env!("CARGO_BIN_EXE_canfar-run")];
        complete(Run::of(dir, "/bin/sh").args(program)).stdin(stdin).start()
    };
    let running = completed.into_iter().map(start).collect();
    drop(writer);
    running
}

/// What was started. Killed when dropped, so that a failed test leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Running<'d> {
    dir: &'d Dir,
    child: Child,
    streams: TempDir,
    line: String,
}

impl Running<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGKILL, whether it still runs or not.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it said so far on standard error.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stream("stderr")).into_owned()
    }

    /// What it printed so far on standard output.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.stream("stdout")).into_owned()
    }

    fn stream(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.streams.path().join(name)).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let what = format!("the end of {}", self.line);
        let mut status: Option<ExitStatus> = None;
        wait_until(DEADLINE, &what, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        Ended::new(status.unwrap(), self.stream("stdout"), self.stderr(), &self.line, self.dir.tree())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

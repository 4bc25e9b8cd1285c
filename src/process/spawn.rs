//! Starting a process: in a session of its own, with just the environment it is given, its output in pipes.
//!
//! It calls `posix_spawn` directly: this copies nothing of this process, and the environment, nearly the same for every task, is put
//! together only once.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::host::shortage;

/// What to start.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// The file to execute; searched in `PATH` if there is no slash in it.
    pub file: &'a OsStr,
    /// Its arguments, its own name first.
    pub argv: &'a [OsString],
    /// All of its environment.
    pub environment: Variables<'a>,
    /// Its working directory, where that is not ours.
    pub folder: Option<&'a Path>,
    /// What it reads from standard input; nothing if `None`.
    pub input: Option<BorrowedFd<'a>>,
}

/// An environment: lines `NAME=value`, no name twice.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a> {
    /// Variables that many processes have in common.
    pub common: &'a [CString],
    /// Variables of one process only.
    pub own: &'a [CString],
}

impl<'a> Variables<'a> {
    fn lines(self) -> impl Iterator<Item = &'a CStr> {
        self.common.iter().chain(self.own).map(CString::as_c_str)
    }

    /// A variable's value.
    fn get(self, name: &str) -> Option<&'a OsStr> {
        let value = |line: &'a CStr| line.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=");
        self.lines().find_map(value).map(OsStr::from_bytes)
    }
}

/// The line of a variable.
///
/// # Errors
/// When there is a NUL byte in it.
pub fn variable(name: &str, value: &OsStr) -> io::Result<CString> {
    let mut line = Vec::with_capacity(name.len() + value.len() + 2);
    line.extend_from_slice(name.as_bytes());
    line.push(b'=');
    line.extend_from_slice(value.as_bytes());
    Ok(CString::new(line)?)
}

/// A process that was started and must be reaped.
#[derive(Debug)]
pub struct Started {
    /// Its number, and its group's.
    pub pid: Pid,
    /// What it writes to standard output.
    pub stdout: OwnedFd,
    /// What it writes to standard error.
    pub stderr: OwnedFd,
}

/// Why a process could not be started.
#[derive(Debug)]
pub enum SpawnError {
    /// The system is short of processes, descriptors or memory: later it may work.
    Short(io::Error),
    /// It can't be.
    Impossible(io::Error),
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> Self {
        if shortage::is_shortage(&error) { Self::Short(error) } else { Self::Impossible(error) }
    }
}

/// What all processes of a launch are started with.
#[derive(Debug)]
pub struct Spawner {
    /// The standard input of processes without one: `/dev/null`.
    nothing: File,
}

impl Spawner {
    /// Opens `/dev/null`.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn new() -> io::Result<Self> {
        Ok(Self { nothing: File::open("/dev/null")? })
    }

    /// Starts a process.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(&self, program: Program<'_>) -> Result<Started, SpawnError> {
        let _may_start = STARTS.read().unwrap_or_else(PoisonError::into_inner);
        Ok(self.start_now(program)?)
    }

    fn start_now(&self, program: Program<'_>) -> io::Result<Started> {
        let argv = program.argv.iter().map(|word| CString::new(word.clone().into_vec()));
        let argv = argv.collect::<Result<Vec<_>, _>>()?;
        let environment: Vec<&CStr> = program.environment.lines().collect();
        let (stdout, stdout_theirs) = io::pipe()?;
        let (stderr, stderr_theirs) = io::pipe()?;
        let mut actions = PosixSpawnFileActions::init()?;
        let input = program.input.unwrap_or(self.nothing.as_fd());
        actions.add_dup2(input.as_raw_fd(), 0)?;
        actions.add_dup2(stdout_theirs.as_raw_fd(), 1)?;
        actions.add_dup2(stderr_theirs.as_raw_fd(), 2)?;
        if let Some(folder) = program.folder {
            add_chdir(&mut actions, &CString::new(folder.as_os_str().as_bytes())?)?;
        }
        let attributes = attributes()?;
        let start = |file: &OsStr| posix_spawn(file, &actions, &attributes, &argv, &environment);
        let pid = if program.file.as_bytes().contains(&b'/') {
            start(program.file)?
        } else {
            start_from_path(program, start)?
        };
        let pid = Pid::from_raw(pid.as_raw()).ok_or(Errno::SRCH)?;
        Ok(Started { pid, stdout: stdout.into(), stderr: stderr.into() })
    }
}

/// Starts the first file of its name that can be started from the folders in its `PATH`, as execvp(3) does.
fn start_from_path(
    program: Program<'_>,
    start: impl Fn(&OsStr) -> nix::Result<nix::unistd::Pid>,
) -> nix::Result<nix::unistd::Pid> {
    use nix::errno::Errno;
    let mut refused = Errno::ENOENT;
    for folder in std::env::split_paths(program.environment.get("PATH").unwrap_or(OsStr::new(USUAL_PATH))) {
        match start(Path::new(".").join(folder).join(program.file).as_os_str()) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(Errno::EACCES) => refused = Errno::EACCES,
            started => return started,
        }
    }
    Err(refused)
}

/// Has what is started begin in a folder.
#[expect(unsafe_code, reason = "no crate at hand has a name for this function")]
fn add_chdir(actions: &mut PosixSpawnFileActions, folder: &CStr) -> io::Result<()> {
    let actions = std::ptr::from_mut(actions).cast::<nix::libc::posix_spawn_file_actions_t>();
    // SAFETY: the one is a transparent wrapper of the other, initialised and borrowed for this call alone; the path ends
    // with a NUL byte and is copied.
    match unsafe { nix::libc::posix_spawn_file_actions_addchdir_np(actions, folder.as_ptr()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// What execvp(3) searches where there is no `PATH`.
const USUAL_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// Held for a moment while a process is started.
static STARTS: RwLock<()> = RwLock::new(());

/// Keeps processes from being started as long as what this gives is held; `None` where one that is just being started does
/// not get so far within `patience`.
pub(crate) fn hold_starts(patience: Duration) -> Option<RwLockWriteGuard<'static, ()>> {
    /// Starting a process takes hardly longer.
    const PAUSE: Duration = Duration::from_micros(200);
    let until = Instant::now() + patience;
    loop {
        match STARTS.try_write() {
            Ok(held) => return Some(held),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    }
}

/// As the system calls it; macOS has it and the binding does not.
#[cfg(not(target_vendor = "apple"))]
const SETSID: i16 = nix::libc::POSIX_SPAWN_SETSID;
#[cfg(target_vendor = "apple")]
const SETSID: i16 = 0x400;

/// A session of its own, which has no terminal that could stop or interrupt it, no signal blocked, and the one signal that
/// Rust programs ignore as it is by default.
fn attributes() -> io::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::from_bits_retain(SETSID.into())
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};
    use std::io::Read;
    use std::path::Path;

    use rustix::process::{WaitOptions, waitpid};

    use super::{Program, SpawnError, Spawner, Variables, variable};

    /// What a shell started with these variables says, in a folder or here.
    fn said(file: &str, script: &str, folder: Option<&Path>) -> String {
        let common = [
            variable("A", OsStr::new("1=2")).unwrap(),
            variable("PATH", OsStr::new("/usr/bin:/bin")).unwrap(),
        ];
        let own = [variable("B", OsStr::new("")).unwrap()];
        let argv = ["sh", "-c", script].map(OsString::from);
        let environment = Variables { common: &common, own: &own };
        let program = Program { file: OsStr::new(file), argv: &argv, environment, folder, input: None };
        let started = Spawner::new().unwrap().start(program).unwrap();
        let mut text = String::new();
        std::fs::File::from(started.stdout).read_to_string(&mut text).unwrap();
        waitpid(Some(started.pid), WaitOptions::empty()).unwrap();
        text
    }

    #[test]
    fn all_ways_to_start_give_the_same_surroundings() {
        let script =
            "echo $0 \"$A|$B|${HOME-none}\"; cat; echo to-nobody >&2; test $(ps -o sid= -p $$) = $$ && pwd";
        let here = std::env::current_dir().unwrap();
        let quick = said("/bin/sh", script, None);
        assert_eq!(quick, format!("sh 1=2||none\n{}\n", here.display()));
        assert_eq!(said("sh", script, None), quick, "searched");
        assert_eq!(said("/bin/sh", script, Some(&here)), quick, "into a folder");
        assert_eq!(said("/bin/sh", "pwd", Some(Path::new("/"))), "/\n");
    }

    #[test]
    fn what_is_not_there_and_what_has_a_nul_byte_can_not_be_started() {
        let spawner = Spawner::new().unwrap();
        let environment = Variables { common: &[], own: &[] };
        for (file, word) in [("/nowhere/x", "x"), ("nowhere", "x"), ("/bin/sh", "a\0b"), ("sh", "a\0b")] {
            let argv = [OsString::from(word)];
            let program =
                Program { file: OsStr::new(file), argv: &argv, environment, folder: None, input: None };
            assert!(matches!(spawner.start(program), Err(SpawnError::Impossible(_))), "{file} {word:?}");
        }
    }
}

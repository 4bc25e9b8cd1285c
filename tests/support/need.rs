//! Real components that tests compare with. A missing one skips the test where people work, and fails it in CI.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{InTime, cephfs, container, debian};

/// Something that is not part of this repository.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Component<'a> {
    /// Chromium, driven from Python.
    Browser,
    /// Ceph's servers and its FUSE client, and the right to mount.
    Cephfs,
    /// faketime, to have another clock.
    Faketime,
    /// The right to have another host name, and `unshare` for that.
    OtherHosts,
    /// A program, whatever it is for.
    Program(&'a str),
    /// Modules of Python, as after `import`.
    Python(&'a str),
    /// What [`super::Slurm`] is made of.
    Slurm,
    /// Containers, with a static canfar-run in them.
    Containers,
    /// Containers of [`super::debian_with_pip`].
    DebianWithPip,
    /// A program of `examples/`, built beside canfar-run.
    Example(&'a str),
    /// The right to become another user, and `setpriv` for that.
    OtherUsers,
    /// The right to mount where nobody else sees it, and `unshare` for that.
    PrivateMounts,
    /// The right to become another user.
    Root,
    /// What `packaging/wheel` makes for an architecture.
    Wheel(&'a str),
    /// A wheel of a library beside those.
    Library(&'a str),
    /// tmux, for a terminal.
    Tmux,
    /// strace, which injects faults into system calls, on a system that lets it.
    Strace,
}

impl Component<'_> {
    /// Why it can't be had here; `None` when it can.
    fn missing(self) -> Option<String> {
        match self {
            Component::Browser => refusal("/usr/bin/chromium", &["--version"])
                .or_else(|| Component::Python("playwright.sync_api").missing()),
            Component::Cephfs => cephfs::why_none(),
            Component::Containers => container::why_none(),
            Component::DebianWithPip => debian::why_none(),
            Component::Example(name) => {
                let path = example(name);
                (!path.exists()).then(|| format!("{} is not there: `cargo build --examples`", path.display()))
            }
            Component::Faketime => refusal("faketime", &["-f", "+1h", "true"]),
            Component::OtherHosts => refusal("unshare", &["--uts", "hostname", "elsewhere"]),
            Component::OtherUsers => {
                refusal("setpriv", &["--reuid=20001", "--regid=20001", "--groups=30001", "true"])
            }
            Component::PrivateMounts => refusal("unshare", &["-m", "mount", "-t", "tmpfs", "none", "/etc"]),
            Component::Root => {
                let is_root = rustix::process::geteuid().is_root();
                (!is_root).then(|| "only root can start canfar-run as another user".to_owned())
            }
            Component::Program(name) => refusal(name, &["--version"]),
            Component::Python(modules) => {
                let import = format!("import {modules}");
                let output = Command::new(python()).args(["-c", &import]).output_in_time();
                let why = match output {
                    Ok(output) if output.status.success() => return None,
                    Ok(output) => String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
                    Err(error) => error.to_string(),
                };
                Some(format!(
                    "{} can't `{import}` (CANFAR_RUN_TEST_PYTHON names another Python): {why}",
                    python().display()
                ))
            }
            Component::Slurm => super::Slurm::missing(),
            Component::Wheel(architecture) => match wheels() {
                None => Some(format!("{WHEELS} names no folder of wheels (tests/all makes one)")),
                Some(folder) => {
                    let name = format!("_{architecture}.whl");
                    let is_there = names(&folder).any(|found| found.ends_with(&name));
                    (!is_there).then(|| format!("{} has no wheel for {architecture}", folder.display()))
                }
            },
            Component::Library(name) => {
                let start = format!("{name}-");
                let is_there =
                    wheels().is_some_and(|folder| names(&folder).any(|found| found.starts_with(&start)));
                (!is_there).then(|| format!("{WHEELS} has no wheel of {name} (tests/all fetches it)"))
            }
            Component::Tmux => refusal("tmux", &["-V"]),
            Component::Strace => refusal("strace", &["-qq", "-o", "/dev/null", "true"]),
        }
    }
}

/// Why a program can't do something here.
fn refusal(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output_in_time() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "{program} {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim_end()
        )),
        Err(error) => Some(format!("{program} can't be started: {error}")),
    }
}

/// The interpreter to compare with.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("CANFAR_RUN_TEST_PYTHON").unwrap_or_else(|| "python3".into()).into()
}

/// Names a folder with what `packaging/wheel` made.
const WHEELS: &str = "CANFAR_RUN_TEST_WHEELS";

pub(crate) fn wheels() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os(WHEELS).filter(|path| !path.is_empty())?);
    // podman takes a relative one for the name of a volume.
    Some(folder.canonicalize().unwrap_or(folder))
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Where the interpreter itself is: a bare name, or a script that chooses one by `PATH`, would find what calls it.
pub(crate) fn interpreter() -> Option<String> {
    let said =
        Command::new(python()).args(["-c", "import sys; print(sys.executable, end='')"]).output_in_time();
    let said = said.ok().filter(|said| said.status.success())?;
    Some(String::from_utf8(said.stdout).unwrap())
}

/// A program of `examples/`.
pub(crate) fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_canfar-run")).with_file_name("examples").join(name)
}

/// Whether a test can go on: `if !require(...) { return }`. It says why not, and in CI it has to.
pub(crate) fn require(component: Component<'_>) -> bool {
    let Some(why) = component.missing() else { return true };
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "needed in CI: {why}");
    eprintln!("skipped: {why}");
    false
}

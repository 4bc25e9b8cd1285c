//! `pip install` into a venv: all of it arrives where it is looked for, `python -m canfar_run` is the program itself, and
//! `pip uninstall` takes all of it away.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{printed, python, wheel};
use crate::support::{Component, DEADLINE, Dir, InTime, Run, Tree, require, wait_until};

/// A venv of a test's own. Gone when dropped.
struct Venv(TempDir);

impl Venv {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        printed(Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(folder.path()));
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn pip(&self, words: &[&str], file: Option<&Path>) {
        let mut pip = Command::new(python());
        pip.args(["-m", "pip", "--python"]).arg(self.path("bin/python")).args(words).args(file);
        printed(&mut pip);
    }

    fn install(&self, wheel: &Path) {
        self.pip(&["install", "--no-index", "--no-compile"], Some(wheel));
    }

    /// `python -m canfar_run`.
    fn module<'d>(&self, dir: &'d Dir) -> Run<'d> {
        Run::of(dir, self.path("bin/python")).args(["-B", "-m", "canfar_run"])
    }

    /// pip leaves empty folders.
    fn files(&self) -> Vec<PathBuf> {
        Tree::of(self.0.path()).files()
    }
}

#[test]
fn what_pip_installs_works_and_what_it_uninstalls_is_gone() {
    let Some(wheel) = wheel(ARCH) else { return };
    let dir = Dir::with_inputs(3);
    let venv = Venv::new();
    let before = venv.files();
    venv.install(&wheel);
    let version = concat!("canfar-run ", env!("CARGO_PKG_VERSION"), "\n");
    Run::of(&dir, venv.path("bin/canfar-run")).arg("--version").run().exits(0).prints(version);
    the_module_is_the_program(&dir, &venv);
    the_module_tells_where_no_program_is(&dir, &venv);
    man_finds_the_page(&venv);
    shells_find_the_completions(&dir, &venv);
    venv.pip(&["uninstall", "--yes", "canfar-run"], None);
    assert_eq!(venv.files(), before);
}

fn the_module_is_the_program(dir: &Dir, venv: &Venv) {
    let version = concat!("canfar-run ", env!("CARGO_PKG_VERSION"), "\n");
    venv.module(dir).arg("--version").run().exits(0).prints(version);
    venv.module(dir).arg("--no-such-option").run().exits(2).says("--no-such-option");
    let launch = |out| venv.module(dir).args(["-i", "data/*", "-o", out]);
    launch("good").sh("exit 0").run().exits(0);
    launch("bad").sh("case $1 in */001.fits) exit 3; esac").run().exits(1);
    // One word with a space and one without anything, as they are.
    let words = launch("none").args(["-n", "--", "echo", "a  b", "", "{}"]).run().exits(0).printed();
    assert!(words.contains("echo 'a  b' '' "), "{words}");

    dir.write("hold", "");
    let task = "echo >> ran; trap '' PIPE; while [ -e hold ]; do sleep 0.02; done";
    let running = launch("out").args(["-j", "1"]).sh(task).start();
    wait_until(DEADLINE, "a task begins", || !dir.lines("ran").is_empty());
    let command = std::fs::read(format!("/proc/{}/cmdline", running.pid())).unwrap();
    assert!(command.starts_with(venv.path("bin/canfar-run").as_os_str().as_encoded_bytes()));
    running.signal(Signal::TERM);
    std::fs::remove_file(dir.path("hold")).unwrap();
    running.wait().exits(143).says("SIGTERM (15)");
    assert_eq!(dir.events_of(1, 1, "stop").len(), 1, "{}", dir.tree());

    // Python ignores some, which is inherited.
    let ignored = |run: Run<'_>, out| {
        let task = "grep SigIgn /proc/self/status";
        run.args(["-i", "data/000.fits", "-o", out, "--result", "text"]).sh(task).run().exits(0);
        dir.json(format!("{out}/container_1_results.json"))[0]["result"].clone()
    };
    let direct = ignored(Run::of(dir, venv.path("bin/canfar-run")), "direct");
    assert_eq!(ignored(venv.module(dir), "module"), direct);
}

fn the_module_tells_where_no_program_is(dir: &Dir, venv: &Venv) {
    let (program, aside) = (venv.path("bin/canfar-run"), venv.path("bin/aside"));
    std::fs::rename(&program, &aside).unwrap();
    let ended =
        venv.module(dir).arg("--version").run().exits(1).says("-m pip install --force-reinstall canfar-run");
    assert!(ended.stderr.contains(&program.display().to_string()), "{ended}");
    std::fs::rename(&aside, &program).unwrap();
}

fn path(venv: &Venv) -> std::ffi::OsString {
    let usual = std::env::var_os("PATH").unwrap();
    let folders = std::iter::once(venv.path("bin")).chain(std::env::split_paths(&usual));
    std::env::join_paths(folders).unwrap()
}

fn man_finds_the_page(venv: &Venv) {
    if require(Component::Program("man")) {
        let mut man = Command::new("man");
        let found = printed(man.args(["-w", "canfar-run"]).env("PATH", path(venv)).env_remove("MANPATH"));
        assert_eq!(Path::new(found.trim_end()), venv.path("share/man/man1/canfar-run.1"));
    }
}

fn shells_find_the_completions(dir: &Dir, venv: &Venv) {
    let bash = "cd \"$1\"/share/bash-completion/completions && . ./canfar-run && complete -p canfar-run";
    let zsh = "fpath=($1/share/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D; echo $_comps[canfar-run]";
    let fish = "complete --do-complete 'canfar-run mer'";
    for (shell, words, wanted) in [
        ("bash", &["--norc", "-c", bash, "bash"][..], "canfar-run"),
        ("zsh", &["-f", "-c", zsh, "zsh"], "_canfar-run"),
        ("fish", &["-c", fish], "merge"),
    ] {
        if require(Component::Program(shell)) {
            let mut command = Command::new(shell);
            command.args(words).arg(venv.0.path()).env("XDG_DATA_DIRS", venv.path("share"));
            command.env("HOME", dir.root()).env("PATH", path(venv));
            assert!(printed(&mut command).contains(wanted), "{shell}");
        }
    }
}

#[test]
fn the_module_finds_the_program_of_other_ways_to_install() {
    let Some(wheel) = wheel(ARCH) else { return };
    let dir = Dir::new();
    let folder = tempfile::tempdir().unwrap();
    let version = concat!("canfar-run ", env!("CARGO_PKG_VERSION"), "\n");
    for (how, packages) in [("--target", "."), ("--prefix", "lib")] {
        let place = folder.path().join(how);
        let mut pip = Command::new(python());
        pip.args(["-m", "pip", "install", "--no-index", "--no-compile", how]).arg(&place).arg(&wheel);
        pip.output_in_time().unwrap();
        let mut packages = place.join(packages);
        if how == "--prefix" {
            let python = std::fs::read_dir(&packages).unwrap().next().unwrap().unwrap();
            packages = python.path().join("site-packages");
        }
        let run = Run::of(&dir, python()).env("PYTHONPATH", packages).args(["-B", "-m", "canfar_run"]);
        run.arg("--version").run().exits(0).prints(version);
    }
}

//! A folder of a test's own, with what the test puts into it and what canfar-run leaves there.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::test_process::TimeLimit;
use super::{Container, Run, Tree};

/// Gone when dropped. Tests put inputs into `data` and results into `out`, and canfar-run is started in it.
#[derive(Debug)]
pub(crate) struct Dir {
    _temp: Option<TempDir>,
    /// Where tasks' temporary folders are: killed launches leave theirs.
    scratch: TempDir,
    _limit: TimeLimit,
    root: PathBuf,
}

impl Dir {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        Self { _temp: Some(temp), ..Self::at(root) }
    }

    /// A folder that somebody else removes.
    pub(super) fn at(root: PathBuf) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::set_permissions(scratch.path(), Permissions::from_mode(0o1777)).unwrap();
        Self { _temp: None, scratch, _limit: TimeLimit::begin(), root }
    }

    /// One with inputs `data/000.fits`, `data/001.fits`, ..., each holding its own number.
    pub(crate) fn with_inputs(count: usize) -> Self {
        let dir = Self::new();
        dir.add_inputs(count);
        dir
    }

    pub(crate) fn add_inputs(&self, count: usize) {
        (0..count).for_each(|number| _ = self.write(format!("data/{number:03}.fits"), number.to_string()));
    }

    /// A folder on this machine, where the test's own may be on a file server.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    #[track_caller]
    pub(crate) fn bytes(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}\n{}", path.display(), self.tree()))
    }

    #[track_caller]
    pub(crate) fn text(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    /// The lines of a file; none where it is not there (yet).
    pub(crate) fn lines(&self, name: impl AsRef<Path>) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The same, sorted: what tasks that run side by side appended.
    pub(crate) fn sorted_lines(&self, name: impl AsRef<Path>) -> Vec<String> {
        let mut lines = self.lines(name);
        lines.sort();
        lines
    }

    /// Names in a folder; none where it is not there.
    pub(crate) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub(crate) fn exists(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).exists()
    }

    #[track_caller]
    pub(crate) fn json(&self, name: impl AsRef<Path>) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    /// The records in a replica's results file.
    #[track_caller]
    pub(crate) fn results(&self, replica: usize) -> Vec<Value> {
        match self.json(format!("out/container_{replica}_results.json")) {
            Value::Array(records) => records,
            other => panic!("no array: {other}"),
        }
    }

    /// The events of a journal, as far as it is written.
    pub(crate) fn events(&self, replica: usize, launch: usize) -> Vec<Value> {
        let lines = self.lines(format!("out/journal/{replica}.{launch}.jsonl"));
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Those of one kind.
    pub(crate) fn events_of(&self, replica: usize, launch: usize, kind: &str) -> Vec<Value> {
        self.events(replica, launch).into_iter().filter(|event| event["event"] == kind).collect()
    }

    /// The records of tasks that failed in a launch.
    pub(crate) fn failures(&self, replica: usize, launch: usize) -> Vec<Value> {
        let ends = self.events_of(replica, launch, "end").into_iter();
        ends.filter(|end| end["status"] == "failed").map(|mut end| end["record"].take()).collect()
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::of(&self.root)
    }

    /// canfar-run, to be started in this folder with nothing but `PATH` and `TMPDIR` in its environment.
    pub(crate) fn canfar_run(&self) -> Run<'_> {
        Run::new(self)
    }

    /// The same with `-i data/*.fits -o out`.
    pub(crate) fn launch(&self) -> Run<'_> {
        self.canfar_run().args(["-i", "data/*.fits", "-o", "out"])
    }

    /// canfar-run in a container, to be started with this folder as its /arc.
    pub(crate) fn container(&self) -> Container<'_> {
        Container::new(self)
    }
}

//! A folder that stands for what a container of the platform sees: /arc, /opt and programs.

use std::path::{Path, PathBuf};

use super::platform::Container;
use crate::pages::Page;
use crate::support::{Dir, Run, interpreter};

/// Prints what it was given; with a second argument it also writes that file.
const STAND_IN: &str = "\
import json, os, pathlib, sys
if len(sys.argv) > 2 and sys.argv[1].startswith(\"/\"):
    out = pathlib.Path(sys.argv[2])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(pathlib.Path(sys.argv[1]).read_bytes())
print(json.dumps({\"argv\": sys.argv[1:], \"replica\": os.environ[\"REPLICA_ID\"]}))
";

/// The same as a function to be called.
const FUNCTION: &str = "\
import os
def analyze(path):
    return {\"argv\": [path], \"replica\": os.environ[\"REPLICA_ID\"]}
";

/// Where documents keep their data; each has the same files in both.
const PROJECTS: [&str; 2] = ["survey", "myproject"];

#[derive(Debug)]
pub(super) struct World {
    pub(super) dir: Dir,
}

impl World {
    pub(super) fn new() -> Self {
        let world = Self { dir: Dir::new() };
        let dir = &world.dir;
        std::fs::create_dir_all(world.home()).unwrap();
        for project in PROJECTS {
            let at = |name: &str| format!("arc/projects/{project}/{name}");
            for folder in ["data", "raw/n1"] {
                (0..5).for_each(|number| _ = dir.write(at(&format!("{folder}/{number}.fits")), "x"));
            }
            for stage in ["stage1.toml", "stage2.toml"] {
                let text = world.here(&example(&format!("two_stage/{stage}")).replace("myproject", project));
                dir.write(at(stage), &text);
                dir.write(at(&format!("two_stage/{stage}")), &text);
            }
            dir.write(at("two_stage/calibrate.py"), STAND_IN);
        }
        for block in Page::read("docs/how-to/job-file.md").blocks() {
            if let Some(name) = block.file_name() {
                dir.write(format!("arc/projects/survey/{name}"), world.here(&block.content));
            }
        }
        dir.write("arc/projects/survey/analyze.py", STAND_IN);
        dir.write("arc/projects/survey/analysis.py", FUNCTION);
        for name in ["analyze.py", "analyze_fits.py"] {
            dir.write(format!("opt/analysis/{name}"), STAND_IN);
        }
        if let Some(interpreter) = interpreter() {
            dir.write("bin/python3", format!("#!/bin/sh\nexec {interpreter} \"$@\"\n"));
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(dir.path("bin/python3"), executable).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_canfar-run"), dir.path("bin/canfar-run")).unwrap();
        world
    }

    /// A text with the places of the platform as they are called here.
    pub(super) fn here(&self, text: &str) -> String {
        let root = self.dir.root().to_str().unwrap();
        let image = "headless images.canfar.net/myproject/stars:1.0";
        text.replace("/arc/", &format!("{root}/arc/"))
            .replace("/opt/", &format!("{root}/opt/"))
            .replace("headless IMAGE", image)
    }

    pub(super) fn home(&self) -> PathBuf {
        self.dir.path("arc/home/user")
    }

    /// The container's first process, to be started.
    pub(super) fn start(&self, container: &Container) -> Run<'_> {
        let path = format!("{}:/usr/bin:/bin", self.dir.path("bin").display());
        let [program, arguments @ ..] = container.argv.as_slice() else { panic!("nothing to start") };
        let run = Run::of(&self.dir, program).args(arguments).cwd(self.home());
        container.env.iter().fold(run, |run, (name, value)| run.env(name, value)).env("PATH", path)
    }

    /// A run of which one replica has done its share, and the others never started.
    pub(super) fn begin(&self, results: &str) {
        let input = self.dir.path("arc/projects/survey/data/*.fits");
        let argv = ["canfar-run", "-i", input.to_str().unwrap(), "-o", results];
        let command = ["--", "python3", "/opt/analysis/analyze.py", "{}"].map(|word| self.here(word));
        let argv = argv.into_iter().map(str::to_owned).chain(command).collect();
        let env = [("REPLICA_ID", "1"), ("REPLICA_COUNT", "6"), ("CANFAR_RUN_BALANCE", "false")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        self.start(&Container { argv, env }).run().exits(0);
    }

    /// The stage before, where a container is of the second one.
    pub(super) fn run_stage_before(&self, container: &Container) {
        let Some(job_file) = container.argv.iter().find(|word| word.ends_with("/stage2.toml")) else {
            return;
        };
        let argv = ["canfar-run", "--job-file", &job_file.replace("stage2", "stage1")].map(str::to_owned);
        self.start(&Container { argv: argv.into(), env: [].into() }).run().exits(0);
    }

    /// The results directory of the one run that there is, or of the second stage of two.
    pub(super) fn results(&self) -> PathBuf {
        let files =
            walkdir::WalkDir::new(self.dir.path("arc")).into_iter().map(|entry| entry.unwrap().into_path());
        let lists = files.filter(|path| path.ends_with("inputs.jsonl"));
        let mut found: Vec<PathBuf> = lists.filter_map(|list| Some(list.parent()?.to_owned())).collect();
        if found.len() > 1 {
            found.retain(|results| !results.ends_with("stage1"));
        }
        assert_eq!(found.len(), 1, "{found:?}\n{}", self.dir.tree());
        found.remove(0)
    }
}

/// The text of an example.
pub(super) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    std::fs::read_to_string(path).unwrap()
}

//! Users whom no passwd file knows, their groups, and what their umask makes of the files of a run.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::support::{Component, Dir, Run, require};

/// Users of a project, none of whom has an entry in the passwd file, as on the platform.
const ANNE: u32 = 20_001;
const BERT: u32 = 20_002;
/// Their project's group, a supplementary one to both.
const PROJECT: u32 = 30_001;

/// A folder for the project: whatever is made in it belongs to the group.
fn project(inputs: usize) -> Dir {
    let dir = Dir::with_inputs(inputs);
    chown(dir.root(), Some(0), Some(PROJECT)).unwrap();
    std::fs::set_permissions(dir.root(), std::fs::Permissions::from_mode(0o2775)).unwrap();
    dir
}

/// canfar-run with this umask.
fn with_umask<'d>(dir: &'d Dir, umask: &str) -> Run<'d> {
    let script = format!("umask {umask}; exec \"$@\"");
    Run::of(dir, "/bin/sh").args(["-c", &script, "sh", env!("CARGO_BIN_EXE_canfar-run")])
}

/// canfar-run as the platform starts it for a user: a bare number with the project's group, here without a home.
fn of_user<'d>(dir: &'d Dir, user: u32, umask: &str) -> Run<'d> {
    let script = format!("umask {umask}; exec \"$@\"");
    let ids = [format!("--reuid={user}"), format!("--regid={user}"), format!("--groups={PROJECT}")];
    let dropped = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"];
    Run::of(dir, "setpriv").args(ids).args(dropped).args([
        "/bin/sh",
        "-c",
        &script,
        "sh",
        env!("CARGO_BIN_EXE_canfar-run"),
    ])
}

const LINE: [&str; 6] = ["-i", "data/*.fits", "-o", "out", "--logs", "all"];

/// Fails for all but the first file unless there is a file `good`.
const TASK: &str = "echo said; test -e good || test \"$(cat \"$1\")\" = 0";

/// Everything below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let found = walkdir::WalkDir::new(folder).min_depth(1).into_iter();
    found.map(|entry| entry.unwrap().into_path()).collect()
}

#[test]
fn every_file_of_a_run_may_be_used_by_whom_the_umask_allows() {
    for (umask, file, folder) in [("002", 0o664, 0o775), ("022", 0o644, 0o755), ("077", 0o600, 0o700)] {
        let dir = Dir::with_inputs(2);
        with_umask(&dir, umask).args(LINE).sh(TASK).run().exits(1);
        with_umask(&dir, umask).args(["merge", "--missing", "out/missing.txt", "out"]).run().exits(1);
        with_umask(&dir, umask).args(["merge", "--output", "out/table.csv", "out"]).run().exits(1);
        let found = below(&dir.path("out"));
        for name in ["inputs.jsonl", "journal/1.1.jsonl", "container_1_results.json", "logs/1.1.log"] {
            assert!(found.contains(&dir.path("out").join(name)), "{name}\n{}", dir.tree());
        }
        for path in found.into_iter().chain([dir.path("out")]) {
            let metadata = path.metadata().unwrap();
            let expected = if metadata.is_dir() { folder } else { file };
            assert_eq!(metadata.mode() & 0o7777, expected, "{} with umask {umask}", path.display());
        }
    }
}

#[test]
fn a_user_without_a_name_or_a_home_has_all_of_it_and_so_have_the_tasks() {
    if !require(Component::OtherUsers) {
        return;
    }
    let dir = project(3);
    let script = "echo \"$(id -u) $(id -G)\" >> ids; test -w \"$TMPDIR\"; test -z \"${HOME-}\"";
    of_user(&dir, ANNE, "022").args(LINE).sh(script).run().exits(0).says_not("warning");
    assert_eq!(dir.lines("ids"), vec![format!("{ANNE} {ANNE} {PROJECT}"); 3]);
    of_user(&dir, ANNE, "022").args(["merge", "out"]).run().exits(0);
    let run = &dir.events_of(1, 1, "run")[0];
    assert_eq!(run["replica_id"], 1, "{run}");
}

#[test]
fn a_colleague_of_the_group_goes_on_with_a_run_and_merges_it() {
    if !require(Component::OtherUsers) {
        return;
    }
    let dir = project(3);
    of_user(&dir, ANNE, "002").args(LINE).sh(TASK).run().exits(1);
    dir.write("good", "");
    of_user(&dir, BERT, "002").args(LINE).sh(TASK).run().exits(0).says("1 done before, 2 to run");
    for user in [BERT, ANNE] {
        of_user(&dir, user, "002").args(["merge", "out"]).run().exits(0);
    }
    assert_eq!(dir.results(1).len(), 3);
    for path in below(&dir.path("out")) {
        let metadata = path.metadata().unwrap();
        assert_eq!(metadata.gid(), PROJECT, "{}", path.display());
    }
    of_user(&dir, BERT, "002").args(["reset", "out"]).run().exits(0);
}

#[test]
fn who_may_not_write_to_a_colleague_s_run_is_told_before_anything_is_run() {
    if !require(Component::OtherUsers) {
        return;
    }
    let dir = project(3);
    of_user(&dir, ANNE, "022").args(LINE).sh(TASK).run().exits(1);
    let before = dir.tree();
    let out = dir.path("out").display().to_string();
    of_user(&dir, BERT, "022")
        .args(LINE)
        .sh(TASK)
        .run()
        .exits(4)
        .says(&out)
        .says("Permission denied")
        .says("chmod -R g+rwX");
    assert_eq!(before.difference(&dir.tree()), None);
}

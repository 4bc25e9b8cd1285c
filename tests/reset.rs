//! Moving a run aside, so that a new one can begin in its place.

use crate::support::{DEADLINE, Dir, wait_until};

#[test]
fn a_run_is_moved_aside_whole_and_a_new_one_sees_new_files() {
    let dir = Dir::with_inputs(2);
    dir.launch().sh("echo out; exit 1").run().exits(1);
    dir.write("out/notes.txt", "mine");
    dir.write("data/002.fits", "");
    for times in 1..=2 {
        let before: Vec<String> = files(&dir);
        dir.canfar_run().args(["reset", "out"]).run().exits(0).says("moved the run to").prints("");
        assert_eq!(files(&dir), ["notes.txt", "previous"]);
        let moved = std::fs::read_dir(dir.path("out/previous")).unwrap().flatten().count();
        assert_eq!(moved, times, "{before:?}");
        dir.launch().args(["--", "true"]).run().exits(0).says("3 of 3 files ok");
    }
    let first = std::fs::read_dir(dir.path("out/previous"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .min()
        .unwrap();
    for name in ["inputs.jsonl", "journal/1.1.jsonl", "logs/1.1.log", "container_1_results.json"] {
        assert!(first.join(name).exists(), "{name} in\n{}", dir.tree());
    }
}

/// Names in the results directory.
fn files(dir: &Dir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path("out")).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_at_work_is_left_alone() {
    let dir = Dir::with_inputs(1);
    let running = dir.launch().sh(": > ready; while [ -d data ] && [ ! -e go ]; do sleep 0.01; done").start();
    wait_until(DEADLINE, "the task runs", || dir.exists("ready"));
    let before = dir.tree();
    dir.canfar_run()
        .args(["reset", "out"])
        .run()
        .exits(2)
        .says("is at work (replica 1): stop it first, or wait for its end");
    assert_eq!(before.difference(&dir.tree()), None);
    dir.write("go", "");
    running.wait().exits(0);
}

#[test]
fn where_there_is_no_run_nothing_is_moved() {
    let dir = Dir::new();
    dir.write("out/notes.txt", "mine");
    let before = dir.tree();
    dir.canfar_run().args(["reset", "out"]).run().exits(0).says("holds no run: nothing to move");
    assert_eq!(before.difference(&dir.tree()), None);
}

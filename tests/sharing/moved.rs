//! A run that is moved away while replicas share it.

use std::collections::BTreeMap;

use super::cluster::on_host;
use super::{Cluster, Host, Truth};
use crate::support::{Component, DEADLINE, Dir, require, wait_until};

/// All files in a folder, and what is in them but for journals and logs: what was begun may be noted where they went.
fn contents(dir: &Dir, folder: &str) -> BTreeMap<String, Option<String>> {
    let files = walkdir::WalkDir::new(dir.path(folder)).into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    let content = |entry: walkdir::DirEntry| {
        let path = entry.path().display().to_string();
        let may_grow = path.contains("/journal/") || path.contains("/logs/");
        let content = (!may_grow).then(|| std::fs::read_to_string(&path).unwrap());
        (path, content)
    };
    files.map(content).collect()
}

#[test]
fn replicas_whose_run_was_reset_while_they_were_frozen_stop_and_write_nothing() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(12);
    let mut cluster = Cluster::sharing(&dir, 3);
    for replica in [1, 2] {
        cluster.hold(replica);
        cluster.start(replica, Host::Own);
    }
    let truth = Truth::of(&dir);
    wait_until(DEADLINE, "both have tasks", || truth.executions().len() == 4);
    [1, 2].into_iter().for_each(|replica| cluster.freeze(replica));
    let reset = || on_host(&dir, "other").quick_heartbeat().args(["reset", "out"]).run();
    // Their last signs of life have to be old enough.
    wait_until(DEADLINE, "the run is moved away", || reset().code == Some(0));
    assert!(!dir.exists("out/inputs.jsonl") && !dir.exists("out/claims"), "{}", dir.tree());
    let moved = contents(&dir, "out");
    for replica in [1, 2] {
        cluster.let_go(replica);
        cluster.wake(replica);
        cluster.wait_for(replica).exits(3);
    }
    let began: Vec<_> = truth.executions();
    assert_eq!(began.len(), 4, "{began:?}");
    assert_eq!(contents(&dir, "out"), moved, "{}", dir.tree());
}

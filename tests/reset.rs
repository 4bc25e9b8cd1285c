//! `reset`: a run is moved aside, whole and nothing else, and a new one can begin.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::merge::shared;
use crate::support::{Component, DEADLINE, Dir, Ended, require, wait_until};

/// A task that can be held by a file.
const HELD: &str = ": > began; while [ -e hold ]; do sleep 0.01; done";

fn reset(dir: &Dir) -> Ended {
    dir.canfar_run().args(["reset", "out"]).run()
}

/// Names in a folder.
fn names(dir: &Dir, folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(dir.path(folder)).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// The names of earlier runs, oldest first.
fn previous(dir: &Dir) -> Vec<String> {
    names(dir, "out/previous").into_iter().collect()
}

#[test]
fn all_of_a_run_is_moved_as_it_is_and_nothing_else() {
    let dir = Dir::with_inputs(4);
    for id in [1, 2] {
        let script = "case $1 in *002*) exit 1;; esac; cat \"$1\"";
        dir.launch().args(["--logs", "all"]).replica(id, 3).sh(script).run();
    }
    dir.canfar_run().args(["merge", "out"]).run().exits(3);
    dir.canfar_run()
        .args(["merge", "out", "--output", "out/final_results.csv", "--allow-missing"])
        .run()
        .exits(1);
    // What a merge or launch that was killed left behind, and what somebody else's files are called.
    dir.write("out/container_None_results.json", "[]");
    dir.write("out/.container_1_results.json.Xy12ab.tmp", "[");
    let foreign = [
        "notes.txt",
        "final_plot.png",
        "finally",
        ".hidden",
        "inputs.txt",
        "container_1_plot.json",
        "more/x",
    ];
    foreign.iter().for_each(|name| _ = dir.write(format!("out/{name}"), "mine"));
    let ours = names(&dir, "out");
    let ours: BTreeSet<String> =
        ours.into_iter().filter(|name| !foreign.contains(&&**name) && name != "more").collect();
    assert_eq!(ours.len(), 11, "{ours:?}");
    let contents = |folder: &str| {
        ["inputs.jsonl", "journal/1.1.jsonl", "logs/1.1.log", "final_results.csv"]
            .map(|name| dir.bytes(format!("{folder}/{name}")))
    };
    let before = contents("out");

    let ended = reset(&dir).exits(0).prints("");
    let previous = previous(&dir);
    assert_eq!(previous.len(), 1);
    let moved = format!("out/previous/{}", previous[0]);
    ended.says(&format!("moved the run to {}; a new one can begin in", dir.path(&moved).display()));
    assert_eq!(names(&dir, &moved), ours);
    assert_eq!(contents(&moved), before);
    let left: BTreeSet<String> = foreign
        .iter()
        .map(|name| name.split('/').next().unwrap().to_owned())
        .chain(["previous".to_owned()])
        .collect();
    assert_eq!(names(&dir, "out"), left);

    // What was moved is a results directory like any other.
    dir.canfar_run().args(["merge", &moved]).run().exits(3).says("2 ok, 1 failed, 1 missing");
}

#[test]
fn a_new_run_begins_in_its_place() {
    let dir = Dir::with_inputs(3);
    dir.launch().sh("true").run().exits(0);
    dir.write("data/new.fits", "");
    let says = dir.launch().sh("true").run().exits(0);
    says.says(&format!("canfar-run reset {}", dir.path("out").display()));
    reset(&dir).exits(0);
    dir.launch().replica(1, 2).sh("echo 1").run().exits(0).says("launch 1: 2 of 4 files");
    assert_eq!(dir.results(1).len(), 2);
    let run_of = |folder: &str| {
        let header = dir.lines(format!("{folder}/inputs.jsonl")).remove(0);
        serde_json::from_str::<serde_json::Value>(&header).unwrap()["run"].clone()
    };
    assert_ne!(run_of("out"), run_of(&format!("out/previous/{}", previous(&dir)[0])));
}

#[test]
fn runs_of_one_second_have_each_a_place_of_their_own() {
    let dir = Dir::with_inputs(1);
    for number in 1..=4 {
        dir.launch().sh(&format!("echo {number}")).run().exits(0);
        reset(&dir).exits(0);
        assert_eq!(previous(&dir).len(), number);
    }
    let mut results: Vec<String> = previous(&dir)
        .iter()
        .map(|name| {
            dir.json(format!("out/previous/{name}/container_1_results.json"))[0]["result"].to_string()
        })
        .collect();
    results.sort();
    assert_eq!(results, ["1", "2", "3", "4"]);
}

#[test]
fn a_run_with_a_replica_at_work_is_left_alone() {
    let dir = Dir::with_inputs(4);
    dir.launch().replica(1, 3).sh("true").run().exits(0);
    dir.write("hold", "");
    let running = dir.launch().arg("--accept-changed-command").replica(3, 3).sh(HELD).start();
    wait_until(DEADLINE, "the task begins", || dir.exists("began"));
    let before = names(&dir, "out");
    reset(&dir).exits(3).says("is still active (replica 3): stop it or wait for it to finish");
    assert_eq!(names(&dir, "out"), before);

    // One that died does not hold it up.
    running.signal(Signal::KILL);
    running.wait();
    fs::remove_file(dir.path("hold")).unwrap();
    reset(&dir).exits(0);
    assert!(!dir.exists("out/inputs.jsonl") && !dir.exists("out/journal"));
}

#[test]
fn a_replica_on_another_host_is_at_work_as_long_as_its_journal_is_fresh() {
    let dir = Dir::with_inputs(2);
    dir.write("hold", "");
    let running = dir.launch().sh(HELD).start();
    wait_until(DEADLINE, "the task begins", || dir.exists("began"));
    running.signal(Signal::KILL);
    running.wait();
    fs::remove_file(dir.path("hold")).unwrap();
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let journal = dir.text("out/journal/1.1.jsonl");
    let elsewhere = journal.replace(&format!("\"host\":\"{host}\""), "\"host\":\"elsewhere\"");
    assert_ne!(journal, elsewhere);
    let path = dir.write("out/journal/1.1.jsonl", elsewhere);
    reset(&dir).exits(3).says("is still active (replica 1)");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_mins(1);
    fs::File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
    dir.canfar_run().quick_heartbeat().args(["reset", "out"]).run().exits(0);
}

#[test]
fn where_there_is_nothing_to_move_nothing_is_made() {
    let dir = Dir::new();
    dir.write("out/notes.txt", "mine");
    let before = dir.tree();
    reset(&dir).exits(0).says("holds no run: nothing to move");
    assert_eq!(before.difference(&dir.tree()), None);
    dir.canfar_run()
        .args(["reset", "nowhere"])
        .run()
        .exits(2)
        .says("can't read the results directory")
        .says("nowhere");
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn results_that_python_wrote_make_room_too() {
    let dir = Dir::with_inputs(1);
    dir.write("out/container_1_results.json", "[{\"n\": 1}]");
    dir.launch().sh("true").run().exits(2).says("it would be overwritten").says("canfar-run reset");
    reset(&dir).exits(0);
    dir.launch().sh("true").run().exits(0);
    assert_eq!(
        dir.text(format!("out/previous/{}/container_1_results.json", previous(&dir)[0])),
        "[{\"n\": 1}]"
    );
}

#[test]
fn a_folder_that_may_not_be_written_to_keeps_its_run() {
    let dir = Dir::with_inputs(1);
    dir.launch().sh("true").run().exits(0);
    fs::set_permissions(dir.root(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.path("out"), PermissionsExt::from_mode(0o555)).unwrap();
    let before = dir.tree();
    dir.canfar_run()
        .args(["reset", "out"])
        .without_rights(54_321)
        .run()
        .exits(4)
        .says("can't write into the results directory");
    assert_eq!(before.difference(&dir.tree()), None);
    fs::set_permissions(dir.path("out"), PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_lock_that_may_not_be_read_is_waited_for_and_named() {
    if !require(Component::Root) {
        return;
    }
    let dir = Dir::with_inputs(1);
    dir.launch().sh("true").run().exits(0);
    for (name, mode) in [("", 0o755), ("out", 0o777), ("out/journal", 0o777)] {
        fs::set_permissions(dir.path(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    let lock = dir.write("out/inputs.listing", "{}");
    fs::set_permissions(&lock, PermissionsExt::from_mode(0o600)).unwrap();
    let reset = || dir.canfar_run().quick_heartbeat().args(["reset", "out"]).without_rights(54_321).run();
    let ended = reset();
    assert_ne!(ended.code, Some(0), "{ended}");
    ended.says("waiting for another process").says("inputs.listing was left by another user's dead process");
    assert!(dir.exists("out/inputs.jsonl") && dir.exists("out/inputs.listing"));
}

#[test]
fn claims_are_moved_with_the_run_and_not_while_a_replica_of_it_works() {
    let dir = shared::begun();
    dir.write("hold/000.fits", "");
    let running = shared::replica(&dir, 1).start();
    wait_until(DEADLINE, "the task begins", || dir.exists("began-000.fits"));
    dir.canfar_run().args(["reset", "out"]).run().exits(3).says("replica 1");
    running.kill();
    fs::remove_dir_all(dir.path("hold")).unwrap();
    dir.canfar_run().args(["reset", "out"]).run().exits(0);
    assert!(!dir.exists("out/claims") && !dir.exists("out/inputs.jsonl"));
    let earlier = dir.names("out/previous").remove(0);
    assert!(dir.exists(format!("out/previous/{earlier}/claims")), "{}", dir.tree());
}

//! Replicas side by side: every file is run once by one of them, whatever the strategy and whenever they start.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::process::Command;

use canfar_run::testing::{Strategy, shares};
use serde_json::Value;

use crate::support::{Component, Dir, InTime, Run, Running, at_once, python, require};

/// A task that notes its file's name.
const NOTE: &str = "echo \"${1##*/}\" >> ran";

/// Base names of `count` inputs.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:03}.fits")).collect()
}

/// The files of which a replica has results, in the order of its results file.
fn files_of(dir: &Dir, replica: usize) -> Vec<String> {
    dir.results(replica).iter().map(|record| record["file"].as_str().unwrap().to_owned()).collect()
}

/// Ends all of them well.
fn all_end(running: Vec<Running<'_>>, code: i32) {
    running.into_iter().for_each(|one| _ = one.wait().exits(code));
}

#[test]
fn four_replicas_started_together_run_every_file_once_whatever_the_strategy() {
    for strategy in Strategy::ALL {
        let dir = Dir::new();
        let sizes: Vec<u64> = (0..23).map(|number| number * number * 7 % 100).collect();
        for (name, size) in names(23).iter().zip(&sizes) {
            dir.write(format!("data/{name}"), "x".repeat(usize::try_from(*size).unwrap()));
        }
        let launch = |id| dir.launch().args(["--strategy", &strategy.to_string()]).sharing_replica(id, 4);
        all_end((1..=4).map(|id| launch(id).sh(NOTE).start()).collect(), 0);
        assert_eq!(dir.sorted_lines("ran"), names(23), "{strategy:?}");
        let mut recorded: Vec<String> = (1..=4).flat_map(|id| files_of(&dir, id)).collect();
        recorded.sort();
        assert_eq!(recorded, names(23), "{strategy:?}");
        if matches!(strategy, Strategy::Even | Strategy::Size) {
            continue;
        }
        for (id, share) in (1..).zip(shares(strategy, 23, &sizes, NonZeroU32::new(4).unwrap())) {
            let expected: Vec<String> = share.iter().map(|index| format!("{index:03}.fits")).collect();
            assert_eq!(files_of(&dir, id), expected, "{strategy:?}, replica {id}");
        }
    }
}

/// Starts `count` replicas in the same instant.
fn in_the_same_instant<'d>(dir: &'d Dir, count: usize, args: &[&str]) -> Vec<Running<'d>> {
    at_once(dir, (1..=count).map(|id| move |run: Run<'d>| run.args(args).sharing_replica(id, count)))
}

#[test]
fn twenty_replicas_that_start_in_the_same_instant_agree_on_one_list() {
    let dir = Dir::with_inputs(50);
    let args = ["-i", "data/*.fits", "-o", "out", "--", "/bin/sh", "-c", NOTE, "sh", "{}"];
    all_end(in_the_same_instant(&dir, 20, &args), 0);
    assert_eq!(dir.sorted_lines("ran"), names(50));
    let runs: BTreeSet<String> =
        (1..=20).map(|id| dir.events_of(id, 1, "run")[0]["run"].to_string()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let lists = std::fs::read_dir(dir.path("out")).unwrap().flatten().map(|entry| entry.file_name());
    let lists: Vec<_> = lists.filter(|name| name.as_encoded_bytes().starts_with(b"inputs")).collect();
    assert_eq!(lists, ["inputs.jsonl"]);
}

#[test]
fn twenty_replicas_that_find_nothing_all_say_so_and_leave_no_file() {
    let dir = Dir::with_inputs(1);
    let args = ["-i", "data/*.fit", "-o", "new/folders/out", "--", "true", "{}"];
    for running in in_the_same_instant(&dir, 20, &args) {
        running.wait().exits(2).says("the input pattern matched nothing");
    }
    // Folders may be left, where one of them made what another one could not remove any more.
    let files = dir.tree().to_string().lines().filter(|line| line.ends_with("bytes)")).count();
    assert_eq!(files, 1, "{}", dir.tree());
}

#[test]
fn files_that_appear_between_the_starts_move_nobodys_share() {
    let dir = Dir::with_inputs(10);
    for id in 1..=5 {
        dir.launch().replica(id, 5).sh(NOTE).run().exits(0);
        // First in order, in the midst, and last.
        for name in ["000.early", "004", "999"] {
            dir.write(format!("data/{name}.{id}.fits"), "");
        }
    }
    assert_eq!(dir.sorted_lines("ran"), names(10));
    // Also those that have done their share keep it.
    dir.launch().replica(1, 5).sh(NOTE).run().exits(0).says("The list of this run has been frozen since");
    assert_eq!(dir.sorted_lines("ran"), names(10));
}

#[test]
fn replicas_beyond_the_number_of_files_have_nothing_to_do_and_say_so() {
    let dir = Dir::with_inputs(3);
    for id in 1..=7 {
        let ended = dir.launch().replica(id, 7).sh(NOTE).run().exits(0);
        let said = ended.stderr.contains("none is for this one");
        assert_eq!(said, id > 3, "replica {id}: {ended}");
        assert_eq!(files_of(&dir, id), if id > 3 { vec![] } else { vec![format!("{:03}.fits", id - 1)] });
    }
    assert_eq!(dir.sorted_lines("ran"), names(3));
    // And again.
    dir.launch().replica(7, 7).sh(NOTE).run().exits(0).says("none is for this one");
}

#[test]
fn the_loop_of_the_documentation_reads_every_record_of_ours_once() {
    let dir = Dir::with_inputs(11);
    for id in 1..=5 {
        dir.launch().sharing_replica(id, 5).sh("echo \"{\\\"stars\\\": $(cat \"$1\")}\"").run().exits(0);
    }
    if !require(Component::Python("json")) {
        return;
    }
    let combine_results = "import glob, json
all_results = []
for path in glob.glob('out/container_*_results.json'):
    with open(path) as f:
        all_results.extend(json.load(f))
print(json.dumps([[r['file'], r['stars']] for r in all_results]))";
    let output = Command::new(python())
        .args(["-c", combine_results])
        .current_dir(dir.root())
        .output_in_time()
        .unwrap();
    let mut combined: Vec<(String, u64)> = serde_json::from_slice(&output.stdout).unwrap();
    combined.sort();
    assert_eq!(combined, names(11).into_iter().zip(0..).collect::<Vec<_>>());
}

#[test]
fn records_say_which_replica_made_them() {
    let dir = Dir::with_inputs(4);
    dir.launch().replica(2, 3).sh(NOTE).run().exits(0);
    let metas: Vec<Value> =
        dir.results(2).into_iter().map(|mut record| record["canfar_run"].take()).collect();
    let said: Vec<_> =
        metas.iter().map(|meta| (&meta["replica_id"], &meta["replica_count"], &meta["index"])).collect();
    assert_eq!(said, [(&2.into(), &3.into(), &2.into())]);
}

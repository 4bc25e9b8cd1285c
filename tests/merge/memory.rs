//! Memory does not grow with the results.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use canfar_run::testing::{Status, Strategy};

use super::written::WrittenRun;
use crate::support::{Dir, InTime};

/// Some 60 MB in records of more than 2 kB.
const TASKS: u64 = 30_000;
const RESULTS: u64 = 60_000_000;

/// So much of its own may a merge have, in KiB.
const MOST: u64 = 30_000;

fn result() -> String {
    format!("{{\"spectrum\": \"{}\"}}", "0.12345678 ".repeat(184))
}

/// Merges with at most `kib` of memory of its own. The peak that the system tells of a process is at least that of the
/// process that started it, here the one of all tests, so it is no measure.
fn merge_within(dir: &Dir, kib: u64, args: &[&str]) -> Output {
    let script = format!("ulimit -d {kib} && exec \"$@\"");
    let words = ["-c", &script, "sh", env!("CARGO_BIN_EXE_canfar-run"), "merge"];
    Command::new("/bin/sh").args(words).args(args).current_dir(dir.root()).output_in_time().unwrap()
}

#[track_caller]
fn merges_in_little_memory(dir: &Dir, args: &[&str], merged: &str) {
    let output = merge_within(dir, MOST, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let length = fs::metadata(dir.path(merged)).unwrap().len();
    assert!(length > RESULTS, "{merged}: {length} bytes is too little for this to say anything");
}

#[test]
fn sixty_megabytes_of_replicas_are_merged_in_little_memory() {
    let dir = Dir::new();
    let paths = (0..TASKS).map(|index| PathBuf::from(format!("/data/{index:06}.fits"))).collect();
    let run = WrittenRun::new(&dir.path("out"), paths, Strategy::Even, 2);
    let result = result();
    for replica_id in [1, 2] {
        let mut launch = run.launch(replica_id, 1);
        for index in run.share(replica_id).iter() {
            launch.end(index, Status::Ok, &result);
            if index % 500 == 0 {
                launch.commit();
            }
        }
        launch.stop();
    }
    assert!(!merge_within(&dir, 500, &["out"]).status.success(), "the limit does not hold");
    merges_in_little_memory(&dir, &["out"], "out/final_results.json");
    let whole = fs::read(dir.path("out/final_results.json")).unwrap();

    // From the journals.
    for id in [1, 2] {
        fs::remove_file(dir.path(format!("out/container_{id}_results.json"))).unwrap();
    }
    merges_in_little_memory(&dir, &["out"], "out/final_results.json");
    assert!(fs::read(dir.path("out/final_results.json")).unwrap() == whole);
}

#[test]
fn sixty_megabytes_of_files_are_merged_in_little_memory() {
    let dir = Dir::new();
    let result = result();
    // One of ours, whose tasks are compared, and one of Python's.
    let meta = |index| {
        format!("\"canfar_run\": {{\"run\": \"r\", \"index\": {index}, \"status\": \"ok\", \"launch\": 1}}")
    };
    let record = |index| format!("{}, {}}}", &result[..result.len() - 1], meta(index));
    let ours: Vec<String> = (0..TASKS / 2).map(record).collect();
    dir.write("out/container_1_results.json", format!("[\n{}\n]\n", ours.join(",\n")));
    let python: Vec<&str> = (0..TASKS / 2).map(|_| &*result).collect();
    dir.write("out/container_None_results.json", format!("[{}]", python.join(", ")));
    merges_in_little_memory(&dir, &["out"], "out/final_results.json");
    merges_in_little_memory(&dir, &["out", "--output", "table.csv"], "table.csv");
}

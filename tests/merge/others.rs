//! Files that are not what a replica left in its place: of other runs, copies, of unknown origin.

use std::fs;

use serde_json::{Value, json};

use super::{NUMBER, counts, merge, numbers, records, run, summary};
use crate::support::Dir;

/// Gives the replicas' results files other names in another folder.
fn copy(dir: &Dir, from: &str, to: &str) {
    dir.write(to, dir.bytes(from));
}

#[test]
fn records_of_another_run_beside_a_list_are_left_out_and_counted() {
    let dir = Dir::with_inputs(6);
    run(&dir, [1, 2], 2);
    fs::rename(dir.path("out"), dir.path("older")).unwrap();
    for number in 0..6 {
        dir.write(format!("data/{number:03}.fits"), (number + 100).to_string());
    }
    run(&dir, [1], 3);
    copy(&dir, "older/container_1_results.json", "out/container_2_results.json");
    copy(&dir, "older/container_2_results.json", "out/container_7_results.json");
    merge(&dir)
        .exits(3)
        .says("6 files: 2 ok, 4 missing")
        .says("6 records left out: not from the run of the list beside them")
        .says("replica 2 never started");
    assert_eq!(records(&dir, "out/final_results.partial.json").len(), 2);
    fs::remove_file(dir.path("out/container_2_results.json")).unwrap();
    run(&dir, [2, 3], 3);
    merge(&dir).exits(0).says("3 records left out: not from the run of the list");
    assert_eq!(numbers(&dir), (100..106).collect::<Vec<_>>());
}

#[test]
fn a_record_of_a_task_that_the_list_does_not_have_is_of_no_run_of_its_own() {
    let dir = Dir::with_inputs(2);
    run(&dir, [1], 1);
    let record = dir.results(1).remove(1).to_string().replace("\"index\":1,", "\"index\":2,");
    dir.write("out/container_5_results.json", format!("[{record}]"));
    merge(&dir)
        .exits(0)
        .says("2 files: 2 ok, none missing")
        .says("1 record left out: not from the run of the list");
    assert_eq!(numbers(&dir), [0, 1]);
}

#[test]
fn records_of_python_beside_a_list_are_merged_and_told_apart() {
    let dir = Dir::with_inputs(2);
    run(&dir, [1], 1);
    dir.write("out/container_None_results.json", "[{\"n\": 50}, {\"n\": 51, \"canfar_run\": 3}]");
    merge(&dir)
        .exits(0)
        .says("2 files: 2 ok, none missing")
        .says("2 records of files that are in no list were merged, too");
    assert_eq!(numbers(&dir), [0, 1, 50, 51]);
}

#[test]
fn results_files_alone_are_merged_without_proof() {
    let dir = Dir::with_inputs(6);
    run(&dir, 1..=3, 3);
    for id in [1, 3] {
        copy(&dir, &format!("out/container_{id}_results.json"), &format!("copy/container_{id}_results.json"));
    }
    let alone = dir.canfar_run().args(["merge", "copy"]).run().exits(0);
    alone
        .says("4 records merged; without a list")
        .says("no results file of replica 2, and no list of inputs");
    assert_eq!(super::numbers_in(&dir, "copy/final_results.json"), [0, 1, 4, 5]);
    let missing = dir.canfar_run().args(["merge", "copy", "--missing", "missing"]).run().exits(2);
    missing.says("--missing needs a list of inputs (inputs.jsonl)");
}

#[test]
fn without_a_list_it_is_said_that_journals_hold_more() {
    let dir = Dir::with_inputs(4);
    run(&dir, [1, 2], 2);
    fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    fs::rename(dir.path("out/inputs.jsonl"), dir.path("list")).unwrap();
    merge(&dir).exits(0).says("2 records merged").says("there are journals, but no list of inputs");
    assert_eq!(numbers(&dir), [2, 3]);
    fs::rename(dir.path("list"), dir.path("out/inputs.jsonl")).unwrap();
    merge(&dir).exits(0).says_not("there are journals");
    assert_eq!(numbers(&dir), [0, 1, 2, 3]);
}

#[test]
fn copies_of_results_files_count_once_wherever_they_sort() {
    // Before their original and behind it, and of one that has no journals any more.
    for copies in [vec!["01"], vec!["0"], vec!["1 (copy)", "9", "None"]] {
        let dir = Dir::with_inputs(6);
        run(&dir, [1, 2], 2);
        fs::remove_file(dir.path("out/journal/2.1.jsonl")).unwrap();
        for name in &copies {
            copy(&dir, "out/container_1_results.json", &format!("out/container_{name}_results.json"));
        }
        copy(&dir, "out/container_2_results.json", "out/container_002_results.json");
        let repeated = 3 * copies.len() as u64 + 3;
        merge(&dir)
            .exits(0)
            .says("6 files: 6 ok, none missing")
            .says(&format!("{repeated} records left out: another record of the same file is ok or newer"));
        assert_eq!(counts(&dir, ["repeated", "ok", "foreign"]), [repeated, 6, 0]);
        let mut numbers = numbers(&dir);
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5], "{copies:?}");
    }
}

#[test]
fn copies_without_a_list_count_once_too() {
    let dir = Dir::with_inputs(3);
    run(&dir, [1], 1);
    for name in ["1", "01", "2"] {
        copy(&dir, "out/container_1_results.json", &format!("copy/container_{name}_results.json"));
    }
    dir.canfar_run()
        .args(["merge", "copy"])
        .run()
        .exits(0)
        .says("3 records merged")
        .says("6 records left out");
    let summary = dir.json("copy/final_summary.json");
    assert_eq!((&summary["foreign"], &summary["repeated"]), (&json!(3), &json!(6)));
    assert_eq!(super::numbers_in(&dir, "copy/final_results.json"), [0, 1, 2]);
}

#[test]
fn a_copy_that_is_cut_takes_nothing_of_the_whole_file_along() {
    let dir = Dir::with_inputs(4);
    run(&dir, [1], 1);
    // Without journals both are files like any other.
    fs::remove_dir_all(dir.path("out/journal")).unwrap();
    let whole = dir.bytes("out/container_1_results.json");
    dir.write("out/container_2_results.json", &whole[..whole.len() * 2 / 3]);
    merge(&dir).exits(3).says("4 files: 4 ok, none missing").says("container_2_results.json: at byte ");
    assert_eq!(super::numbers_in(&dir, "out/final_results.partial.json"), [0, 1, 2, 3]);
    assert_eq!(counts(&dir, ["ok", "missing", "repeated"]), [4, 0, 0]);
}

/// A record as another canfar-run may have written it.
fn record(index: u64, status: &str, launch: u64, started_at: &str) -> Value {
    let meta = json!({"run": "r", "index": index, "status": status, "launch": launch, "started_at": started_at,
        "cause": "comet", "stderr_tail": "\u{1b}[31mhit"});
    json!({"n": launch, "text": started_at, "canfar_run": meta})
}

#[test]
fn of_several_records_of_a_task_an_ok_one_wins_and_then_the_newest() {
    let dir = Dir::new();
    let of = |records: &[Value]| serde_json::to_string(records).unwrap();
    let huge = u64::MAX;
    let first = [
        record(0, "ok", 2, "b"),
        record(1, "ok", 1, "a"),
        record(2, "failed", 3, "z"),
        record(huge, "failed", 1, "x"),
    ];
    let second = [
        record(0, "failed", 9, "z"),
        record(1, "ok", 2, "a"),
        record(2, "failed", 2, "y"),
        record(huge, "failed", 1, "w"),
    ];
    let third = [record(0, "ok", 2, "a"), record(1, "ok", 2, "b"), record(huge, "failed", 1, "x")];
    for (number, records) in [of(&first), of(&second), of(&third)].iter().enumerate() {
        dir.write(format!("out/container_{number}_results.json"), records);
    }
    merge(&dir).exits(0).says("7 records left out");
    let kept = |name| -> Vec<(u64, String)> {
        let records = records(&dir, name);
        let kept =
            |record: &Value| (record["n"].as_u64().unwrap(), record["text"].as_str().unwrap().to_owned());
        records.iter().map(kept).collect()
    };
    assert_eq!(kept("out/final_results.json"), [(2, "b".to_owned()), (2, "b".to_owned())]);
    assert_eq!(kept("out/final_failed.json"), [(3, "z".to_owned()), (1, "x".to_owned())]);
    assert_eq!(counts(&dir, ["foreign", "repeated"]), [4, 7]);
}

#[test]
fn each_replica_counts_by_its_own_last_launch() {
    let dir = Dir::with_inputs(8);
    let failing = |bad: &str| format!("case $1 in {bad}) exit 1;; esac; {NUMBER}");
    let launch = |id: usize, script: &str, code| {
        let again = dir.launch().replica(id, 4).args(["--accept-changed-command", "-j", "1"]);
        again.sh(script).run().exits(code);
    };
    launch(1, NUMBER, 0);
    launch(2, &failing("*002*|*003*"), 1);
    launch(2, &failing("*003*"), 1);
    launch(3, &failing("*004*"), 1);
    launch(3, NUMBER, 0);
    launch(4, &failing("*007*"), 1);
    launch(4, &failing("*007*"), 1);
    launch(4, NUMBER, 0);
    merge(&dir).exits(1).says("8 files: 7 ok, 1 failed, none missing");
    let launches: Vec<Value> = records(&dir, "out/final_results.json")
        .iter()
        .map(|record| json!([record["n"], record["canfar_run"]["launch"], record["canfar_run"]["attempts"]]))
        .collect();
    assert_eq!(
        json!(launches),
        json!([[0, 1, 1], [1, 1, 1], [2, 2, 2], [4, 2, 2], [5, 1, 1], [6, 1, 1], [7, 3, 3]])
    );
    let failed = records(&dir, "out/final_failed.json");
    assert_eq!((failed.len(), &failed[0]["canfar_run"]["launch"]), (1, &json!(2)));
    assert_eq!(summary(&dir)["repeated"], 0, "launches of one replica are no repeats");
}

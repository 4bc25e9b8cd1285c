//! What is missing and what failed: files, exit codes, words.

use serde_json::{Value, json};

use super::{NOBODY, NUMBER_UNLESS_BAD, counts, merge, mode, numbers, numbers_in, records, run, summary};
use crate::support::Dir;

#[test]
fn a_replica_that_never_started_is_named_with_its_files_and_nothing_is_called_final() {
    let dir = Dir::with_inputs(22);
    run(&dir, [1, 2, 4], 4);
    merge(&dir)
        .exits(3)
        .says("22 files: 17 ok, 5 missing")
        .says("replica 3 never started: 5 files missing: ")
        .says("data/012.fits, ")
        .says("data/014.fits, ...")
        .says("canfar-run resume ");
    assert!(!dir.exists("out/final_results.json") && !dir.exists("out/final_failed.json"));
    let partial = numbers_in(&dir, "out/final_results.partial.json");
    assert_eq!(partial, (0..12).chain(17..22).collect::<Vec<_>>());
    let missing = &summary(&dir)["missing_replicas"][0];
    assert_eq!((&missing["replica_id"], &missing["missing"]), (&json!(3), &json!(5)));
    assert_eq!(missing["state"], "never_started");
    assert_eq!((&summary(&dir)["complete"], &summary(&dir)["proven"]), (&json!(false), &json!(true)));

    // As they are, they are final only when somebody says so.
    dir.canfar_run().args(["merge", "out", "--allow-missing"]).run().exits(0).says("5 missing");
    assert_eq!(numbers(&dir), partial);
    assert!(!dir.exists("out/final_results.partial.json"));
    assert_eq!(summary(&dir)["complete"], false);

    run(&dir, [3], 4);
    merge(&dir).exits(0).says("22 files: 22 ok, none missing").says_not("canfar-run resume");
    assert_eq!(numbers(&dir), (0..22).collect::<Vec<_>>());
    assert_eq!(summary(&dir)["complete"], true);
}

#[test]
fn an_incomplete_result_of_earlier_goes_when_all_is_there() {
    let dir = Dir::with_inputs(4);
    run(&dir, [2], 2);
    merge(&dir).exits(3);
    assert!(dir.exists("out/final_results.partial.json"));
    run(&dir, [1], 2);
    merge(&dir).exits(0);
    assert!(!dir.exists("out/final_results.partial.json"));
    assert_eq!(numbers(&dir), [0, 1, 2, 3]);
}

#[test]
fn records_come_by_replica_and_then_by_place_whatever_the_strategy() {
    let dir = Dir::with_inputs(25);
    for id in (1..=11).rev() {
        let launch = dir.launch().args(["--strategy", "stripe", "-j", "3"]).replica(id, 11);
        launch.sh(super::NUMBER).run().exits(0);
    }
    merge(&dir).exits(0);
    let expected = (0..11).flat_map(|first| (first..25).step_by(11)).collect::<Vec<u64>>();
    assert_eq!(numbers(&dir), expected);
}

#[test]
fn failures_are_in_a_file_of_their_own_and_told_by_cause_and_last_line() {
    let dir = Dir::with_inputs(9);
    for bad in [1, 2, 7] {
        dir.write(format!("bad/{bad:03}.fits"), "");
    }
    let script = format!("case $1 in *004*) kill -9 $$;; esac\n{NUMBER_UNLESS_BAD}");
    for id in 1..=3 {
        dir.launch().replica(id, 3).sh(&script).run().exits(1);
    }
    let ended = merge(&dir)
        .exits(1)
        .says("9 files: 5 ok, 4 failed, none missing")
        .says("  3 files: exit: no stars (such as ")
        .says("  1 file: signal: ");
    let place = |text: &str| ended.stderr.find(text).unwrap();
    assert!(place("3 files: exit") < place("1 file: signal"), "{ended}");
    assert_eq!(numbers(&dir), [0, 3, 5, 6, 8]);
    assert_eq!(summary(&dir)["complete"], true);
    assert_eq!(
        summary(&dir)["failures"][0],
        json!({"cause": "exit", "last_line": "no stars", "files": 3, "example": dir.path("data/001.fits"), "example_index": 1})
    );

    let failed = records(&dir, "out/final_failed.json");
    let indices: Vec<&Value> = failed.iter().map(|record| &record["canfar_run"]["index"]).collect();
    assert_eq!(indices, [1, 2, 4, 7]);
    let meta = &failed[3]["canfar_run"];
    assert_eq!(
        (&meta["status"], &meta["cause"], &meta["exit_code"]),
        (&json!("failed"), &json!("exit"), &json!(3))
    );
    assert_eq!(meta["stderr_tail"], "no stars");
    let log = &meta["log"];
    let kept = dir.bytes(format!("out/{}", log["file"].as_str().unwrap()));
    let number = |name: &str| usize::try_from(log[name].as_u64().unwrap()).unwrap();
    let kept = String::from_utf8_lossy(&kept[number("offset")..][..number("bytes")]);
    assert!(kept.contains("some words") && kept.contains("no stars"), "{kept}");
    assert_eq!(failed[2]["canfar_run"]["signal"], 9);

    // When nothing fails any more, nothing of it stays.
    std::fs::remove_dir_all(dir.path("bad")).unwrap();
    for id in 1..=3 {
        dir.launch().replica(id, 3).arg("--accept-changed-command").sh(super::NUMBER).run().exits(0);
    }
    merge(&dir).exits(0).says("9 files: 9 ok, none missing").says_not("no stars");
    assert!(!dir.exists("out/final_failed.json"));
    assert_eq!(numbers(&dir), (0..9).collect::<Vec<_>>());
}

#[test]
fn many_kinds_of_failure_and_many_replicas_are_counted_where_they_are_not_named() {
    let dir = Dir::with_inputs(60);
    dir.launch()
        .args(["--max-failures", "none"])
        .replica(1, 2)
        .sh("echo \"bad word $(echo $CANFAR_TASK_INDEX | tr 0-9 a-j)\" >&2; exit 2")
        .run()
        .exits(1);
    merge(&dir).exits(3).says("and 10 more kinds of failure (all are in final_summary.json)");
    assert_eq!(summary(&dir)["failures"].as_array().map(Vec::len), Some(30));

    let dir = Dir::with_inputs(60);
    run(&dir, [60], 60);
    let ended = merge(&dir).exits(3).says("and 39 more replicas (all are in final_summary.json)");
    assert_eq!(ended.stderr.matches("never started: 1 file missing").count(), 20, "{ended}");
    assert_eq!(summary(&dir)["missing_replicas"].as_array().map(Vec::len), Some(59));
}

#[test]
fn what_is_missing_outweighs_what_failed_unless_it_may_be_missing() {
    let dir = Dir::with_inputs(4);
    dir.write("bad/000.fits", "");
    dir.launch().replica(1, 2).sh(NUMBER_UNLESS_BAD).run().exits(1);
    merge(&dir).exits(3).says("4 files: 1 ok, 1 failed, 2 missing");
    assert_eq!(counts(&dir, ["files", "ok", "failed", "missing"]), [4, 1, 1, 2]);
    assert_eq!(records(&dir, "out/final_failed.json").len(), 1);
    dir.canfar_run().args(["merge", "out", "--allow-missing"]).run().exits(1);
    assert_eq!(numbers(&dir), [1]);
}

#[test]
fn quiet_is_quiet_about_good_news_only() {
    let dir = Dir::with_inputs(4);
    let quiet = || dir.canfar_run().args(["merge", "-q", "out"]).run();
    run(&dir, [1], 2);
    quiet().exits(3).says("2 missing").says("replica 2 never started").says_not("out/final_results");
    run(&dir, [2], 2);
    assert_eq!(quiet().exits(0).prints("").stderr, "");
}

#[test]
fn the_summary_on_stdout_is_the_one_in_the_file() {
    let dir = Dir::with_inputs(6);
    dir.write("bad/001.fits", "");
    dir.launch().replica(1, 3).sh(NUMBER_UNLESS_BAD).run().exits(1);
    dir.launch().replica(3, 3).sh(NUMBER_UNLESS_BAD).run().exits(0);
    let ended = dir.canfar_run().args(["merge", "out", "--json"]).run().exits(3);
    let (mut printed, mut written) = (ended.json(), summary(&dir));
    for one in [&mut printed, &mut written] {
        assert!(one["created_at"].take().is_string());
    }
    assert_eq!(printed, written);
    assert_eq!(printed["format"], "canfar-run summary");
    assert_eq!(printed["results"], json!(dir.path("out/final_results.partial.json")));
    assert_eq!((&printed["failures"][0]["files"], &printed["missing"]), (&json!(1), &json!(2)));
}

#[test]
fn folders_that_could_not_be_read_when_the_list_was_made_are_told_of() {
    let dir = Dir::with_inputs(2);
    dir.write("data/closed/x.fits", "");
    mode(&dir, "data/closed", 0);
    mode(&dir, "", 0o777);
    dir.canfar_run()
        .args(["-i", "data/**/*.fits", "-o", "out"])
        .without_rights(NOBODY)
        .sh("true")
        .run()
        .exits(0);
    dir.canfar_run()
        .args(["merge", "out"])
        .run()
        .exits(0)
        .says("1 directory could not be read when the list was made, such as ")
        .says("data/closed: files in there are not in the list");
    assert_eq!(summary(&dir)["unreadable"], json!([dir.path("data/closed")]));
    mode(&dir, "data/closed", 0o700);
}

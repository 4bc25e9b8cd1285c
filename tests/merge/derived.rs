//! Journals have the last word: what results files say counts only where they say the same.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use super::{counts, merge, numbers, numbers_in, records, run, summary};
use crate::support::{DEADLINE, Dir, Running, wait_until};

/// Notes that it began, and as long as `hold/NAME` is there, stays; fails if `bad/NAME` is there.
const HELD: &str = "name=${1##*/}; : > began-$name
while [ -e hold/$name ]; do sleep 0.01; done
[ ! -e bad/$name ] || exit 1
echo \"{\\\"n\\\": $(cat \"$1\")}\"";

/// Starts replica 1 of 1, one task at a time, that stays with task `index`.
fn held_at(dir: &Dir, index: usize) -> Running<'_> {
    let name = format!("{index:03}.fits");
    dir.write(format!("hold/{name}"), "");
    let _ = fs::remove_file(dir.path(format!("began-{name}")));
    let running = dir.launch().args(["-j", "1"]).sh(HELD).start();
    wait_until(DEADLINE, "the task begins", || dir.exists(format!("began-{name}")));
    running
}

/// Kills a launch without a word and lets its task go, since no container dies around it.
fn kill(dir: &Dir, running: Running<'_>) {
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
    fs::remove_dir_all(dir.path("hold")).unwrap();
}

const RESULTS: &str = "out/container_2_results.json";

/// Does something to a results file.
type Mishap = fn(&Dir);

/// What may befall one.
fn mishaps() -> Vec<(&'static str, Mishap)> {
    vec![
        ("deleted", |dir| fs::remove_file(dir.path(RESULTS)).unwrap()),
        ("cut", |dir| _ = dir.write(RESULTS, &dir.bytes(RESULTS)[..200])),
        ("empty", |dir| _ = dir.write(RESULTS, "")),
        ("edited", |dir| _ = dir.write(RESULTS, dir.text(RESULTS).replace("\"n\": 4", "\"n\": 9"))),
        ("longer", |dir| _ = dir.write(RESULTS, dir.text(RESULTS).replace("\"n\": 4", "\"n\": 4444"))),
        ("of another run", |dir| {
            let run = summary_of_list(dir);
            dir.write(RESULTS, dir.text(RESULTS).replace(&run, "abcdef"));
        }),
        ("of another replica", |dir| _ = dir.write(RESULTS, dir.bytes("out/container_1_results.json"))),
        ("Python's", |dir| _ = dir.write(RESULTS, "[{\"n\": 1000}]")),
        ("a folder", |dir| {
            fs::remove_file(dir.path(RESULTS)).unwrap();
            fs::create_dir(dir.path(RESULTS)).unwrap();
        }),
        ("a link to nowhere", |dir| {
            fs::remove_file(dir.path(RESULTS)).unwrap();
            std::os::unix::fs::symlink("nowhere", dir.path(RESULTS)).unwrap();
        }),
    ]
}

fn summary_of_list(dir: &Dir) -> String {
    let header = dir.lines("out/inputs.jsonl").remove(0);
    let header: serde_json::Value = serde_json::from_str(&header).unwrap();
    header["run"].as_str().unwrap().to_owned()
}

#[test]
fn whatever_befell_a_results_file_its_replica_is_derived_from_its_journals() {
    for (what, mishap) in mishaps() {
        let dir = Dir::with_inputs(9);
        run(&dir, 1..=3, 3);
        mishap(&dir);
        let ended = merge(&dir).exits(0).says("9 files: 9 ok, none missing");
        assert_eq!(numbers(&dir), (0..9).collect::<Vec<_>>(), "{what}: {ended}");
        assert_eq!(
            counts(&dir, ["ok", "missing", "repeated", "of_other_runs", "foreign"]),
            [9, 0, 0, 0, 0],
            "{what}"
        );
    }
}

#[test]
fn a_results_file_older_than_its_journal_is_not_the_last_word() {
    let dir = Dir::with_inputs(6);
    ["bad/004.fits", "bad/005.fits"].into_iter().for_each(|bad| _ = dir.write(bad, ""));
    dir.launch().args(["-j", "1"]).sh(HELD).run().exits(1);
    assert_eq!(dir.results(1).len(), 4);
    // The second launch ends task 4 and dies with task 5.
    fs::remove_dir_all(dir.path("bad")).unwrap();
    let running = held_at(&dir, 5);
    kill(&dir, running);
    assert_eq!(dir.results(1).len(), 4, "the results file is the first launch's");
    merge(&dir).exits(1).says("6 files: 5 ok, 1 failed, none missing");
    assert_eq!(numbers(&dir), [0, 1, 2, 3, 4]);
    assert_eq!(records(&dir, "out/final_failed.json")[0]["canfar_run"]["launch"], 1);
}

#[test]
fn a_journal_that_went_on_after_its_last_word_is_read() {
    let dir = Dir::with_inputs(3);
    run(&dir, [1], 1);
    let journal = dir.text("out/journal/1.1.jsonl");
    let record = "{\"file\":\"001.fits\",\"n\":77,\"canfar_run\":{\"run\":\"r\"}}";
    let end = journal.lines().find(|line| line.contains("\"event\":\"end\",\"index\":1,")).unwrap();
    let (head, _) = end.split_once(",\"check\":").unwrap();
    let check = &blake3::hash(format!("{head}{record}").as_bytes()).to_hex()[..16];
    let line = format!("{head},\"check\":\"{check}\",\"record\":{record}}}\n");
    dir.write("out/journal/1.1.jsonl", journal + &line);
    merge(&dir).exits(0);
    assert_eq!(numbers(&dir), [0, 77, 2]);
}

#[test]
fn a_line_that_is_torn_or_damaged_costs_its_task_and_is_told_of() {
    let dir = Dir::with_inputs(4);
    run(&dir, [1], 1);
    fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    let journal = dir.text("out/journal/1.1.jsonl");
    let lines: Vec<&str> = journal.lines().collect();
    let damaged = lines
        .iter()
        .map(|line| if line.contains("\"event\":\"end\",\"index\":2,") { "\0\0\0\0{\"v\":1" } else { line });
    let damaged = damaged.collect::<Vec<_>>().join("\n");
    dir.write("out/journal/1.1.jsonl", &damaged);
    let byte = damaged.find('\0').unwrap();
    merge(&dir)
        .exits(3)
        .says("4 files: 3 ok, 1 missing")
        .says(&format!("1.1.jsonl: the line at byte {byte} can't be read and was skipped"))
        .says("replica 1 stopped: 1 file missing: ");
    assert_eq!(numbers_in(&dir, "out/final_results.partial.json"), [0, 1, 3]);
}

#[test]
fn what_a_replica_at_work_has_done_so_far_is_merged_and_it_is_said_to_run() {
    let dir = Dir::with_inputs(5);
    let running = held_at(&dir, 3);
    let ended =
        merge(&dir).exits(3).says("5 files: 3 ok, 2 missing").says("replica 1 is running: 2 files missing: ");
    assert!(!ended.stderr.contains("canfar-run resume"), "it runs already: {ended}");
    assert_eq!(summary(&dir)["missing_replicas"][0]["state"], "running");
    assert_eq!(numbers_in(&dir, "out/final_results.partial.json"), [0, 1, 2]);

    fs::remove_dir_all(dir.path("hold")).unwrap();
    running.wait().exits(0);
    merge(&dir).exits(0);
    assert_eq!(numbers(&dir), [0, 1, 2, 3, 4]);
}

#[test]
fn a_replica_that_was_killed_is_said_to_have_stopped() {
    let dir = Dir::with_inputs(5);
    let running = held_at(&dir, 3);
    kill(&dir, running);
    merge(&dir).exits(3).says("replica 1 stopped: 2 files missing: ");
    assert_eq!(summary(&dir)["missing_replicas"][0]["state"], "stopped");
}

#[test]
fn a_task_under_which_the_container_died_alone_is_a_failure_also_before_anybody_wrote_that() {
    let dir = Dir::with_inputs(3);
    for _ in 0..2 {
        let running = held_at(&dir, 1);
        kill(&dir, running);
    }
    // The first launch got as far as task 1, the second one ran it last and alone.
    let check = |launch: u64| {
        merge(&dir)
            .exits(1)
            .says("3 files: 2 ok, 1 failed, none missing")
            .says("  1 file: lost: the container died");
        let failed = records(&dir, "out/final_failed.json");
        let meta = &failed[0]["canfar_run"];
        assert_eq!(
            (failed.len(), &failed[0]["file"], &meta["cause"]),
            (1, &json!("001.fits"), &json!("lost"))
        );
        assert_eq!((&meta["attempts"], &meta["launch"]), (&json!(2), &json!(launch)));
        assert_eq!(meta["path"], json!(dir.path("data/001.fits")));
        assert_eq!(numbers(&dir), [0, 2]);
    };
    check(2);
    dir.launch().args(["-j", "1"]).sh(HELD).run().exits(1);
    check(3);
}

#[test]
fn a_task_that_runs_alone_is_not_lost_while_its_launch_lives() {
    let dir = Dir::with_inputs(2);
    let first = held_at(&dir, 1);
    kill(&dir, first);
    let second = held_at(&dir, 1);
    assert_eq!(dir.events_of(1, 2, "start")[0]["alone"], true);
    merge(&dir).exits(3).says("2 files: 1 ok, 1 missing").says("replica 1 is running");
    kill(&dir, second);
    merge(&dir).exits(1).says("2 files: 1 ok, 1 failed, none missing");
}

#[test]
fn journals_of_an_older_run_do_not_vouch_for_a_list_that_was_made_anew() {
    let dir = Dir::with_inputs(4);
    run(&dir, [1, 2], 2);
    // Somebody began anew by removing the list alone, and the second replica is not there yet.
    fs::remove_file(dir.path("out/inputs.jsonl")).unwrap();
    fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    fs::rename(dir.path(RESULTS), dir.path("aside")).unwrap();
    run(&dir, [1], 2);
    fs::rename(dir.path("aside"), dir.path(RESULTS)).unwrap();
    merge(&dir)
        .exits(3)
        .says("4 files: 2 ok, 2 missing")
        .says("2.1.jsonl: belongs to another run")
        .says("replica 2 stopped: 2 files missing: ");
    assert_eq!(numbers_in(&dir, "out/final_results.partial.json"), [0, 1]);
}

//! `resume --only`: another try of what is named, with other options or another command.

use rustix::process::Signal;
use serde_json::Value;

use super::{began, hold, let_go, name, runs};
use crate::support::{Dir, Run};

/// Fails for the files that are in `bad`, and waits as long as they are in `slow`.
const FIRST: &str = "echo \"${1##*/}\" >> ran
while [ -e slow/\"${1##*/}\" ]; do sleep 0.01; done
[ ! -e bad/\"${1##*/}\" ] || exit 3
echo '{\"by\": \"first\"}'";

/// Fails for the files that are in `worse`, and waits as long as they are in `hold`.
const SECOND: &str = "echo \"${1##*/}\" >> ran
while [ -e hold/\"${1##*/}\" ]; do sleep 0.01; done
[ ! -e worse/\"${1##*/}\" ] || { echo it is worse >&2; exit 5; }
echo '{\"by\": \"second\"}'";

fn mark(dir: &Dir, folder: &str, numbers: &[usize]) {
    numbers.iter().for_each(|number| _ = dir.write(format!("{folder}/{}", name(*number)), ""));
}

/// Replica `id` of three.
fn replica(dir: &Dir, id: usize, balance: bool) -> Run<'_> {
    let launch = dir.launch().args(["-j", "2"]);
    if balance { launch.sharing_replica(id, 3) } else { launch.replica(id, 3) }
}

/// A run of three replicas in which some files failed.
fn run_with_bad(dir: &Dir, bad: &[usize], balance: bool) {
    mark(dir, "bad", bad);
    let running: Vec<_> = (1..=3).map(|id| replica(dir, id, balance).sh(FIRST).start()).collect();
    running.into_iter().for_each(|running| _ = running.wait());
}

fn only<'d>(dir: &'d Dir, what: &str) -> Run<'d> {
    dir.canfar_run().args(["resume", "out", "-j", "1", "--only", what])
}

/// The records in all results files, by index: each once.
fn all_results(dir: &Dir) -> Vec<Value> {
    let ids = (1..=3).filter(|id| dir.exists(format!("out/container_{id}_results.json")));
    let mut all: Vec<Value> = ids.flat_map(|id| dir.results(id)).collect();
    all.sort_by_key(|record| record["canfar_run"]["index"].as_u64());
    all
}

fn makers(dir: &Dir) -> Vec<(u64, String)> {
    let maker = |record: &Value| {
        (record["canfar_run"]["index"].as_u64().unwrap(), record["by"].as_str().unwrap().to_owned())
    };
    all_results(dir).iter().map(maker).collect()
}

#[test]
fn what_timed_out_runs_again_with_another_timeout_and_nothing_else_does() {
    let dir = Dir::with_inputs(9);
    mark(&dir, "slow", &[1, 3]);
    mark(&dir, "bad", &[4]);
    // The third replica never started.
    let begin = |id| replica(&dir, id, false).args(["--timeout", "5s"]).sh(FIRST).start();
    [begin(1), begin(2)].into_iter().for_each(|running| _ = running.wait().exits(1));
    [1, 3]
        .into_iter()
        .for_each(|number| std::fs::remove_file(dir.path(format!("slow/{}", name(number)))).unwrap());

    let ended = only(&dir, "timeout").args(["--timeout", "1h", "--json"]).run().exits(0);
    let ended = ended.says("--only timeout names 2 files (replicas 1-2)");
    let ended = ended.says(
        "ran again in replicas 1-2: 2 of 2 files ok; of the 9 files of the run 5 are ok, 1 failed, 3 left",
    );
    assert_eq!(ended.json()["only"], "timeout");
    assert_eq!(runs(&dir), [(0, 1), (1, 2), (2, 1), (3, 2), (4, 1), (5, 1)].into());
    let begun = &dir.events_of(2, 2, "run")[0];
    assert_eq!((&begun["options"]["timeout"], &begun["options"]["only"]), (&"1h".into(), &"timeout".into()));
    assert_eq!(begun["command"], Value::Null);
    // The same words once more are no error.
    only(&dir, "timeout")
        .run()
        .exits(0)
        .says("nothing is left to try; the run has 5 ok, 1 failed (1 exit), 3 missing");
}

#[test]
fn another_command_makes_what_failed_and_all_tell_which_made_what() {
    for balance in [false, true] {
        let dir = Dir::with_inputs(9);
        run_with_bad(&dir, &[2, 4, 7], balance);
        let printed = only(&dir, "failed").arg("-n").args(["--", "true", "{index}"]).run().exits(0).printed();
        let mut lines: Vec<&str> = printed.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["true 2", "true 4", "true 7"], "{balance}");
        only(&dir, "exit").sh(SECOND).run().exits(0).says("all 9 files of the run are ok");
        let expected: Vec<(u64, String)> = (0..9)
            .map(|index| (index, if [2, 4, 7].contains(&index) { "second" } else { "first" }.to_owned()))
            .collect();
        assert_eq!(makers(&dir), expected, "{balance}");
        let record = &all_results(&dir)[4]["canfar_run"];
        assert!(record["command"].as_str().unwrap().contains("it is worse"), "{record}");
        assert_eq!((&record["index"], &record["attempts"]), (&4.into(), &2.into()));
        let merged = dir.canfar_run().args(["merge", "out"]).run().exits(0);
        merged.says("9 files: 9 ok, none missing").says("6 records made by `").says(", 3 by `");
        let commands = &dir.json("out/final_summary.json")["commands"];
        assert_eq!((&commands[0]["records"], &commands[1]["records"]), (&6.into(), &3.into()), "{commands}");
        dir.canfar_run().args(["report", "out"]).run().exits(0);
        let report = std::fs::read_to_string(dir.path("out/report.html")).unwrap();
        assert!(report.contains("3 records by "), "{balance}");
    }
}

#[test]
fn one_that_is_ok_runs_again_if_it_is_named_and_stays_ok_if_that_fails() {
    for balance in [false, true] {
        let dir = Dir::with_inputs(6);
        run_with_bad(&dir, &[], balance);
        mark(&dir, "worse", &[1]);
        let before = all_results(&dir)[1].clone();
        let ended = only(&dir, "001.fits,4").sh(SECOND).run().exits(1);
        ended
            .says("1 file that failed was ok before: its earlier record and products stay")
            .says("1 of 2 files ok, 1 failed; all 6 files of the run are ok");
        assert_eq!(all_results(&dir)[1], before, "{balance}");
        assert_eq!(all_results(&dir)[4]["by"], "second", "{balance}");
        let status = dir.canfar_run().args(["status", "out", "--json"]).run().exits(0).json();
        assert_eq!(
            (&status["totals"]["ok"], &status["totals"]["failed"]),
            (&6.into(), &0.into()),
            "{status}"
        );
        let printed = dir.canfar_run().args(["logs", "out", "1"]).run().exits(0).printed();
        assert!(printed.contains("it is worse"), "{printed}");
        dir.canfar_run().args(["merge", "out"]).run().exits(0).says("6 files: 6 ok, none missing");
        // The next launch finds nothing to do.
        dir.canfar_run().args(["resume", "out"]).run().exits(0).says("nothing to do");
        assert_eq!(runs(&dir).values().sum::<usize>(), 8, "{balance}");
    }
}

#[test]
fn a_failure_leaves_the_product_of_before() {
    let dir = Dir::with_inputs(2);
    let make = |text: &str| {
        format!(
            "echo {text} > \"$CANFAR_TASK_OUT\"; echo \"${{1##*/}}\" >> ran; [ ! -e worse/\"${{1##*/}}\" ]"
        )
    };
    dir.launch().args(["--product", "made/{/}"]).sh(&make("first")).run().exits(0);
    mark(&dir, "worse", &[0]);
    only(&dir, "000.fits,001.fits").sh(&make("second")).run().exits(1);
    let made = |number| std::fs::read_to_string(dir.path(format!("made/{}", name(number)))).unwrap();
    assert_eq!((made(0), made(1)), ("first\n".to_owned(), "second\n".to_owned()));
    let merge = dir.canfar_run().args(["merge", "out", "--verify-products"]).run();
    merge.exits(0).says("2 files: 2 ok, none missing");
}

#[test]
fn the_same_line_goes_on_after_a_kill_and_is_a_new_try_once_all_was_run() {
    for balance in [false, true] {
        let dir = Dir::with_inputs(6);
        run_with_bad(&dir, &[], balance);
        let named = "0,1,2,3,4,5";
        hold(&dir, 3);
        let running = only(&dir, named).sh(SECOND).start();
        began(&dir, 3, 2);
        running.signal(Signal::KILL);
        running.wait();
        let_go(&dir, 3);
        let done = runs(&dir).values().filter(|times| **times == 2).count();
        only(&dir, named).sh(SECOND).run().exits(0);
        let after: usize = runs(&dir).values().sum();
        // What was running when it was killed began twice in this try.
        assert_eq!(after, 13, "{balance} {done}");
        assert!(makers(&dir).iter().all(|(_, by)| by == "second"), "{balance}");
        only(&dir, named).sh(SECOND).run().exits(0);
        assert_eq!(runs(&dir).values().sum::<usize>(), after + 6, "{balance}");
    }
}

#[test]
fn of_two_containers_each_tries_what_it_looks_after_and_none_is_run_twice() {
    for balance in [false, true] {
        let dir = Dir::with_inputs(12);
        run_with_bad(&dir, &[1, 6, 10], balance);
        let container = |id| only(&dir, "failed,0,11").sharing_replica(id, 2).sh(SECOND).start();
        let codes: Vec<_> =
            [container(1), container(2)].into_iter().map(|running| running.wait().exits(0)).collect();
        let expected =
            (0..12).map(|number| (number, if [0, 1, 6, 10, 11].contains(&number) { 2 } else { 1 }));
        assert_eq!(runs(&dir), expected.collect(), "{balance} {codes:?}");
        assert_eq!(makers(&dir).len(), 12, "{balance}");
    }
}

#[test]
fn who_comes_while_another_is_at_it_leaves_it_alone() {
    let dir = Dir::with_inputs(6);
    run_with_bad(&dir, &[], false);
    hold(&dir, 4);
    // It has ended what replica 1 has, and is with that of replica 3.
    let running = only(&dir, "0,4").sh(SECOND).start();
    began(&dir, 4, 2);
    only(&dir, "0,4").sh(SECOND).run().exits(3).says("replica 3 of 3 is at work");
    let_go(&dir, 4);
    running.wait().exits(0);
    assert_eq!(runs(&dir), [(0, 2), (1, 1), (2, 1), (3, 1), (4, 2), (5, 1)].into());
}

#[test]
fn one_that_nobody_has_begun_is_run_alone_and_what_is_left_of_its_block_is_still_run_later() {
    for balance in [false, true] {
        let dir = Dir::with_inputs(8);
        let begin = || replica(&dir, 1, balance).args(["--deadline", "1ms"]).sh(FIRST).run();
        begin().exits(3);
        let first = only(&dir, "5").run().exits(0);
        first.says("of the 8 files of the run 1 are ok, 7 left");
        assert_eq!(runs(&dir), [(5, 1)].into(), "{balance}");
        dir.canfar_run().args(["resume", "out"]).run().exits(0);
        assert_eq!(runs(&dir), (0..8).map(|number| (number, 1)).collect(), "{balance}");
        assert_eq!(makers(&dir).len(), 8, "{balance}");
        dir.canfar_run().args(["merge", "out"]).run().exits(0).says("8 files: 8 ok, none missing");
    }
}

#[test]
fn missing_ones_are_run_and_failed_ones_are_not() {
    let dir = Dir::with_inputs(6);
    mark(&dir, "bad", &[1]);
    replica(&dir, 1, false).sh(FIRST).run().exits(1);
    only(&dir, "missing").run().exits(0).says("of the 6 files of the run 5 are ok, 1 failed");
    assert_eq!(runs(&dir), (0..6).map(|number| (number, 1)).collect());
}

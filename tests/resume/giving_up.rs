//! Launches that end by themselves with tasks left, and attempts that are made again.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::{TASK, began, done, hold, launch, let_go, names, runs};
use crate::support::{DEADLINE, Dir, wait_until};

/// Notes its file's name and fails.
const FAILING: &str = "echo \"${1##*/}\" >> ran; echo no luck >&2; exit 1";

#[test]
fn after_the_deadline_nothing_begins_and_what_runs_may_finish() {
    let dir = Dir::with_inputs(4);
    hold(&dir, [1]);
    let begun = Instant::now();
    let running = launch(&dir, 1).args(["--deadline", "700ms"]).sh(TASK).start();
    began(&dir, [1], 1);
    wait_until(DEADLINE, "the deadline passes", || begun.elapsed() > Duration::from_millis(1200));
    let_go(&dir);
    running
        .wait()
        .exits(3)
        .says("2 of 4 files ok, 2 not run")
        .says("--deadline")
        .says("Rerun the same command");
    assert_eq!(done(&dir), [0, 1]);
    assert_eq!(dir.events_of(1, 1, "stop")[0]["reason"], "deadline");
    launch(&dir, 1).sh(TASK).run().exits(0);
    assert_eq!(dir.sorted_lines("ran"), names(4));
}

#[test]
fn a_deadline_that_has_passed_before_the_first_task_leaves_all() {
    let dir = Dir::with_inputs(4);
    launch(&dir, 2).args(["--deadline", "0"]).sh(TASK).run().exits(3).says("0 of 4 files ok, 4 not run");
    assert_eq!(runs(&dir), [].into());
    assert_eq!(dir.results(1), Vec::<Value>::new());
}

#[test]
fn too_many_failures_end_the_launch() {
    for (rule, inputs, begin) in [
        ("0", 5, 1),
        ("2", 5, 3),
        ("10%", 30, 4),
        ("0%", 30, 1),
        ("auto", 25, 20),
        ("auto", 19, 19),
        ("none", 25, 25),
    ] {
        let dir = Dir::with_inputs(inputs);
        let ended = launch(&dir, 1).args(["--max-failures", rule]).sh(FAILING).run();
        let is_early = begin < inputs;
        let ended = ended.exits(if is_early { 3 } else { 1 });
        assert_eq!(runs(&dir).len(), begin, "--max-failures {rule}: {ended}");
        assert_eq!(ended.stderr.contains(&format!("(--max-failures {rule})")), is_early, "{ended}");
        assert_eq!(dir.events_of(1, 1, "stop")[0]["reason"], if is_early { "max_failures" } else { "done" });
    }
}

#[test]
fn one_success_among_the_first_tasks_keeps_the_launch_going() {
    let dir = Dir::with_inputs(25);
    launch(&dir, 1)
        .sh("echo \"${1##*/}\" >> ran; [ \"${1##*/}\" = 007.fits ]")
        .run()
        .exits(1)
        .says("24 failed");
    assert_eq!(runs(&dir).len(), 25);
}

#[test]
fn what_was_left_after_too_many_failures_runs_next_time() {
    let dir = Dir::with_inputs(6);
    let script = "echo \"${1##*/}\" >> ran; [ -e mended ]";
    launch(&dir, 1).args(["--max-failures", "1"]).sh(script).run().exits(3).says("2 failed, 4 not run");
    dir.write("mended", "");
    launch(&dir, 1).sh(script).run().exits(0);
    assert_eq!(runs(&dir), [(0, 2), (1, 2), (2, 1), (3, 1), (4, 1), (5, 1)].into());
}

fn time(event: &Value) -> Timestamp {
    event["t"].as_str().unwrap().parse().unwrap()
}

#[test]
fn failed_attempts_are_made_again_after_pauses_that_double() {
    let dir = Dir::with_inputs(1);
    let fails_twice =
        "echo \"${1##*/}\" >> ran; echo \"attempt $CANFAR_TASK_ATTEMPT\" >&2; [ $(wc -l < ran) -ge 3 ]";
    launch(&dir, 1)
        .args(["--retries", "5", "--retry-delay", "150ms"])
        .sh(fails_twice)
        .run()
        .exits(0)
        .says("failed, will be tried again")
        .says("attempt 2");
    assert_eq!(dir.results(1)[0]["canfar_run"]["attempts"], 3);
    let (starts, attempts) = (dir.events_of(1, 1, "start"), dir.events_of(1, 1, "attempt"));
    assert_eq!((starts.len(), attempts.len(), dir.events_of(1, 1, "end").len()), (3, 3, 1));
    for (number, least) in [(0, 150), (1, 300)] {
        let pause = time(&starts[number + 1]).duration_since(time(&attempts[number])).as_millis();
        // Times are told to the millisecond; a quarter is jitter, the rest is a busy machine's.
        assert!((least - 1..least * 5 / 4 + 2000).contains(&pause), "pause {number}: {pause} ms");
    }
}

#[test]
fn other_tasks_run_during_the_pause_and_the_last_failure_is_recorded() {
    let dir = Dir::with_inputs(3);
    let script =
        "echo \"${1##*/}\" >> ran; echo \"told $CANFAR_TASK_ATTEMPT\" >&2; [ \"${1##*/}\" != 000.fits ]";
    launch(&dir, 1)
        .args(["--retries", "1", "--retry-delay", "300ms"])
        .sh(script)
        .run()
        .exits(1)
        .says("2 of 3 files ok, 1 failed");
    assert_eq!(dir.lines("ran"), ["000.fits", "001.fits", "002.fits", "000.fits"]);
    let failed = dir.failures(1, 1);
    assert_eq!(failed.len(), 1);
    let meta = &failed[0]["canfar_run"];
    assert_eq!(
        (&meta["attempts"], &meta["stderr_tail"], &meta["exit_code"]),
        (&2.into(), &"told 2".into(), &1.into())
    );
}

#[test]
fn a_script_that_is_not_there_is_told_before_the_first_task() {
    let dir = Dir::with_inputs(2);
    dir.write("here.py", "");
    let run = |results: &str, options: &[&str], script: &str| {
        let run = dir.canfar_run().args(["-i", "data/*.fits", "-o", results]).args(options);
        run.args(["--", "true", script, "{}"]).run().exits(0)
    };
    let missing = run("missing", &[], "nowhere.py");
    let place = missing.stderr.find("warning: the command names nowhere.py, which is not in").unwrap();
    assert!(place < missing.stderr.find("2 of 2 files ok").unwrap(), "{missing}");
    run("task", &["--chdir", "task"], "here.py").says("here.py, which is not in the temporary folder");
    let there = run("there", &[], "here.py");
    assert!(!there.stderr.contains("warning"), "{there}");
}

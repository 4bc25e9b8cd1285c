//! How tasks end: by themselves, by a signal, by our limits, or before they began. What they left behind goes with them.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{DEADLINE, Dir, wait_until};

/// Whether a process is there and no zombie.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn no_longer_running(dir: &Dir, file: &str, count: usize) {
    let pids = dir.lines(file);
    assert_eq!(pids.len(), count, "{pids:?}");
    wait_until(DEADLINE, "processes are gone", || !pids.iter().any(|pid| is_running(pid)));
}

/// What is said of a failure: cause, exit code, signal, message.
fn how(record: &Value) -> Value {
    let meta = &record["canfar_run"];
    json!([meta["cause"], meta["exit_code"], meta["signal"], meta["message"]])
}

#[test]
fn how_a_task_failed_is_told_by_its_cause() {
    let cases = [
        ("exit 3", &[][..], json!(["exit", 3, null, "exit code 3"])),
        ("kill -9 $$", &[], json!(["signal", null, 9, "killed by SIGKILL (9)"])),
        ("kill -SEGV $$", &[], json!(["signal", null, 11, "killed by SIGSEGV (11)"])),
        (
            "exec sleep 1000",
            &["--timeout", "200ms"],
            json!(["timeout", null, 15, "stopped after 0.2s (--timeout)"]),
        ),
        (
            "trap 'exit 0' TERM; while :; do sleep 0.01; done",
            &["--timeout", "200ms"],
            json!(["timeout", 0, null, "stopped after 0.2s (--timeout)"]),
        ),
        (
            "trap '' TERM; while :; do sleep 0.01; done",
            &["--timeout", "200ms", "--grace", "200ms"],
            json!(["timeout", null, 9, "stopped after 0.2s (--timeout)"]),
        ),
        (
            "echo no JSON",
            &["--result", "json"],
            json!([
                "result",
                0,
                null,
                "no result (--result json): the last line of standard output is not JSON: `no JSON`"
            ]),
        ),
    ];
    for (script, options, expected) in cases {
        let dir = Dir::with_inputs(1);
        dir.launch().args(options).sh(script).run().exits(1);
        let failures = dir.failures(1, 1);
        assert_eq!(failures.len(), 1, "{script}");
        assert_eq!(how(&failures[0]), expected, "{script}");
        assert_eq!(
            (&failures[0]["file"], &failures[0]["canfar_run"]["status"]),
            (&"000.fits".into(), &"failed".into())
        );
        assert_eq!(dir.results(1), Vec::<Value>::new());
    }
}

#[test]
fn what_cannot_be_started_for_one_file_is_that_files_failure() {
    let dir = Dir::new();
    dir.write("tools/b-no-program", "");
    symlink("/bin/true", dir.path("tools/a")).unwrap();
    symlink("/bin/false", dir.path("tools/c")).unwrap();
    let ended = dir.canfar_run().args(["-i", "tools/*", "-o", "out", "-j", "1", "--", "{}"]).run().exits(1);
    assert_eq!(dir.results(1).len(), 1, "{ended}");
    let failures: Vec<Value> = dir.failures(1, 1).iter().map(how).collect();
    let message =
        format!("can't start {}: Permission denied (os error 13)", dir.path("tools/b-no-program").display());
    assert_eq!(failures, [json!(["spawn", null, null, message]), json!(["exit", 1, null, "exit code 1"])]);
}

#[test]
fn a_command_that_vanishes_ends_the_launch_without_a_record_for_it() {
    let dir = Dir::with_inputs(3);
    dir.write("data/000.fits", "rm tool; echo '{\"gone\": true}'");
    symlink("/bin/sh", dir.path("tool")).unwrap();
    let ended = dir.launch().args(["-j", "1", "--", "./tool", "{}"]).run().exits(2);
    let ended = ended.says("can't start").says("1 of 3 files ok, 2 not run").says("No failure was recorded");
    assert_eq!(dir.results(1)[0]["gone"], true, "{ended}");
    assert_eq!(dir.events_of(1, 1, "stop")[0]["reason"], "cannot_start");
    symlink("/bin/true", dir.path("tool")).unwrap();
    dir.launch().args(["-j", "1", "--", "./tool", "{}"]).run().exits(0);
}

#[test]
fn a_timeout_leaves_no_process_of_the_group_behind() {
    let dir = Dir::with_inputs(2);
    let script = "echo $$ >> pids; trap '' TERM
(trap '' TERM; sh -c 'echo $$ >> pids; while [ -d data ]; do sleep 0.01; done') &
sh -c 'echo $$ >> pids; sh -c \"echo \\$\\$ >> pids; while [ -d data ]; do sleep 0.01; done\"' & wait; wait";
    let options = ["-j", "2", "--timeout", "500ms", "--grace", "100ms"];
    dir.launch().args(options).sh(script).run().exits(1).says("2 failed");
    no_longer_running(&dir, "pids", 8);
}

#[test]
fn the_end_of_a_task_takes_its_group_along() {
    for (script, code) in [("true", 0), ("exit 1", 1), ("kill -9 $$", 1)] {
        let dir = Dir::with_inputs(1);
        let script = format!(
            "sh -c 'trap \"\" TERM; echo $$ >> pids; while [ -d data ]; do sleep 0.01; done' &
until [ -s pids ]; do sleep 0.01; done; {script}"
        );
        dir.launch().sh(&script).run().exits(code);
        no_longer_running(&dir, "pids", 1);
    }
}

#[test]
fn a_grandchild_that_keeps_the_output_open_does_not_hold_the_task_up() {
    let dir = Dir::with_inputs(2);
    // In a session of its own, so that the end of the group is not its own.
    let script = "setsid sh -c 'echo $$ >> pids; while [ -d data ]; do sleep 0.01; done' &
until [ -s pids ]; do sleep 0.01; done; echo '{\"said\": 1}'";
    let begun = Instant::now();
    dir.launch().args(["-j", "1"]).sh(script).run().exits(0);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(dir.results(1).iter().map(|record| &record["said"]).collect::<Vec<_>>(), [1, 1]);
    assert!(
        dir.events_of(1, 1, "attempt").iter().all(|attempt| attempt["left_processes"].as_u64() >= Some(1))
    );
}

#[test]
fn a_task_that_closes_its_output_runs_on_to_its_end() {
    let dir = Dir::with_inputs(1);
    let script = "exec > /dev/null 2>&1; sleep 0.2; : > done; echo '{ }' > \"$CANFAR_TASK_RESULT\"";
    dir.launch().sh(script).run().exits(0);
    assert!(dir.exists("done"));
}

#[test]
fn the_times_of_a_task_are_its_own() {
    let dir = Dir::with_inputs(2);
    dir.launch().args(["-j", "1"]).sh("[ $CANFAR_TASK_INDEX = 0 ] || sleep 0.4").run().exits(0);
    let seconds = |index: usize| dir.results(1)[index]["canfar_run"]["duration_s"].as_f64().unwrap();
    assert!(seconds(1) >= 0.4, "{}", seconds(1));
    assert!(seconds(1) < 30.0 && seconds(0) < 30.0);
    let begin = |index: usize| -> jiff::Timestamp {
        dir.results(1)[index]["canfar_run"]["started_at"].as_str().unwrap().parse().unwrap()
    };
    assert!(begin(0) <= begin(1));
    assert!(jiff::Timestamp::now().duration_since(begin(0)).as_secs() < 60);
}

#[test]
fn a_pipe_in_place_of_the_result_file_fails_the_task_and_holds_nothing_up() {
    let dir = Dir::with_inputs(2);
    let script = "[ $CANFAR_TASK_INDEX = 1 ] || mkfifo \"$CANFAR_TASK_RESULT\"";
    dir.launch().sh(script).run().exits(1).says("is not a regular file");
    assert_eq!(dir.failures(1, 1)[0]["canfar_run"]["cause"], "result");
    assert_eq!(dir.results(1).len(), 1);
}

#[test]
fn a_result_survives_what_its_task_leaves_in_the_temporary_folder() {
    let dir = Dir::with_inputs(3);
    // Somebody goes on writing there, and what is left is deep.
    let script = "cd \"$TMPDIR\" && mkdir -p a/b/c/d/e && chmod 0 a/b/c/d/e a/b
setsid sh -c 'while echo x >> x; do sleep 0.01; done' > /dev/null 2>&1 &
echo \"{\\\"n\\\": $CANFAR_TASK_INDEX}\"";
    dir.launch().args(["-j", "1"]).sh(script).run().exits(0);
    assert_eq!(
        dir.results(1).iter().filter_map(|record| record["n"].as_u64()).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

//! Far too much output, and output that goes on after its task.

use super::{how, ok};
use crate::support::Dir;

const MIB: u64 = 1 << 20;

#[test]
fn of_a_gibibyte_of_output_both_ends_are_kept_and_its_last_line_is_the_result() {
    let dir = Dir::with_inputs(2);
    let script = "echo begin; [ $CANFAR_TASK_INDEX = 1 ] || head -c 1G /dev/zero; echo; echo '{\"n\": 1}'";
    dir.launch().args(["-j", "2", "--logs", "all"]).sh(script).run().exits(0);
    for record in dir.results(1) {
        assert_eq!(record["n"], 1);
        assert!(record["canfar_run"]["max_rss_bytes"].as_u64() < Some(64 * MIB), "{record}");
    }
    let log = dir.bytes("out/logs/1.1.log");
    assert!((2 * MIB..4 * MIB).contains(&(log.len() as u64)), "{} bytes", log.len());
    assert!(String::from_utf8_lossy(&log).contains("canfar-run left out"));
}

#[test]
fn output_without_a_line_end_or_of_any_bytes_or_none_at_all_is_what_it_is() {
    for (script, expected) in [
        ("printf '{\"n\": 1}'", Some(1)),
        ("printf 'log\\n{\"n\": 1}'", Some(1)),
        ("printf '\\377\\376\\n\\000\\n{\"n\": 1}'", Some(1)),
        ("printf '{\"n\": 1}\\000'", None),
        ("printf '\\377{\"n\": 1}'", None),
        ("head -c 100000 /dev/urandom | tr '{[' '  '", None),
        ("exec >&-", None),
        ("exec >&- 2>&-; : > \"$CANFAR_TASK_RESULT\"", None),
        ("exec >&-; echo '{\"n\": 1}' > \"$CANFAR_TASK_RESULT\"", Some(1)),
    ] {
        let dir = Dir::with_inputs(1);
        dir.launch().args(["--logs", "all"]).sh(script).run().exits(0);
        assert_eq!(dir.results(1)[0]["n"].as_i64(), expected, "{script}");
    }
}

#[test]
fn started_without_standard_streams_it_writes_nothing_into_its_own_files() {
    let dir = Dir::with_inputs(2);
    let run = crate::support::Run::of(&dir, "/bin/sh").args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"]);
    let run =
        run.arg(env!("CARGO_BIN_EXE_canfar-run")).args(["-i", "data/*.fits", "-o", "out", "--json", "-v"]);
    run.sh("echo \"{\\\"n\\\": $CANFAR_TASK_INDEX}\"; echo said >&2").run().exits(0);
    assert_eq!(ok(&dir), [0, 1]);
    for line in dir.lines("out/journal/1.1.jsonl") {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["v"], 2, "{line}");
    }
    assert_eq!(dir.text("out/inputs.jsonl").lines().count(), 3);
}

#[test]
fn what_a_task_starts_and_leaves_may_still_write_and_spoils_nothing() {
    let dir = Dir::with_inputs(3);
    // What the task itself said counts; what its child says after its end may come or not.
    let script = "(trap '' TERM; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.02; echo late; echo late > \"$CANFAR_TASK_RESULT\"; done) &
echo \"{\\\"n\\\": $CANFAR_TASK_INDEX}\" > \"$CANFAR_TASK_RESULT\"";
    dir.launch().args(["-j", "1"]).sh(script).run().exits(0);
    let numbers: Vec<_> = dir.results(1).iter().filter_map(|record| record["n"].as_u64()).collect();
    assert_eq!(numbers, [0, 1, 2]);
}

#[test]
fn a_task_of_a_millisecond_does_not_wait_for_a_long_one_beside_it() {
    let dir = Dir::with_inputs(200);
    // The long one ends when all others have.
    let script = "[ $CANFAR_TASK_INDEX = 0 ] || { echo x >> short; exit 0; }
while [ \"$(wc -l < short)\" -lt 199 ]; do sleep 0.01; done";
    dir.write("short", "");
    dir.launch().args(["-j", "2", "--timeout", "60s"]).sh(script).run().exits(0);
    let longest = &dir.results(1)[0]["canfar_run"]["duration_s"];
    assert!(
        dir.results(1).iter().all(|record| record["canfar_run"]["duration_s"].as_f64() <= longest.as_f64())
    );
    assert_eq!(how(&dir.results(1)[0]), (None, Some(0), None));
}

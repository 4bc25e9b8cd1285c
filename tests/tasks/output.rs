//! What is kept of the tasks' output: whose, where, and all of it.

use serde_json::Value;

use crate::support::Dir;

/// Where `log` of a record points: the entry's head, standard output and standard error.
fn kept(dir: &Dir, log: &Value) -> (Value, Vec<u8>, Vec<u8>) {
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let file = dir.bytes(format!("out/{}", log["file"].as_str().unwrap()));
    let (offset, bytes) = (number(&log["offset"]), number(&log["bytes"]));
    let entry = &file[offset..offset + bytes];
    let head_end = entry.iter().position(|byte| *byte == b'\n').unwrap();
    let head: Value = serde_json::from_slice(&entry[..head_end]).unwrap();
    let (stdout, rest) = entry[head_end + 1..].split_at(number(&head["stdout"]));
    let (stderr, end) = rest.split_at(number(&head["stderr"]));
    assert_eq!(end, b"\n");
    (head, stdout.to_vec(), stderr.to_vec())
}

/// Says its number many times on both streams; odd ones fail.
const TALKATIVE: &str = "i=0; while [ $i -lt 50 ]; do echo \"out $CANFAR_TASK_INDEX\"; echo \"err $CANFAR_TASK_INDEX\" >&2; i=$((i+1)); done
exit $((CANFAR_TASK_INDEX % 2))";

/// Index and place of the kept output of each task, `None` where nothing is kept.
fn logs(dir: &Dir) -> Vec<(u64, Option<Value>)> {
    let ends = dir.events_of(1, 1, "end");
    let mut logs: Vec<_> = ends
        .into_iter()
        .map(|mut end| (end["index"].as_u64().unwrap(), Some(end["record"]["canfar_run"]["log"].take())))
        .map(|(index, log)| (index, log.filter(|log| !log.is_null())))
        .collect();
    logs.sort_by_key(|log| log.0);
    logs
}

#[test]
fn output_is_kept_of_the_tasks_asked_for_and_never_mixed() {
    for (which, is_kept) in
        [("failed", (|index| index % 2 == 1) as fn(u64) -> bool), ("all", |_| true), ("none", |_| false)]
    {
        let dir = Dir::with_inputs(12);
        dir.launch().args(["-j", "4", "--result", "none", "--logs", which]).sh(TALKATIVE).run().exits(1);
        let logs = logs(&dir);
        assert_eq!(logs.len(), 12);
        for (index, log) in logs {
            assert_eq!(log.is_some(), is_kept(index), "--logs {which}, task {index}");
            let Some(log) = log else { continue };
            let (head, stdout, stderr) = kept(&dir, &log);
            assert_eq!((&head["index"], &head["attempt"]), (&index.into(), &1.into()));
            assert_eq!(String::from_utf8(stdout).unwrap(), format!("out {index}\n").repeat(50));
            assert_eq!(String::from_utf8(stderr).unwrap(), format!("err {index}\n").repeat(50));
        }
        assert_eq!(dir.exists("out/logs/1.1.log"), which != "none");
    }
}

#[test]
fn entries_follow_each_other_without_gaps() {
    let dir = Dir::with_inputs(8);
    dir.launch().args(["-j", "4", "--logs", "all"]).sh(TALKATIVE).run().exits(1);
    let mut places: Vec<(u64, u64)> = logs(&dir)
        .into_iter()
        .map(|(_, log)| log.unwrap())
        .map(|log| (log["offset"].as_u64().unwrap(), log["bytes"].as_u64().unwrap()))
        .collect();
    places.sort_unstable();
    let mut end = 0;
    for (offset, bytes) in places {
        assert_eq!(offset, end);
        end = offset + bytes;
    }
    assert_eq!(end, dir.bytes("out/logs/1.1.log").len() as u64);
}

#[test]
fn each_attempts_output_is_kept() {
    let dir = Dir::with_inputs(1);
    let script = "echo \"attempt $CANFAR_TASK_ATTEMPT\"; [ $CANFAR_TASK_ATTEMPT = 3 ]";
    dir.launch().args(["--retries", "2", "--retry-delay", "0", "--result", "none"]).sh(script).run().exits(0);
    let attempts = dir.events_of(1, 1, "attempt");
    let outputs = attempts.iter().map(|attempt| &attempt["log"]).filter(|log| !log.is_null());
    let outputs: Vec<String> = outputs.map(|log| String::from_utf8(kept(&dir, log).1).unwrap()).collect();
    assert_eq!(outputs, ["attempt 1\n", "attempt 2\n"]);
}

#[test]
fn a_mebibyte_of_any_bytes_is_kept_whole() {
    let dir = Dir::with_inputs(2);
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(1 << 20).collect();
    dir.write("noise", &bytes);
    dir.launch()
        .args(["-j", "2", "--logs", "all"])
        .sh("cat noise; cat noise >&2; exit $CANFAR_TASK_INDEX")
        .run()
        .exits(1);
    for (_, log) in logs(&dir) {
        let (_, stdout, stderr) = kept(&dir, &log.unwrap());
        assert!(stdout == bytes && stderr == bytes);
    }
    let tail = dir.failures(1, 1)[0]["canfar_run"]["stderr_tail"].as_str().unwrap().len();
    assert!(tail <= 2048, "{tail}");
}

#[test]
fn the_end_of_standard_error_is_in_the_record_of_a_failure() {
    let long = format!("{}the end", "é".repeat(3000));
    for (stderr, expected) in [
        (b"first\nlast\n\n".to_vec(), "first\nlast".to_owned()),
        (b"".to_vec(), String::new()),
        (b"\xff odd \xc3".to_vec(), "\u{fffd} odd \u{fffd}".to_owned()),
        (long.clone().into_bytes(), long[long.len() - 2047..].to_owned()),
        ([b"x", long.as_bytes(), b"."].concat(), format!("{}.", &long[long.len() - 2047..])),
    ] {
        let dir = Dir::with_inputs(1);
        dir.write("said", &stderr);
        dir.launch().sh("cat said >&2; exit 1").run().exits(1);
        let failure = dir.failures(1, 1).remove(0);
        assert_eq!(failure["canfar_run"]["stderr_tail"], expected, "{}", stderr.escape_ascii());
    }
}

#[test]
fn the_last_words_of_a_failure_reach_the_screen_without_commanding_it() {
    let dir = Dir::with_inputs(1);
    let ended = dir.launch().sh("printf 'red: \\033[31m\\007 é\\n' >&2; exit 1").run().exits(1);
    ended.says("red: \\u{1b}[31m\\u{7} é").says_not("\u{1b}");
}

#[test]
fn what_tasks_print_never_reaches_our_standard_output() {
    let dir = Dir::with_inputs(2);
    dir.launch()
        .args(["-v", "--result", "none"])
        .sh("echo on stdout; echo on stderr >&2")
        .run()
        .exits(0)
        .prints("")
        .says_not("on stdout");
}

#[test]
fn what_canfar_run_itself_said_is_kept_beside() {
    let dir = Dir::with_inputs(2);
    let ended = dir.launch().sh("exit $CANFAR_TASK_INDEX").run().exits(1);
    assert_eq!(dir.text("out/logs/1.1.err"), ended.stderr);
}

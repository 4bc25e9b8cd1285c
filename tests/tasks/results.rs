//! What of a command's output is its result, and how it gets into the record: byte for byte.

use serde_json::{Value, json};

use crate::support::{Dir, Ended, Run};

/// The record of a task whose script wrote this to standard output, without what is ours.
fn record_of(dir: &Dir, run: Run<'_>) -> Value {
    run.run().exits(0);
    let mut record = dir.results(1).remove(0);
    record.as_object_mut().unwrap().remove("canfar_run").unwrap();
    record
}

/// `printf` of this text, whatever is in it.
fn print(dir: &Dir, text: impl AsRef<[u8]>) -> String {
    dir.write("printed", text);
    "cat printed".to_owned()
}

#[test]
fn the_result_is_the_file_or_all_output_or_its_last_line() {
    let to_file = "> \"$CANFAR_TASK_RESULT\"";
    for (script, expected) in [
        ("echo '{\"a\": 1}'".to_owned(), json!({"file": "000.fits", "a": 1})),
        ("printf '{\\n  \"a\": [1,\\n 2]\\n}'".to_owned(), json!({"file": "000.fits", "a": [1, 2]})),
        ("echo working; echo '{\"a\": 1}'".to_owned(), json!({"file": "000.fits", "a": 1})),
        ("echo working; echo '[1]'; echo".to_owned(), json!({"file": "000.fits", "result": [1]})),
        ("echo 42".to_owned(), json!({"file": "000.fits", "result": 42})),
        ("echo '\"done\"'".to_owned(), json!({"file": "000.fits", "result": "done"})),
        ("echo null".to_owned(), json!({"file": "000.fits", "result": null})),
        ("echo working; echo 42".to_owned(), json!({"file": "000.fits"})),
        ("echo '{\"a\": 1} trailing'".to_owned(), json!({"file": "000.fits"})),
        ("echo '[INFO] done'".to_owned(), json!({"file": "000.fits"})),
        ("true".to_owned(), json!({"file": "000.fits"})),
        ("echo '{\"a\": 1}' >&2".to_owned(), json!({"file": "000.fits"})),
        (format!("echo '{{\"b\": 2}}'; echo '{{\"a\": 1}}' {to_file}"), json!({"file": "000.fits", "a": 1})),
        (format!("echo '{{\"b\": 2}}'; : {to_file}"), json!({"file": "000.fits", "b": 2})),
        (format!("echo '{{\"b\": 2}}'; echo ' ' {to_file}"), json!({"file": "000.fits", "b": 2})),
        ("echo '{ }'".to_owned(), json!({"file": "000.fits"})),
        ("echo '{\"file\": \"mine\"}'".to_owned(), json!({"file": "mine"})),
        ("echo '{\"fi\\u006ce\": \"mine\"}'".to_owned(), json!({"file": "mine"})),
        ("echo '{\"result\": 1}'".to_owned(), json!({"file": "000.fits", "result": 1})),
    ] {
        let dir = Dir::with_inputs(1);
        // sh's own echo would interpret backslashes.
        let run = dir.launch().args(["--", "bash", "-c", &script, "sh", "{}"]);
        assert_eq!(record_of(&dir, run), expected, "{script}");
    }
}

#[test]
fn text_and_none_are_taken_when_asked_for() {
    for (kind, expected) in [
        ("text", json!({"file": "000.fits", "result": "{\"a\": 1}\nla\u{fffd}st \u{0} \"line\"\\"})),
        ("none", json!({"file": "000.fits"})),
    ] {
        let dir = Dir::with_inputs(1);
        let script = print(&dir, b"{\"a\": 1}\nla\xffst \0 \"line\"\\\n");
        let run = dir.launch().args(["--result", kind]).sh(&script);
        assert_eq!(record_of(&dir, run), expected, "{kind}");
    }
}

/// What a record is between its first brace and our own key.
fn raw(dir: &Dir) -> Vec<u8> {
    let bytes = dir.bytes("out/container_1_results.json");
    let begin = b"[\n{\"file\":\"000.fits\",".len();
    let end = bytes.windows(13).rposition(|window| window == b",\"canfar_run\"").unwrap();
    bytes[begin..end].to_vec()
}

#[test]
fn results_are_carried_over_byte_for_byte() {
    let members = r#""a": 1.10,  "b":1e5, "c": -0, "d":123456789012345678901234567890.0000000001, "a" : [ ], "s":"\ud800 \u00e9 é \/ 𝄞 \u0000","e":{"x" :{}}"#;
    // A record is one line: of a result of several, the blanks between its parts go.
    let without_blanks = r#""a":1.10,"b":1e5,"c":-0,"d":123456789012345678901234567890.0000000001,"a":[],"s":"\ud800 \u00e9 é \/ 𝄞 \u0000","e":{"x":{}}"#;
    for (before, after, expected) in
        [("{", "}", members), ("log line\n{", "}", members), (" {\n", "\n}\n", without_blanks)]
    {
        let dir = Dir::with_inputs(1);
        let script = print(&dir, format!("{before}{members}{after}"));
        dir.launch().sh(&script).run().exits(0);
        assert_eq!(String::from_utf8(raw(&dir)).unwrap(), expected);
    }
}

#[test]
fn nan_and_infinity_become_null_and_are_counted() {
    let dir = Dir::with_inputs(2);
    let script = print(&dir, "{\"mean\": NaN, \"limits\": [-Infinity, Infinity], \"name\": \"NaN\"}");
    let ended = dir
        .launch()
        .arg("--json")
        .sh(&script)
        .run()
        .exits(0)
        .says("6 values (NaN or Infinity) in results became null");
    assert_eq!(ended.json()["non_finite"], 6);
    for record in dir.results(1) {
        assert_eq!(
            (&record["mean"], &record["limits"], &record["name"]),
            (&Value::Null, &json!([null, null]), &"NaN".into())
        );
        assert_eq!(record["canfar_run"]["non_finite"], 3);
    }
}

#[test]
fn ok_tasks_without_a_result_are_told_and_counted_and_their_output_is_kept() {
    let dir = Dir::with_inputs(5);
    let script = "case $CANFAR_TASK_INDEX in 0) echo '{ }';; 1) ;; *) echo fine;; esac";
    let ended = dir.launch().args(["-j", "1", "-q", "--json"]).sh(script).run().exits(0);
    assert_eq!(ended.json()["without_result"], 4);
    let told = "printed no JSON (the first, ";
    assert_eq!(ended.stderr.matches(told).count(), 1, "once with -q: {ended}");
    ended.says("3 files printed no JSON").says("001.fits, printed nothing); use print(json.dumps(...))");
    let logs: Vec<bool> =
        dir.results(1).iter().map(|record| record["canfar_run"]["log"].is_object()).collect();
    assert_eq!(logs, [false, false, true, true, true], "what printed nothing has none");
    let kept = dir.canfar_run().args(["logs", "out", "2"]).run().exits(0).printed();
    assert!(kept.ends_with("--- standard output\nfine\n"), "{kept}");
    // A launch with nothing to do knows it too.
    let again = dir.launch().args(["-j", "1", "--json"]).sh(script).run().exits(0);
    assert_eq!(again.json()["without_result"], 4);
}

#[test]
fn the_first_file_without_a_result_is_told_at_the_end_with_its_last_line() {
    let dir = Dir::with_inputs(3);
    let script = "[ $CANFAR_TASK_INDEX = 0 ] && echo '{ }' || printf 'a\\nall fine \\033[1m\\n\\n'";
    let ended = dir.launch().args(["-j", "1", "-q"]).sh(script).run().exits(0);
    ended
        .says("2 files printed no JSON (last line of the first, ")
        .says("001.fits: all fine \\u{1b}[1m); use print(json.dumps(...)), or --result text")
        .says("What the first of them printed: canfar-run logs ");
}

#[test]
fn with_no_result_asked_for_none_is_missing_and_nothing_is_kept() {
    for options in [["--result", "none"], ["--logs", "none"]] {
        let dir = Dir::with_inputs(3);
        let ended = dir.launch().args(options).arg("--json").sh("echo fine").run().exits(0);
        assert_eq!(ended.json()["without_result"], if options[0] == "--logs" { 3 } else { 0 });
        assert!(dir.results(1).iter().all(|record| record["canfar_run"]["log"].is_null()));
        assert_eq!(ended.stderr.contains("no JSON"), options[0] == "--logs", "{ended}");
    }
}

/// Status, message, number of records that keep a log, and what was said of two files whose command printed this.
fn judged(printed: &[u8], options: &[&str]) -> (i32, String, usize, String) {
    let dir = Dir::with_inputs(2);
    let script = print(&dir, printed);
    let ended = dir.launch().args(["-j", "1"]).args(options).sh(&script).run();
    let failures = dir.failures(1, 1);
    let message = failures.first().map(|failure| {
        assert_eq!(failure["canfar_run"]["cause"], "result", "{failure}");
        failure["canfar_run"]["message"].as_str().unwrap().to_owned()
    });
    let records = dir.results(1).into_iter().chain(failures);
    let kept = records.filter(|record| record["canfar_run"]["log"].is_object()).count();
    (ended.code.unwrap(), message.unwrap_or_default(), kept, ended.stderr)
}

#[test]
fn output_that_was_meant_as_json_and_is_none_fails_its_task_with_the_line_and_what_to_do() {
    for (printed, said) in [
        (&b"{\"flux\": nan}\n"[..], "`{\"flux\": nan}`"),
        (b"{'flux': 1}\n", "print(json.dumps(...))"),
        (
            b"log\n{'flux': 1}\n",
            "the last line of standard output looks like JSON but is not valid: `{'flux': 1}`",
        ),
        (b"{\"flux\": 1,}\r\n", "`{\"flux\": 1,}`"),
        (b"\xef\xbb\xbf{\"flux\": 1}\n", "byte order mark"),
        (b"x\n\x1b[32m{\"flux\": 1}\x1b[0m\n", "escape sequences"),
        (b"log\n50%\r{\"flux\": 1}\n", "carriage return"),
        (b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0", "UTF-16"),
        (b"log\n{\n \"flux\": 1\n}\n", "Print it on one line"),
        (b"log\n{\n \"flux\": nan\n}\n", "not valid"),
        (b"[1, nan]\n", "`[1, nan]`"),
        (b"log\n['a']", "`['a']`"),
        (b"{\"a\": 1} {\"b\": 2}\n", "`{\"a\": 1} {\"b\": 2}`"),
    ] {
        for options in [&[][..], &["--result", "json"]] {
            let (code, message, kept, stderr) = judged(printed, options);
            assert_eq!((code, kept), (1, 2), "{stderr}");
            assert!(message.contains(said), "{said}: {message}");
            assert!(stderr.contains("2 files: result: "), "one kind: {stderr}");
        }
    }
}

#[test]
fn output_that_may_hold_results_is_ok_and_kept_and_named() {
    for (printed, said) in [
        (&b"{\"src\":1}\n{\"src\":2}\n{\"src\":3}\n"[..], "prints 3 JSON lines; only the last is its result"),
        (b"{\"flux\": 1}\nDone.\n", "no JSON as their last line (last line of the first, "),
        (b"{\"flux\": 1}\n[INFO] done\n", ": [INFO] done)"),
        (b"[2026-11-28 12:00:01] ok\n", "2 files printed no JSON (last line"),
        (b"log\nNaN\n", ": NaN)"),
        (b"{\"flux\": 1", ": {\"flux\": 1)"),
    ] {
        let (code, _, kept, stderr) = judged(printed, &[]);
        assert_eq!((code, kept), (0, 2), "{stderr}");
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    for printed in [&b"{\"flux\": 1}\n"[..], b"[INFO] x\n{\"flux\": 1}\n", b"{}\n"] {
        let (code, _, kept, stderr) = judged(printed, &[]);
        assert_eq!((code, kept), (0, 0), "{stderr}");
        assert!(!stderr.contains("JSON"), "{stderr}");
    }
}

/// Prints no result for these files.
fn without(indices: &str) -> String {
    format!("case $CANFAR_TASK_INDEX in {indices}) echo fine;; *) echo '{{\"n\": 1}}';; esac")
}

#[test]
fn all_readers_count_ok_tasks_without_a_result() {
    // All of one replica, some of the other, and then one that failed at first.
    let dir = Dir::with_inputs(6);
    dir.launch().replica(1, 2).sh(&without("[0-3]")).run().exits(0);
    let counted = |ended: Ended, key: &str, count: u64| {
        let json = ended.json();
        let number = key.split('.').fold(&json, |json, key| &json[key]);
        assert_eq!(*number, count, "{key} {ended}");
    };
    let merge = |count, code| {
        let ended = dir.canfar_run().args(["merge", "-q", "--json", "out"]).run().exits(code);
        counted(
            ended.says(&format!("{count} files are ok but gave no JSON result")),
            "without_result",
            count,
        );
        let summary: Value = serde_json::from_slice(&dir.bytes("out/final_summary.json")).unwrap();
        assert_eq!(summary["without_result"], count);
    };
    merge(3, 3);
    let status = |count| {
        let json = dir.canfar_run().args(["status", "--json", "out"]).run().exits(0);
        counted(json, "totals.without_result", count);
        let text = dir.canfar_run().args(["status", "out"]).run().exits(0).printed();
        assert!(text.contains(&format!("{count} files are ok but gave no JSON result")), "{text}");
    };
    status(3);
    let script = format!("[ $CANFAR_TASK_INDEX != 4 ] || [ -e again ] || exit 1; {}", without("[0-4]"));
    dir.launch().replica(2, 2).args(["--accept-changed-command"]).sh(&script).run().exits(1);
    dir.write("again", "");
    merge(4, 1);
    status(4);
    dir.launch().replica(2, 2).args(["--accept-changed-command"]).sh(&script).run().exits(0);
    merge(5, 0);
    status(5);
    dir.canfar_run().args(["report", "out", "-o", "page.html"]).run().exits(0);
    let page = String::from_utf8(dir.bytes("page.html")).unwrap();
    assert!(page.contains("data-count=\"without_result\" data-value=\"5\""));
    // Another directory has results of some of these files.
    let other = ["-o", "other", "-i", "data/00[0-2].fits", "data/004.fits"];
    dir.canfar_run().args(other).sh(&without("[2]")).run().exits(0);
    let both = dir.canfar_run().args(["merge", "--json", "out", "other"]).run().exits(0);
    counted(both, "without_result", 2);
}

#[test]
fn journals_that_say_nothing_of_results_are_read_as_before() {
    let dir = Dir::with_inputs(3);
    dir.launch().sh(&without("[1]")).run().exits(0);
    let text = String::from_utf8(dir.bytes("out/journal/1.1.jsonl")).unwrap();
    assert!(text.contains("\"without_result\":1"), "{text}");
    let older = text.replace(",\"without_result\":1", "");
    dir.write("out/journal/1.1.jsonl", older);
    let ended = dir.canfar_run().args(["merge", "--json", "out"]).run().exits(0);
    assert_eq!(ended.says_not("no JSON").json()["without_result"], 0);
}

#[test]
fn a_missing_result_that_has_to_be_there_is_told_with_the_last_line() {
    for (printed, said) in [
        (&b"fine\n"[..], "no result (--result json): the last line of standard output is not JSON: `fine`"),
        (b"", "neither $CANFAR_TASK_RESULT nor standard output holds anything"),
        (b"{\"flux\": 1}\nDone.\n", "a line before it is JSON"),
    ] {
        let (code, message, ..) = judged(printed, &["--result", "json"]);
        assert_eq!(code, 1);
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn a_result_that_is_wrong_is_told_and_not_the_last_line_of_standard_error() {
    let dir = Dir::with_inputs(2);
    let script = "echo \"{'n': $CANFAR_TASK_INDEX}\"; echo 'a warning at exit' >&2";
    let ended = dir.launch().sh(script).run().exits(1);
    ended.says("  2 files: result: standard output looks like JSON but is not valid: `{'n': ");
    dir.canfar_run().args(["merge", "out"]).run().exits(1).says("  2 files: result: standard output looks");
}

#[test]
fn a_result_that_is_there_and_wrong_fails_the_task() {
    let deep = format!("{}1{}", "[".repeat(1001), "]".repeat(1001));
    let to_file = |text: &str| (text.to_owned(), "cat printed > \"$CANFAR_TASK_RESULT\"");
    let to_stdout = |text: &str| (text.to_owned(), "cat printed");
    for ((text, script), options, message) in [
        (to_file("{\"a\": "), &[][..], "the result file ($CANFAR_TASK_RESULT) is not valid"),
        (to_file("{\"a\": 1} {}"), &[], "is not valid"),
        (to_file(&deep), &[], "is not valid"),
        (to_file("[1, 2, 3, 4, 5]"), &["--max-result", "10"], "is larger than --max-result (10 bytes)"),
        (to_stdout("{\"a\": \"0123456789\"}"), &["--max-result", "10"], "--max-result"),
        (to_stdout("0123456789 more"), &["--result", "text", "--max-result", "10"], "--max-result"),
        (to_stdout("{\"canfar_run\": 1}"), &[], "reserved for canfar-run"),
        (to_stdout("{\"canfar\\u005frun\": 1}"), &[], "reserved for canfar-run"),
        (to_stdout("fine"), &["--result", "json"], "no result"),
    ] {
        let dir = Dir::with_inputs(1);
        dir.write("printed", &text);
        dir.launch().args(options).sh(script).run().exits(1);
        let failure = dir.failures(1, 1).remove(0);
        let meta = &failure["canfar_run"];
        assert_eq!((&meta["cause"], &meta["exit_code"]), (&"result".into(), &0.into()), "{text}");
        assert!(meta["message"].as_str().unwrap().contains(message), "{meta}");
        assert_eq!(failure.as_object().unwrap().len(), 2, "only `file` and ours: {failure}");
    }
}

#[test]
fn a_result_of_a_thousand_levels_is_fine() {
    let dir = Dir::with_inputs(1);
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let script = print(&dir, &deep);
    dir.launch().sh(&script).run().exits(0);
    assert_eq!(raw(&dir), [b"\"result\":", deep.as_bytes()].concat());
}

#[test]
fn the_output_of_a_failed_command_is_no_result() {
    let dir = Dir::with_inputs(1);
    dir.launch().sh("echo '{\"a\": 1}' | tee \"$CANFAR_TASK_RESULT\"; exit 1").run().exits(1);
    let failure = dir.failures(1, 1).remove(0);
    assert_eq!(failure.get("a"), None);
}

#[test]
fn an_attempt_does_not_see_the_result_of_the_one_before() {
    let dir = Dir::with_inputs(1);
    let script = "[ ! -s \"$CANFAR_TASK_RESULT\" ] || exit 9; echo '{\"old\": 1}' > \"$CANFAR_TASK_RESULT\"
[ $CANFAR_TASK_ATTEMPT = 2 ] && rm \"$CANFAR_TASK_RESULT\"";
    let run = dir.launch().args(["--retries", "1", "--retry-delay", "0"]).sh(script);
    assert_eq!(record_of(&dir, run), json!({"file": "000.fits"}));
}

//! What of a command's output is its result, and how it gets into the record: byte for byte.

use serde_json::{Value, json};

use crate::support::{Dir, Run};

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
fn ok_tasks_without_a_result_are_counted() {
    let dir = Dir::with_inputs(4);
    let ended =
        dir.launch().arg("--json").sh("[ $CANFAR_TASK_INDEX = 0 ] && echo '{ }' || echo fine").run().exits(0);
    assert_eq!(ended.says("3 files ok without a JSON result").json()["without_result"], 3);
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
        (to_stdout("{\"canfar_run\": 1}"), &[], "canfar-run's own"),
        (to_stdout("{\"canfar\\u005frun\": 1}"), &[], "canfar-run's own"),
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

//! A Python function on the FITS files that astropy carries, readable and broken ones: what `--call` makes of them is
//! what a plain loop in Python makes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Component, Dir, InTime, Run, python, require};

/// How a file came out.
#[derive(Debug, PartialEq)]
enum Outcome {
    Found(Value),
    /// `Type: message`, in one line.
    Raised(String),
    /// It took the interpreter with it: by which cause.
    Died(String),
}

type Outcomes = BTreeMap<String, Outcome>;

#[test]
fn every_fits_file_of_astropy_comes_out_as_from_a_plain_loop() {
    if !require(Component::Python("astropy, sep")) {
        return;
    }
    let dir = Dir::new();
    let expected = looped(&dir);
    let raised = expected.values().filter(|outcome| matches!(outcome, Outcome::Raised(_))).count();
    eprintln!("{} FITS files, {raised} of them make the function raise", expected.len());
    assert!(expected.len() - raised >= 45 && raised >= 5, "{expected:?}");

    // One file ends the interpreter, one crashes it, and one hangs for as long as the other launches take.
    let misbehaving =
        [("PARITY_EXIT", "m13.fits"), ("PARITY_SEGFAULT", "tdim.fits"), ("PARITY_HANG", "sip2.fits")];
    let options = ["-j", "2", "--timeout", "10s", "--grace", "100ms"];
    let with_deaths = misbehaving
        .into_iter()
        .fold(call(&dir, "with-deaths", &options), |run, (name, file)| run.env(name, file))
        .start();

    for (out, options) in [("one", &["-j", "1"][..]), ("several", &["-j", "4", "--worker-tasks", "5"])] {
        call(&dir, out, options).run().exits(1);
        assert_same(&outcomes(&dir, out), &expected, out);
    }

    let mut expected = expected;
    for ((_, file), cause) in misbehaving.iter().zip(["exit", "signal", "timeout"]) {
        let path = expected.keys().find(|path| path.ends_with(&format!("/{file}"))).unwrap().clone();
        expected.insert(path, Outcome::Died(cause.to_owned()));
    }
    with_deaths.wait().exits(1);
    assert_same(&outcomes(&dir, "with-deaths"), &expected, "with-deaths");
}

/// By a loop in one process; what its files are, is its to say. Some are damaged copies.
fn looped(dir: &Dir) -> Outcomes {
    let mut command = Command::new(python());
    command
        .arg(program("parity_loop.py"))
        .args([dir.path("files"), dir.path("damaged")])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output_in_time().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let outcome = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        let outcome = match &line["raised"] {
            Value::Null => Outcome::Found(line["result"].clone()),
            Value::String(reason) => Outcome::Raised(reason.clone()),
            other => panic!("{other}"),
        };
        (text("path"), outcome)
    };
    String::from_utf8(output.stdout).unwrap().lines().map(outcome).collect()
}

/// `--call`, for the files that the loop had.
fn call<'d>(dir: &'d Dir, out: &str, options: &[&str]) -> Run<'d> {
    let run = dir.canfar_run().args(["--files-from", "files", "--max-failures", "none", "-o", out]);
    let run = run.arg("--python").arg(python()).arg("--call").arg(program("parity.py:analyze"));
    run.args(options).env("PYTHONDONTWRITEBYTECODE", "1")
}

/// What a run recorded.
fn outcomes(dir: &Dir, out: &str) -> Outcomes {
    let found = dir.json(format!("{out}/container_1_results.json"));
    let found = found.as_array().unwrap().iter().map(|record| {
        let mut returned = record.as_object().unwrap().clone();
        // Everything else is the function's.
        assert!(returned.remove("file").is_some() && returned.remove("canfar_run").is_some());
        (path_of(record), Outcome::Found(Value::Object(returned)))
    });
    let ends = dir.lines(format!("{out}/journal/1.1.jsonl"));
    let ends = ends.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let failed = ends.filter(|event| event["event"] == "end" && event["status"] == "failed").map(|event| {
        let record = &event["record"];
        let text = |key: &str| record["canfar_run"][key].as_str().unwrap_or_default();
        let outcome = match (text("cause"), &record["canfar_run"]["exit_code"]) {
            ("exit", Value::Null) => Outcome::Raised(text("stderr_tail").lines().last().unwrap().to_owned()),
            (cause, _) => Outcome::Died(cause.to_owned()),
        };
        (path_of(record), outcome)
    });
    found.chain(failed).collect()
}

fn path_of(record: &Value) -> String {
    record["canfar_run"]["path"].as_str().unwrap().to_owned()
}

/// Says which file differs, and not all that 60 files hold.
#[track_caller]
fn assert_same(found: &Outcomes, expected: &Outcomes, out: &str) {
    for (path, outcome) in expected {
        let found = found.get(path).unwrap_or_else(|| panic!("no {path} in {out}"));
        if !is_reason_of(found, outcome) {
            assert_eq!(found, outcome, "{path} in {out}");
        }
    }
    assert_eq!(found.len(), expected.len(), "{out}");
}

/// Whether it is the same exception with a message that was cut for being long.
fn is_reason_of(found: &Outcome, expected: &Outcome) -> bool {
    let (Outcome::Raised(found), Outcome::Raised(whole)) = (found, expected) else { return false };
    found.strip_suffix("...").is_some_and(|begin| begin.len() >= 300 && whole.starts_with(begin))
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name)
}

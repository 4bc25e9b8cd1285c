//! Runs that canfar-run 0.1 left, in `tests/data/version_1`: they are shown, merged and finished as they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::{Dir, Run};

/// The command of `unfinished`: it needs no file, and fails for one.
const TASK: &str = r#"name=${1##*/}; case $name in $HOLD) sleep 600 ;; f2.fits) echo "no stars in $name" >&2; exit 3 ;; esac; printf "{\"name\": \"%s\"}\n" "$name""#;
/// That of `given`.
const NUMBER: &str = r#"echo "number" {index} "is fine""#;
const NOT_UTF8: &[u8] = b"/arc/data/caf\xe9.fits";

/// The run as `out` in a new folder, with nothing written for an hour.
fn copy(name: &str) -> Dir {
    let (dir, long_ago) = (Dir::new(), SystemTime::now() - Duration::from_hours(1));
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/version_1").join(name);
    for entry in walkdir::WalkDir::new(&from).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let name = Path::new("out").join(entry.path().strip_prefix(&from).unwrap());
            let path = dir.write(name, std::fs::read(entry.path()).unwrap());
            File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
        }
    }
    dir
}

/// A subcommand for `out`.
fn of<'d>(dir: &'d Dir, subcommand: &str) -> Run<'d> {
    dir.canfar_run().args([subcommand, "out"])
}

/// Both forms of `status` have these numbers of ok, failed and left files.
#[track_caller]
fn has_status(dir: &Dir, [ok, failed, left]: [u64; 3], states: &Value) {
    let status = of(dir, "status").arg("--json").run().exits(0).json();
    let totals = &status["totals"];
    assert_eq!([&totals["ok"], &totals["failed"], &totals["left"]], [ok, failed, left], "{status}");
    assert_eq!((&status["files"], &status["complete"]), (&json!(ok + failed + left), &json!(left == 0)));
    let replicas = status["replicas"].as_array().unwrap();
    assert_eq!(&replicas.iter().map(|replica| replica["state"].clone()).collect::<Value>(), states);
    let shown = of(dir, "status").run().exits(0).printed();
    let row = ["all".to_owned(), ok.to_string(), failed.to_string(), left.to_string()];
    assert!(shown.lines().any(|line| line.split_whitespace().take(4).eq(row.iter())), "{shown}");
}

/// What `merge` says when it exits so.
#[track_caller]
fn merged(dir: &Dir, code: i32) -> Value {
    of(dir, "merge").arg("--json").run().exits(code).json()
}

/// Index, launch and attempts of the records in a file, each of which is there once.
#[track_caller]
fn records(dir: &Dir, file: &str) -> BTreeMap<u64, (u64, u64)> {
    let records = dir.json(file);
    let number = |record: &Value, key: &str| record["canfar_run"][key].as_u64().unwrap();
    let of =
        |record: &Value| (number(record, "index"), (number(record, "launch"), number(record, "attempts")));
    let all: Vec<_> = records.as_array().unwrap().iter().map(of).collect();
    let by_index: BTreeMap<_, _> = all.iter().copied().collect();
    assert_eq!(by_index.len(), all.len(), "{all:?}");
    by_index
}

/// The records of ok tasks in the journals that 0.1 wrote.
fn recorded(dir: &Dir) -> Vec<String> {
    let journals =
        dir.names("out/journal").into_iter().flat_map(|name| dir.lines(format!("out/journal/{name}")));
    let ended = |line: &String| line.contains(r#""event":"end""#) && line.contains(r#""status":"ok""#);
    let record =
        |line: String| line.split_once(r#""record":"#).unwrap().1.strip_suffix('}').unwrap().to_owned();
    journals.filter(ended).map(record).collect()
}

#[track_caller]
fn has_report(dir: &Dir) {
    of(dir, "report").run().exits(0);
    assert!(dir.text("out/report.html").contains("</html>"));
}

#[test]
fn a_finished_run_of_version_1_is_shown_and_merged_again_to_the_same_bytes() {
    let dir = copy("finished");
    has_status(&dir, [8, 0, 0], &json!(["done", "done"]));
    let before = dir.bytes("out/final_results.json");
    let summary = merged(&dir, 0);
    assert_eq!(
        [&summary["files"], &summary["ok"], &summary["failed"], &summary["missing"], &summary["repeated"]],
        [8, 8, 0, 0, 0]
    );
    assert_eq!((&summary["complete"], &summary["proven"]), (&json!(true), &json!(true)));
    assert_eq!(dir.bytes("out/final_results.json"), before);
    std::fs::remove_file(dir.path("out/final_results.json")).unwrap();
    merged(&dir, 0);
    assert_eq!(dir.bytes("out/final_results.json"), before);
    // The third one was tried again.
    let tried = |index| if index == 2 { (index, (2, 2)) } else { (index, (1, 1)) };
    assert_eq!(records(&dir, "out/final_results.json"), (0..8).map(tried).collect());
    has_report(&dir);
    let logs = of(&dir, "logs").arg("f3.fits").run().exits(0).printed();
    assert!(logs.contains("\nlooking at f3.fits\n") && logs.contains("\nno flat field yet\n"), "{logs}");

    let before = dir.tree();
    let again = dir.canfar_run().args(["-o", "out", "--", "/bin/sh", "look.sh", "{}"]);
    again.replica(1, 2).run().exits(0).says("nothing to do");
    of(&dir, "resume").args(["--chdir", "."]).run().exits(0).says("nothing to do");
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn an_unfinished_run_of_version_1_is_shown_and_merged_as_far_as_it_is() {
    let dir = copy("unfinished");
    has_status(&dir, [3, 1, 4], &json!(["done", "silent", "waiting"]));
    let summary = merged(&dir, 3);
    assert_eq!(
        [&summary["files"], &summary["ok"], &summary["failed"], &summary["missing"]],
        [8, 3, 1, 4],
        "{summary}"
    );
    assert!(!dir.exists("out/final_results.json"));
    assert_eq!(
        records(&dir, "out/final_results.partial.json"),
        [0, 2, 3].map(|index| (index, (1, 1))).into()
    );
    assert_eq!(records(&dir, "out/final_failed.json"), [(1, (1, 1))].into());
    has_report(&dir);
    let failed = of(&dir, "logs").arg("--failed").run().exits(0).printed();
    assert!(failed.contains("/arc/data/f2.fits") && failed.ends_with("\nno stars in f2.fits\n"), "{failed}");
    let plan = dir.canfar_run().args(["plan", "--json", "-o", "out"]).run().exits(0).json();
    let shares = plan["replicas"].as_array().unwrap();
    assert_eq!(shares.iter().map(|share| &share["files"]).collect::<Vec<_>>(), [3, 3, 2]);
}

/// Each way to go on with `unfinished` ends the same: all readers see it whole, and what was done stays as it was.
fn is_finished_by(go_on: impl FnOnce(&Dir)) {
    let dir = copy("unfinished");
    let done = recorded(&dir);
    assert_eq!(done.len(), 3);
    go_on(&dir);
    has_status(&dir, [7, 1, 0], &json!(["done", "done", "done"]));
    let summary = merged(&dir, 1);
    assert_eq!(
        [&summary["ok"], &summary["failed"], &summary["missing"], &summary["repeated"]],
        [7, 1, 0, 0],
        "{summary}"
    );
    let results = dir.text("out/final_results.json");
    done.iter().for_each(|record| assert!(results.contains(record), "{record} in {results}"));
    // Two were running when their container died; the last ones are of the replica that had not begun.
    let ok = [(0, (1, 1)), (2, (1, 1)), (3, (1, 1)), (4, (2, 2)), (5, (2, 2)), (6, (1, 1)), (7, (1, 1))];
    assert_eq!(records(&dir, "out/final_results.json"), ok.into());
    assert_eq!(records(&dir, "out/final_failed.json"), [(1, (2, 2))].into());
    has_report(&dir);
    let failed = of(&dir, "logs").arg("--failed").run().exits(0).printed();
    assert_eq!(failed.matches("no stars in f2.fits").count(), 2, "{failed}");
    of(&dir, "resume").args(["--rerun", "never"]).run().exits(1).says("nothing to do");
}

#[test]
fn resume_finishes_a_run_of_version_1() {
    is_finished_by(|dir| {
        _ = of(dir, "resume").args(["-j", "2"]).quick_heartbeat().run().exits(1).says("alone");
    });
}

#[test]
fn the_same_line_finishes_a_run_of_version_1() {
    is_finished_by(|dir| {
        for (id, code) in [(1, 1), (2, 0), (3, 0)] {
            let line = ["-j", "2", "-i", "/arc/data/*.fits", "-o", "out", "--shell", TASK];
            dir.canfar_run().args(line).replica(id, 3).quick_heartbeat().run().exits(code);
        }
    });
}

#[test]
fn another_command_or_strategy_is_none_of_a_run_of_version_1() {
    let dir = copy("unfinished");
    let before = dir.tree();
    let refused = |words: [&str; 4]| {
        let line = ["-i", "/arc/data/*.fits", "-o", "out"];
        dir.canfar_run().args(line).args(words).replica(3, 3).run().exits(2);
    };
    refused(["--strategy", "even", "--shell", "true"]);
    refused(["--strategy", "stripe", "--shell", TASK]);
    assert_eq!(before.difference(&dir.tree()), None);
}

/// With sizes and a name that is not UTF-8 in the list, and text for results.
#[test]
fn a_list_given_to_version_1_is_gone_on_with() {
    for resume in [true, false] {
        let dir = copy("given");
        has_status(&dir, [5, 0, 4], &json!(["done", "waiting"]));
        assert_eq!(merged(&dir, 3)["missing"], 4);
        let done = recorded(&dir);
        if resume {
            of(&dir, "resume").args(["--chdir", "."]).run().exits(0);
        } else {
            let line = ["--strategy", "size", "--files-from", "/arc/data/list.txt", "-o", "out"];
            let line = dir.canfar_run().args(line).args(["--result", "text", "--shell", NUMBER]);
            line.replica(2, 2).run().exits(0);
        }
        has_status(&dir, [9, 0, 0], &json!(["done", "done"]));
        assert_eq!(merged(&dir, 0)["ok"], 9);
        let results = dir.text("out/final_results.json");
        assert_eq!(done.len(), 5);
        done.iter().for_each(|record| assert!(results.contains(record), "{record} in {results}"));
        assert_eq!(records(&dir, "out/final_results.json"), (0..9).map(|index| (index, (1, 1))).collect());
        for record in dir.json("out/final_results.json").as_array().unwrap() {
            assert_eq!(record["result"], format!("number {} is fine", record["canfar_run"]["index"]));
        }
        has_report(&dir);
        let path = std::ffi::OsStr::from_bytes(NOT_UTF8);
        let logs = of(&dir, "logs").arg(path).run().exits(0).printed();
        assert!(logs.contains("(index 8): attempt 1, replica 1, launch 1: ok"), "{logs}");
    }
}

//! What is done with products once they are made: a second run of them, their list, and whether they are as recorded.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Dir, Ended, InTime, Run};

/// A stage that copies each file to `made/`, and fails for those whose number ends with a 3.
fn first_stage<'d>(dir: &'d Dir, options: &[&str]) -> Run<'d> {
    let script = "case $1 in *3.fits) exit 1;; esac; cat \"$1\" > \"$2\"";
    dir.launch()
        .args(["--product", "made/{rel}", "--result", "none"])
        .args(options)
        .args(["--", "/bin/sh", "-c", script, "sh", "{}", "{out}"])
}

/// A stage that tells what each of its files holds, and its `{rel}`.
fn second_stage<'d>(dir: &'d Dir, options: &[&str]) -> Run<'d> {
    second_stage_in(dir, "two", options)
}

fn second_stage_in<'d>(dir: &'d Dir, results: &str, options: &[&str]) -> Run<'d> {
    let script = "printf '{\"holds\": %s, \"rel\": \"%s\"}' \"$(cat \"$1\")\" \"$2\"";
    dir.canfar_run()
        .args(["-o", results, "--input-from"])
        .args(options)
        .args(["--", "/bin/sh", "-c", script, "sh", "{}", "{rel}"])
}

/// The numbers that the records of a merged stage hold, and their `{rel}`.
fn merged(dir: &Dir, results: &str) -> BTreeSet<(u64, String)> {
    dir.canfar_run().args(["merge", results]).run().exits(0);
    let Value::Array(records) = dir.json(format!("{results}/final_results.json")) else { panic!() };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    records.iter().map(|record| (record["holds"].as_u64().unwrap(), text(&record["rel"]))).collect()
}

fn all_but_those_with_3(count: u64) -> BTreeSet<(u64, String)> {
    (0..count).filter(|number| number % 10 != 3).map(|number| (number, format!("{number:03}.fits"))).collect()
}

/// The first line of a list.
fn header(dir: &Dir, results: &str) -> Value {
    serde_json::from_str(&dir.lines(format!("{results}/inputs.jsonl"))[0]).unwrap()
}

#[test]
fn a_second_run_has_what_the_first_one_made_of_the_files_that_are_ok() {
    let dir = Dir::with_inputs(14);
    first_stage(&dir, &[]).run().exits(1);
    let shown = second_stage(&dir, &["out", "-n"]).run().exits(0).printed();
    assert_eq!((shown.lines().count(), shown.contains("/made/000.fits 000.fits")), (12, true), "{shown}");
    second_stage(&dir, &["out"]).replica(1, 2).run().exits(0).says("of 14 files 2 failed");
    let [first, second] = ["out", "two"].map(|results| header(&dir, results));
    let found = json!({"run": first["run"], "products": 12, "failed": 2, "missing": 0});
    let runs = json!([{"results_dir": dir.path("out"), "found": found}]);
    assert_eq!(second["source"], json!({"kind": "products", "runs": runs}));
    assert_eq!((&second["count"], &second["sizes"]), (&json!(12), &json!(true)));
    // The list is frozen: what becomes of the first run is no matter.
    std::fs::rename(dir.path("out"), dir.path("moved")).unwrap();
    second_stage(&dir, &["out"]).replica(2, 2).run().exits(0);
    assert_eq!(merged(&dir, "two"), all_but_those_with_3(14));
    let status = dir.canfar_run().args(["status", "two", "--json"]).run().exits(0).json();
    let told = json!([{
        "results_dir": dir.path("out"), "run": first["run"], "products": 12, "failed": 2, "missing": 0
    }]);
    assert_eq!(status["input_from"], told);
    let table = dir.canfar_run().args(["status", "two"]).run().exits(0).printed();
    assert!(table.contains("12 products; 2 files failed there"), "{table}");
    dir.canfar_run().args(["report", "two"]).run().exits(0);
    let page = dir.text("two/report.html");
    for part in ["Products of", first["run"].as_str().unwrap(), "12 products", "2 files failed there"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_later_launch_needs_the_same_runs_or_none_and_resume_knows_them() {
    let dir = Dir::with_inputs(4);
    first_stage(&dir, &[]).run().exits(1);
    second_stage(&dir, &["out"]).replica(1, 2).run().exits(0);
    for (options, shown) in [
        (&["other"][..], "--input-from"),
        (&["out", "--name", "cat"], "--name cat"),
        (&["out", "other"], "other"),
    ] {
        second_stage(&dir, options)
            .replica(1, 2)
            .run()
            .exits(2)
            .says("the input of this launch differs")
            .says(shown);
    }
    std::os::unix::fs::symlink("out", dir.path("link")).unwrap();
    second_stage(&dir, &["link/"]).replica(1, 2).run().exits(0).says("nothing to do");
    dir.canfar_run().args(["resume", "two"]).run().exits(0);
    assert_eq!(merged(&dir, "two"), all_but_those_with_3(4));
    let refused = dir.canfar_run().args(["resume", "two", "--input-from", "out"]).run().exits(2);
    refused.says("--input-from has no place after `resume`");
}

#[test]
fn a_run_that_is_not_complete_is_no_input_until_it_is() {
    let dir = Dir::with_inputs(12);
    first_stage(&dir, &[]).replica(1, 2).run().exits(1);
    for command in [
        &["plan", "--input-from", "out", "-o", "two"][..],
        &["run", "-n", "--input-from", "out", "-o", "two", "--", "cat", "{}"],
    ] {
        let refused = dir.canfar_run().args(command).run().exits(3);
        refused.says("6 files have no record yet").says("006.fits").says("canfar-run resume");
    }
    second_stage(&dir, &["out"]).run().exits(3).says("replica 2 never started");
    assert!(!dir.exists("two"), "no run is begun");
    second_stage_in(&dir, "some", &["out", "--allow-missing"]).run().exits(0).says("6 have no record");
    assert_eq!(header(&dir, "some")["source"]["runs"][0]["found"]["missing"], 6);
    first_stage(&dir, &[]).replica(2, 2).run().exits(0);
    let plan = dir.canfar_run().args(["plan", "--input-from", "out", "--json"]).run().exits(0).json();
    assert_eq!(plan["files"], 11, "{plan}");
    second_stage(&dir, &["out"]).run().exits(0);
    assert_eq!(merged(&dir, "two"), all_but_those_with_3(12));
}

#[test]
fn of_several_products_the_second_run_has_the_one_that_is_named() {
    let dir = Dir::with_inputs(3);
    let script = "cat \"$1\" > \"$2\"; echo \"1$(cat \"$1\")\" > \"$3\"";
    let products = ["--product", "made/{rel}", "cat=made/{/.}.cat", "--result", "none"];
    let command = ["--", "/bin/sh", "-c", script, "sh", "{}", "{out}", "{out:cat}"];
    dir.launch().args(products).args(command).run().exits(0);
    second_stage(&dir, &["out"])
        .run()
        .exits(2)
        .says("several products each (out, cat): say which one with --name");
    second_stage(&dir, &["out", "--name", "dog"]).run().exits(2).says("no product called dog");
    second_stage(&dir, &["out", "--name", "cat"]).run().exits(0);
    let expected = (0..3).map(|number| (10 + number, format!("{number:03}.fits"))).collect();
    assert_eq!(merged(&dir, "two"), expected);
}

#[test]
fn stages_follow_one_another_with_one_rel() {
    let dir = Dir::with_inputs(3);
    first_stage(&dir, &[]).run().exits(0);
    let copy = [
        "--product",
        "more/{rel}",
        "--result",
        "none",
        "--",
        "/bin/sh",
        "-c",
        "cat \"$1\" > \"$2\"",
        "sh",
        "{}",
        "{out}",
    ];
    dir.canfar_run().args(["-o", "mid", "--input-from", "out"]).args(copy).run().exits(0);
    second_stage(&dir, &["mid"]).run().exits(0);
    assert_eq!(merged(&dir, "two"), all_but_those_with_3(3));
    assert!(dir.exists("more/000.fits"));
}

/// What `merge` says of the products of `out`.
fn looked_at(dir: &Dir, options: &[&str]) -> Ended {
    dir.canfar_run().args(["merge", "out"]).args(options).run()
}

/// What `sha256sum -c` says of a file.
fn checked(dir: &Dir, sums: &str) -> (bool, String) {
    let output =
        Command::new("sha256sum").args(["-c", "--quiet", sums]).current_dir(dir.root()).output_in_time();
    let output = output.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_list_of_products_is_what_sha256sum_reads() {
    let dir = Dir::new();
    for name in ["plain.fits", "new\nline.fits", "back\\slash.fits", "return\r.fits"] {
        dir.write(Path::new("data").join(name), name);
    }
    let script = "cat \"$1\" > \"$2\"; mkdir \"$3\"; cp \"$1\" \"$3/\"; echo table > \"$3/t\"";
    let options = ["--product", "made/{/}", "ms=made/{/}.ms", "--checksum", "sha256", "--result", "none"];
    let command = ["--", "/bin/sh", "-c", script, "sh", "{}", "{out}", "{out:ms}"];
    dir.launch().args(options).args(command).run().exits(0);
    looked_at(&dir, &["--products", "sums", "--verify-products"]).exits(0).says("products: 8 as recorded");
    assert_eq!(dir.lines("sums").len(), 4 * 3);
    assert_eq!(checked(&dir, "sums"), (true, String::new()));
    looked_at(&dir, &["--products", "-", "--null"]).exits(0);
    dir.write("made/plain.fits.ms/t", "TABLE");
    assert!(!checked(&dir, "sums").0);
    let ended =
        looked_at(&dir, &["--products", "sums"]).exits(3).says("another SHA-256").says("plain.fits.ms");
    drop(ended);
    assert_eq!(dir.lines("sums").len(), 4 * 3 - 2, "what is wrong is not in it");
    assert_eq!(checked(&dir, "sums"), (true, String::new()));
}

#[test]
fn without_checksums_the_list_has_paths() {
    let dir = Dir::with_inputs(3);
    first_stage(&dir, &[]).run().exits(0);
    let path = |name: &str| dir.path(format!("made/{name}.fits"));
    let expected = ["000", "001", "002"].map(path);
    looked_at(&dir, &["--products", "list"]).exits(0);
    assert_eq!(dir.lines("list"), expected.each_ref().map(|path| path.to_str().unwrap()));
    looked_at(&dir, &["--products", "list", "--null"]).exits(0);
    let nul: Vec<u8> =
        expected.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
    assert_eq!(dir.bytes("list"), nul);
    looked_at(&dir, &["--products", "-", "--json"]).exits(2).says("would all go to standard output");
    looked_at(&dir, &["--null"]).exits(2).says("--null is for the lists");
}

#[test]
fn products_that_are_gone_changed_or_damaged_are_named() {
    for checksum in ["none", "sha256"] {
        let dir = Dir::with_inputs(8);
        first_stage(&dir, &["--checksum", checksum]).run().exits(1);
        looked_at(&dir, &["--verify-products"]).exits(1).says("products: 7 as recorded");
        std::fs::remove_file(dir.path("made/000.fits")).unwrap();
        dir.write("made/001.fits", "longer than before");
        // The same time and length, other contents: only a digest tells.
        let damaged = dir.path("made/002.fits");
        let before = std::fs::metadata(&damaged).unwrap().modified().unwrap();
        dir.write("made/002.fits", "X");
        std::fs::File::options().write(true).open(&damaged).unwrap().set_modified(before).unwrap();
        // The same contents, another time.
        let touched = std::fs::File::options().write(true).open(dir.path("made/004.fits")).unwrap();
        touched.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let ended = looked_at(&dir, &["--verify-products", "--json"]).exits(3);
        let check = &ended.json()["product_check"];
        let fault = |number: &str, fault: &str| json!({"path": dir.path(format!("made/{number}.fits")), "fault": fault});
        let (counts, last) = match checksum {
            "none" => (json!([4, 1, 2, 0]), fault("004", "changed")),
            _ => (json!([4, 1, 1, 1]), fault("002", "wrong_digest")),
        };
        let found = ["as_recorded", "gone", "changed", "wrong_digest"].map(|name| check[name].clone());
        assert_eq!(json!(found), counts, "{checksum}");
        assert_eq!(check["faults"], json!([fault("000", "gone"), fault("001", "changed"), last]));
        assert_eq!(dir.json("out/final_summary.json")["product_check"], *check);
        let gone = dir.path("made/000.fits");
        ended.says(&format!("gone: {}", gone.display())).says("canfar-run resume");
    }
}

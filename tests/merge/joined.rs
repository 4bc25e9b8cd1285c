//! Several results directories as one, and the way there: `--missing` and `--files-from`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use serde_json::json;

use super::{NUMBER, NUMBER_UNLESS_BAD, counts, merge, numbers, records, run, summary};
use crate::support::{Dir, Ended};

fn merge_both(dir: &Dir) -> Ended {
    dir.canfar_run().args(["merge", "out", "more"]).run()
}

/// Runs what a list names, as one replica, into `more`.
fn run_more(dir: &Dir, script: &str) -> Ended {
    dir.canfar_run().args(["--files-from", "missing", "-o", "more"]).sh(script).run()
}

#[test]
fn what_is_missing_or_failed_can_be_run_elsewhere_and_joined() {
    let dir = Dir::with_inputs(12);
    dir.write("bad/001.fits", "");
    for (id, code) in [(1, 1), (2, 0), (4, 0)] {
        dir.launch().replica(id, 4).sh(NUMBER_UNLESS_BAD).run().exits(code);
    }
    let args = ["merge", "out", "--missing", "missing"];
    dir.canfar_run().args(args).run().exits(3).says("12 files: 8 ok, 1 failed, 3 missing");
    let path = |number: usize| dir.path(format!("data/{number:03}.fits")).display().to_string();
    assert_eq!(dir.lines("missing"), [path(1), path(6), path(7), path(8)]);

    fs::remove_dir_all(dir.path("bad")).unwrap();
    run_more(&dir, NUMBER_UNLESS_BAD).exits(0);
    merge_both(&dir).exits(0).says("12 files: 12 ok, none missing").says("1 record left out: another record");
    assert_eq!(numbers(&dir), [0, 2, 3, 4, 5, 9, 10, 11, 1, 6, 7, 8]);
    assert!(!dir.exists("out/final_failed.json") && !dir.exists("more/final_results.json"));
    assert_eq!(counts(&dir, ["files", "ok", "failed", "missing", "repeated"]), [12, 12, 0, 0, 1]);

    // Then there is nothing left to run.
    dir.canfar_run().args(["merge", "out", "more", "--missing", "missing"]).run().exits(0);
    assert_eq!(dir.text("missing"), "");
}

#[test]
fn names_that_no_line_can_hold_need_null_and_come_through_with_it() {
    let dir = Dir::new();
    let odd = [b"a\nb.fits".to_vec(), b"\xff\xfe.fits".to_vec(), b"cr\r".to_vec(), b" spaces ".to_vec()];
    for (number, name) in odd.iter().enumerate() {
        let name = OsString::from_vec(name.clone());
        dir.write(dir.path("data").join(name), number.to_string());
    }
    let launch = |id| dir.canfar_run().args(["-i", "data/*", "-o", "out"]).replica(id, 5).sh(NUMBER).run();
    dir.write("data/plain", "4");
    launch(5).exits(0);
    let before = dir.tree();
    dir.canfar_run()
        .args(["merge", "out", "--missing", "missing"])
        .run()
        .exits(2)
        .says("give --null too, and again to --files-from: ")
        .says("a\\nb.fits");
    assert_eq!(before.difference(&dir.tree()), None, "nothing is written then");

    dir.canfar_run().args(["merge", "out", "--missing", "missing", "--null"]).run().exits(3);
    let missing = dir.bytes("missing");
    assert_eq!(missing.split(|byte| *byte == 0).count(), 5, "{}", missing.escape_ascii());
    dir.canfar_run().args(["--files-from", "missing", "--null", "-o", "more"]).sh(NUMBER).run().exits(0);
    merge_both(&dir).exits(0).says("5 files: 5 ok, none missing");
    let mut all = numbers(&dir);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4]);
    dir.canfar_run()
        .args(["merge", "out", "--null"])
        .run()
        .exits(2)
        .says("--null is about the list that --missing writes");
}

#[test]
fn a_name_that_ends_like_a_line_of_windows_needs_null_too() {
    let dir = Dir::new();
    dir.write("data/a.fits\r", "1");
    dir.write("data/b.fits", "1");
    dir.canfar_run().args(["-i", "data/*", "-o", "out"]).replica(2, 2).sh(NUMBER).run().exits(0);
    let args = ["merge", "out", "--missing", "missing"];
    dir.canfar_run().args(args).run().exits(2).says("give --null too").says("a.fits\\r");
    dir.canfar_run().args(args).arg("--null").run().exits(3);
    assert_eq!(
        dir.bytes("missing"),
        [dir.path("data/a.fits\r").as_os_str().as_encoded_bytes(), b"\0"].concat()
    );
}

/// Two directories about the same three files, with these tasks failing.
fn twice(first: &[&str], second: &[&str]) -> Dir {
    let dir = Dir::with_inputs(3);
    let path = |number| dir.path(format!("data/{number:03}.fits")).display().to_string();
    dir.write("missing", (0..3).map(path).collect::<Vec<_>>().join("\n"));
    let bad = |names: &[&str]| {
        let _ = fs::remove_dir_all(dir.path("bad"));
        names.iter().for_each(|name| _ = dir.write(format!("bad/{name}.fits"), ""));
        i32::from(!names.is_empty())
    };
    let code = bad(first);
    dir.launch().sh(NUMBER_UNLESS_BAD).run().exits(code);
    let code = bad(second);
    run_more(&dir, NUMBER_UNLESS_BAD).exits(code);
    dir
}

#[test]
fn of_one_file_in_two_directories_ok_comes_before_failed_and_then_the_later_one() {
    for (first, second, code, from) in [
        (&[][..], &[][..], 0, [Some("more"); 3]),
        (&["000"], &["001"], 0, [Some("more"), Some("out"), Some("more")]),
        (&["002"], &["002"], 1, [Some("more"), Some("more"), None]),
    ] {
        let dir = twice(first, second);
        merge_both(&dir)
            .exits(code)
            .says("3 records left out: another record of the same file is ok or newer");
        let run_of = |folder: &str| {
            records(&dir, format!("{folder}/container_1_results.json"))[0]["canfar_run"]["run"].clone()
        };
        let (out, more) = (run_of("out"), run_of("more"));
        let mut found = [None; 3];
        for record in records(&dir, "out/final_results.json") {
            let folder = if record["canfar_run"]["run"] == out { "out" } else { "more" };
            found[usize::try_from(record["n"].as_u64().unwrap()).unwrap()] = Some(folder);
        }
        assert_eq!(found, from, "{first:?} {second:?}");
        assert_eq!(counts(&dir, ["files", "repeated", "missing"]), [3, 3, 0]);
        if code == 1 {
            let failed = records(&dir, "out/final_failed.json");
            assert_eq!((failed.len(), &failed[0]["canfar_run"]["run"]), (1, &more));
            let again = ["merge", "out", "more", "--missing", "left"];
            dir.canfar_run().args(again).run().exits(1);
            assert_eq!(dir.lines("left"), [dir.path("data/002.fits").display().to_string()]);
        }
    }
}

#[test]
fn three_directories_that_overlap_have_each_file_once() {
    let dir = Dir::with_inputs(6);
    for (name, pattern) in
        [("out", "data/00[0-3].fits"), ("more", "data/00[2-5].fits"), ("last", "data/00[135].fits")]
    {
        dir.canfar_run().args(["-i", pattern, "-o", name]).sh(NUMBER).run().exits(0);
    }
    dir.canfar_run()
        .args(["merge", "out", "more", "last"])
        .run()
        .exits(0)
        .says("6 files: 6 ok, none missing");
    assert_eq!(numbers(&dir), [0, 2, 4, 1, 3, 5]);
    assert_eq!(summary(&dir)["repeated"], 5);
}

#[test]
fn what_is_missing_is_named_once_with_its_directory_where_there_are_several() {
    let dir = Dir::with_inputs(8);
    run(&dir, [1], 2);
    dir.canfar_run().args(["-i", "data/00[67].fits", "-o", "more"]).replica(2, 2).sh(NUMBER).run().exits(0);
    let place = |name: &str| dir.path(name).display().to_string();
    let [four, five, six] = [4, 5, 6].map(|number| place(&format!("data/{number:03}.fits")));
    merge_both(&dir)
        .exits(3)
        .says("8 files: 5 ok, 3 missing")
        .says(&format!("replica 2 never started: 2 files missing: {four}, {five} (in {})", place("out")))
        .says(&format!("replica 1 never started: 1 file missing: {six} (in {})", place("more")));
    assert_eq!(super::numbers_in(&dir, "out/final_results.partial.json"), [0, 1, 2, 3, 7]);
}

#[test]
fn a_directory_given_twice_counts_once() {
    let dir = Dir::with_inputs(3);
    run(&dir, [1], 1);
    dir.canfar_run().args(["merge", "out", "out"]).run().exits(0).says("3 files: 3 ok, none missing");
    assert_eq!(numbers(&dir), [0, 1, 2]);
    assert_eq!(json!(3), summary(&dir)["repeated"]);
    merge(&dir).exits(0).says_not("left out");
}

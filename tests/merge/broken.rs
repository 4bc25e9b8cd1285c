//! Files that can't be merged: named with the place where they break, while all others are merged.

use std::fs;

use serde_json::Value;

use super::{NOBODY, merge, mode, numbers_in, run, summary};
use crate::support::Dir;

/// What a broken file holds, and what is said of it.
const BROKEN: &[(&[u8], &str)] = &[
    (b"", "at byte 0: there is nothing: the text is empty"),
    (b" \n\t", "at byte 3: there is nothing: the text is empty"),
    (b"[", "at byte 1: the text ends in the middle of an array after 0 elements"),
    (b"[{\"n\": 90}", "at byte 10: the text ends in the middle of an array after 1 element"),
    (b"[{\"n\": 90},\n", "at byte 12: the text ends in the middle of an array after 1 element"),
    (b"[{\"n\": 90}, {\"n\"", "at byte 16: the text ends in the middle of an object after 1 element"),
    (b"[{\"n\": 90}, {\"n", "at byte 15: the text ends in the middle of a string after 1 element"),
    (b"[{\"n\": 90}, {\"n\": [1, ", "at byte 22: the text ends in the middle of an array after 1 element"),
    (b"[{\"n\": 90}, {\"n\": 9", "at byte 19: the text ends in the middle of a number after 1 element"),
    (b"[{\"n\": 90}, {\"n\": Na", "at byte 20: the text ends in the middle of 'NaN' after 1 element"),
    (b"{\"n\": 90}", "at byte 0: not an array but an object"),
    (b"\"[]\"", "at byte 0: not an array but a string"),
    (b"null", "at byte 0: not an array but null"),
    (b"<html>quota exceeded</html>", "at byte 0: expected an array, found '<'"),
    (b"[{\"n\": 90} {\"n\": 91}]", "at byte 11: expected ',' or ']', found '{'"),
    (b"[{\"n\": 90}, ]", "at byte 12: expected a value, found ']'"),
    (b"[{\"n\": 90}, {'n': 91}]", "at byte 13: expected"),
    (b"[{\"n\": 90}]\n[{\"n\": 91}]", "at byte 12: expected the end of the text, found '['"),
    (b"[{\"n\": 90}]\0\0\0\0", "at byte 11: expected the end of the text, found byte 0x00"),
    (b"\0\0\0\0\0\0\0\0", "at byte 0: expected an array, found byte 0x00"),
    (b"[{\"n\": 90}, {\"s\": \"a\xff\"}]", "a string has bytes that are not UTF-8"),
    (b"[{\"n\": 90}, {\"s\": \"a\nb\"}]", "at byte 20: a control character in a string"),
    (b"\xef\xbb\xbf[]", "at byte 0: the text begins with a byte order mark"),
    (b"\xff\xfe[\0]\0", "at byte 0: expected an array, found byte 0xff"),
];

/// One replica of two with a list, and its records.
fn with_one_of_two() -> Dir {
    let dir = Dir::with_inputs(4);
    run(&dir, [1], 2);
    dir
}

#[test]
fn a_broken_file_is_named_with_the_byte_where_it_breaks_and_the_others_are_merged() {
    let dir = Dir::with_inputs(2);
    run(&dir, [1], 1);
    dir.write("out/container_3_results.json", "[{\"n\": 50, \"list\": [NaN]}]");
    for (content, why) in BROKEN {
        let name = "out/container_2_results.json";
        dir.write(name, content);
        let ended = merge(&dir)
            .exits(3)
            .says("2 files: 2 ok, none missing")
            .says(&format!("broken: {}: ", dir.path(name).display()))
            .says(why)
            .says("; nothing of it was merged")
            .says("1 value (NaN or Infinity) became null");
        let shown = content.escape_ascii();
        assert_eq!(numbers_in(&dir, "out/final_results.partial.json"), [0, 1, 50], "{shown}: {ended}");
        assert!(!dir.exists("out/final_results.json"), "{shown}");
        let broken = &summary(&dir)["broken"];
        assert_eq!(broken.as_array().map(Vec::len), Some(1), "{broken}");
        assert!(broken[0]["why"].as_str().unwrap().contains(why), "{broken}");
        // Columns of what is not merged are no columns.
        let args = ["merge", "out", "--output", "table.csv"];
        dir.canfar_run().args(args).run().exits(3);
        assert!(dir.lines("table.partial.csv")[0].starts_with("file,n,list,run_path,"), "{shown}");
    }
    // It is not final either because somebody allows files to be missing: that is not what is wrong.
    dir.canfar_run().args(["merge", "out", "--allow-missing"]).run().exits(3);
    fs::remove_file(dir.path("out/container_2_results.json")).unwrap();
    merge(&dir).exits(0);
}

#[test]
fn of_many_broken_files_the_first_are_named_and_the_others_counted() {
    let dir = Dir::new();
    dir.write("out/container_1_results.json", "[1]");
    (2..=30).for_each(|id| _ = dir.write(format!("out/container_{id}_results.json"), "[1, "));
    let ended = merge(&dir).exits(3).says("  and 9 more broken files (all are in final_summary.json)");
    assert_eq!(ended.stderr.matches("broken: ").count(), 20, "{ended}");
    assert_eq!(summary(&dir)["broken"].as_array().map(Vec::len), Some(29));
    assert_eq!(dir.json("out/final_results.partial.json"), serde_json::json!([1]));
}

#[test]
fn a_folder_by_the_name_of_a_results_file_is_broken() {
    let dir = with_one_of_two();
    fs::create_dir(dir.path("out/container_2_results.json")).unwrap();
    fs::create_dir(dir.path("out/container_5_results.json")).unwrap();
    let ended =
        merge(&dir).exits(3).says("container_2_results.json: reading failed at byte 0: Is a directory");
    assert_eq!(ended.stderr.matches("Is a directory").count(), 2, "{ended}");
    assert_eq!(numbers_in(&dir, "out/final_results.partial.json"), [0, 1]);
}

#[test]
fn files_that_may_not_be_read_cost_what_only_they_hold() {
    let dir = Dir::with_inputs(8);
    run(&dir, 1..=4, 4);
    dir.write("out/container_9_results.json", "[{\"n\": 50}]");
    ["", "out"].into_iter().for_each(|folder| mode(&dir, folder, 0o777));
    let merge = || dir.canfar_run().args(["merge", "out"]).without_rights(NOBODY).run();
    // The journals say all that this one says.
    mode(&dir, "out/container_1_results.json", 0);
    merge().exits(0).says("8 files: 8 ok, none missing");
    assert_eq!(super::numbers(&dir), [0, 1, 2, 3, 4, 5, 6, 7, 50]);

    mode(&dir, "out/container_9_results.json", 0);
    mode(&dir, "out/journal/3.1.jsonl", 0);
    merge()
        .exits(3)
        .says("8 files: 6 ok, 2 missing")
        .says("container_9_results.json: it can't be opened: Permission denied")
        .says("journal/3.*.jsonl: can't read the journal ")
        .says("replica 3 stopped: 2 files missing");
    assert_eq!(numbers_in(&dir, "out/final_results.partial.json"), [0, 1, 2, 3, 6, 7]);
}

#[test]
fn a_journal_of_a_later_version_is_left_to_who_wrote_it() {
    let dir = Dir::with_inputs(4);
    run(&dir, [1, 2], 2);
    let journal = dir.text("out/journal/2.1.jsonl").replace("{\"v\":2,", "{\"v\":3,");
    dir.write("out/journal/2.1.jsonl", journal);
    merge(&dir).exits(3).says("4 files: 2 ok, 2 missing").says("has a line of format version 3");
    assert_eq!(numbers_in(&dir, "out/final_results.partial.json"), [0, 1]);
}

#[test]
fn a_damaged_list_proves_nothing_and_ends_the_merge() {
    let dir = Dir::with_inputs(4);
    run(&dir, [1], 1);
    let list = dir.text("out/inputs.jsonl");
    dir.write("out/inputs.jsonl", &list[..list.len() - 5]);
    let before = dir.tree();
    merge(&dir).exits(3).says("inputs.jsonl can't be used").says("it was cut or edited");
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn a_directory_without_anything_to_merge_is_named() {
    let dir = Dir::new();
    merge(&dir)
        .exits(2)
        .says(&format!("can't read the results directory {}", dir.path("out").display()))
        .says("is it the one given with --results-dir?");
    dir.write("out/notes.txt", "");
    merge(&dir).exits(2).says("holds neither a run (inputs.jsonl) nor results files");
    dir.write("file", "");
    dir.canfar_run().args(["merge", "file"]).run().exits(2).says("Not a directory");
    // Of several directories each has to be one.
    run_in(&dir);
    dir.canfar_run().args(["merge", "out", "missing"]).run().exits(2).says("missing");
}

fn run_in(dir: &Dir) {
    dir.write("data/a.fits", "1");
    run(dir, [1], 1);
}

#[test]
fn results_that_cannot_be_written_exit_with_4_and_leave_all_as_it_was() {
    let dir = with_one_of_two();
    ["", "out"].into_iter().for_each(|folder| mode(&dir, folder, 0o555));
    let before = dir.tree();
    let merge = || dir.canfar_run().args(["merge", "out"]).without_rights(NOBODY);
    merge()
        .run()
        .exits(4)
        .says("can't write the merged results")
        .says("final_results.partial.json: Permission denied");
    merge()
        .args(["--missing", "missing"])
        .run()
        .exits(4)
        .says("can't write ")
        .says("missing: Permission denied");
    dir.canfar_run()
        .args(["merge", "out", "--output", "no/such/folder.json"])
        .run()
        .exits(4)
        .says("No such file");
    assert_eq!(before.difference(&dir.tree()), None);
    ["", "out"].into_iter().for_each(|folder| mode(&dir, folder, 0o755));
}

#[test]
fn a_full_disk_leaves_the_results_of_before() {
    let dir = Dir::with_inputs(3);
    run(&dir, [1], 1);
    merge(&dir).exits(0);
    let before: Value = dir.json("out/final_results.json");
    // No file may grow beyond 512 bytes, as on a disk without room.
    let script = "ulimit -f 1; trap '' XFSZ; exec \"$0\" merge out";
    let limited =
        crate::support::Run::of(&dir, "/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_canfar-run")]);
    limited.run().exits(4).says("can't write the merged results");
    assert_eq!(dir.json("out/final_results.json"), before);
    let hidden = fs::read_dir(dir.path("out")).unwrap().flatten();
    assert_eq!(
        hidden.filter(|entry| entry.file_name().as_encoded_bytes()[0] == b'.').count(),
        0,
        "{}",
        dir.tree()
    );
}

#[test]
fn no_name_is_taken_that_a_merge_reads_or_writes_otherwise() {
    let dir = with_one_of_two();
    let before = dir.tree();
    for args in [
        ["--output", "out/container_1_results.json"],
        ["--output", "out/inputs.jsonl"],
        ["--output", "out/final_failed.json"],
        ["--output", "out/final_summary.json"],
        ["--missing", "out/inputs.jsonl"],
        ["--missing", "out/final_summary.json"],
        ["--missing", "out/final_results.json"],
        ["--missing", "out/final_results.partial.json"],
    ] {
        let ended = dir.canfar_run().args(["merge", "out"]).args(args).run().exits(2);
        ended.says(&format!("{} {}: a merge reads or writes", args[0], dir.path(args[1]).display()));
    }
    assert_eq!(before.difference(&dir.tree()), None);
}

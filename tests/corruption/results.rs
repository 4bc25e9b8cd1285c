//! Damaged results files, logs and merged files: journals know better; what has none is named with the byte.

use std::fs;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{NUMBER, done, merge, numbers, some};
use crate::support::Dir;

const RESULTS: &str = "out/container_1_results.json";

/// A replica's results file where nothing else of its run is.
fn alone() -> (Dir, Vec<u8>) {
    let (dir, run) = (Dir::new(), done(2));
    let whole = run.bytes(RESULTS);
    dir.write(RESULTS, &whole);
    (dir, whole)
}

#[test]
fn a_results_file_that_is_damaged_anywhere_is_replaced_by_what_the_journal_holds() {
    let dir = done(2);
    let whole = dir.bytes(RESULTS);
    let cuts = some(whole.len(), 151).map(|cut| whole[..cut].to_vec());
    let flips = some(whole.len(), 101).map(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        flipped
    });
    let holes = some(whole.len(), 401).map(|at| [&whole[..at], &[0; 512], &whole[at..]].concat());
    for damaged in cuts.chain(flips).chain(holes) {
        dir.write(RESULTS, &damaged);
        let ended = merge(&dir).exits(0);
        assert_eq!(numbers(&dir, &ended), [0, 1], "{}", damaged.escape_ascii());
    }
}

#[test]
fn a_results_file_without_journals_that_is_cut_is_named_with_the_byte() {
    let (dir, whole) = alone();
    let end = whole.trim_ascii_end().len();
    for cut in some(end, 101) {
        dir.write(RESULTS, &whole[..cut]);
        let ended = merge(&dir).exits(3).says("container_1_results.json: at byte ");
        assert!(ended.stderr.contains(&format!("at byte {cut}")), "cut at {cut}: {ended}");
        assert_eq!(numbers(&dir, &ended), [0; 0], "cut at {cut}");
    }
}

#[test]
fn a_launch_writes_a_damaged_results_file_anew_or_says_that_it_is_somebodys() {
    let dir = done(2);
    let whole = dir.bytes(RESULTS);
    for cut in some(whole.len(), 211) {
        dir.write(RESULTS, &whole[..cut]);
        let ended = dir.launch().sh(NUMBER).run();
        if ended.code == Some(2) {
            ended.says("container_1_results.json").says("reset").says_not("panicked");
            assert_eq!(dir.bytes(RESULTS), &whole[..cut], "cut at {cut}");
        } else {
            ended.exits(0);
            assert_eq!(dir.bytes(RESULTS), whole, "cut at {cut}");
        }
        let ended = merge(&dir).exits(0);
        assert_eq!(numbers(&dir, &ended), [0, 1], "cut at {cut}");
    }
}

#[test]
fn a_results_file_that_never_ends_is_named_at_once() {
    let dir = done(2);
    let others = dir.path("out/container_7_results.json");
    mknodat(CWD, &others, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let ended = merge(&dir).exits(3).says("container_7_results.json: it can't be opened: it is a FIFO");
    assert_eq!(numbers(&dir, &ended), [0, 1]);
    fs::remove_file(&others).unwrap();
    fs::remove_file(dir.path(RESULTS)).unwrap();
    mknodat(CWD, dir.path(RESULTS), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let ended = merge(&dir).exits(0);
    assert_eq!(numbers(&dir, &ended), [0, 1]);
    dir.launch().sh(NUMBER).run().exits(3).says("container_1_results.json").says("it is a FIFO");
}

#[test]
fn damaged_logs_and_earlier_merged_files_change_no_answer() {
    let dir = done(2);
    merge(&dir).exits(0);
    let right = dir.bytes("out/final_results.json");
    for garbage in [&b""[..], b"\0\0\0\0", b"{\"complete\":", b"\xff\xfe"] {
        for name in
            ["final_results.json", "final_summary.json", "final_failed.json", "logs/1.1.log", "logs/1.1.err"]
        {
            dir.write(format!("out/{name}"), garbage);
        }
        merge(&dir).exits(0).says("2 files: 2 ok, none missing");
        assert_eq!(dir.bytes("out/final_results.json"), right);
        assert!(!dir.exists("out/final_failed.json"));
        assert_eq!(dir.json("out/final_summary.json")["complete"], true);
        dir.launch().sh(NUMBER).run().exits(0).says("nothing to do");
    }
}

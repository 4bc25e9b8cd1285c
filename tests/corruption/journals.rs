//! Damaged journals: launching again completes the run with the right numbers; merging finds no wrong one.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{NUMBER, done, merge, numbers, some};
use crate::support::{DEADLINE, Dir, wait_until};

const JOURNAL: &str = "out/journal/1.1.jsonl";

/// A run that is done, whose results file is gone, so that only its journal knows.
fn in_the_journal(inputs: usize) -> (Dir, Vec<u8>) {
    let dir = done(inputs);
    fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    let journal = dir.bytes(JOURNAL);
    (dir, journal)
}

/// The numbers that the lines of a journal vouch for when each is taken by itself.
fn vouched_for(whole: &[u8], damaged: &[u8]) -> Vec<u64> {
    let lines: Vec<&[u8]> = damaged.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let ends =
        whole.split(|byte| *byte == b'\n').filter(|line| memchr::memmem::find(line, b"\"end\"").is_some());
    let mut numbers: Vec<u64> = ends
        .filter(|line| lines.contains(line))
        .map(|line| {
            serde_json::from_slice::<serde_json::Value>(line).unwrap()["record"]["n"].as_u64().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Merges what a damaged journal still holds.
#[track_caller]
fn merges_what_is_whole(dir: &Dir, whole: &[u8], damaged: &[u8], why: &str) {
    dir.write(JOURNAL, damaged);
    let expected = vouched_for(whole, damaged);
    let ended = merge(dir);
    assert!(matches!(ended.code, Some(0 | 3)), "{why}: {ended}");
    assert_eq!(numbers(dir, &ended), expected, "{why}: {ended}");
    assert_eq!(ended.code == Some(0), expected.len() == 3, "{why}: {ended}");
}

#[test]
fn a_journal_that_is_cut_gives_the_records_before_the_cut() {
    let (dir, whole) = in_the_journal(3);
    for cut in some(whole.len(), 173) {
        merges_what_is_whole(&dir, &whole, &whole[..cut], &format!("cut at {cut}"));
    }
}

#[test]
fn a_journal_with_a_hole_in_it_gives_the_records_around_the_hole() {
    let (dir, whole) = in_the_journal(3);
    for (at, length) in some(whole.len(), 701).flat_map(|at| [(at, 1), (at, 64), (at, 4096)]) {
        let mut damaged = whole.clone();
        let end = damaged.len().min(at + length);
        damaged[at..end].fill(0);
        merges_what_is_whole(&dir, &whole, &damaged, &format!("{length} NUL bytes at {at}"));
    }
    let longer = [&whole[..], &[0; 4096]].concat();
    merges_what_is_whole(&dir, &whole, &longer, "NUL bytes at the end");
    let torn = [&whole[..whole.len() / 2], b"\n", &whole[whole.len() / 2..]].concat();
    merges_what_is_whole(&dir, &whole, &torn, "a torn line in the middle");
}

#[test]
fn no_record_changes_with_any_byte_of_its_line() {
    let (dir, whole) = in_the_journal(3);
    let text = String::from_utf8(whole.clone()).unwrap();
    let line = text.lines().find(|line| line.contains("\"event\":\"end\",\"index\":1,")).unwrap();
    let begin = text.find(line).unwrap();
    // A line of another version, or of another run, is a matter of its own.
    let first = line.find("\"seq\"").unwrap();
    for at in some(line.len() - first, 53).map(|at| begin + first + at) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        merges_what_is_whole(&dir, &whole, &damaged, &format!("byte {at} changed"));
    }
}

#[test]
fn lines_that_are_repeated_mixed_up_or_end_as_on_windows_count_once() {
    let (dir, whole) = in_the_journal(3);
    let mut lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    merges_what_is_whole(&dir, &whole, &[&whole[..], &whole[..]].concat(), "repeated");
    let crlf = String::from_utf8(whole.clone()).unwrap().replace('\n', "\r\n");
    merges_what_is_whole(&dir, &whole, crlf.as_bytes(), "CRLF");
    lines.reverse();
    merges_what_is_whole(&dir, &whole, &lines.concat(), "backwards");
    merges_what_is_whole(&dir, &whole, b"", "empty");
    merges_what_is_whole(&dir, &whole, &[0; 5000], "nothing but NUL bytes");
}

#[test]
fn lines_of_another_run_are_not_taken_and_those_of_another_replica_count_once() {
    let dir = Dir::with_inputs(6);
    (1..=2).for_each(|id| _ = dir.launch().replica(id, 2).sh(NUMBER).run().exits(0));
    fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    let (own, others) = (dir.text(JOURNAL), dir.text("out/journal/2.1.jsonl"));
    dir.write(JOURNAL, format!("{own}{others}"));
    let ended = merge(&dir).exits(0).says("3 records left out");
    assert_eq!(numbers(&dir, &ended), [0, 1, 2, 3, 4, 5]);

    let elsewhere = done(3);
    let strangers = elsewhere.text(JOURNAL).replace("\"n\":", "\"n\": 9");
    dir.write(JOURNAL, format!("{own}{strangers}"));
    let ended = merge(&dir).exits(0).says("1.1.jsonl");
    assert_eq!(numbers(&dir, &ended), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_journal_cut_anywhere_lets_the_next_launch_complete_the_run() {
    let dir = done(3);
    let (journal, results) = (dir.bytes(JOURNAL), dir.bytes("out/container_1_results.json"));
    // Where the first line is cut nobody can say that its launch is dead but by watching it for half a minute.
    let first = memchr::memchr(b'\n', &journal).unwrap() + 1;
    for cut in some(journal.len() - first, 211).map(|at| first + at) {
        dir.write(JOURNAL, &journal[..cut]);
        dir.write("out/container_1_results.json", &results);
        let _ = fs::remove_file(dir.path("out/journal/1.2.jsonl"));
        dir.launch().sh(NUMBER).run().exits(0);
        let ended = merge(&dir).exits(0);
        assert_eq!(numbers(&dir, &ended), [0, 1, 2], "cut at {cut}");
        assert_eq!(dir.results(1).len(), 3, "cut at {cut}");
    }
}

#[test]
fn a_journal_that_is_no_file_is_named_at_once() {
    let (dir, whole) = in_the_journal(3);
    let path = dir.path(JOURNAL);
    let kinds: [(&str, &dyn Fn()); 4] = [
        ("Is a directory", &|| fs::create_dir(&path).unwrap()),
        ("it is a FIFO", &|| mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap()),
        ("it is a device", &|| symlink("/dev/zero", &path).unwrap()),
        ("No such file", &|| symlink("nowhere", &path).unwrap()),
    ];
    for (said, make) in kinds {
        fs::remove_file(&path).unwrap();
        make();
        let ended = merge(&dir).exits(3).says("journal/1.*.jsonl").says(said);
        assert_eq!(numbers(&dir, &ended), [0; 0], "{said}");
        dir.launch().sh(NUMBER).run().exits(3).says("1.1.jsonl").says(said);
        let is_gone = || fs::remove_dir(&path).or_else(|_| fs::remove_file(&path)).is_ok();
        wait_until(DEADLINE, "the journal's removal", is_gone);
        fs::write(&path, "").unwrap();
    }
    fs::remove_file(&path).unwrap();
    let elsewhere = dir.write("elsewhere.jsonl", &whole);
    symlink(elsewhere, &path).unwrap();
    let ended = merge(&dir).exits(0);
    assert_eq!(numbers(&dir, &ended), [0, 1, 2]);
}

#[test]
fn a_journal_of_a_later_version_stops_merge_and_launch_for_that_replica() {
    let (dir, whole) = in_the_journal(3);
    let text = String::from_utf8(whole).unwrap();
    for later in [text.replace("{\"v\":2,", "{\"v\":3,"), text.replacen("{\"v\":2,", "{\"v\":7,", 1)] {
        dir.write(JOURNAL, &later);
        let ended = merge(&dir).exits(3).says("has a line of format version");
        assert_eq!(numbers(&dir, &ended), [0; 0]);
        let before = dir.tree();
        dir.launch().sh(NUMBER).run().exits(2).says("has a line of format version").says("1.1.jsonl");
        assert_eq!(before.difference(&dir.tree()), None);
    }
}

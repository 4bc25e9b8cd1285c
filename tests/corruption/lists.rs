//! A damaged list of inputs: every command refuses it by name and says what to do; nothing is changed.

use std::fs;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{NUMBER, done, merge, some};
use crate::support::Dir;

const LIST: &str = "out/inputs.jsonl";

/// Whether launching and merging both refuse the list that is there.
#[track_caller]
fn is_refused(dir: &Dir, why: &str) {
    let before = dir.tree();
    for ended in [dir.launch().sh(NUMBER).run(), merge(dir)] {
        // One of a later version is not damaged: another canfar-run is the right one.
        let code = if why == "a later version" { 2 } else { 3 };
        assert_eq!(ended.code, Some(code), "{why}: {ended}");
        assert!(ended.stderr.contains("inputs.jsonl"), "{why}: {ended}");
        assert!(!ended.stderr.contains("panicked"), "{why}: {ended}");
    }
    assert_eq!(before.difference(&dir.tree()), None, "{why}");
}

#[test]
fn a_list_that_was_cut_or_edited_is_refused() {
    let dir = done(3);
    // Who has nothing to do needs no name of the list; who writes results does.
    fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    let whole = dir.text(LIST);
    for cut in some(whole.len(), 211) {
        dir.write(LIST, &whole[..cut]);
        is_refused(&dir, &format!("cut at {cut}"));
    }
    let lines: Vec<&str> = whole.lines().collect();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    for (why, edited) in [
        ("a path changed", whole.replace("001.fits", "007.fits")),
        ("the count changed", whole.replace("\"count\":3", "\"count\":2")),
        ("a line added", whole.clone() + lines[1] + "\n"),
        ("a line removed", joined(&lines[..3])),
        ("lines swapped", joined(&[lines[0], lines[2], lines[1], lines[3]])),
        ("another strategy", whole.replace("\"strategy\":\"even\"", "\"strategy\":\"stripe\"")),
        ("another replica count", whole.replace("\"replica_count\":1", "\"replica_count\":3")),
        ("another run id", whole.replacen("\"run\":\"", "\"run\":\"x", 1)),
        ("a later version", whole.replacen("\"v\":2", "\"v\":3", 1)),
        ("lines end as on Windows", whole.replace('\n', "\r\n")),
        ("the header gone", joined(&lines[1..])),
        ("empty", String::new()),
        ("blank lines", "\n\n\n".to_owned()),
        ("NUL bytes", "\0".repeat(whole.len())),
        ("NUL bytes at the end", whole[..whole.len() - 20].to_owned() + &"\0".repeat(20)),
    ] {
        assert_ne!(edited, whole, "{why}");
        dir.write(LIST, edited);
        is_refused(&dir, why);
    }
    dir.write(LIST, whole);
    merge(&dir).exits(0);
}

#[test]
fn a_list_that_is_no_file_is_refused_at_once() {
    let dir = done(3);
    let path = dir.path(LIST);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    is_refused(&dir, "a folder");
    fs::remove_dir(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    is_refused(&dir, "a FIFO");
}

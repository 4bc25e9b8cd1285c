//! What errors lead to that are not about usage: 3 where something can't go on, 4 where something can't be written, never 2.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Component, Dir, Ended, Run, require};

/// A user who owns nothing here.
const NOBODY: u32 = 54_321;

/// A run of two files, done.
fn done() -> Dir {
    let dir = Dir::with_inputs(2);
    dir.launch().sh("echo 1").run().exits(0);
    dir
}

/// Every command that reads a run, as a user without rights.
fn readers(dir: &Dir) -> Vec<Ended> {
    let words: [&[&str]; 5] = [
        &["merge", "out", "-o", "-"],
        &["status", "out"],
        &["report", "out", "-o", "-"],
        &["logs", "out", "0"],
        &["resume", "out"],
    ];
    words.map(|words| dir.canfar_run().args(words).without_rights(NOBODY).run()).into()
}

#[test]
fn a_results_directory_that_may_not_be_read_is_no_wrong_usage() {
    for forbidden in ["out/inputs.jsonl", "out/journal"] {
        let dir = done();
        std::fs::set_permissions(dir.path(forbidden), Permissions::from_mode(0o0)).unwrap();
        for ended in readers(&dir) {
            assert!(matches!(ended.code, Some(3)), "{forbidden}: {ended}");
            assert!(ended.stderr.contains("Permission denied"), "{ended}");
        }
        std::fs::set_permissions(dir.path(forbidden), Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_damaged_list_is_no_wrong_usage_for_any_command() {
    let dir = done();
    let list = dir.text("out/inputs.jsonl");
    dir.write("out/inputs.jsonl", &list[..list.len() - 5]);
    for ended in readers(&dir) {
        ended.exits(3).says("it was cut or edited");
    }
}

#[test]
fn storage_that_fails_is_no_wrong_usage() {
    if !require(Component::Strace) {
        return;
    }
    let dir = done();
    let program = env!("CARGO_BIN_EXE_canfar-run");
    let failing = |what: &str, folder: &str, words: &[&str]| {
        let inject = format!("inject={what}");
        let strace = ["-f", "-o", "/dev/null", "-P", folder, "-e", &inject, program];
        Run::of(&dir, "strace").args(strace).args(words).run()
    };
    let [list, journals, data] =
        ["out/inputs.jsonl", "out/journal", "data"].map(|name| dir.path(name).display().to_string());
    for (what, path, words) in [
        ("openat:error=EIO", &list, &["merge", "out"][..]),
        ("openat:error=ESTALE", &list, &["status", "out"]),
        ("openat:error=ENOTCONN", &journals, &["report", "out", "-o", "-"]),
        ("openat:error=EIO", &journals, &["resume", "out"]),
        ("openat:error=EMFILE", &list, &["logs", "out", "0"]),
        ("openat:error=EIO", &data, &["plan", "-i", "data/*", "--replica-count", "2"]),
        ("openat:error=EIO", &data, &["-i", "data/*", "-o", "new", "--", "true"]),
    ] {
        failing(what, path, words).exits(3).says("canfar-run: error: ");
    }
    // What was named wrongly is.
    dir.canfar_run().args(["status", "nowhere"]).run().exits(2);
    dir.canfar_run().args(["-i", "nowhere/*", "-o", "new", "--", "true"]).run().exits(2);
}

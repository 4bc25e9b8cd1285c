//! Where merged results, lists and pages go: links, pipes, devices and standard output as any program treats them.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat};
use serde_json::Value;

use super::{merge, numbers, run};
use crate::support::{DEADLINE, Dir, wait_until};

/// Five files of which one replica's three have results.
fn incomplete() -> Dir {
    let dir = Dir::with_inputs(5);
    run(&dir, [1], 2);
    dir
}

fn whole() -> Dir {
    let dir = Dir::with_inputs(3);
    run(&dir, [1], 1);
    dir
}

/// Makes a pipe and opens it for reading, without waiting for who writes.
fn pipe(path: &Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let at_once = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    OpenOptions::new().read(true).custom_flags(at_once).open(path).unwrap()
}

fn read(mut pipe: &File) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

/// A device of a test's own, so that a fault can't cost the machine's. Only root can make one.
fn device(path: &Path, minor: u32) -> bool {
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(1, minor)).is_ok()
}

const NULL: u32 = 3;
const FULL: u32 = 7;

#[test]
fn a_link_stays_and_the_file_that_it_leads_to_is_replaced() {
    let dir = whole();
    dir.write("elsewhere/real.csv", "old");
    symlink("elsewhere/real.csv", dir.path("link.json")).unwrap();
    symlink("elsewhere/new.json", dir.path("dangling.json")).unwrap();
    for (link, real) in [("link.json", "elsewhere/real.csv"), ("dangling.json", "elsewhere/new.json")] {
        let said = format!("results: {}", dir.path(link).display());
        dir.canfar_run().args(["merge", "out", "-o", link]).run().exits(0).says(&said);
        assert!(dir.path(link).is_symlink());
        // By the name that was given.
        assert_eq!(dir.json(real).as_array().unwrap().len(), 3);
    }
    // What can't be written leaves it as it was.
    let script = "ulimit -f 1; trap '' XFSZ; exec \"$0\" merge out -o link.json";
    let limited =
        crate::support::Run::of(&dir, "/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_canfar-run")]);
    limited.run().exits(4).says("can't write the merged results");
    assert_eq!(dir.json("elsewhere/real.csv").as_array().unwrap().len(), 3);
    assert_eq!(fs::read_dir(dir.path("elsewhere")).unwrap().count(), 2);
}

#[test]
fn what_merge_writes_beside_the_results_may_be_links_too() {
    let dir = Dir::with_inputs(3);
    dir.launch().sh("exit 1").run().exits(1);
    for name in ["final_results.json", "final_failed.json", "final_summary.json"] {
        symlink(dir.path(format!("elsewhere/{name}")), dir.path(format!("out/{name}"))).unwrap();
    }
    fs::create_dir(dir.path("elsewhere")).unwrap();
    merge(&dir).exits(1);
    assert_eq!(dir.json("elsewhere/final_failed.json").as_array().unwrap().len(), 3);
    assert_eq!(dir.json("elsewhere/final_summary.json")["failed"], 3);
    dir.canfar_run().args(["resume", "out", "--", "true"]).run();
    dir.launch().args(["--accept-changed-command"]).sh(super::NUMBER).run().exits(0);
    merge(&dir).exits(0);
    // The link stays, so what it leads to says that there are none.
    assert_eq!(dir.text("elsewhere/final_failed.json"), "[]\n");
    assert!(dir.path("out/final_failed.json").is_symlink());
    assert_eq!(numbers(&dir), [0, 1, 2]);
}

#[test]
fn pipes_are_written_to_complete_or_not() {
    for (dir, code, count) in [(whole(), 0, 3), (incomplete(), 3, 3)] {
        let [results, missing] = ["results.jsonl", "missing"].map(|name| pipe(&dir.path(name)));
        let args = ["merge", "out", "--output", "results.jsonl", "--missing", "missing"];
        dir.canfar_run().args(args).run().exits(code).says("results.jsonl");
        assert_eq!(read(&results).lines().count(), count);
        assert_eq!(read(&missing).lines().count(), if code == 0 { 0 } else { 2 });
        assert!(!dir.exists("results.partial.jsonl"));
        assert!(
            ["results.jsonl", "missing"].iter().all(|name| !dir.path(name).metadata().unwrap().is_file())
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_an_error_of_writing() {
    let dir = Dir::with_inputs(3);
    let script = "head -c 100000 /dev/zero | tr '\\0' x | sed 's/.*/{\"s\":\"&\"}/'";
    dir.launch().sh(script).run().exits(0);
    let reader = pipe(&dir.path("pipe"));
    let running = dir.canfar_run().args(["merge", "out", "-o", "pipe"]).start();
    // More than a pipe holds, so that the writer is at it when nobody is left to read.
    wait_until(DEADLINE, "the first byte", || match (&reader).read(&mut [0]) {
        Ok(bytes) => bytes > 0,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    });
    drop(reader);
    running.wait().exits(4).says("can't write the merged results to ").says("pipe: Broken pipe");
}

#[test]
fn devices_are_written_to_and_stay() {
    let dir = incomplete();
    if !(device(&dir.path("null"), NULL) && device(&dir.path("full"), FULL)) {
        return;
    }
    symlink("full", dir.path("link")).unwrap();
    dir.canfar_run().args(["merge", "out", "-o", "null"]).run().exits(3);
    for (args, said) in [
        (["merge", "out", "--output", "full"], "can't write the merged results to "),
        (["merge", "out", "--output", "link"], "can't write the merged results to "),
        (["merge", "out", "--missing", "full"], "can't write "),
        (["report", "out", "--output", "full"], "can't write the report to "),
    ] {
        dir.canfar_run().args(args).run().exits(4).says(said).says("No space left on device");
    }
    for name in ["null", "full"] {
        assert!(!dir.path(name).metadata().unwrap().is_file(), "{name}");
    }
    assert!(dir.path("link").is_symlink());
}

#[test]
fn a_dash_is_standard_output_which_has_nothing_else() {
    let dir = whole();
    merge(&dir).exits(0);
    let before = dir.text("out/final_results.json");
    let ended = dir.canfar_run().args(["merge", "out", "-o", "-"]).run().exits(0);
    assert_eq!(ended.printed(), before);
    ended.says("results: standard output");
    assert_eq!(dir.json("out/final_summary.json")["results"], "-");
    assert!(!dir.exists("-"));

    let dir = incomplete();
    let ended = dir.canfar_run().args(["merge", "out", "--output", "-"]).run().exits(3);
    assert_eq!(ended.json().as_array().unwrap().len(), 3);
    let ended = dir.canfar_run().args(["merge", "out", "--missing", "-"]).run().exits(3);
    assert_eq!(ended.printed().lines().count(), 2);
    let both = |args: &[&str]| dir.canfar_run().args(["merge", "out"]).args(args).run().exits(2);
    both(&["-o", "-", "--json"]).says("--output - and --json would all go to standard output").prints("");
    both(&["-o", "-", "--missing", "-"]).says("--output - and --missing -");
    dir.canfar_run().args(["merge", "out", "-o", "./-"]).run().exits(3);
    assert!(dir.exists("-.partial"));
}

#[test]
fn standard_output_under_its_own_name_is_written_to() {
    let dir = whole();
    // A link, so that a fault costs this and nothing of the machine's.
    symlink("/proc/self/fd/1", dir.path("stdout")).unwrap();
    let ended = dir.canfar_run().args(["merge", "out", "-o", "stdout"]).run().exits(0);
    assert_eq!(ended.json().as_array().unwrap().len(), 3);
    assert!(dir.path("stdout").is_symlink());
}

#[test]
fn an_unknown_extension_or_a_folder_is_refused_before_anything_is_written() {
    let dir = whole();
    let before = dir.tree();
    for name in ["x.csv.gz", "x.parquet", "x.ecsv", "x.txt"] {
        dir.canfar_run()
            .args(["merge", "out", "--output", name])
            .run()
            .exits(2)
            .says(&format!("--output {}: ", dir.path(name).display()))
            .says(".json, .jsonl, .csv or .tsv");
    }
    for args in [
        ["merge", "out", "--output", "data"],
        ["merge", "out", "--missing", "data"],
        ["report", "out", "--output", "data"],
    ] {
        dir.canfar_run().args(args).run().exits(2).says("is a directory: give the name of a file");
    }
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn no_link_leads_to_what_is_read() {
    let dir = whole();
    fs::create_dir(dir.path("sub")).unwrap();
    symlink("../out/inputs.jsonl", dir.path("sub/list.json")).unwrap();
    symlink("../out/final_summary.json", dir.path("sub/summary.json")).unwrap();
    let before = dir.tree();
    for args in [
        ["merge", "out", "--output", "sub/list.json"],
        ["merge", "out", "--output", "sub/summary.json"],
        ["merge", "out", "--missing", "sub/list.json"],
        ["report", "out", "--output", "sub/list.json"],
    ] {
        dir.canfar_run().args(args).run().exits(2).says("something else under this name");
    }
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn a_page_goes_where_results_may_go() {
    let dir = whole();
    symlink("page.html", dir.path("link.html")).unwrap();
    dir.canfar_run().args(["report", "out", "-o", "link.html"]).run().exits(0).says("report: ");
    assert!(dir.path("link.html").is_symlink());
    let printed = dir.canfar_run().args(["report", "out", "-o", "-"]).run().exits(0).says_not("report: ");
    assert!(
        printed.printed().starts_with("<!DOCTYPE html>")
            && dir.text("page.html").starts_with("<!DOCTYPE html>")
    );
}

#[test]
fn a_summary_for_json_names_where_the_results_are() {
    let dir = whole();
    let summary: Value =
        dir.canfar_run().args(["merge", "out", "-o", "x.csv", "--json"]).run().exits(0).json();
    assert_eq!(summary["results"], dir.path("x.csv").display().to_string());
}

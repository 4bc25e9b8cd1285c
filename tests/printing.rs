//! Standard output that is read in part only, full, or closed.

use std::io::Read;

use crate::support::{Dir, Run};

/// A run of one replica of two, of whose three tasks one failed.
fn unfinished() -> Dir {
    let dir = Dir::with_inputs(6);
    dir.launch().args(["--logs", "all"]).replica(1, 2).sh(TASK).run().exits(1);
    dir
}

const TASK: &str = "echo \"about ${1##*/}\" >&2; [ \"${1##*/}\" != 001.fits ]";

/// Whatever prints something, and what it exits with where all of it is printed.
const PRINTING: &[(&[&str], i32)] = &[
    (&["--help"], 0),
    (&["run", "-h"], 0),
    (&["help", "merge"], 0),
    (&["--version"], 0),
    (&["man"], 0),
    (&["completions", "bash"], 0),
    (&["plan", "-i", "data/*", "--replica-count", "9"], 0),
    (&["plan", "-i", "data/*", "--json"], 0),
    (&["-n", "-i", "data/*", "-o", "new", "--", "echo", "{}"], 0),
    (&["-n", "-i", "data/*", "-o", "new", "--worker", "--", "cat"], 0),
    (&["status", "out"], 0),
    (&["status", "out", "--json"], 0),
    (&["status", "out", "--wait"], 3),
    (&["logs", "out", "1"], 0),
    (&["logs", "out", "1", "--stderr"], 0),
    (&["logs", "out", "--failed"], 0),
    (&["logs", "out", "--replica", "1"], 0),
    (&["report", "out", "-o", "-"], 0),
    (&["merge", "out", "--json"], 3),
    (&["merge", "out", "-o", "-"], 3),
    (&["merge", "out", "--missing", "-"], 3),
    (&["resume", "out", "-n"], 0),
    (&["resume", "out", "--shares", "1", "--json"], 1),
    (&["-i", "data/*", "-o", "whole", "--json", "--max-failures", "none", "--", "false"], 1),
];

fn each(mut check: impl FnMut(Run<'_>, i32)) {
    let dir = unfinished();
    for (words, code) in PRINTING {
        check(dir.canfar_run().args(*words), *code);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    each(|run, code| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = run.stdout(writer).run().exits(code);
        for word in ["error", "roken pipe", "panicked", "can't print"] {
            assert!(!ended.stderr.contains(word), "{word}: {ended}");
        }
    });
}

#[test]
fn a_full_disk_is_an_error_that_says_so() {
    each(|run, code| {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        run.stdout(full).run().exits(4).says("No space left on device").says("can't");
        assert_ne!(code, 4);
    });
}

#[test]
fn without_standard_output_all_is_done_and_nothing_gets_into_files() {
    let dir = unfinished();
    let before = dir.bytes("out/inputs.jsonl");
    for (words, code) in PRINTING {
        let closed = ["-c", "exec \"$@\" >&-", "sh", env!("CARGO_BIN_EXE_canfar-run")];
        Run::of(&dir, "/bin/sh").args(closed).args(*words).run().exits(*code).says_not("panicked");
    }
    assert_eq!(dir.bytes("out/inputs.jsonl"), before);
    assert_eq!(dir.json("whole/container_1_results.json").as_array().unwrap().len(), 0);
}

#[test]
fn who_reads_the_first_lines_of_much_is_not_kept_waiting_for_the_rest() {
    let dir = Dir::new();
    let names: Vec<String> = (0..20_000).map(|number| format!("target {number}\n")).collect();
    dir.write("list", names.concat());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let run = dir.canfar_run().args(["-n", "--files-from", "list", "--", "echo", "{}"]).stdout(writer);
    let running = run.start();
    let mut first = [0; 6];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"echo '");
    drop(reader);
    assert_eq!(running.wait().exits(0).stderr, "");
}

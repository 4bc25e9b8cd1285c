//! One system call fails, or all from there on: each in its turn, with each error that storage gives.

use super::{TASK, finishes, was_hit, with_fault, work};
use crate::support::{Component, Dir, require};

const TASKS: usize = 3;

/// What canfar-run writes under a name known beforehand: faults are kept to it, for tasks write too.
const FILES: [&str; 8] = [
    "out",
    "out/inputs.listing",
    "out/inputs.jsonl",
    "out/journal",
    "out/journal/1.1.jsonl",
    "out/logs/1.1.log",
    "out/logs/1.1.err",
    "out/container_1_results.json",
];

/// More of any call than a launch of so few tasks makes.
const MOST: usize = 500;

/// Puts a fault into every such call in turn (`{}` is its number); tells how often it hit, and exit codes beside 0 and 4
/// that may come of it.
#[track_caller]
fn each(fault: &str, only_files: bool, also: &[i32]) -> usize {
    for nth in 1..MOST {
        let dir = Dir::with_inputs(TASKS);
        let fault = format!("inject={}", fault.replace("{}", &nth.to_string()));
        let files: Vec<String> = FILES.iter().map(|name| dir.path(name).display().to_string()).collect();
        let mut options = vec!["-e", &fault];
        if only_files {
            files.iter().for_each(|file| options.extend(["-P", file]));
        }
        let ended = work(with_fault(&dir, &options)).args(["--logs", "all"]).sh(TASK).run();
        let hit = was_hit(&dir);
        let code = ended.code.unwrap_or(-1);
        assert!([0, 4].contains(&code) || also.contains(&code), "{fault}: {ended}");
        if code == 4 {
            assert!(
                ended.stderr.contains(&*dir.path("out").to_string_lossy()),
                "{fault}: no path in {ended}"
            );
            assert!(ended.stderr.contains("results can't be written"), "{fault}: {ended}");
        }
        if code == 0 {
            assert_eq!(dir.results(1).len(), TASKS, "{fault}: {ended}");
        }
        finishes(&dir, TASKS, &ended);
        if !hit {
            return nth - 1;
        }
    }
    panic!("{fault}: {MOST} calls and more, for {TASKS} tasks")
}

#[test]
fn whichever_write_fails_nothing_is_lost_or_half_written() {
    if !require(Component::Strace) {
        return;
    }
    let once = each("write:error=EIO:when={}", true, &[]);
    let from_there_on = each("write:error=ENOSPC:when={}+", true, &[]);
    eprintln!("{once} + {from_there_on} writes failed");
    assert!(once > 5 && from_there_on > 5, "strace did not do its work");
}

#[test]
fn each_error_that_storage_gives_to_a_journal_is_told_and_ends_the_launch() {
    if !require(Component::Strace) {
        return;
    }
    let gone = "The storage is gone: its mount died, or the file server has disconnected this host";
    for (error, words, advice) in [
        ("ENOSPC", "No space left on device", "Free some space there"),
        ("EDQUOT", "uota exceeded", "ask for a larger quota"),
        ("EROFS", "Read-only file system", "It is mounted read-only"),
        ("EIO", "Input/output error", gone),
        ("ESTALE", "Stale file handle", gone),
        ("ENOTCONN", "Transport endpoint is not connected", gone),
        ("ESHUTDOWN", "Cannot send after transport endpoint shutdown", gone),
    ] {
        let dir = Dir::with_inputs(TASKS);
        let journal = dir.path("out/journal/1.1.jsonl").display().to_string();
        // Its first line and what the first task writes get through.
        let fault = format!("inject=write,ftruncate:error={error}:when=2+");
        let ended = work(with_fault(&dir, &["-P", &journal, "-e", &fault])).sh(TASK).run().exits(4);
        let ended = ended.says("can't write the journal").says(words).says(advice);
        assert_eq!(ended.stderr.contains("some space there"), error == "ENOSPC", "{ended}");
        finishes(&dir, TASKS, &ended);
    }
}

#[test]
fn a_journal_is_written_once_there_is_memory_again() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(TASKS);
    let journal = dir.path("out/journal/1.1.jsonl").display().to_string();
    // Of each thread that writes there.
    let fault = "inject=write:error=ENOMEM:when=1..9";
    work(with_fault(&dir, &["-P", &journal, "-e", fault])).sh(TASK).run().exits(0);
    assert!(was_hit(&dir), "strace did not do its work");
    assert_eq!(dir.results(1).len(), TASKS);
}

#[test]
fn whichever_sync_fails_it_is_reported_and_the_next_launch_finishes() {
    if !require(Component::Strace) {
        return;
    }
    let journal = each("fdatasync:error=EIO:when={}", false, &[]);
    let files = each("fsync:error=EIO:when={}", false, &[]);
    assert!(journal >= 2 && files >= 2, "{journal} and {files} syncs failed: strace did not do its work");
    let dir = Dir::with_inputs(TASKS);
    let ended = work(with_fault(&dir, &["-e", "inject=fdatasync:error=EIO:when=1+"])).sh(TASK).run().exits(4);
    assert!(super::runs(&dir).is_empty(), "before the first task: {ended}");
    finishes(&dir, TASKS, &ended);
}

#[test]
fn what_never_reached_the_storage_is_not_counted_as_done() {
    if !require(Component::Strace) {
        return;
    }
    for error in ["ESHUTDOWN", "ENOTCONN"] {
        let dir = Dir::with_inputs(TASKS);
        // Each thread's first sync gets through: that of the first line, and maybe one of what followed.
        let fault = format!("inject=fdatasync:error={error}:when=2+");
        let ended = work(with_fault(&dir, &["-e", &fault])).arg("--json").sh(TASK).run().exits(4);
        let ended = ended.says("The storage is gone: its mount died");
        let summary = ended.json();
        let synced = summary["ok"].as_u64().unwrap();
        assert!(synced < TASKS as u64, "{ended}");
        assert_eq!(summary["not_run"].as_u64().unwrap(), TASKS as u64 - synced, "{ended}");
        assert!(ended.stderr.contains(&format!("{synced} of {TASKS} files ok")), "{ended}");
        finishes(&dir, TASKS, &ended);
    }
}

#[test]
fn storage_that_is_gone_is_told_before_the_first_task_too() {
    if !require(Component::Strace) {
        return;
    }
    for (error, said) in [("ENOTCONN", "The storage is gone"), ("ENOSPC", "Free some space there")] {
        let dir = Dir::with_inputs(TASKS);
        let fault = format!("inject=fdatasync:error={error}:when=1+");
        let ended = work(with_fault(&dir, &["-e", &fault])).sh(TASK).run().exits(4).says(said);
        assert!(super::runs(&dir).is_empty(), "{ended}");
    }
}

#[test]
fn whichever_renaming_or_making_fails_nothing_is_lost() {
    if !require(Component::Strace) {
        return;
    }
    let renamed = each("rename,renameat,renameat2:error=EXDEV:when={}", false, &[]);
    let read_only = each("rename,renameat,renameat2,mkdir,mkdirat:error=EROFS:when={}+", false, &[2, 3]);
    // A listing that fails ends the launch before anything is published.
    let listed = each("getdents64:error=EIO:when={}", false, &[3]);
    assert!(renamed >= 1 && read_only >= 1 && listed >= 1, "{renamed} {read_only} {listed}");
}

#[test]
fn without_locks_without_links_and_without_careful_renaming_a_run_is_whole() {
    if !require(Component::Strace) {
        return;
    }
    let no_lock = ["-e", "inject=flock:error=ENOLCK"];
    let no_locks = ["-e", "inject=flock:error=EOPNOTSUPP"];
    for (error, links) in [("ENOSYS", "ENOSYS"), ("EINVAL", "EPERM"), ("EINVAL", "EOPNOTSUPP")] {
        for locks in [no_lock, no_locks] {
            let dir = Dir::with_inputs(TASKS);
            // What renames over a file goes by another name, or has no flags.
            let rename = format!("inject=renameat2:error={error}:when=1");
            let link = format!("inject=link,linkat:error={links}");
            let options = [&locks[..], &["-e", &rename, "-e", &link]].concat();
            let ended = work(with_fault(&dir, &options)).sh(TASK).run().exits(0);
            assert_eq!(dir.events_of(1, 1, "run")[0]["locked"], false, "{ended}");
            let faults = dir.text("faults");
            for call in ["flock", "link", "renameat2"] {
                let is_hit = |line: &str| line.contains(call) && line.contains("(INJECTED)");
                assert!(faults.lines().any(is_hit), "{call}: {faults}");
            }
            finishes(&dir, TASKS, &ended);
        }
    }
}

//! Files in the making that a process which was killed left behind: gone when nobody can be writing them any more.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::{TASK, work};
use crate::support::Dir;

const OWN: &str = "out/.container_1_results.json.aB3xYz.tmp";
const OTHERS: &str = "out/.container_2_results.json.aB3xYz.tmp";
const LIST: &str = "out/.inputs.jsonl.aB3xYz.tmp";
const MERGED: &str = "out/.final_results.json.aB3xYz.tmp";
const THEIRS: &str = "out/.notes.json.aB3xYz.tmp";

/// As if written so long ago.
fn leave(dir: &Dir, name: &str, age: Duration) {
    let path = dir.write(name, "[\n");
    File::options().append(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn what_a_killed_launch_or_merge_left_is_removed_by_the_next_when_it_is_nobodys() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for (age, old_ones_stay) in [(hours(1), true), (hours(25), false)] {
        let dir = Dir::with_inputs(2);
        work(dir.canfar_run()).replica(1, 2).sh("exit 1").run().exits(1);
        for name in [OWN, OTHERS, LIST, MERGED, THEIRS] {
            leave(&dir, name, age);
        }
        work(dir.canfar_run()).replica(1, 2).sh("exit 1").run().exits(1);
        assert!(!dir.exists(OWN), "there is one launch at a time: {}", dir.tree());
        assert_eq!(dir.exists(LIST), old_ones_stay, "{}", dir.tree());
        assert!([OTHERS, MERGED, THEIRS].iter().all(|name| dir.exists(name)), "{}", dir.tree());
        dir.canfar_run().args(["merge", "out"]).run().exits(3);
        assert_eq!(dir.exists(MERGED), old_ones_stay, "{}", dir.tree());
        assert!([OTHERS, THEIRS].iter().all(|name| dir.exists(name)), "{}", dir.tree());
        work(dir.canfar_run()).replica(2, 2).sh("exit 1").run().exits(1);
        work(dir.canfar_run()).replica(2, 2).sh("exit 1").run().exits(1);
        assert!(!dir.exists(OTHERS) && dir.exists(THEIRS), "{}", dir.tree());
    }
}

#[test]
fn a_launch_that_could_not_begin_leaves_no_journal_for_others_to_wait_for() {
    if !crate::support::require(crate::support::Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(2);
    let journal = dir.path("out/journal/1.1.jsonl").display().to_string();
    let fault = ["-P", &journal, "-e", "inject=write:error=ENOSPC"];
    let ended = work(super::with_fault(&dir, &fault)).sh(TASK).run().exits(4).says(&journal);
    assert!(!dir.exists("out/journal/1.1.jsonl") && !dir.exists("ran"), "{ended}");
}

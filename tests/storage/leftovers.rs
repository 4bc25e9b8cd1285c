//! Files in the making that a process which was killed left behind: gone when nobody can be writing them any more.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::{TASK, work};
use crate::support::{DEADLINE, Dir, Run, wait_until};

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

/// A launch of one of two replicas whose task waits in a temporary folder with something in it.
fn launch_in<'d>(dir: &'d Dir, tmp: &str, id: usize) -> Run<'d> {
    std::fs::create_dir_all(dir.path(tmp)).unwrap();
    let script = "mkdir -p \"$TMPDIR/a/b\" && echo > \"$TMPDIR/a/b/c\" && echo >> began
while [ -e hold ]; do sleep 0.01; done";
    dir.launch().args(["-j", "1", "--tmp-dir", tmp]).replica(id, 2).sh(script)
}

#[test]
fn temporary_folders_of_killed_launches_are_removed_by_the_next_on_the_host_and_no_others() {
    let dir = Dir::with_inputs(8);
    dir.write("hold", "");
    let mut begun = 0;
    let mut start = |id| {
        let running = launch_in(&dir, "tmp", id).start();
        begun += 1;
        wait_until(DEADLINE, "its task began", || dir.lines("began").len() == begun);
        running
    };
    // Twice the same replica, so that the second one finds what the first one left.
    start(1).kill();
    start(1).kill();
    assert_eq!(dir.names("tmp").len(), 1, "{}", dir.tree());
    let living = start(2);
    assert_eq!(dir.names("tmp").len(), 1, "{}", dir.tree());
    start(1).kill();
    assert_eq!(dir.names("tmp").len(), 2, "{}", dir.tree());
    std::fs::remove_file(dir.path("hold")).unwrap();
    living.wait().exits(0);
    assert_eq!(dir.names("tmp").len(), 1, "{}", dir.tree());
    launch_in(&dir, "tmp", 1).run().exits(0).says("removed 1 temporary folder that killed launches");
    assert_eq!(dir.names("tmp"), Vec::<String>::new());
}

#[test]
fn what_a_living_launch_of_another_replica_has_is_left_to_it() {
    let dir = Dir::with_inputs(2);
    dir.write("hold", "");
    let first = launch_in(&dir, "tmp", 1).start();
    wait_until(DEADLINE, "its task began", || dir.lines("began").len() == 1);
    let second = launch_in(&dir, "tmp", 2).start();
    wait_until(DEADLINE, "its task began", || dir.lines("began").len() == 2);
    assert_eq!(dir.names("tmp").len(), 2);
    std::fs::remove_file(dir.path("hold")).unwrap();
    first.wait().exits(0);
    second.wait().exits(0).says_not("temporary folder");
    assert_eq!(dir.names("tmp"), Vec::<String>::new());
}

#[test]
fn a_tasks_folder_has_a_path_that_is_hardly_longer_than_the_one_it_is_in() {
    for worker in [false, true] {
        let dir = Dir::with_inputs(20);
        std::fs::create_dir(dir.path("tmp")).unwrap();
        let run = dir.launch().args(["--tmp-dir", "tmp", "-j", "4"]);
        let script = "echo > \"$TMPDIR/left\"; echo \"$TMPDIR\" >> folders";
        let run = if worker {
            let script = format!("{script}; while read -r line; do {script}; echo '{{\"n\": 1}}'; done");
            run.args(["--worker", "--", "/bin/sh", "-c", &script])
        } else {
            run.sh(script)
        };
        run.run().exits(0);
        let longest = dir.lines("folders").iter().map(String::len).max().unwrap();
        // 107 characters has a socket, 32 of them take what Python's managers make, 64 may have what they are in.
        assert!(longest - dir.path("tmp").as_os_str().len() <= 11, "{:?}", dir.lines("folders"));
    }
}

//! Launches that were frozen and wake up behind a newer one.

use rustix::process::{Pid, Signal, kill_process};

use super::{hold, let_go, on, signal, signal_replica, wait_for_attempts, work};
use crate::crash::{Witness, assert_all_right};
use crate::support::{Component, DEADLINE, Dir, Process, require, wait_until};

const OURS: [&str; 3] = ["journal/1.1.jsonl", "logs/1.1.log", "container_1_results.json"];

/// What the first launch may write to, as far as it is there.
fn written(dir: &Dir) -> [Option<Vec<u8>>; 3] {
    OURS.map(|name| std::fs::read(dir.path("out").join(name)).ok())
}

#[test]
fn a_frozen_launch_that_wakes_up_behind_a_newer_one_ends_its_tasks_and_writes_nothing_more() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(6);
    hold(&dir, 1, &[1, 2]);
    hold(&dir, 2, &[5]);
    let first = work(on(&dir, "alpha", &[])).start();
    wait_for_attempts(&dir, 3);
    wait_until(DEADLINE, "one has ended", || dir.events_of(1, 1, "end").len() == 1);
    signal(&dir, 1, Signal::STOP);
    // One of its tasks ends meanwhile and waits to be noted; the other goes on.
    let_go(&dir, 1, 1);
    let before = written(&dir);
    let tasks: Vec<i32> = dir.lines("pids")[1..3].iter().map(|pid| pid.parse().unwrap()).collect();

    let second = work(on(&dir, "beta", &[])).start();
    wait_until(DEADLINE, "the newer one works", || {
        dir.lines("began").iter().any(|task| task.contains(".5.1.2."))
    });
    assert_eq!(written(&dir), before);
    signal(&dir, 1, Signal::CONT);
    first.wait().exits(3).says("a newer launch of this replica took over");
    assert_eq!(written(&dir), before);
    for task in tasks {
        assert!(Process::read(task).is_none_or(|process| process.is_zombie()), "{task} still runs");
    }
    assert!(dir.names("out").iter().all(|name| !name.contains(".tmp")), "{}", dir.tree());

    let_go(&dir, 2, 5);
    second.wait().exits(0);
    let witness = Witness { dir: &dir, replicas: 1 };
    assert_eq!((witness.repeated(), witness.doubled()), (vec![], vec![]));
    assert_eq!(dir.results(1).len(), 6);
    assert_eq!(witness.merge(), Some(0));
    assert_all_right(&dir, 6);
}

#[test]
fn a_frozen_launch_that_wakes_up_when_its_run_was_moved_away_leaves_the_new_run_alone() {
    let dir = Dir::with_inputs(3);
    let task = "mkdir begun 2>/dev/null && while [ -e hold/1.0 ]; do sleep 0.01; done
echo \"{\\\"twice\\\": $((2 * $(cat \"$1\")))}\"";
    let launch = || dir.launch().sh(task);
    hold(&dir, 1, &[0]);
    let first = launch().start();
    wait_until(DEADLINE, "the first one works", || dir.exists("begun"));
    signal(&dir, 1, Signal::STOP);
    std::fs::rename(dir.path("out"), dir.path("moved")).unwrap();
    let old = dir.text("moved/journal/1.1.jsonl");
    launch().run().exits(0);
    let before = written(&dir);
    let_go(&dir, 1, 0);
    signal_pid(&old, Signal::CONT);
    first.wait().exits(3).says("was moved away from").says(&dir.path("out").to_string_lossy());
    assert_eq!(written(&dir), before);
    assert!(!dir.exists("moved/container_1_results.json"));
    assert_eq!(dir.results(1).len(), 3);
}

/// Signals who wrote a journal.
fn signal_pid(journal: &str, signal: Signal) {
    let begun: serde_json::Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    let pid = i32::try_from(begun["pid"].as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

const RENAMES: &str = "trace=rename,renameat,renameat2";

/// Long enough to be frozen meanwhile.
const ASLEEP: &str = "inject=rename,renameat,renameat2:delay_enter=4s:when=1";

#[test]
fn results_of_a_launch_that_fell_asleep_as_it_renamed_them_replace_no_newer_ones() {
    if !require(Component::OtherHosts) || !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(4);
    dir.write("bad", "");
    // The list is there before, and the first file to be renamed is the one with the results.
    let fails = "[ \"${1##*/}\" = 003.fits ] && [ -e bad ] && exit 1
echo \"$CANFAR_TASK_ID\" >> began; echo \"{\\\"twice\\\": $((2 * $(cat \"$1\")))}\"";
    let launch = |host, before: &[&str], id| {
        on(&dir, host, before).args(["-i", "data/*.fits", "-o", "out"]).replica(id, 2).sh(fails)
    };
    launch("alpha", &[], 1).run().exits(0);
    let strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", RENAMES, "-e", ASLEEP];
    let first = launch("alpha", &strace, 2).start();
    let in_the_making = || dir.names("out").iter().any(|name| name.starts_with(".container_2_results.json"));
    let has_ended = || dir.events_of(2, 1, "end").len() == 2;
    wait_until(DEADLINE, "it is about to rename", || has_ended() && in_the_making());
    signal_replica(&dir, 2, 1, Signal::STOP);
    std::fs::remove_file(dir.path("bad")).unwrap();
    launch("beta", &[], 2).run().exits(0);
    assert_eq!(dir.results(2).len(), 2);
    let journal = dir.bytes("out/journal/2.1.jsonl");
    signal_replica(&dir, 2, 1, Signal::CONT);
    first.wait().exits(3).says("a newer launch of this replica took over");
    // It was past the last moment at which it could have looked, but the newer one had cleared away what it was to rename.
    assert_eq!(dir.results(2).len(), 2);
    assert_eq!(dir.bytes("out/journal/2.1.jsonl"), journal);

    let witness = Witness { dir: &dir, replicas: 2 };
    assert_eq!(witness.merge(), Some(0));
    assert_all_right(&dir, 4);
    launch("beta", &[], 2).run().exits(0);
    assert_eq!(dir.results(2).len(), 2);
    assert_eq!((witness.began().len(), witness.repeated()), (4, vec![]));
}

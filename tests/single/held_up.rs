//! Launches, lists and merges that wait for storage: as long as their process runs, nobody takes them for dead.

use crate::crash::{Witness, assert_all_right};
use crate::support::{Component, DEADLINE, Dir, Run, Running, require, wait_until};

use super::{TASK, hold, let_go, on, work};

/// More than twice as long as a quiet file is waited for here.
const HELD_UP: &str = "8s";

/// On another host, where these calls are each held up, the first or all of them.
fn held_up<'d>(dir: &'d Dir, calls: &str, when: &str) -> Run<'d> {
    let (trace, inject) =
        (format!("trace={calls}"), format!("inject={calls}:delay_enter={HELD_UP}:when={when}"));
    let strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "faults", "-e", &trace, "-e", &inject];
    on(dir, "alpha", &strace)
}

/// Launches the replica on another host again and again until the first launch has ended well. Tells how often that was
/// refused; so long its task is held.
#[track_caller]
fn try_to_take_over(dir: &Dir, mut first: Running<'_>) -> usize {
    let mut refused = 0;
    while !first.has_ended() {
        let second = work(on(dir, "beta", &[])).run();
        if second.code == Some(0) {
            // It came just as the first one had said its last words, and had nothing to run.
            assert!(dir.events_of(1, 1, "stop").len() == 1, "{second}");
        } else {
            second.exits(3).says("is already running: launch 1 on host alpha, pid ");
            refused += 1;
            if refused == 5 {
                let_go(dir, 1, 1);
            }
        }
    }
    first.wait().exits(0);
    refused
}

#[test]
fn whichever_sync_of_a_launch_is_held_up_no_other_host_takes_it_over() {
    if !require(Component::OtherHosts) || !require(Component::Strace) {
        return;
    }
    std::thread::scope(|scope| {
        // Of the journal: its first line, the first one in the background, all of them. Of the results, after those of the list:
        // the file, and its folder.
        for (calls, when) in
            [("fdatasync", "1"), ("fdatasync", "2"), ("fdatasync", "1+"), ("fsync", "3"), ("fsync", "4")]
        {
            scope.spawn(move || {
                let dir = Dir::with_inputs(3);
                hold(&dir, 1, &[1]);
                let first = work(held_up(&dir, calls, when)).start();
                wait_until(DEADLINE, "it begins", || !dir.events_of(1, 1, "run").is_empty());
                let refused = try_to_take_over(&dir, first);
                let faults = dir.text("faults");
                assert!(faults.contains("(DELAYED)"), "{calls} {when}: {faults}");
                assert!(refused >= 5, "{calls} {when}: refused {refused} times");
                let witness = Witness { dir: &dir, replicas: 1 };
                assert_eq!((witness.began().len(), witness.merge()), (3, Some(0)), "{calls} {when}");
                assert_all_right(&dir, 3);
            });
        }
    });
}

/// One of two replicas.
fn replica(run: Run<'_>, id: usize) -> Run<'_> {
    run.args(["-i", "data/*.fits", "-o", "out"]).replica(id, 2).sh(TASK)
}

#[test]
fn who_publishes_a_list_for_long_is_not_taken_for_dead() {
    if !require(Component::OtherHosts) || !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(4);
    let first = replica(held_up(&dir, "fsync", "1"), 1).start();
    let is_publishing = || dir.names("out").iter().any(|name| name.starts_with(".inputs.jsonl."));
    wait_until(DEADLINE, "it publishes", is_publishing);
    let second = replica(on(&dir, "beta", &[]), 2).run().exits(0);
    second.says("waiting for host alpha");
    first.wait().exits(0);
    let header = dir.lines("out/inputs.jsonl").remove(0);
    assert!(header.contains("\"host\":\"alpha\""), "{header}");
    assert!(dir.text("faults").contains("(DELAYED)"));
    let witness = Witness { dir: &dir, replicas: 2 };
    assert_eq!((witness.began().len(), witness.merge()), (4, Some(0)));
}

#[test]
fn of_two_merges_the_second_waits_for_the_first_however_long_that_takes() {
    if !require(Component::OtherHosts) || !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(3);
    work(on(&dir, "beta", &[])).run().exits(0);
    let first = held_up(&dir, "fsync", "1").args(["merge", "out"]).start();
    let is_writing = || dir.names("out").iter().any(|name| name.starts_with(".final_"));
    wait_until(DEADLINE, "it writes", is_writing);
    let mut second = on(&dir, "beta", &[]).args(["merge", "out"]).start();
    wait_until(DEADLINE, "the other waits", || second.stderr().contains("waiting for host alpha"));
    let third = on(&dir, "gamma", &[]).args(["merge", "out"]).start();
    while !dir.exists("out/final_summary.json") {
        assert!(!second.has_ended(), "{}", second.stderr());
    }
    for merge in [first, second, third] {
        merge.wait().exits(0);
    }
    assert!(dir.text("faults").contains("(DELAYED)"));
    assert_eq!(dir.json("out/final_results.json").as_array().unwrap().len(), 3);
    assert!(!dir.names("out").iter().any(|name| name.contains("listing") || name.contains(".tmp")));
}

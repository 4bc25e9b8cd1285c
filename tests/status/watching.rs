//! `--wait` and `--watch`: until all is over, and no longer.

use rustix::process::Signal;

use super::{at_work, let_go, name, replica, status};
use crate::support::{Component, DEADLINE, Dir, Run, require, wait_until};

#[test]
fn who_waits_is_told_how_it_ended_as_soon_as_nobody_is_at_work() {
    for (is_bad, count, code) in [(false, 1, 0), (true, 1, 1), (false, 2, 3)] {
        let dir = Dir::with_inputs(2);
        if is_bad {
            dir.write(format!("bad/{}", name(1)), "");
        }
        let running = at_work(&dir, 1, count, 0);
        let mut waiting = status(&dir).args(["--wait", "--json"]).start();
        assert!(!waiting.has_ended());
        let_go(&dir);
        let printed = waiting.wait().exits(code).json();
        assert_eq!(printed["complete"], code != 3);
        running.wait().exits(i32::from(is_bad));
        status(&dir).arg("--wait").run().exits(code);
    }
}

#[test]
fn a_replica_that_dies_ends_the_waiting() {
    let dir = Dir::with_inputs(2);
    let running = at_work(&dir, 1, 1, 0);
    let waiting = status(&dir).arg("--wait").start();
    running.kill();
    let text = waiting.wait().exits(3).printed();
    assert!(text.contains("its only replica: silent"), "{text}");
}

#[test]
fn who_waits_goes_on_waiting_where_storage_fails_for_a_moment() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(2);
    let running = at_work(&dir, 1, 1, 0);
    let journal = dir.path("out/journal/1.1.jsonl").display().to_string();
    let fails_twice = ["-P", &journal, "-e", "inject=openat:error=EIO:when=1..2"];
    let strace = Run::of(&dir, "strace").args(["-f", "-qq", "-o", "faults"]).args(fails_twice);
    let strace = strace.arg(env!("CARGO_BIN_EXE_canfar-run"));
    let mut waiting = strace.args(["status", "out", "--wait", "--json"]).start();
    let failed = || dir.lines("faults").iter().filter(|line| line.contains("(INJECTED)")).count();
    wait_until(DEADLINE, "two looks fail", || failed() == 2);
    assert!(!waiting.has_ended());
    let_go(&dir);
    running.wait().exits(0);
    let printed = waiting.wait().exits(0).json();
    assert_eq!(printed["complete"], true, "{printed}");
}

#[test]
fn who_watches_sees_each_change_of_state_and_the_end() {
    let dir = Dir::with_inputs(2);
    let running = at_work(&dir, 1, 2, 0);
    let watching = status(&dir).args(["--watch", "--json"]).start();
    let seen = || watching.printed().lines().count();
    wait_until(DEADLINE, "the first look", || seen() >= 1);
    let_go(&dir);
    running.wait().exits(0);
    wait_until(DEADLINE, "the end of a replica", || seen() >= 2);
    replica(&dir, 2, 2).run().exits(0);
    let printed = watching.wait().exits(0).printed();
    assert!(printed.lines().last().unwrap().contains("\"complete\":true"), "{printed}");
}

#[test]
fn a_signal_ends_the_watching_quietly() {
    let dir = Dir::with_inputs(2);
    let running = at_work(&dir, 1, 1, 0);
    let watching = status(&dir).arg("--watch").start();
    wait_until(DEADLINE, "the first look", || !watching.printed().is_empty());
    watching.signal(Signal::INT);
    let ended = watching.wait().exits(130);
    assert_eq!(ended.stderr, "");
    running.kill();
}

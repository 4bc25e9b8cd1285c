//! Launches of one replica on several hosts, whose clocks differ.

use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::{hold, let_go, on, signal, wait_for_attempts, work};
use crate::crash::{Witness, assert_all_right};
use crate::support::{Component, DEADLINE, Dir, require, wait_until};

const WATCHES: &str = "watching its journal";

/// What comes before a program whose clock is off by `offset`. faketime keeps what its processes share under names made of
/// process ids, which stay when it is killed and are then in the way of a later one: so each has a /dev/shm of its own.
fn with_clock(offset: &str) -> [&str; 8] {
    let private = "mount -t tmpfs none /dev/shm; exec \"$0\" \"$@\"";
    ["unshare", "--mount", "/bin/sh", "-c", private, "faketime", "-f", offset]
}

fn has_clocks() -> bool {
    require(Component::OtherHosts) && require(Component::PrivateMounts) && require(Component::Faketime)
}

#[test]
fn whatever_the_clocks_say_a_launch_that_lives_is_left_alone_and_one_that_died_is_followed() {
    if !has_clocks() {
        return;
    }
    let dir = Dir::with_inputs(4);
    hold(&dir, 1, &[1]);
    let first = work(on(&dir, "alpha", &with_clock("+3h"))).start();
    wait_for_attempts(&dir, 4);
    let second = || work(on(&dir, "beta", &with_clock("-25m")));
    second().run().exits(3).says("is already running: launch 1 on host alpha, pid ");
    let reset = || on(&dir, "beta", &with_clock("-2h")).args(["reset", "out"]);
    reset().run().exits(3).says("is still active (replica 1)");

    // It dies while it is watched, and its journal is of tomorrow. Frozen before, so that no heartbeat comes in between.
    signal(&dir, 1, Signal::STOP);
    let second = second().start();
    wait_until(DEADLINE, "it is watched", || second.stderr().contains(WATCHES));
    signal(&dir, 1, Signal::KILL);
    first.kill();
    let journal = std::fs::File::options().append(true).open(dir.path("out/journal/1.1.jsonl")).unwrap();
    journal.set_modified(SystemTime::now() + Duration::from_hours(24)).unwrap();
    let_go(&dir, 1, 1);
    second.wait().exits(0);

    let witness = Witness { dir: &dir, replicas: 1 };
    assert_eq!((witness.began().len(), witness.repeated(), witness.doubled()), (5, vec![], vec![]));
    assert_eq!(witness.merge(), Some(0));
    assert_all_right(&dir, 4);
    reset().run().exits(0);
    assert!(!dir.exists("out/inputs.jsonl"));
}

#[test]
fn after_a_kill_the_same_host_goes_on_at_once_whatever_its_clock() {
    if !has_clocks() {
        return;
    }
    let dir = Dir::with_inputs(4);
    for (launch, clock) in [(1, "+3h"), (2, "-3h"), (3, "+0s")] {
        hold(&dir, launch, &[3]);
        let running = work(on(&dir, "alpha", &with_clock(clock))).start();
        wait_for_attempts(&dir, 3 + launch);
        assert!(!running.stderr().contains(WATCHES), "{}", running.stderr());
        if launch < 3 {
            signal(&dir, launch, Signal::KILL);
            running.kill();
        } else {
            let_go(&dir, launch, 3);
            running.wait().exits(0);
        }
    }
    let witness = Witness { dir: &dir, replicas: 1 };
    assert_eq!((witness.repeated(), witness.doubled()), (vec![], vec![]));
    assert_eq!(witness.merge(), Some(0));
    assert_all_right(&dir, 4);
    std::fs::remove_dir_all(dir.path("hold")).unwrap();
}

#[test]
fn a_run_whose_replica_lives_elsewhere_is_not_moved_away_though_its_journal_seems_old() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(3);
    hold(&dir, 1, &[2]);
    let running = work(on(&dir, "alpha", &[])).start();
    wait_for_attempts(&dir, 3);
    wait_until(DEADLINE, "two have ended", || dir.events_of(1, 1, "end").len() == 2);
    let journal = std::fs::File::options().append(true).open(dir.path("out/journal/1.1.jsonl")).unwrap();
    let reset = || {
        journal.set_modified(SystemTime::now() - Duration::from_hours(2)).unwrap();
        on(&dir, "beta", &[]).args(["reset", "out"]).run().exits(3).says("is still active (replica 1)")
    };
    // A heartbeat in between makes it look young again.
    let watched = (0..5).map(|_| reset()).find(|ended| ended.stderr.contains(WATCHES));
    watched.unwrap().says("replica 1 left no stop record; watching");
    let_go(&dir, 1, 2);
    running.wait().exits(0);
    assert_eq!(Witness { dir: &dir, replicas: 1 }.merge(), Some(0));
}

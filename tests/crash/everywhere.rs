//! SIGKILL at chosen moments: at every system call that lists, writes, syncs, renames or links, one after the other.

use super::{TASK, Witness, assert_all_right};
use crate::support::{Component, Dir, Run, require};

/// Where a kill could matter: as the list is made, published and read, as the journal begins and grows, as results are
/// written, synced and put at their place.
const CALLS: [&str; 9] = [
    "getdents64",
    "mkdir",
    "write",
    "fsync",
    "fdatasync",
    "flock,fcntl",
    "rename,renameat,renameat2",
    "link,linkat",
    "unlink,rmdir",
];

const TASKS: u64 = 4;

fn work(run: Run<'_>) -> Run<'_> {
    // What other launches left in the usual folder costs calls, too.
    run.args(["-i", "data/*.fits", "-o", "out", "--tmp-dir", ".", "-j", "2", "--rerun", "all"]).sh(TASK)
}

/// A launch that is killed as one of its threads enters such a call for the `nth` time; `false` when none did.
fn killed_at(dir: &Dir, calls: &str, nth: usize) -> bool {
    let inject = format!("inject={calls}:signal=SIGKILL:when={nth}");
    let strace = Run::of(dir, "strace").args(["-f", "-qq", "-o", "/dev/null", "-e", &inject]);
    work(strace.arg(env!("CARGO_BIN_EXE_canfar-run"))).run().signal == Some(9)
}

#[test]
fn killed_at_any_call_that_touches_storage_the_next_launch_does_exactly_the_rest() {
    if !require(Component::Strace) {
        return;
    }
    let kills: usize = std::thread::scope(|scope| {
        let each: Vec<_> = CALLS
            .iter()
            .flat_map(|calls| (1..=APART).map(|first| (*calls, first)))
            .map(|(calls, first)| scope.spawn(move || kill_at_each(calls, first)))
            .collect();
        each.into_iter().map(|kills| kills.join().unwrap()).sum()
    });
    eprintln!("{kills} kills");
    assert!(kills > 20, "{kills} kills: strace did not do its work");
}

/// So many series go on side by side for each call: who finds a journal without its first line waits half a minute.
const APART: usize = 2;

/// More of any call than a launch of so few tasks makes.
const MOST: usize = 500;

/// Kills a launch at the `first` such call, and others later on, until there is none left to be killed at.
fn kill_at_each(calls: &str, first: usize) -> usize {
    let mut kills = 0;
    for nth in (first..MOST).step_by(APART) {
        let dir = Dir::with_inputs(usize::try_from(TASKS).unwrap());
        let witness = Witness { dir: &dir, replicas: 1 };
        let was_killed = killed_at(&dir, calls, nth);
        witness.merge();
        let ended = work(dir.canfar_run()).run();
        assert_eq!(ended.code, Some(0), "killed at {calls} {nth}: {ended}");
        assert_eq!(witness.merge(), Some(0), "killed at {calls} {nth}: {ended}");
        assert_all_right(&dir, TASKS);
        let (lost, repeated, doubled) = (witness.lost(), witness.repeated(), witness.doubled());
        assert_eq!(
            (lost.len(), repeated.len(), doubled.len()),
            (0, 0, 0),
            "killed at {calls} {nth}: {ended}"
        );
        if !was_killed {
            return kills;
        }
        kills += 1;
    }
    panic!("{calls}: {kills} times and more, for {TASKS} tasks");
}

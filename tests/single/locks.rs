//! File systems without locks, and with locks that keep nobody out.

use super::{hold, let_go, on, wait_for_attempts, work};
use crate::crash::{Witness, assert_all_right};
use crate::support::{Component, Dir, require};

fn one_at_a_time_with(flock: &str) {
    let dir = Dir::with_inputs(3);
    hold(&dir, 1, &[2]);
    let inject = format!("inject=flock:{flock}");
    let launch = || {
        work(on(
            &dir,
            "alpha",
            &["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", &inject],
        ))
    };
    let first = launch().start();
    wait_for_attempts(&dir, 3);
    assert_eq!(dir.events_of(1, 1, "run")[0]["locked"], false, "{flock}");
    launch().run().exits(3).says("is already running: launch 1 on host alpha, pid ");
    let_go(&dir, 1, 2);
    first.wait().exits(0);
    let witness = Witness { dir: &dir, replicas: 1 };
    assert_eq!(witness.began().len(), 3, "{flock}");
    assert_eq!(witness.merge(), Some(0), "{flock}");
    assert_all_right(&dir, 3);
}

#[test]
fn without_locks_and_with_locks_that_lie_still_one_works_at_a_time() {
    if !require(Component::OtherHosts) || !require(Component::Strace) {
        return;
    }
    std::thread::scope(|scope| {
        for flock in ["error=ENOSYS", "error=ENOLCK", "error=EOPNOTSUPP", "retval=0"] {
            scope.spawn(move || one_at_a_time_with(flock));
        }
    });
}

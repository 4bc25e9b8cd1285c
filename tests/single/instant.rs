//! Launches in one instant.

use std::collections::BTreeSet;

use super::{TASK, work};
use crate::crash::{Witness, assert_all_right};
use crate::support::{Dir, Run, at_once};

/// `CANFAR_RUN_TEST_ROUNDS`, for more than what every test run can afford.
fn rounds() -> usize {
    std::env::var("CANFAR_RUN_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

/// One of fifty replicas.
fn work_as<'d>(_: &'d Dir, id: usize) -> impl FnOnce(Run<'d>) -> Run<'d> {
    move |run| run.args(["-i", "data/*.fits", "-o", "out", "-j", "1"]).replica(id, 50).sh(TASK)
}

#[test]
fn fifty_replicas_in_one_instant_agree_on_one_list_and_complete_it() {
    for round in 1..=rounds() {
        let dir = Dir::with_inputs(60);
        let replicas = (1..=50).map(|id| work_as(&dir, id));
        for running in at_once(&dir, replicas) {
            running.wait().exits(0);
        }
        let run_of = |id| dir.events_of(id, 1, "run")[0]["run"].to_string();
        assert_eq!((1..=50).map(run_of).collect::<BTreeSet<_>>().len(), 1, "round {round}");
        let witness = Witness { dir: &dir, replicas: 50 };
        assert_eq!(witness.merge(), Some(0), "round {round}");
        assert_all_right(&dir, 60);
        assert_eq!((witness.began().len(), witness.lost(), witness.doubled()), (60, vec![], vec![]));
        assert!(!dir.exists("out/inputs.listing"));
    }
    eprintln!("{} rounds of 50 replicas", rounds());
}

#[test]
fn of_two_launches_of_one_replica_in_one_instant_one_works_and_the_other_says_who_does() {
    let mut refused = 0;
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    for round in 1..=50 {
        let dir = Dir::with_inputs(3);
        let mut ended: Vec<_> =
            at_once(&dir, [work, work]).into_iter().map(crate::support::Running::wait).collect();
        ended.sort_by_key(|ended| ended.code);
        let second = ended.pop().unwrap();
        ended.pop().unwrap().exits(0);
        if second.code != Some(0) {
            refused += 1;
            second.exits(3).says("is already running: launch 1 on host ").says(&format!("{host}, pid "));
        }
        let witness = Witness { dir: &dir, replicas: 1 };
        assert_eq!(witness.began().len(), 3, "round {round}");
        assert_eq!(witness.merge(), Some(0), "round {round}");
        assert_all_right(&dir, 3);
    }
    assert!(refused > 0, "none came while the other one was at work");
}

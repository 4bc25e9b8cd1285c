//! Where no work is shared there are no claims, and all is as it was.

use std::collections::BTreeMap;

use super::{Cluster, Host, Truth};
use crate::support::{Component, Dir, require};

const TASKS: usize = 23;
const REPLICAS: usize = 4;

/// The replicas that ran each task.
fn ran(dir: &Dir) -> BTreeMap<u64, usize> {
    Truth::of(dir).executions().into_iter().map(|one| (one.index, one.replica)).collect()
}

/// A run of replicas that start together.
#[track_caller]
fn whole_run(options: &[&str]) -> Dir {
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = Cluster::new(&dir, REPLICAS).options(options);
    (1..=REPLICAS).for_each(|replica| cluster.start(replica, Host::Shared));
    cluster.all_end_well();
    Truth::of(&dir).is_whole(TASKS);
    drop(cluster);
    assert_eq!(Truth::of(&dir).executions().len(), TASKS);
    dir
}

#[test]
fn chunk_and_stripe_and_runs_without_balance_give_each_replica_its_share_and_make_no_claims() {
    if !require(Component::OtherHosts) {
        return;
    }
    let of_chunk = |index: usize| (index / (TASKS / REPLICAS)).min(REPLICAS - 1) + 1;
    let of_stripe = |index: usize| index % REPLICAS + 1;
    // 23 on 4 replicas are 6, 6, 6 and 5.
    let of_even = |index: usize| index / 6 + 1;
    let expected = |of: &dyn Fn(usize) -> usize| (0..TASKS).map(|index| (index as u64, of(index))).collect();
    for (options, shares) in [
        (&["--strategy", "chunk"][..], expected(&of_chunk)),
        (&["--strategy", "stripe"], expected(&of_stripe)),
        (&["--balance=false"], expected(&of_even)),
    ] {
        let dir = whole_run(options);
        assert_eq!(ran(&dir), shares, "{options:?}");
        assert!(!dir.exists("out/claims"), "{options:?}\n{}", dir.tree());
    }
}

#[test]
fn a_run_of_one_replica_makes_no_claims() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(5);
    let mut cluster = Cluster::new(&dir, 1);
    cluster.start(1, Host::Shared);
    cluster.all_end_well();
    Truth::of(&dir).is_whole(5);
    assert!(!dir.exists("out/claims"), "{}", dir.tree());
}

#[test]
fn chunk_and_stripe_share_when_they_are_asked_to_and_so_do_even_and_size() {
    if !require(Component::OtherHosts) {
        return;
    }
    for strategy in ["chunk", "stripe", "even", "size"] {
        let dir = Dir::with_inputs(TASKS);
        let mut cluster = Cluster::new(&dir, REPLICAS).options(&["--strategy", strategy, "--balance"]);
        // Half of them never start.
        for replica in [2, 3] {
            cluster.start(replica, if replica == 2 { Host::Shared } else { Host::Own });
        }
        cluster.all_end_well();
        Truth::of(&dir).is_whole(TASKS);
        assert_eq!(Truth::of(&dir).executions().len(), TASKS, "{strategy}");
        assert_eq!(Truth::of(&dir).takeovers(), 0, "{strategy}");
    }
}

#[test]
fn a_replica_that_starts_when_others_have_done_its_share_has_nothing_to_do() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = Cluster::sharing(&dir, REPLICAS);
    cluster.start(1, Host::Shared);
    cluster.all_end_well();
    assert_eq!(Truth::of(&dir).begun_by(1).len(), TASKS);
    for replica in 2..=REPLICAS {
        cluster.start(replica, Host::Own);
    }
    cluster.all_end_well();
    Truth::of(&dir).is_whole(TASKS);
    assert_eq!(Truth::of(&dir).executions().len(), TASKS);
}

//! A replica that is frozen for so long that others take it for dead, and that wakes up.

use super::{Cluster, Host, Truth};
use crate::support::{Component, DEADLINE, Dir, require, wait_until};

const TASKS: usize = 30;
const REPLICAS: usize = 3;

/// Three replicas on hosts of their own; the first one is frozen with tasks under way and more to come.
fn frozen(dir: &Dir) -> Cluster<'_> {
    let mut cluster = Cluster::sharing(dir, REPLICAS);
    cluster.hold(1);
    cluster.start(1, Host::Own);
    wait_until(DEADLINE, "two tasks are under way", || Truth::of(dir).begun_by(1).len() == 2);
    cluster.freeze(1);
    for replica in [2, 3] {
        cluster.start(replica, Host::Own);
    }
    cluster
}

#[test]
fn a_replica_that_was_frozen_begins_nothing_that_others_have_by_then() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = frozen(&dir);
    let truth = Truth::of(&dir);
    wait_until(DEADLINE, "the others have done all of it", || truth.recorded() == TASKS);
    let before = truth.begun_by(1);
    cluster.let_go(1);
    cluster.wake(1);
    cluster.all_end_well();
    assert_eq!(truth.begun_by(1), before);
    truth.is_whole(TASKS);
    assert!(truth.unexplained(&cluster).is_empty(), "{:?}", truth.repeated());
}

#[test]
fn a_replica_that_wakes_while_others_are_at_it_begins_nothing_that_it_lost() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = frozen(&dir);
    let truth = Truth::of(&dir);
    wait_until(DEADLINE, "a block is taken over", || truth.takeovers() > 0);
    let lost: Vec<_> =
        truth.claims().into_iter().filter(|(_, by)| by.len() > 1).map(|(block, _)| block).collect();
    let before = truth.begun_by(1);
    cluster.let_go(1);
    cluster.wake(1);
    cluster.all_end_well();
    truth.is_whole(TASKS);
    // The last claim of what it had lost by then is another one's.
    for block in lost {
        assert_ne!(truth.claims()[&block].last_key_value().unwrap().1, &Some(1), "{block:?}");
    }
    let others = truth.executions().into_iter().filter(|one| one.replica != 1);
    let by_others: std::collections::BTreeSet<u64> = others.map(|one| one.index).collect();
    let begun_later: Vec<u64> = truth.begun_by(1).difference(&before).copied().collect();
    let twice: Vec<_> = begun_later.iter().filter(|index| by_others.contains(index)).collect();
    assert!(twice.is_empty(), "{twice:?} of {begun_later:?}: {}", dir.tree());
}

//! What a replica that died has left is taken over while there is still other work.

use serde_json::Value;

use crate::support::{Component, DEADLINE, Dir, require, wait_until};

use super::{Cluster, Host, Truth};

const TASKS: usize = 120;

#[test]
fn what_the_next_one_left_is_taken_over_while_there_is_other_work() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = Cluster::sharing(&dir, 3);
    let claims = || dir.events_of(1, 1, "claim");
    let started = |replica| dir.events_of(replica, 1, "start").len();
    // The last one is the next one for the first as long as there is no other.
    cluster.hold(3);
    cluster.start(3, Host::Shared);
    wait_until(DEADLINE, "the last one is at work", || started(3) == 2);
    cluster.start(1, Host::Shared);
    wait_until(DEADLINE, "the first one has looked for the next one", || claims().len() >= 3);
    cluster.hold(1);
    cluster.hold(2);
    cluster.start(2, Host::Shared);
    wait_until(DEADLINE, "the second one is at work", || started(2) == 2);
    let heartbeats = || dir.events_of(1, 1, "alive").len();
    let before = heartbeats();
    wait_until(DEADLINE, "the first one has looked around", || heartbeats() >= before + 3);
    assert!(cluster.kill(2));
    cluster.let_go(1);
    let is_taken_over = |claim: &Value| claim["claim"].as_str().unwrap().ends_with("/2.1");
    wait_until(DEADLINE, "what the second one left is taken over", || claims().iter().any(is_taken_over));
    cluster.let_go(3);
    cluster.all_end_well();
    Truth::of(&dir).is_whole(TASKS);
    let claims = claims();
    let first_taken_over = claims.iter().position(is_taken_over);
    let last_of_its_own = claims.iter().rposition(|claim| claim["claim"].as_str().unwrap().ends_with("/1.0"));
    assert!(first_taken_over < last_of_its_own, "{claims:?}");
}

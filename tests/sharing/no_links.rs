//! Storage that refuses links, as some does.

use std::path::Path;

use super::cluster::on_host_of;
use super::{Cluster, Truth};
use crate::support::{Component, DEADLINE, Dir, python, require, wait_until};

const REPLICAS: usize = 5;
const TASKS: usize = 40;

#[test]
fn where_links_are_refused_replicas_share_and_take_over_all_the_same() {
    if !require(Component::OtherHosts) || !require(Component::Python("ctypes")) {
        return;
    }
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = Cluster::sharing(&dir, REPLICAS);
    let truth = Truth::of(&dir);
    cluster.hold(1);
    // One of five never starts.
    for replica in 1..REPLICAS {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/no_links.py");
        let before = [python(), program].map(|path| path.display().to_string());
        cluster.start_as(replica, on_host_of(&dir, &format!("host-{replica}"), &before));
    }
    wait_until(DEADLINE, "two tasks are under way", || truth.begun_by(1).len() == 2);
    assert!(cluster.kill(1));
    cluster.all_end_well();
    truth.is_whole(TASKS);
    assert!(truth.unexplained(&cluster).is_empty(), "{:?}", truth.repeated());
    assert!(truth.takeovers() > 0);
}

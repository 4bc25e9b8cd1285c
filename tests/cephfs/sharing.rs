//! Eight replicas that share their work, four on each client: replicas are killed, a client is killed, a client is frozen.
//!
//! `CANFAR_RUN_TEST_CEPHFS_LONG=1` has what takes minutes, too; `CANFAR_RUN_TEST_CEPHFS_CONF` sets the server's tick.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::sharing::{Cluster, Truth};
use crate::support::{Component, DEADLINE, Ended, Nodes, Run, python, require, wait_until};

const REPLICAS: usize = 8;
/// These are on the first node.
const ON_FIRST: [usize; 4] = [1, 2, 3, 4];
const TASKS: usize = 96;

fn is_long() -> bool {
    std::env::var_os("CANFAR_RUN_TEST_CEPHFS_LONG").is_some()
}

/// What stands between a node and canfar-run.
#[derive(Debug, Clone, Copy)]
enum Links {
    Allowed,
    Refused,
}

fn on_node(nodes: &Nodes, replica: usize, links: Links) -> Run<'_> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/no_links.py");
    let before = match links {
        Links::Allowed => Vec::new(),
        Links::Refused => vec![python(), program],
    };
    if ON_FIRST.contains(&replica) { nodes.on_first_after(&before) } else { nodes.on_second_after(&before) }
}

/// All are started, and the first two of either node are in the midst of tasks.
fn begun(nodes: &Nodes, links: Links) -> Cluster<'_> {
    nodes.dir.add_inputs(TASKS);
    let mut cluster = Cluster::sharing(&nodes.dir, REPLICAS);
    for replica in [1, 2, 5, 6] {
        cluster.hold(replica);
    }
    for replica in 1..=REPLICAS {
        cluster.start_as(replica, on_node(nodes, replica, links));
    }
    for replica in [1, 2, 5, 6] {
        let is_in_the_midst = || Truth::of(&nodes.dir).begun_by(replica).len() == 2;
        wait_until(DEADLINE, "a replica has tasks", is_in_the_midst);
    }
    cluster
}

/// One on each node is killed.
fn killed(name: &str, links: Links) {
    let nodes = Nodes::new(name);
    let mut cluster = begun(&nodes, links);
    for (killed, let_go) in [(1, 2), (5, 6)] {
        assert!(cluster.kill(killed));
        cluster.let_go(let_go);
    }
    cluster.all_end_well();
    is_whole(&nodes, &cluster);
}

#[track_caller]
fn is_whole(nodes: &Nodes, cluster: &Cluster<'_>) {
    let truth = Truth::of(&nodes.dir);
    truth.is_whole(TASKS);
    let unexplained = truth.unexplained(cluster);
    assert!(unexplained.is_empty(), "{unexplained:?}\n{}", truth.story(&[]));
    eprintln!("{} executions, {} takeovers", truth.executions().len(), truth.takeovers());
}

#[test]
fn replicas_that_are_killed_are_taken_over_from_either_client() {
    if require(Component::Cephfs) {
        killed("sharing", Links::Allowed);
    }
}

#[test]
fn so_are_they_where_links_are_refused() {
    if is_long() && require(Component::Cephfs) {
        killed("sharing-no-links", Links::Refused);
    }
}

#[test]
fn replicas_whose_client_is_killed_are_taken_over_from_the_other_one() {
    if !is_long() || !require(Component::Cephfs) {
        return;
    }
    let nodes = Nodes::new("sharing-lost");
    let mut cluster = begun(&nodes, Links::Allowed);
    nodes.first.signal(Signal::KILL);
    // What they run may end; they can note it nowhere.
    [1, 2].into_iter().for_each(|replica| cluster.let_go(replica));
    let lost: Vec<Ended> = ON_FIRST.into_iter().map(|replica| cluster.wait_for(replica)).collect();
    for one in lost {
        assert!(matches!(one.code, Some(0 | 3 | 4)), "{one}");
        assert!(!one.stderr.contains("panicked"), "{one}");
    }
    ON_FIRST.into_iter().for_each(|replica| cluster.lost(replica));
    [5, 6].into_iter().for_each(|replica| cluster.let_go(replica));
    cluster.all_end_well();
    is_whole(&nodes, &cluster);
}

/// The first client is frozen for so long; the server gives up one that was silent for half a minute.
fn frozen(name: &str, time: Duration) {
    let nodes = Nodes::new(name);
    let mut cluster = begun(&nodes, Links::Allowed);
    nodes.first.signal(Signal::STOP);
    [5, 6].into_iter().for_each(|replica| cluster.let_go(replica));
    std::thread::sleep(time);
    nodes.first.signal(Signal::CONT);
    [1, 2].into_iter().for_each(|replica| cluster.let_go(replica));
    for replica in ON_FIRST {
        let ended = cluster.wait_for(replica);
        assert!(matches!(ended.code, Some(0 | 3 | 4)), "{ended}");
        assert!(!ended.stderr.contains("panicked"), "{ended}");
        cluster.lost(replica);
    }
    cluster.all_end_well();
    is_whole(&nodes, &cluster);
}

#[test]
fn a_client_that_is_frozen_for_a_third_of_a_minute_does_no_harm() {
    if is_long() && require(Component::Cephfs) {
        frozen("sharing-frozen-20", Duration::from_secs(20));
    }
}

#[test]
fn a_client_that_is_frozen_for_a_minute_does_no_harm() {
    if is_long() && require(Component::Cephfs) {
        frozen("sharing-frozen-60", Duration::from_mins(1));
    }
}

#[test]
fn a_client_that_is_frozen_for_two_minutes_does_no_harm() {
    if is_long() && require(Component::Cephfs) {
        frozen("sharing-frozen-120", Duration::from_mins(2));
    }
}

//! Launches of one replica after another, each with its share.

use rustix::process::{Pid, Signal, kill_process};

use crate::crash::{Witness, assert_all_right};
use crate::support::{Component, DEADLINE, Ended, Nodes, Run, Running, require, wait_until};

const TASKS: usize = 200;

/// Gives twice the number in its file. The first two replicas wait before their last tasks for as long as there is
/// `hold`, so that they are in the midst of it when something happens to them.
const TASK: &str = "read -r number < \"$1\" || :
while [ $REPLICA_ID -le 2 ] && [ $number -gt 150 ] && [ -e hold ]; do sleep 0.05; done
echo \"{\\\"twice\\\": $((2 * number))}\"";

/// One of four replicas.
fn replica(run: Run<'_>, id: usize) -> Run<'_> {
    let run = run.env("CANFAR_RUN_TEST_HEARTBEAT", "500ms").env("CANFAR_RUN_TEST_HEARTBEAT_TIMEOUT", "5s");
    run.args(["-i", "data/*.fits", "-o", "out", "-j", "2", "--strategy", "stripe", "--rerun", "all"])
        .replica(id, 4)
        .sh(TASK)
}

/// Two replicas on each node, those of the first one half through.
fn begun(nodes: &Nodes) -> Vec<Running<'_>> {
    nodes.dir.add_inputs(TASKS);
    nodes.dir.write("hold", "");
    let launches = [nodes.on_first(), nodes.on_first(), nodes.on_second(), nodes.on_second()];
    let running = launches.into_iter().zip(1..).map(|(run, id)| replica(run, id).start()).collect();
    for id in [1, 2] {
        wait_until(DEADLINE, "a replica is in the midst of it", || ended(nodes, id, 1) >= 30);
    }
    running
}

/// How many tasks a launch has ended.
fn ended(nodes: &Nodes, replica: usize, launch: usize) -> usize {
    nodes.dir.events_of(replica, launch, "end").len()
}

fn let_go(nodes: &Nodes) {
    std::fs::remove_file(nodes.dir.path("hold")).unwrap();
}

/// All files have one record, the right one, and what was recorded once was not run again.
#[track_caller]
fn assert_whole(nodes: &Nodes) {
    assert_eq!(Witness { dir: &nodes.dir, replicas: 4 }.merge(), Some(0));
    assert_all_right(&nodes.dir, TASKS as u64);
}

#[test]
fn a_replica_that_is_killed_goes_on_from_the_other_client() {
    if !require(Component::Cephfs) {
        return;
    }
    let nodes = Nodes::new("killed");
    let mut running = begun(&nodes);
    let mut pid = None;
    // A read beside the other client's writes may give nothing for once.
    wait_until(DEADLINE, "the journal tells the process", || {
        let run = nodes.dir.events_of(1, 1, "run").into_iter().next();
        pid = run.and_then(|run| Pid::from_raw(i32::try_from(run["pid"].as_i64()?).ok()?));
        pid.is_some()
    });
    kill_process(pid.unwrap(), Signal::KILL).unwrap();
    assert_eq!(running.remove(0).wait().signal, Some(9));
    let again = replica(nodes.on_second(), 1).start();
    let_go(&nodes);
    running.into_iter().chain([again]).for_each(|running| _ = running.wait().exits(0));
    assert!(ended(&nodes, 1, 1) >= 30);
    assert_eq!(ended(&nodes, 1, 1) + ended(&nodes, 1, 2), TASKS / 4);
    assert_whole(&nodes);
}

#[test]
fn replicas_whose_client_is_killed_say_so_and_go_on_from_the_other_client() {
    if !require(Component::Cephfs) {
        return;
    }
    let nodes = Nodes::new("lost");
    let running = begun(&nodes);
    nodes.first.signal(Signal::KILL);
    let all: Vec<Ended> = running.into_iter().map(Running::wait).collect();
    for (id, one) in (1..).zip(all) {
        if id > 2 {
            one.exits(0);
            continue;
        }
        let lost = one.exits(4).says("The storage is gone").says_not("Free some space");
        let kept = ended(&nodes, id, 1);
        let told = lost.stderr.split(&format!("replica {id} of 4: ")).last().unwrap();
        let told: usize = told.split(' ').next().unwrap().parse().unwrap();
        assert!(told <= kept, "{told} files are said to be done and {kept} are kept: {lost}");
    }
    let_go(&nodes);
    for id in [1, 2] {
        replica(nodes.on_second(), id).run().exits(0);
    }
    assert_whole(&nodes);
}

#[test]
fn a_client_that_is_frozen_for_a_while_costs_only_that_time() {
    if !require(Component::Cephfs) {
        return;
    }
    let nodes = Nodes::new("frozen");
    let running = begun(&nodes);
    nodes.first.signal(Signal::STOP);
    std::thread::sleep(std::time::Duration::from_secs(20));
    nodes.first.signal(Signal::CONT);
    let_go(&nodes);
    running.into_iter().for_each(|running| _ = running.wait().exits(0));
    assert_whole(&nodes);
}

//! `canfar-run resume`: what replicas left of a run, finished by other containers.

use std::collections::BTreeMap;

use rustix::process::Signal;

use crate::support::{DEADLINE, Dir, Run, Running, wait_until};

mod as_begun;
mod dry;
mod many;
mod only;
mod only_refused;
mod refused;
mod shared;
mod side_by_side;
mod stopping;

/// Notes its file's name in `ran`, stays as long as `hold/NAME` is there, and prints whose share it is.
const TASK: &str = "echo \"${1##*/}\" >> ran
while [ -e hold/\"${1##*/}\" ]; do sleep 0.01; done
echo \"{\\\"of\\\": \\\"$REPLICA_ID/$REPLICA_COUNT\\\", \\\"held\\\": \\\"$(cat \"$1\")\\\"}\"";

fn name(number: usize) -> String {
    format!("{number:03}.fits")
}

fn hold(dir: &Dir, number: usize) {
    dir.write(format!("hold/{}", name(number)), "");
}

fn let_go(dir: &Dir, number: usize) {
    std::fs::remove_file(dir.path(format!("hold/{}", name(number)))).unwrap();
}

/// How often each task began.
fn runs(dir: &Dir) -> BTreeMap<usize, usize> {
    let mut runs = BTreeMap::new();
    for line in dir.lines("ran") {
        *runs.entry(line[..3].parse().unwrap()).or_default() += 1;
    }
    runs
}

#[track_caller]
fn began(dir: &Dir, number: usize, times: usize) {
    wait_until(DEADLINE, &format!("task {number} begins"), || runs(dir).get(&number) >= Some(&times));
}

/// A replica of the run, one task at a time.
fn replica(dir: &Dir, id: usize, count: usize) -> Run<'_> {
    dir.launch().args(["-j", "1"]).replica(id, count).sh(TASK)
}

/// One that is with this task of its share.
fn at_work(dir: &Dir, id: usize, count: usize, number: usize) -> Running<'_> {
    hold(dir, number);
    let running = replica(dir, id, count).start();
    began(dir, number, 1);
    running
}

/// One that was killed at it.
fn died(dir: &Dir, id: usize, count: usize, number: usize) {
    let running = at_work(dir, id, count, number);
    running.signal(Signal::KILL);
    running.wait();
    let_go(dir, number);
}

fn resume(dir: &Dir) -> Run<'_> {
    dir.canfar_run().args(["resume", "out", "-j", "1"])
}

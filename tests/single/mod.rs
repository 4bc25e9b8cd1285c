//! One launch of a replica at a time, and one run in a results directory: whoever comes at the same instant, from another
//! host, by another clock, or out of a long sleep.
#![cfg(target_os = "linux")]

use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{DEADLINE, Dir, Run, stop_process, wait_until};

mod elsewhere;
mod frozen;
mod held_up;
mod instant;
mod locks;
mod meanwhile;
mod yields;

/// Notes its task, stays as long as there is `hold/LAUNCH.INDEX`, and gives twice the number in its file.
const TASK: &str = "echo \"$CANFAR_TASK_ID\" >> began; echo $$ >> pids
set -- \"$1\" $(echo \"$CANFAR_TASK_ID\" | tr . ' ')
while [ -e hold/$5.$3 ]; do sleep 0.01; done
echo \"{\\\"twice\\\": $((2 * $(cat \"$1\")))}\"";

const CANFAR_RUN: &str = env!("CARGO_BIN_EXE_canfar-run");

/// canfar-run, and what comes before it, on another host, where hosts take each other for dead after seconds.
fn on<'d>(dir: &'d Dir, host: &str, before: &[&str]) -> Run<'d> {
    let become_it = ["--uts", "/bin/sh", "-c", "hostname \"$0\"; exec \"$@\"", host];
    Run::of(dir, "unshare").args(become_it).args(before).arg(CANFAR_RUN).quick_heartbeat()
}

fn work(run: Run<'_>) -> Run<'_> {
    run.args(["-i", "data/*.fits", "-o", "out", "-j", "2", "--rerun", "all", "--logs", "all"]).sh(TASK)
}

/// Lets the tasks of a launch stay that have these indices.
fn hold(dir: &Dir, launch: usize, indices: &[usize]) {
    indices.iter().for_each(|index| _ = dir.write(held(launch, *index), ""));
}

fn held(launch: usize, index: usize) -> PathBuf {
    format!("hold/{launch}.{index}").into()
}

fn let_go(dir: &Dir, launch: usize, index: usize) {
    std::fs::remove_file(dir.path(held(launch, index))).unwrap();
}

/// Waits until so many attempts began.
#[track_caller]
fn wait_for_attempts(dir: &Dir, count: usize) {
    wait_until(DEADLINE, &format!("{count} attempts"), || dir.lines("began").len() >= count);
}

/// Signals the runner of a launch, whatever it was started by.
fn signal(dir: &Dir, launch: usize, signal: Signal) {
    signal_replica(dir, 1, launch, signal);
}

fn signal_replica(dir: &Dir, replica: usize, launch: usize, signal: Signal) {
    let pid = dir.events_of(replica, launch, "run")[0]["pid"].as_i64().unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    if signal == Signal::STOP {
        stop_process(pid);
    } else {
        kill_process(pid, signal).unwrap();
    }
}

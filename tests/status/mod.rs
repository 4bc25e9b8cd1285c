//! `canfar-run status`: what every replica is at, while it is, and how that agrees with what `merge` finds.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{DEADLINE, Dir, Ended, Run, Running, wait_until};

mod cut;
mod shared;
mod states;
mod terminal;
mod watching;

/// Notes its file's name in `ran`, stays as long as `hold/NAME` is there, and fails if `bad/NAME` is.
const TASK: &str = "name=${1##*/}; echo \"$name\" >> ran
while [ -e hold/\"$name\" ]; do sleep 0.01; done
[ ! -e bad/\"$name\" ]";

fn name(number: usize) -> String {
    format!("{number:03}.fits")
}

/// A replica, one task at a time, as the platform's session `s<id>`.
fn replica(dir: &Dir, id: usize, count: usize) -> Run<'_> {
    replica_of(dir, id, count, "1")
}

fn replica_of<'d>(dir: &'d Dir, id: usize, count: usize, jobs: &str) -> Run<'d> {
    dir.launch().args(["-j", jobs]).replica(id, count).env("skaha_sessionid", format!("s{id}")).sh(TASK)
}

fn hold(dir: &Dir, number: usize) {
    dir.write(format!("hold/{}", name(number)), "");
}

/// One that is with this task of its share, all others before it being over.
fn at_work(dir: &Dir, id: usize, count: usize, number: usize) -> Running<'_> {
    hold(dir, number);
    let running = replica(dir, id, count).start();
    let ran = || dir.lines("ran").contains(&name(number));
    wait_until(DEADLINE, &format!("task {number} begins"), ran);
    running
}

fn let_go(dir: &Dir) {
    std::fs::remove_dir_all(dir.path("hold")).unwrap();
}

fn status(dir: &Dir) -> Run<'_> {
    dir.canfar_run().args(["status", "out"])
}

fn told(dir: &Dir) -> Value {
    status(dir).arg("--json").run().exits(0).json()
}

/// The states of all replicas, in order.
#[track_caller]
fn states(status: &Value) -> Vec<&str> {
    let replicas = status["replicas"].as_array().unwrap();
    replicas.iter().map(|replica| replica["state"].as_str().unwrap()).collect()
}

/// Merges and sees that the status says the same.
#[track_caller]
fn agrees_with_merge(dir: &Dir) -> Ended {
    let status = told(dir);
    let merged = dir.canfar_run().args(["merge", "out"]).run();
    let summary = dir.json("out/final_summary.json");
    for (member, in_summary) in [("ok", "ok"), ("failed", "failed"), ("left", "missing")] {
        assert_eq!(status["totals"][member], summary[in_summary], "{member} in {status}");
    }
    assert_eq!(status["complete"], summary["complete"], "{status}");
    for missing in summary["missing_replicas"].as_array().unwrap() {
        let id = missing["replica_id"].as_u64().unwrap();
        let replica = &status["replicas"][usize::try_from(id).unwrap() - 1];
        assert_eq!(replica["left"], missing["missing"], "{replica}");
        let is_running = replica["state"] == "running";
        assert_eq!(is_running, missing["state"] == "running", "{replica}");
        assert_eq!(replica["state"] == "waiting", missing["state"] == "never_started", "{replica}");
    }
    merged
}

/// A run of seven replicas with four files each: done, running, silent, stopped, refused, waiting, done with a failure.
fn mixed(dir: &Dir) -> Running<'_> {
    dir.write(format!("bad/{}", name(24)), "");
    replica(dir, 1, 7).run().exits(0);
    [4, 5].into_iter().for_each(|number| hold(dir, number));
    let running = replica_of(dir, 2, 7, "2").start();
    let ran = |number| dir.lines("ran").contains(&name(number));
    wait_until(DEADLINE, "two tasks run", || ran(4) && ran(5));
    let silent = at_work(dir, 3, 7, 11);
    silent.signal(Signal::KILL);
    silent.wait();
    let stopped = at_work(dir, 4, 7, 15);
    stopped.signal(Signal::TERM);
    stopped.wait().exits(143);
    let broken = dir.write("broken", "\x7fELF of no machine");
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let refused = dir.launch().replica(5, 7).env("skaha_sessionid", "s5").arg("--accept-changed-command");
    refused.args(["--", "./broken"]).run().exits(2);
    replica(dir, 7, 7).run().exits(1);
    running
}

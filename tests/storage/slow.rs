//! Storage on which each call takes its time: all as ever, only slower.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{TASK, runs, was_hit, with_fault, work};
use crate::support::{Component, DEADLINE, Dir, Run, require, wait_until};

/// Waits before each of the calls by which it reads, writes and makes files.
fn on_slow_storage(dir: &Dir) -> Run<'_> {
    let slow = "inject=openat,write,fsync,fdatasync,rename,renameat,renameat2,link,unlink,mkdir,getdents64,newfstatat,statx:delay_enter=20ms";
    let files = ["out", "out/inputs.jsonl", "out/inputs.listing", "out/journal", "out/logs", "data"]
        .map(|name| dir.path(name).display().to_string());
    let journals =
        ["1.1", "1.2"].map(|name| dir.path(format!("out/journal/{name}.jsonl")).display().to_string());
    let mut options = vec!["-e", slow];
    files.iter().chain(&journals).for_each(|file| options.extend(["-P", file]));
    with_fault(dir, &options)
}

#[test]
fn on_slow_storage_a_run_is_right() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(12);
    let ended = work(on_slow_storage(&dir)).sh(TASK).run().exits(0);
    assert!(dir.text("faults").contains("(DELAYED)"), "{ended}");
    super::assert_right(&dir, &dir.results(1), &ended);
    assert_eq!(dir.results(1).len(), 12);
    assert!(!was_hit(&dir));
}

#[test]
fn on_slow_storage_stopping_keeps_to_its_time_and_loses_nothing() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(200);
    let task = format!("{TASK}; sleep 0.05; echo $PPID > runner");
    let running = work(on_slow_storage(&dir)).sh(&task).start();
    wait_until(DEADLINE, "some tasks end", || super::recorded(&dir).len() > 4);
    let runner = dir.text("runner").trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    let told = Instant::now();
    rustix::process::kill_process(runner, Signal::TERM).unwrap();
    let ended = running.wait();
    assert_eq!(ended.code, Some(128 + 15), "{ended}");
    assert!(told.elapsed() < Duration::from_secs(25), "{:?}", told.elapsed());
    let recorded = super::recorded(&dir);
    assert_eq!(dir.results(1).len(), recorded.len(), "{ended}");
    assert!(runs(&dir).len() < 200);
}

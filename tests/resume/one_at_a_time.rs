//! Two launches of one replica never work side by side.

use std::io::Write;

use rustix::process::Signal;

use super::{TASK, began, done, hold, launch, let_go, names};
use crate::support::{DEADLINE, Dir, Run, Running, at_once, wait_until};

/// A launch that is with its first task.
fn at_work(dir: &Dir) -> Running<'_> {
    hold(dir, [0]);
    let running = launch(dir, 1).sh(TASK).start();
    began(dir, [0], 1);
    running
}

#[test]
fn a_second_launch_of_a_living_replica_is_refused_and_says_who_runs_it() {
    let dir = Dir::with_inputs(3);
    let first = at_work(&dir);
    let before = dir.tree();
    let host = rustix::system::uname();
    let who = format!("launch 1 on host {}, pid {}", host.nodename().to_str().unwrap(), first.pid());
    launch(&dir, 1).sh(TASK).run().exits(3).says("replica 1 of 1 is already running").says(&who);
    assert_eq!(before.difference(&dir.tree()), None);
    let_go(&dir);
    first.wait().exits(0);
    assert_eq!(dir.sorted_lines("ran"), names(3));
}

/// A replica whose last launch died on another host: nothing tells its death but that its journal is quiet.
fn died_elsewhere() -> Dir {
    let dir = Dir::with_inputs(3);
    let running = at_work(&dir);
    running.signal(Signal::KILL);
    running.wait();
    let_go(&dir);
    let host = rustix::system::uname();
    let here = format!("\"host\":\"{}\"", host.nodename().to_str().unwrap());
    let journal = dir.text("out/journal/1.1.jsonl");
    assert!(journal.contains(&here), "{journal}");
    dir.write("out/journal/1.1.jsonl", journal.replace(&here, "\"host\":\"elsewhere\""));
    dir
}

#[test]
fn a_launch_elsewhere_whose_journal_grows_lives() {
    let dir = died_elsewhere();
    let second = launch(&dir, 1).quick_heartbeat().sh(TASK).start();
    wait_until(DEADLINE, "it watches", || second.stderr().contains("watching its journal"));
    let mut journal =
        std::fs::OpenOptions::new().append(true).open(dir.path("out/journal/1.1.jsonl")).unwrap();
    journal.write_all(b"\n").unwrap();
    second.wait().exits(3).says("is already running: launch 1 on host elsewhere");
    assert_eq!(dir.lines("ran"), names(1));
}

#[test]
fn a_signal_ends_the_watch_over_a_launch_elsewhere() {
    let dir = died_elsewhere();
    let before = dir.tree();
    let second = launch(&dir, 1).quick_heartbeat().sh(TASK).start();
    wait_until(DEADLINE, "it watches", || second.stderr().contains("watching its journal"));
    second.signal(Signal::TERM);
    second.wait().exits(143).says("before any task began");
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn a_launch_that_finds_a_newer_one_stops_and_leaves_everything_to_it() {
    let dir = Dir::with_inputs(3);
    let first = at_work(&dir);
    let journal = dir.text("out/journal/1.1.jsonl");
    // As a launch elsewhere would that could not see this one live.
    dir.write("out/journal/1.2.jsonl", "");
    first.wait().exits(3).says("a newer launch of this replica took over");
    assert_eq!(dir.text("out/journal/1.1.jsonl"), journal);
    assert!(!dir.exists("out/container_1_results.json"));
    assert_eq!(dir.lines("ran"), names(1));
}

#[test]
fn a_journal_that_was_cut_before_its_first_line_was_whole_counts_as_a_launch() {
    let dir = Dir::with_inputs(2);
    launch(&dir, 1).sh("echo \"${1##*/}\" >> ran; [ \"${1##*/}\" = 000.fits ]").run().exits(1);
    let journal = dir.text("out/journal/1.1.jsonl");
    dir.write(
        "out/journal/1.2.jsonl",
        format!("{}\n{{\"v\":1,\"event\":\"stop", journal.lines().next().unwrap()),
    );
    let third = launch(&dir, 1)
        .arg("--accept-changed-command")
        .quick_heartbeat()
        .sh(TASK)
        .run()
        .exits(0)
        .says("can't be read and was skipped");
    assert_eq!(done(&dir), [0, 1], "{third}");
    assert!(dir.exists("out/journal/1.3.jsonl"));
}

fn with_options(run: Run<'_>) -> Run<'_> {
    run.args(["-i", "data/*.fits", "-o", "out", "-j", "1"]).sh(TASK)
}

#[test]
fn of_launches_of_one_replica_in_the_same_instant_one_does_the_work() {
    let dir = Dir::with_inputs(4);
    hold(&dir, [3]);
    let mut launches = at_once(&dir, [with_options; 6]);
    began(&dir, [3], 1);
    // All others see that one is at work, at once or by its journal's growth.
    wait_until(DEADLINE, "five are refused", || {
        launches.retain_mut(|launch| !launch.has_ended());
        launches.len() == 1
    });
    let_go(&dir);
    launches.remove(0).wait().exits(0);
    assert_eq!(dir.sorted_lines("ran"), names(4));
}

#[test]
fn the_sign_of_a_dead_process_of_this_host_that_listed_is_taken_down() {
    let dir = Dir::with_inputs(2);
    let host = rustix::system::uname();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let (host, boot) = (host.nodename().to_str().unwrap(), boot.trim());
    let sign = format!(
        "{{\"host\":\"{host}\",\"boot_id\":\"{boot}\",\"pid\":7,\"version\":\"0.1.0\",\"locked\":true}}\n"
    );
    dir.write("out/inputs.listing", sign);
    launch(&dir, 1).sh(TASK).run().exits(0).says_not("waiting");
    assert!(!dir.exists("out/inputs.listing"));
}

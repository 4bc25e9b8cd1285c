//! Other commands while a run is at work.

use crate::crash::{TASK, Witness, assert_all_right};
use crate::support::{Component, DEADLINE, Dir, Run, Running, at_once, require, wait_until};

use super::CANFAR_RUN;

#[test]
fn merges_during_a_run_never_say_anything_wrong() {
    let dir = Dir::with_inputs(60);
    let witness = Witness { dir: &dir, replicas: 2 };
    let launch = |id| dir.launch().args(["-j", "2"]).replica(id, 2).sh(TASK).start();
    let mut running: Vec<Running<'_>> = (1..=2).map(launch).collect();
    let mut merges = 0;
    loop {
        let all_ended = running.iter_mut().all(Running::has_ended);
        let before = witness.began().len();
        let code = witness.merge();
        merges += u64::from(code.is_some());
        if code == Some(3) {
            let summary = dir.json("out/final_summary.json");
            let files = dir.json("out/final_results.partial.json").as_array().unwrap().len();
            assert_eq!(summary["missing"].as_u64().unwrap() + files as u64, 60, "{summary}");
        } else {
            // Complete is what is: all began, and all is there.
            assert!(code.is_none() || dir.lines("began").len() == 60, "{before}");
        }
        if all_ended {
            break;
        }
    }
    running.into_iter().for_each(|one| _ = one.wait().exits(0));
    assert!(merges > 2, "{merges}");
    assert_eq!(witness.merge(), Some(0));
    assert_all_right(&dir, 60);
}

fn launch(run: Run<'_>) -> Run<'_> {
    run.args(["-i", "data/*.fits", "-o", "out", "--rerun", "all"]).sh(TASK)
}

fn reset(run: Run<'_>) -> Run<'_> {
    run.args(["reset", "out"])
}

/// A run of which one task is left.
fn unfinished() -> Dir {
    let dir = Dir::with_inputs(3);
    dir.write("data/001.fits", "x y");
    launch(dir.canfar_run()).run().exits(1);
    dir.write("data/001.fits", "1");
    dir
}

/// Where there is a run: `out` and what was moved away.
fn runs(dir: &Dir) -> Vec<String> {
    let moved = dir.names("out/previous").into_iter().map(|name| format!("out/previous/{name}"));
    std::iter::once("out".to_owned()).chain(moved).filter(|run| !dir.names(run).is_empty()).collect()
}

#[test]
fn a_reset_in_the_instant_of_a_launch_moves_a_whole_run_or_none() {
    let ways: [for<'d> fn(Run<'d>) -> Run<'d>; 2] = [launch, reset];
    for _ in 0..30 {
        let dir = unfinished();
        let mut ended: Vec<_> = at_once(&dir, ways).into_iter().map(Running::wait).collect();
        let reset = ended.pop().unwrap();
        let launch = ended.pop().unwrap();
        let moved = dir.names("out/previous").len();
        match (launch.code, reset.code) {
            (Some(0), Some(3)) => assert_eq!(moved, 0, "{reset}"),
            (Some(3), Some(0)) => assert_eq!(moved, 1, "{}", launch.says("was moved away")),
            // One after the other.
            (Some(0), Some(0)) => assert_eq!(moved, 1, "{launch}\n{reset}"),
            // Each saw the other.
            (Some(3), Some(3)) => assert_eq!(moved, 0, "{}", launch.says("was moved away")),
            _ => panic!("{launch}\n{reset}"),
        }
        for run in runs(&dir).into_iter().filter(|run| run != "out" || dir.exists("out/inputs.jsonl")) {
            assert!(dir.exists(format!("{run}/inputs.jsonl")), "{run}\n{}", dir.tree());
            let merged = dir.canfar_run().args(["merge", &run]).run();
            assert!(matches!(merged.code, Some(0 | 1)), "{merged}");
        }
        let left = dir.names("out").into_iter().filter(|name| name != "previous").collect::<Vec<_>>();
        assert!(dir.exists("out/inputs.jsonl") || left.is_empty() || left == ["journal"], "{}", dir.tree());
        self::launch(dir.canfar_run()).run().exits(0);
        assert_eq!(Witness { dir: &dir, replicas: 1 }.merge(), Some(0));
        assert_all_right(&dir, 3);
    }
}

/// canfar-run whose first such call takes long.
fn slow<'d>(dir: &'d Dir, call: &str) -> Run<'d> {
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:delay_enter=4s:when=1");
    let strace = Run::of(dir, "strace").args([
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ]);
    strace.arg(CANFAR_RUN)
}

#[test]
fn a_reset_that_finds_a_launch_once_it_has_taken_the_list_puts_it_back() {
    if !require(Component::Strace) {
        return;
    }
    let dir = unfinished();
    let moving = reset(slow(&dir, "rename,renameat,renameat2")).start();
    wait_until(DEADLINE, "it begins to move", || !dir.names("out/previous").is_empty());
    dir.write("hold", "");
    let held = format!("while [ -e hold ]; do sleep 0.01; done; {TASK}");
    let args = ["-i", "data/*.fits", "-o", "out", "--accept-changed-command"];
    let running = dir.canfar_run().args(args).sh(&held).start();
    moving.wait().exits(3).says("is still active (replica 1)");
    assert!(dir.exists("out/inputs.jsonl") && dir.names("out/previous").is_empty(), "{}", dir.tree());
    std::fs::remove_file(dir.path("hold")).unwrap();
    running.wait().exits(0);
    assert_eq!(Witness { dir: &dir, replicas: 1 }.merge(), Some(0));
    assert_all_right(&dir, 3);
}

#[test]
fn of_two_resets_in_one_instant_one_moves_all() {
    for _ in 0..15 {
        let dir = unfinished();
        let before = dir.names("out");
        for ended in at_once(&dir, [reset, reset]).into_iter().map(Running::wait) {
            ended.exits(0);
        }
        assert_eq!(dir.names("out"), ["previous"]);
        let previous = dir.names("out/previous");
        assert_eq!(previous.len(), 1, "{}", dir.tree());
        assert_eq!(dir.names(format!("out/previous/{}", previous[0])), before);
    }
}

#[test]
fn looking_at_a_run_that_is_at_work_touches_nothing() {
    let dir = Dir::with_inputs(3);
    dir.write("hold", "");
    let held = "echo x >> began; while [ -e hold ]; do sleep 0.01; done";
    let running = dir.launch().args(["-j", "1"]).sh(held).start();
    wait_until(DEADLINE, "it works", || dir.exists("began"));
    let names = || (dir.names("out"), dir.names("out/journal"), dir.names("out/logs"));
    let (before, list) = (names(), dir.bytes("out/inputs.jsonl"));
    dir.canfar_run().args(["plan", "-i", "data/*.fits", "-o", "out"]).run().exits(0);
    dir.launch().arg("--dry-run").sh(held).run().exits(0);
    dir.canfar_run().args(["reset", "out"]).run().exits(3).says("is still active (replica 1)");
    assert_eq!((names(), dir.bytes("out/inputs.jsonl")), (before, list));
    std::fs::remove_file(dir.path("hold")).unwrap();
    running.wait().exits(0);
}

//! Ctrl-Z stops the tasks with canfar-run, and no time in which either was stopped counts.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::{
    TASK, WAYS, Way, began, family, held, is_stopped, launch, let_go, pid_of, send, wait_until_all_are,
};
use crate::support::{DEADLINE, Dir, Running, exists, wait_until};

const LIMIT: Duration = Duration::from_secs(3);

/// Who is stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stopped {
    /// By Ctrl-Z.
    ByCtrlZ,
    /// By whoever stops all of a job's processes.
    All,
    Task,
    Runner,
}

fn tasks(dir: &Dir) -> Vec<Pid> {
    dir.lines("pids").iter().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
}

fn stop(dir: &Dir, running: &Running<'_>, who: Stopped) {
    let runner = pid_of(running);
    if who == Stopped::ByCtrlZ {
        send(runner, Signal::TSTP);
        return wait_until_all_are(running, "all are stopped", is_stopped);
    }
    if who != Stopped::Runner {
        tasks(dir).into_iter().for_each(|task| kill_process_group(task, Signal::STOP).unwrap());
    }
    if who != Stopped::Task {
        send(runner, Signal::STOP);
    }
}

fn go_on(dir: &Dir, running: &Running<'_>, who: Stopped) {
    if matches!(who, Stopped::Task | Stopped::All) {
        tasks(dir).into_iter().for_each(|task| kill_process_group(task, Signal::CONT).unwrap());
    }
    send(pid_of(running), Signal::CONT);
}

#[test]
fn a_pause_does_not_count_against_the_limit_whoever_is_stopped() {
    let who = [Stopped::ByCtrlZ, Stopped::All, Stopped::Task, Stopped::Runner];
    let cases: Vec<_> = who.into_iter().flat_map(|who| WAYS.map(|way| (who, way, held(1)))).collect();
    let limit = format!("{}s", LIMIT.as_secs());
    // One after the other, so that no limit is reached while others begin.
    let mut running = Vec::new();
    for (who, way, dir) in &cases {
        running.push(launch(dir, &["--timeout", &limit], *way));
        began(dir, 1);
        stop(dir, running.last().unwrap(), *who);
    }
    std::thread::sleep(LIMIT + Duration::from_secs(1));
    for ((who, _, dir), running) in cases.iter().zip(&running) {
        go_on(dir, running, *who);
        let_go(dir);
    }
    for ((who, way, dir), running) in cases.iter().zip(running) {
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{who:?} {way:?} {ended}");
        assert_eq!(dir.results(1)[0]["done"], 1, "{who:?} {way:?}");
    }
}

#[test]
fn a_pause_of_what_a_task_waits_for_does_not_count_either() {
    let dir = held(1);
    let script =
        "sh -c 'echo $$ >> pids; echo >> ran; while [ -e hold ]; do sleep 0.02; done'; echo '{\"done\": 1}'";
    let running = dir.launch().args(["--timeout", "2s"]).sh(script).start();
    began(&dir, 1);
    let inner = tasks(&dir)[0];
    send(inner, Signal::STOP);
    std::thread::sleep(Duration::from_secs(3));
    send(inner, Signal::CONT);
    let_go(&dir);
    running.wait().exits(0);
}

#[test]
fn many_pauses_do_not_count_either_and_what_runs_between_them_does() {
    let ends = held(1);
    let stays = held(1);
    let running = [&ends, &stays].map(|dir| launch(dir, &["--timeout", "2s"], Way::Command));
    [&ends, &stays].into_iter().for_each(|dir| began(dir, 1));
    for _ in 0..4 {
        for (dir, running) in [&ends, &stays].into_iter().zip(&running) {
            stop(dir, running, Stopped::All);
        }
        std::thread::sleep(Duration::from_millis(900));
        for (dir, running) in [&ends, &stays].into_iter().zip(&running) {
            go_on(dir, running, Stopped::All);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let_go(&ends);
    let [ends, stays] = running.map(Running::wait);
    ends.exits(0);
    stays.exits(1).says("stopped after 2s (--timeout)");
}

#[test]
fn ctrl_z_stops_all_that_tasks_started_and_they_go_on_with_it() {
    for way in [Way::Command, Way::Worker] {
        let dir = held(1);
        // A helper in a session of its own, and one that forked twice.
        let helper = "while [ -d data ]; do echo >> beats; sleep 0.01; done";
        dir.write("helper", helper);
        dir.write("data/000.fits", "");
        let begin = "setsid sh helper & ( ( setsid sh helper & ) & )";
        std::fs::write(dir.path("begin"), begin).unwrap();
        let options = ["--timeout", "1m"];
        let running = if let Way::Worker = way {
            let begin = "import subprocess; subprocess.run(['sh', 'begin'])\nimport json";
            dir.write("worker.py", super::WORKER.replace("import json", begin));
            launch(&dir, &options, way)
        } else {
            dir.launch().args(options).sh(&format!("sh begin; {TASK}")).start()
        };
        began(&dir, 1);
        wait_until(DEADLINE, "both beat", || dir.lines("beats").len() > 10);
        for _ in 0..2 {
            send(pid_of(&running), Signal::TSTP);
            wait_until_all_are(&running, "all are stopped", is_stopped);
            let (beats, whole) = (dir.lines("beats").len(), family(&running).len());
            assert!(whole >= 4, "{way:?}: {:?}", family(&running));
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(dir.lines("beats").len(), beats, "{way:?}");
            send(pid_of(&running), Signal::CONT);
            wait_until_all_are(&running, "all go on", |process| !is_stopped(process));
            wait_until(DEADLINE, "they beat again", || dir.lines("beats").len() > beats + 2);
        }
        let_go(&dir);
        running.wait().exits(0);
    }
}

#[test]
fn who_was_stopped_before_ctrl_z_is_so_afterwards() {
    let dir = held(2);
    let running = launch(&dir, &["-j", "2", "--grace", "100ms"], Way::Command);
    began(&dir, 2);
    let [first, second] = tasks(&dir)[..] else { panic!() };
    let state = |pid: Pid| crate::support::Process::read(pid.as_raw_pid()).unwrap().state;
    wait_until(DEADLINE, "it is stopped", || {
        // A shell in the midst of starting a program can't stop.
        for signal in [Signal::CONT, Signal::STOP] {
            kill_process_group(first, signal).unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
        state(first) == 'T'
    });
    send(pid_of(&running), Signal::TSTP);
    wait_until_all_are(&running, "all are stopped", is_stopped);
    send(pid_of(&running), Signal::CONT);
    wait_until(DEADLINE, "the other goes on", || !matches!(state(second), 'T' | 'D'));
    assert_eq!(state(first), 'T');
    // One that is stopped learns of it all the same.
    running.signal(Signal::TERM);
    running.wait().exits(143);
    assert!(!exists(&first.to_string()));
}

#[test]
fn a_stop_in_a_pause_comes_when_it_goes_on_and_tasks_can_answer_it() {
    let dir = held(1);
    let script = "trap 'echo told > told; exit 3' TERM; echo >> ran; echo $$ >> pids; while [ -e hold ]; do sleep 0.02; done";
    let running = dir.launch().sh(script).start();
    began(&dir, 1);
    send(pid_of(&running), Signal::TSTP);
    wait_until_all_are(&running, "all are stopped", is_stopped);
    // As a shell's `kill %1`, and a terminal that hangs up.
    running.signal(Signal::TERM);
    running.signal(Signal::CONT);
    running.wait().exits(143).says("1 not run");
    assert!(dir.exists("told"));
}

#[test]
fn a_task_that_was_told_has_its_grace_whatever_the_pause() {
    let dir = held(1);
    let script = "trap 'echo told > told; while [ -e hold ]; do sleep 0.02; done; echo ended > ended' TERM
echo >> ran; echo $$ >> pids; while [ -e hold ]; do sleep 0.02; done";
    let running = dir.launch().args(["--timeout", "100ms", "--grace", "2s"]).sh(script).start();
    wait_until(DEADLINE, "it is told", || dir.exists("told"));
    send(pid_of(&running), Signal::TSTP);
    wait_until_all_are(&running, "all are stopped", is_stopped);
    std::thread::sleep(Duration::from_millis(2500));
    send(pid_of(&running), Signal::CONT);
    let_go(&dir);
    running.wait().exits(1).says("(--timeout)");
    assert!(dir.exists("ended"));
}

/// Whoever ends just as time is up is not told to end, or does not hear of it.
#[test]
fn a_task_that_ended_by_itself_was_not_stopped() {
    let dir = Dir::with_inputs(200);
    let run = dir.canfar_run().args(["-i", "data/*.fits", "-o", "ends", "-j", "2", "--timeout", "100ms"]);
    run.args(["--", "sleep", "0.0995"]).run();
    let journal = dir.text("ends/journal/1.1.jsonl");
    let attempts = journal.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    for attempt in attempts.filter(|event| event["event"] == "attempt") {
        let has_ended_well = attempt["exit_code"] == 0;
        assert_eq!(attempt["status"] == "ok", has_ended_well, "{attempt}");
    }
}

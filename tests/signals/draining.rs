//! A scheduler's warning: nothing more is started, and what runs may finish.

use rustix::process::{Signal, kill_process};

use super::{WAYS, Way, began, held, launch, let_go};
use crate::support::{DEADLINE, wait_until};

#[test]
fn what_runs_finishes_and_the_rest_is_left() {
    for way in WAYS {
        let dir = held(5);
        let running = launch(&dir, &["-j", "2"], way);
        began(&dir, 2);
        running.signal(Signal::USR1);
        let said = "SIGUSR1 (10): no more tasks are started; 2 tasks that run may finish";
        wait_until(DEADLINE, "that is said", || running.stderr().contains(said));
        running.signal(Signal::USR1);
        let_go(&dir);
        running.wait().exits(3).says("3 not run").says("stopped early: SIGUSR1 (10)");
        let stop = dir.events_of(1, 1, "stop").remove(0);
        assert_eq!(
            (&stop["reason"], &stop["signal"], &stop["exit"]),
            (&"signal".into(), &10.into(), &3.into())
        );
        assert_eq!(dir.results(1).len(), 2, "{way:?}");
        launch(&dir, &[], way).wait().exits(0);
        assert_eq!(dir.sorted_lines("ran").len(), 5, "{way:?}: each ran once");
    }
}

#[test]
fn where_nothing_was_left_to_start_nothing_ended_early() {
    let dir = held(2);
    let running = launch(&dir, &["-j", "2"], Way::Command);
    began(&dir, 2);
    running.signal(Signal::USR1);
    wait_until(DEADLINE, "it is heard", || running.stderr().contains("no more tasks are started"));
    let_go(&dir);
    running.wait().exits(0).says("2 of 2 files ok").says_not("stopped early");
    assert_eq!(dir.events_of(1, 1, "stop")[0]["reason"], "done");
}

#[test]
fn a_pause_before_a_retry_is_not_waited_for() {
    let dir = held(2);
    let options = ["-j", "1", "--retries", "3", "--retry-delay", "1h"];
    std::fs::remove_file(dir.path("data/001.fits")).unwrap();
    let run = dir.launch().args(options).sh("exit 5");
    let running = run.start();
    wait_until(DEADLINE, "an attempt", || dir.events_of(1, 1, "attempt").len() == 1);
    running.signal(Signal::USR1);
    running.wait().exits(3).says("1 not run");
}

#[test]
fn tasks_that_die_of_the_same_warning_are_no_failures() {
    for way in [Way::Command, Way::Worker] {
        let dir = held(3);
        let running = launch(&dir, &["-j", "2", "--retries", "1", "--retry-delay", "1ms"], way);
        began(&dir, 2);
        // As a scheduler tells all of a job's processes, in any order.
        for pid in dir.lines("pids") {
            let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
            kill_process(pid, Signal::USR1).unwrap();
        }
        running.signal(Signal::USR1);
        running.wait().exits(3).says("3 not run");
        assert_eq!(dir.failures(1, 1), Vec::<serde_json::Value>::new(), "{way:?}");
        let_go(&dir);
        launch(&dir, &[], way).wait().exits(0);
    }
}

#[test]
fn warned_and_then_stopped_it_stops() {
    let dir = held(3);
    let running = launch(&dir, &["-j", "2"], Way::Command);
    began(&dir, 2);
    running.signal(Signal::USR1);
    wait_until(DEADLINE, "it is heard", || running.stderr().contains("no more tasks are started"));
    running.signal(Signal::TERM);
    running.wait().exits(143).says("3 not run").says("SIGTERM (15)");
}

#[test]
fn resume_takes_no_other_share() {
    let dir = held(4);
    for id in [1, 2] {
        let running = dir.launch().args(["-j", "1"]).replica(id, 2).sh(super::TASK).start();
        wait_until(DEADLINE, "a task", || dir.lines("ran").len() == id);
        running.signal(Signal::TERM);
        running.wait().exits(143);
    }
    let resuming = dir.canfar_run().args(["resume", "-j", "1", "out"]).start();
    wait_until(DEADLINE, "a task", || dir.lines("ran").len() == 3);
    resuming.signal(Signal::USR1);
    wait_until(DEADLINE, "it is heard", || resuming.stderr().contains("no more tasks are started"));
    let_go(&dir);
    resuming.wait().exits(3);
    assert_eq!(dir.lines("ran").len(), 3);
}

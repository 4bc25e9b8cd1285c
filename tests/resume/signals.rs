//! Being told to stop: nothing more is started, tasks get TERM and time, results are written, the code tells the signal.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{TASK, began, done, hold, launch, let_go, names, runs};
use crate::support::{DEADLINE, Dir, Run, wait_until};

/// Notes its process id, and what it is told.
const STUBBORN: &str = "echo $$ > pid; trap 'echo told >> told' TERM
: > ready; while [ -e data ]; do sleep 0.01; done";

fn wait_for_file(dir: &Dir, name: &str) {
    wait_until(DEADLINE, name, || dir.exists(name));
}

#[test]
fn what_a_stopped_launch_had_finished_is_kept_and_the_rest_is_run_by_the_next() {
    for (jobs, held, finished) in [(1, vec![0], 0), (1, vec![5], 5), (1, vec![9], 9), (3, vec![4, 6, 7], 5)] {
        let dir = Dir::with_inputs(10);
        hold(&dir, held.clone());
        let running = launch(&dir, jobs).sh(TASK).start();
        began(&dir, held.clone(), 1);
        wait_until(DEADLINE, "what runs beside is over", || dir.events_of(1, 1, "end").len() == finished);
        running.signal(Signal::TERM);
        running.wait().exits(143).says("SIGTERM (15)");
        let before = done(&dir);
        assert_eq!(before.len(), finished, "{}", dir.tree());
        assert_eq!(dir.failures(1, 1), Vec::<serde_json::Value>::new());
        let stop = dir.events_of(1, 1, "stop").remove(0);
        assert_eq!(
            (&stop["reason"], &stop["signal"], &stop["exit"]),
            (&"signal".into(), &15.into(), &143.into())
        );

        let_go(&dir);
        let ended = launch(&dir, jobs).sh(TASK).run().exits(0);
        assert_eq!(ended.stderr.contains(&format!("{finished} done before")), finished > 0, "{ended}");
        assert_eq!(done(&dir), (0..10).collect::<Vec<_>>());
        for (number, times) in runs(&dir) {
            let expected = if held.contains(&number) { 2 } else { 1 };
            assert_eq!(times, expected, "task {number} of {held:?}");
            assert_eq!(dir.results(1)[number]["canfar_run"]["attempts"], expected);
        }
    }
}

#[test]
fn tasks_that_are_told_to_end_together_with_us_are_no_failures() {
    let dir = Dir::with_inputs(8);
    let script = "echo $$ >> pids; [ -e again ] || exec sleep 60";
    let running = launch(&dir, 4).args(["--retries", "2"]).sh(script).start();
    wait_until(DEADLINE, "four tasks run", || dir.lines("pids").len() == 4);
    // As Slurm and systemd tell all of a job's processes, in any order.
    for pid in dir.lines("pids") {
        kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::TERM).unwrap();
    }
    running.signal(Signal::TERM);
    running.wait().exits(143);
    assert_eq!(dir.failures(1, 1), Vec::<serde_json::Value>::new());
    dir.write("again", "");
    launch(&dir, 4).sh(script).run().exits(0).says("8 of 8 files ok");
}

#[test]
fn a_task_gets_term_and_time_to_end_and_runs_again_whatever_it_exits_with() {
    let dir = Dir::with_inputs(2);
    let script = "echo \"${1##*/}\" >> ran
[ -e again ] || { trap 'while [ ! -e go ]; do sleep 0.01; done; echo {}; : > ended; exit 0' TERM; : > ready; }
while [ ! -e again ]; do sleep 0.01; done";
    let running = launch(&dir, 1).sh(script).start();
    wait_for_file(&dir, "ready");
    running.signal(Signal::TERM);
    dir.write("go", "");
    running.wait().exits(143);
    assert!(dir.exists("ended"), "it was not given time");
    assert_eq!(done(&dir), Vec::<u64>::new());
    dir.write("again", "");
    launch(&dir, 1).sh(script).run().exits(0);
    assert_eq!(runs(&dir), [(0, 2), (1, 1)].into());
}

#[test]
fn a_task_that_ignores_term_is_killed_after_the_grace() {
    let dir = Dir::with_inputs(1);
    let running = launch(&dir, 1).args(["--grace", "300ms"]).sh(STUBBORN).start();
    wait_for_file(&dir, "ready");
    let told = Instant::now();
    running.signal(Signal::TERM);
    running.wait().exits(143);
    assert!(told.elapsed() >= Duration::from_millis(300), "killed after {:?}", told.elapsed());
    // A child that the shell has just forked may run its trap, too.
    assert!(dir.exists("told"));
    assert!(is_gone(&dir));
    assert_eq!(done(&dir), Vec::<u64>::new());
}

fn is_gone(dir: &Dir) -> bool {
    let pid = dir.text("pid").trim().parse().unwrap();
    test_kill_process(Pid::from_raw(pid).unwrap()).is_err()
}

#[test]
fn a_second_signal_kills_at_once() {
    let dir = Dir::with_inputs(3);
    let running = launch(&dir, 1).args(["--grace", "1h"]).sh(STUBBORN).start();
    wait_for_file(&dir, "ready");
    running.signal(Signal::TERM);
    wait_for_file(&dir, "told");
    let told = Instant::now();
    running.signal(Signal::TERM);
    running.wait().exits(143);
    assert!(told.elapsed() < Duration::from_secs(10), "killed after {:?}", told.elapsed());
    assert!(is_gone(&dir));
    assert!(dir.exists("out/container_1_results.json"));
}

#[test]
fn the_exit_code_tells_which_signal_it_was() {
    for (signal, code) in [(Signal::INT, 130), (Signal::HUP, 129)] {
        let dir = Dir::with_inputs(2);
        hold(&dir, [0]);
        let running = dir.launch().args(["-j", "1"]).sh(TASK).start();
        began(&dir, [0], 1);
        running.signal(signal);
        running.wait().exits(code);
        assert_eq!(runs(&dir), [(0, 1)].into());
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let dir = Dir::with_inputs(2);
    hold(&dir, [0]);
    let running = Run::of(&dir, "/bin/sh")
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_canfar-run")])
        .args(["-i", "data/*.fits", "-o", "out"])
        .sh(TASK)
        .start();
    began(&dir, [0], 1);
    running.signal(Signal::HUP);
    let_go(&dir);
    running.wait().exits(0);
    assert_eq!(dir.sorted_lines("ran"), names(2));
}

#[test]
fn a_signal_during_the_wait_for_a_retry_ends_the_wait() {
    let dir = Dir::with_inputs(2);
    let script = "echo \"${1##*/}\" >> ran; [ -e mended ]";
    let running = launch(&dir, 2).args(["--retries", "3", "--retry-delay", "1h"]).sh(script).start();
    wait_until(DEADLINE, "two attempts", || dir.events_of(1, 1, "attempt").len() == 2);
    running.signal(Signal::TERM);
    running.wait().exits(143).says("2 not run");
    dir.write("mended", "");
    launch(&dir, 2).sh(script).run().exits(0);
    assert_eq!(runs(&dir), [(0, 2), (1, 2)].into());
    assert_eq!(dir.results(1)[1]["canfar_run"]["attempts"], 2);
}

#[test]
fn a_signal_while_another_process_makes_the_list_ends_the_wait() {
    let dir = Dir::with_inputs(1);
    let lister =
        "{\"host\":\"elsewhere\",\"boot_id\":\"x\",\"pid\":7,\"version\":\"0.1.0\",\"locked\":true}\n";
    dir.write("out/inputs.listing", lister);
    let before = dir.tree();
    let running = launch(&dir, 1).sh(TASK).start();
    wait_until(DEADLINE, "it waits", || running.stderr().contains("waiting for host elsewhere, pid 7"));
    running.signal(Signal::TERM);
    running.wait().exits(143).says("stopped by SIGTERM (15) before any task began");
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn stopped_in_the_midst_of_many_tasks_none_is_lost_and_none_has_two_records() {
    let dir = Dir::with_inputs(60);
    for (number, stop_at) in [(1, 5), (2, 20), (3, 35)] {
        let running = launch(&dir, 4).sh(TASK).start();
        began(&dir, [stop_at], 1);
        running.signal(Signal::TERM);
        running.wait().exits(143);
        assert!(!dir.events_of(1, number, "end").is_empty());
    }
    launch(&dir, 4).sh(TASK).run().exits(0);
    let ends = (1..=4).flat_map(|number| dir.events_of(1, number, "end"));
    let mut ended: Vec<u64> = ends.map(|end| end["index"].as_u64().unwrap()).collect();
    ended.sort_unstable();
    assert_eq!(ended, (0..60).collect::<Vec<_>>());
    assert_eq!(done(&dir), ended);
}

#[test]
fn a_stalled_reader_of_standard_error_holds_up_neither_tasks_nor_the_end() {
    let dir = Dir::with_inputs(3);
    let made = std::process::Command::new("mkfifo").arg(dir.path("fifo")).status().unwrap();
    assert!(made.success());
    let mut reader = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(dir.path("fifo"))
        .unwrap();
    while reader.write(&[b'.'; 4096]).is_ok() {}
    Run::of(&dir, "/bin/sh")
        .args(["-c", "exec \"$0\" \"$@\" 2> fifo", env!("CARGO_BIN_EXE_canfar-run")])
        .args(["-v", "-i", "data/*.fits", "-o", "out", "--", "true"])
        .run()
        .exits(0);
    assert_eq!(dir.results(1).len(), 3);
    assert!(dir.text("out/logs/1.1.err").contains("002.fits"));
}

#[test]
fn a_signal_ends_the_wait_for_a_list_that_nobody_writes() {
    let dir = Dir::with_inputs(0);
    let made = std::process::Command::new("mkfifo").arg(dir.path("fifo")).status().unwrap();
    assert!(made.success());
    let (silent, _writer) = std::io::pipe().unwrap();
    let silent = std::fs::File::from(std::os::fd::OwnedFd::from(silent));
    let run = |list| dir.canfar_run().args(["--files-from", list, "-o", "out", "--", "true"]);
    for run in [run("fifo"), run("-").stdin(silent)] {
        let running = run.start();
        wait_for_file(&dir, "out/inputs.listing");
        running.signal(Signal::TERM);
        running.wait().exits(143).says("stopped by SIGTERM (15) before any task began");
        assert!(!dir.exists("out"), "{}", dir.tree());
    }
}

#[test]
fn a_list_from_a_fifo_is_read_whole_although_it_comes_late() {
    let dir = Dir::with_inputs(0);
    let made = std::process::Command::new("mkfifo").arg(dir.path("fifo")).status().unwrap();
    assert!(made.success());
    let running = dir.canfar_run().args(["--files-from", "fifo", "-o", "out", "--", "true"]).start();
    wait_for_file(&dir, "out/inputs.listing");
    // More than a pipe holds at once.
    let list: Vec<String> = (0..100).map(|number| format!("{number:01000}")).collect();
    std::fs::write(dir.path("fifo"), list.join("\n")).unwrap();
    running.wait().exits(0);
    assert_eq!(dir.results(1).len(), 100);
}

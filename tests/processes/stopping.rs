//! A stop comes to its end in time, in every phase, and leaves nobody.

use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{STAYS, children, exists, in_own_session, noted, state, wait_for_lines};
use crate::support::{DEADLINE, Dir, Running, wait_until};

const SIGNALS: [(Signal, i32); 3] = [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)];

/// Who signals twice does not wait so long.
const IMPATIENT: Duration = Duration::from_secs(15);

/// The platform kills after this.
const KILLED: Duration = Duration::from_secs(30);

#[test]
fn whatever_tasks_left_behind_is_gone_after_every_signal() {
    for (signal, code) in SIGNALS {
        let dir = Dir::with_inputs(4);
        let one = in_own_session();
        let script = format!("{one} & ({one} & ) ; ( env -i \"PATH=$PATH\" {one} & ) ; {STAYS}");
        let running = dir.launch().args(["-j", "2", "--grace", "200ms"]).sh(&script).start();
        wait_for_lines(&dir, "pids", 8);
        running.signal(signal);
        running.wait().exits(code);
        assert!(!noted(&dir, "pids", 8).iter().any(|pid| exists(pid)));
        assert_eq!(dir.results(1).len(), 0);
    }
}

#[test]
fn stopped_tasks_hear_term_and_those_that_ignore_it_are_killed() {
    for (begin, told) in [("trap 'echo told >> told; exit' TERM", 1), ("trap '' TERM", 0)] {
        let dir = Dir::with_inputs(1);
        let script = format!("{begin}; echo $$ > pid; kill -STOP $$; while [ -d data ]; do sleep 0.01; done");
        let running = dir.launch().args(["--grace", "300ms"]).sh(&script).start();
        wait_until(DEADLINE, "it is stopped", || {
            dir.lines("pid").first().is_some_and(|pid| state(pid) == Some('T'))
        });
        running.signal(Signal::TERM);
        running.wait().exits(143);
        assert_eq!(dir.lines("told").len(), told);
        assert!(!exists(&noted(&dir, "pid", 1)[0]));
    }
}

#[test]
fn a_second_signal_leaves_nobody_either() {
    let dir = Dir::with_inputs(1);
    let script =
        format!("{} & trap 'echo told >> told' TERM; {}", in_own_session(), STAYS.replace("TERM", ""));
    let running = dir.launch().args(["--grace", "1h"]).sh(&script).start();
    wait_for_lines(&dir, "pids", 2);
    running.signal(Signal::TERM);
    wait_for_lines(&dir, "told", 1);
    running.signal(Signal::INT);
    running.wait().exits(143);
    assert!(!noted(&dir, "pids", 2).iter().any(|pid| exists(pid)));
}

#[test]
fn a_stop_at_any_moment_loses_nothing_and_leaves_nobody() {
    let dir = Dir::with_inputs(40);
    let one = in_own_session();
    let script = format!("{one} & ({one} & ) ; echo \"${{1##*/}}\" >> ran; echo '{{}}'");
    let mut finished = 0;
    for moment in (0..300).step_by(25) {
        let mut running = dir.launch().args(["-j", "2"]).sh(&script).start();
        // Which phase this is in is left to chance.
        std::thread::sleep(Duration::from_millis(moment));
        if running.has_ended() {
            break;
        }
        running.signal(Signal::TERM);
        let ended = running.wait();
        assert!([Some(143), Some(0)].contains(&ended.code) || ended.signal == Some(15), "{ended}");
        assert!(!dir.lines("pids").iter().any(|pid| exists(pid)), "{ended}");
        if ended.signal.is_none() && dir.exists("out/container_1_results.json") {
            assert!(dir.results(1).len() >= finished);
            finished = dir.results(1).len();
        }
    }
    dir.launch().args(["-j", "2"]).sh(&script).run().exits(0);
    let launches = std::fs::read_dir(dir.path("out/journal")).unwrap().count();
    let mut ends: Vec<u64> = (1..=launches)
        .flat_map(|launch| dir.events_of(1, launch, "end"))
        .map(|end| end["index"].as_u64().unwrap())
        .collect();
    ends.sort_unstable();
    assert_eq!(ends, (0..40).collect::<Vec<_>>());
    assert_eq!(dir.results(1).len(), 40);
    assert!(!dir.lines("pids").iter().any(|pid| exists(pid)));
}

#[test]
fn a_signal_during_the_last_write_lets_it_finish() {
    let dir = Dir::with_inputs(8);
    let script =
        "printf '{\"x\": \"%s\"}' \"$(head -c 8000000 /dev/zero | tr '\\0' x)\" > \"$CANFAR_TASK_RESULT\"";
    let running = dir.launch().sh(script).start();
    let is_written = |name: std::ffi::OsString| name.to_string_lossy().contains("container_1_results.json");
    wait_until(DEADLINE, "the write begins", || {
        dir.events_of(1, 1, "end").len() == 8
            && std::fs::read_dir(dir.path("out"))
                .unwrap()
                .flatten()
                .any(|entry| is_written(entry.file_name()))
    });
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert!([Some(0), Some(143)].contains(&ended.code), "{ended}");
    assert_eq!(dir.results(1).len(), 8);
}

/// A launch that hangs in its last write: the records are read back from a journal that has become a pipe to which nobody
/// writes.
fn hanging_at_the_end(dir: &Dir) -> Running<'_> {
    let script = "[ $CANFAR_TASK_INDEX = 0 ] || { rm out/journal/1.1.jsonl; mkfifo out/journal/1.1.jsonl; }";
    let running = dir.launch().args(["-j", "1"]).sh(script).start();
    wait_until(DEADLINE, "the tasks are over", || {
        let journal = std::fs::metadata(dir.path("out/journal/1.1.jsonl"));
        journal.is_ok_and(|journal| journal.file_type().is_fifo()) && children(running.pid()).is_empty()
    });
    running
}

/// A launch that hangs as it reads its job file.
fn hanging_at_the_start(dir: &Dir) -> Running<'_> {
    let made = std::process::Command::new("mkfifo").arg(dir.path("job.toml")).status().unwrap();
    assert!(made.success());
    let running = dir.launch().args(["--job-file", "job.toml", "--", "true"]).start();
    wait_until(DEADLINE, "it has taken the signals over", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(blocked.trim(), 16).unwrap() & (1 << (Signal::TERM.as_raw() - 1)) != 0
    });
    running
}

/// A launch whose tasks are not to be killed for an hour.
fn hanging_in_a_task(dir: &Dir) -> Running<'_> {
    let running = dir.launch().args(["--grace", "1h"]).sh(STAYS).start();
    wait_for_lines(dir, "pids", 1);
    running
}

#[test]
fn wherever_it_hangs_a_stop_is_over_before_the_platform_kills() {
    let dirs = [1, 2, 1].map(Dir::with_inputs);
    let [start, end, task] = &dirs;
    let hanging = [hanging_at_the_start(start), hanging_at_the_end(end), hanging_in_a_task(task)];
    let told = Instant::now();
    hanging.iter().for_each(|running| running.signal(Signal::TERM));
    let [at_start, at_end, in_task] = hanging.map(|running| running.wait().exits(143));
    assert!(told.elapsed() < KILLED, "{:?}", told.elapsed());
    at_start.says("still busy 24s after SIGTERM (15)");
    at_end.says("still busy 24s after SIGTERM (15)");
    in_task.says_not("still busy").says("1 not run");
    assert!(!start.exists("out"));
    assert!(!exists(&noted(task, "pids", 1)[0]));
    assert_eq!(task.results(1).len(), 0);
}

#[test]
fn wherever_it_hangs_a_second_signal_ends_it_soon() {
    let dirs = [1, 2].map(Dir::with_inputs);
    let [start, end] = &dirs;
    let hanging = [hanging_at_the_start(start), hanging_at_the_end(end)];
    hanging.iter().for_each(|running| running.signal(Signal::TERM));
    let told = Instant::now();
    hanging.iter().for_each(|running| running.signal(Signal::INT));
    for ended in hanging.map(Running::wait) {
        // Of two signals that wait at once the lower one may be taken first.
        assert!([Some(143), Some(130)].contains(&ended.code), "{ended}");
        ended.says("still busy 5s after a second signal");
    }
    assert!(told.elapsed() < IMPATIENT, "{:?}", told.elapsed());
    assert!(!start.exists("out"));
}

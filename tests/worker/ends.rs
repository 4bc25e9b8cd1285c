//! Workers that die, hang, or close what they need.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{distinct, failed, launch, values};
use crate::support::{DEADLINE, Dir, exists, wait_until};

#[test]
fn a_death_costs_the_task_at_hand_and_a_new_worker_goes_on() {
    for (end, cause, said) in [
        ("os._exit(3)", "exit", "exit code 3"),
        ("os._exit(0)", "result", "gave no answer"),
        ("os.kill(os.getpid(), 9)", "signal", "SIGKILL"),
        ("time.sleep(1000)", "timeout", "--timeout"),
        ("signal.signal(15, signal.SIG_IGN); time.sleep(1000)", "timeout", "--timeout"),
        ("print({'n': 1}); time.sleep(1000)", "result", "looks like JSON"),
        ("print('{\"n\": 1', end=''); time.sleep(1000)", "timeout", "no line end: `{\"n\": 1`"),
        ("os.close(1); time.sleep(1000)", "result", "closed its standard"),
    ] {
        let dir = Dir::with_inputs(5);
        let options = ["-j", "1", "--timeout", "3s", "--grace", "100ms"];
        launch(&dir, &options, &format!("if index == 2: {end}\nsays(n=index)")).run().exits(1);
        let failed = failed(&dir, 1);
        assert_eq!((failed.len(), failed[0].0, failed[0].1.as_str()), (1, 2, cause), "{failed:?}");
        assert!(failed[0].2.contains(said), "{failed:?}");
        assert_eq!(values(&dir, "n"), [0, 1, 3, 4]);
    }
}

#[test]
fn retries_ask_a_new_worker_with_the_next_number() {
    let dir = Dir::with_inputs(3);
    let answer = "if index == 1 and task['attempt'] < 3: os._exit(1)\nsays(attempt=task['attempt'])";
    launch(&dir, &["-j", "1", "--retries", "2", "--retry-delay", "0s"], answer).run().exits(0);
    assert_eq!(values(&dir, "attempt"), [1, 3, 1]);
}

#[test]
fn a_worker_that_dies_before_it_takes_a_task_is_one_error_and_no_record() {
    for (script, said) in [
        ("python3 -c 'import no_such_module'", "No module named 'no_such_module'"),
        ("exit 3", "exit code 3"),
        ("kill -9 $$", "SIGKILL"),
        ("exec <&-; while [ -d data ]; do sleep 0.02; done", "closed its standard input"),
    ] {
        let dir = Dir::with_inputs(20);
        let ended = dir.launch().args(["-j", "2", "--worker", "--shell", script]).run().exits(2);
        let ended = ended.says(said).says("before it read its first request");
        assert_eq!(ended.stderr.matches("before it read").count(), 1, "{ended}");
        assert!(dir.events_of(1, 1, "end").is_empty());
        assert_eq!(dir.results(1).len(), 0);
    }
}

#[test]
fn starts_that_fail_later_are_tried_again_and_end_the_launch_without_a_record_when_that_is_in_vain() {
    for (fails, code, ok) in [(2, 0, 4), (1000, 2, 1)] {
        let dir = Dir::with_inputs(4);
        let worker = format!(
            "import os
starts = len(open('starts').read()) if os.path.exists('starts') else 0
open('starts', 'a').write('x')
if 1 <= starts <= {fails}: raise OSError('not now')
{}",
            super::python("says(n=index)\nos._exit(0)")
        );
        dir.write("worker.py", worker);
        let line = ["-j", "1", "--worker", "--", "python3", "worker.py"];
        dir.launch().args(line).run().exits(code);
        assert_eq!((dir.results(1).len(), failed(&dir, 1)), (ok, vec![]));
    }
}

#[test]
fn who_ends_by_itself_after_an_answer_is_started_again() {
    for end in ["os._exit(0)", "os._exit(1)", "os.close(0)"] {
        let dir = Dir::with_inputs(5);
        launch(&dir, &["-j", "1"], &format!("says(pid=os.getpid())\n{end}")).run().exits(0);
        assert_eq!(distinct(&dir, "pid"), 5, "{end}");
    }
}

#[test]
fn after_so_many_tasks_a_worker_is_started_afresh() {
    let dir = Dir::with_inputs(10);
    launch(&dir, &["-j", "1", "--worker-tasks", "3"], "says(pid=os.getpid())").run().exits(0);
    assert_eq!(distinct(&dir, "pid"), 4);
    let mut pids = values(&dir, "pid");
    pids.dedup();
    assert_eq!(pids.len(), 4);
}

#[test]
fn who_goes_on_printing_after_its_last_answer_is_heard_out() {
    let dir = Dir::with_inputs(1);
    let rest = "says(n=1)\nsys.stdin.close()\nprint('x' * 1000000)\nopen('done', 'w').close()\nos._exit(0)";
    launch(&dir, &["-j", "1"], rest).run().exits(0);
    assert!(dir.exists("done"));
}

#[test]
fn a_stop_ends_busy_and_idle_workers_with_all_that_they_started() {
    let dir = Dir::with_inputs(3);
    // One is at its task; the others had theirs and wait for a retry.
    let answer = "open('pids', 'a').write(f'{os.getpid()}\\n')
signal.signal(15, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    open('pids', 'a').write(f'{os.getpid()}\\n')
    while os.path.exists('data'): time.sleep(0.02)
    os._exit(0)
if index == 0:
    while os.path.exists('data'): time.sleep(0.02)
says(error='again')";
    let options = ["-j", "3", "--grace", "200ms", "--retries", "1", "--retry-delay", "1h"];
    let running = launch(&dir, &options, answer).start();
    wait_until(DEADLINE, "two wait", || dir.events_of(1, 1, "attempt").len() == 2);
    wait_until(DEADLINE, "all are there", || dir.lines("pids").len() == 6);
    running.signal(Signal::TERM);
    running.wait().exits(143);
    let left: Vec<_> = dir.lines("pids").into_iter().filter(|pid| exists(pid)).collect();
    assert_eq!(left, Vec::<String>::new());
    assert!(dir.events_of(1, 1, "end").is_empty());
}

#[test]
fn a_second_signal_kills_workers_at_once_with_all_that_they_started() {
    let dir = Dir::with_inputs(4);
    // Deaf to the first one, but for a note of it.
    let answer = "signal.signal(15, lambda *_: open('told', 'a').write('x\\n'))
if os.fork() == 0: os.setsid()
open('pids', 'a').write(f'{os.getpid()}\\n')
while os.path.exists('data'): time.sleep(0.02)";
    let running = launch(&dir, &["-j", "2", "--grace", "1h"], answer).start();
    wait_until(DEADLINE, "all are there", || dir.lines("pids").len() == 4);
    running.signal(Signal::TERM);
    wait_until(DEADLINE, "both heard it", || dir.lines("told").len() >= 2);
    assert!(dir.lines("pids").iter().all(|pid| exists(pid)), "nobody is killed before the grace is over");
    let begun = Instant::now();
    running.signal(Signal::TERM);
    running.wait().exits(143);
    // The grace alone would be 15 s.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!dir.lines("pids").iter().any(|pid| exists(pid)));
    assert!(dir.events_of(1, 1, "end").is_empty());
    launch(&dir, &["-j", "2"], "says(n=index)").run().exits(0);
    assert_eq!(values(&dir, "n"), [0, 1, 2, 3]);
}

#[test]
fn processor_time_is_each_tasks_own() {
    let dir = Dir::with_inputs(3);
    let answer = "begun = time.process_time()
if index == 1:
    while time.process_time() - begun < 0.3: pass
if index == 2: time.sleep(0.3)
says(n=index)";
    launch(&dir, &["-j", "1"], answer).run().exits(0);
    let used = |index: usize, what: &str| dir.results(1)[index]["canfar_run"][what].as_f64().unwrap();
    assert!((0.3..2.0).contains(&used(1, "cpu_s")), "{}", used(1, "cpu_s"));
    assert!(used(2, "cpu_s") < 0.2 && used(2, "duration_s") >= 0.3);
    assert!(used(2, "max_rss_bytes") > 1e6);
}

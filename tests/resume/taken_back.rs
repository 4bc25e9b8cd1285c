//! Attempts that were announced and could not begin.

use rustix::process::Signal;

use super::names;
use crate::support::{DEADLINE, Dir, Running, wait_until};

/// The first task leaves the runner without descriptors as long as `short` is there, once the second one runs; the others end
/// at once.
const TASK: &str = "echo \"${1##*/}\" >> ran
case $CANFAR_TASK_INDEX in
0) if [ -e short ]; then
     while [ ! -e second ]; do sleep 0.01; done
     prlimit --pid $PPID --nofile=8: && : > limited
     while [ -e short ]; do sleep 0.01; done
     prlimit --pid $PPID --nofile=1024:
   fi;;
1) : > second
   while [ -e short ] && [ ! -e limited ]; do sleep 0.01; done;;
esac";

fn with_a_start_taken_back(dir: &Dir) -> Running<'_> {
    dir.write("short", "");
    let running = dir.launch().args(["-j", "2", "--result", "none"]).sh(TASK).start();
    wait_until(DEADLINE, "a start is taken back", || !dir.events_of(1, 1, "not_started").is_empty());
    running
}

#[test]
fn a_start_that_was_taken_back_is_no_attempt() {
    let dir = Dir::with_inputs(3);
    let running = with_a_start_taken_back(&dir);
    std::fs::remove_file(dir.path("short")).unwrap();
    running.wait().exits(0);
    assert_eq!(dir.sorted_lines("ran"), names(3));
    assert_eq!(dir.events_of(1, 1, "not_started")[0]["index"], 2);
    for record in dir.results(1) {
        assert_eq!(record["canfar_run"]["attempts"], 1, "{record}");
    }
}

#[test]
fn who_dies_with_a_start_taken_back_leaves_no_suspicion_of_that_task() {
    let dir = Dir::with_inputs(3);
    let running = with_a_start_taken_back(&dir);
    running.signal(Signal::KILL);
    running.wait();
    std::fs::remove_file(dir.path("short")).unwrap();
    let ended = dir.launch().args(["-j", "2", "--result", "none"]).sh(TASK).run().exits(0);
    ended.says("1 task was running when the container died");
    let starts = dir.events_of(1, 2, "start");
    let of_last: Vec<_> = starts.iter().filter(|start| start["index"] == 2).collect();
    assert_eq!((of_last.len(), &of_last[0]["alone"], &of_last[0]["attempt"]), (1, &false.into(), &1.into()));
}

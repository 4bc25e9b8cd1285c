//! What signals do to a launch and its tasks, and that a terminal does nothing to tasks.
#![cfg(target_os = "linux")]

use rustix::process::{Pid, Signal};

use crate::support::{DEADLINE, Dir, Process, Run, Running, wait_until};

mod draining;
mod meanings;
mod suspended;
mod terminal;

/// Notes its name in `ran` and its number in `pids`; stays as long as `hold` is there.
const TASK: &str = "echo \"${1##*/}\" >> ran; echo $$ >> pids
while [ -e hold ]; do sleep 0.02; done; echo '{\"done\": 1}'";

/// The same as a worker.
const WORKER: &str = "import json, os, sys, time
print(os.getpid(), file=open('pids', 'a'), flush=True)
for line in sys.stdin:
    print(os.path.basename(json.loads(line)['path']), file=open('ran', 'a'), flush=True)
    while os.path.exists('hold'):
        time.sleep(0.02)
    print('{\"done\": 1}', flush=True)
";

/// How tasks are executed.
#[derive(Debug, Clone, Copy)]
enum Way {
    Command,
    Chdir,
    Shell,
    Worker,
}

const WAYS: [Way; 4] = [Way::Command, Way::Chdir, Way::Shell, Way::Worker];

/// Inputs whose tasks stay until [`let_go`].
fn held(count: usize) -> Dir {
    let dir = Dir::with_inputs(count);
    dir.write("hold", "");
    dir.write("worker.py", WORKER);
    dir
}

fn let_go(dir: &Dir) {
    std::fs::remove_file(dir.path("hold")).unwrap();
}

fn launch<'d>(dir: &'d Dir, options: &[&str], way: Way) -> Running<'d> {
    execute(dir.launch().args(options), way)
}

fn execute(run: Run<'_>, way: Way) -> Running<'_> {
    match way {
        Way::Command => run.sh(TASK),
        Way::Chdir => run.args(["--chdir", "."]).sh(TASK),
        Way::Shell => run.args(["--shell", &format!("set -- {{}}; {TASK}")]),
        Way::Worker => run.args(["--worker", "--", "python3", "worker.py"]),
    }
    .start()
}

/// Waits until so many tasks run.
#[track_caller]
fn began(dir: &Dir, count: usize) {
    wait_until(DEADLINE, "tasks begin", || {
        dir.lines("ran").len() >= count && dir.lines("pids").len() >= count
    });
}

fn pid_of(running: &Running<'_>) -> Pid {
    Pid::from_raw(running.pid().cast_signed()).unwrap()
}

/// It, and all that came from it.
fn family(running: &Running<'_>) -> Vec<Process> {
    let pid = pid_of(running);
    let mut family = Process::descendants_of(pid);
    family.extend(Process::read(pid.as_raw_pid()));
    family
}

/// A shell that was stopped in the midst of starting a program waits for that one, which is stopped: `D`.
fn is_stopped(process: &Process) -> bool {
    matches!(process.state, 'T' | 'D') || process.is_zombie()
}

#[track_caller]
fn wait_until_all_are(running: &Running<'_>, what: &str, is_so: impl Fn(&Process) -> bool) {
    wait_until(DEADLINE, what, || family(running).iter().all(&is_so));
}

fn send(process: Pid, signal: Signal) {
    rustix::process::kill_process(process, signal).unwrap();
}

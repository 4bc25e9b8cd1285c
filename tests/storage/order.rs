//! What is kept is kept before what is only in the way is removed.

use super::{TASK, with_fault, work};
use crate::support::{Component, DEADLINE, Dir, require, wait_until};

/// The calls that tell, in their order, each as strace shows it.
const TRACE: [&str; 4] = ["-s", "4096", "-e", "trace=write,unlink,unlinkat,rmdir,rename,renameat,renameat2"];

/// Where the first line stands that has all of these words.
#[track_caller]
fn place(calls: &[String], words: &[&str]) -> usize {
    let has_all = |line: &String| words.iter().all(|word| line.contains(word));
    calls.iter().position(has_all).unwrap_or_else(|| panic!("{words:?} in\n{}", calls.join("\n")))
}

#[test]
fn a_task_is_recorded_before_its_temporary_folder_is_removed() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(1);
    let task = format!("{TASK}; : > \"$TMPDIR/a-file-of-mine\"");
    work(with_fault(&dir, &TRACE)).sh(&task).run().exits(0);
    let calls = dir.lines("faults");
    let recorded = place(&calls, &["write(", "\\\"event\\\":\\\"end\\\""]);
    assert!(recorded < place(&calls, &["unlink", "a-file-of-mine"]), "{}", calls.join("\n"));
}

#[test]
fn results_are_written_before_the_launchs_folder_is_removed() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(2);
    // Who is told to stop leaves the folder of the task to the end, and what it made so far.
    let task = format!(
        "{TASK} | tee \"$CANFAR_TASK_OUT\"; [ $CANFAR_TASK_INDEX = 0 ] && exit
: > \"$TMPDIR/a-file-of-mine\"; echo $PPID > runner; exec sleep 1000"
    );
    let product = ["--product", "made/{index}.half"];
    let running = work(with_fault(&dir, &TRACE)).args(product).sh(&task).start();
    wait_until(DEADLINE, "the second task", || !dir.lines("runner").is_empty());
    let runner = dir.text("runner").trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(runner, rustix::process::Signal::TERM).unwrap();
    running.wait().exits(143);
    let calls = dir.lines("faults");
    let written = place(&calls, &["rename", "container_1_results.json"]);
    let told = place(&calls, &["write(", "\\\"event\\\":\\\"stop\\\""]);
    for removed in ["a-file-of-mine", "1.half"] {
        assert!(written < told && told < place(&calls, &["unlink", removed]), "{}", calls.join("\n"));
    }
}

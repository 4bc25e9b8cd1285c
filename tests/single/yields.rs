//! Launches that give way to a newer one, and what they are told meanwhile.

use rustix::process::Signal;

use crate::support::{DEADLINE, Dir, wait_until};

use super::signal;

#[test]
fn a_signal_after_a_takeover_is_the_first_one_and_leaves_tasks_their_grace() {
    for told in [Signal::TERM, Signal::INT] {
        let dir = Dir::with_inputs(2);
        // Takes half a second more to end than the test says, in which a second signal would kill it.
        let task = "trap 'echo >> termed; while [ ! -e go ]; do sleep 0.01; done; sleep 0.5; echo > ended; exit 0' TERM
echo > began; while :; do sleep 0.01; done";
        let running = dir.launch().args(["-j", "1"]).sh(task).start();
        wait_until(DEADLINE, "the task begins", || dir.exists("began"));
        // As a launch elsewhere would that could not see this one live.
        dir.write("out/journal/1.2.jsonl", "");
        wait_until(DEADLINE, "the task is told", || dir.exists("termed"));
        signal(&dir, 1, told);
        dir.write("go", "");
        let ended = running.wait().exits(128 + told.as_raw());
        let ended = ended.says("a newer launch of this replica took over");
        assert!(dir.exists("ended"), "{ended}");
    }
}

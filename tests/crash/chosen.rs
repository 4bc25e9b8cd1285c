//! Kills that chance hardly hits: in the middle of a write, and of the runner only while its tasks go on.

use rustix::process::Signal;

use super::{TASK, Witness, assert_all_right};
use crate::support::{DEADLINE, Dir, Run, wait_until};

/// Files may get so many times 512 bytes long, and no longer.
fn work(dir: &Dir, most: Option<usize>) -> Run<'_> {
    let run = match most {
        Some(most) => Run::of(dir, "/bin/sh").args([
            "-c",
            &format!("ulimit -f {most}; exec \"$@\""),
            "sh",
            env!("CARGO_BIN_EXE_canfar-run"),
        ]),
        None => dir.canfar_run(),
    };
    run.args(["-i", "data/*.fits", "-o", "out", "-j", "2", "--rerun", "all"]).sh(TASK)
}

#[test]
fn where_any_write_is_cut_short_for_good_the_next_launch_does_exactly_the_rest() {
    let mut cut = 0;
    for most in 1..40 {
        let dir = Dir::with_inputs(6);
        let witness = Witness { dir: &dir, replicas: 1 };
        // Beyond the limit, a write first does what it can; the next one is answered by a signal.
        let first = work(&dir, Some(most)).run();
        let was_cut = first.code != Some(0);
        cut += usize::from(was_cut);
        witness.merge();
        work(&dir, None).run().exits(0);
        assert_eq!(witness.merge(), Some(0), "{most}: {first}");
        assert_all_right(&dir, 6);
        assert_eq!(
            (witness.lost(), witness.repeated(), witness.doubled()),
            (vec![], vec![], vec![]),
            "{most}"
        );
        if !was_cut {
            break;
        }
    }
    assert!((4..39).contains(&cut), "{cut}");
}

#[test]
fn tasks_that_outlive_their_runner_do_no_harm_to_the_next_launch() {
    let dir = Dir::with_inputs(3);
    dir.write("hold", "");
    dir.write("hold-next", "");
    let task = "echo \"$CANFAR_TASK_ID\" >> began
case $CANFAR_TASK_ID in
*.1.1) while [ -e hold ]; do sleep 0.01; done; echo '{\"twice\": -1}' | tee \"$CANFAR_TASK_RESULT\"
    # The next launch has removed that folder.
    (: > \"$TMPDIR/x\") 2> /dev/null; echo late >> late;;
*) while [ -e hold-next ]; do sleep 0.01; done; echo \"{\\\"twice\\\": $((2 * $(cat \"$1\")))}\";;
esac";
    let launch = || dir.launch().args(["-j", "3", "--rerun", "all", "--memory-per-task", "1M"]).sh(task);
    let first = launch().start();
    wait_until(DEADLINE, "all begin", || dir.lines("began").len() == 3);
    first.signal(Signal::KILL);
    first.wait();
    let second = launch().start();
    wait_until(DEADLINE, "one begins again", || dir.lines("began").len() >= 4);
    std::fs::remove_file(dir.path("hold")).unwrap();
    wait_until(DEADLINE, "the first ones end", || dir.lines("late").len() == 3);
    std::fs::remove_file(dir.path("hold-next")).unwrap();
    second.wait().exits(0);
    let witness = Witness { dir: &dir, replicas: 1 };
    assert_eq!(witness.merge(), Some(0));
    assert_all_right(&dir, 3);
    assert_eq!((witness.lost(), witness.doubled()), (vec![], vec![]));
}

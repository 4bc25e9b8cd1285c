//! Results that can't be written, found as late as can be: nothing is lost or done twice for it.

use super::{TASK, done, launch, runs};
use crate::support::{Dir, Run};

/// canfar-run that may write no file longer than so many blocks of 512 bytes, as on a full disk.
fn with_room_for(dir: &Dir, blocks: usize) -> Run<'_> {
    let script = format!("ulimit -f {blocks}; exec \"$@\"");
    let run = Run::of(dir, "/bin/sh").args(["-c", &script, "sh", env!("CARGO_BIN_EXE_canfar-run")]);
    run.args(["-i", "data/*.fits", "-o", "out", "-j", "1"])
}

#[test]
fn a_journal_that_is_full_ends_the_launch_and_the_next_one_finishes() {
    for blocks in [6, 8, 13] {
        let dir = Dir::with_inputs(30);
        let ended = with_room_for(&dir, blocks).sh(TASK).run().exits(4).says("results can't be written");
        let recorded = dir.events_of(1, 1, "end").len();
        let begun = runs(&dir).len();
        assert!((recorded..=recorded + 1).contains(&begun) && begun < 30, "{recorded} of {begun}\n{ended}");

        launch(&dir, 1).sh(TASK).run().exits(0);
        assert_eq!(done(&dir), (0..30).collect::<Vec<_>>());
        let twice = runs(&dir).values().filter(|times| **times == 2).count();
        assert_eq!(twice, begun - recorded, "only what has no record runs again");
    }
}

#[test]
fn a_results_directory_that_vanishes_is_no_success() {
    let dir = Dir::with_inputs(3);
    launch(&dir, 1).sh("rm -rf out").run().exits(3).says("was moved away from");
}

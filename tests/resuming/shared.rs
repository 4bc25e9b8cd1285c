//! Runs whose replicas share their work, resumed by containers that look after some of them.

use super::{TASK, began, hold, let_go, resume, runs};
use crate::support::Dir;

/// Begins a run of four replicas that share eight files, of which the fifth fails, and runs none of it.
fn begin(dir: &Dir) {
    let task = format!("[ \"${{1##*/}}\" != 004.fits ] || exit 1\n{TASK}");
    dir.launch().args(["-j", "1", "--balance", "--deadline", "1ms"]).replica(1, 4).sh(&task).run().exits(3);
    assert_eq!(runs(dir), [].into());
}

#[test]
fn a_replica_with_nothing_left_of_its_own_is_not_launched_again_because_others_have() {
    let dir = Dir::with_inputs(8);
    begin(&dir);
    let own = || resume(&dir).args(["--shares", "1"]).run();
    own().exits(0);
    assert_eq!(runs(&dir), [(0, 1), (1, 1)].into());
    let before = dir.names("out/journal");
    own().exits(0);
    assert_eq!(dir.names("out/journal"), before);
    // One whose failed task is due is.
    let other = || resume(&dir).args(["--shares", "3"]).run();
    other().exits(1);
    other().exits(1);
    assert!(dir.exists("out/journal/3.2.jsonl"));
}

#[test]
fn where_the_last_replica_was_brought_to_an_end_by_another_process_what_is_free_is_still_taken() {
    let dir = Dir::with_inputs(8);
    begin(&dir);
    hold(&dir, 0);
    // It looks after the replicas 1 and 3, and there is no container 2.
    let resumed = resume(&dir).replica(1, 2).start();
    began(&dir, 0, 1);
    resume(&dir).args(["--shares", "3"]).run().exits(1);
    let_go(&dir, 0);
    let ended = resumed.wait();
    assert_eq!(runs(&dir), [0, 1, 2, 3, 5, 6, 7].map(|number| (number, 1)).into(), "{ended}");
}

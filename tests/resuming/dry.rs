//! `resume --dry-run`: what would be run, share by share, and nothing is done.

use super::{at_work, let_go, replica, resume};
use crate::support::Dir;

#[test]
fn what_failed_or_has_no_record_is_printed_and_nothing_is_written() {
    let dir = Dir::with_inputs(7);
    dir.write("task.sh", "case $1 in */001.fits) [ -e mended ] || exit 1;; esac");
    let launch = |id| dir.launch().replica(id, 4).args(["--", "sh", "task.sh", "{}", "{index}", "{replica}"]);
    launch(1).run().exits(1);
    launch(4).run().exits(0);
    let before = dir.tree();
    let line = |index: usize, replica: usize| {
        format!("sh task.sh {} {index} {replica}\n", dir.path(format!("data/{index:03}.fits")).display())
    };
    let all = resume(&dir).arg("-n").run().exits(0);
    assert_eq!(all.printed(), [line(1, 1), line(2, 2), line(3, 2), line(4, 3), line(5, 3)].concat());
    let all = all.says("replica 1 of 4: 1 command would be run; nothing was");
    all.says("replica 3 of 4: 2 commands would be run").says_not("replica 4 of 4");
    resume(&dir).args(["-n", "--shares", "2"]).run().exits(0).prints(&[line(2, 2), line(3, 2)].concat());
    // Container 1 of 2 looks after the first and the third.
    let own = resume(&dir).arg("-n").replica(1, 2).run().exits(0);
    own.prints(&[line(1, 1), line(4, 3), line(5, 3)].concat());
    resume(&dir).args(["-n", "--rerun", "never", "--shares", "1"]).run().exits(0).prints("");
    assert_eq!(before.difference(&dir.tree()), None);
    dir.write("mended", "");
    resume(&dir).run().exits(0);
    resume(&dir).arg("-n").run().exits(0).prints("");
}

#[test]
fn a_share_that_somebody_is_at_would_be_left_alone() {
    let dir = Dir::with_inputs(2);
    let running = at_work(&dir, 1, 2, 0);
    replica(&dir, 2, 2).run().exits(0);
    let told = resume(&dir).arg("-n").run().exits(0);
    told.says("replica 1 of 2 is running (launch 1 on ").prints("");
    let_go(&dir, 0);
    running.wait().exits(0);
}

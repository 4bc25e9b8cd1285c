//! A resume that ends before all is done, and the next one.

use rustix::process::Signal;

use super::{began, hold, let_go, replica, resume, runs};
use crate::support::Dir;

#[test]
fn a_signal_stops_the_whole_resume_and_the_next_one_goes_on() {
    let dir = Dir::with_inputs(8);
    replica(&dir, 1, 4).run().exits(0);
    hold(&dir, 4);
    let running = dir.canfar_run().args(["resume", "out", "-j", "1"]).start();
    began(&dir, 4, 1);
    running.signal(Signal::TERM);
    running.wait().exits(143).says("stopped early: SIGTERM").says("resumed 2 shares (2-3)");
    assert_eq!(runs(&dir), [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)].into());
    assert!(dir.exists("out/container_3_results.json"));
    assert!(!dir.exists("out/journal/4.1.jsonl"));
    let_go(&dir, 4);
    resume(&dir).run().exits(0).says("resumed 2 shares (3-4)");
    assert_eq!(runs(&dir), (0..8).map(|number| (number, 1 + usize::from(number == 4))).collect());
    resume(&dir).run().exits(0).says("nothing to do");
}

#[test]
fn the_deadline_is_one_for_all_shares() {
    let dir = Dir::with_inputs(6);
    replica(&dir, 1, 3).run().exits(0);
    let ended = resume(&dir).args(["--deadline", "0s", "--json"]).run().exits(3);
    let ended = ended.says("2 shares not begun (2-3)");
    assert_eq!(ended.json()["not_begun"], serde_json::json!([2, 3]));
    assert_eq!(runs(&dir).len(), 2);
}

#[test]
fn the_summary_tells_every_share_and_the_exit_code_is_the_gravest() {
    let dir = Dir::with_inputs(3);
    let task = "[ \"${1##*/}\" != 001.fits ]";
    dir.launch().replica(1, 3).sh(task).run().exits(0);
    let ended = resume(&dir).arg("--json").run().exits(1).says("replica 2 of 3: 0 of 1 file ok, 1 failed");
    let json = ended.says("replica 3 of 3: 1 of 1 file ok").json();
    let shares: Vec<_> = json["shares"].as_array().unwrap().iter().map(|share| &share["exit"]).collect();
    assert_eq!((shares, &json["exit"], &json["done"]), (vec![&1.into(), &0.into()], &1.into(), &1.into()));
    assert!(dir.text("out/logs/3.1.err").contains("replica 3 of 3"));
    assert!(!dir.text("out/logs/3.1.err").contains("replica 2 of 3"));
}

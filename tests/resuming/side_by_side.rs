//! Several containers at once, and replicas of other hosts.

use std::io::Write;

use super::{at_work, began, died, hold, let_go, replica, resume, runs};
use crate::support::{DEADLINE, Dir, Run, at_once, wait_until};

fn all(run: Run<'_>) -> Run<'_> {
    run.args(["resume", "out", "-j", "1"])
}

#[test]
fn several_resumes_of_the_same_shares_do_nothing_twice() {
    let dir = Dir::with_inputs(12);
    replica(&dir, 1, 12).run().exits(0);
    died(&dir, 2, 12, 1);
    let resumed = at_once(&dir, [all; 5]);
    resumed.into_iter().for_each(|running| _ = running.wait().exits(0));
    assert_eq!(runs(&dir), (0..12).map(|number| (number, 1 + usize::from(number == 1))).collect());
    dir.canfar_run().args(["merge", "out"]).run().exits(0).says("12 files: 12 ok");
}

#[test]
fn who_is_through_with_its_own_shares_goes_on_with_those_that_nobody_is_at() {
    let dir = Dir::with_inputs(6);
    replica(&dir, 1, 6).run().exits(0);
    // Container 1 of 2 looks after the shares 1, 3 and 5, and there is no container 2.
    hold(&dir, 3);
    let resumed = resume(&dir).replica(1, 2).start();
    began(&dir, 3, 1);
    assert_eq!(runs(&dir), [(0, 1), (2, 1), (4, 1), (5, 1), (3, 1)].into());
    // Here it is: what the other one is with is left to it.
    resume(&dir).replica(2, 2).run().exits(0).says("replica 4 of 6 is at work").says("(2)");
    let_go(&dir, 3);
    resumed.wait().exits(0);
    assert_eq!(runs(&dir), (0..6).map(|number| (number, 1)).collect());
}

#[test]
fn where_one_share_is_taken_over_the_others_go_on() {
    let dir = Dir::with_inputs(3);
    replica(&dir, 1, 3).run().exits(0);
    hold(&dir, 1);
    let resumed = resume(&dir).arg("--json").start();
    began(&dir, 1, 1);
    // As a launch elsewhere would that could not see this one live.
    dir.write("out/journal/2.2.jsonl", "");
    let ended = resumed.wait().exits(3).says("a newer launch of this replica took over");
    assert_eq!(dir.results(3).len(), 1, "{ended}");
    assert!(!dir.exists("out/container_2_results.json"), "{ended}");
    assert_eq!(runs(&dir), [(0, 1), (1, 1), (2, 1)].into());
    assert_eq!(ended.json()["shares"][0]["replica_id"], 3);
}

#[test]
fn failures_are_not_tried_again_by_every_container() {
    let dir = Dir::with_inputs(6);
    let task = "echo \"${1##*/}\" >> ran; false";
    dir.launch().replica(1, 6).sh(task).run().exits(1);
    for id in 1..=3 {
        resume(&dir).replica(id, 3).args(["--shares", "2-6"]).run();
    }
    let mut times: Vec<usize> = runs(&dir).into_values().collect();
    times.dedup();
    assert!(times.iter().all(|times| *times <= 2), "{:?}", runs(&dir));
}

#[test]
fn of_launches_elsewhere_all_journals_are_watched_at_once_and_only_those_that_grow_are_left_alone() {
    let dir = Dir::with_inputs(5);
    replica(&dir, 1, 5).run().exits(0);
    for id in 2..=4 {
        died(&dir, id, 5, id - 1);
        let journal = format!("out/journal/{id}.1.jsonl");
        let host = rustix::system::uname();
        let here = format!("\"host\":\"{}\"", host.nodename().to_str().unwrap());
        let text = dir.text(&journal);
        assert!(text.contains(&here), "{text}");
        dir.write(&journal, text.replace(&here, "\"host\":\"elsewhere\""));
    }
    let resumed = resume(&dir).quick_heartbeat().start();
    wait_until(DEADLINE, "it watches", || resumed.stderr().contains("3 launches on other hosts"));
    let mut journal =
        std::fs::OpenOptions::new().append(true).open(dir.path("out/journal/3.1.jsonl")).unwrap();
    journal.write_all(b"\n").unwrap();
    resumed
        .wait()
        .exits(0)
        .says("replica 3 of 5 is at work (launch 1 on host elsewhere")
        .says("resumed 3 shares (2,4-5)")
        .says("1 share running elsewhere (3)")
        // Not once more for each.
        .says_not("watching its journal");
    assert_eq!(runs(&dir), [(0, 1), (1, 2), (2, 1), (3, 2), (4, 1)].into());
}

#[test]
fn an_owner_that_comes_back_finds_its_share_at_work_or_done() {
    let dir = Dir::with_inputs(2);
    replica(&dir, 1, 2).run().exits(0);
    hold(&dir, 1);
    let resumed = resume(&dir).start();
    began(&dir, 1, 1);
    replica(&dir, 2, 2).run().exits(3).says("replica 2 of 2 is already running");
    let_go(&dir, 1);
    resumed.wait().exits(0);
    replica(&dir, 2, 2).run().exits(0).says("nothing to do");
    assert_eq!(runs(&dir), [(0, 1), (1, 1)].into());
}

#[test]
fn a_living_owner_is_left_alone_and_nothing_of_its_is_written() {
    let dir = Dir::with_inputs(4);
    let owner = at_work(&dir, 1, 2, 0);
    let before = dir.tree();
    let ended = resume(&dir).args(["--shares", "1", "--json"]).run().exits(0).says("is at work");
    assert_eq!(before.difference(&dir.tree()), None);
    assert_eq!(ended.json()["at_work"][0], 1);
    let_go(&dir, 0);
    owner.wait().exits(0);
}

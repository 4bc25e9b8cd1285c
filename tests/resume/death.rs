//! Launches that are killed without a word, as when a container dies: what ended is kept, and what ran is suspected.

use rustix::process::Signal;
use serde_json::Value;

use super::{TASK, began, done, hold, launch, let_go, runs};
use crate::support::{DEADLINE, Dir, Ended, Running, wait_until};

/// Starts a launch, kills it once these tasks run (for the `times`th time), and lets them go, since no container dies
/// around them.
pub(super) fn kill_it_at(dir: &Dir, jobs: usize, held: &[usize], times: usize) {
    hold(dir, held.iter().copied());
    let running = launch(dir, jobs).sh(TASK).start();
    began(dir, held.iter().copied(), times);
    kill(running);
    let_go(dir);
}

fn kill(running: Running<'_>) -> Ended {
    running.signal(Signal::KILL);
    let ended = running.wait();
    assert_eq!(ended.signal, Some(9), "{ended}");
    ended
}

/// Index and "alone" of a launch's starts, in their order.
pub(super) fn starts(dir: &Dir, number: usize) -> Vec<(u64, bool)> {
    let start = |event: Value| (event["index"].as_u64().unwrap(), event["alone"].as_bool().unwrap());
    dir.events_of(1, number, "start").into_iter().map(start).collect()
}

#[test]
fn a_kill_costs_only_what_was_running_and_that_runs_last_and_alone() {
    for (held, before) in [(vec![0], 0), (vec![4], 4), (vec![7], 7)] {
        let dir = Dir::with_inputs(8);
        kill_it_at(&dir, 1, &held, 1);
        assert!(!dir.exists("out/container_1_results.json"));
        launch(&dir, 1).sh(TASK).run().exits(0).says("1 task was running when the container died");
        let mut order: Vec<(u64, bool)> = (before + 1..8).map(|index| (index, false)).collect();
        order.push((before, true));
        assert_eq!(starts(&dir, 2), order);
        assert_eq!(done(&dir), (0..8).collect::<Vec<_>>());
        assert!(runs(&dir).iter().all(|(number, times)| *times == if held.contains(number) { 2 } else { 1 }));
    }
}

#[test]
fn suspects_run_one_by_one_after_all_others() {
    let dir = Dir::with_inputs(8);
    kill_it_at(&dir, 3, &[0, 2, 3], 1);
    let overlap = "[ ! -e busy ] || echo \"${1##*/}\" >> overlapped
case $1 in *000*|*002*|*003*) : > busy; echo \"${1##*/}\" >> ran; rm busy;; *) echo \"${1##*/}\" >> ran;; esac";
    launch(&dir, 3)
        .arg("--accept-changed-command")
        .sh(overlap)
        .run()
        .exits(0)
        .says("3 tasks were running when");
    let order = starts(&dir, 2);
    assert_eq!(order[order.len() - 3..], [(0, true), (2, true), (3, true)]);
    assert!(order[..order.len() - 3].iter().all(|(_, alone)| !alone), "{order:?}");
    assert!(!dir.exists("overlapped"), "{:?}", dir.lines("overlapped"));
    assert_eq!(done(&dir), (0..8).collect::<Vec<_>>());
}

#[test]
fn a_task_under_which_the_container_dies_while_it_runs_alone_is_lost() {
    let dir = Dir::with_inputs(4);
    kill_it_at(&dir, 2, &[1, 2], 1);
    // In the second launch task 1 is the first to run alone.
    kill_it_at(&dir, 2, &[1], 2);
    assert_eq!(starts(&dir, 2).last(), Some(&(1, true)));

    launch(&dir, 2)
        .sh(TASK)
        .run()
        .exits(1)
        .says("001.fits: the container died while it ran alone")
        .says("3 of 4 files ok, 1 failed");
    assert_eq!(starts(&dir, 3), [(2, true)]);
    let record = dir.failures(1, 3).remove(0);
    let meta = &record["canfar_run"];
    assert_eq!((&meta["cause"], &meta["index"], &meta["attempts"]), (&"lost".into(), &1.into(), &2.into()));
    assert_eq!(
        (&record["file"], &meta["exit_code"], &meta["signal"]),
        (&"001.fits".into(), &Value::Null, &Value::Null)
    );

    // It is not run again, unless asked for.
    launch(&dir, 2).sh(TASK).run().exits(1).says("nothing to do").says("1 failed");
    launch(&dir, 2).args(["--rerun", "all"]).sh(TASK).run().exits(0);
    assert_eq!(starts(&dir, 4), [(1, true)]);
    assert_eq!(runs(&dir), [(0, 1), (1, 3), (2, 2), (3, 1)].into());
    assert_eq!(done(&dir), [0, 1, 2, 3]);
}

#[test]
fn a_lost_task_that_is_run_again_and_dies_again_is_lost_again() {
    let dir = Dir::with_inputs(2);
    kill_it_at(&dir, 1, &[0], 1);
    kill_it_at(&dir, 1, &[0], 2);
    launch(&dir, 1).sh(TASK).run().exits(1);
    hold(&dir, [0]);
    let running = launch(&dir, 1).args(["--rerun", "all"]).sh(TASK).start();
    began(&dir, [0], 3);
    kill(running);
    let_go(&dir);
    launch(&dir, 1).sh(TASK).run().exits(1).says("lost");
    assert_eq!(runs(&dir), [(0, 3), (1, 1)].into());
    assert_eq!(dir.failures(1, 5)[0]["canfar_run"]["attempts"], 3);
}

#[test]
fn a_suspect_stays_one_when_the_next_launch_is_stopped_before_its_turn() {
    let dir = Dir::with_inputs(4);
    kill_it_at(&dir, 1, &[0], 1);
    hold(&dir, [2]);
    let running = launch(&dir, 1).sh(TASK).start();
    began(&dir, [2], 1);
    running.signal(Signal::TERM);
    running.wait().exits(143);
    let_go(&dir);
    launch(&dir, 1).sh(TASK).run().exits(0);
    assert_eq!(starts(&dir, 3), [(2, false), (3, false), (0, true)]);
}

#[test]
fn results_older_than_their_journal_are_written_again() {
    let dir = Dir::with_inputs(4);
    hold(&dir, [1]);
    let running = launch(&dir, 1).sh(TASK).start();
    began(&dir, [1], 1);
    running.signal(Signal::TERM);
    running.wait().exits(143);
    let_go(&dir);
    // The second launch ends everything but is killed before it writes its results.
    kill_it_at(&dir, 1, &[3], 1);
    assert_eq!(done(&dir), [0]);
    wait_until(DEADLINE, "task 3 runs", || runs(&dir).contains_key(&3));
    launch(&dir, 1).sh(TASK).run().exits(0).says("3 done before, 1 to run");
    assert_eq!(done(&dir), [0, 1, 2, 3]);
}

#[test]
fn a_record_torn_by_the_kill_is_made_again() {
    let dir = Dir::with_inputs(3);
    kill_it_at(&dir, 1, &[2], 1);
    let journal = dir.path("out/journal/1.1.jsonl");
    let text = dir.text(&journal);
    let end = text.rfind("\"record\":").unwrap();
    std::fs::write(&journal, &text[..end + 20]).unwrap();
    launch(&dir, 1)
        .sh(TASK)
        .run()
        .exits(0)
        .says("can't be read and was skipped")
        .says("1 done before, 2 to run");
    assert_eq!(done(&dir), [0, 1, 2]);
}

#[test]
fn killed_again_and_again_no_task_with_a_record_begins_again() {
    let dir = Dir::with_inputs(40);
    let launch = || launch(&dir, 3).args(["--rerun", "all"]).sh("echo \"${1##*/}\" >> ran");
    let mut launches = 0;
    for ran in [1, 4, 9, 15, 22, 30, 37] {
        let mut running = launch().start();
        launches += 1;
        wait_until(DEADLINE, "it gets on", || running.has_ended() || dir.lines("ran").len() >= ran);
        running.kill();
    }
    launch().run().exits(0);
    launches += 1;
    assert_eq!(done(&dir), (0..40).collect::<Vec<_>>());
    let mut recorded = std::collections::BTreeSet::new();
    for number in 1..=launches {
        for event in dir.events(1, number) {
            let index = event["index"].as_u64();
            match event["event"].as_str() {
                Some("start") => assert!(!recorded.contains(&index), "{event}"),
                Some("end") if event["status"] == "ok" => assert!(recorded.insert(index), "{event}"),
                _ => {}
            }
        }
    }
    assert_eq!(recorded.len(), 40);
}

/// As if it had been killed while it wrote its results.
fn take_back_last_words(dir: &Dir, number: usize) {
    let path = format!("out/journal/1.{number}.jsonl");
    let journal = dir.text(&path);
    let last_words =
        |line: &&str| line.contains("\"event\":\"results_written\"") || line.contains("\"event\":\"stop\"");
    let (last, before): (Vec<&str>, Vec<&str>) = journal.lines().partition(last_words);
    assert_eq!(last.len(), 2, "{journal}");
    dir.write(&path, before.join("\n") + "\n");
    std::fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
}

#[test]
fn what_was_stopped_in_order_is_not_suspected_when_the_container_is_killed_before_its_last_word() {
    let dir = Dir::with_inputs(4);
    hold(&dir, [1, 2]);
    let stop = |times: usize, held: &[usize], number: usize| {
        let running = launch(&dir, 2).sh(TASK).start();
        began(&dir, held.iter().copied(), times);
        running.signal(Signal::TERM);
        running.wait().exits(143);
        take_back_last_words(&dir, number);
    };
    stop(1, &[1, 2], 1);
    kill_it_at(&dir, 2, &[1, 2], 2);
    // The third launch has each of them alone.
    hold(&dir, [1, 2]);
    stop(3, &[1], 3);
    let_go(&dir);
    launch(&dir, 2).sh(TASK).run().exits(0).says("4 of 4 files ok").says_not("lost");
    assert!(starts(&dir, 2).iter().all(|(_, alone)| !alone), "{:?}", starts(&dir, 2));
    assert_eq!(starts(&dir, 3), [(3, false), (1, true)]);
    assert_eq!(done(&dir), (0..4).collect::<Vec<_>>());
}

//! `--merge`: whoever finishes last merges, whatever dies when.

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Component, DEADLINE, Dir, Run, at_once, require, wait_until};

const REPLICAS: usize = 6;

/// Gives the number in its file; fails if `bad/NAME` is there.
const TASK: &str = "[ ! -e bad/\"${1##*/}\" ] && echo \"{\\\"n\\\": $(cat \"$1\")}\"";

fn merging(run: Run<'_>) -> Run<'_> {
    run.args(["-i", "data/*.fits", "-o", "out", "--merge"])
}

fn replica(run: Run<'_>, id: usize, count: usize) -> Run<'_> {
    merging(run).replica(id, count).sh(TASK)
}

fn sharing_replica(run: Run<'_>, id: usize, count: usize) -> Run<'_> {
    merging(run).sharing_replica(id, count).sh(TASK)
}

/// Whether the merged results are those of all files, and what a merge by hand makes of it is the same.
#[track_caller]
fn is_merged(dir: &Dir, files: u64) {
    let (results, summary) = (dir.text("out/final_results.json"), dir.json("out/final_summary.json"));
    assert_eq!((&summary["complete"], &summary["files"]), (&true.into(), &files.into()), "{summary}");
    let by_hand = dir.canfar_run().args(["merge", "out"]).run();
    assert!(by_hand.code == Some(0) || by_hand.code == Some(1), "{by_hand}");
    assert_eq!(dir.text("out/final_results.json"), results);
    let mut again = dir.json("out/final_summary.json");
    again["created_at"] = summary["created_at"].clone();
    assert_eq!(again, summary);
    let names = dir.names("out");
    assert!(!names.iter().any(|name| name.contains(".tmp") || name == "inputs.listing"), "{names:?}");
}

#[test]
fn of_replicas_that_end_at_the_same_time_at_least_one_merges() {
    for round in 0..50 {
        let launch = if round % 2 == 0 { replica } else { sharing_replica };
        let dir = Dir::with_inputs(REPLICAS);
        let all = at_once(&dir, (1..=REPLICAS).map(|id| move |run| launch(run, id, REPLICAS)));
        all.into_iter().for_each(|running| _ = running.wait().exits(0));
        is_merged(&dir, REPLICAS as u64);
    }
}

#[test]
fn where_journals_cannot_be_read_nothing_is_merged_and_it_is_said() {
    let dir = Dir::with_inputs(2);
    replica(dir.canfar_run(), 1, 2).run().exits(0);
    let (journal, aside) = (dir.path("out/journal/1.1.jsonl"), dir.path("aside"));
    std::fs::rename(&journal, &aside).unwrap();
    std::fs::create_dir(&journal).unwrap();
    let ended = replica(dir.canfar_run(), 2, 2).run().exits(3);
    ended
        .says("the results were not merged: `canfar-run merge ")
        .says("can't tell whether the run is complete: replica 1: can't read the journal")
        .says("Is a directory");
    let names = dir.names("out");
    assert!(!names.iter().any(|name| name.starts_with("final_") || name.contains("listing")), "{names:?}");
    // Its own records are safe.
    assert_eq!(dir.results(2).len(), 1);
    std::fs::remove_dir(&journal).unwrap();
    std::fs::rename(&aside, &journal).unwrap();
    replica(dir.canfar_run(), 2, 2).run().exits(0).says("nothing to do");
    is_merged(&dir, 2);
}

#[test]
fn who_is_not_last_says_so_and_who_is_exits_by_all_files() {
    let dir = Dir::with_inputs(4);
    dir.write("bad/000.fits", "");
    replica(dir.canfar_run(), 1, 2).run().exits(1).says("not merged: 2 files of the run have no record yet");
    assert!(!dir.exists("out/final_summary.json"));
    replica(dir.canfar_run().arg("--json"), 2, 2).run().exits(1);
    is_merged(&dir, 4);
    // A replica with nothing to do finds that done.
    let before = dir.text("out/final_summary.json");
    replica(dir.canfar_run(), 2, 2).run().exits(1).says("nothing to do");
    assert_eq!(dir.text("out/final_summary.json"), before);
    std::fs::remove_dir_all(dir.path("bad")).unwrap();
    replica(dir.canfar_run(), 1, 2).run().exits(0);
    is_merged(&dir, 4);
}

#[test]
fn what_resume_completes_is_merged_as_the_run_was_begun() {
    let dir = Dir::with_inputs(4);
    replica(dir.canfar_run(), 1, 2).run().exits(0);
    dir.canfar_run().args(["resume", "out"]).run().exits(0).says("4 files: 4 ok, none missing");
    is_merged(&dir, 4);
}

#[test]
fn when_the_last_one_is_killed_while_it_merges_any_replica_that_is_launched_again_merges() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(4);
    replica(dir.canfar_run(), 1, 2).run().exits(0);
    let renames = "rename,renameat,renameat2";
    let (trace, slow) = (format!("trace={renames}"), format!("inject={renames}:delay_enter=1500000"));
    let strace = Run::of(&dir, "strace").args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &slow]);
    let last = replica(strace.arg(env!("CARGO_BIN_EXE_canfar-run")), 2, 2).start();
    let is_merging = || dir.names("out").iter().any(|name| name.starts_with(".final_results.json."));
    wait_until(DEADLINE, "it merges", is_merging);
    let pid = i32::try_from(dir.events_of(2, 1, "run")[0]["pid"].as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    last.wait();
    assert!(!dir.exists("out/final_results.json"));
    replica(dir.canfar_run(), 1, 2).run().exits(0).says("nothing to do").says("4 files: 4 ok, none missing");
    let left = dir.names("out").into_iter().filter(|name| name.contains(".tmp"));
    left.for_each(|name| std::fs::remove_file(dir.path("out").join(name)).unwrap());
    is_merged(&dir, 4);
}

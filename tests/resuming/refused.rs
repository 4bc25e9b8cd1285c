//! What has no place after `resume`, and what can't be resumed.

use super::{replica, resume, runs};
use crate::support::Dir;

#[test]
fn shares_that_there_are_not_are_refused_by_name() {
    let dir = Dir::with_inputs(3);
    replica(&dir, 1, 3).run().exits(0);
    let before = dir.tree();
    for (shares, said) in [
        ("0", "\"0\" is neither"),
        ("4", "the run has 3 shares, numbered from 1, so there is no share 4"),
        ("2-4", "there is no share 4"),
        ("x", "\"x\" is neither a replica id nor a range"),
        ("5-3", "\"5-3\" is neither"),
        ("1,,2", "\"\" is neither"),
        ("1-", "\"1-\" is neither"),
        ("", "\"\" is neither"),
    ] {
        resume(&dir).arg(format!("--shares={shares}")).run().exits(2).says(said);
    }
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn what_says_which_run_it_is_has_no_place_after_resume() {
    let dir = Dir::with_inputs(3);
    replica(&dir, 1, 3).run().exits(0);
    for words in [
        &["-i", "data/*"][..],
        &["--files-from", "list"],
        &["--exclude", "x"],
        &["--type", "dir"],
        &["--strategy", "size"],
        &["--balance"],
        &["--shell", "true"],
        &["-o", "elsewhere"],
        &["--accept-changed-command"],
        &["--", "true"],
    ] {
        let ended = resume(&dir).args(words).run().exits(2).says("has no place after `resume`");
        assert!(ended.stderr.contains("its own files, shares and command"), "{ended}");
    }
    assert_eq!(runs(&dir).len(), 1);
}

#[test]
fn a_job_file_that_says_more_than_resume_takes_is_as_good_for_it_as_for_run() {
    let dir = Dir::with_inputs(4);
    let job = "input = 'other/*'\ncommand = ['false']\nstrategy = 'stripe'\nretries = 1\njobs = 2";
    dir.write("job.toml", job);
    replica(&dir, 1, 2).run().exits(0);
    let options = ["--job-file", "job.toml", "--json"];
    let ended = dir.canfar_run().args(["resume", "out"]).args(options).run().exits(0);
    assert_eq!(ended.json()["shares"][0]["ok"], 2);
    let options = &dir.events_of(2, 1, "run")[0]["options"];
    assert_eq!((&options["retries"], &options["jobs"]), (&"1".into(), &"2".into()));
}

#[test]
fn a_directory_without_a_run_is_named() {
    let dir = Dir::with_inputs(1);
    dir.canfar_run().args(["resume", "data"]).run().exits(2).says("data holds no run");
    dir.canfar_run().args(["resume", "nowhere"]).run().exits(2).says("nowhere holds no run");
    dir.canfar_run().args(["resume"]).run().exits(2).says("RESULTS_DIR");
}

#[test]
fn a_share_that_cannot_be_resumed_keeps_no_other_from_being_run() {
    let dir = Dir::with_inputs(4);
    replica(&dir, 1, 4).run().exits(0);
    dir.write("out/journal/2.1.jsonl", "{\"v\":3,\"run\":\"x\",\"event\":\"run\"}\n");
    dir.write("out/container_3_results.json", "[{\"file\": \"x\"}]");
    let ended = resume(&dir)
        .arg("--json")
        .run()
        .exits(2)
        .says("replica 2 of 4 can't be resumed")
        .says("format version 3")
        .says("replica 3 of 4 can't be resumed")
        .says("does not belong to this run")
        .says("resumed 1 share (4)");
    assert_eq!(runs(&dir), [(0, 1), (3, 1)].into());
    let errors = &ended.json()["errors"];
    assert_eq!((&errors[0]["replica_id"], &errors[1]["replica_id"]), (&2.into(), &3.into()));
}

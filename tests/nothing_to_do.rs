//! Launches and resumes that find all done: what they say of what has changed since.

use crate::support::{Dir, Ended, Run};

/// A script that the command names.
const SCRIPT: &str = "echo '{\"version\": 1}'";

fn launch(dir: &Dir, id: usize, count: usize) -> Run<'_> {
    let run = dir.canfar_run().replica(id, count).args(["-i", "data/*.fits", "-o", "out"]);
    run.args(["--", "sh", "analyze.sh", "{}"])
}

fn resume(dir: &Dir) -> Ended {
    dir.canfar_run().args(["resume", "out"]).run()
}

/// Of one replica, or of two.
fn done(replicas: usize) -> Dir {
    let dir = Dir::with_inputs(4);
    dir.write("analyze.sh", SCRIPT);
    (1..=replicas).for_each(|id| _ = launch(&dir, id, replicas).run().exits(0));
    dir
}

#[test]
fn where_nothing_changed_it_says_since_when_and_how_to_begin_anew() {
    let dir = done(1);
    let today =
        serde_json::from_str::<serde_json::Value>(&dir.lines("out/inputs.jsonl")[0]).unwrap()["created_at"]
            .as_str()
            .unwrap()[..10]
            .to_owned();
    let ended = launch(&dir, 1, 1).run().exits(0).says("nothing to do: all 4 files of this run are done\n");
    let ended = ended
        .says(&format!("The list of this run has been frozen since {today} "))
        .says("`canfar-run reset ");
    let ended = ended.says_not("match").says_not("changed");
    assert!(!ended.stderr.contains("but"), "{ended}");
    let ended = resume(&dir).exits(0).says("nothing to do: 1 share checked").says("frozen since");
    ended.says_not("match").says_not("changed");
    let quiet =
        dir.canfar_run().args(["-q", "-i", "data/*.fits", "-o", "out", "--", "sh", "analyze.sh", "{}"]);
    quiet.run().exits(0).says_not("nothing");
}

#[test]
fn files_that_match_now_and_are_not_in_the_list_are_counted_and_the_lines_that_run_them_are_ready_to_type() {
    let dir = done(2);
    (10..15).for_each(|number| _ = dir.write(format!("data/0{number}.fits"), ""));
    dir.write("data/other.txt", "");
    std::fs::remove_file(dir.path("data/001.fits")).unwrap();
    std::fs::create_dir(dir.path("out-2")).unwrap();
    for id in [1, 2] {
        let ended = launch(&dir, id, 2).run().exits(0);
        let ended = ended.says(&format!("nothing to do: all 2 files of replica {id} of 2 are done"));
        let ended = ended.says("5 files match now that were not there on 20").says("data/010.fits");
        let (one, other) = (dir.path("out").display().to_string(), dir.path("out-3").display().to_string());
        ended.says(&format!(
            "To run them: `canfar-run --new-since {one} -o {other}`, then `canfar-run merge {one} {other}`"
        ));
    }
    resume(&dir).exits(0).says("5 files match now that were not there on 20");

    dir.canfar_run().args(["--new-since", "out", "-o", "out-3"]).run().exits(0).says("5 of 5 files ok");
    dir.canfar_run().args(["merge", "out", "out-3"]).run().exits(0).says("9 files: 9 ok");
}

#[test]
fn only_who_has_nothing_to_do_looks() {
    let dir = done(1);
    std::fs::write(dir.path("data/010.fits"), "").unwrap();
    for command in ["status", "merge"] {
        let ended = dir.canfar_run().args([command, "out"]).run().exits(0);
        ended.says_not("match now");
    }
    let dir = Dir::with_inputs(4);
    dir.write("analyze.sh", SCRIPT);
    launch(&dir, 1, 2).run().exits(0);
    dir.write("data/010.fits", "");
    launch(&dir, 2, 2).run().exits(0).says_not("match now");
}

#[test]
fn entries_that_a_given_list_has_now_are_told_if_it_is_there() {
    let dir = Dir::new();
    dir.write("list", "M31\nM33\n");
    let launch = || {
        let run = dir.canfar_run().args(["--files-from", "list", "-o", "out", "--result", "text"]);
        run.args(["--", "echo"]).run().exits(0)
    };
    launch();
    dir.write("list", "NGC 1\nM33\nM31\nNGC 1\n");
    let list = dir.path("list").display().to_string();
    launch()
        .says(&format!("1 entry is in {list} now that was not there on 20"))
        .says("such as NGC 1. To run");
    resume(&dir).exits(0).says("1 entry is in ");
    std::fs::remove_file(dir.path("list")).unwrap();
    resume(&dir).exits(0).says_not("entry is in").says("frozen since");
}

#[test]
fn a_list_that_came_by_standard_input_is_not_asked_for_again() {
    let dir = Dir::new();
    let list = dir.write("list", "M31\n");
    let launch = || {
        let run = dir.canfar_run().args(["--files-from", "-", "-o", "out", "--result", "text", "--", "echo"]);
        run.stdin(std::fs::File::open(&list).unwrap()).run().exits(0)
    };
    launch();
    dir.write("list", "M31\nM33\n");
    launch().says("nothing to do").says_not("M33");
}

#[test]
fn a_file_of_the_command_that_changed_since_its_results_were_made_is_told_with_their_number() {
    let dir = done(2);
    dir.write("analyze.sh", "echo '{\"version\": 2}'");
    launch(&dir, 1, 2)
        .run()
        .exits(0)
        .says("nothing to do")
        .says("analyze.sh has changed since it made 2 results");
    resume(&dir).exits(0).says("analyze.sh has changed since it made 4 results");
    dir.write("analyze.sh", SCRIPT);
    launch(&dir, 1, 2).run().exits(0).says("nothing to do").says_not("changed");
    std::fs::remove_file(dir.path("analyze.sh")).unwrap();
    launch(&dir, 1, 2).run().exits(0).says("nothing to do").says_not("changed since");
}

#[test]
fn what_failed_for_good_is_counted_and_exits_with_1() {
    let dir = Dir::with_inputs(4);
    dir.write("analyze.sh", "case $1 in *002*) exit 1;; esac; echo '{}'");
    launch(&dir, 1, 1).run().exits(1);
    let again = dir.canfar_run().args(["-i", "data/*.fits", "-o", "out", "--rerun", "never"]);
    let ended = again.args(["--", "sh", "analyze.sh", "{}"]).run().exits(1);
    ended.says("nothing to do: of the 4 files of this run 3 are ok, 1 failed; to run those again give --rerun failed");
}

#[test]
fn what_can_not_be_looked_at_costs_the_remark_alone() {
    let dir = done(1);
    std::fs::remove_dir_all(dir.path("data")).unwrap();
    launch(&dir, 1, 1).run().exits(0).says("nothing to do: all 4 files").says_not("match now");
    dir.write("data", "no folder");
    launch(&dir, 1, 1).run().exits(0).says("nothing to do: all 4 files").says_not("match now");
}

#[test]
fn where_replicas_share_the_work_nothing_to_do_is_about_the_run() {
    let dir = Dir::with_inputs(6);
    dir.write("analyze.sh", "[ -e well ] || case $1 in *003*) exit 1;; esac\necho '{}'");
    let shared = |id: usize| {
        let run = dir.canfar_run().replica(id, 3).args(["-i", "data/*.fits", "-o", "out", "--balance"]);
        run.args(["--", "sh", "analyze.sh", "{}"]).run()
    };
    shared(1).exits(1).says("5 of 6 files ok, 1 failed");
    let root = dir.path("out").display().to_string();
    let of_run = format!(
        "nothing to do: of the 6 files of this run 5 are ok, 1 failed; to run those again: `canfar-run resume {root}`"
    );
    shared(3).exits(0).says(&of_run).says("frozen since");
    assert_eq!(dir.names("out/journal"), ["1.1.jsonl"], "others have finished it");
    dir.write("well", "");
    let ended =
        resume(&dir).exits(0).says("acted as replica 1: 6 of 6 files ok; all 6 files of the run are ok");
    ended.says_not("share (");
    shared(2).exits(0).says("nothing to do: all 6 files of this run are done");
    resume(&dir).exits(0).says("nothing to do: all 6 files of the run are ok").says("frozen since");
    let told = dir.canfar_run().args(["resume", "out", "--json"]).run().exits(0).json();
    assert_eq!((&told["whole_run"]["ok"], &told["done"]), (&6.into(), &3.into()), "{told}");
}

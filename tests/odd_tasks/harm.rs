//! Commands that remove what is around them.

use super::ok;
use crate::support::{Dir, Run};

fn launch(dir: &Dir) -> Run<'_> {
    dir.launch().args(["-j", "1", "--retries", "1", "--retry-delay", "0"])
}

/// The same with temporary folders so deep in the test's own folder that whatever is removed, a few levels above included,
/// is the test's. `$OWN` is the launch's folder in there.
fn launch_with_folders_to_harm<'d>(dir: &'d Dir, script: &str) -> Run<'d> {
    let base = dir.path("all/of/this/may/go");
    std::fs::create_dir_all(&base).unwrap();
    let begin = "case $TMPDIR in \"$BASE\"/?*) ;; *) exit 8;; esac
OWN=${TMPDIR#\"$BASE\"/}; OWN=$BASE/${OWN%%/*}";
    let run = launch(dir).arg("--tmp-dir").arg(&base).env("BASE", &base);
    run.sh(&format!("{begin}\n{script}"))
}

#[test]
fn what_a_task_removes_of_its_own_costs_the_others_nothing() {
    for harm in [
        "rm \"$1\"",
        "rm -rf \"$TMPDIR\"",
        "rm -rf \"$TMPDIR\"; : > \"$TMPDIR\"",
        "rm -rf \"$TMPDIR/..\"; rm -rf \"$OWN\"",
        "chmod 0 \"$TMPDIR\" \"$OWN\"",
        "mv \"$TMPDIR\" \"$TMPDIR.away\"",
    ] {
        let dir = Dir::with_inputs(4);
        let script = format!(
            "[ -d \"$TMPDIR\" ] && [ -z \"$(ls -A \"$TMPDIR\")\" ] && : > \"$TMPDIR/x\" || exit 9
echo '{{\"n\": 1}}'; [ $CANFAR_TASK_INDEX != 1 ] || {{ {harm}; }}"
        );
        let ended = launch_with_folders_to_harm(&dir, &script).run();
        assert_eq!(ended.code, Some(0), "{harm}: {ended}");
        assert_eq!(ok(&dir), [0, 1, 2, 3], "{harm}");
        assert!(dir.results(1).iter().all(|record| record["n"] == 1));
    }
}

#[test]
fn what_a_task_links_in_place_of_its_folders_is_left_alone() {
    for harm in [
        "rmdir \"$TMPDIR\" && ln -s \"$PRECIOUS\" \"$TMPDIR\"",
        "ln -s \"$PRECIOUS\" \"$TMPDIR/link\"",
        "rm -r \"$OWN\" && ln -s \"$PRECIOUS\" \"$OWN\"",
    ] {
        let dir = Dir::with_inputs(3);
        dir.write("precious/folder/file", "data");
        dir.write("precious/file", "data");
        let script = format!("echo '{{\"n\": 1}}'; [ $CANFAR_TASK_INDEX != 1 ] || {{ {harm}; }}");
        let run = launch_with_folders_to_harm(&dir, &script);
        let ended = run.env("PRECIOUS", dir.path("precious")).run();
        assert_eq!(ended.code, Some(0), "{harm}: {ended}");
        assert_eq!(
            (dir.text("precious/file"), dir.text("precious/folder/file")),
            ("data".into(), "data".into())
        );
    }
}

#[test]
fn a_task_that_removes_all_inputs_fails_those_that_need_theirs() {
    let dir = Dir::with_inputs(3);
    launch(&dir).sh("cat \"$1\" || exit 1; rm -rf data").run().exits(1).says("2 failed");
    assert_eq!(ok(&dir), [0]);
    // They came back.
    (0..3).for_each(|number| _ = dir.write(format!("data/{number:03}.fits"), "1"));
    let again = launch(&dir).sh("cat \"$1\" || exit 1; rm -rf data").run().exits(1);
    assert_eq!(ok(&dir), [0, 1], "{again}");
}

#[test]
fn a_task_that_removes_the_folder_it_was_started_in_stops_no_other() {
    let dir = Dir::with_inputs(3);
    std::fs::create_dir(dir.path("here")).unwrap();
    let run =
        dir.canfar_run().cwd(dir.path("here")).arg("-i").arg(dir.path("data")).arg("-o").arg(dir.path("out"));
    run.args(["-j", "1"])
        .sh("echo '{\"n\": 1}'; [ $CANFAR_TASK_INDEX != 0 ] || rm -rf ../here")
        .run()
        .exits(0);
    assert_eq!(ok(&dir), [0, 1, 2]);
}

#[test]
fn a_task_that_removes_files_of_the_run_is_not_believed_by_the_launch_or_the_next_one() {
    // The list was read, and the results are written anew.
    for (harm, code) in [("rm -f out/container_1_results.json out/logs/*", 0), ("rm -f out/inputs.jsonl", 0)]
    {
        let dir = Dir::with_inputs(3);
        let script = format!("echo '{{\"n\": 1}}'; [ $CANFAR_TASK_INDEX != 1 ] || {harm}");
        launch(&dir).sh(&script).run().exits(code);
        assert_eq!(ok(&dir), [0, 1, 2], "{harm}");
    }
}

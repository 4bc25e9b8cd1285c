//! A share that is resumed is run as its owner would have run it.

use super::{died, name, replica, resume, runs};
use crate::support::Dir;

#[test]
fn a_shell_line_options_and_variables_of_a_job_file_go_on_as_they_were_begun() {
    let dir = Dir::with_inputs(4);
    let job = "shell = 'echo \"$COLOUR of $REPLICA_ID:\" {/}; echo {/} >> ran; [ {index} != 3 ] || sleep 60'
result = 'text'\ntimeout = '300ms'\nlogs = 'all'\n[env]\nCOLOUR = \"blue 'sky'\"";
    dir.write("job.toml", job);
    dir.launch().args(["--job-file", "job.toml"]).replica(1, 2).run().exits(0);
    std::fs::remove_file(dir.path("job.toml")).unwrap();

    resume(&dir).run().exits(1).says("timeout").says("resumed 1 share (2): 1 of 2 files ok, 1 failed");
    assert_eq!(dir.results(2)[0]["result"], "blue 'sky' of 2: 002.fits");
    assert_eq!(dir.failures(2, 1)[0]["canfar_run"]["cause"], "timeout");
    let options = &dir.events_of(2, 1, "run")[0]["options"];
    assert_eq!((&options["logs"], &options["result"]), (&"all".into(), &"text".into()));
}

#[test]
fn what_is_given_to_resume_beats_what_was_given_before_and_a_job_file_adds_variables() {
    let dir = Dir::with_inputs(2);
    dir.write("job.toml", "[env]\nONE = '1'\nTWO = '2'");
    dir.write("more.toml", "[env]\nTWO = 'two'\nTHREE = 'three'");
    let task = "echo \"$ONE $TWO $THREE\"";
    dir.launch().args(["--job-file", "job.toml", "--result", "json"]).replica(1, 2).sh(task).run().exits(1);
    let resumed = || resume(&dir).args(["--job-file", "more.toml", "--shares", "2"]);
    resumed().run().exits(1).says("0 of 1 file ok, 1 failed");
    resumed().env("CANFAR_RUN_RESULT", "text").run().exits(0);
    assert_eq!(dir.results(2)[0]["result"], "1 two three");
}

#[test]
fn tasks_run_where_the_run_was_begun_wherever_resume_is_started() {
    let dir = Dir::with_inputs(2);
    dir.write("task.sh", "#!/bin/sh\necho \"{\\\"cwd\\\": \\\"$PWD\\\", \\\"in\\\": \\\"$(pwd -P)\\\"}\"");
    dir.write("elsewhere/other", "");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path("task.sh"), executable).unwrap();
    dir.launch().replica(1, 2).args(["--", "./task.sh"]).run().exits(0);
    let elsewhere = || dir.canfar_run().cwd(dir.path("elsewhere"));
    elsewhere().args(["resume", "../out"]).run().exits(0);
    assert_eq!(dir.results(2)[0]["in"], dir.results(1)[0]["in"]);
    assert_eq!(dir.results(2)[0]["in"], dir.root().to_str().unwrap());
}

#[test]
fn a_folder_of_the_beginning_that_is_gone_is_told_and_another_can_be_given() {
    let dir = Dir::with_inputs(2);
    dir.write("gone/x", "");
    let script = "pwd > \"$CANFAR_TASK_TMPDIR/x\"; echo \"{\\\"in\\\": \\\"$(pwd -P)\\\"}\"";
    let begin = dir.canfar_run().cwd(dir.path("gone")).args(["-i", "../data/*", "-o", "../out"]);
    begin.replica(1, 2).sh(script).run().exits(0);
    std::fs::remove_dir_all(dir.path("gone")).unwrap();
    let before = dir.tree();
    resume(&dir).run().exits(2).says("gone, where its tasks ran").says("--chdir");
    assert_eq!(before.difference(&dir.tree()), None);
    resume(&dir).args(["--chdir", "data"]).run().exits(0);
    assert_eq!(dir.results(2)[0]["in"], dir.path("data").to_str().unwrap());
}

#[test]
fn a_relative_chdir_means_what_it_meant() {
    let dir = Dir::with_inputs(2);
    dir.write("work/x", "");
    dir.write("elsewhere/x", "");
    let script = "echo \"{\\\"in\\\": \\\"$(pwd -P)\\\"}\"";
    dir.launch().args(["--chdir", "work"]).replica(1, 2).sh(script).run().exits(0);
    dir.canfar_run().cwd(dir.path("elsewhere")).args(["resume", "../out"]).run().exits(0);
    assert_eq!(dir.results(2)[0]["in"], dir.path("work").to_str().unwrap());
}

#[test]
fn a_list_of_before_there_was_resume_is_resumed_from_where_resume_is_started() {
    let dir = Dir::with_inputs(4);
    replica(&dir, 1, 2).run().exits(0);
    let list = dir.text("out/inputs.jsonl");
    let (header, entries) = list.split_once('\n').unwrap();
    let (before, rest) = header.split_once("\"settings\":").unwrap();
    let (_, after) = rest.split_once("},").unwrap();
    let (after, _) = after.rsplit_once(",\"check\":").unwrap();
    let header = format!("{before}{after}");
    // Sealed as lists are: the beginning of a digest of all before it.
    let check = blake3::hash(header.as_bytes()).to_hex();
    dir.write("out/inputs.jsonl", format!("{header},\"check\":\"{}\"}}\n{entries}", &check[..16]));
    resume(&dir).run().exits(0).says("resumed 1 share (2): 2 of 2 files ok");
}

#[test]
fn only_the_shares_that_were_asked_for_are_resumed() {
    let dir = Dir::with_inputs(50);
    died(&dir, 17, 50, 16);
    resume(&dir).args(["--shares", "3,17,40-42"]).run().exits(0).says("resumed 5 shares (3,17,40-42)");
    assert_eq!(runs(&dir), [(2, 1), (16, 2), (39, 1), (40, 1), (41, 1)].into());
    let names: Vec<_> = dir.results(17).iter().map(|record| record["file"].clone()).collect();
    assert_eq!(names, [name(16)]);
}

#[test]
fn failed_tasks_are_tried_again_and_shares_without_files_need_nothing() {
    let dir = Dir::with_inputs(2);
    let task = "echo \"${1##*/}\" >> ran; [ ! -e bad ]";
    dir.write("bad", "");
    dir.launch().replica(1, 5).sh(task).run().exits(1);
    dir.launch().replica(2, 5).sh(task).run().exits(1);
    resume(&dir).args(["--rerun", "never"]).run().exits(1).says("nothing to do");
    assert_eq!(runs(&dir), [(0, 1), (1, 1)].into());
    std::fs::remove_file(dir.path("bad")).unwrap();
    resume(&dir).run().exits(0).says("resumed 2 shares (1-2): 2 of 2 files ok");
    assert!(!dir.exists("out/journal/3.1.jsonl"));
}

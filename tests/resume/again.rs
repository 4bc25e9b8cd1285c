//! The same line again: what is done stays done, what failed is run again, and the results file is made current.

use super::{TASK, done, launch, names, runs};
use crate::support::Dir;

/// Fails for files whose name is in the folder `bad`.
const PICKY: &str = "echo \"${1##*/}\" >> ran; [ ! -e bad/\"${1##*/}\" ] || { echo bad file >&2; exit 3; }";

#[test]
fn a_finished_share_is_not_run_again_and_says_so() {
    let dir = Dir::with_inputs(4);
    launch(&dir, 2).sh(TASK).run().exits(0);
    let before = dir.tree();
    launch(&dir, 2).sh(TASK).run().exits(0).says("nothing to do: all").says("canfar-run reset");
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn failed_tasks_run_again_unless_told_never_and_attempts_count_over_launches() {
    let dir = Dir::with_inputs(5);
    dir.write("bad/001.fits", "");
    dir.write("bad/003.fits", "");
    launch(&dir, 2).sh(PICKY).run().exits(1).says("3 of 5 files ok, 2 failed").says("bad file");
    assert_eq!(done(&dir), [0, 2, 4]);
    launch(&dir, 2).args(["--rerun", "never"]).sh(PICKY).run().exits(1).says("nothing to do");
    assert_eq!(runs(&dir), [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)].into());

    launch(&dir, 2).sh(PICKY).run().exits(1).says("3 done before, 2 to run");
    std::fs::remove_file(dir.path("bad/001.fits")).unwrap();
    launch(&dir, 2).sh(PICKY).run().exits(1).says("4 of 5 files ok, 1 failed");
    assert_eq!(runs(&dir), [(0, 1), (1, 3), (2, 1), (3, 3), (4, 1)].into());
    assert_eq!(done(&dir), [0, 1, 2, 4]);
    assert_eq!(dir.results(1)[1]["canfar_run"]["attempts"], 3);
    assert_eq!(dir.failures(1, 3)[0]["canfar_run"]["attempts"], 3);
}

#[test]
fn a_results_file_that_is_gone_or_was_changed_is_written_again_without_running_anything() {
    let dir = Dir::with_inputs(3);
    let launch = || launch(&dir, 1).sh(TASK);
    launch().run().exits(0);
    let file = "out/container_1_results.json";
    let written = dir.text(file);
    let cut_after_two = written.splitn(4, '\n').take(3).collect::<Vec<_>>().join("\n");
    for change in [None, Some(cut_after_two), Some(written.replace("002.fits", "222.fits"))] {
        match change {
            None => std::fs::remove_file(dir.path(file)).unwrap(),
            Some(text) => _ = dir.write(file, text),
        }
        launch().run().exits(0).says("3 done before, 0 to run");
        assert_eq!(dir.text(file), written);
    }
    assert_eq!(dir.sorted_lines("ran"), names(3));
}

#[test]
fn a_changed_script_is_told_of_but_does_not_stop_the_run() {
    let dir = Dir::with_inputs(3);
    let script = dir.write("analyze.sh", "echo \"${1##*/}\" >> ran; [ \"${1##*/}\" != 002.fits ]");
    let launch = || launch(&dir, 1).args(["--", "sh"]).arg(&script);
    launch().run().exits(1);
    dir.write("analyze.sh", "echo \"${1##*/}\" >> ran");
    launch().run().exits(0).says("analyze.sh has changed since this replica produced 2 results");
    assert_eq!(done(&dir), [0, 1, 2]);
}

#[test]
fn the_runs_own_list_needs_no_input() {
    let dir = Dir::with_inputs(3);
    dir.write("bad/001.fits", "");
    launch(&dir, 1).args(["--strategy", "stripe"]).sh(PICKY).run().exits(1);
    std::fs::remove_dir_all(dir.path("bad")).unwrap();
    dir.canfar_run().args(["-o", "out"]).sh(PICKY).run().exits(0);
    assert_eq!(runs(&dir), [(0, 1), (1, 2), (2, 1)].into());
}

#[test]
fn another_command_is_accepted_when_asked_for() {
    let dir = Dir::with_inputs(2);
    dir.write("bad/001.fits", "");
    launch(&dir, 1).sh(PICKY).run().exits(1);
    launch(&dir, 1)
        .arg("--accept-changed-command")
        .sh(TASK)
        .run()
        .exits(0)
        .says("the command differs from the run's");
    assert_eq!(runs(&dir), [(0, 1), (1, 2)].into());
}

#[test]
fn a_journal_line_that_cannot_be_read_costs_only_its_own_task() {
    let dir = Dir::with_inputs(3);
    launch(&dir, 1).sh(TASK).run().exits(0);
    let journal = "out/journal/1.1.jsonl";
    let mut lines = dir.lines(journal);
    let place =
        lines.iter().position(|line| line.contains("\"end\"") && line.contains("\"index\":1")).unwrap();
    let half = lines[place].len() / 2;
    lines[place].truncate(half);
    dir.write(journal, lines.join("\n") + "\n");
    std::fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    launch(&dir, 1)
        .sh(TASK)
        .run()
        .exits(0)
        .says("can't be read and was skipped")
        .says("2 done before, 1 to run");
    assert_eq!(done(&dir), [0, 1, 2]);
    assert_eq!(runs(&dir), [(0, 1), (1, 2), (2, 1)].into());
}

//! `logs`: every attempt of a task, its streams apart, by index, path or base name.

use crate::merge::shared;
use crate::support::{Component, Dir, Ended, Terminal, require};

/// Three tasks of two replicas: the first always fails, the second succeeds at its second attempt, the third at once.
fn a_run() -> Dir {
    let dir = Dir::with_inputs(3);
    let script = "echo \"out $CANFAR_TASK_ATTEMPT of $1\"; printf 'err %s' \"$CANFAR_TASK_ATTEMPT\" >&2
case \"$1\" in */000.fits) exit 3;; */001.fits) test \"$CANFAR_TASK_ATTEMPT\" = 2;; esac";
    let launch = |id| {
        dir.launch().replica(id, 2).args(["--retries", "1", "--retry-delay", "0", "--logs", "all", "-j1"])
    };
    launch(1).sh(script).run().exits(1);
    launch(2).sh(script).run().exits(0);
    dir
}

fn logs(dir: &Dir, words: &[&str]) -> Ended {
    dir.canfar_run().arg("logs").args(words).run()
}

/// Without times.
fn redacted(text: &str) -> String {
    let redact = |line: &str| match (line.starts_with("==> "), line.split_once(" after ")) {
        (true, Some((before, _))) => before.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(redact).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_attempt_of_a_task_is_shown_with_its_streams_apart() {
    let dir = a_run();
    let path = dir.path("data/001.fits").display().to_string();
    let expected = format!(
        "==> {path} (index 1): attempt 1, replica 1, launch 1: failed (exit, exit code 1)
--- standard output
out 1 of {path}
--- standard error
err 1
==> {path} (index 1): attempt 2, replica 1, launch 1: ok
--- standard output
out 2 of {path}
--- standard error
err 2"
    );
    for task in ["1", &path, "data/001.fits", "001.fits"] {
        let shown = logs(&dir, &["out", task]);
        assert_eq!(redacted(&shown.exits(0).printed()), expected, "{task}");
    }
}

#[test]
fn one_stream_comes_byte_for_byte_from_the_newest_attempt() {
    let dir = a_run();
    assert_eq!(logs(&dir, &["--only", "stderr", "out", "1"]).exits(0).printed(), "err 2");
    assert_eq!(logs(&dir, &["--stderr", "out", "1"]).exits(0).printed(), "err 2");
    let path = dir.path("data/002.fits").display().to_string();
    assert_eq!(logs(&dir, &["out", "2", "--stdout"]).exits(0).printed(), format!("out 1 of {path}\n"));
}

#[test]
fn all_that_failed_are_shown_and_no_others() {
    let dir = a_run();
    let shown = logs(&dir, &["--failed", "out"]).exits(0).printed();
    let heads: Vec<&str> = shown.lines().filter(|line| line.starts_with("==> ")).collect();
    assert_eq!(heads.len(), 2, "{shown}");
    assert!(
        heads.iter().all(|head| head.contains("000.fits (index 0)") && head.contains("exit code 3")),
        "{shown}"
    );
}

#[test]
fn what_canfar_run_said_is_shown_for_every_launch_of_a_replica() {
    let dir = a_run();
    dir.launch().replica(1, 2).arg("--accept-changed-command").sh("exit 3").run().exits(1);
    let shown = logs(&dir, &["--replica", "1", "out"]).exits(0).printed();
    assert!(
        shown.contains("==> replica 1, launch 1\n") && shown.contains("==> replica 1, launch 2\n"),
        "{shown}"
    );
    assert!(shown.contains("000.fits") && shown.contains("exit code 3"), "{shown}");
    let refused = logs(&dir, &["--replica", "7", "out"]).exits(2).stderr;
    assert!(refused.contains("replica 7 has not started in"), "{refused}");
}

#[test]
fn a_name_of_several_entries_is_told_with_their_indices() {
    let dir = Dir::new();
    ["a/x.fits", "b/x.fits"].iter().for_each(|name| _ = dir.write(format!("data/{name}"), ""));
    dir.canfar_run().args(["-i", "data", "-o", "out"]).sh("exit 1").run().exits(1);
    let refused = logs(&dir, &["out", "x.fits"]).exits(2).stderr;
    assert!(refused.contains("2 entries are called x.fits; give the index or the path of one:"), "{refused}");
    assert!(
        refused.contains("  0  ") && refused.contains("  1  ") && refused.contains("data/b/x.fits"),
        "{refused}"
    );
    logs(&dir, &["out", "data/b/x.fits"]).exits(0);
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    let dir = a_run();
    for (words, said) in [
        (&["out", "nothing.fits"][..], "no entry of the list in"),
        (&["out", "3"], "it has 3 entries, with the indices 0 to 2"),
        (&["out"], "which task?"),
        (&["1"], "holds no run (inputs.jsonl)"),
        (&["--failed", "out", "1"], "leave the task out"),
    ] {
        let refused = logs(&dir, words).exits(2).stderr;
        assert!(refused.contains(said), "{words:?}: {refused}");
    }
}

#[test]
fn output_that_was_not_kept_is_not_shown_as_empty() {
    let dir = Dir::with_inputs(1);
    dir.launch().args(["--result", "none"]).sh("echo fine").run().exits(0);
    let shown = logs(&dir, &["out", "0"]).exits(0).printed();
    assert!(shown.contains(": ok after ") && shown.contains("no output is kept"), "{shown}");
    let refused = logs(&dir, &["out", "0", "--stdout"]).exits(2).stderr;
    assert!(refused.contains("no output of") && refused.contains("--logs all"), "{refused}");
}

#[test]
fn output_of_an_attempt_that_was_not_the_last_is_shown_with_a_word_about_it() {
    let dir = Dir::with_inputs(1);
    let script = "printf 'out %s' \"$CANFAR_TASK_ATTEMPT\"; test \"$CANFAR_TASK_ATTEMPT\" = 2";
    let options = ["--retries", "1", "--retry-delay", "0", "--result", "none"];
    dir.launch().args(options).sh(script).run().exits(0);
    let shown = logs(&dir, &["out", "0", "--stdout"]).exits(0);
    assert!(shown.stderr.contains("attempt 1, launch 1 (failed (exit, exit code 1)); attempt 2"), "{shown}");
    assert_eq!(shown.printed(), "out 1");
}

#[test]
fn a_task_of_which_its_container_died_is_told_before_a_launch_has_written_so() {
    let dir = Dir::with_inputs(1);
    // It is suspected after the first death, and alone at the second.
    (0..2).for_each(|_| _ = dir.launch().sh("kill -9 $PPID").run());
    for words in [&["out", "0"][..], &["--failed", "out"]] {
        let shown = logs(&dir, words).exits(0).printed();
        assert!(shown.contains("(index 0), replica 1: the container died while it ran alone"), "{shown}");
    }
}

#[test]
fn a_name_that_was_not_written_out_is_answered_with_those_that_begin_so() {
    let dir = a_run();
    let refused = logs(&dir, &["out", "001."]).exits(2).stderr;
    assert!(refused.contains("these are similar:\n  1  ") && refused.contains("data/001.fits"), "{refused}");
}

#[test]
fn a_log_that_was_cut_or_edited_is_named_and_never_shown_as_another_tasks() {
    let dir = a_run();
    let whole = dir.bytes("out/logs/1.1.log");
    dir.write("out/logs/1.1.log", &whole[..whole.len() - 10]);
    let refused = logs(&dir, &["out", "1"]).exits(3).stderr;
    assert!(refused.contains("logs/1.1.log does not hold attempt 2 of task 1"), "{refused}");
    let edited = String::from_utf8(whole).unwrap().replace("\"index\":1", "\"index\":2");
    dir.write("out/logs/1.1.log", edited);
    assert!(logs(&dir, &["out", "1"]).exits(3).stderr.contains("does not hold attempt 1 of task 1"));
}

#[test]
fn a_task_that_another_replica_went_on_with_is_shown_by_whoever_ran_it() {
    let dir = shared::begun();
    assert!(logs(&dir, &["out", "009.fits"]).exits(0).printed().contains("no attempt has ended"));
    dir.write("bad/009.fits", "");
    dir.write("bad/012.fits", "");
    shared::replica(&dir, 1).run().exits(1);
    let shown = logs(&dir, &["out", "009.fits"]).exits(0).printed();
    assert!(shown.contains("(index 9): attempt 2, replica 1, launch 1: failed"), "{shown}");
    assert!(!shown.contains("replica 2"), "{shown}");
    let stderr = logs(&dir, &["out", "12", "--only", "stderr"]).exits(0);
    assert_eq!(stderr.printed(), "012.fits is bad\n");
    let grouped = logs(&dir, &["out", "--failed"]).exits(0).printed();
    assert!(
        grouped.starts_with("===> 2 files: exit: ") && grouped.contains("the same: 012.fits (12)"),
        "{grouped}"
    );
    let failed = logs(&dir, &["out", "--failed", "--all"]).exits(0).printed();
    let headings: Vec<&str> = failed.lines().filter(|line| line.starts_with("==>")).collect();
    assert_eq!(headings.len(), 2, "{failed}");
    assert!(headings[0].contains("(index 9)") && headings[1].contains("(index 12)"), "{failed}");
}

#[test]
fn failures_for_one_reason_are_shown_once_and_all_on_request() {
    let dir = Dir::with_inputs(9);
    let fails = "case $1 in *008*) echo alone >&2;; *) echo \"${1##*/}: no stars\" >&2;; esac; exit 3";
    let ended = dir.launch().args(["-j", "1", "--progress", "none"]).sh(fails).run().exits(1);
    let failed =
        |name: &str, end: &str| ended.stderr.lines().any(|line| line.contains(name) && line.ends_with(end));
    assert!(!failed("000.fits: exit code 3", "same as 000.fits"), "{ended}");
    assert!(failed("001.fits: exit code 3", ", same as 000.fits"), "{ended}");
    assert!(!failed("008.fits: exit code 3", "same as 000.fits"), "{ended}");
    let shown = logs(&dir, &["out", "--failed"]).exits(0).says("logs");
    let shown = shown.printed();
    assert!(shown.starts_with("===> 8 files: exit: FILE: no stars; one of them:\n==> "), "{shown}");
    assert!(shown.contains("000.fits: no stars\n===> the same: 001.fits (1), 002.fits (2)"), "{shown}");
    assert!(shown.contains("005.fits (5) and 2 more\n") && shown.contains("\nalone\n"), "{shown}");
    assert_eq!(shown.matches("(index ").count(), 2, "{shown}");
    let all = logs(&dir, &["out", "--failed", "--all"]).exits(0).printed();
    assert_eq!(all.matches("(index ").count(), 9, "{all}");
}

#[test]
fn an_index_that_is_also_a_name_is_said() {
    let dir = Dir::new();
    ["0", "1", "2"].iter().for_each(|name| _ = dir.write(format!("data/{name}"), ""));
    dir.write("data/00", "");
    dir.canfar_run().args(["-i", "data", "-o", "out", "--logs", "all", "--", "true"]).run().exits(0);
    logs(&dir, &["out", "1"]).exits(0).says("1 is the index of").says("give its index, 2, or its path");
    let plain = logs(&dir, &["out", "0"]).exits(0);
    assert!(!plain.stderr.contains("warning"), "{plain}");
}

#[test]
fn who_names_no_run_is_told_of_those_below() {
    let dir = Dir::with_inputs(2);
    for results in ["one", "two"] {
        dir.canfar_run().args(["-i", "data/*.fits", "-o", results, "--", "true"]).run().exits(0);
    }
    for command in ["status", "merge", "report"] {
        let refused = dir.canfar_run().arg(command).run().exits(2);
        refused.says(&format!(
            "There are runs here:\n    canfar-run {command} one\n    canfar-run {command} two\n"
        ));
    }
    let inside = dir.canfar_run().cwd(dir.path("one")).arg("status").run().exits(2);
    inside.says("canfar-run status .\n");
    dir.canfar_run()
        .args(["merge", "-o", "two", "one"])
        .run()
        .exits(2)
        .says("To merge the run in it: canfar-run merge ");
}

#[test]
fn a_second_attempt_that_helped_and_near_misses_are_said() {
    let dir = Dir::with_inputs(2);
    let twice = "[ $CANFAR_TASK_ATTEMPT = 2 ]";
    let ended = dir.launch().args(["--retries", "1", "--retry-delay", "1ms"]).sh(twice).run().exits(0);
    ended.says("2 files needed a second attempt (ok now)");
    dir.write("data/010.FITS", "");
    let planned = dir.canfar_run().args(["-n", "-i", "data/*.fits", "--", "true"]).run().exits(0);
    planned
        .says("matches 2 entries, but not 1 name that differs only in upper and lower case, such as")
        .says("010.FITS");
}

#[test]
fn a_terminal_is_given_colours_and_no_other_control_sequence_unless_all_is_asked_for() {
    if !require(Component::Tmux) {
        return;
    }
    let dir = Dir::with_inputs(1);
    dir.launch()
        .args(["--logs", "all"])
        .sh(r"printf 'first\n\033[2J\033[H\033[31mred\033[0m end\n'")
        .run()
        .exits(0);
    let printed = logs(&dir, &["out", "0", "--stdout"]).printed();
    assert_eq!(printed, "first\n\u{1b}[2J\u{1b}[H\u{1b}[31mred\u{1b}[0m end\n", "bytes are as they were");
    let terminal = Terminal::open(&dir, 80, 20);
    terminal.enter("canfar-run logs out 0 --stdout; echo over");
    let screen = terminal.wait_for("\nover");
    assert!(screen.contains("first\nred end\nover"), "{screen}");
    terminal.enter("canfar-run logs out 0 --stdout --raw; echo all of it");
    let screen = terminal.wait_for("\nall of it");
    assert!(screen.starts_with("red end") && !screen.contains("first"), "{screen}");
}

//! Where there is no terminal, such as in a container's log: few lines.

use super::{inputs, launch, redacted, task};

#[test]
fn a_short_run_is_told_by_its_start_its_failures_and_its_summary() {
    let dir = inputs(4, [], &[2]);
    let ended = task(launch(&dir, 1, 1)).run().exits(1);
    insta::assert_snapshot!(redacted(&dir, &ended.stderr));
}

#[test]
fn verbose_has_a_line_for_every_task_and_the_slowest() {
    let dir = inputs(4, [], &[2]);
    let ended = task(launch(&dir, 1, 1).arg("-v")).run().exits(1);
    assert_eq!(ended.stderr.matches("\nok: ").count(), 3, "{ended}");
    assert_eq!(ended.stderr.matches("\nfailed: ").count(), 1, "{ended}");
    ended.says("\nslowest: ");
}

#[test]
fn quiet_has_failures_and_what_to_do_about_them() {
    let dir = inputs(4, [], &[2]);
    let ended = task(launch(&dir, 1, 1).arg("-q")).run().exits(1);
    insta::assert_snapshot!(redacted(&dir, &ended.stderr));
    let good = inputs(2, [], &[]);
    assert_eq!(task(launch(&good, 1, 1).arg("-q")).run().exits(0).stderr, "");
}

#[test]
fn a_message_of_a_task_cannot_reach_a_terminal_as_a_command() {
    let dir = inputs(1, [], &[]);
    let ended = launch(&dir, 1, 1).sh("printf '\\033[2Jbad' >&2; exit 1").run().exits(1);
    ended.says("\n    | \\u{1b}[2Jbad").says("  1 file: exit: \\u{1b}[2Jbad (such as ").says_not("\u{1b}");
}

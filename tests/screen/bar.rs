//! On a terminal, a bar.

use super::{inputs, redacted, release, release_all};
use crate::support::{Component, DEADLINE, Dir, Terminal, require, wait_until};

/// Two at a time, on terminals that are as large as that.
const LINE: &str = "canfar-run -i 'data/*.fits' -o out -j 2 -- sh task.sh {}";

/// In a bar, and in nothing else that is said.
const BAR: &str = "running";

#[track_caller]
fn over(terminal: &Terminal) -> String {
    terminal
        .wait_until("a prompt after the summary", |screen| screen.contains("(in ") && screen.ends_with("\n$"))
}

/// A launch of six files that waits with the first two.
fn two_held(failing: &[usize]) -> (Dir, Terminal) {
    let dir = inputs(6, 0..6, failing);
    let terminal = Terminal::open(&dir, 100, 30);
    terminal.enter(LINE);
    terminal.wait_for("0 of 6 done, 2 running");
    (dir, terminal)
}

#[test]
fn it_tells_how_far_it_is_and_what_runs_and_is_gone_afterwards() {
    if !require(Component::Tmux) {
        return;
    }
    let (dir, terminal) = two_held(&[1]);
    release(&dir, 0);
    terminal.wait_for("1 of 6 done, 2 running");
    release(&dir, 1);
    let screen = terminal.wait_for("2 of 6 done, 1 failed, 2 running");
    insta::assert_snapshot!("the_bar", redacted(&dir, &screen));
    release_all(&dir);
    let screen = over(&terminal);
    insta::assert_snapshot!("after_the_bar", redacted(&dir, &screen));
}

#[test]
fn lines_for_every_task_scroll_above_it() {
    if !require(Component::Tmux) {
        return;
    }
    let dir = inputs(6, 3..6, &[]);
    let terminal = Terminal::open(&dir, 100, 30);
    terminal.enter(&LINE.replace("-j 2", "-j 2 -v"));
    let screen = terminal.wait_until("three lines above a bar", |screen| {
        screen.matches("ok: ").count() == 3 && screen.contains("3 of 6 done, 2 running")
    });
    assert!(screen.find("ok: ") < screen.find(BAR), "{screen}");
    release_all(&dir);
    assert!(!over(&terminal).contains(BAR));
}

#[test]
fn names_do_not_reach_the_terminal_as_commands() {
    if !require(Component::Tmux) {
        return;
    }
    let dir = inputs(0, [], &[]);
    dir.write("data/a\u{1b}[2Jb.fits", "");
    dir.write("hold/a\u{1b}[2Jb.fits", "");
    let terminal = Terminal::open(&dir, 100, 30);
    terminal.enter(LINE);
    let screen = terminal.wait_for("data/a\\u{1b}[2Jb.fits");
    assert!(screen.contains("0 of 1 done"), "{screen}");
    release_all(&dir);
    over(&terminal);
}

#[test]
fn it_fits_a_terminal_that_becomes_narrow_or_tiny() {
    if !require(Component::Tmux) {
        return;
    }
    let (dir, terminal) = two_held(&[]);
    terminal.resize(26, 12);
    let screen = terminal.wait_until("a narrow bar", |screen| screen.contains("…data/001.fits"));
    let bar = redacted(&dir, &screen[screen.find("0 of 6 done").unwrap()..]);
    // Either slot may have begun first.
    let mut lines: Vec<&str> = bar.lines().collect();
    lines[1..].sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r"
    0 of 6 done, 2 running
            [time] …data/000.fits
            [time] …data/001.fits
    ");
    assert_eq!(screen.matches("of 6 done").count(), 1, "{screen}");
    terminal.resize(8, 2);
    terminal.wait_for("0 of 6…");
    terminal.resize(100, 30);
    let screen = terminal.wait_for("] 0 of 6 done, 2 running");
    assert_eq!(screen.matches("of 6").count(), 1 + screen.matches("6 of 6 files").count(), "{screen}");
    release_all(&dir);
    assert!(!over(&terminal).contains(BAR));
}

#[test]
fn an_interrupted_launch_leaves_a_clean_terminal() {
    if !require(Component::Tmux) {
        return;
    }
    let (_dir, terminal) = two_held(&[]);
    terminal.press("C-c");
    let screen = over(&terminal);
    assert!(screen.contains("stopped early: SIGINT (2)") && !screen.contains(BAR), "{screen}");
}

#[test]
fn of_several_on_one_terminal_one_draws() {
    if !require(Component::Tmux) {
        return;
    }
    let dir = inputs(6, 0..6, &[]);
    let each = format!(
        "for i in 1 2 3; do REPLICA_ID=$i REPLICA_COUNT=3 CANFAR_RUN_BALANCE=false {LINE} & done; wait"
    );
    dir.write("all.sh", each);
    let terminal = Terminal::open(&dir, 100, 30);
    terminal.enter("sh all.sh");
    let has_begun = |id| dir.events_of(id, 1, "start").len() == 2;
    wait_until(DEADLINE, "tasks of all replicas", || (1..=3).all(has_begun));
    let screen = terminal.wait_for("0 of 2 done, 2 running");
    assert_eq!(screen.matches(BAR).count(), 1, "{screen}");
    release_all(&dir);
    let screen = terminal.wait_until("three summaries", |screen| screen.matches("(in ").count() == 3);
    assert!(!screen.contains(BAR), "{screen}");
}

#[test]
fn there_is_none_where_lines_or_nothing_is_asked_for_or_a_terminal_is_dumb() {
    if !require(Component::Tmux) {
        return;
    }
    for way in ["--progress plain", "--progress none", "-q", "TERM=dumb"] {
        let dir = inputs(1, [0], &[]);
        let terminal = Terminal::open(&dir, 100, 30);
        let line = match way {
            "TERM=dumb" => format!("{way} {LINE}"),
            way => LINE.replace("-j 2", way),
        };
        terminal.enter(&line);
        wait_until(DEADLINE, "a task", || !dir.events_of(1, 1, "start").is_empty());
        release_all(&dir);
        terminal.enter("echo it is over");
        let is_over = |screen: &str| screen.matches("it is over").count() == 2;
        let screen = terminal.wait_until("what was typed and what that printed", is_over);
        assert!(!screen.contains(BAR), "{way}: {screen}");
    }
}

#[test]
fn asked_for_without_a_terminal_it_is_lines_and_that_is_said() {
    let dir = Dir::with_inputs(1);
    dir.launch()
        .args(["--progress", "bar"])
        .sh("true")
        .run()
        .exits(0)
        .says("--progress bar: standard error is not a terminal");
    dir.launch().args(["--progress", "auto"]).sh("true").run().exits(0).says_not("--progress");
}

//! What a terminal of 80 or 120 columns shows, in tmux.

use super::{let_go, mixed};
use crate::support::{Component, Dir, Terminal, require};

/// A terminal on which `canfar-run status` with these words is all that is to be seen, and how it ended.
fn status_on(dir: &Dir, columns: usize, rows: usize, words: &str) -> Terminal {
    let terminal = Terminal::open(dir, columns, rows);
    terminal.enter(&format!("clear; canfar-run status out {words}; echo \"ended: $?\"; sleep 600"));
    terminal
}

/// Without what differs from run to run.
fn redacted(dir: &Dir, shown: &str) -> String {
    let shown = shown.replace(&*dir.root().to_string_lossy(), "/survey");
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let line = |line: &str| -> String {
        let mut line = line.trim_end().to_owned();
        if let (true, Some(at)) = (line.starts_with("run "), line.find(" begun ")) {
            line = format!("run RUNID{} begun TIME", &line[10..at]);
        }
        // A row is cut where the host's name is too long for it.
        let is_row = line.starts_with("      ") || line.starts_with("    ");
        if let (true, Some(at)) =
            (is_row, line.rfind(" s").filter(|at| line[at + 2..].starts_with(|c: char| c.is_ascii_digit())))
        {
            line = format!("{} HOST", &line[..at + 3]);
        }
        if let (Some(at), Some(ago)) = (line.find(&format!(" on host {host}, ")), line.find(" ago")) {
            line = format!("{} on host HOST, SOME TIME{}", &line[..at], &line[ago..]);
        }
        line
    };
    shown.lines().map(line).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

#[test]
fn a_run_in_all_states_on_terminals_of_two_widths() {
    if !require(Component::Tmux) {
        return;
    }
    let dir = Dir::with_inputs(28);
    let running = mixed(&dir);
    for columns in [80, 120] {
        let terminal = status_on(&dir, columns, 40, "--color never");
        let shown = terminal.wait_for("ended: 0");
        insta::assert_snapshot!(format!("status_{columns}"), redacted(&dir, &shown));
    }
    running.kill();
    let_go(&dir);
}

#[test]
fn watching_redraws_in_place_fits_the_terminal_and_gives_it_back() {
    if !require(Component::Tmux) {
        return;
    }
    let dir = Dir::with_inputs(28);
    let running = mixed(&dir);
    let terminal = status_on(&dir, 100, 14, "--watch");
    let shown = terminal.wait_for("1 running");
    assert_eq!(shown.matches("7 replicas:").count(), 1, "{shown}");
    assert!(shown.lines().count() <= 14 && shown.contains("canfar-run resume"), "{shown}");
    let_go(&dir);
    running.wait().exits(0);
    let shown = terminal.wait_for("3 done");
    assert_eq!(shown.matches("7 replicas:").count(), 1, "{shown}");
    terminal.press("C-c");
    terminal.wait_for("ended: 130");
}

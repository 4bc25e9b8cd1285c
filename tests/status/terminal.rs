//! What a terminal of 80 or 120 columns shows, in tmux.

use std::process::{Command, Output};

use super::{let_go, mixed};
use crate::support::{Component, DEADLINE, Dir, require, wait_until};

/// A terminal. Its server ends with it.
struct Terminal<'d> {
    dir: &'d Dir,
}

impl<'d> Terminal<'d> {
    /// One that runs `canfar-run status` with these words.
    fn of(dir: &'d Dir, columns: usize, rows: usize, words: &str) -> Self {
        let terminal = Self { dir };
        let line =
            format!("{} status out {words}; echo \"ended: $?\"; sleep 600", env!("CARGO_BIN_EXE_canfar-run"));
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let begun =
            terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, &line]);
        assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
        terminal
    }

    fn tmux(&self, words: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.current_dir(self.dir.root()).env("LC_ALL", "C.UTF-8").env_remove("TMUX").env("TERM", "xterm");
        tmux.arg("-S").arg(self.dir.path("tmux")).args(words).output().unwrap()
    }

    /// What it shows; lines that were wrapped are whole.
    fn shown(&self) -> String {
        String::from_utf8(self.tmux(&["capture-pane", "-p", "-J"]).stdout).unwrap()
    }

    #[track_caller]
    fn shows(&self, text: &str) -> String {
        let mut shown = String::new();
        wait_until(DEADLINE, &format!("{text} on the terminal"), || {
            shown = self.shown();
            shown.contains(text)
        });
        shown
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
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
        let terminal = Terminal::of(&dir, columns, 40, "--color never");
        let shown = terminal.shows("ended: 0");
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
    let terminal = Terminal::of(&dir, 100, 14, "--watch");
    let shown = terminal.shows("1 running");
    assert_eq!(shown.matches("7 replicas:").count(), 1, "{shown}");
    assert!(shown.lines().count() <= 14 && shown.contains("canfar-run resume"), "{shown}");
    let_go(&dir);
    running.wait().exits(0);
    let shown = terminal.shows("3 done");
    assert_eq!(shown.matches("7 replicas:").count(), 1, "{shown}");
    terminal.tmux(&["send-keys", "C-c"]);
    terminal.shows("ended: 130");
}

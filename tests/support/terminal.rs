//! A terminal with a shell in it, for what only people at one see.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{DEADLINE, Dir, InTime, wait_until};

/// A terminal of tmux, whose shell was started in a test's folder. Gone when dropped, with all that runs in it.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// With the socket of a server that is ours alone, whatever the user's configuration.
    folder: TempDir,
}

impl Terminal {
    /// One that is so many columns wide and so many rows high, with canfar-run on its PATH.
    pub(crate) fn open(dir: &Dir, columns: usize, rows: usize) -> Self {
        let terminal = Self { folder: tempfile::tempdir().unwrap() };
        let programs = std::path::Path::new(env!("CARGO_BIN_EXE_canfar-run")).parent().unwrap().display();
        let path = std::env::var("PATH").unwrap();
        let shell = format!("exec env -i 'PATH={programs}:{path}' TERM=screen 'PS1=$ ' /bin/sh");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let folder = dir.root().to_str().unwrap();
        let options = ["new-session", "-d", "-x", &columns, "-y", &rows, "-c", folder, &shell];
        terminal.tmux(&options);
        terminal.wait_for("$");
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.env_remove("TMUX").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        tmux.arg("-u").args(["-f", "/dev/null", "-S"]).arg(self.folder.path().join("socket")).args(args);
        let output = tmux.output_in_time().unwrap();
        assert!(output.status.success(), "{tmux:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types a line and Enter.
    pub(crate) fn enter(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    /// Presses a key, by tmux's name for it.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    pub(crate) fn resize(&self, columns: usize, rows: usize) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// What is to be seen, lines that were broken for their length in one.
    pub(crate) fn screen(&self) -> String {
        let screen = self.tmux(&["capture-pane", "-p", "-J"]);
        let lines: Vec<&str> = screen.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Waits until `text` is to be seen; gives all that is.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Waits until what is to be seen is as it should be; gives it.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        wait_until(DEADLINE, &format!("{what} on the terminal"), || {
            screen = self.screen();
            is_so(&screen)
        });
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let socket = self.folder.path().join("socket");
        let _ = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").status();
    }
}

//! A terminal that shows one text, redrawn in place. It has its own screen while it does, so that nothing that stood there
//! is lost, and nothing scrolls.

use std::io::{self, IsTerminal, Write};

/// Where nobody says how large the terminal is.
const USUAL: TerminalSize = TerminalSize { columns: 80, rows: 24 };

/// How large a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
}

impl TerminalSize {
    /// Of the terminal that standard output goes to; `None` where it is none.
    pub fn of_stdout() -> Option<Self> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        let told =
            rustix::termios::tcgetwinsize(stdout).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let of =
            |told: rustix::termios::Winsize| Self { columns: told.ws_col.into(), rows: told.ws_row.into() };
        Some(told.map_or(USUAL, of))
    }

    /// How many rows a text takes.
    pub fn rows_of(self, text: &str) -> usize {
        let rows = |line: &str| {
            anstream::adapter::strip_str(line).to_string().chars().count().div_ceil(self.columns)
        };
        text.lines().map(|line| rows(line).max(1)).sum()
    }
}

/// Standard output, as a screen of its own. When dropped, the terminal is as it was.
pub struct Fullscreen<'w> {
    out: &'w mut dyn Write,
}

impl<'w> Fullscreen<'w> {
    /// Begins to use the terminal behind `out`.
    ///
    /// # Errors
    /// When it can't be written to.
    pub fn begin(out: &'w mut dyn Write) -> io::Result<Self> {
        // Another screen, without a cursor.
        out.write_all(b"\x1b[?1049h\x1b[?25l")?;
        Ok(Self { out })
    }

    /// Shows a text in place of what is there.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn show(&mut self, text: &str) -> io::Result<()> {
        let mut frame = String::from("\x1b[H");
        // What a line had more before is wiped off, and at last what there were more lines.
        let lines: Vec<String> = text.lines().map(|line| format!("{line}\x1b[K")).collect();
        frame.push_str(&lines.join("\r\n"));
        frame.push_str("\x1b[J");
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}

impl Drop for Fullscreen<'_> {
    fn drop(&mut self) {
        let _ = self.out.write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::TerminalSize;

    #[test]
    fn long_lines_take_several_rows_and_colours_none() {
        let size = TerminalSize { columns: 4, rows: 9 };
        assert_eq!(size.rows_of("1234\n\n12345\n\x1b[31m1234\x1b[0m\n"), 5);
    }
}

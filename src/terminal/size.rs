//! The size of a terminal, and how many of its rows a text takes.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

/// Used if the size of the terminal is unknown.
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
    /// The size of the terminal behind a descriptor; `None` if it is not a terminal, or the size is unknown.
    pub fn of(terminal: impl AsFd) -> Option<Self> {
        let told = tcgetwinsize(terminal).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0)?;
        Some(Self { columns: told.ws_col.into(), rows: told.ws_row.into() })
    }

    /// Of the terminal that standard output goes to; `None` where it is none.
    pub fn of_stdout() -> Option<Self> {
        let stdout = io::stdout();
        stdout.is_terminal().then(|| Self::of(stdout).unwrap_or(USUAL))
    }

    /// How many rows a text takes.
    pub fn rows_of(self, text: &str) -> usize {
        let rows = |line: &str| {
            anstream::adapter::strip_str(line).to_string().chars().count().div_ceil(self.columns)
        };
        text.lines().map(|line| rows(line).max(1)).sum()
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

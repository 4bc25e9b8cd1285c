//! Standard error as a page: lines one after the other and, on a terminal of our own, a picture below them.

use std::io::{IsTerminal, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::termios::{tcgetpgrp, tcgetwinsize};
use unicode_width::UnicodeWidthStr;

use crate::cli::Color;
use crate::report::printer::{Page, Picture};

/// Where we are a terminal's only one to draw: held as long as we draw.
#[derive(Debug)]
pub(super) struct Claim(#[expect(dead_code, reason = "the lock goes with it")] OwnedFd);

impl Claim {
    /// Claims the terminal that standard error is; `None` where it is none, has no size, we are in the background, or
    /// another one draws there.
    pub(super) fn take() -> Option<Self> {
        let is_ours = std::io::stderr().is_terminal() && size().is_some() && is_in_foreground();
        // What is inherited is one open file for all that were started there, and so is a lock on that.
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = is_ours.then(|| open("/dev/stderr", flags, Mode::empty()).ok()).flatten()?;
        flock(&terminal, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(Self(terminal))
    }
}

/// Columns and rows.
fn size() -> Option<(usize, usize)> {
    let size = tcgetwinsize(std::io::stderr()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

/// Whether the terminal is not just being used by another one, such as a shell that was given back to.
fn is_in_foreground() -> bool {
    tcgetpgrp(std::io::stderr()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Who has not drawn for so long was stopped (Ctrl-Z), and others have written since: where the picture is nobody knows.
const LOST: Duration = Duration::from_secs(3);

/// Standard error.
#[derive(Debug)]
pub(super) struct Screen {
    color: ColorChoice,
    /// Widths of the lines of the picture that is to be seen, the cursor being at the end of the last one.
    drawn: Vec<usize>,
    /// When something was written last.
    written: Instant,
}

impl Screen {
    /// With colours or not.
    pub(super) fn new(color: Color) -> Self {
        let color = match color {
            Color::Auto => AutoStream::choice(&std::io::stderr()),
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self { color, drawn: Vec::new(), written: Instant::now() }
    }

    /// What takes the picture away. A terminal that became narrower has broken its lines.
    fn wipe(&mut self, columns: usize) -> String {
        let rows: usize = self.drawn.drain(..).map(|width| width.div_ceil(columns.max(1)).max(1)).sum();
        match rows {
            0 => String::new(),
            _ => format!("\r{}\x1b[J", "\x1b[A".repeat(rows - 1)),
        }
    }

    fn draw(&mut self, picture: &dyn Picture, (columns, rows): (usize, usize)) -> String {
        // Half is for the lines. In the last column some terminals break the line, others do not.
        let lines = picture.lines(columns.saturating_sub(1), (rows / 2).max(1));
        self.drawn = lines.iter().map(|line| line.width()).collect();
        lines.join("\n")
    }

    fn page(&mut self, lines: &[String], picture: Option<&dyn Picture>) -> Vec<u8> {
        let mut page = Vec::new();
        let size = size().unwrap_or((80, 24));
        let is_ours = picture.is_none() || is_in_foreground();
        if !is_ours || self.written.elapsed() > LOST {
            self.drawn.clear();
        }
        page.extend_from_slice(self.wipe(size.0).as_bytes());
        let mut text = AutoStream::new(&mut page, self.color);
        // A vector takes everything.
        lines.iter().for_each(|line| _ = writeln!(text, "{line}"));
        drop(text);
        if let Some(picture) = picture.filter(|_| is_ours) {
            page.extend_from_slice(self.draw(picture, size).as_bytes());
        }
        page
    }
}

impl Page for Screen {
    fn show(&mut self, lines: &[String], picture: Option<&dyn Picture>) {
        let page = self.page(lines, picture);
        // Nobody can be told when standard error is gone.
        let _ = std::io::stderr().lock().write_all(&page);
        self.written = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::Screen;
    use crate::cli::Color;

    #[test]
    fn as_many_rows_are_wiped_as_a_narrower_terminal_made_of_the_picture() {
        let mut screen = Screen::new(Color::Never);
        screen.drawn = vec![30, 8, 0];
        assert_eq!(screen.wipe(20), "\r\x1b[A\x1b[A\x1b[A\x1b[J");
        assert_eq!(screen.wipe(20), "");
    }
}

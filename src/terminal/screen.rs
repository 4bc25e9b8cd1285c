//! Standard error: lines one after the other and, on a terminal of our own, a picture below them.

use std::io::{IsTerminal, Write, stderr};
use std::os::fd::OwnedFd;

use anstream::{AutoStream, ColorChoice};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::termios::tcgetpgrp;

use crate::terminal::printer::{Picture, Terminal};
use crate::terminal::size::TerminalSize;

/// Where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// On terminals.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// Where we are a terminal's only one to draw: held as long as we draw.
#[derive(Debug)]
pub(crate) struct ScreenClaim(#[expect(dead_code, reason = "the lock goes with it")] OwnedFd);

impl ScreenClaim {
    /// Claims the terminal that standard error is; `None` where it is none, has no size, we are in the background, or
    /// another one draws there.
    pub(crate) fn take() -> Option<Self> {
        let is_ours = TerminalSize::of(stderr()).is_some() && is_in_foreground();
        // What is inherited is one open file for all that were started there, and so is a lock on that.
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = is_ours.then(|| open("/dev/stderr", flags, Mode::empty()).ok()).flatten()?;
        flock(&terminal, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(Self(terminal))
    }
}

/// Whether the terminal is not just being used by another one, such as a shell that was given back to.
fn is_in_foreground() -> bool {
    tcgetpgrp(stderr()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// What clears from the cursor on.
const CLEAR: &[u8] = b"\x1b[J";

/// Standard error.
// The cursor stays at the beginning of a picture. So it is found again after the terminal became narrower, and other programs that
// write there need not know about it: nothing from the cursor on has to stay.
#[derive(Debug)]
pub(crate) struct Screen {
    color: ColorChoice,
    /// Whether another one of us may draw there.
    is_shared: bool,
    /// Whether a picture is visible.
    is_drawn: bool,
}

impl Screen {
    /// With colours or not.
    pub(crate) fn new(color: Color) -> Self {
        let able = AutoStream::choice(&stderr());
        let color = match color {
            Color::Auto => able,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        let is_shared = able != ColorChoice::Never && stderr().is_terminal();
        Self { color, is_shared, is_drawn: false }
    }

    fn frame(&mut self, lines: &[String], picture: Option<&dyn Picture>) -> Vec<u8> {
        let mut frame = Vec::new();
        let is_ours = picture.is_none() || is_in_foreground();
        if std::mem::take(&mut self.is_drawn) && is_ours {
            frame.push(b'\r');
            frame.extend_from_slice(CLEAR);
        } else if self.is_shared {
            frame.extend_from_slice(CLEAR);
        }
        for line in lines {
            // A vector takes everything.
            let _ = writeln!(AutoStream::new(&mut frame, self.color), "{line}");
        }
        if let (Some(picture), Some(size)) = (picture.filter(|_| is_ours), TerminalSize::of(stderr())) {
            frame.extend_from_slice(drawn(picture, size).as_bytes());
            self.is_drawn = true;
        }
        frame
    }
}

/// A picture, and the way back to its beginning.
fn drawn(picture: &dyn Picture, TerminalSize { columns, rows }: TerminalSize) -> String {
    // Half is for the lines. In the last column some terminals break the line, others do not.
    let lines = picture.lines(columns.saturating_sub(1), (rows / 2).max(1));
    let up = "\x1b[A".repeat(lines.len().saturating_sub(1));
    format!("{}\r{up}", lines.join("\n"))
}

impl Terminal for Screen {
    fn show(&mut self, lines: &[String], picture: Option<&dyn Picture>) {
        let frame = self.frame(lines, picture);
        // If standard error is gone, there is nowhere to report it.
        let _ = stderr().lock().write_all(&frame);
    }
}

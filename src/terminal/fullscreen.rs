//! A terminal that shows one text, redrawn in place. It has its own screen while it does, so that nothing that stood there
//! is lost, and nothing scrolls.

use std::io::{self, Write};

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

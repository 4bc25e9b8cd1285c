//! Shows one text on a terminal, redrawn in place. It uses the alternate screen, so that nothing that was there before
//! is lost, and nothing scrolls.

use std::io::{self, Write};

/// Standard output, as an alternate screen. When dropped, the terminal is restored.
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

    /// Replaces the text that is shown.
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

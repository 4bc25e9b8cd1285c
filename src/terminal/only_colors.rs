//! What programs printed, shown in a terminal: their colours, and no other control sequence. One could change the title, move
//! the cursor or clear what is there, and so hide what came before it.

use std::io::{self, Write};

/// No colour needs a longer sequence.
const LONGEST: usize = 64;

/// Takes out control sequences but for those that set colours.
pub struct OnlyColors<W> {
    out: W,
    state: State,
    /// The sequence that is being read.
    sequence: Vec<u8>,
    is_coloured: bool,
    /// What is to be written.
    kept: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After the first byte of a control character that takes two.
    C1,
    Escape,
    /// After `ESC [`.
    Csi,
    /// A text that means something to the terminal, such as its title.
    Command,
    /// The same, after ESC or the first byte of a control character.
    CommandEnd,
}

impl<W: Write> OnlyColors<W> {
    /// For what goes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, state: State::Text, sequence: Vec::new(), is_coloured: false, kept: Vec::new() }
    }

    /// Ends with the terminal's own colours.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn end(mut self) -> io::Result<()> {
        if self.is_coloured {
            self.out.write_all(b"\x1b[0m")?;
        }
        self.out.flush()
    }

    fn take(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Text, 0xc2) => State::C1,
            (State::C1, 0x80..=0x9f) => self.control(byte - 0x40),
            (State::C1, _) => {
                self.kept.push(0xc2);
                self.text(byte)
            }
            (State::Command, 0x1b | 0xc2) => State::CommandEnd,
            (State::Command | State::CommandEnd, 0x07 | b'\n') | (State::CommandEnd, b'\\' | 0x9c) => {
                State::Text
            }
            (State::Command | State::CommandEnd, _) => State::Command,
            (_, 0x1b) | (State::Escape, 0x20..=0x2f) => State::Escape,
            (State::Text, _) | (State::Escape | State::Csi, 0..=0x1f) => self.text(byte),
            (State::Escape, _) => self.control(byte),
            (State::Csi, 0x40..=0x7e) => self.end_of_csi(byte),
            (State::Csi, _) => {
                self.sequence.push(byte);
                State::Csi
            }
        };
    }

    fn text(&mut self, byte: u8) -> State {
        if matches!(byte, b'\n' | b'\r' | b'\t') || (byte >= b' ' && byte != 0x7f) {
            self.kept.push(byte);
        }
        State::Text
    }

    /// After ESC, or a control character that means the same.
    fn control(&mut self, byte: u8) -> State {
        self.sequence.clear();
        match byte {
            b'[' => State::Csi,
            b']' | b'P' | b'X' | b'^' | b'_' => State::Command,
            _ => State::Text,
        }
    }

    fn end_of_csi(&mut self, byte: u8) -> State {
        let is_plain = self.sequence.iter().all(|byte| matches!(byte, b'0'..=b';'));
        if byte == b'm' && is_plain && self.sequence.len() <= LONGEST {
            self.is_coloured = !matches!(&*self.sequence, b"" | b"0");
            self.kept.extend_from_slice(b"\x1b[");
            self.kept.append(&mut self.sequence);
            self.kept.push(b'm');
        }
        State::Text
    }
}

impl<W: Write> Write for OnlyColors<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bytes.iter().for_each(|byte| self.take(*byte));
        let kept = std::mem::take(&mut self.kept);
        self.out.write_all(&kept)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::OnlyColors;

    fn shown(text: &str, at_a_time: usize) -> String {
        let mut out = Vec::new();
        let mut colors = OnlyColors::new(&mut out);
        text.as_bytes().chunks(at_a_time).for_each(|part| colors.write_all(part).unwrap());
        colors.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn colours_are_shown_and_nothing_else_that_a_terminal_would_do() {
        for (printed, expected) in [
            ("plain\ttext\r\n30 % é 雛 ¢\n", "plain\ttext\r\n30 % é 雛 ¢\n"),
            (
                "\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mrgb\x1b[m",
                "\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mrgb\x1b[m",
            ),
            ("\x1b[32mgreen", "\x1b[32mgreen\x1b[0m"),
            ("a\x1b[2Jb\x1b[3;4Hc\x1b[?25ld\x1b[>4;1me\x1b[!pf", "abcdef"),
            ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\x1bPq#0\x1b\\d\x1b_x\u{9c}e", "abcde"),
            ("a\u{9b}2Jb\u{9b}31mc\u{9d}0;title\x07d\u{85}e", "ab\x1b[31mcde\x1b[0m"),
            ("a\x1bcb\x1b(0c\x1b7d\x07\x08\x0e\x7fe", "abcde"),
            ("title that does not end \x1b]0;x\nis seen", "title that does not end is seen"),
            ("cut \x1b[3\nis seen", "cut \nis seen"),
            ("cut \x1b[3", "cut "),
        ] {
            for at_a_time in [1, 2, 3, 1000] {
                assert_eq!(shown(printed, at_a_time), expected, "{printed:?} by {at_a_time}");
            }
        }
        let long = format!("a\x1b[{}mb", "1;".repeat(40));
        assert_eq!(shown(&long, 7), "ab");
    }
}

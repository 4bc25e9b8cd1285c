//! What programs printed, shown in a terminal: their colours, and no other control sequence. One could change the title, move
//! the cursor or clear what is there, and so hide what came before it.

use std::io::{self, Write};

/// No colour needs a longer sequence.
const LONGEST: usize = 64;

/// Removes control sequences except those that set colours.
pub struct OnlyColors<W> {
    out: W,
    state: State,
    /// The sequence that is being read.
    sequence: Vec<u8>,
    is_coloured: bool,
    /// The output.
    kept: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After a carriage return, which stays only before a line feed: alone it would let a line be written over.
    Return,
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

    fn take(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Text, 0xc2) => State::C1,
            (State::C1, 0x80..=0x9f) => self.control(byte - 0x40),
            (State::C1, 0xa0..=0xbf) => {
                self.kept.extend([0xc2, byte]);
                State::Text
            }
            // Else what is left out could make a control character of its neighbours.
            (State::C1, _) => return self.take_after("\u{fffd}", byte),
            (State::Return, b'\n') => {
                self.kept.extend(b"\r\n");
                State::Text
            }
            (State::Return, b'\r') => State::Return,
            (State::Return, _) => return self.take_after("\n", byte),
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

    /// Handles a byte as the first one after `text`.
    fn take_after(&mut self, text: &str, byte: u8) {
        self.kept.extend_from_slice(text.as_bytes());
        self.state = State::Text;
        self.take(byte);
    }

    fn text(&mut self, byte: u8) -> State {
        if byte == b'\r' {
            return State::Return;
        }
        if matches!(byte, b'\n' | b'\t') || (byte >= b' ' && byte != 0x7f) {
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
            let shown = without_conceal(&self.sequence);
            if !shown.is_empty() {
                let shown = shown.join(&b';');
                self.is_coloured = !matches!(&*shown, b"" | b"0");
                self.kept.extend([b"\x1b[", &*shown, b"m"].concat());
            }
        }
        State::Text
    }
}

/// The parameters of a sequence that sets colours, without the one that hides text (8).
fn without_conceal(sequence: &[u8]) -> Vec<&[u8]> {
    let mut shown = Vec::new();
    let mut parameters = sequence.split(|byte| *byte == b';').peekable();
    while let Some(parameter) = parameters.next() {
        if number(parameter) != b"8" {
            shown.push(parameter);
        }
        // The numbers of a colour are none of these parameters.
        if matches!(number(parameter), b"38" | b"48" | b"58") && !parameter.contains(&b':') {
            let numbers = match parameters.peek().map(|kind| number(kind)) {
                Some(b"5") => 2,
                Some(b"2") => 4,
                _ => 0,
            };
            shown.extend(parameters.by_ref().take(numbers));
        }
    }
    shown
}

/// The number that a parameter begins with, without zeros before it.
fn number(parameter: &[u8]) -> &[u8] {
    let number = parameter.split(|byte| *byte == b':').next().unwrap_or_default();
    let zeros = number.iter().take_while(|digit| **digit == b'0').count();
    &number[zeros..]
}

impl<W: Write> Write for OnlyColors<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bytes.iter().for_each(|byte| self.take(*byte));
        let kept = std::mem::take(&mut self.kept);
        self.out.write_all(&kept)?;
        Ok(bytes.len())
    }

    /// What was printed ends here: what comes next begins in the terminal's own colours.
    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_coloured) {
            self.out.write_all(b"\x1b[0m")?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::OnlyColors;

    fn shown(printed: &str, at_a_time: usize) -> String {
        let mut out = Vec::new();
        let mut colors = OnlyColors::new(&mut out);
        printed.as_bytes().chunks(at_a_time).for_each(|part| colors.write_all(part).unwrap());
        colors.flush().unwrap();
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

    #[test]
    fn no_control_character_is_made_of_what_is_left_out() {
        for (printed, expected) in [
            (&b"a\xc2\xc2\x9b2Jb"[..], "a\u{fffd}b"),
            (b"a\xc2\x07\x9b2Jb", "a\u{fffd}\u{fffd}2Jb"),
            (b"a\xc2\x7f\x9b2Jb", "a\u{fffd}\u{fffd}2Jb"),
            (b"a\xc2\x1b\x9b2Jb", "a\u{fffd}2Jb"),
            (b"a\xc2\nb", "a\u{fffd}\nb"),
        ] {
            for at_a_time in [1, 2, 1000] {
                let mut out = Vec::new();
                let mut colors = OnlyColors::new(&mut out);
                printed.chunks(at_a_time).for_each(|part| colors.write_all(part).unwrap());
                assert_eq!(String::from_utf8_lossy(&out), expected, "{printed:?} by {at_a_time}");
            }
        }
    }

    #[test]
    fn nothing_is_hidden_or_written_over() {
        for (printed, expected) in [
            ("\x1b[8mhidden", "hidden"),
            ("\x1b[1;08;31mred", "\x1b[1;31mred\x1b[0m"),
            ("\x1b[38;5;8;8mgrey", "\x1b[38;5;8mgrey\x1b[0m"),
            ("\x1b[48;2;8;8;8mgrey", "\x1b[48;2;8;8;8mgrey\x1b[0m"),
            ("\x1b[38:5:8;8mgrey", "\x1b[38:5:8mgrey\x1b[0m"),
            ("ERROR\rok\n", "ERROR\nok\n"),
            ("ERROR\r\x1b[31mok\r\r\n", "ERROR\n\x1b[31mok\r\n\x1b[0m"),
        ] {
            for at_a_time in [1, 2, 1000] {
                assert_eq!(shown(printed, at_a_time), expected, "{printed:?} by {at_a_time}");
            }
        }
    }
}

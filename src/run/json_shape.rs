//! Distinguishes a text that was meant as JSON, or as a printed Python value, from a log line by the content of its brackets.

/// Whether a text that is not valid was meant as an object or an array, in JSON or as Python writes values.
pub(super) fn is_meant(text: &[u8]) -> bool {
    let is_line = memchr::memchr(b'\n', text).is_none();
    match (text.first(), text.last()) {
        (Some(b'{'), Some(b'}')) if begins_object(text) => match Shape::of(text).end {
            Some(end) if end == text.len() => true,
            // Two objects on a line, or a bracket too many.
            Some(end) => {
                is_line && matches!(text[end..].trim_ascii_start().first(), Some(b'{' | b'}' | b','))
            }
            None => is_line,
        },
        (Some(b'['), Some(b']')) => {
            let shape = Shape::of(text);
            shape.is_list() && shape.end == Some(text.len())
        }
        _ => false,
    }
}

/// Whether a text begins with a brace and a key: in quotes, or followed by a colon.
pub(super) fn begins_object(text: &[u8]) -> bool {
    let Some(inside) = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start) else { return false };
    let word = inside.iter().take_while(|byte| is_of_word(**byte)).count();
    let after = inside[word..].trim_ascii_start().first();
    match inside.first() {
        Some(b'"' | b'\'') => true,
        _ => word > 0 && matches!(after, Some(b':' | b'"' | b'\'' | b'(')),
    }
}

pub(super) fn is_list_that_goes_on(text: &[u8]) -> bool {
    let shape = Shape::of(text);
    text.first() == Some(&b'[') && text.ends_with(b",") && shape.end.is_none() && shape.is_list()
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+') || byte >= 0x80
}

/// How a text in brackets is built.
#[derive(Debug)]
pub(super) struct Shape {
    /// The byte after the bracket that closes the first one; `None` where none does.
    end: Option<usize>,
    /// Values in lists.
    values: usize,
    /// Whether there is nothing in its lists but values with commas between them.
    are_values: bool,
    /// Bytes that were read.
    pub(super) read: usize,
}

impl Shape {
    fn is_list(&self) -> bool {
        self.are_values && self.values > 0
    }

    pub(super) fn of(text: &[u8]) -> Self {
        let mut shape = Self { end: None, values: 0, are_values: true, read: text.len() };
        let mut open = Vec::new();
        // The content of braces is not examined.
        let mut braces = 0_usize;
        let mut is_after_value = false;
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let rest = &text[at..];
            let length = match byte {
                b'"' | b'\'' => match length_of_string(rest) {
                    Some(length) => length,
                    None => return Self { are_values: false, ..shape },
                },
                byte if is_of_word(byte) => rest.iter().take_while(|byte| is_of_word(**byte)).count(),
                _ => 1,
            };
            let is_in_list = braces == 0;
            match byte {
                b'{' | b'[' | b'(' => {
                    shape.are_values &= !is_in_list || !is_after_value;
                    open.push(byte);
                    braces += usize::from(byte == b'{');
                    is_after_value = false;
                }
                b'}' | b']' | b')' => {
                    braces -= usize::from(byte == b'}' && braces > 0);
                    let opened = open.pop();
                    let is_own = matches!(
                        (opened, byte),
                        (Some(b'{'), b'}') | (Some(b'['), b']') | (Some(b'('), b')')
                    );
                    if open.is_empty() || !is_own {
                        shape.end = is_own.then_some(at + 1);
                        return Self { read: at, ..shape };
                    }
                    shape.values += 1;
                    is_after_value = true;
                }
                b',' => {
                    shape.are_values &= !is_in_list || is_after_value;
                    is_after_value = false;
                }
                byte if byte.is_ascii_whitespace() => {}
                _ if is_in_list => {
                    let is_prefix = is_of_word(byte)
                        && byte.is_ascii_alphabetic()
                        && matches!(rest.get(length), Some(b'(' | b'"' | b'\''));
                    let is_string = matches!(byte, b'"' | b'\'');
                    let is_value = is_string || is_prefix || is_plain_value(&rest[..length]);
                    shape.are_values &= is_value && !is_after_value;
                    shape.values += usize::from(!is_prefix);
                    is_after_value = !is_prefix;
                }
                _ => {}
            }
            at += length;
        }
        shape
    }
}

/// The length of a quoted string, quotes included; `None` where it does not end.
fn length_of_string(text: &[u8]) -> Option<usize> {
    let quote = *text.first()?;
    let mut at = 1;
    loop {
        match memchr::memchr2(quote, b'\\', &text[at..])? {
            next if text[at + next] == quote => return Some(at + next + 1),
            next => at = (at + next + 2).min(text.len()),
        }
    }
}

/// Whether a word is a number or a constant, as JSON, Python or others write them: `nan`, `-inf`, `1.`, `None`.
fn is_plain_value(word: &[u8]) -> bool {
    let text = std::str::from_utf8(word).unwrap_or_default();
    text.parse::<f64>().is_ok()
        || matches!(text, "True" | "False" | "None" | "true" | "false" | "null" | "undefined")
}

//! What can be wrong with a JSON text, and where.

use std::fmt;

use super::JsonKind;

/// A text is not what Python's `json.loads` would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub struct JsonError {
    /// The first byte that can't be there, counted from 0; where the text ends too early, its length.
    pub offset: u64,
    /// What is wrong there.
    pub what: JsonFault,
}

impl JsonError {
    pub(super) fn new(offset: usize, what: JsonFault) -> Self {
        Self { offset: offset as u64, what }
    }

    /// The same error in a text that has `bytes` more in front.
    pub(super) fn shifted(self, bytes: u64) -> Self {
        Self { offset: self.offset + bytes, ..self }
    }
}

/// What is wrong with a text at some byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Nothing, or nothing but whitespace.
    #[error("there is nothing: the text is empty")]
    Empty,
    /// The text begins with U+FEFF, as some editors write it.
    #[error(
        "the text begins with a byte order mark, which JSON does not allow; save it as UTF-8 without one"
    )]
    ByteOrderMark,
    /// Something else was expected.
    #[error("expected {wanted}, found {}", Byte(*found))]
    Expected {
        /// What was expected, in words.
        wanted: &'static str,
        /// The byte that is there.
        found: u8,
    },
    /// The text is cut off.
    #[error("the text ends in the middle of {inside}")]
    Ends {
        /// The innermost thing that is unfinished.
        inside: Inside,
    },
    /// An array that is read element by element is cut off.
    #[error("the text ends in the middle of {inside} after {elements} {}", if *elements == 1 { "element" } else { "elements" })]
    EndsAfter {
        /// The innermost thing that is unfinished.
        inside: Inside,
        /// How many whole elements come before.
        elements: u64,
    },
    /// Where an array was needed there is another value.
    #[error("not an array but {0}")]
    NotAnArray(JsonKind),
    /// A raw control character in a string.
    #[error("a control character in a string: {} has to be written as \\u{:04x}", Byte(*.0), .0)]
    ControlCharacter(u8),
    /// A string has bytes that are not UTF-8.
    #[error("a string has bytes that are not UTF-8")]
    NotUtf8,
    /// Arrays and objects within each other beyond the caller's limit.
    #[error("nested more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}

/// What a text that is cut off was in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// An array.
    Array,
    /// An object.
    Object,
    /// A string, also one that is a key.
    String,
    /// A number.
    Number,
    /// This word, such as `null` or `NaN`.
    Word(&'static str),
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array => f.write_str("an array"),
            Self::Object => f.write_str("an object"),
            Self::String => f.write_str("a string"),
            Self::Number => f.write_str("a number"),
            Self::Word(word) => write!(f, "'{word}'"),
        }
    }
}

/// Shows a byte so that a terminal and a log stay whole: printable ASCII as it is, all else as a number.
struct Byte(u8);

impl fmt::Display for Byte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            byte @ b' '..=b'~' => write!(f, "'{}'", char::from(byte)),
            b'\n' => f.write_str("a line break"),
            byte => write!(f, "byte 0x{byte:02x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_byte_and_what_is_there() {
        let error = |what| JsonError { offset: 1234, what }.to_string();
        let expected = |found| error(JsonFault::Expected { wanted: "',' or ']'", found });
        assert_eq!(expected(b'x'), "at byte 1234: expected ',' or ']', found 'x'");
        assert_eq!(expected(b'\n'), "at byte 1234: expected ',' or ']', found a line break");
        assert_eq!(expected(0x1b), "at byte 1234: expected ',' or ']', found byte 0x1b");
        assert_eq!(
            error(JsonFault::ControlCharacter(9)),
            "at byte 1234: a control character in a string: byte 0x09 has to be written as \\u0009"
        );
        let after = |inside, elements| error(JsonFault::EndsAfter { inside, elements });
        assert_eq!(
            after(Inside::Array, 17),
            "at byte 1234: the text ends in the middle of an array after 17 elements"
        );
        assert_eq!(
            after(Inside::Word("NaN"), 1),
            "at byte 1234: the text ends in the middle of 'NaN' after 1 element"
        );
        assert_eq!(
            error(JsonFault::NotAnArray(JsonKind::Object)),
            "at byte 1234: not an array but an object"
        );
    }
}

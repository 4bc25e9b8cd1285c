//! The small tables of JSON's grammar: the machine's states, numbers, words and escapes.

use super::error::{JsonError, JsonFault};

/// Where in the grammar the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrammarState {
    // Between tokens, where whitespace may be.
    Value,
    FirstElement,
    AfterElement,
    FirstKey,
    Key,
    Colon,
    AfterMember,
    // Within a token.
    InKey,
    InString,
    InNumber(Digits),
    /// At the first byte of what should be this word.
    InWord(JsonWord),
    Done,
}

/// What of a number has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonWord {
    True,
    False,
    Null,
    NaN,
    Infinity,
    MinusInfinity,
}

impl GrammarState {
    /// What may come between tokens, in words.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::FirstElement => "a value or ']'",
            Self::AfterElement => "',' or ']'",
            Self::FirstKey => "a key or '}'",
            Self::Key => "a key",
            Self::Colon => "':'",
            Self::AfterMember => "',' or '}'",
            _ => "a value",
        }
    }
}

impl Digits {
    /// What has been seen when `byte` comes next; `None`: it can't belong to the number.
    pub(super) fn then(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Integer, b'0'..=b'9') | (Self::Minus, b'1'..=b'9') => Self::Integer,
            (Self::Fraction | Self::Point, b'0'..=b'9') => Self::Fraction,
            (Self::Minus, b'0') => Self::Zero,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::Power, b'0'..=b'9') => Self::Power,
            _ => return None,
        })
    }

    /// Whether a number may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Power)
    }
}

impl JsonWord {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Null => "null",
            Self::NaN => "NaN",
            Self::Infinity => "Infinity",
            Self::MinusInfinity => "-Infinity",
        }
    }

    pub(super) fn is_non_finite(self) -> bool {
        matches!(self, Self::NaN | Self::Infinity | Self::MinusInfinity)
    }
}

/// The length of the escape at the beginning of `text`, `None` if it may go on after it. A surrogate needs no partner.
pub(super) fn escape_length(text: &[u8]) -> Result<Option<usize>, JsonError> {
    let expected = |at, wanted, found| Err(JsonError::new(at, JsonFault::Expected { wanted, found }));
    match text.get(1) {
        None => Ok(None),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(Some(2)),
        Some(b'u') => {
            let digits = &text[2..text.len().min(6)];
            match digits.iter().position(|digit| !digit.is_ascii_hexdigit()) {
                Some(odd) => expected(2 + odd, "a hexadecimal digit", digits[odd]),
                None => Ok((digits.len() == 4).then_some(6)),
            }
        }
        Some(&found) => expected(1, "one of \"\\/bfnrtu after a backslash", found),
    }
}

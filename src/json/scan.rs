//! The state machine that knows JSON: it says where a value ends, what kind it is and what is special in it. It stops
//! where the available bytes end and continues from there when there are more, so a value that comes in pieces is scanned
//! only once.

use std::fmt;

use super::error::{Inside, JsonError, JsonFault};
use super::grammar::{Digits, GrammarState, JsonWord, escape_length};
use super::text::plain_run;

/// How deep a task's result may be nested (the contract's 1,000): `[]` is 1 deep, `[{}]` is 2. Most readers of JSON give
/// up long before. A record adds levels of its own around it.
pub const MAX_DEPTH: usize = 1_000;

/// What a value is. `NaN`, `Infinity` and `-Infinity` count as null, which they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are JSON's own")]
pub enum JsonKind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl JsonKind {
    /// What a valid value without whitespace in front is, such as [`Member::value`](super::Member::value).
    pub fn of(value: &[u8]) -> Self {
        match value {
            [b'{', ..] => Self::Object,
            [b'[', ..] => Self::Array,
            [b'"', ..] => Self::String,
            [b't' | b'f', ..] => Self::Bool,
            [b'-', b'0'..=b'9', ..] | [b'0'..=b'9', ..] => Self::Number,
            _ => Self::Null,
        }
    }
}

impl fmt::Display for JsonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Null => "null",
        })
    }
}

/// What [`scan_value`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// The byte after the value's last one.
    pub end: usize,
    /// How many `NaN`, `Infinity` and `-Infinity` are in it.
    pub non_finite: usize,
    /// Whether a raw newline or carriage return is in it (outside strings: within they are errors).
    pub line_breaks: bool,
    /// What the value is.
    pub kind: JsonKind,
}

/// Finds the end of the one value that begins at `start`, whitespace in front allowed; what follows it is not looked at.
///
/// # Errors
/// The text is not a value (offset from the beginning of `bytes`), or nests more than `max_depth` arrays and objects.
pub fn scan_value(bytes: &[u8], start: usize, max_depth: usize) -> Result<Scanned, JsonError> {
    let start = skip_whitespace(bytes, start.min(bytes.len()));
    let value = &bytes[start..];
    let mut machine = Scanner::new(max_depth);
    let found = match machine.scan(value) {
        Ok(None) => machine.finish(value),
        Ok(Some(scanned)) => Ok(scanned),
        Err(error) => Err(error),
    };
    found
        .map(|value| Scanned { end: start + value.end, ..value })
        .map_err(|error| error.shifted(start as u64))
}

/// The first byte from `at` on that is not JSON's whitespace.
pub(super) fn skip_whitespace(bytes: &[u8], at: usize) -> usize {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    at + bytes[at..].iter().take_while(|byte| blank(byte)).count()
}

/// The machine. It gets one value's text from its first byte, repeatedly with more of it, until it has seen all of it.
#[derive(Debug)]
pub(super) struct Scanner {
    state: GrammarState,
    /// How far into the value it came.
    at: usize,
    /// The arrays and objects it is in, outermost first.
    open: Vec<JsonContainer>,
    max_depth: usize,
    non_finite: usize,
    line_breaks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonContainer {
    Array,
    Object,
}

// Below, the functions that take a token return the state after it, and `None` where the bytes at hand do not suffice.
impl Scanner {
    pub(super) fn new(max_depth: usize) -> Self {
        let open = Vec::new();
        Self { state: GrammarState::Value, at: 0, open, max_depth, non_finite: 0, line_breaks: false }
    }

    /// Makes it ready for another value; memory is kept.
    pub(super) fn restart(&mut self) {
        self.open.clear();
        *self = Self { open: std::mem::take(&mut self.open), ..Self::new(self.max_depth) };
    }

    /// Continues in `value`, the text from the value's first byte: the earlier text with more at its end. `None`: the
    /// value may continue after the text. A number at the end of the text always may.
    pub(super) fn scan(&mut self, value: &[u8]) -> Result<Option<Scanned>, JsonError> {
        while self.state != GrammarState::Done {
            let next = match self.state {
                GrammarState::InKey | GrammarState::InString => self.string(value)?,
                GrammarState::InNumber(seen) => self.number(value, seen)?,
                GrammarState::InWord(word) => self.word(value, word)?,
                between => self.between(value, between)?,
            };
            let Some(next) = next else { return Ok(None) };
            self.state = self.onward(value, next);
        }
        Ok(Some(self.scanned(value, self.at)))
    }

    /// Takes at once what most often stands between a key, its value and the next key: [`Self::between`] takes it byte by
    /// byte, to the same end.
    fn onward(&mut self, value: &[u8], next: GrammarState) -> GrammarState {
        let (bytes, then) = match (next, value.get(self.at..).unwrap_or_default()) {
            (GrammarState::Colon, [b':', b' ', b'"', ..]) => (3, GrammarState::InString),
            (GrammarState::Colon, [b':', b'"', ..]) => (2, GrammarState::InString),
            (GrammarState::Colon, [b':', ..]) => (1, GrammarState::Value),
            (GrammarState::AfterMember, [b',', b' ', b'"', ..]) => (3, GrammarState::InKey),
            (GrammarState::AfterMember, [b',', b'"', ..]) => (2, GrammarState::InKey),
            _ => (0, next),
        };
        self.at += bytes;
        then
    }

    /// What it means that nothing comes after `value`, of which [`scan`](Self::scan) said that it may go on.
    pub(super) fn finish(&self, value: &[u8]) -> Result<Scanned, JsonError> {
        match self.state {
            GrammarState::InNumber(seen) if seen.may_end() && self.open.is_empty() => {
                Ok(self.scanned(value, value.len()))
            }
            _ => {
                let what = self.inside().map_or(JsonFault::Empty, |inside| JsonFault::Ends { inside });
                Err(JsonError::new(value.len(), what))
            }
        }
    }

    /// The innermost thing that is unfinished; `None` before the first byte.
    pub(super) fn inside(&self) -> Option<Inside> {
        match (self.state, self.open.last()) {
            (GrammarState::InKey | GrammarState::InString, _) => Some(Inside::String),
            (GrammarState::InNumber(_), _) => Some(Inside::Number),
            (GrammarState::InWord(word), _) => Some(Inside::Word(word.text())),
            (_, Some(JsonContainer::Array)) => Some(Inside::Array),
            (_, Some(JsonContainer::Object)) => Some(Inside::Object),
            (_, None) => None,
        }
    }

    fn scanned(&self, value: &[u8], end: usize) -> Scanned {
        let (non_finite, line_breaks) = (self.non_finite, self.line_breaks);
        Scanned { end, non_finite, line_breaks, kind: JsonKind::of(value) }
    }

    /// Takes whitespace and the one byte after it that opens, closes or separates.
    fn between(&mut self, value: &[u8], state: GrammarState) -> Result<Option<GrammarState>, JsonError> {
        let Some(byte) = self.after_whitespace(value) else { return Ok(None) };
        let next = match (state, byte) {
            (GrammarState::FirstElement | GrammarState::AfterElement, b']')
            | (GrammarState::FirstKey | GrammarState::AfterMember, b'}') => {
                self.open.pop();
                self.after_value()
            }
            (GrammarState::FirstKey | GrammarState::Key, b'"') => GrammarState::InKey,
            (GrammarState::AfterElement, b',') | (GrammarState::Colon, b':') => GrammarState::Value,
            (GrammarState::AfterMember, b',') => GrammarState::Key,
            (GrammarState::Value | GrammarState::FirstElement, byte) => self.begin(byte)?,
            (state, found) => return Err(self.expected(state.wanted(), found)),
        };
        // A word is compared as a whole, so its first byte is not taken yet.
        if !matches!(next, GrammarState::InWord(_)) {
            self.at += 1;
        }
        Ok(Some(next))
    }

    fn after_whitespace(&mut self, value: &[u8]) -> Option<u8> {
        loop {
            match *value.get(self.at)? {
                b' ' | b'\t' => {}
                b'\n' | b'\r' => self.line_breaks = true,
                byte => return Some(byte),
            }
            self.at += 1;
        }
    }

    /// The state after the first byte of a value.
    fn begin(&mut self, byte: u8) -> Result<GrammarState, JsonError> {
        Ok(match byte {
            b'"' => GrammarState::InString,
            b'{' => self.open(JsonContainer::Object, GrammarState::FirstKey)?,
            b'[' => self.open(JsonContainer::Array, GrammarState::FirstElement)?,
            b'-' => GrammarState::InNumber(Digits::Minus),
            b'0' => GrammarState::InNumber(Digits::Zero),
            b'1'..=b'9' => GrammarState::InNumber(Digits::Integer),
            b't' => GrammarState::InWord(JsonWord::True),
            b'f' => GrammarState::InWord(JsonWord::False),
            b'n' => GrammarState::InWord(JsonWord::Null),
            b'N' => GrammarState::InWord(JsonWord::NaN),
            b'I' => GrammarState::InWord(JsonWord::Infinity),
            found => return Err(self.expected(self.state.wanted(), found)),
        })
    }

    fn open(&mut self, container: JsonContainer, next: GrammarState) -> Result<GrammarState, JsonError> {
        if self.open.len() >= self.max_depth {
            return Err(JsonError::new(self.at, JsonFault::TooDeep { limit: self.max_depth }));
        }
        self.open.push(container);
        Ok(next)
    }

    fn after_value(&self) -> GrammarState {
        match self.open.last() {
            Some(JsonContainer::Array) => GrammarState::AfterElement,
            Some(JsonContainer::Object) => GrammarState::AfterMember,
            None => GrammarState::Done,
        }
    }

    /// Continues in a string's body, up to and including its closing quote.
    fn string(&mut self, value: &[u8]) -> Result<Option<GrammarState>, JsonError> {
        loop {
            let body = &value[self.at..];
            let (length, ascii) = plain_run(body);
            if !ascii && let Err(error) = std::str::from_utf8(&body[..length]) {
                self.at += error.valid_up_to();
                // A character that is cut off at the end of the available bytes may be complete next time.
                if error.error_len().is_none() && length == body.len() {
                    return Ok(None);
                }
                return Err(JsonError::new(self.at, JsonFault::NotUtf8));
            }
            self.at += length;
            match body.get(length) {
                None => return Ok(None),
                Some(b'"') => break,
                Some(b'\\') => match escape_length(&body[length..]) {
                    Ok(Some(length)) => self.at += length,
                    Ok(None) => return Ok(None),
                    Err(error) => return Err(error.shifted(self.at as u64)),
                },
                Some(&control) => return Err(JsonError::new(self.at, JsonFault::ControlCharacter(control))),
            }
        }
        self.at += 1;
        Ok(Some(if self.state == GrammarState::InKey { GrammarState::Colon } else { self.after_value() }))
    }

    /// Continues in a number, up to the first byte that does not belong to it.
    fn number(&mut self, value: &[u8], mut seen: Digits) -> Result<Option<GrammarState>, JsonError> {
        let mut at = self.at;
        let stop = loop {
            let Some(&byte) = value.get(at) else { break None };
            let Some(then) = seen.then(byte) else { break Some(byte) };
            seen = then;
            at += 1;
        };
        self.at = at;
        match stop {
            None => {
                self.state = GrammarState::InNumber(seen);
                Ok(None)
            }
            Some(_) if seen.may_end() => Ok(Some(self.after_value())),
            Some(b'I') if seen == Digits::Minus => {
                self.at -= 1;
                Ok(Some(GrammarState::InWord(JsonWord::MinusInfinity)))
            }
            Some(found) => Err(self.expected("a digit", found)),
        }
    }

    /// Compares all of a word; it is short enough to start again when more comes.
    fn word(&mut self, value: &[u8], word: JsonWord) -> Result<Option<GrammarState>, JsonError> {
        let (text, wanted) = (&value[self.at..], word.text());
        if text.starts_with(wanted.as_bytes()) {
            self.at += wanted.len();
            self.non_finite += usize::from(word.is_non_finite());
            return Ok(Some(self.after_value()));
        }
        let same = wanted.bytes().zip(text).take_while(|(wanted, found)| wanted == *found).count();
        match text.get(same) {
            None => Ok(None),
            Some(&found) => {
                self.at += same;
                Err(self.expected(wanted, found))
            }
        }
    }

    fn expected(&self, wanted: &'static str, found: u8) -> JsonError {
        JsonError::new(self.at, JsonFault::Expected { wanted, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(text: &str) -> Scanned {
        scan_value(text.as_bytes(), 0, 10).unwrap()
    }

    #[test]
    fn a_value_ends_where_it_ends_whatever_follows() {
        for (text, end, kind) in [
            (" {} x", 3, JsonKind::Object),
            ("[1, [2]]]", 8, JsonKind::Array),
            (r#""a\"b" "c""#, 6, JsonKind::String),
            ("-12.5e+3", 8, JsonKind::Number),
            ("0 1", 1, JsonKind::Number),
            ("0,", 1, JsonKind::Number),
            ("truefalse", 4, JsonKind::Bool),
            ("null", 4, JsonKind::Null),
            ("-Infinity", 9, JsonKind::Null),
        ] {
            let expected =
                Scanned { end, non_finite: usize::from(text.contains('I')), line_breaks: false, kind };
            assert_eq!(scanned(text), expected, "{text}");
        }
        assert_eq!(scan_value(b"[1,22]", 3, 0).unwrap().end, 5);
        assert_eq!(scan_value(b"1", 2, 0), Err(JsonError::new(1, JsonFault::Empty)));
    }

    #[test]
    fn line_breaks_count_within_the_value_and_outside_strings() {
        for (text, line_breaks) in [
            ("\n[1]\n", false),
            ("[1,\n2]", true),
            ("[\r]", true),
            ("[\t \"\\n\"]", false),
            ("{\"a\"\n:1}", true),
        ] {
            assert_eq!(scanned(text).line_breaks, line_breaks, "{text:?}");
        }
    }

    #[test]
    fn errors_say_what_had_to_come() {
        for (text, message) in [
            ("", "at byte 0: there is nothing: the text is empty"),
            ("nul", "at byte 3: the text ends in the middle of 'null'"),
            ("nuls", "at byte 3: expected null, found 's'"),
            ("-Inf", "at byte 4: the text ends in the middle of '-Infinity'"),
            ("-NaN", "at byte 1: expected a digit, found 'N'"),
            ("1.", "at byte 2: the text ends in the middle of a number"),
            ("[1", "at byte 2: the text ends in the middle of a number"),
            ("[1 ", "at byte 3: the text ends in the middle of an array"),
            ("[\"a", "at byte 3: the text ends in the middle of a string"),
            ("[{\"a\":", "at byte 6: the text ends in the middle of an object"),
            ("[1 2]", "at byte 3: expected ',' or ']', found '2'"),
            ("[1,]", "at byte 3: expected a value, found ']'"),
            ("[,", "at byte 1: expected a value or ']', found ','"),
            ("{1", "at byte 1: expected a key or '}', found '1'"),
            ("{\"a\" 1", "at byte 5: expected ':', found '1'"),
            ("{\"a\":1]", "at byte 6: expected ',' or '}', found ']'"),
            ("{\"a\":1,}", "at byte 7: expected a key, found '}'"),
            ("[01]", "at byte 2: expected ',' or ']', found '1'"),
            ("+1", "at byte 0: expected a value, found '+'"),
            ("\u{a0}1", "at byte 0: expected a value, found byte 0xc2"),
            (r#""\x""#, "at byte 2: expected one of \"\\/bfnrtu after a backslash, found 'x'"),
            (r#""\u00g0""#, "at byte 5: expected a hexadecimal digit, found 'g'"),
            (
                "\"a\u{1}",
                "at byte 2: a control character in a string: byte 0x01 has to be written as \\u0001",
            ),
        ] {
            assert_eq!(scan_value(text.as_bytes(), 0, 10).unwrap_err().to_string(), message, "{text:?}");
        }
        let at_the_bad_bytes = JsonError::new(2, JsonFault::NotUtf8);
        for text in [&b"\"a\xffb\""[..], b"\"a\xc3\"", b"\"a\xed\xa0\x80\"", b"\"a\xc3\n"] {
            assert_eq!(scan_value(text, 0, 0), Err(at_the_bad_bytes));
        }
        assert_eq!(
            scan_value(b"\"a\xc3", 0, 0),
            Err(JsonError::new(3, JsonFault::Ends { inside: Inside::String }))
        );
    }

    #[test]
    fn the_depth_limit_is_the_number_of_brackets_within_each_other() {
        assert!(scan_value(b"1", 0, 0).is_ok());
        assert!(scan_value(br#"[{"a":[]},[[]]]"#, 0, 3).is_ok());
        let too_deep = JsonError::new(3, JsonFault::TooDeep { limit: 2 });
        assert_eq!(scan_value(b" [[[", 0, 2), Err(too_deep));
    }

    #[test]
    fn ten_million_levels_need_no_stack() {
        const LEVELS: usize = 10_000_000;
        let text = ["[".repeat(LEVELS), "]".repeat(LEVELS)].concat();
        assert_eq!(scan_value(text.as_bytes(), 0, LEVELS).unwrap().end, 2 * LEVELS);
        assert!(scan_value(text.as_bytes(), 0, LEVELS - 1).is_err());
    }
}

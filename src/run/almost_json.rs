//! Text that was meant as JSON but is not valid: distinguished from log lines by its shape.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;

use crate::json::{self, BYTE_ORDER_MARK, JsonError, JsonFault, JsonKind, MAX_DEPTH};
use crate::run::json_shape::{Shape, begins_object, is_list_that_goes_on, is_meant};
use crate::units;

/// How many characters of a text are shown.
const SHOWN: usize = 100;

/// Why a text that was meant as JSON is invalid, with the text in printable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AlmostJson {
    text: String,
    flaw: Flaw,
}

/// What is wrong with a text that was meant as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Invalid(JsonError),
    /// It is JSON without what is around it.
    Wrapped(Wrapping),
    /// It is JSON on several lines, after others.
    SeveralLines,
    /// It is JSON of another kind than was asked for.
    Not(JsonKind),
    /// It continues in the next line.
    Unfinished,
}

/// What a text can have around it that a terminal does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapping {
    ByteOrderMark,
    Utf16,
    Escapes,
    /// Other text, which the carriage return behind it has a terminal write over.
    CarriageReturn,
}

impl fmt::Display for AlmostJson {
    /// Continues a sentence such as "standard output ends with what" or "the worker printed what".
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, flaw } = self;
        match flaw {
            Flaw::Invalid(error) => {
                write!(
                    out,
                    "looks like JSON but is not valid: `{text}` ({error}). In Python, use print(json.dumps(...))"
                )
            }
            Flaw::Wrapped(Wrapping::ByteOrderMark) => {
                write!(out, "is JSON after a byte order mark: `{text}`. Print it as UTF-8 without one")
            }
            Flaw::Wrapped(Wrapping::Utf16) => {
                write!(out, "is JSON in UTF-16: `{text}`. Print it as UTF-8")
            }
            Flaw::Wrapped(Wrapping::Escapes) => {
                write!(
                    out,
                    "is JSON inside terminal escape sequences (colours): `{text}`. Print it without them"
                )
            }
            Flaw::Wrapped(Wrapping::CarriageReturn) => {
                write!(
                    out,
                    "is JSON after other text and a carriage return: `{text}`. Print it on a line of its own"
                )
            }
            Flaw::SeveralLines => {
                write!(
                    out,
                    "is JSON on several lines after other text: `{text}`. Print it on one line: json.dumps(...) without indent"
                )
            }
            Flaw::Not(kind) => write!(out, "is JSON but not an object: `{text}` ({kind})"),
            Flaw::Unfinished => {
                write!(
                    out,
                    "looks like the beginning of JSON on several lines: `{text}`. Print it on one line: json.dumps(...) without indent"
                )
            }
        }
    }
}

impl AlmostJson {
    fn new(text: &[u8], flaw: Flaw) -> Self {
        Self { text: shown(text), flaw }
    }
}

/// A text for people: on one line, of bounded length, without what could move a cursor.
pub(super) fn shown(text: &[u8]) -> String {
    // A character has at most four bytes, and one more character shows that something is left out.
    let text = text.trim_ascii();
    let begin = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN + 4)]);
    let words = begin.split([' ', '\t', '\n']).filter(|word| !word.is_empty());
    let line = units::printable(&words.collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Why a text that is not JSON was probably meant as a JSON object or array; `None` for any other text.
pub(super) fn almost_json(text: &[u8]) -> Option<AlmostJson> {
    let (plain, wrapping) = unwrapped(text);
    let is_container = matches!(plain.first(), Some(b'{' | b'['));
    if !is_container {
        return None;
    }
    match (json::normalise(&plain, MAX_DEPTH), wrapping) {
        (Ok(_), Some(Wrapping::Utf16)) => Some(AlmostJson::new(&plain, Flaw::Wrapped(Wrapping::Utf16))),
        (Ok(_), Some(wrapping)) => Some(AlmostJson::new(text, Flaw::Wrapped(wrapping))),
        (Ok(_), None) => None,
        (Err(error), _) => is_meant(&plain).then(|| AlmostJson::new(&plain, Flaw::Invalid(error))),
    }
}

/// Why a line that is not a JSON object was probably meant as one, or as the beginning of one.
pub(super) fn almost_object(line: &[u8]) -> Option<AlmostJson> {
    if let Some(almost) = almost_json(line) {
        return Some(almost);
    }
    let text = line.trim_ascii();
    match json::normalise(text, MAX_DEPTH) {
        Ok(normal) if normal.kind == JsonKind::Object => None,
        Ok(normal) => Some(AlmostJson::new(text, Flaw::Not(normal.kind))),
        Err(JsonError { what: JsonFault::TooDeep { .. }, .. }) => None,
        Err(error) if begins_object(text) => {
            let goes_on = matches!(error.what, JsonFault::Ends { .. }) || text.ends_with(b",");
            let flaw = if goes_on { Flaw::Unfinished } else { Flaw::Invalid(error) };
            Some(AlmostJson::new(text, flaw))
        }
        Err(_) if matches!(text, b"{" | b"[") || is_list_that_goes_on(text) => {
            Some(AlmostJson::new(text, Flaw::Unfinished))
        }
        Err(_) => None,
    }
}

/// The JSON, or what was meant as such, that a text ends with and that takes several lines.
pub(super) fn at_end_of(text: &[u8]) -> Option<AlmostJson> {
    let (plain, wrapping) = without_escapes(text.trim_ascii_end());
    if !matches!(plain.last(), Some(b'}' | b']')) {
        return None;
    }
    // Lines that begin like JSON may be many, and each may seem to go on to the end.
    let mut budget = plain.len().saturating_mul(4);
    let line_breaks = memchr::memrchr_iter(b'\n', &plain).skip_while(|at| at + 2 >= plain.len());
    for begin in line_breaks.map(|at| at + 1) {
        if !matches!(plain[begin], b'{' | b'[') {
            continue;
        }
        let document = &plain[begin..];
        if memchr::memchr(b'\n', document).is_some() {
            match json::normalise(document, MAX_DEPTH) {
                Ok(_) => {
                    let flaw = wrapping.map_or(Flaw::SeveralLines, Flaw::Wrapped);
                    return Some(AlmostJson::new(document, flaw));
                }
                Err(error) => {
                    if is_meant(document) {
                        return Some(AlmostJson::new(document, Flaw::Invalid(error)));
                    }
                    budget = budget.checked_sub(usize::try_from(error.offset).unwrap_or(usize::MAX))?;
                }
            }
            budget = budget.checked_sub(Shape::of(document).read)?;
        }
    }
    None
}

/// A text without what a terminal does not show of it, and what of that there was.
fn unwrapped(text: &[u8]) -> (Cow<'_, [u8]>, Option<Wrapping>) {
    if let Some(text) = from_utf16(text) {
        return (Cow::Owned(text.trim().as_bytes().to_vec()), Some(Wrapping::Utf16));
    }
    let text = text.trim_ascii();
    if let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK) {
        return (without_escapes(rest.trim_ascii()).0, Some(Wrapping::ByteOrderMark));
    }
    let (plain, wrapping) = without_escapes(text);
    let is_line = memchr::memchr(b'\n', &plain).is_none();
    match memchr::memrchr(b'\r', &plain).filter(|_| is_line) {
        // Between the parts of a document it is as good as a blank.
        Some(at) if !matches!(plain.first(), Some(b'{' | b'[')) => {
            (Cow::Owned(plain[at + 1..].trim_ascii().to_vec()), Some(Wrapping::CarriageReturn))
        }
        _ => (plain, wrapping),
    }
}

/// A text in UTF-16 that begins like JSON.
fn from_utf16(text: &[u8]) -> Option<String> {
    let (rest, is_little) = match text {
        [0xff, 0xfe, rest @ ..] => (rest, true),
        [0xfe, 0xff, rest @ ..] => (rest, false),
        [b'{' | b'[', 0, ..] => (text, true),
        [0, b'{' | b'[', ..] => (text, false),
        _ => return None,
    };
    let unit = |pair: [u8; 2]| if is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) };
    let units = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    Some(String::from_utf16_lossy(&units.collect::<Vec<_>>()))
}

/// A text without ANSI escape sequences.
fn without_escapes(text: &[u8]) -> (Cow<'_, [u8]>, Option<Wrapping>) {
    const ESCAPE: u8 = 0x1b;
    if memchr::memchr(ESCAPE, text).is_none() {
        return (Cow::Borrowed(text), None);
    }
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = memchr::memchr(ESCAPE, rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let length = match rest {
            // Parameters, then one letter.
            [b'[', parameters @ ..] => {
                let end = parameters.iter().position(|byte| matches!(byte, b'@'..=b'~'));
                end.map_or(rest.len(), |end| end + 2)
            }
            // A title or a link, up to a bell or the sequence that ends it, of which the backslash goes with the next escape.
            [b']', ..] => rest
                .iter()
                .position(|byte| matches!(*byte, 7 | ESCAPE))
                .map_or(rest.len(), |end| end + usize::from(rest[end] == 7)),
            [b'(' | b')', _, ..] => 2,
            [_, ..] => 1,
            [] => 0,
        };
        rest = &rest[length..];
    }
    plain.extend_from_slice(rest);
    let begin = plain.len() - plain.trim_ascii_start().len();
    let end = plain.trim_ascii_end().len().max(begin);
    (Cow::Owned(plain[begin..end].to_vec()), Some(Wrapping::Escapes))
}

/// How many lines of a text are JSON objects or arrays, each by itself.
pub(super) fn json_lines(text: &[u8]) -> u64 {
    // Most output has none, and no such bracket either.
    if memmem::find(text, b"{").is_none() && memmem::find(text, b"[").is_none() {
        return 0;
    }
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let is_json = |line: &&[u8]| {
        matches!(line.first(), Some(b'{' | b'['))
            && matches!(line.last(), Some(b'}' | b']'))
            && json::normalise(line, MAX_DEPTH).is_ok()
    };
    lines.filter(is_json).count() as u64
}

#[cfg(test)]
mod tests {
    use super::{almost_json, almost_object, at_end_of, json_lines, shown};

    const MEANT: [&[u8]; 27] = [
        b"{\"flux\": nan}",
        b"{'flux': 1}",
        b"{'flux': \"it's\", 'b': (1, 2)}",
        b"{\"flux\": 1,}",
        b"{\"flux\": True}",
        b"{\"flux\": 1.}",
        b"{flux: 1}",
        b"{1: 2}",
        b"{np.str_('a'): 1}",
        b"{\"a\": \"\xff\"}",
        b"{\"a\": 1}}",
        b"{\"a\": 1} {\"b\": 2}",
        b"{\"a\": 1}{\"b\": 2}",
        b"{\n 'a': 1,\n 'b': 2}\n",
        b"{'n'}",
        b"[1, nan]",
        b"['a']",
        b"[None, -inf]",
        b"[1, 2,]",
        b"[{'a': 1}]",
        b"[(1, 'a'), np.float64(2.0), [1.]]",
        b"\xef\xbb\xbf{\"flux\": 1}",
        b"\x1b[32m{\"flux\": 1}\x1b[0m",
        b"\x1b]0;title\x07{\"flux\": 1}",
        b"50%\r{\"a\":1}",
        b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0\n\0",
        b"{\0\"\0a\0\"\0:\x001\0}\0",
    ];

    const LOG: [&[u8]; 22] = [
        b"",
        b"Done.",
        b"[INFO] done",
        b"[2026-11-28 12:00:01] ok",
        b"[2026-11-28 12:00:01]",
        b"[12:00:01]",
        b"[INFO]",
        b"[1/3]",
        b"[ 50%]",
        b"[INFO] {'a': 1}",
        b"[1 2 3]",
        b"[a, b]",
        b"{INFO}",
        b"{main} started {worker}",
        b"{main}: {worker}",
        b"{\"a\": 1}: done {x}",
        b"NaN",
        b"nan",
        b"42",
        b"result: {\"a\": 1}",
        b"{\"a\": 1} trailing",
        b"{\"a\": 1}",
    ];

    #[test]
    fn what_was_meant_as_json_is_told_from_log_lines() {
        for text in MEANT {
            assert!(almost_json(text).is_some(), "{}", shown(text));
        }
        for text in LOG {
            assert_eq!(almost_json(text), None, "{}", shown(text));
        }
    }

    #[test]
    fn a_line_of_a_worker_may_also_be_other_json_or_the_beginning_of_some() {
        for line in MEANT {
            assert!(almost_object(line).is_some(), "{}", shown(line));
        }
        for line in
            ["[1]", "1", "\"a\"", "null", "{", "[", "{'a': 1,", "{\"a\": 1", "{\"a\": 1} x", "[1,", "{a: 1,"]
        {
            assert!(almost_object(line.as_bytes()).is_some(), "{line}");
        }
        for line in ["", "hello", "[INFO] loaded", "[12:00:01] ok", "x {\"n\": 1}", "{INFO}", "{ready", "[a,"]
        {
            assert_eq!(almost_object(line.as_bytes()), None, "{line}");
        }
        assert_eq!(almost_object(b" {\"a\": 1}\r"), None);
    }

    #[test]
    fn a_document_of_several_lines_is_found_behind_others() {
        for text in [
            "log\n{\n \"flux\": 1\n}\n",
            "log\n[\n{\"a\": 1},\n{\"a\": 2}\n]",
            "{\"a\": 1}\n{\n\"b\": 1\n}",
            "log\n{\n \"flux\": nan\n}",
            "log\n{'flux': 1,\n 'b': 2}",
            "[INFO] x\n\x1b[1m{\n \"a\": 1\n}\x1b[0m",
        ] {
            assert!(at_end_of(text.as_bytes()).is_some(), "{text}");
        }
        for text in
            ["log\n{\n \"flux\": 1\n}\nlog", "{\n \"flux\": 1\n}", "if x\n{\n y\n}", "log\n[INFO]\n[x]"]
        {
            assert_eq!(at_end_of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn looking_for_a_document_takes_no_longer_the_more_lines_may_begin_one() {
        let lines = "[\n".repeat(200_000) + "x]";
        let begun = std::time::Instant::now();
        assert_eq!(at_end_of(lines.as_bytes()), None);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    #[test]
    fn lines_of_json_are_counted() {
        assert_eq!(json_lines(b"{\"a\": 1}\n[2]\r\nlog\n[INFO]\n{'a'}\n3\n"), 2);
        assert_eq!(json_lines(b"log\n"), 0);
    }

    #[test]
    fn what_is_shown_is_one_short_line() {
        assert_eq!(shown(b"{\n  \"a\":\t1\x1b\n}\n"), "{ \"a\": 1\\u{1b} }");
        assert_eq!(shown(&vec![b'x'; 1 << 20]).chars().count(), 101);
    }
}

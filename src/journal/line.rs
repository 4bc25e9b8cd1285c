//! One line of a journal, read: in the quick ways that lines as we write them allow, else as any JSON.

use std::borrow::Cow;

use memchr::memmem::Finder;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::journal::writer::{self, RecordSpan, is_check_of};
use crate::json;
use crate::model::outcome::{Cause, Status};

/// What stands before the checksum of an `end` line.
const CHECK: &[u8] = b",\"check\":\"";

/// One line of a journal, as far as every reader needs it.
#[derive(Debug)]
pub struct ReadLine<'a> {
    /// Its members.
    pub members: Members<'a>,
    /// All of it.
    pub text: &'a [u8],
    /// For `end`, where the record lies in the journal.
    pub record: Option<RecordSpan>,
}

/// The members of a line but for the record.
#[derive(Debug, Default, Deserialize)]
pub struct Members<'a> {
    /// Major version.
    pub v: u32,
    /// Run id.
    #[serde(borrow)]
    pub run: Cow<'a, str>,
    /// The kind of event.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// The task it is about.
    pub index: Option<u64>,
    /// For `start`.
    pub alone: Option<bool>,
    /// For `end`; `None` for a word of a later version.
    #[serde(default, deserialize_with = "known_or_none")]
    pub status: Option<Status>,
    /// For `end` and `attempt`.
    pub cause: Option<Cause>,
    /// For `end`: whether its record takes the place of a failure's.
    #[serde(default)]
    pub replaces: bool,
    /// For `end`: whether it is ok and has no result, although one was expected.
    #[serde(default)]
    pub no_result: bool,
    /// For `attempt`: memory of its largest process, bytes.
    pub max_rss_bytes: Option<u64>,
    /// For `attempt`: memory of all its processes together, bytes.
    pub tree_bytes: Option<u64>,
    #[serde(borrow)]
    check: Option<Cow<'a, str>>,
    #[serde(borrow)]
    record: Option<&'a RawValue>,
}

/// A status, if it is one of those that this version knows: the rest of the line still counts.
fn known_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    /// Borrowed where it can be, which an `Option` of what is within is not.
    #[derive(Deserialize)]
    struct Word<'a>(#[serde(borrow)] Cow<'a, str>);
    let word = Option::<Word<'de>>::deserialize(deserializer)?;
    Ok(word.and_then(|word| status_of(&word.0)))
}

fn status_of(word: &str) -> Option<Status> {
    Status::deserialize(StrDeserializer::<serde::de::value::Error>::new(word)).ok()
}

/// Reads lines.
#[derive(Debug)]
pub(super) struct LineReader(Finder<'static>);

impl LineReader {
    pub(super) fn new() -> Self {
        Self(Finder::new(CHECK))
    }

    /// A line that begins at `offset` of its journal.
    ///
    /// # Errors
    /// Why it is not what a journal holds.
    pub(super) fn read<'a>(&self, line: &'a [u8], offset: u64) -> Result<ReadLine<'a>, String> {
        let known = parse_end(line, offset, &self.0).or_else(|| parse_plain(line));
        known.map_or_else(|| parse(line, offset), Ok)
    }
}

/// An `end` line whose checksum says that it is what was written, so that nothing else of it has to be checked; `None` for
/// any other line.
// Most of a journal are records: not to look at them again is three times as fast.
fn parse_end<'a>(line: &'a [u8], offset: u64, check: &Finder<'_>) -> Option<ReadLine<'a>> {
    let (head, rest) = line.split_at(check.find(line)?);
    let rest = rest.strip_prefix(CHECK)?;
    let (check, rest) = rest.split_at_checked(writer::CHECK)?;
    let record = rest.strip_prefix(b"\",\"record\":")?.strip_suffix(b"}\n")?;
    if !is_check_of(check, head, record) {
        return None;
    }
    let members = members_of(head).filter(|members| members.event == "end" && members.v > 0)?;
    let at = line.len() - record.len() - b"}\n".len();
    Some(ReadLine { members, text: line, record: Some(span(record, offset + at as u64)) })
}

fn span(record: &[u8], offset: u64) -> RecordSpan {
    RecordSpan { offset, bytes: u32::try_from(record.len()).unwrap_or(u32::MAX) }
}

/// The members of a line that is as it was written; `None` where they are not what a line has.
fn members_of(head: &[u8]) -> Option<Members<'_>> {
    let mut members = Members::default();
    json::members(head).try_for_each(|member| members.set(member.key, member.value).map(drop))?;
    Some(members)
}

/// A line without a record whose members are all plain, as most are; `None` for any other one, and for one that is not as
/// it should be: [`parse`] tells why.
fn parse_plain(line: &[u8]) -> Option<ReadLine<'_>> {
    let (mut members, mut seen) = (Members::default(), 0);
    let mut rest = line.strip_prefix(b"{")?;
    loop {
        let (key, after) = plain_string(rest)?;
        let (value, after) = plain_value(after.strip_prefix(b":")?)?;
        let bit = members.set(key, value)?;
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        match after {
            b"}\n" => break,
            [b',', after @ ..] => rest = after,
            _ => return None,
        }
    }
    let is_whole = seen & NEEDED == NEEDED && members.event != "end";
    is_whole.then_some(ReadLine { members, text: line, record: None })
}

/// A string of nothing but visible ASCII without escapes, with its quotes, and what follows it.
fn plain_string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = text.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', body)?;
    let is_plain = body[..end].iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\');
    is_plain.then(|| text.split_at(end + 2))
}

/// A plain string, a number without an exponent, or a word, and what follows it.
fn plain_value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.starts_with(b"\"") {
        return plain_string(text);
    }
    let end = text.iter().position(|byte| matches!(byte, b',' | b'}'))?;
    let (value, rest) = text.split_at(end);
    (matches!(value, b"null" | b"true" | b"false") || is_plain_number(value)).then_some((value, rest))
}

fn is_plain_number(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"-").unwrap_or(value);
    let point = value.iter().position(|byte| *byte == b'.').unwrap_or(value.len());
    let (whole, fraction) = value.split_at(point);
    let are_digits = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    are_digits(whole)
        && (whole.len() == 1 || whole[0] != b'0')
        && (fraction.is_empty() || are_digits(&fraction[1..]))
}

/// The bits of the members that every line has: `v`, `run` and `event`.
const NEEDED: u32 = 0b111;

impl<'a> Members<'a> {
    /// Takes in a member; gives a bit that is its own, none for one that is not known, and `None` where its value is not what
    /// it has to be, or it is for `end` lines only.
    fn set(&mut self, key: &[u8], value: &'a [u8]) -> Option<u32> {
        Some(match key {
            b"\"v\"" => {
                self.v = serde_json::from_slice(value).ok()?;
                1
            }
            b"\"run\"" => {
                self.run = plain_text(value)?;
                1 << 1
            }
            b"\"event\"" => {
                self.event = plain_text(value)?;
                1 << 2
            }
            b"\"index\"" => {
                self.index = serde_json::from_slice(value).ok()?;
                1 << 3
            }
            b"\"alone\"" => {
                self.alone = serde_json::from_slice(value).ok()?;
                1 << 4
            }
            b"\"status\"" => {
                self.status = status_of(&plain_text(value)?);
                1 << 5
            }
            b"\"cause\"" => {
                self.cause = serde_json::from_slice(value).ok()?;
                1 << 6
            }
            b"\"max_rss_bytes\"" => {
                self.max_rss_bytes = serde_json::from_slice(value).ok()?;
                1 << 7
            }
            b"\"tree_bytes\"" => {
                self.tree_bytes = serde_json::from_slice(value).ok()?;
                1 << 8
            }
            b"\"replaces\"" => {
                self.replaces = serde_json::from_slice(value).ok()?;
                1 << 9
            }
            b"\"no_result\"" => {
                self.no_result = serde_json::from_slice(value).ok()?;
                1 << 10
            }
            b"\"check\"" | b"\"record\"" => return None,
            _ => 0,
        })
    }
}

/// The text of a JSON string without escapes.
fn plain_text(value: &[u8]) -> Option<Cow<'_, str>> {
    let text = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let text = std::str::from_utf8(text).ok().filter(|text| !text.contains('\\'))?;
    Some(Cow::Borrowed(text))
}

/// Any line.
pub(super) fn parse(line: &[u8], offset: u64) -> Result<ReadLine<'_>, String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let members: Members<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if !is_intact(&members, text) {
        return Err("it does not have the checksum that it was written with".to_owned());
    }
    let record = members
        .record
        .map(|record| span(record.get().as_bytes(), offset + start_within(record.get(), text) as u64));
    Ok(ReadLine { members, text: line, record })
}

/// Whether a line is what was written, as far as it can tell.
fn is_intact(line: &Members<'_>, text: &str) -> bool {
    if line.event != "end" {
        return true;
    }
    let (Some(check), Some(record)) = (&line.check, line.record.map(RawValue::get)) else { return false };
    let head = text[..start_within(record, text)].strip_suffix(&writer::before_record(check));
    head.is_some_and(|head| is_check_of(check.as_bytes(), head.as_bytes(), record.as_bytes()))
}

/// Where a part of a text begins in it.
fn start_within(part: &str, text: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

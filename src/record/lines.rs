//! The lines of a journal, read: blocks of whole lines, of which several threads read a part each; they are given on in
//! order.

use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::Context;
use memchr::memmem::Finder;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json;
use crate::outcome::{Cause, Status};
use crate::record::journal::{self, Span, is_check_of};
use crate::record::regular;
use crate::threads::Crew;

/// How much is read at a time: the cost of handing it to threads is then nothing, and what they make of it takes as much
/// memory again.
const BLOCK: usize = 512 * 1024;

/// Parts of a block: more than threads, since they are not done at the same time.
const PARTS: usize = 16;

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
    pub record: Option<Span>,
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

/// A line that is not what a journal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Where it begins, bytes.
    pub offset: u64,
    /// Why it can't be read.
    pub why: String,
}

/// Reads a journal line by line. Lines that do not parse are skipped and returned; a torn last one is among them.
///
/// # Errors
/// When the file can't be read, or a line is of another major version.
pub fn read(path: &Path, mut take: impl FnMut(&ReadLine<'_>)) -> anyhow::Result<Vec<BadLine>> {
    let file = regular::open(path).with_context(|| format!("can't open the journal {}", path.display()))?;
    let mut blocks = Blocks { file, buffer: Vec::new(), filled: 0, given: 0, before: 0 };
    let mut bad = Vec::new();
    let mut crew = None;
    while let Some((block, offset)) =
        blocks.next().with_context(|| format!("can't read the journal {}", path.display()))?
    {
        // A journal of half a block is not worth a thread.
        let lines = match &crew {
            None if block.len() < BLOCK / 2 => vec![parse_part((block, offset))],
            _ => crew.get_or_insert_with(Crew::gather).map(parts(block, offset), parse_part),
        };
        for line in lines.into_iter().flatten() {
            match line {
                Ok((line, offset)) => {
                    journal::refuse_other_version(path, line.members.v, offset)?;
                    take(&line);
                }
                Err(line) => bad.push(line),
            }
        }
    }
    Ok(bad)
}

/// A file in blocks of whole lines; the last one may lack its end.
struct Blocks {
    file: File,
    buffer: Vec<u8>,
    /// The end of what has been read into the buffer.
    filled: usize,
    /// Of that, what was given on.
    given: usize,
    /// How many bytes of the file were in front of the buffer's first one.
    before: u64,
}

impl Blocks {
    /// The next block and where in the file it begins.
    fn next(&mut self) -> std::io::Result<Option<(&[u8], u64)>> {
        self.before += self.given as u64;
        self.buffer.copy_within(self.given..self.filled, 0);
        self.filled -= self.given;
        let mut searched = 0;
        loop {
            let is_over = self.fill()?;
            let whole = memchr::memrchr(b'\n', &self.buffer[searched..self.filled]);
            self.given = match whole {
                Some(at) => searched + at + 1,
                None if is_over => self.filled,
                None => 0,
            };
            if self.given > 0 || is_over {
                let block = &self.buffer[..self.given];
                return Ok((!block.is_empty()).then_some((block, self.before)));
            }
            searched = self.filled;
        }
    }

    /// Fills the buffer, which is larger afterwards where it was full of a single line; whether the file is over.
    fn fill(&mut self) -> std::io::Result<bool> {
        if self.filled == self.buffer.len() {
            self.buffer.resize((self.filled * 2).max(BLOCK), 0);
        }
        while self.filled < self.buffer.len() {
            match self.file.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(true),
                Ok(bytes) => self.filled += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// A block's parts, each of whole lines, with where in the file they begin.
fn parts(block: &[u8], offset: u64) -> Vec<(&[u8], u64)> {
    let mut parts = Vec::with_capacity(PARTS);
    let mut begin = 0;
    while begin < block.len() {
        let about = block.len().min(begin + block.len() / PARTS);
        let end = memchr::memchr(b'\n', &block[about..]).map_or(block.len(), |at| about + at + 1);
        parts.push((&block[begin..end], offset + begin as u64));
        begin = end;
    }
    parts
}

/// A line with where it begins.
type Parsed<'a> = Result<(ReadLine<'a>, u64), BadLine>;

fn parse_part((part, mut offset): (&[u8], u64)) -> Vec<Parsed<'_>> {
    let check = Finder::new(CHECK);
    let mut lines = Vec::new();
    let mut rest = part;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let line;
        (line, rest) = rest.split_at(end);
        if !line.trim_ascii().is_empty() {
            let parsed = parse_end(line, offset, &check).map_or_else(|| parse(line, offset), Ok);
            lines.push(parsed.map(|line| (line, offset)).map_err(|why| BadLine { offset, why }));
        }
        offset += line.len() as u64;
    }
    lines
}

/// An `end` line whose checksum says that it is what was written, so that nothing else of it has to be checked; `None` for
/// any other line.
// Most of a journal are records: not to look at them again is three times as fast.
fn parse_end<'a>(line: &'a [u8], offset: u64, check: &Finder<'_>) -> Option<ReadLine<'a>> {
    let (head, rest) = line.split_at(check.find(line)?);
    let rest = rest.strip_prefix(CHECK)?;
    let (check, rest) = rest.split_at_checked(journal::CHECK)?;
    let record = rest.strip_prefix(b"\",\"record\":")?.strip_suffix(b"}\n")?;
    if !is_check_of(check, head, record) {
        return None;
    }
    let members = members_of(head).filter(|members| members.event == "end" && members.v > 0)?;
    let at = line.len() - record.len() - b"}\n".len();
    Some(ReadLine { members, text: line, record: Some(span(record, offset + at as u64)) })
}

fn span(record: &[u8], offset: u64) -> Span {
    Span { offset, bytes: u32::try_from(record.len()).unwrap_or(u32::MAX) }
}

/// The members of a line that is as it was written; `None` where they are not what a line has.
fn members_of(head: &[u8]) -> Option<Members<'_>> {
    let mut members = Members::default();
    for json::Member { key, value, .. } in json::members(head) {
        match key {
            b"\"v\"" => members.v = serde_json::from_slice(value).ok()?,
            b"\"run\"" => members.run = plain_text(value)?,
            b"\"event\"" => members.event = plain_text(value)?,
            b"\"index\"" => members.index = serde_json::from_slice(value).ok()?,
            b"\"status\"" => members.status = status_of(&plain_text(value)?),
            b"\"cause\"" => members.cause = serde_json::from_slice(value).ok()?,
            _ => {}
        }
    }
    Some(members)
}

/// The text of a JSON string without escapes.
fn plain_text(value: &[u8]) -> Option<Cow<'_, str>> {
    let text = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let text = std::str::from_utf8(text).ok().filter(|text| !text.contains('\\'))?;
    Some(Cow::Borrowed(text))
}

fn parse(line: &[u8], offset: u64) -> Result<ReadLine<'_>, String> {
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
    let head = text[..start_within(record, text)].strip_suffix(&journal::before_record(check));
    head.is_some_and(|head| is_check_of(check.as_bytes(), head.as_bytes(), record.as_bytes()))
}

/// Where a part of a text begins in it.
fn start_within(part: &str, text: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, BadLine, ReadLine, parse, read};
    use crate::event::{AttemptBegun, Event, TaskEnded};
    use crate::outcome::{Cause, Status};
    use crate::record::journal::Journal;

    /// What a reader learns of a line.
    fn told(line: &ReadLine<'_>) -> String {
        let ReadLine { members, text, record } = line;
        let (run, event, index) = (&members.run, &members.event, members.index);
        let ended = (members.status, members.cause, members.alone, record);
        format!("{run} {event} {index:?} {ended:?} {}", blake3::hash(text))
    }

    fn written(path: &std::path::Path) -> Vec<u8> {
        let mut journal = Journal::create(path, "run", 1).unwrap();
        for index in 0..12_000 {
            journal.add(&Event::Start(AttemptBegun { index, attempt: 1, slot: 1, alone: index % 2 == 0 }));
            let (status, cause) = match index % 3 {
                0 => (Status::Failed, Some(Cause::Exit)),
                _ => (Status::Ok, None),
            };
            let long = if index == 5000 { 3 * BLOCK } else { 30 };
            let record = format!("{{\"s\":\"\\\\\\\",\\\"check\\\":{}\"}}", "x".repeat(long));
            journal.add_end(TaskEnded { index, status, cause }, record.as_bytes());
        }
        journal.commit().unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn a_long_journal_is_told_as_one_that_is_read_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.1.jsonl");
        let mut text = written(&path);
        assert!(text.len() > 5 * BLOCK);
        for place in (0..text.len()).step_by(4999) {
            text[place] = b"x\n\"}\xff"[place % 5];
        }
        text.truncate(text.len() - 20);
        std::fs::write(&path, &text).unwrap();
        let (mut lines, mut bad, mut offset) = (Vec::new(), Vec::new(), 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match parse(line, offset) {
                _ if line.trim_ascii().is_empty() => {}
                Ok(line) => lines.push(told(&line)),
                Err(why) => bad.push(BadLine { offset, why }),
            }
            offset += line.len() as u64;
        }
        assert!(lines.len() > 10_000 && bad.len() > 100);
        let mut read_lines = Vec::new();
        assert!(read(&path, |line| read_lines.push(told(line))).unwrap() == bad);
        assert!(read_lines == lines);
    }
}

//! Reads the lines of a journal: blocks of whole lines, parsed by several threads and delivered in
//! order.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, ensure};

use crate::exit_code::CannotGoOn;
use crate::journal::line::{JournalLine, LineReader};
use crate::journal::writer;
use crate::store::regular;
use crate::threads::CpuPool;

/// How much is read at a time: the cost of handing it to threads is then nothing, and what they make of it takes as much
/// memory again.
const BLOCK: usize = 512 * 1024;

/// Parts of a block: more than threads, since they are not done at the same time.
const PARTS: usize = 16;

/// Most lines are longer than this.
const SHORT: usize = 128;

/// A line that is not what a journal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Where it begins, bytes.
    pub offset: u64,
    /// Why it can't be read.
    pub why: String,
}

/// Journals may be long: reading one ended early because this process is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped while reading journals")]
pub struct ReadingStopped;

/// Reads a journal line by line, as long as `keep_going` says so, which is asked for each block. Lines that do not parse are
/// skipped and returned; a torn last one is among them.
///
/// # Errors
/// [`ReadingStopped`], or when the file can't be read or a line is of another major version.
pub fn read(
    path: &Path,
    keep_going: &dyn Fn() -> bool,
    mut take: impl FnMut(&JournalLine<'_>),
) -> anyhow::Result<Vec<BadLine>> {
    let file = regular::open(path)
        .with_context(|| CannotGoOn(format!("can't open the journal {}", path.display())))?;
    let mut blocks = LineBlocks { file, buffer: Vec::new(), filled: 0, given: 0, before: 0 };
    let mut bad = Vec::new();
    let mut crew = None;
    while let Some((block, offset)) =
        blocks.next().with_context(|| CannotGoOn(format!("can't read the journal {}", path.display())))?
    {
        ensure!(keep_going(), ReadingStopped);
        // A journal of half a block is not worth a thread.
        let lines = match &crew {
            None if block.len() < BLOCK / 2 => vec![parse_part((block, offset))],
            _ => crew.get_or_insert_with(CpuPool::gather).map(parts(block, offset), parse_part),
        };
        for line in lines.into_iter().flatten() {
            match line {
                Ok((line, offset)) => {
                    writer::refuse_other_version(path, line.v, offset)?;
                    take(&line);
                }
                Err(line) => bad.push(line),
            }
        }
    }
    Ok(bad)
}

/// A file in blocks of whole lines; the last one may lack its end.
struct LineBlocks {
    file: File,
    buffer: Vec<u8>,
    /// The end of what has been read into the buffer.
    filled: usize,
    /// Of that, what was given on.
    given: usize,
    /// How many bytes of the file were in front of the buffer's first one.
    before: u64,
}

impl LineBlocks {
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
pub(super) type Parsed<'a> = Result<(JournalLine<'a>, u64), BadLine>;

/// Of a part of a journal that begins at a line's first byte; its own place in the file comes second.
pub(super) fn parse_part((part, mut offset): (&[u8], u64)) -> Vec<Parsed<'_>> {
    let reader = LineReader::new();
    let mut lines = Vec::with_capacity(part.len() / SHORT);
    let mut rest = part;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let line;
        (line, rest) = rest.split_at(end);
        if !line.trim_ascii().is_empty() {
            let parsed = reader.read(line, offset);
            lines.push(parsed.map(|line| (line, offset)).map_err(|why| BadLine { offset, why }));
        }
        offset += line.len() as u64;
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{BLOCK, BadLine, ReadingStopped, read};
    use crate::journal::event::{AttemptBegun, AttemptEnded, Event, LaunchProgress, TaskEnded};
    use crate::journal::line::LineReader;
    use crate::journal::writer::JournalWriter;
    use crate::model::outcome::{Cause, Status};

    fn written(path: &std::path::Path) -> Vec<u8> {
        let mut journal = JournalWriter::create(path, "run", 1).unwrap();
        for index in 0..12_000 {
            journal.add(&Event::Start(AttemptBegun { index, attempt: 1, slot: 1, alone: index % 2 == 0 }));
            let (status, cause) = match index % 3 {
                0 => (Status::Failed, Some(Cause::Exit)),
                _ => (Status::Ok, None),
            };
            journal.add(&Event::Attempt(AttemptEnded {
                index,
                attempt: 1,
                status: Some(status),
                cause,
                max_rss_bytes: Some(index),
                tree_bytes: (index % 5 == 0).then_some(index),
                ..AttemptEnded::default()
            }));
            journal.add(&Event::Alive(LaunchProgress::default()));
            let long = if index == 5000 { 3 * BLOCK } else { 30 };
            let record = format!("{{\"s\":\"\\\\\\\",\\\"check\\\":{}\"}}", "x".repeat(long));
            journal.add_end(
                TaskEnded { index, status: Some(status), cause, ..TaskEnded::default() },
                record.as_bytes(),
            );
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
        let parser = LineReader::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match parser.read(line, offset) {
                _ if line.trim_ascii().is_empty() => {}
                Ok(line) => lines.push(format!("{line:?}")),
                Err(why) => bad.push(BadLine { offset, why }),
            }
            offset += line.len() as u64;
        }
        assert!(lines.len() > 10_000 && bad.len() > 100);
        let mut read_lines = Vec::new();
        assert!(read(&path, &|| true, |line| read_lines.push(format!("{line:?}"))).unwrap() == bad);
        assert!(read_lines == lines);
    }

    #[test]
    fn reading_ends_between_blocks_when_it_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.1.jsonl");
        let all = written(&path).split_inclusive(|byte| *byte == b'\n').count();
        let (blocks, lines) = (Cell::new(0), Cell::new(0));
        let keep_going = || blocks.replace(blocks.get() + 1) < 2;
        let error = read(&path, &keep_going, |_| lines.set(lines.get() + 1)).unwrap_err();
        assert!(error.is::<ReadingStopped>(), "{error:#}");
        assert!(blocks.get() == 3 && (1..all).contains(&lines.get()), "{} of {all}", lines.get());
    }
}

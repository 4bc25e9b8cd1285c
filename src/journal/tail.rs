//! The two ends of a journal, read without the middle: how a launch began, the last line of a kind, and what was
//! written since an offset.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;
use memchr::memmem::FinderRev;

use crate::exit_code::CannotGoOn;
use crate::journal::event::{Event, EventKind, LaunchBegun, LaunchProgress, ResultsWritten, Stopped};
use crate::journal::line::{JournalLine, LineReader, WrittenTime};
use crate::journal::reader;
use crate::journal::writer;
use crate::model::counts::TaskCounts;
use crate::model::provenance::Process;
use crate::store::regular;

/// How much is read at first from the end: several heartbeats, if tasks take seconds.
const FIRST: u64 = 64 * 1024;

/// How much is read at a time at most, unless a line is longer.
const MOST: u64 = 4 * 1024 * 1024;

/// Lines that are looked for are shorter than this: there is nothing in them but numbers, and up to some ten thousand blocks.
const SHORT_LINE: u64 = 1024 * 1024;

/// Far longer than any first line of ours, which holds the options; what else may lie there is not taken into memory.
const LONGEST_FIRST_LINE: u64 = 16 * 1024 * 1024;

/// The record of a task that died with a container is shorter than this: a path that a command can be given has at most
/// 128 KiB, of which a byte takes at most six in JSON.
const LONGEST_LOSS: u64 = 2 * 1024 * 1024;

/// How a launch began.
#[derive(Debug, Clone)]
pub struct LaunchHead {
    /// When, by the clock of its host.
    pub at: Option<WrittenTime>,
    /// Which process began it, and with which settings.
    pub begun: Box<LaunchBegun>,
    /// Its first heartbeat and when that was, where no task began before.
    pub first_heartbeat: Option<(Option<WrittenTime>, LaunchProgress)>,
}

/// How a launch began, from the journal's first lines; `None` while they are not written, or when they were cut.
///
/// # Errors
/// When it can't be read.
pub fn head(journal: &File) -> io::Result<Option<LaunchHead>> {
    let mut lines = BufReader::new(Placed { file: journal, at: 0 }.take(LONGEST_FIRST_LINE));
    let (mut line, parser) = (Vec::new(), LineReader::new());
    lines.read_until(b'\n', &mut line)?;
    let Ok(JournalLine { written: at, event: Event::Run(begun), .. }) = parser.read(&line, 0) else {
        return Ok(None);
    };
    // Before it there may be blank lines, as long as it gets ready, the ends of tasks that died with a container, and what
    // is to be run again.
    let first_heartbeat = loop {
        line.clear();
        let read = (&mut lines).take(LONGEST_LOSS).read_until(b'\n', &mut line)?;
        match parser.read(&line, 0).map(|line| (line.written, line.event)) {
            Ok((at, Event::Alive(progress))) => break Some((at, progress)),
            Ok((_, Event::End(_) | Event::DueAgain(_) | Event::Unknown)) => {}
            Err(_) if line == b"\n" => {}
            Ok((
                _,
                Event::Run(_)
                | Event::Start(_)
                | Event::NotStarted(_)
                | Event::Interrupted(_)
                | Event::Attempt(_)
                | Event::Publish(_)
                | Event::Claim(_)
                | Event::ResultsWritten(_)
                | Event::Stop(_),
            ))
            | Err(_) => break None,
        }
        if read == 0 {
            break None;
        }
    };
    Ok(Some(LaunchHead { at, begun, first_heartbeat }))
}

/// Which process began the launch of the journal at a path, and with which settings; `None` as for [`head`].
///
/// # Errors
/// When it can't be read, or is of another major version.
pub fn begun(path: &Path) -> anyhow::Result<Option<Box<LaunchBegun>>> {
    let line = first_line(path)?;
    let Ok(line) = LineReader::new().read(&line, 0) else { return Ok(None) };
    writer::refuse_other_version(path, line.v, 0)?;
    Ok(if let Event::Run(begun) = line.event { Some(begun) } else { None })
}

/// Whether the journal at a path is that of a launch of `run` that a process began.
///
/// # Errors
/// When it can't be read.
pub fn is_begun_by(path: &Path, run: &str, process: &Process) -> io::Result<bool> {
    let line = read_first_line(path)?;
    let line = LineReader::new().read(&line, 0);
    let Ok(JournalLine { run: of, event: Event::Run(begun), .. }) = line else { return Ok(false) };
    Ok(of == run && begun.process == *process)
}

fn first_line(path: &Path) -> anyhow::Result<Vec<u8>> {
    read_first_line(path).with_context(|| cannot_read(path))
}

fn read_first_line(path: &Path) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(regular::open(path)?).take(LONGEST_FIRST_LINE).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn cannot_read(journal: &Path) -> CannotGoOn {
    CannotGoOn(format!("can't read the journal {}", journal.display()))
}

/// The stop record of a launch.
#[derive(Debug, Clone, PartialEq)]
pub struct LastWords {
    /// The run that it is of.
    pub run: String,
    /// How it ended.
    pub stop: Stopped,
    /// The results file that was written just before.
    pub results: Option<ResultsWritten>,
}

/// What the end of a journal says, read without the rest; `None` where the launch did not end in order.
///
/// # Errors
/// When it can't be read.
pub fn last_words(journal: &Path) -> anyhow::Result<Option<LastWords>> {
    let read = || regular::open(journal).and_then(|file| last_lines(&file));
    let [written, stop] = read().with_context(|| cannot_read(journal))?;
    let parser = LineReader::new();
    let Ok(JournalLine { run, event: Event::Stop(stop), .. }) = parser.read(&stop, 0) else {
        return Ok(None);
    };
    let results = match parser.read(&written, 0) {
        Ok(JournalLine { run: other, event: Event::ResultsWritten(written), .. }) if other == run => {
            Some(*written)
        }
        _ => None,
    };
    Ok(Some(LastWords { run: run.into_owned(), stop: *stop, results }))
}

/// How the tasks of a launch of `run` stand by the last heartbeat in its journal; `None` where there is none.
///
/// # Errors
/// When it can't be read.
pub fn last_counts(journal: &Path, run: &str) -> anyhow::Result<Option<TaskCounts>> {
    let read = || {
        let file = regular::open(journal)?;
        last_of(&file, file.metadata()?.len(), EventKind::Alive, run, 1)
    };
    Ok(match read().with_context(|| cannot_read(journal))? {
        Some((_, Event::Alive(progress))) => Some(progress.counts),
        _ => None,
    })
}

/// The last line before `end` that is such an event of `run`, and where it begins; of up to `most` of them that the same
/// reading shows, the first. Events are found that take a short line.
///
/// # Errors
/// When it can't be read.
pub fn last_of(
    journal: &File,
    end: u64,
    kind: EventKind,
    run: &str,
    most: usize,
) -> io::Result<Option<(u64, Event)>> {
    let marker = format!("\"event\":{}", serde_json::to_string(&kind)?);
    let (finder, parser) = (FinderRev::new(&marker), LineReader::new());
    let (mut until, mut size, mut chunk) = (end, FIRST, Vec::new());
    // Whether the line that continues after `until` is a long one.
    let mut is_long = false;
    while until > 0 {
        let begin = until.saturating_sub(size);
        read_at(journal, begin, until, &mut chunk)?;
        let Some(lines) = lines_that_begin_in(&chunk, begin == 0, is_long) else {
            is_long |= chunk.len() as u64 >= SHORT_LINE;
            (until, size) = if is_long { (begin, size) } else { (until, size * 2) };
            continue;
        };
        let (mut rest, mut found, mut seen) = (&chunk[lines.clone()], None, 0);
        while seen < most
            && let Some(at) = finder.rfind(rest)
        {
            let line = memchr::memrchr(b'\n', &rest[..at]).map_or(0, |end| end + 1);
            let end = memchr::memchr(b'\n', &rest[at..]).map_or(rest.len(), |length| at + length);
            // A long line is a record.
            if (end - line) as u64 <= SHORT_LINE
                && let Ok(read) = parser.read(&rest[line..end], 0)
                && (read.event.kind(), &*read.run) == (kind, run)
            {
                found = Some((begin + (lines.start + line) as u64, read.event));
                seen += 1;
            }
            // Whatever else in this line looks like an event is none.
            rest = &rest[..line];
        }
        if found.is_some() {
            return Ok(found);
        }
        (until, size, is_long) = (begin + lines.start as u64, (size * 2).min(MOST), false);
    }
    Ok(None)
}

/// Where in a chunk the lines are that begin in it, but for a last one that `goes_on` behind it; `None` where none begins.
fn lines_that_begin_in(chunk: &[u8], is_from_the_beginning: bool, goes_on: bool) -> Option<Range<usize>> {
    // No line begins after the last line end, unless one continues there.
    let ends = if goes_on { chunk } else { &chunk[..chunk.len().saturating_sub(1)] };
    let first = if is_from_the_beginning { 0 } else { memchr::memchr(b'\n', ends)? + 1 };
    let last = memchr::memrchr(b'\n', chunk).map_or(first, |end| end + 1);
    Some(first..if goes_on { last } else { chunk.len() })
}

/// The last two lines that are not blank, the last one second; empty where there are none. However long they are: as much is
/// read as they take.
///
/// # Errors
/// When it can't be read.
fn last_lines(file: &File) -> io::Result<[Vec<u8>; 2]> {
    let (length, mut size, mut end) = (file.metadata()?.len(), FIRST, Vec::new());
    loop {
        let begin = length.saturating_sub(size);
        read_at(file, begin, length, &mut end)?;
        let text = end.trim_ascii_end();
        let mut ends = memchr::memrchr_iter(b'\n', text);
        let (last, second_last) = (ends.next(), ends.next());
        if begin == 0 || second_last.is_some() {
            let second = last.map_or(&b""[..], |last| &text[second_last.map_or(0, |end| end + 1)..last]);
            return Ok([second.to_vec(), text[last.map_or(0, |end| end + 1)..].to_vec()]);
        }
        size *= 2;
    }
}

/// Passes the lines from `offset` on to `take`, `None` for an unreadable one; returns where to continue next time. A last
/// line without a line end is passed if it is readable.
///
/// # Errors
/// When it can't be read, or a line is of another major version.
pub fn read_on(
    journal: &File,
    path: &Path,
    mut offset: u64,
    take: &mut dyn FnMut(Option<&JournalLine<'_>>),
) -> anyhow::Result<u64> {
    let (mut size, mut block) = (FIRST, Vec::new());
    loop {
        read_at(journal, offset, offset + size, &mut block)?;
        let is_over = (block.len() as u64) < size;
        let whole = memchr::memrchr(b'\n', &block).map_or(0, |end| end + 1);
        give(&block[..whole], path, offset, take)?;
        offset += whole as u64;
        if is_over {
            let rest = &block[whole..];
            return Ok(offset + if give(rest, path, offset, take)? { rest.len() as u64 } else { 0 });
        }
        // More at a time, and at last enough for any line.
        size = if whole == 0 { size * 2 } else { (size * 2).min(MOST) };
    }
}

/// Whether all of them could be read.
fn give(
    lines: &[u8],
    path: &Path,
    offset: u64,
    take: &mut dyn FnMut(Option<&JournalLine<'_>>),
) -> anyhow::Result<bool> {
    let mut are_whole = true;
    for line in reader::parse_part((lines, offset)) {
        if let Ok((line, offset)) = line {
            writer::refuse_other_version(path, line.v, offset)?;
            take(Some(&line));
        } else {
            are_whole = false;
            take(None);
        }
    }
    Ok(are_whole)
}

/// Reads the bytes from `begin` to `end`.
fn read_at(file: &File, begin: u64, end: u64, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    // Else it would begin with reads of a few bytes.
    into.reserve(usize::try_from(end.saturating_sub(begin).min(FIRST)).unwrap_or_default());
    Placed { file, at: begin }.take(end.saturating_sub(begin)).read_to_end(into)?;
    Ok(())
}

/// Reads a file from an offset without moving the shared file position.
struct Placed<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Placed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read_at(into, self.at)?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::{FIRST, JournalLine, LONGEST_LOSS, SHORT_LINE, head, last_lines, last_of, read_on};
    use crate::journal::event::{
        AttemptBegun, BlockProgress, Event, EventKind, LaunchProgress, TaskEnded, TasksDueAgain,
    };
    use crate::journal::writer::{self, JournalWriter};
    use crate::model::blocks::{BlockId, ClaimName};
    use crate::model::index_ranges::IndexRanges;
    use crate::model::outcome::Status;

    fn ended(index: u64) -> TaskEnded {
        TaskEnded { index, status: Some(Status::Ok), cause: None, ..TaskEnded::default() }
    }

    #[test]
    fn the_last_line_of_a_kind_is_found_behind_any_length_and_never_within_a_record() {
        let folder = tempfile::tempdir().unwrap();
        for filler in [0, 1, FIRST - 300, FIRST - 1, FIRST, FIRST + 77, 5 * FIRST, SHORT_LINE, 6 * SHORT_LINE]
        {
            let path = folder.path().join(format!("{filler}.1.jsonl"));
            let mut journal = JournalWriter::create(&path, "run", 1).unwrap();
            journal.add(&Event::Start(AttemptBegun { index: 0, attempt: 1, slot: 1, alone: true }));
            for left in [4, 5] {
                journal.add(&Event::Alive(LaunchProgress { left, ..LaunchProgress::default() }));
            }
            let text = "x".repeat(usize::try_from(filler).unwrap());
            let decoy = format!("{{\"event\":\"alive\",\"ok\":9,\"s\":\"{text}\"}}");
            journal.add_end(ended(0), decoy.as_bytes());
            journal.commit().unwrap();
            let file = File::open(&path).unwrap();
            let length = file.metadata().unwrap().len();
            let (at, event) = last_of(&file, length, EventKind::Alive, "run", 1).unwrap().unwrap();
            assert_eq!(
                event,
                Event::Alive(LaunchProgress { left: 5, ..LaunchProgress::default() }),
                "{filler}"
            );
            assert!(last_of(&file, length, EventKind::Start, "run", 1).unwrap().is_some());
            assert!(last_of(&file, length, EventKind::Stop, "run", 1).unwrap().is_none());
            let mut events = Vec::new();
            let mut take = |line: Option<&JournalLine<'_>>| {
                events.push(line.unwrap().event.kind());
            };
            assert_eq!(read_on(&file, &path, at, &mut take).unwrap(), length);
            assert_eq!(events, [EventKind::Alive, EventKind::End], "{filler}");
        }
    }

    #[test]
    fn a_sign_of_life_that_names_many_blocks_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for (count, filler) in [(1, 0), (600, 0), (600, 3 * SHORT_LINE), (5_000, 100), (9_000, SHORT_LINE)] {
            let path = folder.path().join(format!("{count}{filler}.1.jsonl"));
            let mut journal = JournalWriter::create(&path, "run", 1).unwrap();
            let record = format!("{{\"s\":\"{}\"}}", "x".repeat(usize::try_from(filler).unwrap()));
            journal.add_end(ended(0), record.as_bytes());
            let block = |share| BlockProgress {
                files: 1234,
                left: 1234,
                ..BlockProgress::announced(ClaimName::first(BlockId { round: 12, share }))
            };
            let blocks: Vec<BlockProgress> = (1..=count).map(block).collect();
            let sign = Event::Alive(LaunchProgress { blocks, ..LaunchProgress::default() });
            journal.add(&sign);
            journal.add_end(ended(1), record.as_bytes());
            journal.commit().unwrap();
            let file = File::open(&path).unwrap();
            let length = file.metadata().unwrap().len();
            let found = last_of(&file, length, EventKind::Alive, "run", 1).unwrap();
            assert_eq!(found.map(|(_, event)| event), Some(sign), "{count} {filler}");
        }
    }

    #[test]
    fn the_last_two_lines_are_found_however_long_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let long = "x".repeat(3 * usize::try_from(FIRST).unwrap());
        let half = &long[..usize::try_from(FIRST).unwrap() - 1];
        for (second, last) in [
            ("", ""),
            ("", "b"),
            ("a", "b"),
            ("a", &long),
            (&long, "b"),
            (&long, &long),
            (half, half),
            (half, "b"),
        ] {
            for after in ["", "\n", "\n\n\n", &"\n".repeat(200_000)] {
                for before in ["", "first\n", &format!("{long}\n")] {
                    if before.is_empty() && second.is_empty() || last.is_empty() {
                        continue;
                    }
                    std::fs::write(&path, format!("{before}{second}\n{last}{after}")).unwrap();
                    let [one, other] = last_lines(&File::open(&path).unwrap()).unwrap();
                    assert!(one == second.as_bytes() && other == last.as_bytes());
                }
            }
        }
        for (text, second, last) in [("", "", ""), ("a", "", "a"), ("a\n\n", "", "a"), ("\n", "", "")] {
            std::fs::write(&path, text).unwrap();
            let lines = last_lines(&File::open(&path).unwrap()).unwrap();
            assert_eq!(lines, [second.as_bytes(), last.as_bytes()], "{text:?}");
        }
    }

    #[test]
    fn the_first_sign_of_life_comes_before_any_task_and_maybe_after_the_ends_of_lost_ones() {
        let line = |seq: u32, rest: &str| {
            format!(r#"{{"v":1,"run":"r","launch":2,"seq":{seq},"t":"2026-11-26T14:26:25.206Z",{rest}}}"#)
                + "\n"
        };
        let begun = line(
            1,
            r#""event":"run","replica_id":1,"replica_count":3,"host":"h","boot_id":"","pid":3,"version":"0.1.0","locked":true,"options":{},"limits":{"cpus":2.0,"memory_bytes":null},"jobs":2,"command_files":[],"share":20"#,
        );
        let mut lost = line(2, r#""event":"end","index":0,"status":"failed","cause":"lost""#).into_bytes();
        lost.truncate(lost.len() - 2);
        let check = writer::check_of(&lost, b"{}");
        lost.extend_from_slice(format!("{}{{}}}}\n", writer::before_record(&check)).as_bytes());
        let lost = String::from_utf8(lost).unwrap();
        let start = line(2, r#""event":"start","index":1,"attempt":1,"slot":1,"alone":false"#);
        let alive = line(3, r#""event":"alive","ok":7,"failed":1,"left":12,"running":0,"memory_bytes":null"#);
        let folder = tempfile::tempdir().unwrap();
        for (before, is_told) in [
            ("", true),
            ("\n\n", true),
            (&*format!("\n{lost}{lost}"), true),
            (&*start, false),
            (&lost[..9], false),
        ] {
            let path = folder.path().join("1.2.jsonl");
            std::fs::write(&path, format!("{begun}{before}{alive}")).unwrap();
            let head = head(&File::open(&path).unwrap()).unwrap().unwrap();
            assert_eq!(
                head.first_heartbeat.map(|(_, first)| first.counts.ok),
                is_told.then_some(7),
                "{before}"
            );
        }
    }

    #[test]
    fn what_is_to_be_run_again_takes_lines_that_a_head_can_have() {
        // Every two are a range of their own.
        let gone = IndexRanges::of((0..100_000).map(|number| u64::MAX / 2 + number * number));
        let all = TasksDueAgain { gone, changed: IndexRanges::of([3, 4, 9]) };
        let length = |tasks: &TasksDueAgain| {
            serde_json::to_vec(&Event::DueAgain(Box::new(tasks.clone()))).unwrap().len() as u64
        };
        assert!(length(&all) > LONGEST_LOSS);
        let lines: Vec<TasksDueAgain> = all.clone().in_lines().collect();
        assert_eq!(lines.len(), 6);
        assert!(lines.iter().all(|line| length(line) < LONGEST_LOSS / 2));
        let indices = 0..u64::MAX;
        assert!(lines.iter().flat_map(|line| line.within(&indices)).eq(all.within(&indices)));
        assert_eq!(TasksDueAgain::default().in_lines().next(), None);
    }

    #[test]
    fn reading_goes_on_at_a_line_that_was_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.1.jsonl");
        let mut journal = JournalWriter::create(&path, "run", 1).unwrap();
        (0..3).for_each(|index| _ = journal.add_end(ended(index), b"{}"));
        journal.commit().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            let mut seen = Vec::new();
            let mut take = |line: Option<&JournalLine<'_>>| {
                if let Some(Event::End(ended)) = line.map(|line| &line.event) {
                    seen.push(ended.index);
                }
            };
            std::fs::write(&path, &whole[..cut]).unwrap();
            let at = read_on(&File::open(&path).unwrap(), &path, 0, &mut take).unwrap();
            std::fs::write(&path, &whole).unwrap();
            let end = read_on(&File::open(&path).unwrap(), &path, at, &mut take).unwrap();
            assert_eq!((seen, end), (vec![0, 1, 2], whole.len() as u64), "{cut}");
        }
    }
}

//! Parses one line of a journal.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::journal::event::{Event, EventKind, Text};
use crate::journal::writer::{self, RecordSpan, VERSIONS};

/// The part before the checksum of an `end` line.
const CHECK: &[u8] = b",\"check\":\"";

/// One line of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalLine<'a> {
    /// Major version. Of a line of a version that is not read here, the event is unknown.
    pub v: u32,
    /// Run id.
    pub run: Cow<'a, str>,
    /// When it was written, by the clock of the launch's host; `None` where that can't be read.
    pub written: Option<WrittenTime>,
    /// What happened.
    pub event: Event,
    /// For [`Event::End`], where the record lies in the journal.
    pub record: Option<RecordSpan>,
}

/// When a line was written, as its text says; most are never asked. In the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WrittenTime([u8; TIME]);

/// The length of such a text, `2026-11-23T01:02:03.456Z`.
const TIME: usize = 24;

impl WrittenTime {
    fn of(text: &str) -> Option<Self> {
        let is_shaped =
            |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
        let text: [u8; TIME] = text.as_bytes().try_into().ok()?;
        text.iter().zip(b"0000-00-00T00:00:00.000Z").all(is_shaped).then_some(Self(text))
    }

    /// The instant; `None` where it is none.
    pub fn instant(self) -> Option<Timestamp> {
        std::str::from_utf8(&self.0).ok()?.parse().ok()
    }
}

/// Reads lines.
#[derive(Debug)]
pub(super) struct LineReader {
    check: Finder<'static>,
    /// The part before a record, as a separate object.
    head: RefCell<Vec<u8>>,
}

impl LineReader {
    pub(super) fn new() -> Self {
        Self { check: Finder::new(CHECK), head: RefCell::default() }
    }

    /// A line that begins at `offset` of its journal.
    ///
    /// # Errors
    /// Why it is not what a journal holds.
    // Most of a journal are records: where the checksum says that they are as written, nothing of them is looked at again.
    pub(super) fn read<'a>(&self, line: &'a [u8], offset: u64) -> Result<JournalLine<'a>, String> {
        if let Some((head, record)) = self.split(line.trim_ascii_end()) {
            let at = record.as_ptr().addr() - head.as_ptr().addr();
            let bytes = u32::try_from(record.len()).unwrap_or(u32::MAX);
            let span = RecordSpan { offset: offset + at as u64, bytes };
            return self.parse_head(head, span);
        }
        let line = parse(line)?;
        if line.event.kind() == EventKind::End {
            return Err("its checksum does not match".to_owned());
        }
        Ok(line)
    }

    /// An `end` line, given the part before its checksum.
    fn parse_head<'a>(&self, head: &'a [u8], record: RecordSpan) -> Result<JournalLine<'a>, String> {
        let mut object = self.head.borrow_mut();
        object.clear();
        object.extend_from_slice(head);
        object.push(b'}');
        let JournalLine { v, run, written, event, .. } = parse(&object)?;
        let record = (event.kind() == EventKind::End).then_some(record);
        let run = match run {
            // The same text in the line itself.
            Cow::Borrowed(run) => {
                let at = run.as_ptr().addr() - object.as_ptr().addr();
                String::from_utf8_lossy(&head[at..at + run.len()])
            }
            Cow::Owned(run) => Cow::Owned(run),
        };
        Ok(JournalLine { v, run, written, event, record })
    }

    /// What stands before the checksum of an `end` line, and its record, if these are as they were written.
    fn split<'a>(&self, line: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (head, rest) = line.split_at(self.check.find(line)?);
        let (check, rest) = rest.strip_prefix(CHECK)?.split_at_checked(writer::CHECK)?;
        let record = rest.strip_prefix(b"\",\"record\":")?.strip_suffix(b"}")?;
        writer::is_check_of(check, head, record).then_some((head, record))
    }
}

fn parse(line: &[u8]) -> Result<JournalLine<'_>, String> {
    serde_json::from_slice(line).or_else(|error| parse_unordered(line).ok_or_else(|| error.to_string()))
}

/// A line with its members in a different order, as written by tools that sort them.
fn parse_unordered(line: &[u8]) -> Option<JournalLine<'static>> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_slice(line).ok()?;
    let head = ["v", "run", "t", "event"].map(|key| (key.to_owned(), members.remove(key)));
    let head = head.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let texts: Vec<String> =
        head.chain(members).map(|(key, value)| format!("{}:{value}", serde_json::Value::from(key))).collect();
    let ordered = format!("{{{}}}", texts.join(","));
    let line: JournalLine<'_> = serde_json::from_str(&ordered).ok()?;
    Some(JournalLine { run: Cow::Owned(line.run.into_owned()), ..line })
}

impl<'de> Deserialize<'de> for JournalLine<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

/// The members that every line begins with.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum EventMember {
    V,
    Run,
    T,
    Event,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for LineVisitor {
    type Value = JournalLine<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a line of a journal")
    }

    /// The members of an event come after its word, so that they are read as that event's without being gathered first.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error;
        let (mut v, mut run, mut written) = (None, None, None);
        while let Some(member) = members.next_key()? {
            match member {
                EventMember::V => v = Some(members.next_value()?),
                EventMember::Run => run = Some(members.next_value::<Text<'de>>()?.0),
                EventMember::T => {
                    let text = members.next_value::<Text<'de>>()?.0;
                    written = WrittenTime::of(&text);
                }
                EventMember::Other => _ = members.next_value::<IgnoredAny>()?,
                EventMember::Event => {
                    let kind = members.next_value()?;
                    let v = v.ok_or_else(|| A::Error::missing_field("v"))?;
                    let run = run.ok_or_else(|| A::Error::missing_field("run"))?;
                    let kind = if VERSIONS.contains(&v) { kind } else { EventKind::Unknown };
                    return Ok(JournalLine { v, run, written, event: kind.read(members)?, record: None });
                }
            }
        }
        Err(A::Error::missing_field("event"))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{JournalLine, LineReader};
    use crate::journal::event::{
        AttemptBegun, AttemptEnded, BlockProgress, ClaimAnnounced, Event, EventKind, LaunchBegun,
        LaunchProgress, Limits, PublishingBegun, ResultsWritten, StopReason, Stopped, TaskEnded, TaskNamed,
        TasksDueAgain,
    };
    use crate::journal::writer::JournalWriter;
    use crate::model::counts::TaskCounts;
    use crate::model::index_ranges::IndexRanges;
    use crate::model::outcome::{Cause, LogSpan, Status};
    use crate::model::product::{DirectoryId, ProductTotals};
    use crate::model::provenance::Process;
    use crate::model::usage::UsageFigures;

    fn events() -> Vec<Event> {
        let log = LogSpan { file: "logs/1.1.log".into(), offset: 3, bytes: 9 };
        let block = BlockProgress { claim: "2/3.1".parse().unwrap(), files: 5, ok: 1, failed: 2, left: 3 };
        vec![
            Event::Run(Box::new(LaunchBegun {
                replica_id: 1,
                replica_count: 3,
                process: Process::current(Some("session".into())),
                locked: true,
                options: std::collections::BTreeMap::from([("check".into(), ",\"check\":\"".into())]),
                limits: Limits { cpus: 1.5, memory_bytes: Some(1), cpu_set: Some(7) },
                jobs: 2,
                command_files: Vec::new(),
                share: 10,
                takeover_after_s: Some(1.5),
                command: None,
                by_another: false,
            })),
            Event::Start(AttemptBegun { index: 1, attempt: 2, slot: 3, alone: true }),
            Event::NotStarted(TaskNamed { index: 1 }),
            Event::Interrupted(TaskNamed { index: 1 }),
            Event::Attempt(AttemptEnded {
                index: 1,
                attempt: 2,
                status: Some(Status::Failed),
                cause: Some(Cause::Signal),
                exit_code: None,
                signal: Some(9),
                duration_s: 1.5,
                cpu_s: 0.25,
                max_rss_bytes: Some(7),
                tree_bytes: Some(8),
                log: Some(log),
                left_processes: 2,
            }),
            Event::Publish(PublishingBegun::new(
                1,
                &[
                    DirectoryId { inode: u64::MAX, born: Some(Timestamp::MAX) },
                    DirectoryId { inode: 1, born: None },
                ],
            )),
            Event::DueAgain(Box::new(TasksDueAgain {
                gone: IndexRanges::of([2, 5]),
                changed: IndexRanges::of([3]),
            })),
            Event::Claim(ClaimAnnounced { claim: block.claim }),
            Event::Alive(LaunchProgress {
                counts: TaskCounts {
                    files: 9,
                    ok: 3,
                    failed: 2,
                    lost: 0,
                    without_result: 1,
                    products: ProductTotals { count: 3, bytes: 40 },
                },
                left: 4,
                running: 1,
                memory_bytes: Some(5),
                blocks: vec![block],
                claims: 6,
            }),
            Event::ResultsWritten(Box::new(ResultsWritten {
                records: 2,
                without_result: 1,
                bytes: 10,
                blake3: "0".repeat(64),
                tasks: Some(IndexRanges::of([1, 4])),
            })),
            Event::Stop(Box::new(Stopped {
                reason: StopReason::Signal,
                signal: Some(15),
                exit: 143,
                why: Some("it was so".to_owned()),
                figures: Some(Box::new(UsageFigures::default())),
                blocks: vec![BlockProgress::announced(block.claim)],
            })),
        ]
    }

    fn read(line: &[u8]) -> Result<JournalLine<'_>, String> {
        LineReader::new().read(line, 0)
    }

    #[test]
    fn every_event_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = JournalWriter::create(&folder.path().join("1.1.jsonl"), "run", 1).unwrap();
        events().iter().for_each(|event| journal.add(event));
        let ended = TaskEnded {
            index: 7,
            status: Some(Status::Ok),
            cause: None,
            replaces: true,
            was_ok: true,
            no_result: true,
            products: None,
        };
        let span = journal.add_end(ended, b"{\"s\":\",\\\"check\\\":\"}");
        journal.commit().unwrap();
        let text = std::fs::read(journal.path()).unwrap();
        let lines: Vec<_> =
            text.split_inclusive(|byte| *byte == b'\n').map(|line| read(line).unwrap()).collect();
        let [events @ .., end] = lines.as_slice() else { panic!() };
        let read: Vec<&Event> = events.iter().map(|line| &line.event).collect();
        assert_eq!(read, self::events().iter().collect::<Vec<_>>());
        assert_eq!(end.event, Event::End(ended));
        let before: usize =
            text.split_inclusive(|byte| *byte == b'\n').take(events.len()).map(<[u8]>::len).sum();
        assert_eq!(end.record.unwrap().offset + before as u64, span.offset);
        assert!(lines.iter().all(|line| (line.v, &*line.run) == (2, "run")
            && line.written.and_then(super::WrittenTime::instant).is_some()));
        let kinds: Vec<EventKind> = lines.iter().map(|line| line.event.kind()).collect();
        // Each word once: an event that is missing here is missing in the list above.
        assert_eq!(
            kinds.iter().map(|kind| *kind as usize).collect::<std::collections::BTreeSet<_>>().len(),
            12
        );
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over_and_what_is_wrong_is_told() {
        let line = |rest: &str| format!("{{\"v\":1,\"run\":\"run\",\"launch\":1,\"new\":[{{}}],{rest}}}\n");
        let event = |rest: &str| read(line(rest).as_bytes()).map(|line| line.event);
        assert_eq!(event("\"event\":\"news\",\"what\":[1]"), Ok(Event::Unknown));
        let start = Event::Start(AttemptBegun { index: 1, attempt: 1, slot: 1, alone: false });
        let fields = "\"index\":1,\"attempt\":1,\"slot\":1,\"alone\":false";
        assert_eq!(event(&format!("\"event\":\"start\",{fields},\"new\":{{\"a\":[]}}")), Ok(start.clone()));
        let sorted = br#"{"alone":false,"attempt":1,"event":"start","index":1,"run":"r","slot":1,"v":1}"#;
        assert_eq!(read(sorted).map(|line| line.event), Ok(start));
        let skipped = Event::Attempt(AttemptEnded { index: 3, attempt: 1, ..AttemptEnded::default() });
        assert_eq!(
            event("\"event\":\"attempt\",\"index\":3,\"attempt\":1,\"status\":\"skipped\",\"cause\":null"),
            Ok(skipped)
        );
        assert_eq!(
            read(b"{\"v\":9,\"run\":\"r\",\"event\":\"start\",\"x\":1}").unwrap().event,
            Event::Unknown
        );
        for wrong in [
            line("\"event\":\"start\",\"index\":-1,\"attempt\":1,\"slot\":1,\"alone\":false"),
            line("\"event\":\"start\""),
            line("\"event\":\"end\",\"index\":1,\"status\":\"ok\",\"cause\":null,\"record\":{}"),
            line("\"event\":\"stop\"")[..20].to_owned(),
            "{\"v\":1,\"event\":\"stop\"}".into(),
            "[]".into(),
            "\u{fffd}".into(),
        ] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}

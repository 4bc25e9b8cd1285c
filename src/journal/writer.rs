//! A launch's append-only log of events, `journal/<id>.<launch>.jsonl`: the format and its writer. `reader` reads it.
//!
//! Every line is one JSON object that begins with `v`, `run`, `launch`, `seq` (from 1), `t` and `event`, then the members of
//! the event; the last member of an `end` line is `record`, preceded by `check`, a checksum of the line. A journal is
//! created by its launch, appended to by it alone and never reopened.
//!
//! Version 2 adds to version 1: `results_written` names the tasks in the file (`tasks`), `alive` has `files`, and
//! where replicas share work there is `claim`, and `alive` and `stop` have the launch's blocks. Both versions are read; a run begun under version 1 continues with journals of version 2.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::journal::event::{BlockProgress, Event, LaunchProgress, Standing, TaskEnded};
use crate::store::pulse::Pulse;

/// The format's major version.
pub const VERSION: u32 = 2;

/// The versions that are read.
pub(super) const VERSIONS: std::ops::RangeInclusive<u32> = 1..=VERSION;

/// Where a record lies in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSpan {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u32,
}

/// A journal being written.
#[derive(Debug)]
pub struct JournalWriter {
    file: Arc<File>,
    path: PathBuf,
    run: String,
    launch: u32,
    seq: u64,
    /// Length of the file as far as written.
    length: u64,
    /// Lines not yet written.
    pending: Vec<u8>,
    /// The counts of tasks at exactly this offset of the journal, once known.
    progress: Option<LaunchProgress>,
    /// Whether the stop record is written.
    is_ended: bool,
    /// Whether a heartbeat has reported the memory in use that is now in the progress.
    is_memory_told: bool,
    reached: Reached,
    /// Whether a failed write may have left a part of a line at the end, which could not be taken off again.
    torn: bool,
}

/// A journal that its launch and its heartbeat write to.
pub type SharedJournalWriter = Arc<Mutex<JournalWriter>>;

/// How much of a journal has reached the storage.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    /// At least this many bytes of it.
    bytes: u64,
    /// The counts of tasks there.
    standing: Standing,
    /// Whether a sync failed: the fate of what was written since is unknown, even if a later one succeeds.
    is_doubtful: bool,
}

#[derive(Serialize)]
struct JournalLineOut<'a> {
    v: u32,
    run: &'a str,
    launch: u32,
    seq: u64,
    t: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl JournalWriter {
    /// Creates the journal of a launch. The folder must exist.
    ///
    /// # Errors
    /// `AlreadyExists` when another process began this launch; others as the system says.
    pub fn create(path: &Path, run: &str, launch: u32) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
            run: run.to_owned(),
            launch,
            seq: 0,
            length: 0,
            pending: Vec::new(),
            progress: None,
            is_ended: false,
            is_memory_told: false,
            reached: Reached::default(),
            torn: false,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run that it is of.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Which launch of its replica it is.
    pub fn launch(&self) -> u32 {
        self.launch
    }

    /// The open file, for locking.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Removes a journal when its first line could not be written: nothing should wait for a launch that never began.
    pub fn withdraw(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Changes in place what heartbeats report from here on: there may be many blocks, and it changes with each task.
    pub fn change_progress(&mut self, change: impl FnOnce(&mut LaunchProgress)) {
        let is_first = self.progress.is_none();
        let progress = self.progress.get_or_insert_default();
        change(progress);
        if is_first {
            // So far there is nothing but what earlier launches left.
            self.reached.standing = progress.standing();
        }
    }

    /// The progress that heartbeats report, once known.
    pub fn progress(&self) -> Option<&LaunchProgress> {
        self.progress.as_ref()
    }

    /// The blocks that the launch has and has not ended, and those that it may have claimed.
    pub fn unended(&self) -> Vec<BlockProgress> {
        self.progress.as_ref().map(|progress| progress.blocks.clone()).unwrap_or_default()
    }

    /// Notes memory in use for the next heartbeat, which reports the maximum since the previous one.
    pub fn note_memory(&mut self, in_use: Option<u64>) {
        let Some(progress) = &mut self.progress else { return };
        progress.memory_bytes = if self.is_memory_told { in_use } else { progress.memory_bytes.max(in_use) };
        self.is_memory_told = false;
    }

    /// How the tasks stand in what has reached the storage, where that is not all that was written.
    pub fn reached(&self) -> Option<Standing> {
        (self.reached.bytes < self.length).then_some(self.reached.standing)
    }

    /// Adds a line to what the next [`Self::commit`] writes.
    pub fn add(&mut self, event: &Event) {
        self.is_ended |= matches!(event, Event::Stop(_));
        self.add_object(event);
        self.pending.push(b'\n');
    }

    /// Adds a task's end with its record (one line of JSON). The place of the record holds once committed.
    pub fn add_end(&mut self, ended: TaskEnded, record: &[u8]) -> RecordSpan {
        let begin = self.pending.len();
        self.add_object(&Event::End(ended));
        self.pending.pop();
        let check = check_of(&self.pending[begin..], record);
        self.pending.extend_from_slice(before_record(&check).as_bytes());
        let offset = self.length + u64::from(self.torn) + self.pending.len() as u64;
        self.pending.extend_from_slice(record);
        self.pending.extend_from_slice(b"}\n");
        RecordSpan { offset, bytes: u32::try_from(record.len()).unwrap_or(u32::MAX) }
    }

    fn add_object(&mut self, event: &Event) {
        self.seq += 1;
        let line = JournalLineOut {
            v: VERSION,
            run: &self.run,
            launch: self.launch,
            seq: self.seq,
            t: crate::clock::now(),
            event,
        };
        // Writing plain data to memory: neither can fail.
        let written = serde_json::to_writer(&mut self.pending, &line);
        debug_assert!(written.is_ok());
    }

    /// Writes what was added, in one call where the system takes it whole.
    ///
    /// # Errors
    /// When it can't be written: what was added since the last commit is then not in the journal.
    pub fn commit(&mut self) -> io::Result<()> {
        if self.torn {
            self.pending.insert(0, b'\n');
        }
        let written = WithMemory(&self.file).write_all(&self.pending);
        let length = self.pending.len() as u64;
        self.pending.clear();
        match written {
            Ok(()) => {
                self.length += length;
                self.torn = false;
                Ok(())
            }
            Err(error) => {
                // A line that lacks only its line end would count, although the launch continues as if it did not exist.
                self.torn = self.file.set_len(self.length).is_err();
                self.length = self.file.metadata().map_or(self.length, |now| now.len());
                Err(error)
            }
        }
    }
}

/// A file to write to also when memory is short for a moment: in a container that is at its limit the system has none to
/// keep what is written, until the task that took it all is stopped.
struct WithMemory<'f>(&'f File);

impl WithMemory<'_> {
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(20);
}

impl Write for WithMemory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let begun = Instant::now();
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == ErrorKind::OutOfMemory && begun.elapsed() < Self::PATIENCE => {
                    std::thread::sleep(Self::PAUSE);
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Pulse for JournalWriter {
    type Mark = (u64, Option<Standing>);

    const NAME: &str = "the journal";

    /// With the counts of tasks; before these are known and after the stop record, as a blank line, which readers skip.
    fn beat(&mut self) -> io::Result<()> {
        match self.progress.clone().filter(|_| !self.is_ended) {
            Some(progress) => self.add(&Event::Alive(progress)),
            None => self.pending.push(b'\n'),
        }
        self.is_memory_told = true;
        self.commit()
    }

    fn begin_sync(&mut self) -> Option<(Arc<File>, Self::Mark)> {
        let mark = (self.length, self.progress.as_ref().map(LaunchProgress::standing));
        (self.reached.bytes < self.length).then(|| (Arc::clone(&self.file), mark))
    }

    fn end_sync(&mut self, (bytes, standing): Self::Mark, result: &io::Result<()>) {
        if result.is_err() {
            self.reached.is_doubtful = true;
        } else if bytes > self.reached.bytes && !self.reached.is_doubtful {
            let standing = standing.unwrap_or(self.reached.standing);
            self.reached = Reached { bytes, standing, is_doubtful: false };
        }
    }
}

/// Whether `check` is [`check_of`] the rest.
pub(super) fn is_check_of(check: &[u8], head: &[u8], record: &[u8]) -> bool {
    digest_of(head, record).to_hex().as_bytes()[..CHECK] == *check
}

/// The checksum which shows that neither a record nor the part before it was damaged or mixed with another line: the
/// first 16 hexadecimal digits of the BLAKE3 of the line up to the comma before `check`, and of the record.
pub(super) fn check_of(head: &[u8], record: &[u8]) -> String {
    digest_of(head, record).to_hex()[..CHECK].to_owned()
}

fn digest_of(head: &[u8], record: &[u8]) -> blake3::Hash {
    blake3::Hasher::new().update(head).update(record).finalize()
}

/// The length of a checksum in its text.
pub(super) const CHECK: usize = 16;

/// What stands between the members of an `end` line and its record.
pub(super) fn before_record(check: &str) -> String {
    format!(",\"check\":\"{check}\",\"record\":")
}

/// Refuses a line of another major version.
pub(super) fn refuse_other_version(path: &Path, version: u32, offset: u64) -> anyhow::Result<()> {
    anyhow::ensure!(
        VERSIONS.contains(&version),
        "the journal {} has a line of format version {version} (byte {offset}) and this canfar-run ({}) reads versions {} to {VERSION}: use the canfar-run that wrote it",
        path.display(),
        env!("CARGO_PKG_VERSION"),
        VERSIONS.start()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::JournalWriter;
    use crate::journal::event::TaskEnded;
    use crate::journal::reader;
    use crate::liveness::heartbeat::{Heartbeat, HeartbeatTimes};
    use crate::model::outcome::Status;
    use crate::threads::locked;

    #[test]
    fn a_journal_grows_during_long_work_and_records_lie_where_they_are_said_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.1.jsonl");
        let journal = Arc::new(Mutex::new(JournalWriter::create(&path, "run", 1).unwrap()));
        let (begun, millisecond) = (Instant::now(), Duration::from_millis(1));
        let times = HeartbeatTimes { interval: millisecond, timeout: Duration::from_secs(1) };
        let heartbeat = Heartbeat::start(Arc::clone(&journal), times, Box::new(|| true)).unwrap();
        while std::fs::metadata(&path).unwrap().len() < 3 {
            assert!(begun.elapsed() < Duration::from_mins(1), "it does not grow");
            std::thread::sleep(millisecond);
        }
        drop(heartbeat);
        let mut journal = locked(&journal);
        let ended = TaskEnded { index: 0, status: Some(Status::Ok), cause: None, ..TaskEnded::default() };
        let span = journal.add_end(ended, b"{\"n\":1}");
        journal.commit().unwrap();
        let text = std::fs::read(&path).unwrap();
        let at = usize::try_from(span.offset).unwrap();
        assert_eq!(&text[at..at + span.bytes as usize], b"{\"n\":1}");
        assert_eq!(reader::read(&path, &|| true, |_| {}).unwrap(), []);
    }
}

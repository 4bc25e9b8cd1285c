//! `logs/<id>.<launch>.log`: the kept output of a launch's tasks, packed into one file so that a million tasks don't make
//! a million files.
//!
//! An entry is a line of JSON (`index`, `attempt`, `path`, the lengths `stdout` and `stderr`), then those bytes, then a
//! line end.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::exit_code::CannotGoOn;
use crate::model::outcome::LogSpan;
use crate::store::layout::Layout;
use crate::store::regular;
use crate::text::PathText;

/// The first line of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// The task's index in the list.
    pub index: u64,
    /// Which attempt of it, from 1.
    pub attempt: u32,
    /// The file.
    #[serde(flatten)]
    pub path: PathText,
    /// Bytes of standard output that follow.
    pub stdout: u64,
    /// Bytes of standard error that follow those.
    pub stderr: u64,
}

/// A packed log being written; the file is made when the first entry comes.
#[derive(Debug)]
pub struct PackedLog {
    layout: Layout,
    path: PathBuf,
    file: Option<File>,
    length: u64,
}

impl PackedLog {
    /// Of one launch.
    pub fn new(layout: &Layout, replica_id: u32, launch: u32) -> Self {
        Self { path: layout.log(replica_id, launch), layout: layout.clone(), file: None, length: 0 }
    }

    /// Appends an entry: `head`, then what `copy` writes, which must be as long as the head says.
    ///
    /// # Errors
    /// When the log can't be written.
    pub fn append(
        &mut self,
        head: &LogHead,
        copy: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<LogSpan> {
        let offset = self.length;
        let mut counted = CountingWriter { file: self.open()?, written: 0 };
        let written = write_entry(&mut counted, head, copy);
        self.length = offset + counted.written;
        written?;
        let name = self.path.strip_prefix(self.layout.root()).unwrap_or(&self.path);
        Ok(LogSpan { file: name.to_string_lossy().into_owned(), offset, bytes: self.length - offset })
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            // Don't create parent folders: a results directory that was removed must not reappear half made.
            match std::fs::create_dir(self.layout.logs()) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            self.file = Some(OpenOptions::new().append(true).create(true).open(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("the log is not open"))
    }
}

fn write_entry(
    out: &mut impl Write,
    head: &LogHead,
    copy: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffered = io::BufWriter::with_capacity(64 * 1024, out);
    serde_json::to_writer(&mut buffered, head)?;
    buffered.write_all(b"\n")?;
    copy(&mut buffered)?;
    buffered.write_all(b"\n")?;
    buffered.flush()
}

struct CountingWriter<'a> {
    file: &'a mut File,
    written: u64,
}

impl Write for CountingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One of the two streams of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl OutputStream {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Stdout => "standard output",
            Self::Stderr => "standard error",
        }
    }
}

/// An entry of a packed log, to be read.
#[derive(Debug)]
pub struct KeptOutput {
    file: File,
    head: LogHead,
    /// Where standard output begins.
    body: u64,
}

impl KeptOutput {
    /// The output of an attempt that lies at `span` in the log at `path`.
    ///
    /// # Errors
    /// When it can't be read, or something else lies there.
    pub fn open(path: &Path, span: &LogSpan, index: u64, attempt: u32) -> anyhow::Result<Self> {
        let cannot = || format!("can't read the log {}", path.display());
        let mut file = regular::open(path).with_context(cannot)?;
        file.seek(SeekFrom::Start(span.offset)).with_context(cannot)?;
        let mut first = Vec::new();
        BufReader::new(&file).take(span.bytes).read_until(b'\n', &mut first).with_context(cannot)?;
        let head = serde_json::from_slice::<LogHead>(&first).ok().filter(|head| {
            let bytes =
                head.stdout.checked_add(head.stderr).and_then(|sum| sum.checked_add(first.len() as u64 + 1));
            (head.index, head.attempt, bytes) == (index, attempt, Some(span.bytes))
        });
        let length = file.metadata().with_context(cannot)?.len();
        let is_whole = head.is_some() && span.offset.checked_add(span.bytes).is_some_and(|end| end <= length);
        if !is_whole {
            bail!(CannotGoOn(format!(
                "the log {} does not hold attempt {attempt} of task {index} at byte {}, where the journal says it is: it was truncated or edited",
                path.display(),
                span.offset
            )));
        }
        let head = head.context("no entry")?;
        Ok(Self { file, head, body: span.offset + first.len() as u64 })
    }

    /// Length of a stream, bytes.
    pub fn bytes(&self, stream: OutputStream) -> u64 {
        match stream {
            OutputStream::Stdout => self.head.stdout,
            OutputStream::Stderr => self.head.stderr,
        }
    }

    /// A stream from its beginning.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn read(&mut self, stream: OutputStream) -> io::Result<impl Read + '_> {
        let begin = match stream {
            OutputStream::Stdout => self.body,
            OutputStream::Stderr => self.body + self.head.stdout,
        };
        self.file.seek(SeekFrom::Start(begin))?;
        let bytes = self.bytes(stream);
        Ok((&mut self.file).take(bytes))
    }

    /// The last bytes of a stream, at most this many.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn end(&mut self, stream: OutputStream, most: u64) -> io::Result<Vec<u8>> {
        let bytes = self.bytes(stream);
        let begin = match stream {
            OutputStream::Stdout => self.body,
            OutputStream::Stderr => self.body + self.head.stdout,
        };
        self.file.seek(SeekFrom::Start(begin + bytes.saturating_sub(most)))?;
        let mut end = Vec::new();
        (&mut self.file).take(bytes.min(most)).read_to_end(&mut end)?;
        Ok(end)
    }
}

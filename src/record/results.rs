//! `container_<id>_results.json`: a JSON array of a replica's ok records, one a line, in list order. Derived from the
//! journals, written whole or not at all.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::journal::event::ResultsWritten;
use crate::journal::record_reader::Records;
use crate::journal::state::JournalState;
use crate::journal::task_states::TaskNote;
use crate::model::counts::TaskState;
use crate::model::index_ranges::IndexRanges;
use crate::record::task_record;
use crate::store::atomic_file::{AtomicFile, FinishedFile};
use crate::store::layout::{Layout, ResultsName};
use crate::store::regular;

/// An array of records, one a line, in the making: what replicas and `merge` write.
#[derive(Debug)]
pub struct ArrayWriter<W> {
    out: W,
    records: u64,
}

impl<W: Write> ArrayWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, records: 0 }
    }

    /// Adds a record, one line of JSON.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn record(&mut self, record: &[u8]) -> io::Result<()> {
        self.begin_joined(1)?;
        self.out.write_all(record)
    }

    /// Adds this many records that are already joined as in such an array; [`Self::piece`] then gives their text.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn begin_joined(&mut self, records: u64) -> io::Result<()> {
        if records > 0 {
            self.out.write_all(if self.records == 0 { OPENING } else { BETWEEN })?;
            self.records += records;
        }
        Ok(())
    }

    /// A piece of records that were begun together.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn piece(&mut self, text: &[u8]) -> io::Result<()> {
        self.out.write_all(text)
    }

    /// Closes the array; gives what it was written to, and how many records it has.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.out.write_all(if self.records == 0 { EMPTY } else { CLOSING })?;
        Ok((self.out, self.records))
    }
}

/// Before the first record, between two, after the last, and where there is none.
const OPENING: &[u8] = b"[\n";
pub(crate) const BETWEEN: &[u8] = b",\n";
const CLOSING: &[u8] = b"\n]\n";
const EMPTY: &[u8] = b"[]\n";

/// The range of the records in a non-empty array of this many bytes.
pub(crate) fn body(length: u64) -> std::ops::Range<u64> {
    OPENING.len() as u64..length.saturating_sub(CLOSING.len() as u64)
}

/// Writes and digests what is written, in pieces that are long enough for the digest to be quick.
#[derive(Debug)]
struct DigestWriter<W: Write> {
    out: W,
    hasher: blake3::Hasher,
    pending: Vec<u8>,
}

/// Several of BLAKE3's chunks are digested at a time.
const PIECE: usize = 64 * 1024;

impl<W: Write> DigestWriter<W> {
    fn new(out: W) -> Self {
        Self { out, hasher: blake3::Hasher::new(), pending: Vec::with_capacity(PIECE) }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.hasher.update(&self.pending);
        self.out.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// What it was written to, the number of bytes, and their digest.
    fn finish(mut self) -> io::Result<(W, u64, blake3::Hash)> {
        self.pass_on()?;
        Ok((self.out, self.hasher.count(), self.hasher.finalize()))
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PIECE {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.out.flush()
    }
}

/// A results file that is written and synced, and has only to be put at its place.
#[derive(Debug)]
pub struct PreparedResults {
    file: FinishedFile,
    written: ResultsWritten,
}

impl PreparedResults {
    /// Puts it at its place, over an older one.
    ///
    /// # Errors
    /// When it can't be; an older one then stays.
    pub fn put(self) -> anyhow::Result<ResultsWritten> {
        let path = self.file.target().to_owned();
        self.file.replace().with_context(|| format!("can't write the results file {}", path.display()))?;
        Ok(self.written)
    }
}

/// Prepares a replica's results file from what its journals hold.
///
/// # Errors
/// When journals can't be read or the file can't be written.
pub fn prepare(layout: &Layout, replica_id: u32, state: &JournalState) -> anyhow::Result<PreparedResults> {
    let path = layout.results(replica_id);
    let failed = || format!("can't write the results file {}", path.display());
    let mut records = Records::new(layout.clone());
    let mut array = ArrayWriter::new(DigestWriter::new(AtomicFile::create(&path).with_context(failed)?));
    let is_ok = |(_, note): &(u64, TaskNote)| note.state == TaskState::Ok;
    for (_, note) in state.tasks.all().filter(is_ok) {
        array.record(records.read(note)?.unwrap_or_default()).with_context(failed)?;
    }
    let (digest, records) = array.finish().with_context(failed)?;
    let (file, bytes, blake3) = digest.finish().with_context(failed)?;
    let (file, blake3) = (file.finish().with_context(failed)?, blake3.to_hex().to_string());
    let tasks = Some(IndexRanges::of(state.tasks.all().filter(is_ok).map(|(index, _)| index)));
    let without_result = state.tasks.without_result().count() as u64;
    Ok(PreparedResults { file, written: ResultsWritten { records, without_result, bytes, blake3, tasks } })
}

/// Makes sure that a replica's results file can be written, before there is anything to write.
///
/// # Errors
/// When it can't.
pub fn try_place(layout: &Layout, replica_id: u32) -> anyhow::Result<()> {
    let path = layout.results(replica_id);
    let Err(error) = AtomicFile::create(&path) else { return Ok(()) };
    let advice = if error.kind() == io::ErrorKind::PermissionDenied {
        let root = layout.root().display();
        format!(" (permission denied; the folder's owner can give the group access: chmod -R g+rwX {root})")
    } else {
        String::new()
    };
    Err(error).with_context(|| format!("can't write the results file {}{advice}", path.display()))
}

/// Whether the results file of a replica is the one that `promised` describes.
///
/// # Errors
/// When it is there and can't be read.
pub fn matches_digest(layout: &Layout, replica_id: u32, promised: &ResultsWritten) -> io::Result<bool> {
    let file = match regular::open(&layout.results(replica_id)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() != promised.bytes {
        return Ok(false);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(hasher.finalize().to_hex().as_str() == promised.blake3)
}

/// Whether a results file may be replaced by run `run`: it is not there, or its first record is of that run, or it is
/// the empty array. Anything else is a user's data.
///
/// # Errors
/// When it can't be read.
pub fn may_be_replaced(layout: &Layout, replica_id: u32, run: &str) -> io::Result<bool> {
    let mut reader = match regular::open(&layout.results(replica_id)) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let mut line = Vec::new();
    reader.by_ref().take(LONGEST_OPENING).read_until(b'\n', &mut line)?;
    match line.trim_ascii() {
        b"[]" => return Ok(true),
        b"[" => {}
        _ => return Ok(false),
    }
    let end = end_of_line(&mut reader)?;
    let record = end.trim_ascii_end();
    Ok(task_record::run_at_end(record.strip_suffix(b",").unwrap_or(record)).as_deref() == Some(run))
}

/// More than the brackets that a file of ours opens with; a foreign one may be a single line of any length.
const LONGEST_OPENING: u64 = 64;

/// What canfar-run adds to a record is shorter than this: a path that a command can be given has at most 128 KiB, of which
/// a byte takes at most six in JSON.
const LONGEST_META: usize = 1024 * 1024;

/// The last [`LONGEST_META`] bytes or more of the next line, in memory that does not grow with it.
fn end_of_line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut end = Vec::new();
    loop {
        let read = reader.fill_buf()?;
        let line_end = memchr::memchr(b'\n', read);
        let part = &read[..line_end.unwrap_or(read.len())];
        let used = part.len() + usize::from(line_end.is_some());
        end.extend_from_slice(part);
        reader.consume(used);
        if line_end.is_some() || used == 0 {
            return Ok(end);
        }
        if end.len() > 2 * LONGEST_META {
            end.drain(..end.len() - LONGEST_META);
        }
    }
}

/// The first results file of a replica 1..=`replica_count` that contains a user's data, before any run has begun.
///
/// # Errors
/// When the results directory or such a file can't be read.
pub fn find_foreign(layout: &Layout, replica_count: u32) -> io::Result<Option<PathBuf>> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(layout.root())? {
        if let Some(ResultsName::Id(id)) = ResultsName::parse(&entry?.file_name()) {
            ids.extend(u32::try_from(id).ok().filter(|id| (1..=replica_count).contains(id)));
        }
    }
    ids.sort_unstable();
    for id in ids {
        // No run has an empty id.
        if !may_be_replaced(layout, id, "")? {
            return Ok(Some(layout.results(id)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::{LONGEST_META, end_of_line, may_be_replaced};
    use crate::store::layout::Layout;

    fn may_replace(text: impl AsRef<[u8]>) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        std::fs::write(layout.results(1), text).unwrap();
        may_be_replaced(&layout, 1, "ours").unwrap()
    }

    #[test]
    fn only_an_empty_array_or_records_of_this_run_may_be_replaced() {
        let record =
            |run: &str| format!("[\n{{\"file\":\"a\",\"canfar_run\":{{\"run\":\"{run}\",\"index\":0}}}}");
        for ours in ["[]\n".to_owned(), record("ours") + "\n]\n", record("ours") + ",\n{}\n]\n"] {
            assert!(may_replace(&ours), "{ours}");
        }
        let quoted = "[\n{\"file\":\",\\\"canfar_run\\\":{\\\"run\\\":\\\"ours\\\"}}\"}\n]\n".to_owned();
        let nested = "[\n{\"a\":{\"b\":1,\"canfar_run\":{\"run\":\"ours\"}},\"c\":{}}\n]\n".to_owned();
        for foreign in [String::new(), "[{}]".into(), "[\n1\n]".into(), record("other"), quoted, nested] {
            assert!(!may_replace(&foreign), "{foreign}");
        }
    }

    #[test]
    fn a_record_longer_than_what_is_kept_of_it_is_still_ours() {
        let long = "x".repeat(3 * LONGEST_META);
        assert!(may_replace(format!("[\n{{\"s\":\"{long}\",\"canfar_run\":{{\"run\":\"ours\"}}}}\n]\n")));
        assert!(!may_replace(format!("[\n{{\"s\":\"{long}\",\"canfar_run\":{{\"run\":\"other\"}}}}\n]\n")));
    }

    #[test]
    fn of_a_long_line_no_more_than_its_end_is_kept() {
        let line = std::io::repeat(b'x').take(10 * LONGEST_META as u64).chain(&b"end\nnext"[..]);
        let end = end_of_line(&mut BufReader::new(line)).unwrap();
        assert!(end.ends_with(b"xend") && end.capacity() < 5 * LONGEST_META, "{}", end.capacity());
    }
}

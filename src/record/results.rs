//! `container_<id>_results.json`: a JSON array of a replica's ok records, one a line, in list order. Derived from the
//! journals, written whole or not at all.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::event::ResultsWritten;
use crate::record::atomic_file::AtomicFile;
use crate::record::history::{History, Known, Records};
use crate::record::layout::{Layout, ResultsName};

/// An array of records, one a line, in the making: what replicas and `merge` write.
#[derive(Debug)]
pub struct ArrayWriter<W> {
    out: W,
    records: u64,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl<W: Write> ArrayWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, records: 0, bytes: 0, hasher: blake3::Hasher::new() }
    }

    /// Adds a record, one line of JSON.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn record(&mut self, record: &[u8]) -> io::Result<()> {
        self.put(if self.records == 0 { b"[\n" } else { b",\n" })?;
        self.records += 1;
        self.put(record)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Closes the array.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(mut self) -> io::Result<(W, ResultsWritten)> {
        self.put(if self.records == 0 { b"[]\n" } else { b"\n]\n" })?;
        let blake3 = self.hasher.finalize().to_hex().to_string();
        Ok((self.out, ResultsWritten { records: self.records, bytes: self.bytes, blake3 }))
    }
}

/// Writes a replica's results file from what its journals hold.
///
/// # Errors
/// When journals can't be read or the file can't be written; an older one then stays.
pub fn write(layout: &Layout, replica_id: u32, history: &History) -> anyhow::Result<ResultsWritten> {
    let path = layout.results(replica_id);
    let failed = || format!("can't write the results file {}", path.display());
    let mut records = Records::new(layout.clone(), replica_id);
    let mut array = ArrayWriter::new(AtomicFile::create(&path).with_context(failed)?);
    let mut buffer = Vec::new();
    for (_, note) in history.tasks().filter(|(_, note)| note.known == Known::Ok) {
        records.read(note, &mut buffer)?;
        array.record(&buffer).with_context(failed)?;
    }
    let (file, written) = array.finish().with_context(failed)?;
    file.replace().with_context(failed)?;
    Ok(written)
}

/// Makes sure that a replica's results file can be written, before there is anything to write.
///
/// # Errors
/// When it can't.
pub fn try_place(layout: &Layout, replica_id: u32) -> anyhow::Result<()> {
    let path = layout.results(replica_id);
    AtomicFile::create(&path).with_context(|| format!("can't write the results file {}", path.display()))?;
    Ok(())
}

/// Whether the results file of a replica is the one that `promised` describes.
///
/// # Errors
/// When it is there and can't be read.
pub fn is_as_promised(layout: &Layout, replica_id: u32, promised: &ResultsWritten) -> io::Result<bool> {
    let file = match File::open(layout.results(replica_id)) {
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
/// the empty array. Anything else is somebody's data.
///
/// # Errors
/// When it can't be read.
pub fn may_be_replaced(layout: &Layout, replica_id: u32, run: &str) -> io::Result<bool> {
    let mut reader = match File::open(layout.results(replica_id)) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    match line.trim_ascii() {
        b"[]" => return Ok(true),
        b"[" => {}
        _ => return Ok(false),
    }
    line.clear();
    reader.read_until(b'\n', &mut line)?;
    let record = line.trim_ascii();
    Ok(crate::record::item::run_of(record.strip_suffix(b",").unwrap_or(record)).as_deref() == Some(run))
}

/// The first results file of a replica 1..=`replica_count` that holds somebody's data, where no run has begun yet.
///
/// # Errors
/// When the results directory or such a file can't be read.
pub fn stranger(layout: &Layout, replica_count: u32) -> io::Result<Option<PathBuf>> {
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

//! The forms of merged results: a JSON array, JSON lines, or a CSV table, by the extension of their name.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::merge::csv_table::Table;
use crate::record::atomic_file::AtomicFile;
use crate::record::results::ArrayWriter;

/// How merged results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON array, one record a line.
    Json,
    /// A record a line.
    JsonLines,
    /// A table.
    Csv,
}

impl Format {
    /// By extension; JSON for all that is neither `.jsonl` nor `.csv`.
    pub fn of(name: &Path) -> Self {
        match name.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl" | "ndjson") => Self::JsonLines,
            Some("csv") => Self::Csv,
            _ => Self::Json,
        }
    }
}

/// The name of results that are not complete: `final_results.partial.json`.
pub fn partial_name(name: &Path) -> PathBuf {
    let mut partial: OsString = name.file_stem().unwrap_or_default().to_owned();
    partial.push(".partial");
    if let Some(extension) = name.extension() {
        partial.push(".");
        partial.push(extension);
    }
    name.with_file_name(partial)
}

/// Merged results being written.
#[derive(Debug)]
pub(super) enum Output {
    Json(Box<ArrayWriter<AtomicFile>>),
    JsonLines(AtomicFile),
    Csv(Box<Table<AtomicFile>>),
}

impl Output {
    /// `columns` are those of a table, found before.
    pub(super) fn create(path: &Path, columns: Option<super::csv_table::Columns>) -> io::Result<Self> {
        let file = AtomicFile::create(path)?;
        Ok(match (Format::of(path), columns) {
            (Format::Csv, columns) => Self::Csv(Box::new(Table::begin(file, columns.unwrap_or_default())?)),
            (Format::JsonLines, _) => Self::JsonLines(file),
            (Format::Json, _) => Self::Json(Box::new(ArrayWriter::new(file))),
        })
    }

    pub(super) fn record(&mut self, record: &[u8]) -> io::Result<()> {
        match self {
            Self::Json(array) => array.record(record),
            Self::JsonLines(file) => file.write_all(record).and_then(|()| file.write_all(b"\n")),
            Self::Csv(table) => table.record(record),
        }
    }

    /// Whether it is an array, which records can be added to that are joined already.
    pub(super) fn is_array(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// To an array, adds so many records whose text [`Self::piece`] then gives.
    pub(super) fn begin_joined(&mut self, records: u64) -> io::Result<()> {
        self.array()?.begin_joined(records)
    }

    pub(super) fn piece(&mut self, text: &[u8]) -> io::Result<()> {
        self.array()?.piece(text)
    }

    fn array(&mut self) -> io::Result<&mut ArrayWriter<AtomicFile>> {
        match self {
            Self::Json(array) => Ok(array),
            Self::JsonLines(_) | Self::Csv(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Json(array) => array.finish()?.0.replace(),
            Self::JsonLines(file) => file.replace(),
            Self::Csv(table) => table.finish()?.replace(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Format, partial_name};

    #[test]
    fn the_extension_says_the_format_and_partial_goes_before_it() {
        for (name, format, partial) in [
            ("a/final_results.json", Format::Json, "a/final_results.partial.json"),
            ("x.jsonl", Format::JsonLines, "x.partial.jsonl"),
            ("x.csv", Format::Csv, "x.partial.csv"),
            ("x", Format::Json, "x.partial"),
        ] {
            assert_eq!(Format::of(Path::new(name)), format);
            assert_eq!(partial_name(Path::new(name)), Path::new(partial));
        }
    }
}

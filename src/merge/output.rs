//! The formats of merged results: a JSON array, JSON lines, or a table, depending on the file extension.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::merge::columns::Columns;
use crate::merge::csv_table::CsvTable;
use crate::record::destination::{Destination, OutputFile};
use crate::record::results::ArrayWriter;

/// How merged results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON array, one record a line.
    Json,
    /// A record a line.
    JsonLines,
    /// A table, its cells separated by commas.
    Csv,
    /// A table, its cells separated by tabs.
    Tsv,
}

/// No form of results has this extension.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "results can't be written as .{extension}: the name has to end in .json, .jsonl, .csv or .tsv (without an extension they are JSON)"
)]
pub struct UnknownFormat {
    extension: String,
}

impl Format {
    /// By extension, in any case; JSON where there is none, as for standard output.
    ///
    /// # Errors
    /// When there is another extension.
    pub fn of(destination: &Destination) -> Result<Self, UnknownFormat> {
        let Some(extension) = destination.path().and_then(Path::extension) else { return Ok(Self::Json) };
        let extension = extension.to_string_lossy();
        match extension.to_ascii_lowercase().as_str() {
            "json" => Ok(Self::Json),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tsv),
            _ => Err(UnknownFormat { extension: crate::units::printable(&extension) }),
        }
    }

    /// What is between the cells of a table; `None` for what is no table.
    pub(super) fn delimiter(self) -> Option<u8> {
        match self {
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
            Self::Json | Self::JsonLines => None,
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
pub(super) enum TableOutput<'o> {
    Json(Box<ArrayWriter<OutputFile<'o>>>),
    JsonLines(OutputFile<'o>),
    CsvTable(Box<CsvTable<OutputFile<'o>>>),
}

impl<'o> TableOutput<'o> {
    /// `columns` are those of a table, found before.
    pub(super) fn begin(file: OutputFile<'o>, format: Format, columns: Option<Columns>) -> io::Result<Self> {
        if let Some(delimiter) = format.delimiter() {
            let columns = columns.unwrap_or_else(Columns::new);
            return Ok(Self::CsvTable(Box::new(CsvTable::begin(file, delimiter, columns)?)));
        }
        Ok(match format {
            Format::JsonLines => Self::JsonLines(file),
            _ => Self::Json(Box::new(ArrayWriter::new(file))),
        })
    }

    pub(super) fn record(&mut self, record: &[u8]) -> io::Result<()> {
        match self {
            Self::Json(array) => array.record(record),
            Self::JsonLines(file) => file.write_all(record).and_then(|()| file.write_all(b"\n")),
            Self::CsvTable(table) => table.record(record),
        }
    }

    /// Whether it is an array, which records can be added to that are joined already.
    pub(super) fn is_array(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// For an array: adds this many records; [`Self::piece`] then gives their text.
    pub(super) fn begin_joined(&mut self, records: u64) -> io::Result<()> {
        self.array()?.begin_joined(records)
    }

    pub(super) fn piece(&mut self, text: &[u8]) -> io::Result<()> {
        self.array()?.piece(text)
    }

    fn array(&mut self) -> io::Result<&mut ArrayWriter<OutputFile<'o>>> {
        match self {
            Self::Json(array) => Ok(array),
            Self::JsonLines(_) | Self::CsvTable(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Json(array) => array.finish()?.0.finish(),
            Self::JsonLines(file) => file.finish(),
            Self::CsvTable(table) => table.finish()?.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Format, partial_name};
    use crate::record::destination::Destination;

    fn format(name: &str) -> Result<Format, String> {
        Format::of(&Destination::Path(name.into())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_extension_says_the_format_and_partial_goes_before_it() {
        for (name, expected, partial) in [
            ("a/final_results.json", Format::Json, "a/final_results.partial.json"),
            ("x.jsonl", Format::JsonLines, "x.partial.jsonl"),
            ("x.NDJSON", Format::JsonLines, "x.partial.NDJSON"),
            ("x.csv", Format::Csv, "x.partial.csv"),
            ("x.CSV", Format::Csv, "x.partial.CSV"),
            ("a.b.Tsv", Format::Tsv, "a.b.partial.Tsv"),
            ("x", Format::Json, "x.partial"),
            (".csv", Format::Json, ".csv.partial"),
        ] {
            assert_eq!(format(name), Ok(expected));
            assert_eq!(partial_name(Path::new(name)), Path::new(partial));
        }
        assert_eq!(Format::of(&Destination::Stdout), Ok(Format::Json));
    }

    #[test]
    fn an_unknown_extension_is_an_error_that_names_those_that_exist() {
        for (name, extension) in
            [("x.csv.gz", ".gz"), ("x.parquet", ".parquet"), ("x.txt", ".txt"), ("x.", ".")]
        {
            let error = format(name).unwrap_err();
            assert!(error.contains(&format!("as {extension}: ")), "{error}");
            assert!(error.contains(".json, .jsonl, .csv or .tsv"), "{error}");
        }
    }
}

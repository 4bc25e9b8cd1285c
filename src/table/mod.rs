//! Reading a table (`--table`): each row becomes an entry with a JSON object, whatever the file's format is.

mod columns;
mod delimited;
mod ecsv;
mod error;
mod json_lines;
mod quotes;
mod source;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use error::TableError;
pub use source::TableSource;

use crate::model::entries::{Entries, Entry};
use crate::model::row::Column;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// What astropy writes: separated values below a header with their types.
    Ecsv,
    /// A JSON object per line.
    JsonLines,
}

impl TableFormat {
    /// By a file's extension, in any case.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "ecsv" => Some(Self::Ecsv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }

    /// By how the text begins, where there is no name, or one that says less: an ECSV file may be called `.csv`.
    fn seen_in(self, start: &[u8]) -> Self {
        if start.starts_with(ecsv::MAGIC) { Self::Ecsv } else { self }
    }

    /// By how the text begins.
    fn guessed(start: &[u8]) -> Self {
        let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match line.trim_ascii_start().first() {
            Some(b'{') => Self::JsonLines,
            _ if line.contains(&b'\t') && !line.contains(&b',') => Self::Tsv,
            _ => Self::Csv,
        }
    }
}

impl fmt::Display for TableFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Ecsv => "ECSV",
            Self::JsonLines => "JSON lines",
        })
    }
}

/// A table that was read.
#[derive(Debug, Default)]
pub struct Table {
    /// Its rows: each is called by its label, and has its JSON object.
    pub entries: Entries,
    /// Its columns, in the order of the members of each row.
    pub columns: Vec<Column>,
    /// What the user should know of how it was read.
    pub notes: Vec<String>,
}

/// Reads a table. Twice: what is a number is known only at its end.
///
/// # Errors
/// What is wrong with it, with the line.
pub fn read(source: &mut TableSource<'_>) -> Result<Table, TableError> {
    let start = source.start()?;
    let format = match source.format() {
        Some(format) => format.seen_in(&start),
        None => TableFormat::guessed(&start).seen_in(&start),
    };
    match format {
        TableFormat::JsonLines => json_lines::read(source),
        TableFormat::Csv => delimited::read(source, b',', None),
        TableFormat::Tsv => delimited::read(source, b'\t', None),
        TableFormat::Ecsv => ecsv::read(source),
    }
}

/// The columns of which the first one that there is says what a row is called.
const LABELS: [&str; 4] = ["file", "path", "name", "id"];

/// Rows on their way into the list.
#[derive(Debug, Default)]
struct Rows {
    entries: Entries,
    /// The column by whose cells they are called; `None`: by their index.
    label: Option<usize>,
}

impl Rows {
    /// None yet, of a table with these columns.
    fn of(columns: &[Column]) -> Self {
        let label = LABELS.iter().find_map(|label| columns.iter().position(|column| column.name == *label));
        Self { entries: Entries::default(), label }
    }

    /// Adds one, whose label column has this text. Whoever has none is called by its index.
    fn push(&mut self, label: Option<&str>, row: &[u8]) -> Result<(), crate::model::entries::TooLong> {
        let index = self.entries.len().to_string();
        let label = label.filter(|label| !label.is_empty()).unwrap_or(&index);
        self.entries.push(Entry { row: Some(row), ..Entry::of(OsStr::from_bytes(label.as_bytes())) })
    }

    fn into_table(mut self, columns: Vec<Column>, notes: Vec<String>) -> Table {
        self.entries.shrink();
        Table { entries: self.entries, columns, notes }
    }
}

#[cfg(test)]
mod tests;

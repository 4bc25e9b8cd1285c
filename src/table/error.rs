//! Why a table can't be used, where that is, and what to write instead.

use std::io;

use thiserror::Error;

use crate::encoding::ForeignEncoding;
use crate::model::entries::TooLong;

/// What is wrong with a table, with its name and the line.
#[derive(Debug, Error)]
pub enum TableError {
    /// It can't be opened or read.
    #[error("can't read the table {name} (--table): {cause}")]
    Unreadable {
        /// What it is called.
        name: String,
        /// Why.
        cause: io::Error,
    },
    /// It is no UTF-8.
    #[error("the table {name} {encoding}")]
    Encoding {
        /// What it is called.
        name: String,
        /// What it is instead.
        encoding: ForeignEncoding,
    },
    /// Something is wrong with it as a whole.
    #[error("the table {name} {fault}")]
    Whole {
        /// What it is called.
        name: String,
        /// What is wrong.
        fault: TableFault,
    },
    /// Something is wrong with a line.
    #[error("{name}:{line}: {fault}")]
    Line {
        /// What it is called.
        name: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        fault: TableFault,
    },
}

/// What can be wrong with a table. Names and cells are as people are shown them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TableFault {
    /// Nothing is in it.
    #[error("is empty: it begins with a line of column names, and has a row for each task")]
    Empty,
    /// No column can be named.
    #[error("has no column with a name: write one at the top of each column")]
    NoColumn,
    /// It is another one than at the first reading.
    #[error("was changed while it was read: launch again once it is written")]
    Changed,
    /// A name of a column that can't be one.
    #[error("column {place} is called `{name}`, {why}: give it another name")]
    BadName {
        /// From 1.
        place: usize,
        /// The name.
        name: String,
        /// Why it can't be.
        why: BadName,
    },
    /// Two columns have one name.
    #[error("columns {first} and {second} are both called `{name}`: give each its own name")]
    Duplicate {
        /// From 1.
        first: usize,
        /// From 1.
        second: usize,
        /// Their name.
        name: String,
    },
    /// A row is too short or too long.
    #[error(
        "this row has {found}, and the header {expected}: {}",
        if found < expected { "fill in what is missing (a cell may be empty)" } else { "put a cell with the delimiter in it in quotes (\"a,b\")" }
    )]
    Fields {
        /// How many it has.
        found: Fields,
        /// How many there are columns.
        expected: Fields,
    },
    /// A quote that is never closed.
    #[error(
        "the quote that begins here is never closed: add the closing one, or write a quote in a cell twice (\"\")"
    )]
    OpenQuote,
    /// Something follows a closing quote.
    #[error(
        "in this line something follows a closing quote: a quoted cell ends with its quote, and a quote in it is written twice (\"\")"
    )]
    AfterQuote,
    /// A NUL byte.
    #[error("this line has a NUL byte in it, which no command can be given: take it out")]
    Nul,
    /// Bytes that are no UTF-8.
    #[error(
        "this line is not UTF-8: save the table as UTF-8 (`iconv -f latin1 -t UTF-8 FILE > NEW`, if it is Latin-1)"
    )]
    NotUtf8,
    /// A line of JSON lines that is no object.
    #[error("this line is no JSON object: {0}. Each line is one, such as {{\"seed\": 1, \"alpha\": 0.5}}")]
    NotJson(String),
    /// A header of ECSV that is none.
    #[error("this is no header of an ECSV table: {0}. astropy writes one (`table.write('params.ecsv')`)")]
    EcsvHeader(String),
    /// Names of columns that are others than those of the header.
    #[error("the column names here are not those of the header above: {0}")]
    EcsvNames(String),
    /// A cell that is not of its column's type.
    #[error("`{cell}` in the column `{column}` is no {datatype}, which the header says it is: change either")]
    EcsvCell {
        /// The cell.
        cell: String,
        /// The column.
        column: String,
        /// Its type.
        datatype: String,
    },
    /// More than can be kept.
    #[error(transparent)]
    TooLong(#[from] TooLongRow),
}

/// A row of more than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this row is too long: {0}")]
pub struct TooLongRow(pub TooLong);

/// Why a column can't have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadName {
    /// It is canfar-run's own in a record.
    #[error("which is canfar-run's own key in a record")]
    Reserved,
    /// It means something else in a command.
    #[error("which is a placeholder of every run")]
    Placeholder,
    /// Blanks are around it.
    #[error("with a blank at its beginning or end")]
    Blank,
}

/// So many fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fields(pub usize);

impl std::fmt::Display for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::units::count(self.0 as u64, "field"))
    }
}

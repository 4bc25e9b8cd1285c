//! Tables of separated values: CSV, TSV, and what stands below the header of ECSV.

use csv::{ByteRecord, ReaderBuilder};

use super::columns::{NamedColumns, shown};
use super::error::{Fields, TableError, TableFault, TooLongRow};
use super::quotes::{QuoteCheck, QuoteFault};
use super::source::TableSource;
use super::{Rows, Table};
use crate::model::row::{Column, is_number};

/// What an ECSV header says about the columns, in their order.
pub(super) struct Declared {
    /// How many lines the header takes.
    pub(super) lines: u64,
    /// Their names and types.
    pub(super) columns: Vec<(String, CellType)>,
}

/// What the cells of a column are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CellType {
    /// Text.
    Text,
    /// Numbers; an empty cell is null.
    Numbers,
    /// Numbers of this type of ECSV, or `nan` and `inf`, which JSON does not have and which are text.
    Declared(String),
    /// `True` and `False`.
    Bool,
}

impl CellType {
    /// Appends a cell as JSON.
    fn write(&self, cell: &str, row: &mut Vec<u8>) -> Result<(), CellRefused> {
        match (self, cell) {
            (Self::Text, text) => write_text(row, text),
            (_, "") => row.extend_from_slice(b"null"),
            (Self::Numbers | Self::Declared(_), number) if is_number(number.as_bytes()) => {
                row.extend_from_slice(number.as_bytes());
            }
            (Self::Declared(datatype), text) if datatype.starts_with("float") && is_not_finite(text) => {
                write_text(row, text);
            }
            (Self::Bool, "True" | "true") => row.extend_from_slice(b"true"),
            (Self::Bool, "False" | "false") => row.extend_from_slice(b"false"),
            (Self::Numbers, _) => return Err(CellRefused::Changed),
            (Self::Declared(datatype), _) => return Err(CellRefused::Not(datatype.clone())),
            (Self::Bool, _) => return Err(CellRefused::Not("bool".to_owned())),
        }
        Ok(())
    }
}

/// Why a cell can't be one of its column.
enum CellRefused {
    /// It was a number when it was read first.
    Changed,
    /// It is not of this type.
    Not(String),
}

fn is_not_finite(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-']);
    ["nan", "inf", "infinity"].iter().any(|known| text.eq_ignore_ascii_case(known))
}

fn write_text(row: &mut Vec<u8>, text: &str) {
    // Written to memory, which has no way to fail.
    let written = serde_json::to_writer(&mut *row, text);
    debug_assert!(written.is_ok());
}

/// Reads values that this byte separates, below a header of ECSV if there is one.
///
/// # Errors
/// What is wrong with them, with the line.
pub(super) fn read(
    source: &mut TableSource<'_>,
    delimiter: u8,
    declared: Option<Declared>,
) -> Result<Table, TableError> {
    let reading = Reading { delimiter, header_lines: declared.as_ref().map_or(0, |declared| declared.lines) };
    let mut names = None;
    let mut are_numbers = Vec::new();
    reading.each(source, |source, line, record| {
        if names.is_none() {
            names = Some(named_columns(source, line, record, declared.as_ref())?);
            are_numbers = vec![true; record.len()];
            return Ok(());
        }
        for (is_number_so_far, cell) in are_numbers.iter_mut().zip(record) {
            *is_number_so_far &= cell.is_empty() || is_number(cell);
        }
        Ok(())
    })?;
    let names = names.ok_or_else(|| source.whole(TableFault::Empty))?;
    let cell_type = |numbers: bool| if numbers { CellType::Numbers } else { CellType::Text };
    let types: Vec<CellType> = match declared {
        Some(declared) => declared.columns.into_iter().map(|(_, cell_type)| cell_type).collect(),
        None => are_numbers.into_iter().map(cell_type).collect(),
    };
    rows(source, reading, &names, &types)
}

/// The second reading: the rows.
fn rows(
    source: &mut TableSource<'_>,
    reading: Reading,
    names: &NamedColumns,
    types: &[CellType],
) -> Result<Table, TableError> {
    let column = |(place, name): &(usize, String)| Column {
        name: name.clone(),
        numbers: matches!(types.get(*place), Some(CellType::Numbers | CellType::Declared(_))),
    };
    let columns: Vec<Column> = names.named.iter().map(column).collect();
    let keys: Vec<Vec<u8>> = columns.iter().map(|column| key(&column.name)).collect();
    let mut rows = Rows::of(&columns);
    let (mut row, mut is_header) = (Vec::new(), true);
    reading.each(source, |source, line, record| {
        if std::mem::take(&mut is_header) {
            return Ok(());
        }
        row.clear();
        row.push(b'{');
        for ((place, name), key) in names.named.iter().zip(&keys) {
            let cell = text_of(record, *place).ok_or_else(|| source.at(line, TableFault::Changed))?;
            let cell_type = types.get(*place).unwrap_or(&CellType::Text);
            row.extend_from_slice(key);
            cell_type.write(cell, &mut row).map_err(|refused| match refused {
                CellRefused::Changed => source.whole(TableFault::Changed),
                CellRefused::Not(datatype) => {
                    let (cell, column) = (shown(cell), shown(name));
                    source.at(line, TableFault::EcsvCell { cell, column, datatype })
                }
            })?;
            row.push(b',');
        }
        row.pop();
        row.push(b'}');
        let label = rows.label.and_then(|label| text_of(record, names.named[label].0));
        rows.push(label, &row).map_err(|error| source.at(line, TooLongRow(error).into()))
    })?;
    let notes = names.note(source.name()).into_iter().collect();
    Ok(rows.into_table(columns, notes))
}

/// A name as the key of a member.
fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    write_text(&mut key, name);
    key.push(b':');
    key
}

fn text_of(record: &ByteRecord, place: usize) -> Option<&str> {
    str::from_utf8(record.get(place)?).ok()
}

fn named_columns(
    source: &TableSource<'_>,
    line: u64,
    record: &ByteRecord,
    declared: Option<&Declared>,
) -> Result<NamedColumns, TableError> {
    let names: Vec<&str> = record.iter().filter_map(|name| str::from_utf8(name).ok()).collect();
    if let Some(Declared { columns, .. }) = declared
        && !columns.iter().map(|(name, _)| name.as_str()).eq(names.iter().copied())
    {
        return Err(source.at(line, TableFault::EcsvNames(shown(&names.join(", ")))));
    }
    NamedColumns::of(names).map_err(|fault| match fault {
        TableFault::NoColumn => source.whole(fault),
        fault => source.at(line, fault),
    })
}

/// How separated values are read.
#[derive(Clone, Copy)]
struct Reading {
    delimiter: u8,
    /// So many lines come before.
    header_lines: u64,
}

impl Reading {
    /// Gives each record to `take`, the names first, with the line in which it begins. All are as long as the first one.
    fn each(
        self,
        source: &mut TableSource<'_>,
        mut take: impl FnMut(&TableSource<'_>, u64, &ByteRecord) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let mut reader = source.reader().map_err(|cause| source.unreadable(cause))?;
        for _ in 0..self.header_lines {
            std::io::BufRead::skip_until(&mut reader, b'\n').map_err(|cause| source.unreadable(cause))?;
        }
        let check = QuoteCheck::new(reader, self.delimiter, self.header_lines + 1);
        let mut reader = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(check);
        let (mut record, mut expected, mut wrong) = (ByteRecord::new(), None, None);
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(source.unreadable(error.into())),
            }
            let line = record.position().map_or(0, csv::Position::line) + self.header_lines;
            // What is broken in its quotes makes rows that were not meant.
            if wrong.is_none() {
                let expected = *expected.get_or_insert(record.len());
                let checked = check_record(source, line, &record, expected);
                wrong = checked.and_then(|()| take(source, line, &record)).err();
            }
            if wrong.is_some() && reader.get_ref().fault().is_some() {
                break;
            }
        }
        match reader.get_ref().fault() {
            Some(fault) => Err(broken(source, fault)),
            None => wrong.map_or(Ok(()), Err),
        }
    }
}

fn check_record(
    source: &TableSource<'_>,
    line: u64,
    record: &ByteRecord,
    expected: usize,
) -> Result<(), TableError> {
    if record.iter().any(|cell| str::from_utf8(cell).is_err()) {
        return Err(source.at(line, TableFault::NotUtf8));
    }
    if record.len() != expected {
        let [found, expected] = [record.len(), expected].map(Fields);
        return Err(source.at(line, TableFault::Fields { found, expected }));
    }
    Ok(())
}

fn broken(source: &TableSource<'_>, fault: QuoteFault) -> TableError {
    match fault {
        QuoteFault::Open { line } => source.at(line, TableFault::OpenQuote),
        QuoteFault::After { line } => source.at(line, TableFault::AfterQuote),
        QuoteFault::Nul { line } => source.at(line, TableFault::Nul),
    }
}

//! The header of an ECSV table: comment lines with YAML that names the columns, their types and the delimiter.

use std::io::BufRead;

use serde::Deserialize;

use super::Table;
use super::delimited::{self, CellType, Declared};
use super::error::{TableError, TableFault};
use super::source::TableSource;

/// How such a file begins.
pub(super) const MAGIC: &[u8] = b"# %ECSV";

/// What of the header is needed.
#[derive(Deserialize)]
struct EcsvHeader {
    datatype: Vec<EcsvColumn>,
    /// Astropy leaves it out for a blank.
    #[serde(default = "blank")]
    delimiter: String,
}

#[derive(Deserialize)]
struct EcsvColumn {
    name: String,
    datatype: String,
}

fn blank() -> String {
    " ".to_owned()
}

impl EcsvColumn {
    fn cell_type(&self) -> CellType {
        let is_one_of = |starts: &[&str]| starts.iter().any(|start| self.datatype.starts_with(start));
        match self.datatype.as_str() {
            "bool" => CellType::Bool,
            _ if is_one_of(&["int", "uint", "float"]) => CellType::Declared(self.datatype.clone()),
            _ => CellType::Text,
        }
    }
}

/// Reads an ECSV table.
///
/// # Errors
/// What is wrong with it, with the line.
pub(super) fn read(source: &mut TableSource<'_>) -> Result<Table, TableError> {
    let (yaml, lines) = header(source)?;
    let wrong = |what: String| TableFault::EcsvHeader(what);
    let header: EcsvHeader = serde_saphyr::from_str(&yaml).map_err(|error| {
        source.at(1, wrong(error.to_string().lines().next().unwrap_or_default().to_owned()))
    })?;
    let delimiter = match header.delimiter.as_bytes() {
        [one] => *one,
        _ => return Err(source.at(1, wrong("its delimiter is not one character".to_owned()))),
    };
    let columns =
        header.datatype.into_iter().map(|column| (column.name.clone(), column.cell_type())).collect();
    delimited::read(source, delimiter, Some(Declared { lines, columns }))
}

/// The YAML of the header, and how many lines it takes.
fn header(source: &mut TableSource<'_>) -> Result<(String, u64), TableError> {
    let mut reader = source.reader().map_err(|cause| source.unreadable(cause))?;
    let (mut yaml, mut line) = (String::new(), Vec::new());
    for lines in 0.. {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|cause| source.unreadable(cause))?;
        let line = line.strip_prefix(crate::json::BYTE_ORDER_MARK).unwrap_or(&line);
        let Some(comment) = line.strip_prefix(b"#").filter(|_| read > 0) else { return Ok((yaml, lines)) };
        let comment = comment.strip_prefix(b" ").unwrap_or(comment);
        let text = str::from_utf8(comment).map_err(|_| source.at(lines + 1, TableFault::NotUtf8))?;
        // The first line is no YAML, `---` begins the document.
        if lines > 0 && text.trim_end() != "---" {
            yaml.push_str(text.trim_end_matches(['\n', '\r']));
            yaml.push('\n');
        }
    }
    Ok((yaml, 0))
}

//! Where the text of a table comes from: a file, or what can be read only once, which is kept in a temporary file meanwhile.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use super::TableFormat;
use super::error::{TableError, TableFault};
use crate::discover::InterruptibleReader;
use crate::encoding::ForeignEncoding;
use crate::json::BYTE_ORDER_MARK;

/// So much of the beginning tells what it is, bytes.
const START: u64 = 4096;

/// A table's text, to be read as often as need be.
pub struct TableSource<'a> {
    file: File,
    name: String,
    format: Option<TableFormat>,
    keep_going: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> TableSource<'a> {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// When it can't be opened, or what can be read only once can't be read or kept.
    pub fn open(path: &Path, keep_going: &'a (dyn Fn() -> bool + Sync)) -> Result<Self, TableError> {
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
        let opened = || -> io::Result<File> {
            let reader = if is_stdin {
                InterruptibleReader::standard_input(keep_going)
            } else {
                InterruptibleReader::open(path, keep_going)
            };
            seekable(reader?)
        };
        match opened() {
            Ok(file) => Ok(Self { file, name, format: TableFormat::of(path), keep_going }),
            Err(cause) => Err(TableError::Unreadable { name, cause }),
        }
    }

    /// What people know it as.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// By its name.
    pub(super) const fn format(&self) -> Option<TableFormat> {
        self.format
    }

    /// How it begins, without a byte order mark.
    ///
    /// # Errors
    /// When it can't be read, is empty, or is UTF-16.
    pub(super) fn start(&mut self) -> Result<Vec<u8>, TableError> {
        let mut start = Vec::new();
        let read = self.reader().and_then(|reader| reader.take(START).read_to_end(&mut start));
        read.map_err(|cause| self.unreadable(cause))?;
        match ForeignEncoding::of(&start) {
            Some(encoding @ ForeignEncoding::Utf16(_)) => {
                return Err(TableError::Encoding { name: self.name.clone(), encoding });
            }
            Some(ForeignEncoding::ByteOrderMark) => start.drain(..BYTE_ORDER_MARK.len()).for_each(drop),
            None => {}
        }
        if start.trim_ascii().is_empty() {
            return Err(self.whole(TableFault::Empty));
        }
        Ok(start)
    }

    /// Reads it from its beginning.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) fn reader(&mut self) -> io::Result<BufReader<InterruptibleReader<'a>>> {
        self.file.rewind()?;
        let reader = InterruptibleReader::of(self.file.try_clone()?, self.keep_going);
        Ok(BufReader::with_capacity(1 << 16, reader))
    }

    pub(super) fn unreadable(&self, cause: io::Error) -> TableError {
        TableError::Unreadable { name: self.name.clone(), cause }
    }

    pub(super) fn whole(&self, fault: TableFault) -> TableError {
        TableError::Whole { name: self.name.clone(), fault }
    }

    pub(super) fn at(&self, line: u64, fault: TableFault) -> TableError {
        TableError::Line { name: self.name.clone(), line, fault }
    }
}

/// The file, or a temporary one with all that can be read.
fn seekable(mut reader: InterruptibleReader<'_>) -> io::Result<File> {
    if reader.file().metadata()?.is_file() {
        return reader.file().try_clone();
    }
    let mut kept = tempfile::tempfile()?;
    io::copy(&mut reader, &mut kept)?;
    Ok(kept)
}

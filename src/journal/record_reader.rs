//! Records, read at the places in journals that a state noted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use anyhow::Context;

use crate::exit_code::CannotGoOn;
use crate::journal::task_states::TaskNote;
use crate::journal::writer::RecordSpan;
use crate::store::layout::Layout;

/// So much is read at a time of records that follow each other.
const AHEAD: usize = 64 * 1024;

/// The records of a run.
#[derive(Debug)]
pub struct Records {
    layout: Layout,
    /// By replica and launch.
    open: BTreeMap<(u32, u32), Window>,
}

impl Records {
    /// Of the run in a results directory.
    pub fn new(layout: Layout) -> Self {
        Self { layout, open: BTreeMap::new() }
    }

    /// The record of a task; `None` where it has none.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn read(&mut self, note: TaskNote) -> anyhow::Result<Option<&[u8]>> {
        if !note.has_record() {
            return Ok(None);
        }
        let (journal, RecordSpan { offset, bytes }) = note.place();
        let path = || self.layout.journal(journal.0, journal.1);
        let failed = || CannotGoOn(format!("can't read a record in the journal {}", path().display()));
        let window = match self.open.entry(journal) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(Window::new(File::open(path()).with_context(failed)?)),
        };
        window.read(offset, bytes as usize).with_context(failed).map(Some)
    }
}

/// A file with a part of it.
#[derive(Debug)]
struct Window {
    file: File,
    start: u64,
    part: Vec<u8>,
}

impl Window {
    fn new(file: File) -> Self {
        Self { file, start: 0, part: Vec::new() }
    }

    fn read(&mut self, offset: u64, bytes: usize) -> io::Result<&[u8]> {
        if self.within(offset, bytes).is_none() {
            // Where records come in another order than they lie in, what lies behind one is not the next one.
            let end = self.start + self.part.len() as u64;
            let follows = (self.start..end + AHEAD as u64).contains(&offset);
            self.load(offset, if follows { bytes.max(AHEAD) } else { bytes })?;
        }
        self.within(offset, bytes).map(|range| &self.part[range]).ok_or(ErrorKind::UnexpectedEof.into())
    }

    /// Where in the part so many bytes of the file are, if it has them.
    fn within(&self, offset: u64, bytes: usize) -> Option<Range<usize>> {
        let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        Some(at..at.checked_add(bytes)?).filter(|range| range.end <= self.part.len())
    }

    /// Takes in up to so many bytes: fewer where the file ends.
    fn load(&mut self, offset: u64, bytes: usize) -> io::Result<()> {
        self.start = offset;
        self.part.resize(bytes, 0);
        let mut filled = 0;
        while filled < bytes {
            match self.file.read_at(&mut self.part[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.part.clear();
                    return Err(error);
                }
            }
        }
        self.part.truncate(filled);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{AHEAD, Window};

    #[test]
    fn parts_are_read_in_any_order_and_never_beyond_the_end() {
        let text: Vec<u8> = (0..3 * AHEAD).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect();
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &text).unwrap();
        let mut window = Window::new(std::fs::File::open(path.path()).unwrap());
        for (at, bytes) in [
            (5, 10),
            (15, 10),
            (AHEAD + 10, 100),
            (2 * AHEAD, 10),
            (0, 2 * AHEAD),
            (7, 1),
            (3 * AHEAD - 4, 4),
        ] {
            assert_eq!(window.read(at as u64, bytes).unwrap(), &text[at..at + bytes], "{bytes} at {at}");
        }
        for (at, bytes) in [(3 * AHEAD - 4, 5), (4 * AHEAD, 1)] {
            let error = window.read(at as u64, bytes).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        }
        assert_eq!(window.read(3, 4).unwrap(), &text[3..7]);
    }
}

//! Reads records at the journal offsets that a `JournalState` has noted.

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

/// How much of consecutive records is read at a time.
const AHEAD: usize = 64 * 1024;

/// How many journals are open at a time: a replica's records may come from thousands of launches.
const MOST_OPEN: usize = 64;

/// The records of a run.
#[derive(Debug)]
pub struct Records {
    layout: Layout,
    /// By replica and launch.
    open: BTreeMap<(u32, u32), Window>,
    /// Records read so far.
    reads: u64,
}

impl Records {
    /// Of the run in a results directory.
    pub fn new(layout: Layout) -> Self {
        Self { layout, open: BTreeMap::new(), reads: 0 }
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
        self.make_room_for(journal);
        self.reads += 1;
        let path = || self.layout.journal(journal.0, journal.1);
        let failed = || CannotGoOn(format!("can't read a record in the journal {}", path().display()));
        let window = match self.open.entry(journal) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(Window::new(File::open(path()).with_context(failed)?)),
        };
        window.last_read = self.reads;
        window.read(offset, bytes as usize).with_context(failed).map(Some)
    }

    /// Closes the journal that was read longest ago, where this one would be one too many.
    fn make_room_for(&mut self, journal: (u32, u32)) {
        if self.open.len() < MOST_OPEN || self.open.contains_key(&journal) {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(_, window)| window.last_read).map(|(journal, _)| *journal);
        oldest.map(|journal| self.open.remove(&journal));
    }
}

/// A file with a part of it.
#[derive(Debug)]
struct Window {
    file: File,
    start: u64,
    part: Vec<u8>,
    /// How many records had been read of all journals when the last one of this was.
    last_read: u64,
}

impl Window {
    fn new(file: File) -> Self {
        Self { file, start: 0, part: Vec::new(), last_read: 0 }
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

    /// The position of a range of the file in the part, if it contains it.
    fn within(&self, offset: u64, bytes: usize) -> Option<Range<usize>> {
        let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        Some(at..at.checked_add(bytes)?).filter(|range| range.end <= self.part.len())
    }

    /// Reads up to this many bytes: fewer at the end of the file.
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
    use super::{AHEAD, MOST_OPEN, Records, Window};
    use crate::journal::event::TaskEnded;
    use crate::journal::state::{JournalState, RunRef};
    use crate::journal::writer::JournalWriter;
    use crate::model::blocks::BlockId;
    use crate::model::launch_id::LaunchId;
    use crate::model::outcome::Status;
    use crate::model::shares::Share;
    use crate::store::layout::Layout;

    #[test]
    fn records_of_more_journals_than_are_open_at_a_time_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        std::fs::create_dir_all(layout.journals()).unwrap();
        let journals = MOST_OPEN as u64 + 9;
        let launches: Vec<LaunchId> =
            (1..).take(MOST_OPEN + 9).map(|replica| LaunchId { replica, launch: 1 }).collect();
        for (at, id) in (0..).zip(&launches) {
            let mut journal = JournalWriter::create(&layout.journal(id.replica, 1), "run", 1).unwrap();
            for index in [at, at + journals] {
                let status = Some(Status::Ok);
                let ended = TaskEnded { index, status, cause: None, ..TaskEnded::default() };
                journal.add_end(ended, index.to_string().as_bytes());
            }
            journal.commit().unwrap();
        }
        let run = RunRef { id: "run", indices: 0..2 * journals };
        let block = (BlockId { round: 0, share: 1 }, Share::Range(0..2 * journals));
        let state =
            JournalState::of_blocks(&layout, &run, &[block], &launches, &|_| false, &|| true).unwrap();
        let mut records = Records::new(layout);
        for (index, note) in state.tasks.all() {
            assert_eq!(records.read(note).unwrap(), Some(index.to_string().as_bytes()));
            assert!(records.open.len() <= MOST_OPEN);
        }
    }

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

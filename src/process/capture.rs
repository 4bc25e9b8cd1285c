//! One output stream of one attempt: in memory while small, then in an unlinked file; of a very long one the first and last MiB.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::SpooledTempFile;

/// In memory up to this.
const IN_MEMORY: usize = 64 * 1024;
/// In a file up to this.
const WHOLE: u64 = 64 * 1024 * 1024;
/// Kept of each end beyond that.
const END: usize = 1024 * 1024;

/// The content of a stream. It is read once the stream has ended.
#[derive(Debug)]
pub struct Capture {
    total: u64,
    kept: KeptBytes,
}

#[derive(Debug)]
enum KeptBytes {
    Whole(SpooledTempFile),
    Ends { head: Vec<u8>, tail: Vec<u8> },
}

impl Capture {
    /// An empty one; what does not stay in memory goes into an unlinked file in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { total: 0, kept: KeptBytes::Whole(tempfile::spooled_tempfile_in(IN_MEMORY, folder)) }
    }

    /// Of what never began.
    pub fn nothing() -> Self {
        Self::new(Path::new(""))
    }

    /// Adds what was read. A full temporary folder costs the middle of the output, not the task.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        if let KeptBytes::Whole(file) = &mut self.kept {
            if self.total <= WHOLE && file.write_all(bytes).is_ok() {
                return;
            }
            let before = self.total - bytes.len() as u64;
            self.kept = ends_of(file, before);
        }
        if let KeptBytes::Ends { head, tail } = &mut self.kept {
            let to_head = bytes.len().min(END.saturating_sub(head.len()));
            if tail.is_empty() {
                head.extend_from_slice(&bytes[..to_head]);
                tail.extend_from_slice(&bytes[to_head..]);
            } else {
                tail.extend_from_slice(bytes);
            }
            // Dropping a MiB at a time moves each byte at most once.
            if tail.len() > 2 * END {
                tail.drain(..tail.len() - END);
            }
        }
    }

    /// Bytes delivered.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether all of it was kept.
    pub fn is_whole(&self) -> bool {
        match &self.kept {
            KeptBytes::Whole(_) => true,
            KeptBytes::Ends { head, tail } => (head.len() + tail.len()) as u64 == self.total,
        }
    }

    /// The last `count` bytes, or fewer.
    ///
    /// # Errors
    /// When the temporary file can't be read.
    pub fn tail(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let is_whole = self.is_whole();
        match &mut self.kept {
            KeptBytes::Whole(file) => {
                let start = self.total.saturating_sub(count as u64);
                file.seek(SeekFrom::Start(start))?;
                let mut tail = Vec::new();
                file.read_to_end(&mut tail)?;
                Ok(tail)
            }
            KeptBytes::Ends { head, tail } => {
                let from_tail = &tail[tail.len().saturating_sub(count)..];
                // Before a gap stands something else.
                let of_head = if is_whole { count - from_tail.len() } else { 0 };
                Ok([&head[head.len().saturating_sub(of_head)..], from_tail].concat())
            }
        }
    }

    /// Takes the last `count` bytes off, or fewer.
    ///
    /// # Errors
    /// When the temporary file can't be read or shortened.
    pub fn take_tail(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let taken = self.tail(count)?;
        let left = self.total - taken.len() as u64;
        match &mut self.kept {
            KeptBytes::Whole(file) => {
                file.set_len(left)?;
                file.seek(SeekFrom::Start(left))?;
            }
            KeptBytes::Ends { head, tail } => {
                let of_tail = taken.len().min(tail.len());
                tail.truncate(tail.len() - of_tail);
                head.truncate(head.len() - (taken.len() - of_tail));
            }
        }
        self.total = left;
        Ok(taken)
    }

    /// The first `count` bytes, or fewer.
    ///
    /// # Errors
    /// When the temporary file can't be read.
    pub fn head(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let is_whole = self.is_whole();
        match &mut self.kept {
            KeptBytes::Whole(file) => {
                file.rewind()?;
                let mut head = Vec::new();
                file.take(count as u64).read_to_end(&mut head)?;
                Ok(head)
            }
            KeptBytes::Ends { head, tail } => {
                let of_head = &head[..head.len().min(count)];
                let of_tail = if is_whole { tail.len().min(count - of_head.len()) } else { 0 };
                Ok([of_head, &tail[..of_tail]].concat())
            }
        }
    }

    /// What [`Self::copy_to`] writes, bytes.
    pub fn kept_bytes(&self) -> u64 {
        match &self.kept {
            KeptBytes::Whole(_) => self.total,
            KeptBytes::Ends { head, tail } => (head.len() + self.gap_note().len() + tail.len()) as u64,
        }
    }

    fn gap_note(&self) -> String {
        match &self.kept {
            KeptBytes::Ends { head, tail } if !self.is_whole() => {
                let left_out = self.total - (head.len() + tail.len()) as u64;
                format!("\n[... canfar-run left out {left_out} bytes of {} ...]\n", self.total)
            }
            _ => String::new(),
        }
    }

    /// Writes what was kept, with a note where something was left out.
    ///
    /// # Errors
    /// When the temporary file can't be read or `out` can't be written.
    pub fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let gap = self.gap_note();
        match &mut self.kept {
            KeptBytes::Whole(file) => {
                file.rewind()?;
                io::copy(file, out).map(drop)
            }
            KeptBytes::Ends { head, tail } => {
                out.write_all(head)?;
                out.write_all(gap.as_bytes())?;
                out.write_all(tail)
            }
        }
    }
}

fn ends_of(file: &mut SpooledTempFile, length: u64) -> KeptBytes {
    let read = |file: &mut SpooledTempFile, start: u64, count: u64| {
        let mut bytes = Vec::new();
        // Output that can't be read back is lost with the temporary file; the task continues.
        let _ = file.seek(SeekFrom::Start(start)).and_then(|_| file.take(count).read_to_end(&mut bytes));
        bytes
    };
    let head = read(file, 0, length.min(END as u64));
    let rest = length - head.len() as u64;
    let tail_length = rest.min(END as u64);
    let tail = read(file, length - tail_length, tail_length);
    KeptBytes::Ends { head, tail }
}

#[cfg(test)]
mod tests {
    use super::{Capture, END, WHOLE};

    #[test]
    fn short_output_is_kept_whole() {
        let mut capture = Capture::new(&std::env::temp_dir());
        for _ in 0..30_000 {
            capture.push(b"ten bytes.");
        }
        let mut all = Vec::new();
        capture.copy_to(&mut all).unwrap();
        assert!(capture.is_whole());
        assert_eq!((all.len() as u64, capture.kept_bytes()), (300_000, 300_000));
        assert_eq!(capture.tail(4).unwrap(), b"tes.");
        assert_eq!(capture.head(3).unwrap(), b"ten");
        assert_eq!(capture.take_tail(8).unwrap(), b"n bytes.");
        capture.push(b"!");
        assert_eq!((capture.tail(4).unwrap().as_slice(), capture.total()), (&b".te!"[..], 299_993));
    }

    #[test]
    fn output_that_finds_no_room_in_its_folder_is_kept_whole_up_to_both_ends() {
        // The folder is gone when the output outgrows memory, as a full one would be.
        let folder = tempfile::tempdir().unwrap().path().to_owned();
        let mut capture = Capture::new(&folder);
        let text: Vec<u8> = (0..1_500_000_u32).map(|number| b'a' + (number % 26) as u8).collect();
        text.chunks(16 * 1024).for_each(|chunk| capture.push(chunk));
        assert!(capture.is_whole());
        assert_eq!(capture.tail(usize::MAX).unwrap(), text);
        assert_eq!(capture.head(1_200_000).unwrap(), text[..1_200_000]);
        assert_eq!(capture.tail(1_200_000).unwrap(), text[300_000..]);
        assert_eq!(capture.take_tail(1_200_000).unwrap(), text[300_000..]);
        capture.push(b"!");
        assert_eq!(capture.tail(usize::MAX).unwrap(), [&text[..300_000], b"!"].concat());
    }

    #[test]
    fn of_very_long_output_both_ends_are_kept_with_a_note_between() {
        let mut capture = Capture::new(&std::env::temp_dir());
        let block = vec![b'x'; 1 << 20];
        capture.push(b"first");
        for _ in 0..(WHOLE >> 20) + 5 {
            capture.push(&block);
        }
        capture.push(b"last");
        assert!(!capture.is_whole());
        let mut kept = Vec::new();
        capture.copy_to(&mut kept).unwrap();
        assert_eq!(kept.len() as u64, capture.kept_bytes());
        assert!(kept.starts_with(b"first") && kept.ends_with(b"xlast"));
        assert!(kept.len() < 4 * END);
        assert_eq!(capture.tail(5).unwrap(), b"xlast");
    }
}

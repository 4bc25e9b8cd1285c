//! Reading from a source that may block for long, such as a pipe, so that a shutdown can interrupt it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// The longest time until a stop is noticed.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Reads a file, pipe or terminal until `keep_going` returns false.
pub struct InterruptibleReader<'a> {
    file: File,
    keep_going: &'a dyn Fn() -> bool,
}

impl<'a> InterruptibleReader<'a> {
    /// Opens a path. A FIFO without a writer does not block the caller.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(path: &Path, keep_going: &'a dyn Fn() -> bool) -> io::Result<Self> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        Ok(Self { file: OpenOptions::new().read(true).custom_flags(flags).open(path)?, keep_going })
    }

    /// Of what is open already.
    pub fn of(file: File, keep_going: &'a dyn Fn() -> bool) -> Self {
        Self { file, keep_going }
    }

    /// What is read.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Opens standard input, of which nothing may have been read yet.
    ///
    /// # Errors
    /// When the system is out of file descriptors.
    pub fn standard_input(keep_going: &'a dyn Fn() -> bool) -> io::Result<Self> {
        Ok(Self { file: File::from(io::stdin().as_fd().try_clone_to_owned()?), keep_going })
    }
}

impl Read for InterruptibleReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !(self.keep_going)() {
                return Err(io::Error::other("stopped while waiting for more of it"));
            }
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match self.file.read(buffer) {
                // Another process reads the same pipe and was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{Read, Write};
    use std::path::Path;

    use super::InterruptibleReader;

    #[test]
    fn reading_a_silent_pipe_ends_when_it_is_stopped() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"a\n").unwrap();
        let looks = Cell::new(0);
        let keep_going = || looks.replace(looks.get() + 1) < 2;
        let mut reader =
            InterruptibleReader { file: std::os::fd::OwnedFd::from(reader).into(), keep_going: &keep_going };
        let mut buffer = [0; 8];
        assert_eq!(reader.read(&mut buffer).unwrap(), 2);
        assert!(reader.read(&mut buffer).unwrap_err().to_string().contains("stopped"));
        assert_eq!(looks.get(), 3);
    }

    #[test]
    fn a_file_is_read_to_its_end() {
        let mut text = String::new();
        InterruptibleReader::open(Path::new("Cargo.toml"), &|| true)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, std::fs::read_to_string("Cargo.toml").unwrap());
    }
}

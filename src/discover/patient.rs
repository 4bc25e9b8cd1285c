//! Reading from what may stay silent for long, such as a pipe, without being deaf to a stop meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// How long it takes at most until a stop is heard.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A file, pipe or terminal being read, until `keep_going` says no.
pub struct Patient<'a> {
    file: File,
    keep_going: &'a dyn Fn() -> bool,
}

impl<'a> Patient<'a> {
    /// Of a path. One of a FIFO that nobody writes to yet does not hold up the caller.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(path: &Path, keep_going: &'a dyn Fn() -> bool) -> io::Result<Self> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        Ok(Self { file: OpenOptions::new().read(true).custom_flags(flags).open(path)?, keep_going })
    }

    /// Of standard input, of which nothing may have been read yet.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub fn standard_input(keep_going: &'a dyn Fn() -> bool) -> io::Result<Self> {
        Ok(Self { file: File::from(io::stdin().as_fd().try_clone_to_owned()?), keep_going })
    }
}

impl Read for Patient<'_> {
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
                // Somebody else reads the same pipe and was faster.
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

    use super::Patient;

    #[test]
    fn a_pipe_that_stays_silent_is_left_when_told_so() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"a\n").unwrap();
        let looks = Cell::new(0);
        let keep_going = || looks.replace(looks.get() + 1) < 2;
        let mut patient =
            Patient { file: std::os::fd::OwnedFd::from(reader).into(), keep_going: &keep_going };
        let mut buffer = [0; 8];
        assert_eq!(patient.read(&mut buffer).unwrap(), 2);
        assert!(patient.read(&mut buffer).unwrap_err().to_string().contains("stopped"));
        assert_eq!(looks.get(), 3);
    }

    #[test]
    fn a_file_is_read_to_its_end() {
        let mut text = String::new();
        Patient::open(Path::new("Cargo.toml"), &|| true).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, std::fs::read_to_string("Cargo.toml").unwrap());
    }
}

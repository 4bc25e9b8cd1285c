//! One output stream of a process, read as it arrives.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

/// How much is read at a time.
pub(crate) const READ_BYTES: usize = 16 * 1024;

/// Reads in a row, of one stream.
const READS_AT_ONCE: usize = 64;

/// The end of a pipe that is read; gone when the other end is.
#[derive(Debug)]
pub(crate) struct PipeReader {
    pipe: Option<OwnedFd>,
}

impl PipeReader {
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self { pipe: rustix::io::ioctl_fionbio(&pipe, true).is_ok().then_some(pipe) }
    }

    /// What to poll; `None` when it is at its end.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Passes on what is available, up to a MiB, so that an endless writer blocks nothing. A pipe holds no more when its
    /// process ends. A stream that is at its end, or broken, is closed.
    pub(crate) fn drain(&mut self, buffer: &mut Vec<u8>, mut take: impl FnMut(&[u8])) {
        for _ in 0..READS_AT_ONCE {
            let Some(pipe) = &self.pipe else { return };
            buffer.clear();
            match rustix::io::read(pipe, spare_capacity(buffer)) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    take(buffer);
                    // There was no more at that moment; more data is polled for again.
                    if count < buffer.capacity() {
                        return;
                    }
                }
                Err(Errno::WOULDBLOCK) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.pipe = None,
            }
        }
    }
}

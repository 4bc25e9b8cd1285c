//! A latch that many threads can poll at once, together with other descriptors. Once open, it stays open.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use crate::threads::locked;

/// Its read end hangs up when the write end is closed, for every thread that polls it.
#[derive(Debug)]
pub struct Latch {
    waiting: OwnedFd,
    holding: Mutex<Option<OwnedFd>>,
}

impl Latch {
    /// A closed one.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let (waiting, holding) = rustix::pipe::pipe()?;
        for end in [&waiting, &holding] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(Self { waiting, holding: Mutex::new(Some(holding)) })
    }

    /// Opens it.
    pub fn open(&self) {
        locked(&self.holding).take();
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        locked(&self.holding).is_none()
    }

    /// What to poll: ready, hung up, once the latch is open.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }
}

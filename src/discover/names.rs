//! The names in an open folder, as the system lists them: without an allocation for each where it allows that.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

/// One name in a folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) name: &'a CStr,
    /// `Unknown` where the file system does not say.
    pub(super) kind: FileType,
    pub(super) inode: u64,
}

/// Large enough for some hundred names a call.
#[cfg(target_os = "linux")]
const LISTING_BYTES: usize = 64 * 1024;

/// Gives every name to `take`. Answers what ended the listing early, if something did; `take` may end it with an error.
#[cfg(target_os = "linux")]
pub(super) fn each<E>(
    folder: BorrowedFd<'_>,
    mut take: impl FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<Option<Errno>, E> {
    let mut buffer = Vec::with_capacity(LISTING_BYTES);
    let mut listing = rustix::fs::RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = listing.next() {
        match entry {
            Ok(entry) => {
                take(Listed { name: entry.file_name(), kind: entry.file_type(), inode: entry.ino() })?;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Ok(Some(errno)),
        }
    }
    Ok(None)
}

/// As above, for systems whose kernel can't be asked directly.
#[cfg(not(target_os = "linux"))]
pub(super) fn each<E>(
    folder: BorrowedFd<'_>,
    mut take: impl FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<Option<Errno>, E> {
    let mut listing = match rustix::fs::Dir::read_from(folder) {
        Ok(listing) => listing,
        Err(errno) => return Ok(Some(errno)),
    };
    while let Some(entry) = listing.read() {
        match entry {
            Ok(entry) => {
                take(Listed { name: entry.file_name(), kind: entry.file_type(), inode: entry.ino() })?;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Ok(Some(errno)),
        }
    }
    Ok(None)
}

//! The names in an open folder, as the system lists them: without an allocation for each where it allows that.

#[cfg(target_os = "linux")]
use std::cell::Cell;
use std::ffi::CStr;
#[cfg(target_os = "linux")]
use std::mem::MaybeUninit;
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

#[cfg(target_os = "linux")]
thread_local! {
    /// Kept from folder to folder: musl hands memory of this size back to the system at once, and pages that come anew
    /// cost more than the listing.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Gives every name to `take`. Answers what ended the listing early, if something did; `take` may end it with an error.
#[cfg(target_os = "linux")]
pub(super) fn each<E>(
    folder: BorrowedFd<'_>,
    take: impl FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<Option<Errno>, E> {
    let mut buffer = BUFFER.take();
    buffer.reserve(LISTING_BYTES);
    let ended = each_into(buffer.spare_capacity_mut(), folder, take);
    BUFFER.set(buffer);
    ended
}

#[cfg(target_os = "linux")]
fn each_into<E>(
    buffer: &mut [MaybeUninit<u8>],
    folder: BorrowedFd<'_>,
    mut take: impl FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<Option<Errno>, E> {
    let mut listing = rustix::fs::RawDir::new(folder, buffer);
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

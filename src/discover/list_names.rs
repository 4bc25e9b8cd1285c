//! Listing the names in an open folder, where possible without an allocation for each.

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
pub(super) struct ListedName<'a> {
    pub(super) name: &'a CStr,
    /// `Unknown` where the file system does not say.
    pub(super) kind: FileType,
    pub(super) inode: u64,
}

/// Enough for more than a thousand names in one call.
#[cfg(target_os = "linux")]
const LISTING_BYTES: usize = 64 * 1024;

#[cfg(target_os = "linux")]
thread_local! {
    /// Reused from folder to folder: musl returns memory of this size to the system at once, and getting new pages costs
    /// more than the listing.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Gives every name to `take`, which may end the listing with an error. Returns what else ended it early, if anything.
#[cfg(target_os = "linux")]
pub(super) fn each<E>(
    folder: BorrowedFd<'_>,
    take: impl FnMut(ListedName<'_>) -> Result<(), E>,
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
    mut take: impl FnMut(ListedName<'_>) -> Result<(), E>,
) -> Result<Option<Errno>, E> {
    let mut listing = rustix::fs::RawDir::new(folder, buffer);
    while let Some(entry) = listing.next() {
        match entry {
            Ok(entry) => {
                take(ListedName { name: entry.file_name(), kind: entry.file_type(), inode: entry.ino() })?;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Ok(Some(errno)),
        }
    }
    Ok(None)
}

/// As above, for systems without that system call.
#[cfg(not(target_os = "linux"))]
pub(super) fn each<E>(
    folder: BorrowedFd<'_>,
    mut take: impl FnMut(ListedName<'_>) -> Result<(), E>,
) -> Result<Option<Errno>, E> {
    let mut listing = match rustix::fs::Dir::read_from(folder) {
        Ok(listing) => listing,
        Err(errno) => return Ok(Some(errno)),
    };
    while let Some(entry) = listing.read() {
        match entry {
            Ok(entry) => {
                take(ListedName { name: entry.file_name(), kind: entry.file_type(), inode: entry.ino() })?;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Ok(Some(errno)),
        }
    }
    Ok(None)
}

//! Putting a directory at a place where something is: no rename does that, so what is there moves away first, into a folder
//! beside that of the attempt, and is removed when the new one has its name. Whoever runs the task next undoes or finishes
//! what was not ended.

use std::ffi::{CStr, OsStr};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::products::staging::{FileError, names_in, synced, unless_gone};
use crate::store::remove_tree::{open_folder, remove_tree};

/// The suffix of the folder of what an attempt replaces.
const OLD: &str = ".old";

/// So often does not go on who moves something there while it is settled.
const TRIES: u32 = 20;

/// The name of the folder of what an attempt replaces.
pub(super) fn old_name(attempt: &str) -> String {
    format!("{attempt}{OLD}")
}

/// Whether a folder has such a name.
pub(super) fn is_old(name: &CStr) -> bool {
    name.to_bytes().ends_with(OLD.as_bytes())
}

/// Makes the folder for what is to be replaced. To be done before it is looked whether the task is still this launch's: whoever
/// took it over has then removed the folder before it begins, and nothing can be moved there any more.
pub(super) fn prepare(old: &Path) -> Result<(), FileError> {
    match DirBuilder::new().create(old) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(FileError::of("make the folder", old)(error))
        }
        _ => Ok(()),
    }
}

/// Puts the directory `new` in the place of what is at `place`. That is put back where it can't be.
pub(super) fn replace(new: &Path, place: &Path, old: &Path) -> io::Result<()> {
    let aside = old.join(place.file_name().unwrap_or(OsStr::new("")));
    std::fs::rename(place, &aside)?;
    std::fs::rename(new, place).inspect_err(|_| {
        // Where this fails, too, the next attempt does it.
        let _ = std::fs::rename(&aside, place);
    })
}

/// Ends what was not ended of the exchange whose folder has this name: what was moved away is put back where nothing came in its place,
/// and removed where something did.
pub(super) fn settle(place: &Path, shared: &OwnedFd, name: &CStr) -> io::Result<()> {
    let place = File::open(place)?;
    for _ in 0..TRIES {
        let old = match open_folder(shared, name) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        let mut unremoved = None;
        for base in names_in(&old)? {
            match statat(&place, &base, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => unless_gone(renameat(&old, &base, &place, &base).map_err(Into::into))?,
                Ok(_) => unremoved = unremoved.or(unless_gone(remove_tree(old.as_fd(), &base, None)).err()),
                Err(error) => return Err(error.into()),
            }
        }
        synced(place.sync_all())?;
        if unremoved.is_some() {
            // What was replaced is of no use to anyone: it may stay.
            return Ok(());
        }
        match unlinkat(shared, name, AtFlags::REMOVEDIR) {
            // Whoever began it was frozen, and goes on.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            removed => return unless_gone(removed.map_err(io::Error::from)),
        }
    }
    Err(Errno::NOTEMPTY.into())
}

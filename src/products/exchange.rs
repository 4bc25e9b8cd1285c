//! Replacing a directory: no rename does that, so the old one moves away first, into a folder
//! beside that of the attempt, and is removed once the new one has its name. The next attempt at the task undoes or finishes
//! an interrupted exchange.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::host::shortage::is_shortage;
use crate::products::staging::{FileError, names_in, synced, unless_gone};
use crate::store::remove_tree::{HANDLE, open_folder, remove_tree, set_mode};

/// The suffix of the folder of what an attempt replaces.
const OLD: &str = ".old";

/// How many times to retry while another process keeps moving something there.
const TRIES: u32 = 20;

/// The name of the folder of what an attempt replaces.
pub(super) fn old_name(attempt: &str) -> String {
    format!("{attempt}{OLD}")
}

/// Whether a folder has such a name.
pub(super) fn is_old(name: &CStr) -> bool {
    name.to_bytes().ends_with(OLD.as_bytes())
}

/// Makes the folder for the directory that will be replaced. This must precede the check that this launch still has the task: a launch that
/// took it over has removed the folder before it begins, so nothing can be moved there any more.
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
    rename(CWD, place, CWD, &aside)?;
    rename(CWD, new, CWD, place).inspect_err(|_| {
        // Where this fails, too, the next attempt does it.
        let _ = rename(CWD, &aside, CWD, place);
    })
}

/// Renames. A directory that not even its owner may write to can't move to another folder, since that changes its `..`: it may
/// be written to meanwhile.
pub(super) fn rename(
    from_folder: impl AsFd,
    from: impl Arg + Copy,
    to_folder: impl AsFd,
    to: impl Arg + Copy,
) -> io::Result<()> {
    let try_it = || renameat(&from_folder, from, &to_folder, to);
    let denied = match try_it() {
        Err(error @ Errno::ACCESS) => error,
        renamed => return Ok(renamed?),
    };
    let flags = HANDLE | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match openat(&from_folder, from, flags, Mode::empty()).map_err(io::Error::from) {
        Err(error) if is_shortage(&error) => return Err(error),
        opened => opened.map_err(|_| denied)?,
    };
    let mode = Mode::from_raw_mode(fstat(&directory)?.st_mode);
    if mode.contains(Mode::WUSR) {
        return Err(denied.into());
    }
    // No error of the storage, which would end the launch.
    set_mode(&directory, mode | Mode::WUSR)
        .map_err(|error| io::Error::other(format!("it is read-only and can't be made writable: {error}")))?;
    let renamed = try_it();
    set_mode(&directory, mode)?;
    Ok(renamed?)
}

/// Finishes an interrupted exchange with this folder name: the old directory is put back if nothing replaced it,
/// and removed where something did.
pub(super) fn settle(place: &Path, shared: &OwnedFd, name: &CStr) -> io::Result<()> {
    let place = File::open(place)?;
    for _ in 0..TRIES {
        let old = match open_folder(shared, name) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        let mut replaced = Vec::new();
        for base in names_in(&old)? {
            match statat(&place, &base, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => unless_gone(rename(&old, &*base, &place, &*base))?,
                Ok(_) => replaced.push(base),
                Err(error) => return Err(error.into()),
            }
        }
        // What was replaced goes when what replaced it is sure to stay.
        synced(place.sync_all())?;
        let remove = |base: &CString| unless_gone(remove_tree(old.as_fd(), base, None)).is_ok();
        let unremoved = replaced.iter().filter(|base| !remove(base)).count();
        if unremoved > 0 {
            // It is of no use to anyone: it may stay.
            return Ok(());
        }
        match unlinkat(shared, name, AtFlags::REMOVEDIR) {
            // The launch that began it was frozen, and continues.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            removed => return unless_gone(removed.map_err(io::Error::from)),
        }
    }
    Err(Errno::NOTEMPTY.into())
}

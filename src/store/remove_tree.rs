//! Removes a folder and its contents, however deep, whatever its permissions, and whatever others do in it meanwhile.
//!
//! Everything is named relative to an open folder, and no link is followed: if someone replaces a folder that is
//! about to be emptied by a link, the link is removed (the bug of CVE-2022-21658). No other file system is entered. Folders are
//! first moved up into the topmost one, so that neither the stack, nor descriptors, nor the length of paths grow with the
//! depth: the standard library, and crates that do the same, hold a descriptor for each level.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, renameat, statat, unlinkat};
#[cfg(target_os = "linux")]
use rustix::fs::{StatxFlags, statx};
use rustix::io::Errno;

/// After this many tries, a folder that is refilled while it is emptied is given up.
const TRIES: u32 = 3;

/// To hold on to a folder that perhaps may not be read; where only Linux can, to read it.
#[cfg(target_os = "linux")]
pub const HANDLE: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
pub const HANDLE: OFlags = OFlags::RDONLY;

/// Removes `name` in the folder `parent`. `last` is removed after everything else: it identifies
/// whatever could not be removed.
///
/// # Errors
/// With the first thing that could not be removed; everything else is removed.
pub fn remove_tree(parent: BorrowedFd<'_>, name: &CStr, last: Option<&CStr>) -> io::Result<()> {
    let top = match open_folder(parent, name) {
        Ok(top) => top,
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(unlinkat(parent, name, AtFlags::empty())?),
        Err(error) => return Err(error.into()),
    };
    let mut removal = Removal { top, moved: 0, waiting: Vec::new(), failure: None };
    for attempt in 1.. {
        removal.empty_all(last);
        if let Some(failure) = removal.failure {
            return Err(failure.into());
        }
        if let Some(last) = last {
            ignore_missing(unlinkat(&removal.top, last, AtFlags::empty()))?;
        }
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) if attempt < TRIES => {}
            removed => return Ok(removed?),
        }
    }
    Ok(())
}

/// Opens a folder, with what is needed to empty it; an error where it is none, or lies on another file system.
pub fn open_folder(parent: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let parent = parent.as_fd();
    let flags = HANDLE | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat(parent, name, flags, Mode::empty())?;
    let (stat, within) = (fstat(&found)?, fstat(parent)?);
    if stat.st_dev != within.st_dev || mount_of(&found) != mount_of(parent) {
        return Err(Errno::XDEV);
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if !mode.contains(Mode::RWXU) {
        // Where it is not ours, opening it fails.
        let _ = set_mode(&found, mode | Mode::RWXU);
    }
    openat(&found, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Changes the mode of the very folder that was opened by a [`HANDLE`], whatever its name means by now.
pub fn set_mode(folder: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    rustix::fs::chmod(format!("/proc/self/fd/{}", folder.as_raw_fd()), mode)
}

/// Which mount a folder is seen through: what was bound there may lie on the same file system. `None` where the kernel can't
/// tell.
#[cfg(target_os = "linux")]
fn mount_of(folder: impl AsFd) -> Option<u64> {
    let found = statx(folder, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
}

#[cfg(not(target_os = "linux"))]
fn mount_of(_folder: impl AsFd) -> Option<u64> {
    None
}

fn ignore_missing(done: Result<(), Errno>) -> Result<(), Errno> {
    if done == Err(Errno::NOENT) { Ok(()) } else { done }
}

/// What is being removed.
struct Removal {
    top: OwnedFd,
    /// Folders moved up so far.
    moved: u64,
    /// Folders in the topmost one that must be removed.
    waiting: Vec<CString>,
    failure: Option<Errno>,
}

impl Removal {
    fn empty_all(&mut self, last: Option<&CStr>) {
        let listed = self.remove_files(None, last);
        self.note(listed);
        while let Some(name) = self.waiting.pop() {
            let removed = self.remove_folder(&name);
            self.note(removed);
        }
    }

    fn note(&mut self, done: Result<(), Errno>) {
        if let Err(error) = ignore_missing(done) {
            self.failure = self.failure.or(Some(error));
        }
    }

    /// Removes a folder within the topmost one.
    fn remove_folder(&mut self, name: &CStr) -> Result<(), Errno> {
        for attempt in 1.. {
            let folder = match open_folder(&self.top, name) {
                Ok(folder) => folder,
                Err(Errno::NOTDIR | Errno::LOOP) => return unlinkat(&self.top, name, AtFlags::empty()),
                Err(error) => return Err(error),
            };
            self.remove_files(Some(&folder), None)?;
            match unlinkat(&self.top, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) if attempt < TRIES && self.failure.is_none() => {}
                removed => return removed,
            }
        }
        Ok(())
    }

    /// Removes all in a folder but folders, which are moved up and wait; in the topmost one, they wait where they are.
    fn remove_files(&mut self, folder: Option<&OwnedFd>, keep: Option<&CStr>) -> Result<(), Errno> {
        let entries = Dir::read_from(folder.unwrap_or(&self.top))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || keep == Some(name) {
                continue;
            }
            let within = folder.unwrap_or(&self.top);
            let is_folder = match entry.file_type() {
                FileType::Unknown => statat(within, name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
                kind => kind == FileType::Directory,
            };
            let removed = match folder {
                _ if !is_folder => unlinkat(within, name, AtFlags::empty()),
                Some(folder) => self.move_up(folder, name),
                None => {
                    self.waiting.push(name.to_owned());
                    Ok(())
                }
            };
            self.note(removed);
        }
        Ok(())
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        // Only a user who may write to a folder can move it.
        drop(open_folder(folder, name)?);
        loop {
            self.moved += 1;
            let place = CString::new(format!(".{}", self.moved)).map_err(|_| Errno::INVAL)?;
            match renameat(folder, name, &self.top, &place) {
                // The name is taken.
                Err(Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST | Errno::ISDIR) => {
                    if self.moved == u64::MAX || statat(&self.top, &place, AtFlags::SYMLINK_NOFOLLOW).is_err()
                    {
                        return Err(Errno::EXIST);
                    }
                }
                moved => {
                    moved?;
                    self.waiting.push(place);
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{Mode, OFlags, mkdirat, openat};

    fn remove(home: &Path, name: &CStr) -> std::io::Result<()> {
        let home = std::fs::File::open(home)?;
        super::remove_tree(std::os::fd::AsFd::as_fd(&home), name, None)
    }

    #[test]
    fn the_deepest_tree_is_removed_without_growing_with_it() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let mut folder: std::os::fd::OwnedFd = std::fs::File::open(&top).unwrap().into();
        for _ in 0..5000 {
            mkdirat(&folder, "d", Mode::RWXU).unwrap();
            folder = openat(&folder, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        remove(home.path(), c"top").unwrap();
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_like_those_it_gives_and_folders_that_forbid_all_do_not_keep_it() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().join("top");
        for folder in ["a/b/c", "a/.1/x", ".1/y", ".2"] {
            std::fs::create_dir_all(top.join(folder)).unwrap();
            std::fs::write(top.join(folder).join(".3"), "").unwrap();
        }
        std::fs::write(top.join(".3"), "").unwrap();
        for folder in ["a/b/c", "a/b", "a"] {
            std::fs::set_permissions(top.join(folder), std::fs::Permissions::from_mode(0o000)).unwrap();
        }
        remove(home.path(), c"top").unwrap();
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    /// Somebody swaps folders for links to what is theirs, again and again, while all is removed.
    #[test]
    fn a_link_that_is_put_in_place_of_a_folder_meanwhile_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let theirs = home.path().join("theirs");
        std::fs::create_dir_all(theirs.join("deep/er")).unwrap();
        std::fs::write(theirs.join("deep/er/file"), "data").unwrap();
        std::fs::write(theirs.join("file"), "data").unwrap();
        std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (top, is_over) = (home.path().join("top"), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for name in ["a", "a/b", "a/b/c", ".1", ".2"] {
                        let (place, aside) = (top.join(name), top.join("aside"));
                        let _ = std::fs::rename(&place, &aside);
                        let _ = symlink(&theirs, &place);
                        let _ = std::fs::rename(&aside, &place);
                    }
                }
            });
            for _ in 0..500 {
                let _ = std::fs::create_dir_all(top.join("a/b/c/d"));
                let _ = std::fs::write(top.join("a/b/c/d/file"), "");
                // What comes again and again may stay.
                let _ = remove(home.path(), c"top");
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(std::fs::read(theirs.join("file")).unwrap(), b"data");
        assert_eq!(std::fs::read(theirs.join("deep/er/file")).unwrap(), b"data");
        assert_eq!(theirs.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        remove(home.path(), c"top").unwrap_or_else(|error| assert!(!top.exists(), "{error}"));
    }
}

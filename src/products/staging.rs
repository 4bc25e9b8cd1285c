//! The folders in which attempts write their products before they are published: beside the final paths, so that a rename
//! puts them there, and one for each attempt, so that two attempts at a task never write to the same file.
//!
//! `<final folder>/.canfar-run-<run id>/<index>.<replica>.<launch>.<attempt>/<base name>`.

use std::ffi::{CStr, CString, OsString};
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, Dir, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use crate::products::exchange;
use crate::products::publish::{NotPublished, PublishGuard};
use crate::store::remove_tree::remove_tree;

/// Attempts that leave a final folder remove empty folders there: how often in a row that can hit one attempt.
const TRIES: u32 = 20;

/// The pause before removing again what another process is removing, too.
const PAUSE: Duration = Duration::from_millis(50);

/// Which attempt of which task, of all launches of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptName {
    /// The task's index in the list.
    pub index: u64,
    /// Which launch's attempt.
    pub replica: u32,
    /// In which of its launches, from 1.
    pub launch: u32,
    /// The attempt's number over all launches, from 1.
    pub number: u32,
}

impl AttemptName {
    /// Whether a folder belongs to an earlier attempt of the same launch: its files will not be published any more.
    fn is_over(self, folder: &CStr) -> bool {
        let Self { index, replica, launch, .. } = self;
        let own = format!("{self}");
        let of_launch = format!("{index}.{replica}.{launch}.");
        let name = folder.to_bytes();
        !exchange::is_old(folder) && name != own.as_bytes() && name.starts_with(of_launch.as_bytes())
    }
}

impl fmt::Display for AttemptName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, replica, launch, number } = self;
        write!(out, "{index}.{replica}.{launch}.{number}")
    }
}

/// What could not be done with a file or folder.
#[derive(Debug, thiserror::Error)]
#[error("can't {what} {path}: {error}", path = .path.display())]
pub struct FileError {
    /// Such as `make the folder`.
    pub what: &'static str,
    /// Which.
    pub path: PathBuf,
    /// The system's error.
    pub error: io::Error,
}

impl FileError {
    /// For `map_err`.
    pub(super) fn of<E: Into<io::Error>>(what: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |error| Self { what, path: path.to_owned(), error: error.into() }
    }

    /// The same for another of those that it is about.
    pub(super) fn again(&self) -> Self {
        let Self { what, path, error } = self;
        let error = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
        Self { what, path: path.clone(), error }
    }

    /// Whether the file, or a folder above it, is not there.
    pub(super) fn is_not_found(&self) -> bool {
        self.error.kind() == io::ErrorKind::NotFound
    }
}

/// The name of the folder that all attempts of a run share in a final folder.
pub(super) fn shared_name(run: &str) -> String {
    format!(".canfar-run-{run}")
}

/// A folder that the attempts of a run share in a final folder. When this is dropped it is removed where it is empty; others
/// may have made it again by then.
#[derive(Debug)]
pub(super) struct SharedFolder(PathBuf);

impl SharedFolder {
    /// The one at a path.
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SharedFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Where one attempt writes those of its products that go into one final folder.
#[derive(Debug)]
pub struct StagingFolder {
    /// Where the products go.
    place: PathBuf,
    /// What the attempts of the run share there.
    shared: Arc<SharedFolder>,
    /// The attempt's own folder in that.
    name: String,
}

impl StagingFolder {
    /// Makes the folder of an attempt, and removes what earlier attempts at its task left in the same place.
    ///
    /// # Errors
    /// When it can't be made, or a leftover can't be removed: its writer might still publish it. When there are leftovers, and
    /// they may be those of another launch that the task belongs to by now.
    pub(super) fn make(
        place: &Path,
        shared: Arc<SharedFolder>,
        attempt: AttemptName,
        guard: &dyn PublishGuard,
    ) -> Result<Self, NotPublished> {
        let staging = Self { place: place.to_owned(), shared, name: attempt.to_string() };
        for _ in 0..TRIES {
            if staging.is_made(attempt, guard)? {
                return Ok(staging);
            }
            staging.make_shared()?;
        }
        Err(FileError::of("make the folder", &staging.path())(Errno::NOENT).into())
    }

    /// Makes the folder where that which attempts share is there.
    fn is_made(&self, attempt: AttemptName, guard: &dyn PublishGuard) -> Result<bool, NotPublished> {
        let shared = match self.open_shared() {
            Err(error) if error.is_not_found() => return Ok(false),
            opened => opened?,
        };
        let mode = Mode::RWXU | Mode::RWXG | Mode::RWXO;
        let make = || mkdirat(&shared, &*self.name, mode);
        // No attempt can have left something before the first. A launch that was killed with its host may have made one of
        // which its journal does not tell.
        if attempt.number > 1 || !guard.is_first_holder() {
            self.clear_leftovers(&shared, attempt, guard)?;
        }
        let made = match make() {
            Err(Errno::EXIST) => {
                self.clear_leftovers(&shared, attempt, guard)?;
                make()
            }
            made => made,
        };
        match made {
            Err(Errno::NOENT) => Ok(false),
            // Storage that did it and lost the answer says so when it is asked again.
            Ok(()) | Err(Errno::EXIST) => Ok(true),
            Err(error) => Err(FileError::of("make the folder", &self.path())(error).into()),
        }
    }

    fn open_shared(&self) -> Result<OwnedFd, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(CWD, self.shared.path(), flags, Mode::empty())
            .map_err(FileError::of("open the folder", self.shared.path()))
    }

    fn make_shared(&self) -> Result<(), FileError> {
        let make = || match DirBuilder::new().create(self.shared.path()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made.map_err(FileError::of("make the folder", self.shared.path())),
        };
        match make() {
            Err(error) if error.is_not_found() => {
                make_lasting(&self.place)?;
                make()
            }
            made => made,
        }
    }

    /// Undoes or finishes exchanges that earlier attempts of a task began, then removes what else they left.
    fn clear_leftovers(
        &self,
        shared: &OwnedFd,
        attempt: AttemptName,
        guard: &dyn PublishGuard,
    ) -> Result<(), NotPublished> {
        let what = "remove what an earlier attempt left in";
        let mut names = names_in(shared).map_err(FileError::of(what, self.shared.path()))?;
        let of_task = format!("{}.", attempt.index);
        names.retain(|name| name.to_bytes().starts_with(of_task.as_bytes()));
        if !names.is_empty() {
            // A launch that was frozen may find what its successor is writing.
            guard.check_owner()?;
        }
        // What was replaced has to be back before that is removed by which it was to be replaced.
        names.sort_by_key(|name| !exchange::is_old(name));
        for name in names {
            let cleared = beside_others(|| {
                if exchange::is_old(&name) {
                    exchange::settle(&self.place, shared, &name)
                } else {
                    unless_gone(remove_tree(shared.as_fd(), &name, None))
                }
            });
            if !attempt.is_over(&name) {
                cleared.map_err(FileError::of(what, self.shared.path()))?;
            }
        }
        Ok(())
    }

    /// Where the products go.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// The folder that it is in, which all attempts of the run share.
    pub(super) fn shared(&self) -> &Arc<SharedFolder> {
        &self.shared
    }

    /// Where they are written.
    pub(super) fn path(&self) -> PathBuf {
        self.shared.path().join(&self.name)
    }

    /// Where what they replace is meanwhile.
    pub(super) fn old(&self) -> PathBuf {
        self.shared.path().join(exchange::old_name(&self.name))
    }

    /// Removes the folder if it is empty; else returns what is in it.
    ///
    /// # Errors
    /// When it can't be removed or read.
    pub(super) fn remove_empty(&self) -> Result<Vec<OsString>, FileError> {
        let path = self.path();
        match std::fs::remove_dir(&path) {
            Ok(()) => Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                let names = || -> io::Result<Vec<OsString>> {
                    std::fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name())).collect()
                };
                names().map_err(FileError::of("read the folder", &path))
            }
            Err(error) => Err(FileError::of("remove the folder", &path)(error)),
        }
    }

    /// Removes the folder with all that is in it, and that of what was to be replaced where nothing is in it.
    ///
    /// # Errors
    /// When something can't be removed.
    pub(super) fn remove(&self) -> Result<(), FileError> {
        // What is in it has to be put back first: the next attempt does that.
        let _ = std::fs::remove_dir(self.old());
        if self.remove_empty()?.is_empty() { Ok(()) } else { self.remove_all(&self.name) }
    }

    /// Undoes or finishes the exchanges that the attempt began.
    ///
    /// # Errors
    /// When something can't be put back.
    pub(super) fn settle(&self) -> Result<(), FileError> {
        let shared = self.open_shared()?;
        let name = CString::new(exchange::old_name(&self.name)).map_err(io::Error::from);
        name.and_then(|name| exchange::settle(&self.place, &shared, &name))
            .map_err(FileError::of("put back what was to be replaced, from", &self.old()))
    }

    /// Removes what was replaced.
    ///
    /// # Errors
    /// When something can't be removed.
    pub(super) fn remove_old(&self) -> Result<(), FileError> {
        self.remove_all(&exchange::old_name(&self.name))
    }

    fn remove_all(&self, name: &str) -> Result<(), FileError> {
        let shared = self.open_shared()?;
        let removed = CString::new(name).map_err(io::Error::from);
        let removed = removed.and_then(|name| unless_gone(remove_tree(shared.as_fd(), &name, None)));
        removed.map_err(FileError::of("remove the folder", &self.shared.path().join(name)))
    }
}

/// The names in a folder, but for those of itself and of the one above.
pub(super) fn names_in(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// What is removed may be removed by others at the same time: by a launch that has ended but for that.
fn beside_others(mut remove: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let is_of_others = |error: &io::Error| {
        matches!(Errno::from_io_error(error), Some(Errno::NOTEMPTY | Errno::EXIST | Errno::STALE))
    };
    let mut removed = remove();
    for _ in 0..TRIES {
        if !removed.as_ref().is_err_and(is_of_others) {
            break;
        }
        std::thread::sleep(PAUSE);
        removed = remove();
    }
    removed
}

/// What is gone already needs not be removed.
pub(super) fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes a folder and those above it so that a power loss does not take them away again.
fn make_lasting(folder: &Path) -> Result<(), FileError> {
    let make = || DirBuilder::new().create(folder);
    let made = match (make(), folder.parent()) {
        (Err(error), Some(above)) if error.kind() == io::ErrorKind::NotFound => {
            make_lasting(above)?;
            make()
        }
        (made, _) => made,
    };
    match (made, folder.parent()) {
        (Ok(()), Some(above)) => sync_folder(above),
        (Err(error), _) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(FileError::of("make the folder", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Makes renames in a folder last.
///
/// # Errors
/// When it can't be synced, unless its file system syncs no folders.
pub(super) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder)
        .and_then(|open| synced(open.sync_all()))
        .map_err(FileError::of("sync the folder", folder))
}

/// The result of syncing; a file system that can't sync such files counts as success.
pub(super) fn synced(done: io::Result<()>) -> io::Result<()> {
    use rustix::io::Errno;
    let without = [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP];
    match done {
        Err(error) if Errno::from_io_error(&error).is_some_and(|error| without.contains(&error)) => Ok(()),
        done => done,
    }
}

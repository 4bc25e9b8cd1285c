//! Questions to the file system, and what its errors mean for a search: nothing there, not allowed, or no answer.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, Stat, accessat, openat, statat};
use rustix::io::{Errno, Result as Asked, retry_on_intr};

use super::error::DiscoverError;

/// The error of the file system.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<T> {
    Is(T),
    /// There is nothing of that name (any more), or nothing a path can lead to.
    Nothing,
    /// It may be there, but not for this user.
    Denied,
}

/// Which file or folder it is, whatever path led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// As wide as any system's numbers, signed or not.
    device: i128,
    pub(super) inode: u64,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileInfo {
    pub(super) kind: FileType,
    pub(super) identity: Identity,
}

impl From<Stat> for FileInfo {
    // The fields of `Stat` are narrower on some architectures.
    #[allow(clippy::useless_conversion, clippy::allow_attributes)]
    fn from(stat: Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            identity: Identity { device: i128::from(stat.st_dev), inode: u64::from(stat.st_ino) },
        }
    }
}

/// What a result says about the path. Errors that say nothing about it (EIO, ESTALE, EMFILE) stay errors.
fn answer<T>(asked: Asked<T>) -> Asked<Answer<T>> {
    match asked {
        Ok(answer) => Ok(Answer::Is(answer)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(Answer::Nothing),
        Err(Errno::ACCESS | Errno::PERM) => Ok(Answer::Denied),
        Err(error) => Err(error),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(Errno) -> DiscoverError {
    move |errno| DiscoverError::Listing { action, path: path.to_path_buf(), cause: errno.into() }
}

/// What a path leads to, links followed.
pub(super) fn look_through(path: &Path) -> Result<Answer<FileInfo>, DiscoverError> {
    let asked = retry_on_intr(|| statat(CWD, path, AtFlags::empty()).map(FileInfo::from));
    answer(asked).map_err(failed("look at", path))
}

/// What is at a path, which may be a link.
pub(super) fn look_at(path: &Path) -> Result<Answer<FileInfo>, DiscoverError> {
    let asked = retry_on_intr(|| statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map(FileInfo::from));
    answer(asked).map_err(failed("look at", path))
}

/// The same for a name in an open folder. `path` is called only for an error.
pub(super) fn look_in(
    folder: impl AsFd,
    name: &CStr,
    flags: AtFlags,
    path: impl FnOnce() -> PathBuf,
) -> Result<Answer<FileInfo>, DiscoverError> {
    let asked = retry_on_intr(|| statat(&folder, name, flags).map(FileInfo::from));
    answer(asked).map_err(|errno| failed("look at", &path())(errno))
}

/// Opens a folder to list it. A folder that may be listed but not searched counts as denied, since no file in it could be
/// opened: one cheap check here replaces one for each of its files.
pub(super) fn open_folder(path: &Path) -> Result<Answer<OwnedFd>, DiscoverError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let asked = retry_on_intr(|| openat(CWD, path, flags, Mode::empty()))
        .and_then(|folder| accessat(&folder, c".", Access::EXISTS, AtFlags::empty()).map(|()| folder));
    answer(asked).map_err(failed("open the folder", path))
}

/// What an error while listing a folder means.
pub(super) fn listing_ended(errno: Errno, path: &Path) -> Result<Answer<()>, DiscoverError> {
    answer(Err(errno)).map_err(failed("list the folder", path))
}

/// Where access to `path` was denied: at the path itself if it can be seen (a link to a closed place), else at the
/// nearest visible folder above it.
pub(super) fn denied_at(path: &Path) -> PathBuf {
    if matches!(look_at(path), Ok(Answer::Is(_))) {
        return path.to_path_buf();
    }
    let mut above = path.ancestors().skip(1);
    above.find(|folder| matches!(look_through(folder), Ok(Answer::Is(_)))).unwrap_or(path).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_storage_is_no_answer() {
        for errno in [Errno::IO, Errno::STALE, Errno::MFILE, Errno::NOMEM] {
            let error = listing_ended(errno, Path::new("/data/x y")).unwrap_err().to_string();
            assert!(error.starts_with("cannot list the folder \"/data/x y\": "), "{error}");
            assert!(error.contains("os error"), "{error}");
        }
    }

    #[test]
    fn what_is_gone_or_denied_is_an_answer() {
        let of = |errno| answer::<()>(Err(errno));
        assert_eq!(of(Errno::NOENT), Ok(Answer::Nothing));
        assert_eq!(of(Errno::LOOP), Ok(Answer::Nothing));
        assert_eq!(of(Errno::PERM), Ok(Answer::Denied));
    }
}

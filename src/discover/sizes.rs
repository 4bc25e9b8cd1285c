//! How many bytes each entry has, for sharing by size.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, open, statat};
use walkdir::WalkDir;

use super::error::DiscoverError;
use super::pool::{neighbours, pool};

/// The bytes of each entry, in the order given: of a file (links followed), or of all regular files below a directory
/// (without following links in it, and without what may not be read).
///
/// `keep_going` is called before each entry and each directory.
///
/// # Errors
/// When an entry can't be looked at, such as a missing one. The error names it.
pub fn sizes<P: AsRef<Path> + Sync>(
    entries: &[P],
    keep_going: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<u64>, DiscoverError> {
    ask_all(entries, |entry, cache| size(entry, cache, keep_going))
}

/// The same for entries of which only some may be files: `None` for those that can't be looked at, and for those left
/// when `keep_going` returns false.
///
/// # Errors
/// When no thread can be started.
pub fn sizes_where_told<P: AsRef<Path> + Sync>(
    entries: &[P],
    keep_going: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Option<u64>>, DiscoverError> {
    ask_all(entries, |entry, cache| Ok(size(entry, cache, keep_going).ok()))
}

/// What `ask` returns for each entry, in parallel.
fn ask_all<'e, P: AsRef<Path> + Sync, T: Clone + Default + Send>(
    entries: &'e [P],
    ask: impl Fn(&'e Path, &mut StatCache<'e>) -> Result<T, DiscoverError> + Sync,
) -> Result<Vec<T>, DiscoverError> {
    let mut answers = vec![T::default(); entries.len()];
    let neighbours = neighbours(entries.len());
    let places = answers.par_chunks_mut(neighbours).zip(entries.par_chunks(neighbours));
    pool()?.install(|| {
        places.try_for_each(|(places, entries)| {
            let mut cache = StatCache::default();
            places.iter_mut().zip(entries).try_for_each(|(place, entry)| {
                *place = ask(entry.as_ref(), &mut cache)?;
                Ok(())
            })
        })
    })?;
    Ok(answers)
}

fn size<'e>(
    entry: &'e Path,
    cache: &mut StatCache<'e>,
    keep_going: &(dyn Fn() -> bool + Sync),
) -> Result<u64, DiscoverError> {
    go_on(keep_going)?;
    match cache.look(entry) {
        Ok((FileType::Directory, _)) => size_below(entry, keep_going),
        Ok((_, bytes)) => Ok(bytes),
        Err(cause) => Err(DiscoverError::Size { path: entry.to_path_buf(), cause }),
    }
}

/// Looks up entries one after the other, and keeps the folder of the last one open: most entries are in the same folder as
/// the one before, and looking up a name in an open folder is fast.
#[derive(Debug, Default)]
struct StatCache<'a> {
    folder: &'a [u8],
    /// The folder, once a second entry of it was looked up.
    open: Option<OwnedFd>,
}

impl<'a> StatCache<'a> {
    /// The type of an entry, links followed, and its bytes.
    fn look(&mut self, entry: &'a Path) -> io::Result<(FileType, u64)> {
        let path = entry.as_os_str().as_bytes();
        let (folder, name) = path.split_at(memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1));
        if folder != self.folder {
            *self = Self { folder, open: None };
        } else if self.open.is_none() {
            self.open = open_folder(folder);
        }
        let stat = match &self.open {
            Some(open) if !name.is_empty() => statat(open, name, AtFlags::empty())?,
            _ => statat(CWD, path, AtFlags::empty())?,
        };
        Ok((FileType::from_raw_mode(stat.st_mode), stat.st_size.try_into().unwrap_or(0)))
    }
}

/// Opens a folder without the right to list it, which is not needed.
#[cfg(target_os = "linux")]
fn open_folder(folder: &[u8]) -> Option<OwnedFd> {
    open(OsStr::from_bytes(folder), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_folder(folder: &[u8]) -> Option<OwnedFd> {
    open(OsStr::from_bytes(folder), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

fn size_below(folder: &Path, keep_going: &(dyn Fn() -> bool + Sync)) -> Result<u64, DiscoverError> {
    let mut bytes = 0;
    for found in WalkDir::new(folder) {
        let metadata =
            found.and_then(
                |entry| {
                    if entry.file_type().is_file() { entry.metadata().map(Some) } else { Ok(None) }
                },
            );
        match metadata {
            Ok(Some(metadata)) => bytes += metadata.len(),
            Ok(None) => go_on(keep_going)?,
            Err(error) if is_passed_over(&error) => {}
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_path_buf();
                return Err(DiscoverError::Size { path, cause: error.into() });
            }
        }
    }
    Ok(bytes)
}

/// Whether an error means that something is not allowed, or was removed after it was listed.
fn is_passed_over(error: &walkdir::Error) -> bool {
    let kind = error.io_error().map(io::Error::kind);
    matches!(kind, Some(ErrorKind::PermissionDenied | ErrorKind::NotFound))
}

fn go_on(keep_going: &(dyn Fn() -> bool + Sync)) -> Result<(), DiscoverError> {
    if keep_going() { Ok(()) } else { Err(DiscoverError::Stopped) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn sizes_come_in_the_order_of_the_entries_and_count_all_of_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("ms/table")).unwrap();
        fs::write(dir.path().join("ms/a"), [0; 10]).unwrap();
        fs::write(dir.path().join("ms/table/.b"), [0; 5]).unwrap();
        fs::write(dir.path().join("f"), [0; 3]).unwrap();
        std::os::unix::fs::symlink("../f", dir.path().join("ms/link")).unwrap();
        std::os::unix::fs::symlink("f", dir.path().join("l")).unwrap();
        let entries = ["f", "ms", "l"].map(|name| dir.path().join(name));
        assert_eq!(sizes(&entries, &|| true).unwrap(), [3, 15, 3]);
    }

    #[test]
    fn a_missing_entry_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("gone.fits");
        let error = sizes(std::slice::from_ref(&missing), &|| true).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot tell the size of {}: ", missing.display())), "{error}");
    }

    #[test]
    fn what_is_no_file_has_no_size_where_not_all_need_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), [0; 3]).unwrap();
        let entries = [dir.path().join("gone"), dir.path().join("f")];
        assert_eq!(sizes_where_told(&entries, &|| true).unwrap(), [None, Some(3)]);
        assert_eq!(sizes_where_told(&entries, &|| false).unwrap(), [None; 2]);
    }

    #[test]
    fn measuring_stops_when_asked_to() {
        assert!(matches!(sizes(&["/"], &|| false), Err(DiscoverError::Stopped)));
    }
}

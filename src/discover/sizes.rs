//! How many bytes each entry has, for shares of equal size.

use std::io::ErrorKind;
use std::path::Path;

use rayon::prelude::*;
use walkdir::WalkDir;

use super::error::DiscoverError;
use super::pool::pool;

/// The bytes of each entry, in the order given: of a file (links followed), or of all regular files below a directory
/// (links in it not followed, what may not be read not counted).
///
/// `keep_going` is asked before each entry and each directory.
///
/// # Errors
/// An entry that can't be looked at, a missing one above all, is an error that names it.
pub fn sizes<P: AsRef<Path> + Sync>(
    entries: &[P],
    keep_going: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<u64>, DiscoverError> {
    let mut sizes = vec![0; entries.len()];
    let places = sizes.par_iter_mut().zip(entries);
    pool()?.install(|| {
        places.try_for_each(|(place, entry)| {
            *place = size(entry.as_ref(), keep_going)?;
            Ok(())
        })
    })?;
    Ok(sizes)
}

fn size(entry: &Path, keep_going: &(dyn Fn() -> bool + Sync)) -> Result<u64, DiscoverError> {
    go_on(keep_going)?;
    let metadata =
        std::fs::metadata(entry).map_err(|cause| DiscoverError::Size { path: entry.to_path_buf(), cause })?;
    if metadata.is_dir() { size_below(entry, keep_going) } else { Ok(metadata.len()) }
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

/// Not allowed, or gone since it was listed.
fn is_passed_over(error: &walkdir::Error) -> bool {
    let kind = error.io_error().map(std::io::Error::kind);
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
    fn measuring_stops_when_asked_to() {
        assert!(matches!(sizes(&["/"], &|| false), Err(DiscoverError::Stopped)));
    }
}

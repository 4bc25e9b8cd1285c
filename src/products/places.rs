//! Whether products can be put at their final paths: checked before the first task runs.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{Access, access};

use crate::exit_code::CannotWrite;
use crate::products::declared::DeclaredProducts;
use crate::record::inputs::InputList;
use crate::threads::CpuPool;
use crate::units;

/// The paths of how many tasks are checked: what is wrong with one is mostly wrong with all, and a launch must not wait.
const MOST: usize = 10_000;

/// Files that are where products are to go.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OccupiedPlaces {
    /// How many of the places that were looked at.
    pub count: u64,
    /// The first of them.
    pub example: Option<PathBuf>,
}

/// Checks where the products of these tasks (ascending) will go: their folders must exist or be creatable, and must be
/// readable and writable, and no final path may be a mount point. Gives the files that are there of tasks that `is_new`.
///
/// # Errors
/// With the first place that can't be used, or when the list can't be read.
pub fn check_places(
    declared: &DeclaredProducts,
    list: &InputList,
    tasks: impl Iterator<Item = u64>,
    is_new: impl Fn(u64) -> bool,
) -> anyhow::Result<OccupiedPlaces> {
    let mut places = Vec::new();
    list.read(tasks.take(MOST), |index, entry| {
        let is_new = is_new(index);
        places.extend(declared.paths(entry, index).into_iter().map(|place| (place, is_new)));
        Ok(())
    })?;
    let folders: BTreeSet<PathBuf> =
        places.iter().filter_map(|(place, _)| Some(place.parent()?.to_owned())).collect();
    let pool = CpuPool::for_storage();
    let folders = pool.map(folders.into_iter().collect(), |folder| match can_be_written(&folder) {
        Ok(()) => None,
        Err((at, error)) => Some((folder, at, error)),
    });
    if let Some((folder, at, error)) = folders.into_iter().flatten().next() {
        let what = format!("no product can be put into {}", units::path(&folder));
        let cannot = if at == folder { what } else { format!("{what}: {}", units::path(&at)) };
        return Err(error).context(cannot).context(CannotWrite);
    }
    let mut occupied = OccupiedPlaces::default();
    for (place, is_new, found) in pool.map(places, |(place, is_new)| {
        let found = found_at(&place);
        (place, is_new, found)
    }) {
        match found {
            FoundAt::MountPoint => bail!(
                "{} is a mount point, so no product can take its place: give --product a path within it, or mount the folder above",
                units::path(&place)
            ),
            FoundAt::File if is_new => {
                occupied.count += 1;
                occupied.example.get_or_insert(place);
            }
            FoundAt::File | FoundAt::Other => {}
        }
    }
    Ok(occupied)
}

/// What is where a product is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FoundAt {
    MountPoint,
    /// A file, which the product replaces.
    File,
    /// Nothing, a directory, or what can't be told.
    Other,
}

/// Whether a folder can be written, or made where it is missing; else where that ends, and why.
fn can_be_written(folder: &Path) -> Result<(), (PathBuf, io::Error)> {
    for at in folder.ancestors() {
        let failed = |error| Err((at.to_owned(), error));
        match std::fs::metadata(at) {
            Ok(found) if !found.is_dir() => return failed(io::ErrorKind::NotADirectory.into()),
            Ok(_) => {
                // A folder that can't be read can't be synced.
                let allowed = access(at, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK);
                return allowed.map_err(io::Error::from).or_else(failed);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return failed(error),
        }
    }
    Ok(())
}

/// Looks at a place. What is not there, or can't be told, is no mount point.
#[cfg(target_os = "linux")]
fn found_at(path: &Path) -> FoundAt {
    use rustix::fs::{AtFlags, CWD, FileType, StatxAttributes, StatxFlags, statx};

    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let Ok(found) = statx(CWD, path, flags, StatxFlags::TYPE) else { return FoundAt::Other };
    let is_mount_point = if found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    } else {
        is_on_other_device(path)
    };
    match FileType::from_raw_mode(found.stx_mode.into()) {
        _ if is_mount_point => FoundAt::MountPoint,
        FileType::RegularFile => FoundAt::File,
        _ => FoundAt::Other,
    }
}

#[cfg(not(target_os = "linux"))]
fn found_at(path: &Path) -> FoundAt {
    match std::fs::symlink_metadata(path) {
        Ok(_) if is_on_other_device(path) => FoundAt::MountPoint,
        Ok(found) if found.is_file() => FoundAt::File,
        _ => FoundAt::Other,
    }
}

/// Whether it lies on another device than the folder it is in.
fn is_on_other_device(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let device = |path: &Path| std::fs::symlink_metadata(path).map(|found| found.dev()).ok();
    let folder = path.parent().and_then(|folder| std::fs::metadata(folder).ok()).map(|found| found.dev());
    device(path).zip(folder).is_some_and(|(own, folder)| own != folder)
}

#[cfg(test)]
mod tests {
    use std::fs::DirBuilder;
    use std::os::unix::fs::DirBuilderExt;
    use std::path::Path;

    use super::{FoundAt, can_be_written, found_at, is_on_other_device};

    fn is_mount_point(path: &Path) -> bool {
        found_at(path) == FoundAt::MountPoint
    }

    #[test]
    fn a_file_in_the_place_of_a_product_is_told_from_what_no_product_replaces() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        std::fs::create_dir(folder.path().join("dir")).unwrap();
        for (name, found) in [("file", FoundAt::File), ("dir", FoundAt::Other), ("none", FoundAt::Other)] {
            assert_eq!(found_at(&folder.path().join(name)), found, "{name}");
        }
    }

    #[test]
    fn a_folder_can_be_written_where_all_that_is_missing_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink("file", root.join("link")).unwrap();
        for good in ["", "a", "a/b/c"] {
            assert!(can_be_written(&root.join(good)).is_ok(), "{good}");
        }
        for (bad, at) in [("file", "file"), ("file/a/b", "file"), ("link/a", "link")] {
            let (found, error) = can_be_written(&root.join(bad)).unwrap_err();
            assert_eq!((found, error.kind()), (root.join(at), std::io::ErrorKind::NotADirectory), "{bad}");
        }
    }

    #[test]
    fn a_folder_that_can_not_be_read_is_none_for_products() {
        if rustix::process::geteuid().is_root() {
            // Nothing is forbidden to root.
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed");
        DirBuilder::new().mode(0o300).create(&closed).unwrap();
        for path in [closed.clone(), closed.join("a/b")] {
            let (at, error) = can_be_written(&path).unwrap_err();
            assert_eq!((at, error.kind()), (closed.clone(), std::io::ErrorKind::PermissionDenied));
        }
    }

    #[test]
    fn mount_points_are_told_from_what_lies_in_a_file_system() {
        let folder = tempfile::tempdir().unwrap();
        for (path, is_mount) in
            [(Path::new("/proc"), true), (folder.path(), false), (Path::new("/proc/self/none"), false)]
        {
            assert_eq!(is_mount_point(path), is_mount, "{}", path.display());
            assert_eq!(is_on_other_device(path), is_mount, "{}", path.display());
        }
    }
}

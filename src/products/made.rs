//! What an attempt made: whether it is a valid product, syncing it to storage, and its entry in the record.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::host::shortage;
use crate::host::storage::StorageTrouble;
use crate::model::product::{Checksum, Product, ProductKind, ProductLook, changed_at};
use crate::products::digest::{self, DirectoryFiles, FileHasher};
use crate::products::publish::{NotPublished, Unpublished, failed, placeholder};
use crate::products::staging::{FileError, sync_folder, synced};
use crate::text::PathText;
use crate::threads::CpuPool;
use crate::units;

/// From this many files in a directory on, threads pay off.
const MANY: usize = 200;

/// A product that is whole and synced, and does not have its final name yet.
#[derive(Debug)]
pub(super) struct MadeProduct {
    /// As its record has it.
    pub(super) product: Product,
    /// Its inode number.
    pub(super) inode: u64,
}

/// How what was made is sealed.
pub(super) struct Sealing<'a> {
    pub(super) checksum: Checksum,
    /// Whether the command names where to write.
    pub(super) has_out: bool,
    /// Asked between files and between parts of them: whether there is no time left for this.
    pub(super) should_stop: &'a (dyn Fn() -> bool + Sync),
}

impl Sealing<'_> {
    fn go_on(&self) -> Result<(), NotPublished> {
        if (self.should_stop)() { Err(Unpublished::Stopped.into()) } else { Ok(()) }
    }

    /// Tries again while the system is short of descriptors or memory: what a long command made is not thrown away for that.
    pub(super) fn patiently<T>(
        &self,
        attempt: impl Fn() -> Result<T, NotPublished>,
    ) -> Result<T, NotPublished> {
        let is_short = |not: &NotPublished| matches!(not, NotPublished::Unpublished(Unpublished::Short(_)));
        shortage::patiently(attempt, is_short, || self.go_on())
    }
}

/// Checks what was written at `out` and syncs it; `None` if nothing is there.
///
/// # Errors
/// When it can't be the product of this name for `place`, can't be read or synced, or there is no time left.
pub(super) fn seal(
    name: Option<&str>,
    out: &Path,
    place: &Path,
    how: &Sealing<'_>,
) -> Result<Option<MadeProduct>, NotPublished> {
    seal_it(name, out, place, how).map_err(|error| match error {
        // The task made it so.
        NotPublished::Unpublished(Unpublished::CannotStore(error))
            if error.trouble == StorageTrouble::Denied =>
        {
            failed(error.text)
        }
        other => other,
    })
}

fn seal_it(
    name: Option<&str>,
    out: &Path,
    place: &Path,
    how: &Sealing<'_>,
) -> Result<Option<MadeProduct>, NotPublished> {
    let shown = placeholder(name);
    let file = match open(out) {
        Ok(file) => file,
        Err(error) => {
            return match Errno::from_io_error(&error) {
                Some(Errno::NOENT) => Ok(None),
                Some(Errno::LOOP | Errno::MLINK) => {
                    Err(failed(format!("the product {shown} is a symbolic link: write a file or directory")))
                }
                Some(Errno::NXIO) => Err(failed(format!(
                    "the product {shown} is a socket or device: write a file or directory"
                ))),
                _ => Err(FileError::of("open the product", out)(error).into()),
            };
        }
    };
    let mut metadata = file.metadata().map_err(FileError::of("look at the product", out))?;
    let (kind, bytes, sha256) = if metadata.is_file() {
        let sealed = seal_file(&file, out, how)?;
        metadata = sealed.metadata;
        (ProductKind::File, metadata.len(), sealed.sha256)
    } else if metadata.is_dir() {
        let (bytes, sha256) = seal_directory(out, &shown, how)?;
        (ProductKind::Dir, bytes, sha256)
    } else {
        return Err(failed(format!("the product {shown} is a FIFO or device: write a file or directory")));
    };
    if kind == ProductKind::File && bytes == 0 {
        return Err(failed(format!("the product {shown} is empty")));
    }
    let product = Product {
        name: name.map(str::to_owned),
        path: PathText::readable(place.as_os_str()),
        kind,
        bytes,
        modified: changed_at(&metadata),
        sha256,
    };
    Ok(Some(MadeProduct { product, inode: metadata.ino() }))
}

/// At once, whatever it is, and following no link.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// A file that is synced.
struct SealedFile {
    /// As it is after that: what is written late changes the time.
    metadata: Metadata,
    sha256: Option<String>,
}

fn seal_file(file: &File, path: &Path, how: &Sealing<'_>) -> Result<SealedFile, NotPublished> {
    how.go_on()?;
    synced(file.sync_all()).map_err(FileError::of("sync", path))?;
    let look = || file.metadata().map_err(FileError::of("look at", path));
    let metadata = look()?;
    let Checksum::Sha256 = how.checksum else { return Ok(SealedFile { metadata, sha256: None }) };
    let mut hasher = FileHasher::default();
    while hasher.read_some(file).map_err(FileError::of("read", path))? {
        how.go_on()?;
    }
    let (sha256, bytes) = hasher.finish();
    if bytes != metadata.len() || ProductLook::of(&look()?) != ProductLook::of(&metadata) {
        return Err(failed(format!(
            "{} changed while it was hashed: something is still writing to it",
            units::path(path)
        )));
    }
    Ok(SealedFile { metadata, sha256: Some(sha256) })
}

/// Syncs all in a directory; gives the length of its files, and its digest.
fn seal_directory(
    directory: &Path,
    shown: &str,
    how: &Sealing<'_>,
) -> Result<(u64, Option<String>), NotPublished> {
    let within = DirectoryFiles::of(directory).map_err(FileError::of("read the directory", directory))?;
    if within.is_empty() {
        return Err(failed(format!("the product {shown} is an empty directory")));
    }
    let (mut bytes, mut lines) = (0, Vec::new());
    for (name, sealed) in within.files.iter().zip(seal_files(directory, &within.files, how)) {
        let sealed = sealed?;
        bytes += sealed.metadata.len();
        if let Some(sha256) = sealed.sha256 {
            digest::add_line(&mut lines, &sha256, name);
        }
    }
    for folder in &within.folders {
        how.go_on()?;
        sync_folder(&directory.join(folder))?;
    }
    Ok((bytes, (how.checksum == Checksum::Sha256).then(|| digest::sha256_of_bytes(&lines))))
}

/// Many of them at a time, if there are many: syncing means waiting for storage. A sync of the whole file system would be
/// one call, but waits for the writes of all other processes, and may miss the error of a file.
fn seal_files(
    directory: &Path,
    names: &[OsString],
    how: &Sealing<'_>,
) -> Vec<Result<SealedFile, NotPublished>> {
    let seal = |name: &OsString| {
        let path = directory.join(name);
        seal_file(&open(&path).map_err(FileError::of("open", &path))?, &path, how)
    };
    if names.len() < MANY {
        return names.iter().map(seal).collect();
    }
    CpuPool::for_storage().map(names.iter().collect(), seal)
}

#[cfg(test)]
mod tests;

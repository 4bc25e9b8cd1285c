//! What an attempt made: whether it can be a product, synced to its storage, and what records say of it.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::host::storage::StorageTrouble;
use crate::model::product::{Checksum, Product, ProductKind, ProductLook, changed_at};
use crate::products::digest::{self, DirectoryFiles};
use crate::products::publish::{NotPublished, Unpublished, failed, placeholder};
use crate::products::staging::{FileError, sync_folder, synced};
use crate::text::PathText;
use crate::units;

/// A product that is whole and synced, and does not have its final name yet.
#[derive(Debug)]
pub(super) struct MadeProduct {
    /// As its record has it.
    pub(super) product: Product,
    /// Its inode number.
    pub(super) inode: u64,
}

/// Looks at what was written at `out` and syncs it; `None` where nothing is there.
///
/// # Errors
/// When it can't be the product of this name for `place`, or can't be read or synced.
pub(super) fn seal(
    name: Option<&str>,
    out: &Path,
    place: &Path,
    checksum: Checksum,
) -> Result<Option<MadeProduct>, NotPublished> {
    seal_it(name, out, place, checksum).map_err(|error| match error {
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
    checksum: Checksum,
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
        let sealed = seal_file(&file, out, checksum)?;
        metadata = sealed.metadata;
        (ProductKind::File, metadata.len(), sealed.sha256)
    } else if metadata.is_dir() {
        let (bytes, sha256) = seal_directory(out, &shown, checksum)?;
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

fn seal_file(file: &File, path: &Path, checksum: Checksum) -> Result<SealedFile, NotPublished> {
    synced(file.sync_all()).map_err(FileError::of("sync", path))?;
    let look = || file.metadata().map_err(FileError::of("look at", path));
    let metadata = look()?;
    let Checksum::Sha256 = checksum else { return Ok(SealedFile { metadata, sha256: None }) };
    let (sha256, bytes) = digest::sha256_of(file).map_err(FileError::of("read", path))?;
    if bytes != metadata.len() || ProductLook::of(&look()?) != ProductLook::of(&metadata) {
        return Err(failed(format!(
            "{} changed while it was hashed: something still writes to it",
            units::path(path)
        )));
    }
    Ok(SealedFile { metadata, sha256: Some(sha256) })
}

/// Syncs all in a directory; gives the length of its files, and its digest.
fn seal_directory(
    directory: &Path,
    shown: &str,
    checksum: Checksum,
) -> Result<(u64, Option<String>), NotPublished> {
    let within = DirectoryFiles::of(directory).map_err(FileError::of("read the directory", directory))?;
    if within.is_empty() {
        return Err(failed(format!("the product {shown} is an empty directory")));
    }
    let (mut bytes, mut lines) = (0, Vec::new());
    for name in &within.files {
        let path = directory.join(name);
        let file = open(&path).map_err(FileError::of("open", &path))?;
        let sealed = seal_file(&file, &path, checksum)?;
        bytes += sealed.metadata.len();
        if let Some(sha256) = sealed.sha256 {
            digest::add_line(&mut lines, &sha256, name);
        }
    }
    for folder in &within.folders {
        sync_folder(&directory.join(folder))?;
    }
    Ok((bytes, (checksum == Checksum::Sha256).then(|| digest::sha256_of_bytes(&lines))))
}

//! The storage calls of claiming, one by one, so that tests can make each of them fail.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::store::file_id::FileId;
use crate::store::regular;

/// The calls.
pub(super) trait ClaimStorage: Debug + Send + Sync {
    /// Gives the file at `from` a second name, which must not be taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Creates an empty file; its name must not exist yet.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Writes and syncs it.
    fn write(&self, file: &mut File, text: &[u8]) -> io::Result<()>;
    /// Up to this many bytes of the file that has the name now, and the file's identity.
    fn read(&self, path: &Path, most: u64) -> io::Result<(Vec<u8>, FileId)>;
    /// Makes one folder.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Whether the name is taken.
    fn exists(&self, path: &Path) -> io::Result<bool>;
}

/// The real ones.
#[derive(Debug)]
pub(super) struct FileServer;

impl ClaimStorage for FileServer {
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    fn write(&self, file: &mut File, text: &[u8]) -> io::Result<()> {
        file.write_all(text)?;
        file.sync_all()
    }

    fn read(&self, path: &Path, most: u64) -> io::Result<(Vec<u8>, FileId)> {
        let (file, mut text) = (regular::open(path)?, Vec::new());
        let metadata = file.metadata()?;
        file.take(most).read_to_end(&mut text)?;
        Ok((text, FileId::of(&metadata)))
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match path.symlink_metadata() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

//! Files that appear under their name complete or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::store::layout::unfinished;
use crate::store::server_clock::now_at_file_server;

/// Large writes for a file server, and few of them.
const BUFFER: usize = 256 * 1024;

/// A file in the making. Dropped before [`AtomicFile::replace`] it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    writer: BufWriter<NamedTempFile>,
}

/// A file that is written and synced. Dropped before it is put at its place it leaves nothing behind.
#[derive(Debug)]
pub struct FinishedFile {
    target: PathBuf,
    file: NamedTempFile,
}

impl FinishedFile {
    /// The name it will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts it at its place, over an older one.
    ///
    /// # Errors
    /// When it can't be renamed; an older one then stays as it was.
    pub fn replace(self) -> io::Result<()> {
        self.file.persist(&self.target).map_err(|error| error.error)?;
        sync_folder(&self.target);
        Ok(())
    }

    /// Puts it at its place unless something is there.
    ///
    /// # Errors
    /// When it can't be renamed.
    pub fn publish(self) -> io::Result<Published> {
        let Self { file, target } = self;
        match file.persist_noclobber(&target) {
            Ok(_) => {
                sync_folder(&target);
                Ok(Published::New)
            }
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Published::Existing),
            // A file system with neither links nor a rename that does not replace: the publisher of a list has
            // taken the lock of the results directory, so no other process publishes one between this check and the rename.
            Err(error) if knows_no_links(&error.error) => {
                if target.try_exists()? {
                    return Ok(Published::Existing);
                }
                error.file.persist(&target).map_err(|error| error.error)?;
                sync_folder(&target);
                Ok(Published::New)
            }
            Err(error) => Err(error.error),
        }
    }
}

/// The outcome for a file that must not replace another one.
#[derive(Debug, PartialEq, Eq)]
pub enum Published {
    /// It is there now.
    New,
    /// Another one was there already and stays.
    Existing,
}

impl AtomicFile {
    /// Starts a file that will be at `target`, in a temporary one beside it (renaming works within a folder only).
    ///
    /// # Errors
    /// When the folder can't be written to.
    pub fn create(target: &Path) -> io::Result<Self> {
        let name = target.file_name().unwrap_or_default();
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".tmp")
            // Colleagues of the group may merge: what umask allows, as for any file.
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .tempfile_in(folder_of(target))?;
        Ok(Self { target: target.to_owned(), writer: BufWriter::with_capacity(BUFFER, file) })
    }

    /// Syncs it, so that nothing is left but to put it at its place.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(self) -> io::Result<FinishedFile> {
        let file = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        Ok(FinishedFile { target: self.target, file })
    }

    /// Syncs it and puts it at its place, over an older one.
    ///
    /// # Errors
    /// When it can't be written or renamed; an older one then stays as it was.
    pub fn replace(self) -> io::Result<()> {
        self.finish()?.replace()
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// What link(2) and renameat2(2) say where a file system has no such thing.
pub fn knows_no_links(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let without = [Errno::PERM, Errno::NOSYS, Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP];
    Errno::from_io_error(error).is_some_and(|error| without.contains(&error))
}

/// An unfinished file that was not written to for this long has lost its writer: even a merge of many hours keeps writing.
pub const ABANDONED: Duration = Duration::from_hours(24);

/// Removes files that killed writers of `target` have left beside it and not touched for that long, by the file
/// server's clock; with [`Duration::ZERO`], if no other process can be writing it, all of them. Files that can't be removed stay.
pub fn remove_leftovers(target: &Path, untouched: Duration) {
    let folder = folder_of(target);
    let is_leftover = |name: &std::ffi::OsStr| {
        name.to_str().and_then(unfinished).is_some_and(|name| target.ends_with(name))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for left in entries.filter(|entry| is_leftover(&entry.file_name())) {
        let age = || {
            let touched = left.metadata().ok()?.modified().ok()?;
            now_at_file_server(folder)?.duration_since(touched).ok()
        };
        if untouched.is_zero() || age() >= Some(untouched) {
            let _ = std::fs::remove_file(left.path());
        }
    }
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a rename last through a power loss. Some file systems can't sync folders; the file is whole either way.
fn sync_folder(target: &Path) {
    if let Some(folder) = target.parent()
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{AtomicFile, Published};

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(&folder.path().join("x")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn publishing_never_touches_an_existing_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        for (text, published, now) in [("a", Published::New, "a"), ("b", Published::Existing, "a")] {
            let mut file = AtomicFile::create(&target).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert_eq!(file.finish().unwrap().publish().unwrap(), published);
            assert_eq!(std::fs::read_to_string(&target).unwrap(), now);
        }
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"c").unwrap();
        file.replace().unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "c");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

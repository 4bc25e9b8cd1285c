//! Where a command writes its output. A regular file is replaced, whole or not at all; a link to one stays and
//! its target is replaced; anything else (a pipe, a device) is written to; `-` is standard output.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::environment::Environment;
use crate::store::atomic_file::{ABANDONED, AtomicFile, remove_leftovers};
use crate::units;

/// Large writes, and few of them.
const BUFFER: usize = 256 * 1024;

/// How many links are followed, as by the system.
const MOST_LINKS: usize = 40;

/// Where something goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// What has, or will have, this name.
    Path(PathBuf),
}

/// What a destination is at the moment.
#[derive(Debug, PartialEq, Eq)]
enum DestinationKind {
    /// A regular file, or nothing yet: the place that links lead to.
    Replaced(PathBuf),
    /// Something that can only be written to.
    WrittenTo(PathBuf),
    Stdout,
}

impl Destination {
    /// What was typed: `-` is standard output, and `./-` a file.
    pub fn typed(typed: &Path, environment: &Environment) -> Self {
        if typed == Path::new("-") { Self::Stdout } else { Self::Path(environment.absolute(typed)) }
    }

    /// Its name, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout => None,
            Self::Path(path) => Some(path),
        }
    }

    /// The file that is replaced, wherever links lead; `None` for what is written to instead.
    ///
    /// # Errors
    /// When it is a directory, or can't be examined.
    pub fn replaced(&self) -> io::Result<Option<PathBuf>> {
        Ok(match self.kind()? {
            DestinationKind::Replaced(path) => Some(path),
            DestinationKind::WrittenTo(_) | DestinationKind::Stdout => None,
        })
    }

    fn kind(&self) -> io::Result<DestinationKind> {
        let Self::Path(path) = self else { return Ok(DestinationKind::Stdout) };
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(ErrorKind::IsADirectory.into());
        }
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => Ok(DestinationKind::WrittenTo(path.clone())),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(end_of_links(path)
                .map_or_else(|| DestinationKind::WrittenTo(path.clone()), DestinationKind::Replaced)),
        }
    }

    /// The same for the value of `option`, so that it can be compared with names that are taken. A path that can't be
    /// examined has none: the error comes when it is written.
    ///
    /// # Errors
    /// When it is a directory.
    pub fn place(&self, option: &str) -> anyhow::Result<Option<PathBuf>> {
        match self.replaced() {
            Ok(path) => Ok(path),
            Err(error) if error.kind() == ErrorKind::IsADirectory => {
                bail!("{option} {self}: this is a directory: give the name of a file")
            }
            Err(_) => Ok(None),
        }
    }

    /// Begins to write; `stdout` is standard output. For a pipe, this waits until it has a reader.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn open<'o>(&self, stdout: &'o mut dyn Write) -> io::Result<OutputFile<'o>> {
        let direct = |out| OutputFile(Out::Direct(BufWriter::with_capacity(BUFFER, out)));
        Ok(match self.kind()? {
            DestinationKind::Stdout => direct(Box::new(stdout)),
            DestinationKind::WrittenTo(path) => direct(Box::new(OpenOptions::new().append(true).open(path)?)),
            DestinationKind::Replaced(path) => OutputFile(Out::Whole(AtomicFile::create(&path)?)),
        })
    }

    /// Removes what writers that were killed left beside it.
    pub fn remove_leftovers(&self) {
        if let Ok(Some(path)) = self.replaced() {
            remove_leftovers(&path, ABANDONED);
        }
    }

    /// Removes a regular file; what else has the name stays.
    ///
    /// # Errors
    /// When something else is there.
    pub fn remove(&self) -> io::Result<()> {
        let Self::Path(path) = self else { return Err(ErrorKind::Unsupported.into()) };
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => Err(ErrorKind::Unsupported.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Ok(_) | Err(_) => std::fs::remove_file(path),
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => out.write_str("standard output"),
            Self::Path(path) => out.write_str(&units::path(path)),
        }
    }
}

/// The name that a path leads to, where it may be replaced. Links of a process's open files (`/dev/stdout`) lead to what
/// that process has open, and not to its name.
fn end_of_links(path: &Path) -> Option<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        let name = at.file_name().unwrap_or_default();
        // Where there is no such folder, writing fails.
        let folder = at.parent().and_then(|folder| folder.canonicalize().ok());
        let Some(folder) = folder else { return Some(at) };
        let Ok(target) = std::fs::read_link(&at) else { return Some(folder.join(name)) };
        if folder.starts_with("/proc") {
            return None;
        }
        at = folder.join(target);
    }
    None
}

/// Something being written. What is replaced is so at the end; dropped before, it stays as it was.
#[derive(Debug)]
pub struct OutputFile<'o>(Out<'o>);

enum Out<'o> {
    Whole(AtomicFile),
    Direct(BufWriter<Box<dyn Write + 'o>>),
}

impl std::fmt::Debug for Out<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(file) => file.fmt(out),
            Self::Direct(_) => out.write_str("Direct"),
        }
    }
}

impl OutputFile<'_> {
    /// Ends it: all of it is there now.
    ///
    /// # Errors
    /// When it can't be written or renamed.
    pub fn finish(self) -> io::Result<()> {
        match self.0 {
            Out::Whole(file) => file.replace(),
            Out::Direct(mut out) => out.flush(),
        }
    }
}

impl Write for OutputFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Out::Whole(file) => file.write(bytes),
            Out::Direct(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Out::Whole(file) => file.flush(),
            Out::Direct(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

    use super::Destination;

    fn write(path: &Path, text: &str) -> std::io::Result<()> {
        let mut stdout = Vec::new();
        let mut file = Destination::Path(path.to_owned()).open(&mut stdout)?;
        file.write_all(text.as_bytes())?;
        file.finish()
    }

    #[test]
    fn links_stay_and_what_they_lead_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("sub")).unwrap();
        symlink("sub/two", path("one")).unwrap();
        symlink("../real", path("sub/two")).unwrap();
        for text in ["not there before", "there before"] {
            write(&path("one"), text).unwrap();
            assert_eq!(std::fs::read_to_string(path("real")).unwrap(), text);
            assert!(path("one").is_symlink() && path("sub/two").is_symlink() && !path("real").is_symlink());
        }
        let mut stdout = Vec::new();
        let mut half = Destination::Path(path("one")).open(&mut stdout).unwrap();
        half.write_all(b"half").unwrap();
        drop(half);
        assert_eq!(std::fs::read_to_string(path("real")).unwrap(), "there before");
        symlink("around", path("around")).unwrap();
        assert!(write(&path("around"), "x").is_err());
        for folder in [folder.path(), &path("new/")] {
            assert_eq!(write(folder, "x").unwrap_err().kind(), ErrorKind::IsADirectory);
        }
    }

    #[test]
    fn what_is_no_regular_file_is_written_to_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let link = folder.path().join("link");
        symlink("pipe", &link).unwrap();
        for path in [&pipe, &link] {
            let read = std::thread::scope(|scope| {
                let reader = scope.spawn(|| std::fs::read_to_string(&pipe).unwrap());
                write(path, "text").unwrap();
                reader.join().unwrap()
            });
            assert_eq!(read, "text");
        }
        let device = folder.path().join("full");
        let full = makedev(1, 7);
        // Only root can make one.
        if mknodat(CWD, &device, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, full).is_ok() {
            assert_eq!(write(&device, "text").unwrap_err().kind(), ErrorKind::StorageFull);
            Destination::Path(device.clone()).remove().unwrap_err();
            assert!(device.exists());
        }
    }

    #[test]
    fn what_a_process_has_open_is_written_to_and_not_replaced() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "before ").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let by_number = format!("/proc/self/fd/{}", file.as_raw_fd());
        let link = folder.path().join("link");
        symlink(&by_number, &link).unwrap();
        write(Path::new(&by_number), "one ").unwrap();
        write(&link, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before one two");
        assert!(link.is_symlink());
    }
}

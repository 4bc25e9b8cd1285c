//! Opens a file that must be regular. Its name may be that of a FIFO without a writer, or of a link to
//! an endless device: opening or reading those would hang.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file for reading, without blocking whatever it is. A folder is opened, too: reading it fails with the right error.
///
/// # Errors
/// When it can't be opened, or is neither a regular file nor a folder.
pub fn open(path: &Path) -> io::Result<File> {
    let at_once = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(at_once).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(file);
    }
    let what = if kind.is_fifo() { "a FIFO" } else { "a device" };
    Err(io::Error::other(format!("it is {what}, which is not a regular file: move it away")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::open;

    #[test]
    fn what_would_hang_a_reader_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(std::io::read_to_string(open(&path).unwrap()).unwrap(), "text");
        std::fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("it is a FIFO"));
        assert!(open(Path::new("/dev/zero")).unwrap_err().to_string().contains("it is a device"));
        let folder = std::io::read_to_string(open(folder.path()).unwrap()).unwrap_err();
        assert_eq!(folder.kind(), std::io::ErrorKind::IsADirectory);
    }
}

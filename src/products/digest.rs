//! SHA-256 as `sha256sum` prints it: of files; for a directory, of the lines for the files in it.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Large reads for a file server.
const BUFFER: usize = 256 * 1024;

/// The SHA-256 of the rest of a file, hexadecimal, and how many bytes that was; `told` is called with the number of bytes read
/// each time.
///
/// # Errors
/// When it can't be read.
pub fn sha256_told(file: &File, told: &dyn Fn(u64)) -> io::Result<(String, u64)> {
    let (mut hasher, mut before) = (FileHasher::default(), 0);
    while hasher.read_some(file)? {
        told(hasher.bytes - before);
        before = hasher.bytes;
    }
    Ok(hasher.finish())
}

/// The SHA-256 of a file, a part at a time: that of a large one takes long.
#[derive(Debug, Default)]
pub struct FileHasher {
    hasher: Sha256,
    buffer: Vec<u8>,
    bytes: u64,
}

impl FileHasher {
    /// Continues reading the file; returns whether there was more of it.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read_some(&mut self, mut file: &File) -> io::Result<bool> {
        self.buffer.resize(BUFFER, 0);
        let read = loop {
            match file.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.hasher.update(&self.buffer[..read]);
        self.bytes += read as u64;
        Ok(read > 0)
    }

    /// That of all that was read, hexadecimal, and how many bytes that was.
    pub fn finish(self) -> (String, u64) {
        (hexadecimal(self.hasher), self.bytes)
    }
}

/// The SHA-256 of a text, hexadecimal.
pub fn sha256_of_bytes(text: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(text))
}

fn hexadecimal(hasher: Sha256) -> String {
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing to a text has no way to fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Adds the line that `sha256sum` prints for a file of this name. A name that would break the line is escaped, and the line
/// then begins with a backslash.
pub fn add_line(lines: &mut Vec<u8>, sha256: &str, name: &OsStr) {
    let name = name.as_bytes();
    if memchr::memchr3(b'\\', b'\n', b'\r', name).is_some() {
        lines.push(b'\\');
    }
    lines.extend_from_slice(sha256.as_bytes());
    lines.extend_from_slice(b"  ");
    for &byte in name {
        match byte {
            b'\\' => lines.extend_from_slice(br"\\"),
            b'\n' => lines.extend_from_slice(br"\n"),
            b'\r' => lines.extend_from_slice(br"\r"),
            _ => lines.push(byte),
        }
    }
    lines.push(b'\n');
}

/// What is in a directory, however deep; links are not followed.
#[derive(Debug, Default)]
pub struct DirectoryFiles {
    /// The regular files, named from within it, sorted by their names' bytes.
    pub files: Vec<OsString>,
    /// The folders, itself (an empty name) last.
    pub folders: Vec<OsString>,
    /// How many other things there are, such as links.
    pub others: u64,
}

impl DirectoryFiles {
    /// Of the directory at a path.
    ///
    /// # Errors
    /// When something in it can't be read.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let mut within = Self::default();
        for entry in walkdir::WalkDir::new(directory).contents_first(true) {
            let entry = entry.map_err(io::Error::from)?;
            let name = entry.path().strip_prefix(directory).unwrap_or(entry.path()).as_os_str().to_owned();
            if entry.file_type().is_dir() {
                within.folders.push(name);
            } else if entry.file_type().is_file() {
                within.files.push(name);
            } else {
                within.others += 1;
            }
        }
        within.files.sort_unstable();
        Ok(within)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.len() <= 1 && self.others == 0
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{DirectoryFiles, add_line, sha256_of_bytes, sha256_told};

    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), "abc").unwrap();
        let file = std::fs::File::open(folder.path().join("x")).unwrap();
        assert_eq!(sha256_told(&file, &|_| ()).unwrap(), (OF_ABC.to_owned(), 3));
        assert_eq!(sha256_of_bytes(b"abc"), OF_ABC);
    }

    #[test]
    fn lines_are_those_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["plain", "a b", "back\\slash", "new\nline", "return\r", "star*"] {
            std::fs::write(folder.path().join(name), "abc").unwrap();
            let printed = std::process::Command::new("sha256sum")
                .arg(name)
                .current_dir(&folder)
                .output()
                .unwrap()
                .stdout;
            let mut line = Vec::new();
            add_line(&mut line, OF_ABC, OsStr::new(name));
            assert_eq!(line, printed, "{name:?}");
        }
    }

    #[test]
    fn of_a_directory_the_files_are_sorted_by_their_bytes_and_links_are_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(DirectoryFiles::of(folder.path()).unwrap().is_empty());
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for name in ["a/x", "a.b", "a/b/c", "Z"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        let within = DirectoryFiles::of(folder.path()).unwrap();
        assert_eq!(within.files, ["Z", "a.b", "a/b/c", "a/x"]);
        assert_eq!(within.folders, ["a/b", "a", ""]);
        assert_eq!(within.others, 1);
        assert!(!within.is_empty());
    }
}

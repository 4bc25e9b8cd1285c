//! The parts of an entry that placeholders stand for. Pure functions on bytes that never fail and always return a slice
//! of their argument, so that entries which are not paths ("NGC 1275", or nothing at all) have parts as well.
//!
//! Slashes at the end are not part of any part: `/data/obs.ms/` is the directory `obs.ms` in `/data`. An extension is
//! what follows the last dot of the base name, if something other than dots precedes it: `.bashrc`, `..` and
//! `...x` have none, and `a.` has an empty one, which is removed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use memchr::memrchr;

/// Suffixes that say how a file is packed (`fz` is the FITS tile compression of fpack), in any case: `.Z` and `.GZ` too.
const COMPRESSIONS: [&str; 9] = ["gz", "bz2", "xz", "zst", "lz4", "lzma", "z", "fz", "br"];

/// What follows the last slash; `/` for the root, nothing for nothing.
pub(super) fn base_name(path: &[u8]) -> &[u8] {
    crate::text::base_name(OsStr::from_bytes(path)).as_bytes()
}

/// The part before the base name: `.` if there is none, `/` for entries in the root and for the root itself.
pub(super) fn directory(path: &[u8]) -> &[u8] {
    let path = without_end_slashes(path);
    match memrchr(b'/', path) {
        Some(slash) => without_end_slashes(&path[..=slash]),
        None => b".",
    }
}

/// The path without its last extension.
pub(super) fn without_extension(path: &[u8]) -> &[u8] {
    split_extension(path).0
}

/// The path without a compression suffix and then without one extension: `a.fits`, `a.fits.gz` and `a.fz` give `a`.
pub(super) fn stem(path: &[u8]) -> &[u8] {
    let (rest, extension) = split_extension(path);
    if COMPRESSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known.as_bytes())) {
        without_extension(rest)
    } else {
        rest
    }
}

fn split_extension(path: &[u8]) -> (&[u8], &[u8]) {
    let path = without_end_slashes(path);
    let name = base_name(path);
    match memrchr(b'.', name) {
        Some(dot) if name[..dot].iter().any(|&byte| byte != b'.') => {
            (&path[..path.len() - name.len() + dot], &name[dot + 1..])
        }
        _ => (path, b""),
    }
}

/// Drops slashes at the end, but leaves one where there is nothing else.
fn without_end_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(path.len().min(1), |last| last + 1);
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// entry, base name, directory, without extension, stem
    const TABLE: [(&str, &str, &str, &str, &str); 30] = [
        ("/data/obs_1.fits", "obs_1.fits", "/data", "/data/obs_1", "/data/obs_1"),
        ("/data/a.fits.gz", "a.fits.gz", "/data", "/data/a.fits", "/data/a"),
        ("/data/a.fits.fz", "a.fits.fz", "/data", "/data/a.fits", "/data/a"),
        ("/data/a.FITS.GZ", "a.FITS.GZ", "/data", "/data/a.FITS", "/data/a"),
        ("a.tar.Z", "a.tar.Z", ".", "a.tar", "a"),
        ("a.csv.bz2", "a.csv.bz2", ".", "a.csv", "a"),
        ("a.csv.lzma", "a.csv.lzma", ".", "a.csv", "a"),
        ("a.gz", "a.gz", ".", "a", "a"),
        ("a.gz.gz", "a.gz.gz", ".", "a.gz", "a"),
        ("a.gzip", "a.gzip", ".", "a", "a"),
        ("obs.2024.fits", "obs.2024.fits", ".", "obs.2024", "obs.2024"),
        ("obs.2024.fits.xz", "obs.2024.fits.xz", ".", "obs.2024.fits", "obs.2024"),
        ("/d.dir/name", "name", "/d.dir", "/d.dir/name", "/d.dir/name"),
        ("/data/obs.ms/", "obs.ms", "/data", "/data/obs", "/data/obs"),
        ("/data/obs.ms///", "obs.ms", "/data", "/data/obs", "/data/obs"),
        ("/data//a.fits", "a.fits", "/data", "/data//a", "/data//a"),
        ("/a.fits", "a.fits", "/", "/a", "/a"),
        ("//a.fits", "a.fits", "/", "//a", "//a"),
        ("/", "/", "/", "/", "/"),
        ("//", "/", "/", "/", "/"),
        ("", "", ".", "", ""),
        ("NGC 1275", "NGC 1275", ".", "NGC 1275", "NGC 1275"),
        ("HD 209458.1", "HD 209458.1", ".", "HD 209458", "HD 209458"),
        (".bashrc", ".bashrc", ".", ".bashrc", ".bashrc"),
        ("/h/.a.fits", ".a.fits", "/h", "/h/.a", "/h/.a"),
        ("/h/.gz", ".gz", "/h", "/h/.gz", "/h/.gz"),
        ("..", "..", ".", "..", ".."),
        ("a/..", "..", "a", "a/..", "a/.."),
        ("...x", "...x", ".", "...x", "...x"),
        ("a.", "a.", ".", "a", "a"),
    ];

    #[test]
    fn every_entry_has_its_parts() {
        for (entry, base, parent, bare, short) in TABLE {
            let bytes = entry.as_bytes();
            let parts = [base_name(bytes), directory(bytes), without_extension(bytes), stem(bytes)];
            assert_eq!(parts.map(String::from_utf8_lossy), [base, parent, bare, short], "parts of {entry:?}");
        }
    }

    #[test]
    fn parts_are_bytes_not_text() {
        assert_eq!(stem(b"/d/\xff\xfe.fits.gz"), b"/d/\xff\xfe");
        assert_eq!(base_name(b"\x80/\xff.fits"), b"\xff.fits");
    }
}

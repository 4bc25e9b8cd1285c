//! Reading a given list of entries (`--files-from`): bytes as they are, in the order given.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStrExt;

use super::error::DiscoverError;
use crate::encoding::ForeignEncoding;
use crate::model::entries::{Entries, Entry, TooLong};

/// A given list without its repeats.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FileList {
    /// Exact bytes, in the order of their first mention.
    pub entries: Entries,
    /// How many repeats were left out.
    pub repeats: usize,
}

/// Reads one entry per line, or with `null_separated` one per NUL; `name` is what errors call the list.
///
/// Blank lines (empty, or nothing but spaces and tabs) and empty NUL-separated entries are skipped. All other bytes are
/// part of the entry.
///
/// # Errors
/// If `input` can't be read, begins with a byte order mark or is UTF-16, or if a line ends with a carriage return or holds a NUL.
pub fn read_entries(
    mut input: impl BufRead,
    null_separated: bool,
    name: &str,
) -> Result<FileList, DiscoverError> {
    let separator = if null_separated { b'\0' } else { b'\n' };
    let unusable = |cause| DiscoverError::Entries { name: name.to_owned(), cause };
    let mut entries = Entries::default();
    let mut entry = Vec::new();
    for line in 1.. {
        entry.clear();
        if input.read_until(separator, &mut entry).map_err(unusable)? == 0 {
            break;
        }
        entry.pop_if(|last| *last == separator);
        if line == 1
            && let Some(encoding) = ForeignEncoding::of(&entry)
        {
            return Err(DiscoverError::Encoding { name: name.to_owned(), encoding });
        }
        if !null_separated {
            check_line(&entry, line, name)?;
        }
        if is_blank(&entry, null_separated) {
            continue;
        }
        let entry = Entry::of(OsStr::from_bytes(&entry));
        entries.push(entry).map_err(|error| unusable(io::Error::other(error)))?;
    }
    let mut given = without_repeats(entries).map_err(|error| unusable(io::Error::other(error)))?;
    given.entries.shrink();
    Ok(given)
}

/// Finds repeats by sorting hashes: a set of a million paths would take as much memory as the paths.
fn without_repeats(entries: Entries) -> Result<FileList, TooLong> {
    let hasher = RandomState::new();
    let mut hashes: Vec<(u64, usize)> =
        entries.iter().map(|entry| hasher.hash_one(entry.path)).zip(0..).collect();
    hashes.sort_unstable();
    let mut repeated = Vec::new();
    for alike in hashes.chunk_by(|one, other| one.0 == other.0).filter(|alike| alike.len() > 1) {
        // Usually one, but different entries may have the same hash.
        let mut firsts = Vec::new();
        for (_, place) in alike {
            let entry = entries.get(*place);
            if firsts.contains(&entry) {
                repeated.push(*place);
            } else {
                firsts.push(entry);
            }
        }
    }
    let repeats = repeated.len();
    if repeats == 0 {
        return Ok(FileList { entries, repeats });
    }
    repeated.sort_unstable();
    let is_first = |(place, _): &(usize, Entry<'_>)| repeated.binary_search(place).is_err();
    let entries = Entries::of(entries.iter().enumerate().filter(is_first).map(|(_, entry)| entry))?;
    Ok(FileList { entries, repeats })
}

fn check_line(entry: &[u8], line: usize, name: &str) -> Result<(), DiscoverError> {
    if entry.ends_with(b"\r") {
        return Err(DiscoverError::CarriageReturn { name: name.to_owned(), line });
    }
    if entry.contains(&b'\0') {
        return Err(DiscoverError::Nul { name: name.to_owned(), line });
    }
    Ok(())
}

fn is_blank(entry: &[u8], null_separated: bool) -> bool {
    let blank = |byte: &u8| !null_separated && matches!(byte, b' ' | b'\t');
    entry.iter().all(blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], null_separated: bool) -> FileList {
        read_entries(bytes, null_separated, "list.txt").unwrap()
    }

    fn list(entries: &[&[u8]], repeats: usize) -> FileList {
        let entries = entries.iter().map(|path| Entry::of(OsStr::from_bytes(path)));
        FileList { entries: Entries::of(entries).unwrap(), repeats }
    }

    #[test]
    fn of_many_repeats_the_first_mention_stays() {
        let lines = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join("\n");
        let numbers: Vec<u32> = (0..3000).map(|place| place * 7919 % 1000).collect();
        let once = read(lines(&numbers[..1000]).as_bytes(), false);
        assert_eq!((once.entries.len(), once.repeats), (1000, 0));
        assert_eq!(
            read(lines(&numbers).as_bytes(), false),
            FileList { entries: once.entries, repeats: 2000 }
        );
    }

    #[test]
    fn lines_are_exact_bytes_in_order_without_repeats_or_blank_lines() {
        let given = b"b\n a \n\nb\n\t \n\xff\rx\n-a\nlast";
        assert_eq!(read(given, false), list(&[b"b", b" a ", b"\xff\rx", b"-a", b"last"], 1));
    }

    #[test]
    fn nul_separated_entries_may_hold_anything_else() {
        assert_eq!(read(b"a\nb\0c\r\0\0 \0a\nb", true), list(&[b"a\nb", b"c\r", b" "], 1));
    }

    #[test]
    fn a_carriage_return_is_an_error_with_its_line() {
        let error = read_entries(&b"a\n\nb\r\n"[..], false, "list.txt").unwrap_err();
        assert!(matches!(error, DiscoverError::CarriageReturn { line: 3, .. }));
        assert!(error.to_string().starts_with("line 3 of list.txt ends with a carriage return"));
    }

    #[test]
    fn a_list_that_is_not_plain_utf_8_is_an_error_that_says_what_it_is() {
        for (bytes, null_separated, said) in [
            (&b"\xef\xbb\xbf/data/a\n/data/b\n"[..], false, "list.txt begins with a byte order mark"),
            (b"\xef\xbb\xbf/data/a\0/data/b", true, "list.txt begins with a byte order mark"),
            (b"\xff\xfe/\0d\0\n\0", false, "list.txt is UTF-16 text: save it as UTF-8"),
            (b"/\0d\0a\0t\0a\0\n\0", false, "`iconv -f UTF-16LE -t UTF-8"),
        ] {
            let error = read_entries(bytes, null_separated, "list.txt").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_nul_in_a_line_points_to_the_null_option() {
        let error = read_entries(&b"a\0b\0"[..], false, "-").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1 of - holds a NUL byte: give --null if its entries are NUL-separated"
        );
    }
}

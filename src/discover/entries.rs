//! Reading a given list of entries (`--files-from`): bytes as they are, in the order given.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;

use super::error::DiscoverError;

/// A list as it was given, without its repeats.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// Exact bytes, in the order of their first mention.
    pub entries: Vec<OsString>,
    /// How many were left out because they had been there before.
    pub repeats: usize,
}

/// Reads one entry a line, or with `null_separated` one per NUL; `name` is what errors call the list.
///
/// Blank lines (empty, or nothing but spaces and tabs) and empty NUL-separated entries are skipped. All other bytes are
/// part of the entry.
///
/// # Errors
/// If `input` can't be read, or if a line ends with a carriage return or holds a NUL.
pub fn read_entries(
    mut input: impl BufRead,
    null_separated: bool,
    name: &str,
) -> Result<Entries, DiscoverError> {
    let separator = if null_separated { b'\0' } else { b'\n' };
    let mut entries = Vec::new();
    for line in 1.. {
        let mut entry = Vec::new();
        let length = input
            .read_until(separator, &mut entry)
            .map_err(|cause| DiscoverError::Entries { name: name.to_owned(), cause })?;
        if length == 0 {
            break;
        }
        entry.pop_if(|last| *last == separator);
        if !null_separated {
            check_line(&entry, line, name)?;
        }
        if is_blank(&entry, null_separated) {
            continue;
        }
        entries.push(OsString::from_vec(entry));
    }
    Ok(without_repeats(entries))
}

fn without_repeats(mut entries: Vec<OsString>) -> Entries {
    let mut seen = HashSet::with_capacity(entries.len());
    let is_first: Vec<bool> = entries.iter().map(|entry| seen.insert(entry.as_os_str())).collect();
    let repeats = is_first.iter().filter(|is_first| !**is_first).count();
    if repeats > 0 {
        let mut is_first = is_first.into_iter();
        entries.retain(|_| is_first.next().unwrap_or(true));
    }
    Entries { entries, repeats }
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

    fn read(bytes: &[u8], null_separated: bool) -> Entries {
        read_entries(bytes, null_separated, "list.txt").unwrap()
    }

    fn list(entries: &[&[u8]], repeats: usize) -> Entries {
        let entries = entries.iter().map(|entry| OsString::from_vec(entry.to_vec())).collect();
        Entries { entries, repeats }
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
    fn a_nul_in_a_line_points_to_the_null_option() {
        let error = read_entries(&b"a\0b\0"[..], false, "-").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1 of - holds a NUL byte: give --null if its entries are NUL-separated"
        );
    }
}

//! The lines of a list, an entry each, and the checksums of their pieces.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use anyhow::{Context, anyhow, ensure};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::entries::Entry;
use crate::text;

/// Entries in a piece: some 64 KiB of paths, one read.
pub(super) const PIECE_ENTRIES: u64 = 1024;

/// A line of the file. It has no flattened [`text::PathText`], since serde would first collect all members of that.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Line<'a> {
    /// Empty where there is a `path_base64`: no entry is empty, and an `Option` would never borrow.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    path: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    path_base64: Option<&'a str>,
    /// Empty where there is none.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    rel: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    rel_base64: Option<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    row: Option<&'a RawValue>,
}

/// A line as most are, which is read in half the time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainLine<'a> {
    path: &'a str,
    #[serde(default)]
    size: Option<u64>,
}

/// Appends the line of an entry.
///
/// # Errors
/// When its row is not JSON on one line.
pub(super) fn write_line(lines: &mut Vec<u8>, entry: Entry<'_>) -> anyhow::Result<()> {
    let ((path, path_base64), (rel, rel_base64)) = (members(Some(entry.path)), members(entry.rel));
    let row: Option<&RawValue> = entry.row.map(serde_json::from_slice).transpose()?;
    ensure!(row.is_none_or(|row| !row.get().contains('\n')), "a row has several lines");
    let (path_base64, rel_base64) = (path_base64.as_deref(), rel_base64.as_deref());
    serde_json::to_writer(&mut *lines, &Line { path, path_base64, rel, rel_base64, size: entry.size, row })?;
    lines.push(b'\n');
    Ok(())
}

/// A text, and the base64 of one that is not UTF-8.
fn members(text: Option<&OsStr>) -> (Cow<'_, str>, Option<String>) {
    match text.map(|text| text.to_str().ok_or(text)) {
        Some(Ok(text)) => (text.into(), None),
        Some(Err(bytes)) => (Cow::default(), Some(text::encode(bytes))),
        None => Default::default(),
    }
}

/// An entry as it was read.
#[derive(Debug)]
pub(super) struct ReadEntry<'a> {
    path: Cow<'a, OsStr>,
    size: Option<u64>,
    rel: Option<Cow<'a, OsStr>>,
    row: Option<&'a RawValue>,
}

impl<'a> ReadEntry<'a> {
    /// From its line.
    ///
    /// # Errors
    /// When it is no line of a list.
    pub(super) fn parse(line: &'a [u8], index: u64) -> anyhow::Result<Self> {
        if let Ok(PlainLine { path, size }) = serde_json::from_slice(line)
            && !path.is_empty()
        {
            return Ok(Self { path: Cow::Borrowed(OsStr::new(path)), size, rel: None, row: None });
        }
        let line: Line<'a> =
            serde_json::from_slice(line).with_context(|| format!("entry {index} is not a list entry"))?;
        let wrong = |error: String| anyhow!("entry {index}: {error}");
        let path = os_text(line.path, line.path_base64).map_err(wrong)?;
        Ok(Self {
            path: path.ok_or_else(|| wrong("neither `path` nor `path_base64`".to_owned()))?,
            size: line.size,
            rel: os_text(line.rel, line.rel_base64).map_err(wrong)?,
            row: line.row,
        })
    }

    pub(super) fn entry(&self) -> Entry<'_> {
        Entry {
            path: &self.path,
            size: self.size,
            rel: self.rel.as_deref(),
            row: self.row.map(|row| row.get().as_bytes()),
        }
    }
}

/// What [`members`] were made of.
fn os_text<'a>(text: Cow<'a, str>, base64: Option<&str>) -> Result<Option<Cow<'a, OsStr>>, String> {
    Ok(match (base64, text) {
        (Some(base64), _) => Some(Cow::Owned(text::decode(base64)?)),
        (None, text) if text.is_empty() => None,
        (None, Cow::Borrowed(text)) => Some(Cow::Borrowed(OsStr::new(text))),
        (None, Cow::Owned(text)) => Some(Cow::Owned(OsString::from(text))),
    })
}

/// The size alone, without looking at the path: all lines are asked for it where shares go by size.
pub(super) fn parse_size(line: &[u8], index: u64) -> anyhow::Result<u64> {
    #[derive(Deserialize)]
    struct Size {
        #[serde(default)]
        size: Option<u64>,
    }
    let line: Size =
        serde_json::from_slice(line).with_context(|| format!("entry {index} is not a list entry"))?;
    Ok(line.size.unwrap_or(0))
}

pub(super) fn checksum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn written(entry: Entry<'_>) -> String {
        let mut line = Vec::new();
        write_line(&mut line, entry).unwrap();
        assert_eq!(ReadEntry::parse(&line, 0).unwrap().entry(), entry);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn an_entry_has_what_it_was_given_and_nothing_else() {
        let bytes = OsStr::from_bytes(b"n\xff/a");
        let row: &[u8] = br#"{"ra": 1.50,"ra":1e400,"name":"\ud800"}"#;
        for (entry, line) in [
            (Entry::of("/data/a"), r#"{"path":"/data/a"}"#),
            (Entry { size: Some(7), ..Entry::of("/a \"b\"\n") }, r#"{"path":"/a \"b\"\n","size":7}"#),
            (Entry { rel: Some("n/a".as_ref()), ..Entry::of("/n/a") }, r#"{"path":"/n/a","rel":"n/a"}"#),
            (
                Entry { rel: Some(bytes), ..Entry::of(bytes) },
                r#"{"path_base64":"bv8vYQ==","rel_base64":"bv8vYQ=="}"#,
            ),
            (
                Entry { row: Some(row), ..Entry::of("M 87") },
                r#"{"path":"M 87","row":{"ra": 1.50,"ra":1e400,"name":"\ud800"}}"#,
            ),
        ] {
            assert_eq!(written(entry), format!("{line}\n"));
        }
    }

    #[test]
    fn members_that_are_not_known_are_passed_over() {
        let read = ReadEntry::parse(br#"{"new":[1,{"path":"/b"}],"path":"/a","size":3}"#, 0).unwrap();
        assert_eq!(read.entry(), Entry { size: Some(3), ..Entry::of("/a") });
    }

    #[test]
    fn what_is_no_entry_is_an_error() {
        for line in
            ["{}", "[]", r#"{"path":""}"#, r#"{"path_base64":"?"}"#, r#"{"path":"a","rel_base64":"?"}"#]
        {
            let error = ReadEntry::parse(line.as_bytes(), 12).unwrap_err().to_string();
            assert!(error.contains("entry 12"), "{error}");
        }
        for row in ["{\"a\":\n1}", "{", ""] {
            let entry = Entry { row: Some(row.as_bytes()), ..Entry::of("a") };
            assert!(write_line(&mut Vec::new(), entry).is_err(), "{row}");
        }
    }
}

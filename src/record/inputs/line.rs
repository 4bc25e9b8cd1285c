//! The lines of a list, an entry each, and their blocks.

use std::borrow::Cow;
use std::ffi::OsStr;

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};

use crate::model::entries::Entry;
use crate::text::PathText;

/// Entries a block: some 64 KiB of paths, one read.
pub(super) const BLOCK: u64 = 1024;

/// What a [`PathText`] holds, with the size: flattened, each member would be gathered first, in memory of its own.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

impl<'a> From<Entry<'a>> for Line<'a> {
    fn from(entry: Entry<'a>) -> Self {
        let path = entry.path.to_str();
        let path_base64 = if path.is_some() { None } else { PathText::exact(entry.path).path_base64 };
        Line { path, path_base64, size: entry.size }
    }
}

/// The path and the size of an entry.
pub(super) fn parse_line(line: &[u8], index: u64) -> anyhow::Result<(Cow<'_, OsStr>, Option<u64>)> {
    #[derive(Deserialize)]
    struct Read<'a> {
        // No entry is empty.
        #[serde(borrow, default)]
        path: Cow<'a, str>,
        #[serde(default)]
        path_base64: Option<String>,
        #[serde(default)]
        size: Option<u64>,
    }
    let read: Read<'_> =
        serde_json::from_slice(line).with_context(|| format!("entry {index} is not a list entry"))?;
    let path = match (read.path, read.path_base64) {
        (Cow::Borrowed(path), None) if !path.is_empty() => Cow::Borrowed(OsStr::new(path)),
        (path, path_base64) => {
            let path = Some(path.into_owned()).filter(|path| !path.is_empty());
            let bytes = PathText { path, path_base64 }.bytes();
            Cow::Owned(bytes.map_err(|error| anyhow!("entry {index}: {error}"))?)
        }
    };
    Ok((path, read.size))
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

pub(super) fn checksum(block: &[u8]) -> String {
    blake3::hash(block).to_hex()[..16].to_owned()
}

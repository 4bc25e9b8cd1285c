//! The lines of a list, an entry each, and their blocks.

use std::ffi::OsString;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::text::PathText;

/// Entries a block: some 64 KiB of paths, one read.
pub(super) const BLOCK: u64 = 1024;

#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) path: PathText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
}

pub(super) fn parse_line(line: &[u8], index: u64) -> anyhow::Result<(OsString, Option<u64>)> {
    let line: Line =
        serde_json::from_slice(line).with_context(|| format!("entry {index} is not a list entry"))?;
    let path = line.path.bytes().map_err(|error| anyhow::anyhow!("entry {index}: {error}"))?;
    Ok((path, line.size))
}

/// The size alone, without memory for the path: all lines are asked for it where shares go by size.
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

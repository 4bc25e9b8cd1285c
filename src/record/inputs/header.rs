//! The first line of a list: what the run is, and how damage of the list is noticed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::line::checksum;
use crate::discover::EntryType;
use crate::exit_code::CannotGoOn;
use crate::model::provenance::{NamedFile, Process};
use crate::model::shares::Strategy;
use crate::text::OsText;

/// The format's major version; readers refuse others.
pub const VERSION: u32 = 1;

/// What the header's `format` says, so that no other JSON is taken for a list.
pub(super) const FORMAT: &str = "canfar-run inputs";

/// Where a run's files come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// What patterns found.
    Patterns {
        /// As given.
        patterns: Vec<OsText>,
        /// What the relative ones among patterns and excludes are relative to, if there are any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<OsText>,
        /// `--exclude`.
        exclude: Vec<OsText>,
        /// `--type`.
        #[serde(rename = "type")]
        entry_type: EntryType,
    },
    /// A list that was given.
    FilesFrom {
        /// The absolute path of the list, or `-` for standard input.
        file: OsText,
        /// `--null`.
        null: bool,
    },
}

/// The command of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A program and its arguments, placeholders unreplaced.
    Argv(Vec<OsText>),
    /// `--shell`.
    Shell(OsText),
}

/// How the tasks of a run are run where nothing else is said: what `resume` goes by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The folder where the run was begun, absolute. `None` in lists of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<OsText>,
    /// Options about tasks and their results that are not defaults, by their long names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, OsText>,
    /// Variables that tasks get, from the job file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

impl Settings {
    /// Whether the command is a worker; `None` in lists of earlier versions, which do not tell.
    pub fn has_workers(&self) -> Option<bool> {
        let is_on = |value: &OsText| value.0 == "true" || value.0 == "1";
        self.cwd.as_ref().map(|_| self.options.get("worker").is_some_and(is_on))
    }
}

/// A block of entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Where its first line begins, bytes from the end of the header line.
    pub offset: u64,
    /// First 16 hexadecimal digits of the BLAKE3 of its lines.
    pub check: String,
}

/// The first line of `inputs.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Always `canfar-run inputs`.
    pub format: String,
    /// Always [`VERSION`].
    pub v: u32,
    /// The run id.
    pub run: String,
    /// Where the entries come from.
    pub source: Source,
    /// How they are shared out.
    pub strategy: Strategy,
    /// Among how many.
    pub replica_count: u32,
    /// What is run for each.
    pub command: Command,
    /// Small files that the command names.
    pub command_files: Vec<NamedFile>,
    /// How its tasks are run.
    #[serde(default)]
    pub settings: Settings,
    /// How many entries there are.
    pub count: u64,
    /// Length of all entry lines, bytes.
    pub bytes: u64,
    /// BLAKE3 of all entry lines, hexadecimal: `tail -n +2 inputs.jsonl | b3sum`.
    pub blake3: String,
    /// Directories that could not be read when the list was made.
    pub unreadable: Vec<OsText>,
    /// Who made it.
    pub created_by: Process,
    /// When.
    pub created_at: String,
    /// Entries a block.
    pub block_entries: u64,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// What of a header is known before its list is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Where the entries come from.
    pub source: Source,
    /// How they are shared out.
    pub strategy: Strategy,
    /// Among how many.
    pub replica_count: u32,
    /// What is run for each.
    pub command: Command,
    /// Small files that the command names.
    pub command_files: Vec<NamedFile>,
    /// How its tasks are run.
    pub settings: Settings,
}

impl Header {
    /// The folder where the run was begun, absolute: what relative entries of the list and relative names in the command
    /// mean, for every launch. `None` in lists that do not say.
    pub fn begun_in(&self) -> Option<&Path> {
        self.settings.cwd.as_ref().map(|cwd| Path::new(&cwd.0))
    }

    /// Whether its numbers fit together, and with the length of the file: what is reserved in memory for entries and
    /// blocks is then bounded by that.
    pub(super) fn is_sound(&self) -> bool {
        let offsets = self.blocks.iter().map(|block| block.offset).chain([self.bytes]);
        self.block_entries > 0
            && (1..=crate::model::replica::MOST).contains(&self.replica_count)
            // No line is shorter than {}.
            && self.count <= self.bytes / 3
            && self.blocks.len() as u64 == self.count.div_ceil(self.block_entries)
            && offsets.is_sorted()
    }
}

/// The header line: what it says with a checksum of that as its last member.
pub(super) fn sealed(mut header: Vec<u8>) -> Vec<u8> {
    header.pop();
    let seal = seal(&header);
    header.extend_from_slice(seal.as_bytes());
    header
}

/// How a header line ends, after what comes before.
fn seal(header: &[u8]) -> String {
    format!(",\"check\":\"{}\"}}\n", checksum(header))
}

pub(super) fn is_sealed(first: &[u8]) -> bool {
    let end = memchr::memmem::rfind(first, b",\"check\":").unwrap_or(first.len());
    let (header, end) = first.split_at(end);
    end == seal(header).as_bytes()
}

pub(super) fn check_version(first: &[u8], path: &Path) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Version {
        format: String,
        v: u32,
    }
    if first.is_empty() {
        return Err(damaged("it is empty", path));
    }
    let Ok(version) = serde_json::from_slice::<Version>(first) else {
        let what = "its first line is no header of canfar-run's: it was cut or edited, or is somebody else's";
        return Err(damaged(what, path));
    };
    if version.format != FORMAT {
        bail!(
            "it is a file of another kind ({:?}). Give another --results-dir, or move it away",
            version.format
        );
    }
    if version.v != VERSION {
        bail!(
            "it has format version {} and this canfar-run ({}) reads version {VERSION}: use the canfar-run that made it, or another --results-dir",
            version.v,
            env!("CARGO_PKG_VERSION")
        );
    }
    Ok(())
}

/// What is wrong with a list, and what to do about it.
pub(super) fn damaged(what: &str, path: &Path) -> anyhow::Error {
    let folder = path.parent().unwrap_or(Path::new(".")).display();
    CannotGoOn(format!("{what}. Restore it from a copy, or begin anew after `canfar-run reset {folder}`"))
        .into()
}

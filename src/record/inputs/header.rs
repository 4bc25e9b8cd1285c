//! The first line of a list: what the run is, and how damage of the list is noticed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::line::checksum;
use crate::discover::EntryType;
use crate::exit_code::CannotGoOn;
use crate::journal::state::RunRef;
use crate::model::call_target::CallTarget;
use crate::model::provenance::{NamedFile, Process};
use crate::model::row::Column;
use crate::model::shares::Strategy;
use crate::record::family::ParentRun;
use crate::template::{self, EntryKind, Vocabulary};
use crate::text::OsText;
use crate::units;

/// The format's major version that is written.
pub const VERSION: u32 = 2;

/// Those that are read.
const READ_VERSIONS: std::ops::RangeInclusive<u32> = 1..=VERSION;

/// The value of the header's `format`: no other JSON is taken for a list.
pub(super) const FORMAT: &str = "canfar-run inputs";

/// Where a run's entries come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InputSpec {
    /// What patterns found.
    Patterns {
        /// As given.
        patterns: Vec<OsText>,
        /// The folder that relative patterns and excludes are relative to, if there are any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<OsText>,
        /// `--exclude`.
        exclude: Vec<OsText>,
        /// `--type`.
        #[serde(rename = "type")]
        entry_type: EntryType,
    },
    /// A list that was given (`--files-from`).
    #[serde(alias = "files_from")]
    List {
        /// The absolute path of the list, or `-` for standard input.
        file: OsText,
        /// `--null`.
        null: bool,
    },
    /// Tasks without a file (`--tasks`): each is called by its index.
    Numbers {
        /// How many.
        count: u64,
    },
    /// The rows of a table (`--table`).
    Table {
        /// The table's absolute path, or `-` for standard input.
        file: OsText,
        /// Its columns, in the order of the members of each row; none before it was read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<Column>,
    },
    /// What the ok tasks of other runs made (`--input-from`).
    Products {
        /// Those runs, in the order given.
        runs: Vec<SourceRun>,
        /// `--name`: which product, where tasks have several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The columns of the rows that they were made of; none before they were listed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<Column>,
    },
}

impl InputSpec {
    /// What its entries are.
    pub fn entry_kind(&self) -> EntryKind {
        match self {
            Self::Patterns { .. } | Self::List { .. } | Self::Products { .. } => EntryKind::Files,
            Self::Numbers { .. } | Self::Table { .. } => EntryKind::Labels,
        }
    }

    /// The columns of its rows, in the order of their members; `None` where its entries have no rows. Of a source that was
    /// not listed yet none is known.
    pub fn columns(&self) -> Option<&[Column]> {
        match self {
            Self::Table { columns, .. } => Some(columns),
            Self::Products { columns, .. } => Some(columns.as_slice()).filter(|columns| !columns.is_empty()),
            Self::Patterns { .. } | Self::List { .. } | Self::Numbers { .. } => None,
        }
    }

    /// Whether it has columns that are known only once it is listed.
    pub fn is_to_tell_columns(&self) -> bool {
        matches!(self, Self::Table { columns, .. } | Self::Products { columns, .. } if columns.is_empty())
    }

    /// What commands of its tasks can name, but for products.
    pub fn vocabulary(&self) -> Vocabulary {
        let columns = self.columns().unwrap_or_default().iter().map(|column| column.name.clone());
        Vocabulary::default().with_entries(self.entry_kind(), columns)
    }
}

/// A run whose products are the entries of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRun {
    /// Its results directory, absolute.
    pub results_dir: OsText,
    /// What it was when the list was made; `None` before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<FoundRun>,
}

/// A run as it was when its products were listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRun {
    /// Its run id.
    pub run: String,
    /// How many products were taken.
    pub products: u64,
    /// How many of its tasks had failed.
    pub failed: u64,
    /// How many had no record (`--allow-missing`).
    pub missing: u64,
}

/// The command of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskCommand {
    /// A program and its arguments, placeholders unreplaced.
    Argv(Vec<OsText>),
    /// `--shell`.
    Shell(OsText),
    /// `--call`.
    Call(CallCommand),
}

impl fmt::Display for TaskCommand {
    /// For people, on one line, as it is typed.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argv(words) => {
                let words: Vec<OsString> = words.iter().map(|word| word.0.clone()).collect();
                out.write_str(&units::printable(&template::quoted(&words)))
            }
            Self::Shell(script) => write!(out, "--shell '{}'", units::path(&script.0)),
            Self::Call(call) => call.fmt(out),
        }
    }
}

/// A Python function, and the Python that calls it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCommand {
    /// The function.
    pub target: CallTarget,
    /// `--python`.
    pub python: OsText,
}

impl CallCommand {
    /// The Python unless another one is named.
    pub const PYTHON: &str = "python3";
}

impl fmt::Display for CallCommand {
    /// For people, on one line, as it is typed.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "--call {}", self.target)?;
        match &self.python {
            OsText(python) if python == Self::PYTHON => Ok(()),
            OsText(python) => write!(out, " --python {}", units::path(python)),
        }
    }
}

/// How the tasks of a run are run unless a later launch says otherwise; `resume` uses it.
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

/// What each task makes, as it was declared (`--product`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredProduct {
    /// Its name, where it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its path, with placeholders.
    pub path: OsText,
}

impl DeclaredProduct {
    /// As `--product` takes it.
    pub fn as_text(&self) -> OsString {
        let mut text = self.name.as_ref().map_or_else(OsString::new, |name| format!("{name}=").into());
        text.push(&self.path.0);
        text
    }
}

/// A piece of the list: neighbouring entries with one checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPiece {
    /// Where its first line begins, bytes from the end of the header line.
    pub offset: u64,
    /// First 16 hexadecimal digits of the BLAKE3 of its lines.
    pub check: String,
}

/// The first line of `inputs.jsonl`; the format is described at [`super`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Always `canfar-run inputs`.
    pub format: String,
    /// The format's version, 1 or 2.
    pub v: u32,
    /// The run id.
    pub run: String,
    /// The run id of the run that this one continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The results directory of that run when this one was begun, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_dir: Option<OsText>,
    /// The index of the first entry; always 0 where there is no parent.
    #[serde(default)]
    pub first_index: u64,
    /// Where the entries come from.
    pub source: InputSpec,
    /// How they are shared out.
    pub strategy: Strategy,
    /// Among how many.
    pub replica_count: u32,
    /// Whether replicas go on with what others have not begun.
    #[serde(default)]
    pub balance: bool,
    /// Whether every entry has its size; where shares go by size, all have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sizes: bool,
    /// What each task makes.
    #[serde(default)]
    pub products: Vec<DeclaredProduct>,
    /// What is run for each.
    pub command: TaskCommand,
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
    /// How many entries a piece has; the last one may have fewer.
    #[serde(alias = "block_entries")]
    pub piece_entries: u64,
    /// The pieces, in the order of the list.
    #[serde(alias = "blocks")]
    pub pieces: Vec<ListPiece>,
}

/// What of a header is known before its list is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The run that it continues.
    pub parent: Option<ParentRun>,
    /// Where the entries come from.
    pub source: InputSpec,
    /// How they are shared out.
    pub strategy: Strategy,
    /// Among how many.
    pub replica_count: u32,
    /// Whether replicas go on with what others have not begun.
    pub balance: bool,
    /// What is run for each.
    pub command: TaskCommand,
    /// Small files that the command names.
    pub command_files: Vec<NamedFile>,
    /// What each task makes.
    pub products: Vec<DeclaredProduct>,
    /// How its tasks are run.
    pub settings: Settings,
}

impl Header {
    /// The run, for readers of its journals.
    pub fn run_ref(&self) -> RunRef<'_> {
        RunRef { id: &self.run, indices: self.indices() }
    }

    /// The indices of its entries.
    pub fn indices(&self) -> Range<u64> {
        self.first_index..self.first_index + self.count
    }

    /// From the first line of a list.
    ///
    /// # Errors
    /// When it is of another version, damaged, or a later canfar-run's.
    pub(super) fn parse(first: &[u8], path: &Path) -> anyhow::Result<Self> {
        check_version(first, path)?;
        serde_json::from_slice(first).map_err(|error| match unknown_kind(first) {
            Some(kind) => is_for_later(&format!("its tasks come from a source of the kind {kind:?}")),
            None => damaged(&format!("its first line is not a header ({error})"), path),
        })
    }

    /// The place of an entry in the list, from 0, by its index.
    pub fn place_of(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.first_index)?).ok()
    }

    /// Whether every entry has its size.
    pub fn has_sizes(&self) -> bool {
        self.sizes || self.strategy.needs_sizes()
    }

    /// The folder where the run was begun, absolute: for every launch, relative entries of the list and relative names in the
    /// command are relative to it. `None` in lists without it.
    pub fn begun_in(&self) -> Option<&Path> {
        self.settings.cwd.as_ref().map(|cwd| Path::new(&cwd.0))
    }

    /// Whether its numbers are consistent, also with the length of the file, which then bounds the memory reserved for
    /// entries and pieces.
    pub(super) fn is_sound(&self) -> bool {
        let offsets = self.pieces.iter().map(|piece| piece.offset).chain([self.bytes]);
        self.piece_entries > 0
            && (1..=crate::model::replica::MOST).contains(&self.replica_count)
            // No line is shorter than {}.
            && self.count <= self.bytes / 3
            && self.first_index.checked_add(self.count).is_some()
            && self.pieces.len() as u64 == self.count.div_ceil(self.piece_entries)
            && offsets.is_sorted()
    }
}

/// The header line: the header with its checksum as the last member.
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

fn check_version(first: &[u8], path: &Path) -> anyhow::Result<()> {
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
    if !READ_VERSIONS.contains(&version.v) {
        bail!(
            "it has format version {} and this canfar-run ({}) reads versions 1 and 2: use the canfar-run that made it, or another --results-dir",
            version.v,
            env!("CARGO_PKG_VERSION")
        );
    }
    Ok(())
}

/// The kind of an undamaged header's source, if [`InputSpec`] does not have it.
fn unknown_kind(first: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Sourced {
        source: Kind,
    }
    #[derive(Deserialize)]
    struct Kind {
        kind: String,
    }
    let kind = serde_json::from_slice::<Sourced>(first).ok()?.source.kind;
    let is_known =
        ["patterns", "list", "files_from", "numbers", "table", "products"].contains(&kind.as_str());
    (!is_known && is_sealed(first)).then_some(kind)
}

fn is_for_later(what: &str) -> anyhow::Error {
    let version = env!("CARGO_PKG_VERSION");
    CannotGoOn(format!(
        "{what}, and this canfar-run ({version}) can't do that: use the later one that made it"
    ))
    .into()
}

/// What is wrong with a list, and what to do about it.
pub(super) fn damaged(what: &str, path: &Path) -> anyhow::Error {
    let folder = path.parent().unwrap_or(Path::new(".")).display();
    CannotGoOn(format!("{what}. Restore it from a copy, or start over after `canfar-run reset {folder}`"))
        .into()
}

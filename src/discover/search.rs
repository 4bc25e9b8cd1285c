//! What a search is asked for, and what it returns.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::quoted::Quoted;
use crate::model::entries::Entries;
use crate::text::OsText;
use crate::units;

/// What an entry is (`--type`). Links count as what they lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryType {
    /// Regular files.
    #[default]
    File,
    /// Directories: Measurement Sets, Zarr stores.
    Dir,
}

/// What to look for, and where.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The `--input` arguments: patterns and paths.
    pub patterns: &'a [OsText],
    /// The `--exclude` globs: without a slash they match base names, with one whole paths.
    pub exclude: &'a [OsText],
    /// What an entry is.
    pub entry_type: EntryType,
    /// Whether patterns may match nothing.
    pub allow_empty: bool,
    /// What relative patterns are joined to; absolute.
    pub cwd: &'a Path,
    /// Never entered and never an entry. It need not exist; a relative one is joined to `cwd`.
    pub results_dir: &'a Path,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Absolute, without `.` components and repeated slashes, sorted by bytes, without repeats.
    pub entries: Entries,
    /// Directories (and links to closed places) that were skipped because they may not be read; sorted, no repeats.
    pub unreadable: Vec<PathBuf>,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// Something that the user should know about a successful search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// This argument looks like a pattern but is taken as the path that it also is.
    TakenAsPath(OsString),
    /// This pattern matched nothing, which was allowed.
    MatchedNothing(OsString),
    /// All that matched was excluded, which was allowed.
    AllExcluded,
    /// This pattern also has near misses, which differ in upper and lower case: how many, and one.
    OtherCase {
        /// The pattern.
        pattern: OsString,
        /// How many it matches.
        matched: usize,
        /// How many it does not match for their case.
        others: usize,
        /// One of these.
        example: PathBuf,
    },
    /// This folder holds a run, and is left out.
    LeftOutRun(PathBuf),
    /// This glob of `--exclude` has braces without alternatives or a backslash, which may be meant as plain characters.
    ExcludeSyntax(OsString),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenAsPath(argument) => write!(
                f,
                "a path named exactly {} exists, so it is taken as that path, not as a pattern",
                Quoted::from(argument)
            ),
            Self::MatchedNothing(argument) => write!(f, "{} matched nothing", Quoted::from(argument)),
            Self::OtherCase { pattern, matched, others, example } => write!(
                f,
                "{} matches {}, but not {} only in upper and lower case, such as {}; if {} to the input, add a pattern",
                Quoted::from(pattern),
                units::plural(*matched as u64, "entry", "entries"),
                units::plural(*others as u64, "name that differs", "names that differ"),
                Quoted::from(example),
                if *others == 1 { "it belongs" } else { "they belong" },
            ),
            Self::LeftOutRun(folder) => write!(
                f,
                "{} is left out: it holds the results of another run (a pattern that begins there takes its files all the same)",
                Quoted::from(folder)
            ),
            Self::AllExcluded => f.write_str("everything that matched was left out by --exclude"),
            Self::ExcludeSyntax(glob) => write!(
                f,
                "--exclude {}: {{a,b}} means a or b, and a backslash makes the next character literal. Earlier versions took \
                 both literally: for that, write [{{] and \\\\",
                Quoted::from(glob)
            ),
        }
    }
}

//! What a search has found: paths, folders that could not be read, and counts that explain an empty result.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::FileType;

use super::path_list::PathList;

/// What a pattern matched in one folder.
#[derive(Debug, Default)]
pub(super) struct FolderMatches {
    pub(super) paths: PathList,
    pub(super) unreadable: PathList,
    /// Folders that hold runs, which are left out.
    pub(super) runs: PathList,
    pub(super) counts: MatchCounts,
}

/// Counts per pattern.
#[derive(Debug, Default)]
pub(super) struct MatchCounts {
    /// Entries of the wanted kind, including excluded ones.
    pub(super) matched: usize,
    /// Folders that `--exclude` kept from being entered.
    pub(super) pruned: usize,
    /// Whether the results directory, or something in it, was met and skipped.
    pub(super) in_results: bool,
    /// What the pattern matched in kinds that are not wanted.
    pub(super) folders: WrongKind,
    pub(super) files: WrongKind,
    pub(super) others: WrongKind<&'static str>,
    /// Entries of the wanted kind, without excluded ones, that it would match if upper and lower case were the same.
    pub(super) other_case: WrongKind,
}

/// What is no match of the wanted kind, and near to one: how many, and one of them.
#[derive(Debug)]
pub(super) struct WrongKind<T = ()> {
    pub(super) count: usize,
    pub(super) example: Option<(PathBuf, T)>,
}

impl<T> Default for WrongKind<T> {
    fn default() -> Self {
        Self { count: 0, example: None }
    }
}

impl<T> WrongKind<T> {
    fn add(&mut self, name: &[u8], path: impl FnOnce() -> PathBuf, what: T) {
        self.count += 1;
        let is_first =
            |(example, _): &(PathBuf, T)| example.file_name().is_none_or(|known| name < known.as_bytes());
        if self.example.as_ref().is_none_or(is_first) {
            self.example = Some((path(), what));
        }
    }

    fn absorb(&mut self, other: Self) {
        self.count += other.count;
        self.example = match (self.example.take(), other.example) {
            (Some(mine), Some(theirs)) => Some(if theirs.0 < mine.0 { theirs } else { mine }),
            (mine, theirs) => mine.or(theirs),
        };
    }
}

impl MatchCounts {
    /// Counts a match of an unwanted kind. `path` is called only if it becomes the example: the first one of its kind by
    /// name, so that the same tree always gives the same message.
    pub(super) fn add_wrong_kind(&mut self, kind: FileType, name: &[u8], path: impl FnOnce() -> PathBuf) {
        match kind {
            FileType::Directory => self.folders.add(name, path, ()),
            FileType::RegularFile => self.files.add(name, path, ()),
            FileType::Symlink => self.others.add(name, path, "a dangling link"),
            FileType::Fifo => self.others.add(name, path, "a FIFO"),
            FileType::Socket => self.others.add(name, path, "a socket"),
            _ => self.others.add(name, path, "a device"),
        }
    }

    /// Counts an entry with a name that differs only in case.
    pub(super) fn add_other_case(&mut self, name: &[u8], path: impl FnOnce() -> PathBuf) {
        self.other_case.add(name, path, ());
    }

    fn absorb(&mut self, other: Self) {
        self.matched += other.matched;
        self.pruned += other.pruned;
        self.in_results |= other.in_results;
        self.folders.absorb(other.folders);
        self.files.absorb(other.files);
        self.others.absorb(other.others);
        self.other_case.absorb(other.other_case);
    }
}

/// All matches of one pattern.
#[derive(Debug, Default)]
pub(super) struct PatternMatches {
    /// Each list is sorted.
    pub(super) paths: Vec<PathList>,
    pub(super) unreadable: Vec<PathList>,
    pub(super) runs: Vec<PathList>,
    pub(super) counts: MatchCounts,
}

impl PatternMatches {
    pub(super) fn put(&mut self, matches: FolderMatches) {
        if !matches.paths.is_empty() {
            self.paths.push(matches.paths);
        }
        if !matches.unreadable.is_empty() {
            self.unreadable.push(matches.unreadable);
        }
        if !matches.runs.is_empty() {
            self.runs.push(matches.runs);
        }
        self.counts.absorb(matches.counts);
    }
}

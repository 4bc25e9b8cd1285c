//! What a search brings home: paths, folders that could not be read, and counts that explain an empty answer.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::FileType;

use super::path_list::PathList;

/// What one folder, or all folders of one pattern, gave.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    pub(super) paths: PathList,
    pub(super) unreadable: PathList,
    pub(super) tally: Tally,
}

/// Counts per pattern.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Entries of the wanted kind, those that were excluded as well.
    pub(super) matched: usize,
    /// Folders that `--exclude` kept from being entered.
    pub(super) pruned: usize,
    /// The results directory, or something in it, was met and passed over.
    pub(super) in_results: bool,
    /// What the pattern matched in kinds that are not wanted.
    pub(super) folders: Misses,
    pub(super) files: Misses,
    pub(super) others: Misses<&'static str>,
}

/// Matches of a kind that is not wanted, and one of them.
#[derive(Debug)]
pub(super) struct Misses<T = ()> {
    pub(super) count: usize,
    pub(super) example: Option<(PathBuf, T)>,
}

impl<T> Default for Misses<T> {
    fn default() -> Self {
        Self { count: 0, example: None }
    }
}

impl<T> Misses<T> {
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

impl Tally {
    /// A match in one folder that is not of the wanted kind. `path` is asked for only if it becomes the example: the
    /// first of its kind in the order of names, so that the same tree gives the same message.
    pub(super) fn miss(&mut self, kind: FileType, name: &[u8], path: impl FnOnce() -> PathBuf) {
        match kind {
            FileType::Directory => self.folders.add(name, path, ()),
            FileType::RegularFile => self.files.add(name, path, ()),
            FileType::Symlink => self.others.add(name, path, "a dangling link"),
            FileType::Fifo => self.others.add(name, path, "a FIFO"),
            FileType::Socket => self.others.add(name, path, "a socket"),
            _ => self.others.add(name, path, "a device"),
        }
    }

    fn absorb(&mut self, other: Self) {
        self.matched += other.matched;
        self.pruned += other.pruned;
        self.in_results |= other.in_results;
        self.folders.absorb(other.folders);
        self.files.absorb(other.files);
        self.others.absorb(other.others);
    }
}

/// All harvests of one pattern.
#[derive(Debug, Default)]
pub(super) struct Basket {
    /// Each sorted.
    pub(super) paths: Vec<PathList>,
    pub(super) unreadable: Vec<PathList>,
    pub(super) tally: Tally,
}

impl Basket {
    pub(super) fn put(&mut self, harvest: Harvest) {
        if !harvest.paths.is_empty() {
            self.paths.push(harvest.paths);
        }
        if !harvest.unreadable.is_empty() {
            self.unreadable.push(harvest.unreadable);
        }
        self.tally.absorb(harvest.tally);
    }
}

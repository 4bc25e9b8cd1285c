//! What a search brings home: paths, folders that could not be read, and counts that explain an empty answer.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::path::PathBuf;

use rustix::fs::FileType;

/// What one folder, or all folders of one pattern, gave.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    pub(super) paths: Vec<PathBuf>,
    pub(super) unreadable: Vec<PathBuf>,
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
    fn add(&mut self, path: impl FnOnce() -> PathBuf, what: T) {
        self.count += 1;
        if self.example.is_none() {
            self.example = Some((path(), what));
        }
    }

    /// The smallest example stays, so that the same tree gives the same message.
    fn absorb(&mut self, other: Self) {
        self.count += other.count;
        self.example = match (self.example.take(), other.example) {
            (Some(mine), Some(theirs)) => Some(if theirs.0 < mine.0 { theirs } else { mine }),
            (mine, theirs) => mine.or(theirs),
        };
    }
}

impl Tally {
    /// A match that is not of the wanted kind; `path` is asked for the first of a kind only.
    pub(super) fn miss(&mut self, kind: FileType, path: impl FnOnce() -> PathBuf) {
        match kind {
            FileType::Directory => self.folders.add(path, ()),
            FileType::RegularFile => self.files.add(path, ()),
            FileType::Symlink => self.others.add(path, "a dangling link"),
            FileType::Fifo => self.others.add(path, "a FIFO"),
            FileType::Socket => self.others.add(path, "a socket"),
            _ => self.others.add(path, "a device"),
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
    pub(super) lists: Vec<Vec<PathBuf>>,
    pub(super) unreadable: Vec<PathBuf>,
    pub(super) tally: Tally,
}

impl Basket {
    pub(super) fn put(&mut self, harvest: Harvest) {
        if !harvest.paths.is_empty() {
            self.lists.push(harvest.paths);
        }
        self.unreadable.extend(harvest.unreadable);
        self.tally.absorb(harvest.tally);
    }
}

/// One sorted list (by bytes, which is not how paths compare by themselves) without repeats.
///
/// The lists are put in order first: what the sort then meets is nearly sorted, and it makes use of that.
pub(super) fn merged(mut lists: Vec<Vec<PathBuf>>) -> Vec<PathBuf> {
    lists.sort_by(|a, b| by_bytes(&a[0], &b[0]));
    let mut paths: Vec<PathBuf> = lists.into_iter().flatten().collect();
    paths.sort_by(by_bytes);
    paths.dedup_by(|a, b| a.as_os_str() == b.as_os_str());
    paths
}

pub(super) fn by_bytes<P: AsRef<OsStr>>(a: &P, b: &P) -> Ordering {
    a.as_ref().cmp(b.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_bytes_and_repeats_go() {
        let list = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let lists = vec![list(&["/a/b", "/a0"]), list(&["/a-b", "/a/b"]), list(&["/B"])];
        assert_eq!(merged(lists), list(&["/B", "/a-b", "/a/b", "/a0"]));
    }
}

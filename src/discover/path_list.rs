//! Many paths in little memory, collected by many threads at once.
//!
//! With an allocation for each path, threads would queue for the allocator (musl's has one lock), so the paths of a folder
//! share one buffer until the list is built.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Paths, end to end.
#[derive(Debug, Default)]
pub(super) struct PathList {
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl PathList {
    pub(super) fn push(&mut self, path: &Path) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(path.as_os_str().as_bytes());
        self.spans.push(start..self.bytes.len());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Sorts the paths by their bytes, which is not the order of `Path`. The first `shared` bytes are the same in all of
    /// them and not compared: with musl, comparing bytes is most of the work.
    pub(super) fn sort(&mut self, shared: usize) {
        let Self { bytes, spans } = self;
        let rest = |span: &Range<usize>| bytes.get(span.start + shared..span.end).unwrap_or_default();
        spans.sort_unstable_by(|a, b| rest(a).cmp(rest(b)));
    }

    fn iter(&self) -> impl Iterator<Item = &OsStr> {
        self.spans.iter().map(|span| OsStr::from_bytes(&self.bytes[span.clone()]))
    }
}

/// All paths of lists that are each sorted by bytes, in that order and without repeats.
///
/// The lists are sorted by their first paths, so that the sort of all paths meets them nearly sorted, which makes it fast.
pub(super) fn merged(lists: &[PathList]) -> Vec<&OsStr> {
    let mut lists: Vec<&PathList> = lists.iter().collect();
    lists.sort_by(|a, b| a.iter().next().cmp(&b.iter().next()));
    let mut paths: Vec<&OsStr> = lists.iter().flat_map(|list| list.iter()).collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_bytes_and_repeats_go() {
        let list = |paths: &[&str]| {
            let mut list = PathList::default();
            for path in paths {
                list.push(Path::new(path));
            }
            list.sort(1);
            list
        };
        let lists = [list(&["/a/b", "/a0"]), list(&["/a/b", "/a-b"]), list(&[]), list(&["/B"])];
        assert_eq!(merged(&lists), ["/B", "/a-b", "/a/b", "/a0"]);
    }
}

//! A picture of a folder and all below it, to see what was touched.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// What lies where: names, contents, times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<PathBuf, Seen>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    kind: Kind,
    modified: (i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Folder,
    File(Vec<u8>),
    Other,
}

impl Tree {
    /// Of what lies below `root` now.
    pub(crate) fn of(root: &Path) -> Self {
        let below = WalkDir::new(root).min_depth(1).into_iter().flatten();
        let name = |entry: &DirEntry| entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned();
        Self(below.filter_map(|entry| Some((name(&entry), Seen::of(&entry)?))).collect())
    }

    /// All but folders.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = self.0.iter().filter(|(_, seen)| seen.kind != Kind::Folder);
        files.map(|(name, _)| name.clone()).collect()
    }

    /// The first difference, in words.
    pub(crate) fn difference(&self, after: &Self) -> Option<String> {
        let names = self.0.keys().chain(after.0.keys());
        names.into_iter().find_map(|name| {
            let what = match (self.0.get(name), after.0.get(name)) {
                (Some(before), Some(after)) if before == after => return None,
                (Some(before), Some(after)) if before.kind == after.kind => "was touched",
                (Some(_), Some(_)) => "was changed",
                (Some(_), None) => "was removed",
                (None, _) => "was made",
            };
            Some(format!("{} {what}", name.display()))
        })
    }
}

impl Seen {
    /// `None` where it went meanwhile.
    fn of(entry: &DirEntry) -> Option<Self> {
        let metadata = entry.metadata().ok()?;
        let kind = match metadata.file_type() {
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_file() => Kind::File(std::fs::read(entry.path()).unwrap_or_default()),
            _ => Kind::Other,
        };
        // A folder's own time tells nothing that its names do not, but for files that came and went.
        let modified = if metadata.is_dir() { (0, 0) } else { (metadata.mtime(), metadata.mtime_nsec()) };
        Some(Self { kind, modified })
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, seen) in &self.0 {
            match &seen.kind {
                Kind::Folder => writeln!(out, "  {}/", name.display())?,
                Kind::File(content) => writeln!(out, "  {} ({} bytes)", name.display(), content.len())?,
                Kind::Other => writeln!(out, "  {} (no file)", name.display())?,
            }
        }
        Ok(())
    }
}

//! What `--exclude` excludes.
//!
//! - A pattern without a slash matches base names: those of entries, and of the folders below an input pattern's fixed
//!   part. The names in the fixed part are the user's choice, so `--exclude 'arc*'` does not exclude all of `/arc`. Of a
//!   plain path, its own name counts.
//! - A pattern with a slash matches whole absolute paths; a relative one is joined to the current folder. Paths are
//!   compared as text, component by component, with `**` for any number of components. Here the fixed part counts.
//! - A slash at the end does not count as one: it restricts the pattern to folders.
//! - `*` and `?` match a leading dot here: excluding means hidden files, too.
//! - With a folder, everything below it is excluded. It is not even opened, so `--exclude` also helps with a folder that
//!   can't be read.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::name_pattern::NamePattern;
use super::path_pattern::components;
use crate::text::OsText;

/// The compiled `--exclude` patterns.
#[derive(Debug, Default)]
pub(super) struct Excludes {
    names: Vec<Rule<NamePattern>>,
    paths: Vec<Rule<Vec<Part>>>,
}

#[derive(Debug)]
struct Rule<T> {
    pattern: T,
    folders_only: bool,
}

/// A component of a pattern for whole paths.
#[derive(Debug)]
enum Part {
    AnyDepth,
    Name(NamePattern),
    /// A component of the current folder, in which brackets and stars are ordinary characters.
    Exactly(Vec<u8>),
}

impl Part {
    fn fits(&self, name: &[u8]) -> bool {
        match self {
            Self::AnyDepth => false,
            Self::Name(pattern) => pattern.matches(name),
            Self::Exactly(own) => own == name,
        }
    }
}

/// Whether a path is a folder, to which alone some patterns apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    Folder,
    Other,
}

impl Excludes {
    pub(super) fn new(patterns: &[OsText], cwd: &Path) -> Self {
        let mut excludes = Self::default();
        for given in patterns {
            let bytes = given.0.as_bytes();
            let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
            let (pattern, folders_only) = (&bytes[..end], end < bytes.len());
            if pattern.contains(&b'/') {
                excludes.paths.push(Rule { pattern: parts(pattern, cwd), folders_only });
            } else if !pattern.is_empty() {
                excludes.names.push(Rule { pattern: NamePattern::new(pattern), folders_only });
            }
        }
        excludes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.paths.is_empty()
    }

    /// Whether an entry, or a folder on the way to it, is excluded; `path` is clean and ends with `name`.
    pub(super) fn is_excluded(&self, name: &[u8], path: &Path, kind: PathKind) -> bool {
        self.is_name_excluded(name, kind) || self.is_path_excluded(path, kind)
    }

    /// Whether a folder, or one above it, is excluded by its whole path; `folder` is clean.
    pub(super) fn is_way_excluded(&self, folder: &Path) -> bool {
        !self.paths.is_empty()
            && folder.ancestors().any(|above| self.is_path_excluded(above, PathKind::Folder))
    }

    fn is_name_excluded(&self, name: &[u8], kind: PathKind) -> bool {
        let dots = matches!(name, b"." | b"..");
        !dots && self.names.iter().any(|rule| rule.is_about(kind) && rule.pattern.matches(name))
    }

    fn is_path_excluded(&self, path: &Path, kind: PathKind) -> bool {
        if self.paths.is_empty() {
            return false;
        }
        let names: Vec<&[u8]> = components(path.as_os_str().as_bytes()).collect();
        self.paths.iter().any(|rule| rule.is_about(kind) && parts_match(&rule.pattern, &names))
    }
}

impl<T> Rule<T> {
    fn is_about(&self, kind: PathKind) -> bool {
        !self.folders_only || kind == PathKind::Folder
    }
}

fn parts(pattern: &[u8], cwd: &Path) -> Vec<Part> {
    let way = if pattern.starts_with(b"/") { Path::new("/") } else { cwd };
    let fixed = components(way.as_os_str().as_bytes()).map(|name| Part::Exactly(name.to_vec()));
    let given = components(pattern).filter(|component| *component != b".").map(|component| match component {
        b"**" => Part::AnyDepth,
        _ => Part::Name(NamePattern::new(component)),
    });
    fixed.chain(given).collect()
}

/// As with the stars of a name, the earliest match will do, and only the last `**` ever needs another try.
fn parts_match(parts: &[Part], names: &[&[u8]]) -> bool {
    let (mut parts, mut names) = (parts, names);
    let mut last_any: Option<(&[Part], &[&[u8]])> = None;
    loop {
        if let Some((Part::AnyDepth, after)) = parts.split_first() {
            last_any = Some((after, names));
            parts = after;
            continue;
        }
        let Some((name, after_name)) = names.split_first() else { return parts.is_empty() };
        if let Some((part, after)) = parts.split_first()
            && part.fits(name)
        {
            (parts, names) = (after, after_name);
            continue;
        }
        let Some((after_any, tried)) = last_any else { return false };
        let Some((_, next)) = tried.split_first() else { return false };
        last_any = Some((after_any, next));
        (parts, names) = (after_any, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_excluded(pattern: &str, path: &str, kind: PathKind) -> bool {
        let excludes = Excludes::new(&[OsText::from(pattern)], Path::new("/run[1]"));
        let name = Path::new(path).file_name().unwrap();
        excludes.is_excluded(name.as_bytes(), Path::new(path), kind)
    }

    #[test]
    fn excludes_follow_their_table() {
        let table = [
            ("*.bad", "/data/x.bad", true),
            ("*.bad", "/data/.x.bad", true),
            ("data", "/data/x", false),
            ("[!a]*", "/data/b", true),
            ("/data/x", "/data/x", true),
            ("/data/*", "/data/.x", true),
            ("/data/*", "/data/a/x", false),
            ("/data/**/x", "/data/x", true),
            ("/data/**/x", "/data/.a/b/x", true),
            ("/**/a/**/x", "/a/b/a/c/x", true),
            ("/data/**", "/data", true),
            ("./old/x", "/run[1]/old/x", true),
            ("old/x", "/run1/old/x", false),
            ("x/", "/data/x", false),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(is_excluded(pattern, path, PathKind::Other), expected, "{pattern} on {path}");
        }
        assert!(is_excluded("x/", "/data/x", PathKind::Folder));
    }

    #[test]
    fn a_whole_path_also_takes_what_lies_below_it() {
        let excludes = Excludes::new(&[OsText::from("/data/old")], Path::new("/"));
        assert!(excludes.is_way_excluded(Path::new("/data/old/night1")));
        assert!(!excludes.is_way_excluded(Path::new("/data/older")));
    }
}

//! What `--exclude` leaves out.
//!
//! - A pattern without a slash is about base names: those of entries and of the folders passed on the way down from an
//!   input pattern's fixed part. The fixed part's own names are the user's choice, so `--exclude 'arc*'` does not throw
//!   out all of `/arc`. A plain path counts with its own name.
//! - A pattern with a slash is about whole absolute paths; a relative one is joined to the current folder. Both are
//!   compared as text, component by component, `**` for any number of components. Here the fixed part counts too.
//! - A slash at the end is no such slash: it says that only folders are meant.
//! - `*` and `?` match a leading dot here: who leaves things out means the hidden ones too.
//! - A folder that is left out takes all below it with it. It is not even opened, so `--exclude` also helps against one
//!   that can't be read.

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
    /// One of the current folder's own, where brackets and stars are no magic.
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

/// What stands at a path, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
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

    /// Whether an entry or a folder on the way is left out; `path` is clean and ends with `name`.
    pub(super) fn takes(&self, name: &[u8], path: &Path, standing: Standing) -> bool {
        self.takes_name(name, standing) || self.takes_path(path, standing)
    }

    /// Whether a folder, or one above it, is left out by its whole path; `path` is clean.
    pub(super) fn takes_way_to(&self, folder: &Path) -> bool {
        !self.paths.is_empty() && folder.ancestors().any(|above| self.takes_path(above, Standing::Folder))
    }

    fn takes_name(&self, name: &[u8], standing: Standing) -> bool {
        let dots = matches!(name, b"." | b"..");
        !dots && self.names.iter().any(|rule| rule.is_about(standing) && rule.pattern.matches(name))
    }

    fn takes_path(&self, path: &Path, standing: Standing) -> bool {
        if self.paths.is_empty() {
            return false;
        }
        let names: Vec<&[u8]> = components(path.as_os_str().as_bytes()).collect();
        self.paths.iter().any(|rule| rule.is_about(standing) && parts_match(&rule.pattern, &names))
    }
}

impl<T> Rule<T> {
    fn is_about(&self, standing: Standing) -> bool {
        !self.folders_only || standing == Standing::Folder
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

/// As for the stars of a name: the earliest fit will do, and only the last `**` is ever tried again.
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

    fn takes(pattern: &str, path: &str, standing: Standing) -> bool {
        let excludes = Excludes::new(&[OsText::from(pattern)], Path::new("/run[1]"));
        let name = Path::new(path).file_name().unwrap();
        excludes.takes(name.as_bytes(), Path::new(path), standing)
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
            assert_eq!(takes(pattern, path, Standing::Other), expected, "{pattern} on {path}");
        }
        assert!(takes("x/", "/data/x", Standing::Folder));
    }

    #[test]
    fn a_whole_path_also_takes_what_lies_below_it() {
        let excludes = Excludes::new(&[OsText::from("/data/old")], Path::new("/"));
        assert!(excludes.takes_way_to(Path::new("/data/old/night1")));
        assert!(!excludes.takes_way_to(Path::new("/data/older")));
    }
}

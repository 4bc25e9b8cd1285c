//! What `--exclude` excludes: globs as ripgrep and fd read them (the crate `globset`), unlike those of `--input`, which are
//! Python's.
//!
//! - A glob without a slash matches base names: those of entries, and of the folders below an input pattern's fixed
//!   part. The names in the fixed part are the user's choice, so `--exclude 'arc*'` does not exclude all of `/arc`. Of a
//!   plain path, its own name counts.
//! - A glob with a slash matches whole absolute paths; a relative one is joined to the current folder. Here the fixed part
//!   counts.
//! - A slash at the end does not count as one: it restricts the glob to folders.
//! - `*` and `?` match a leading dot: `--exclude` applies to hidden files, too.
//! - If a folder is excluded, so is everything below it. It is not even opened, so `--exclude` also helps with a folder that
//!   can't be read.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::error::DiscoverError;
use super::search::Note;
use crate::text::OsText;

/// The compiled `--exclude` globs.
#[derive(Debug, Default)]
pub(super) struct Excludes {
    names: GlobSet,
    paths: GlobSet,
}

/// Whether a path is a folder, to which alone some globs apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    Folder,
    Other,
}

impl Excludes {
    /// Compiles globs; relative ones are joined to `cwd`, which is clean.
    ///
    /// # Errors
    /// [`DiscoverError::BadExclude`] for a glob that is broken, or not UTF-8.
    pub(super) fn new(globs: &[OsText], cwd: &Path) -> Result<Self, DiscoverError> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for given in globs {
            let bad = |cause: String| DiscoverError::BadExclude { glob: given.0.clone(), cause };
            let glob = given.0.to_str().ok_or_else(|| bad("it is not UTF-8".to_owned()))?;
            let is_about_paths = glob.trim_end_matches('/').contains('/');
            let whole = if is_about_paths { absolute(glob, cwd).map_err(bad)? } else { tidy(glob) };
            if whole.trim_end_matches('/').is_empty() {
                continue;
            }
            let compiled = GlobBuilder::new(&whole).literal_separator(true).build();
            let set = if is_about_paths { &mut paths } else { &mut names };
            set.add(compiled.map_err(|error| bad(error.kind().to_string()))?);
        }
        let built = |set: GlobSetBuilder| {
            set.build().map_err(|error| DiscoverError::BadExclude {
                glob: error.glob().unwrap_or_default().into(),
                cause: error.kind().to_string(),
            })
        };
        Ok(Self { names: built(names)?, paths: built(paths)? })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.paths.is_empty()
    }

    /// Whether an entry, or a folder on the way to it, is excluded; `path` is clean and ends with `name`.
    pub(super) fn is_excluded(&self, name: &[u8], path: &Path, kind: PathKind) -> bool {
        let dots = matches!(name, b"." | b"..");
        !dots && has_match(&self.names, OsStr::from_bytes(name), kind)
            || has_match(&self.paths, path.as_os_str(), kind)
    }

    /// Whether a folder, or one above it, is excluded by its whole path; `folder` is clean.
    pub(super) fn is_way_excluded(&self, folder: &Path) -> bool {
        let is_excluded = |above: &Path| has_match(&self.paths, above.as_os_str(), PathKind::Folder);
        !self.paths.is_empty() && folder.ancestors().any(is_excluded)
    }
}

/// A glob that ends with a slash matches folders alone, so a folder is also asked for with one.
fn has_match(globs: &GlobSet, path: &OsStr, kind: PathKind) -> bool {
    let with_slash = || OsString::from_iter([path, OsStr::new("/")]);
    !globs.is_empty() && (globs.is_match(path) || kind == PathKind::Folder && globs.is_match(with_slash()))
}

fn absolute(glob: &str, cwd: &Path) -> Result<String, String> {
    if glob.starts_with('/') {
        return Ok(tidy(glob));
    }
    let cwd =
        cwd.to_str().ok_or("it is relative, and the current directory is not UTF-8: write a whole path")?;
    Ok(tidy(&format!("{}/{glob}", globset::escape(cwd))))
}

/// Without what clean paths do not have: `.` components and repeated slashes.
fn tidy(glob: &str) -> String {
    let mut tidy = glob.to_owned();
    for repeated in ["/./", "//"] {
        while tidy.contains(repeated) {
            tidy = tidy.replace(repeated, "/");
        }
    }
    tidy
}

/// The warning about a glob that seems to mean braces or a backslash as plain characters.
pub(super) fn syntax_note(globs: &[OsText]) -> Option<Note> {
    let is_odd = |glob: &&OsText| glob.0.to_str().is_some_and(may_be_meant_plainly);
    globs.iter().find(is_odd).map(|glob| Note::ExcludeSyntax(glob.0.clone()))
}

/// Whether it has a backslash, or braces without alternatives; `[{]` is plain already.
fn may_be_meant_plainly(glob: &str) -> bool {
    let without_choice = |rest: &str| rest.split_once('}').is_some_and(|(inside, _)| !inside.contains(','));
    glob.contains('\\') || glob.replace("[{]", "").split('{').skip(1).any(without_choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_excluded(pattern: &str, path: &str, kind: PathKind) -> bool {
        let excludes = Excludes::new(&[OsText::from(pattern)], Path::new("/run[1]")).unwrap();
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
            ("/data/**", "/data", false),
            ("/data/**", "/data/a/x", true),
            ("*.{bad,tmp}", "/data/x.tmp", true),
            ("*.{bad,tmp}", "/data/x.{bad,tmp}", false),
            ("/data/{a,b}/*", "/data/b/x", true),
            ("a\\[1]", "/data/a[1]", true),
            ("[{]*", "/data/{x", true),
            ("/data//./x", "/data/x", true),
            ("./old/x", "/run[1]/old/x", true),
            ("old/x", "/run1/old/x", false),
            ("x/", "/data/x", false),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(is_excluded(pattern, path, PathKind::Other), expected, "{pattern} on {path}");
        }
        for glob in ["x/", "x//", "/data/x/", "/data/x/**", "x", "*"] {
            assert!(is_excluded(glob, "/data/x", PathKind::Folder), "{glob}");
        }
        for nothing in ["", "/", "//"] {
            assert!(Excludes::new(&[OsText::from(nothing)], Path::new("/")).unwrap().is_empty());
        }
    }

    #[test]
    fn only_what_may_be_meant_plainly_is_told_of() {
        for glob in ["*.{fits}", "{x}{a,b}", "{a{b},c}", "a\\[1]", "a\\\\b"] {
            assert!(syntax_note(&[OsText::from("*.bad"), OsText::from(glob)]).is_some(), "{glob}");
        }
        for glob in ["*.{a,b}", "{a,{b,c}}", "{{a,b},c}", "[{]x[}]", "[{]*", "*", "x.{a,b}.{c,d}"] {
            assert!(syntax_note(&[OsText::from(glob)]).is_none(), "{glob}");
        }
    }

    #[test]
    fn names_that_are_not_text_are_matched() {
        let excludes = Excludes::new(&[OsText::from("*.bad")], Path::new("/")).unwrap();
        let name = b"\xff\n.bad";
        assert!(excludes.is_excluded(name, &Path::new("/").join(OsStr::from_bytes(name)), PathKind::Other));
    }

    #[test]
    fn a_broken_glob_is_an_error() {
        let odd = OsText(OsStr::from_bytes(b"a\xff").to_os_string());
        for glob in ["[a", "[z-a]", "{a,b", "a}", "a\\"].map(OsText::from).into_iter().chain([odd]) {
            let refused = Excludes::new(std::slice::from_ref(&glob), Path::new("/"));
            assert!(matches!(refused, Err(DiscoverError::BadExclude { .. })), "{glob:?}");
        }
        let refused = Excludes::new(&[OsText::from("/d/[a")], Path::new("/")).unwrap_err().to_string();
        insta::assert_snapshot!(refused, @"--exclude /d/[a is not a valid glob: unclosed character class; missing ']'. To match a special character itself, put it in brackets, as in [[]");
    }

    #[test]
    fn a_whole_path_also_takes_what_lies_below_it() {
        let excludes = Excludes::new(&[OsText::from("/data/old")], Path::new("/")).unwrap();
        assert!(excludes.is_way_excluded(Path::new("/data/old/night1")));
        assert!(!excludes.is_way_excluded(Path::new("/data/older")));
    }
}

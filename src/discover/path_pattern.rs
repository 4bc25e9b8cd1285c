//! A whole pattern, compiled: the fixed part that it starts in, and the steps below that. Also cleaning and joining paths
//! as text.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::name_pattern::NamePattern;

/// One step down from a folder.
#[derive(Debug)]
pub(super) enum PatternStep {
    /// `**`: the folder itself and, at any depth, everything in it that is not hidden.
    AnyDepth,
    /// Names that match; `hidden` if those with a leading dot may.
    Names { pattern: NamePattern, hidden: bool },
    /// This name, hidden or not; also `.` and `..`.
    Literal(Vec<u8>),
}

impl PatternStep {
    /// Whether a listing of the folder can answer it.
    pub(super) fn is_listed(&self) -> bool {
        !matches!(self, Self::Literal(name) if matches!(name.as_slice(), b"." | b".."))
    }

    /// Whether only a listing of the folder can answer it.
    pub(super) fn needs_listing(&self) -> bool {
        !matches!(self, Self::Literal(_))
    }
}

/// A pattern bound to the folder that its relative form starts from.
#[derive(Debug)]
pub(super) struct PathPattern {
    /// The fixed part, absolute, as it is walked: its `.` and `..` are still there.
    pub(super) base: PathBuf,
    pub(super) steps: Vec<PatternStep>,
    /// Ends with a slash: a folder or nothing.
    pub(super) folders_only: bool,
    /// Whether the base is never an entry itself: Python's relative `**` does not yield the current folder.
    pub(super) base_is_nameless: bool,
    /// Paths must be cleaned of `.` components before anyone sees them.
    dotted: bool,
}

impl PathPattern {
    pub(super) fn new(pattern: &OsStr, cwd: &Path) -> Self {
        let bytes = pattern.as_bytes();
        let absolute = bytes.starts_with(b"/");
        let mut base = if absolute { PathBuf::from("/") } else { cwd.to_path_buf() };
        let mut steps: Vec<PatternStep> = Vec::new();
        let mut dotted = false;
        for component in components(bytes) {
            dotted |= component == b".";
            match step(component) {
                PatternStep::Literal(name) if steps.is_empty() => base = join(&base, &name),
                // Two in a row mean the same as one.
                PatternStep::AnyDepth if matches!(steps.last(), Some(PatternStep::AnyDepth)) => {}
                step => steps.push(step),
            }
        }
        let base_is_nameless = components(bytes).next() == Some(b"**") && !absolute;
        Self { base, steps, folders_only: bytes.ends_with(b"/"), base_is_nameless, dotted }
    }

    /// Everything below a folder that is not hidden; `folder` is clean.
    pub(super) fn everything_below(folder: PathBuf) -> Self {
        let steps = vec![PatternStep::AnyDepth];
        Self { base: folder, steps, folders_only: false, base_is_nameless: true, dotted: false }
    }

    /// The positions that are open in a folder where `position` is: `**` may also stand for no folder at all.
    pub(super) fn open_at(&self, position: usize) -> impl Iterator<Item = usize> {
        let also = matches!(self.steps.get(position), Some(PatternStep::AnyDepth))
            && position + 1 < self.steps.len();
        std::iter::once(position).chain(also.then_some(position + 1))
    }

    /// Whether a folder reached at `position` is itself what the pattern means.
    pub(super) fn means_folder_at(&self, position: usize) -> bool {
        match self.steps.get(position) {
            None => true,
            Some(step) => matches!(step, PatternStep::AnyDepth) && self.ends_after(position),
        }
    }

    /// Whether the step at `position` is the last one.
    pub(super) fn ends_after(&self, position: usize) -> bool {
        position + 1 >= self.steps.len()
    }

    /// The form of a walked path that is shown and stored.
    pub(super) fn tidy<'a>(&self, walked: &'a Path) -> Cow<'a, Path> {
        if self.dotted { Cow::Owned(clean(walked)) } else { Cow::Borrowed(walked) }
    }
}

fn step(component: &[u8]) -> PatternStep {
    if component == b"**" {
        PatternStep::AnyDepth
    } else if has_magic(component) {
        PatternStep::Names { pattern: NamePattern::new(component), hidden: component.starts_with(b".") }
    } else {
        PatternStep::Literal(component.to_vec())
    }
}

/// The folder a pattern starts from: its leading components without magic, absolute and cleaned; for a plain path the
/// folder that holds it. `{rel}` is relative to it. It depends on the text alone, not on the file system.
///
/// A relative pattern is joined to `cwd`; brackets and stars in `cwd` are ordinary characters.
pub fn fixed_part(pattern: &OsStr, cwd: &Path) -> PathBuf {
    let compiled = PathPattern::new(pattern, cwd);
    let base = clean(&compiled.base);
    if compiled.steps.is_empty() { base.parent().map_or(base.clone(), Path::to_path_buf) } else { base }
}

/// A plain path as an absolute, clean one; `None` for a pattern.
pub fn plain_path(argument: &OsStr, cwd: &Path) -> Option<PathBuf> {
    (!has_magic(argument.as_bytes())).then(|| clean(&cwd.join(argument)))
}

/// Whether Python's `glob` takes it for a pattern.
pub(super) fn has_magic(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether a path, read as a pattern, matches the path itself: `obs[1].fits` does not.
pub(super) fn matches_itself(path: &[u8]) -> bool {
    components(path).all(|component| !has_magic(component) || NamePattern::new(component).matches(component))
}

pub(super) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
}

/// An absolute path without `.` components, repeated slashes and a slash at the end. `..` and links stay, as only the file
/// system knows what they mean.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = Vec::with_capacity(path.as_os_str().len() + 1);
    for component in components(path.as_os_str().as_bytes()).filter(|component| *component != b".") {
        cleaned.push(b'/');
        cleaned.extend_from_slice(component);
    }
    if cleaned.is_empty() {
        cleaned.push(b'/');
    }
    PathBuf::from(OsString::from_vec(cleaned))
}

/// `Path::join` with bytes.
pub(super) fn join(folder: &Path, name: &[u8]) -> PathBuf {
    let mut below = Below::new(folder);
    below.name(name);
    PathBuf::from(OsString::from_vec(below.bytes))
}

/// The paths of names in a folder, one after the other in the same buffer.
#[derive(Debug)]
pub(super) struct Below {
    bytes: Vec<u8>,
    folder: usize,
}

impl Below {
    pub(super) fn new(folder: &Path) -> Self {
        let mut bytes = folder.as_os_str().as_bytes().to_vec();
        if !bytes.ends_with(b"/") {
            bytes.push(b'/');
        }
        Self { folder: bytes.len(), bytes }
    }

    pub(super) fn name(&mut self, name: &[u8]) {
        self.bytes.truncate(self.folder);
        self.bytes.extend_from_slice(name);
    }

    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_part_is_what_stands_before_the_first_magic_component() {
        let table = [
            ("/data/*/a.fits", "/data"),
            ("/data/night1/a*.fits", "/data/night1"),
            ("/data/./x//y/*", "/data/x/y"),
            ("/data/a.fits", "/data"),
            ("/data/night1/", "/data"),
            ("/*", "/"),
            ("/a", "/"),
            ("/", "/"),
            ("**/x", "/run[1]"),
            ("sub/*.fits", "/run[1]/sub"),
            ("../a/*", "/run[1]/../a"),
            ("a.fits", "/run[1]"),
        ];
        for (pattern, expected) in table {
            assert_eq!(
                fixed_part(OsStr::new(pattern), Path::new("/run[1]")),
                Path::new(expected),
                "{pattern}"
            );
        }
    }

    #[test]
    fn cleaning_keeps_dots_that_mean_something() {
        for (path, expected) in
            [("//a/./b//", "/a/b"), ("/a/../b/.", "/a/../b"), ("/.", "/"), ("/.a/..b", "/.a/..b")]
        {
            assert_eq!(clean(Path::new(path)).as_os_str(), expected);
        }
    }

    #[test]
    fn a_name_with_brackets_does_not_match_itself() {
        assert!(!matches_itself(b"/d/obs[1].fits"));
        assert!(matches_itself(b"/d/obs*.fits"));
        assert!(matches_itself(b"/d/**/obs["));
        assert!(!matches_itself(b"/d[x]/a*"));
    }
}

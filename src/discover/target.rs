//! What one `--input` argument means: a pattern or a plain path.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::ask::{Answer, look_at};
use super::error::DiscoverError;
use super::path_pattern::{PathPattern, clean, has_magic, join, matches_itself};

/// An argument, and how it is read.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// Which argument it is, from 0.
    pub(super) index: usize,
    pub(super) argument: &'a OsStr,
    /// Made absolute, otherwise as it was given.
    pub(super) raw: PathBuf,
    pub(super) form: ArgumentForm,
    /// For a path: everything below it.
    pub(super) pattern: PathPattern,
}

/// How an argument is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArgumentForm {
    /// An empty argument.
    Empty,
    Path,
    /// It looks like a pattern, but is also an existing path that it would not match.
    PathDespiteMagic,
    Pattern,
}

impl<'a> Target<'a> {
    /// `cwd` is absolute and clean.
    pub(super) fn new(index: usize, argument: &'a OsStr, cwd: &Path) -> Result<Self, DiscoverError> {
        let bytes = argument.as_bytes();
        let raw = if bytes.starts_with(b"/") { PathBuf::from(argument) } else { join(cwd, bytes) };
        let form = form(bytes, &raw)?;
        let pattern = match form {
            ArgumentForm::Pattern => PathPattern::new(argument, cwd),
            ArgumentForm::Empty | ArgumentForm::Path | ArgumentForm::PathDespiteMagic => {
                PathPattern::everything_below(clean(&raw))
            }
        };
        Ok(Self { index, argument, raw, form, pattern })
    }
}

fn form(argument: &[u8], raw: &Path) -> Result<ArgumentForm, DiscoverError> {
    if argument.is_empty() {
        return Ok(ArgumentForm::Empty);
    }
    if !has_magic(argument) {
        return Ok(ArgumentForm::Path);
    }
    if matches_itself(argument) {
        return Ok(ArgumentForm::Pattern);
    }
    Ok(match look_at(raw)? {
        Answer::Is(_) => ArgumentForm::PathDespiteMagic,
        Answer::Nothing | Answer::Denied => ArgumentForm::Pattern,
    })
}

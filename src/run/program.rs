//! Which file a command's first word names, found once so that a command that can't run ends the launch before it begins.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// A command that can't be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// No such file.
    #[error(
        "the command {name:?} was not found in PATH ({path}). Is it installed in this image? Give its whole path otherwise"
    )]
    NotInPath {
        /// The word.
        name: OsString,
        /// What was searched.
        path: String,
    },
    /// No such file.
    #[error("the command {0:?} does not exist")]
    Missing(PathBuf),
    /// A file that can't be executed.
    #[error("the command {0:?} is there but can't be executed: {1}")]
    NotExecutable(PathBuf, &'static str),
}

/// The absolute path of the file that `name` means: searched in `path` (a `PATH`), or, with a slash in it, as seen from
/// `cwd`, wherever the tasks will run.
///
/// # Errors
/// When there is none or it can't be executed.
pub fn find(name: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Result<PathBuf, ProgramError> {
    if name.as_bytes().contains(&b'/') {
        let file = cwd.join(name);
        return match why_not(&file) {
            None => Ok(file),
            Some(WhyNot::Missing) => Err(ProgramError::Missing(file)),
            Some(WhyNot::Unfit(why)) => Err(ProgramError::NotExecutable(file, why)),
        };
    }
    // What execvp searches when there is no PATH.
    let path = path.unwrap_or(OsStr::new("/usr/local/bin:/bin:/usr/bin"));
    let mut unfit = None;
    for folder in std::env::split_paths(path) {
        let file = cwd.join(folder).join(name);
        match why_not(&file) {
            None => return Ok(file),
            Some(WhyNot::Unfit(why)) => _ = unfit.get_or_insert(ProgramError::NotExecutable(file, why)),
            Some(WhyNot::Missing) => {}
        }
    }
    Err(unfit.unwrap_or_else(|| ProgramError::NotInPath {
        name: name.to_owned(),
        path: path.to_string_lossy().into_owned(),
    }))
}

enum WhyNot {
    Missing,
    Unfit(&'static str),
}

fn why_not(file: &Path) -> Option<WhyNot> {
    let Ok(metadata) = std::fs::metadata(file) else { return Some(WhyNot::Missing) };
    if metadata.is_dir() {
        return Some(WhyNot::Unfit("it is a directory"));
    }
    access(file, Access::EXEC_OK).is_err().then_some(WhyNot::Unfit(
        "it has no execute permission (chmod +x), or lies on a file system mounted noexec",
    ))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::{ProgramError, find};

    #[test]
    fn a_program_is_found_in_path_or_where_its_path_says() {
        let here = Path::new("/");
        assert_eq!(
            find(OsStr::new("sh"), Some(OsStr::new("/nowhere:/bin")), here).unwrap(),
            Path::new("/bin/sh")
        );
        assert_eq!(find(OsStr::new("bin/sh"), None, here).unwrap(), Path::new("/bin/sh"));
        let missing = find(OsStr::new("no-such-program"), Some(OsStr::new("/bin")), here);
        assert!(matches!(missing, Err(ProgramError::NotInPath { .. })));
        let unfit = find(OsStr::new("/etc/passwd"), None, here);
        assert!(matches!(unfit, Err(ProgramError::NotExecutable(..))));
        assert!(matches!(find(OsStr::new("/nowhere/x"), None, here), Err(ProgramError::Missing(_))));
    }
}

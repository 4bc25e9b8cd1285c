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
    /// No such file, but one where canfar-run was started.
    #[error(
        "the command {name:?} was not found in PATH ({path}), but there is one in the working directory: write ./{}",
        name.display()
    )]
    OnlyHere {
        /// The word.
        name: OsString,
        /// What was searched.
        path: String,
    },
    /// No such file.
    #[error("the command {0:?} does not exist. Is it in this image, or on storage that is mounted here?")]
    Missing(PathBuf),
    /// A file that can't be executed.
    #[error("the command {0:?} can't be executed: {1}")]
    Unfit(PathBuf, Unfit),
}

/// Why something can't be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A directory.
    #[error("it is a directory")]
    Directory,
    /// A folder on the way to it.
    #[error("this user may not enter its folder")]
    Closed,
    /// No right to execute it.
    #[error(
        "it has no execute permission. Give it one (chmod +x), or put its interpreter before it, as in `python analyze.py`; a file system mounted noexec gives none"
    )]
    Permission,
}

/// The absolute path of the file that `name` means: searched in `path` (a `PATH`), or, with a slash in it, as seen from
/// `cwd`, wherever the tasks will run.
///
/// # Errors
/// When there is none or it can't be executed.
pub fn find(name: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Result<PathBuf, ProgramError> {
    if name.as_bytes().contains(&b'/') {
        let file = cwd.join(name);
        let file = std::path::absolute(&file).unwrap_or(file);
        return match why_not(&file) {
            Ok(()) => Ok(file),
            Err(None) => Err(ProgramError::Missing(file)),
            Err(Some(why)) => Err(ProgramError::Unfit(file, why)),
        };
    }
    // What execvp searches when there is no PATH.
    let path = path.unwrap_or(OsStr::new("/usr/local/bin:/bin:/usr/bin"));
    let mut unfit = None;
    for folder in std::env::split_paths(path) {
        let file = cwd.join(folder).join(name);
        match why_not(&file) {
            Ok(()) => return Ok(file),
            Err(None | Some(Unfit::Closed)) => {}
            Err(Some(why)) => _ = unfit.get_or_insert(ProgramError::Unfit(file, why)),
        }
    }
    let (name, path) = (name.to_owned(), path.to_string_lossy().into_owned());
    Err(unfit.unwrap_or_else(|| {
        if cwd.join(&name).is_file() {
            ProgramError::OnlyHere { name, path }
        } else {
            ProgramError::NotInPath { name, path }
        }
    }))
}

/// Why a file can't be executed; `None` when there is none.
fn why_not(file: &Path) -> Result<(), Option<Unfit>> {
    match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Some(Unfit::Closed)),
        Err(_) => Err(None),
        Ok(metadata) if metadata.is_dir() => Err(Some(Unfit::Directory)),
        Ok(_) => access(file, Access::EXEC_OK).map_err(|_| Some(Unfit::Permission)),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::{ProgramError, Unfit, find};

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
        let here_only = find(OsStr::new("passwd"), Some(OsStr::new("/nowhere")), Path::new("/etc"));
        assert!(matches!(here_only, Err(ProgramError::OnlyHere { .. })));
        let unfit = find(OsStr::new("/etc/passwd"), None, here);
        assert!(matches!(unfit, Err(ProgramError::Unfit(_, Unfit::Permission))));
        assert!(matches!(find(OsStr::new("/nowhere/x"), None, here), Err(ProgramError::Missing(_))));
    }
}

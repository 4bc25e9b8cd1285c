//! Which file a command's first word names, found once so that a command that can't run ends the launch before it begins.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
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
    /// A command line in quotes that kept it together.
    #[error(
        "the command's first word is {0:?}, a whole command line in one word: it was quoted as one argument. Write it without them, as in `-- {1}`, or give it to --shell"
    )]
    WholeLine(OsString, String),
    /// No such file.
    #[error("the command {0:?} does not exist. Is it in this image, or on storage that is mounted here?")]
    Missing(PathBuf),
    /// A file that can't be executed.
    #[error("the command {0:?} can't be executed: {1}")]
    Unfit(PathBuf, Unfit),
}

/// Why something can't be executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// A script without an interpreter in its first line, or with a missing one: the system would blame the script.
    #[error("{0}")]
    FirstLine(String),
}

/// The absolute path of the file that `name` means: searched in `path` (a `PATH`), or, with a slash in it, as seen from
/// `cwd`, wherever the tasks will run.
///
/// # Errors
/// When there is none or it can't be executed.
pub fn find(name: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Result<PathBuf, ProgramError> {
    found(name, path, cwd).or_else(|error| not_a_whole_line(name, path, cwd).and(Err(error)))
}

/// Refuses a first word such as `python analyze.py {}`, which itself begins with a program.
///
/// # Errors
/// When it is such a word.
pub fn not_a_whole_line(word: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Result<(), ProgramError> {
    let text = word.to_string_lossy();
    match text.split_once(' ') {
        Some((program, _)) if found(OsStr::new(program), path, cwd).is_ok() => {
            Err(ProgramError::WholeLine(word.to_owned(), text.into_owned()))
        }
        _ => Ok(()),
    }
}

fn found(name: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Result<PathBuf, ProgramError> {
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
        Ok(_) if access(file, Access::EXEC_OK).is_err() => Err(Some(Unfit::Permission)),
        Ok(_) => wrong_first_line(file).map_or(Ok(()), |why| Err(Some(Unfit::FirstLine(why)))),
    }
}

/// What keeps a script from being started although it is executable. Files that can't be read, and formats other than
/// text, are left to the system.
fn wrong_first_line(file: &Path) -> Option<String> {
    let mut begin = Vec::new();
    File::open(file).ok()?.take(256).read_to_end(&mut begin).ok()?;
    let line = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(rest) = line.strip_prefix(b"#!") else {
        let is_text = !begin.is_empty()
            && begin.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        return is_text.then(|| "it is a text file without a first line such as #!/bin/sh".to_owned());
    };
    if line.ends_with(b"\r") {
        return Some(
            "its first line ends in a carriage return (Windows line ends): convert it with dos2unix"
                .to_owned(),
        );
    }
    let interpreter = rest.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let interpreter = Path::new(OsStr::from_bytes(interpreter));
    (interpreter.is_absolute() && !interpreter.exists())
        .then(|| format!("its first line names {}, which does not exist", interpreter.display()))
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
        let line = find(OsStr::new("sh run.sh"), Some(OsStr::new("/bin")), here);
        assert!(matches!(line, Err(ProgramError::WholeLine(..))));
        let here_only = find(OsStr::new("passwd"), Some(OsStr::new("/nowhere")), Path::new("/etc"));
        assert!(matches!(here_only, Err(ProgramError::OnlyHere { .. })));
        let unfit = find(OsStr::new("/etc/passwd"), None, here);
        assert!(matches!(unfit, Err(ProgramError::Unfit(_, Unfit::Permission))));
        assert!(matches!(find(OsStr::new("/nowhere/x"), None, here), Err(ProgramError::Missing(_))));
    }

    #[test]
    fn a_script_that_cannot_start_is_explained_by_its_first_line() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        for (text, said) in [
            ("#!/usr/bin/pyhton3\n", "names /usr/bin/pyhton3, which does not exist"),
            ("#!/bin/sh\r\n", "Windows line ends"),
            ("echo hello\n", "without a first line such as #!/bin/sh"),
        ] {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
            let error = find(file.as_os_str(), None, Path::new("/")).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        std::fs::write(&file, "#! /bin/sh -e\n").unwrap();
        assert!(find(file.as_os_str(), None, Path::new("/")).is_ok());
    }
}

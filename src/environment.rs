//! The environment of this process, captured once, so that tests can call the program with any environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Variables and working directory.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// All variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// The working directory.
    pub cwd: PathBuf,
}

impl Environment {
    /// That of this process.
    ///
    /// # Errors
    /// When the working directory can't be determined, for example because it was removed.
    pub fn of_this_process() -> std::io::Result<Self> {
        Ok(Self { variables: std::env::vars_os().collect(), cwd: std::env::current_dir()? })
    }

    /// A variable; an empty one counts as unset, so that an image's ENV can be taken back.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A path as seen from the working directory.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        // It fails for the empty path only.
        std::path::absolute(self.cwd.join(path)).unwrap_or_else(|_| self.cwd.clone())
    }
}

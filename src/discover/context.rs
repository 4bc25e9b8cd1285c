//! What all patterns of one search share: the kind of entry, what is excluded, and whether to continue.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::FileType;

use super::ask::{Answer, Identity, look_through};
use super::error::DiscoverError;
use super::exclude::Excludes;
use super::folder::identities_along;
use super::path_pattern::clean;
use super::search::{EntryType, Search};

pub(super) struct SearchContext<'a> {
    entry_type: EntryType,
    pub(super) excludes: Excludes,
    results: Option<ResultsDir>,
    keep_going: &'a (dyn Fn() -> bool + Sync),
    failure: Mutex<Option<DiscoverError>>,
    has_failed: AtomicBool,
    /// Folders in which patterns start, and whether they are in the results directory.
    in_results: Mutex<HashMap<PathBuf, bool>>,
}

/// The results directory, if it exists.
struct ResultsDir {
    identity: Identity,
    name: OsString,
}

impl<'a> SearchContext<'a> {
    pub(super) fn new(
        search: &Search,
        excludes: Excludes,
        keep_going: &'a (dyn Fn() -> bool + Sync),
    ) -> Result<Self, DiscoverError> {
        let results_dir = clean(&search.cwd.join(search.results_dir));
        let results = match look_through(&results_dir)? {
            Answer::Is(info) => {
                let name = results_dir.file_name().map(OsStr::to_os_string).unwrap_or_default();
                Some(ResultsDir { identity: info.identity, name })
            }
            Answer::Nothing | Answer::Denied => None,
        };
        Ok(Self {
            entry_type: search.entry_type,
            excludes,
            results,
            keep_going,
            failure: Mutex::default(),
            has_failed: AtomicBool::new(false),
            in_results: Mutex::default(),
        })
    }

    pub(super) fn is_wanted(&self, kind: FileType) -> bool {
        match self.entry_type {
            EntryType::File => kind == FileType::RegularFile,
            EntryType::Dir => kind == FileType::Directory,
        }
    }

    /// Whether a listed folder may be the results directory and has to be looked at. A mount point is listed with the inode
    /// of the folder that it hides, so the name counts, too.
    pub(super) fn may_be_results(&self, inode: u64, name: &[u8]) -> bool {
        self.results
            .as_ref()
            .is_some_and(|results| results.identity.inode == inode || results.name.as_bytes() == name)
    }

    pub(super) fn is_results(&self, identity: Identity) -> bool {
        self.results.as_ref().is_some_and(|results| results.identity == identity)
    }

    /// Whether a folder is the results directory, or is in it by the path that leads there.
    pub(super) fn is_in_results(&self, folder: &Path) -> bool {
        if self.results.is_none() {
            return false;
        }
        let known = |context: &Self| {
            context.in_results.lock().unwrap_or_else(PoisonError::into_inner).get(folder).copied()
        };
        known(self).unwrap_or_else(|| {
            let lies = identities_along(folder).into_iter().any(|identity| self.is_results(identity));
            let mut known = self.in_results.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(folder.to_path_buf(), lies);
            lies
        })
    }

    /// Whether the search has failed or was stopped; checked before each folder and each plain path.
    pub(super) fn is_over(&self) -> bool {
        if self.has_failed.load(Ordering::Relaxed) {
            return true;
        }
        let go = (self.keep_going)();
        if !go {
            self.fail(DiscoverError::Stopped);
        }
        !go
    }

    /// The first failure ends the search.
    pub(super) fn fail(&self, error: DiscoverError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.has_failed.store(true, Ordering::Relaxed);
    }

    pub(super) fn outcome(&self) -> Result<(), DiscoverError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

//! The claims of a run, as files: how a name is created exactly once, and which launch owns it.
//!
//! Names are only added: none is renamed, reused or removed until the run is moved aside.

mod claimant;
mod storage;
#[cfg(test)]
mod tests;

#[cfg(test)]
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::blocks::ClaimName;
use crate::model::launch_id::LaunchId;
use crate::sharing::claims::storage::{ClaimStorage, FileServer};
use crate::store::file_id::FileId;
use crate::store::layout::Layout;

pub use crate::sharing::claims::claimant::{Claimant, Claimed, RunMovedAway};

/// Far longer than any claim of ours.
const LONGEST: u64 = 4096;

/// How many lookups are needed, since cached information about a name may be out of date.
const STALE_LOOKS: u32 = 3;

/// The launch that made a claim: one line of JSON in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The run that it is of.
    pub run: String,
    /// The launch that made it.
    #[serde(flatten)]
    pub by: LaunchId,
    /// Where that runs.
    pub host: String,
    /// Which boot of it; empty if the system does not say.
    pub boot: String,
    /// Never used twice.
    pub nonce: String,
}

/// What was found under a claim's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimRead {
    /// A claim of this run.
    Of(Claim),
    /// Something else: it is empty, cut, of another run, or no claim at all.
    Broken,
    /// Nothing.
    Missing,
}

impl ClaimRead {
    /// The launch that made it, where one of this run did.
    pub fn by(&self) -> Option<LaunchId> {
        match self {
            Self::Of(claim) => Some(claim.by),
            Self::Broken | Self::Missing => None,
        }
    }
}

/// A claim's file, as the listing of its round shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimEntry {
    /// Its name.
    pub claim: ClaimName,
    /// Which file it seems to be: the claims that a launch links are the same file. Some file systems invent inode numbers in
    /// listings, so this may be trusted only if opening one of them gives the same.
    pub file: FileId,
}

/// The claims of a run.
#[derive(Debug, Clone)]
pub struct ClaimsFolder {
    run: String,
    path: PathBuf,
    storage: Arc<dyn ClaimStorage>,
}

impl ClaimsFolder {
    /// That of `run` in a results directory. It need not exist.
    pub fn new(layout: &Layout, run: &str) -> Self {
        Self::on(Arc::new(FileServer), layout, run)
    }

    fn on(storage: Arc<dyn ClaimStorage>, layout: &Layout, run: &str) -> Self {
        Self { run: run.to_owned(), path: layout.claims_of(run), storage }
    }

    /// Where it is.
    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a claim lies.
    pub fn path_of(&self, claim: ClaimName) -> PathBuf {
        self.path.join(claim.to_string())
    }

    fn path_of_round(&self, round: u32) -> PathBuf {
        self.path.join(round.to_string())
    }

    /// Every claim of a round; none if nothing in it was claimed. Names that are not claims are skipped.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn list(&self, round: u32) -> io::Result<Vec<ClaimEntry>> {
        match patiently(|| list(&self.path_of_round(round), round)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// By share, the highest generation of the claims to its block of a round.
    ///
    /// # Errors
    /// When the folder can't be read.
    #[cfg(test)]
    fn round(&self, round: u32) -> io::Result<BTreeMap<u32, u32>> {
        let mut highest = BTreeMap::new();
        for ClaimEntry { claim, .. } in self.list(round)? {
            let generation: &mut u32 = highest.entry(claim.block.share).or_default();
            *generation = claim.generation.max(*generation);
        }
        Ok(highest)
    }

    /// The launch that made a claim.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&self, claim: ClaimName) -> io::Result<ClaimRead> {
        self.read_file(claim).map(|(read, _)| read)
    }

    /// The same, and its file; `None` if nothing could be opened.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read_file(&self, claim: ClaimName) -> io::Result<(ClaimRead, Option<FileId>)> {
        patiently(|| self.read_file_once(&self.path_of(claim)))
    }

    /// By one look.
    fn read_once(&self, path: &Path) -> io::Result<ClaimRead> {
        self.read_file_once(path).map(|(read, _)| read)
    }

    fn read_file_once(&self, path: &Path) -> io::Result<(ClaimRead, Option<FileId>)> {
        let (text, file) = match self.storage.read(path, LONGEST + 1) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((ClaimRead::Missing, None)),
            // A folder, or what has no content to read.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory || error.raw_os_error().is_none() => {
                return Ok((ClaimRead::Broken, None));
            }
            Err(error) => return Err(error),
        };
        let claim = (text.len() as u64 <= LONGEST).then(|| serde_json::from_slice::<Claim>(&text));
        let read = match claim {
            Some(Ok(claim)) if claim.run == self.run => ClaimRead::Of(claim),
            _ => ClaimRead::Broken,
        };
        Ok((read, Some(file)))
    }

    /// Whether a claim's name exists.
    ///
    /// # Errors
    /// When that can't be told.
    pub fn exists(&self, claim: ClaimName) -> io::Result<bool> {
        patiently(|| self.storage.exists(&self.path_of(claim)))
    }

    /// Whether the run's claims still exist.
    ///
    /// # Errors
    /// When that can't be told.
    pub fn is_there(&self) -> io::Result<bool> {
        patiently(|| self.storage.exists(&self.path))
    }

    /// Whether no claim takes over from this one: checks for the next one's name.
    ///
    /// # Errors
    /// When that can't be told.
    pub fn is_highest(&self, claim: ClaimName) -> io::Result<bool> {
        self.exists(claim.next()).map(|is_there| !is_there)
    }
}

fn list(folder: &Path, round: u32) -> io::Result<Vec<ClaimEntry>> {
    let device = std::fs::metadata(folder)?.dev();
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let claim = name.to_str().and_then(|name| format!("{round}/{name}").parse::<ClaimName>().ok());
        if let Some(claim) = claim {
            entries.push(ClaimEntry { claim, file: FileId { device, inode: entry.ino() } });
        }
    }
    Ok(entries)
}

/// Looks again where what was known of the name is out of date.
fn patiently<T>(look: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mut looks = 1;
    loop {
        match look() {
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle && looks < STALE_LOOKS => {
                looks += 1;
            }
            looked => return looked,
        }
    }
}

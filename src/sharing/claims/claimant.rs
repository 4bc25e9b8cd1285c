//! Claiming: a launch writes one file and links it to the name of each claim. Success is trusted, an error never: after
//! an error, the file itself says which launch made the claim.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use crate::host::storage::StorageTrouble;
use crate::model::blocks::ClaimName;
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::sharing::claims::{Claim, ClaimRead, ClaimsFolder};
use crate::store::atomic_file::knows_no_links;

/// The most calls that a claim takes; usually it takes one.
const MOST_CALLS: u32 = 6;

/// The outcome of an attempt to claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is this launch's.
    Ours,
    /// The name is taken, by the launch in this value; never [`ClaimRead::Missing`].
    Others(ClaimRead),
}

/// The folder of the run's claims is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the run was moved away: its claims in {} are gone. Rerun to begin a new run", .0.display())]
pub struct RunMovedAway(pub PathBuf);

/// What a launch claims with.
#[derive(Debug)]
pub struct Claimant {
    folder: ClaimsFolder,
    claim: Claim,
    text: Vec<u8>,
    /// The file that claims are links of.
    source: PathBuf,
    /// Whether they are: not where links are refused, or the file is another's.
    are_links: AtomicBool,
}

/// A claim that is being tried.
struct Trial {
    path: PathBuf,
    /// The folder of its round.
    round: PathBuf,
    step: ClaimStep,
    /// Whether the name should be a link.
    is_link: bool,
    is_folder_made: bool,
    /// What went wrong last when the name was to be put there.
    fault: Option<PutFault>,
}

/// What is done next about a claim. Each takes one call.
#[derive(Clone, Copy)]
enum ClaimStep {
    /// Put its name there.
    Put,
    /// Make the folder of its round.
    MakeFolder,
    /// See whether the folder of the run's claims is still there.
    LookForRun,
    /// See which launch has the name.
    Ask,
}

/// What went wrong when a name was to be put there.
struct PutFault {
    what: &'static str,
    error: io::Error,
    /// Whether the name is there and only its content is not.
    is_named: bool,
}

impl Claimant {
    /// Makes the folder of the run's claims where it is not there, and writes and syncs the one file that is linked from
    /// now on.
    ///
    /// # Errors
    /// When storage fails.
    pub fn new(folder: ClaimsFolder, by: LaunchId, me: &Process) -> anyhow::Result<Self> {
        let nonce = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
        let (run, host, boot) = (folder.run.clone(), me.host.clone(), me.boot_id.clone());
        let claim = Claim { run, by, host, boot, nonce };
        let source = folder.path.join(format!("{by}.json"));
        let mut text = serde_json::to_vec(&claim)
            .map_err(|error| failed("can't write", &source, io::Error::other(error)))?;
        text.push(b'\n');
        let claimant = Self { folder, claim, text, source, are_links: AtomicBool::new(true) };
        claimant.make_folders()?;
        claimant.write_source()?;
        Ok(claimant)
    }

    /// The claims of the run.
    pub fn folder(&self) -> &ClaimsFolder {
        &self.folder
    }

    /// Whether a claim that was read is this launch's.
    pub fn is_ours(&self, claim: &Claim) -> bool {
        *claim == self.claim
    }

    fn make_folders(&self) -> anyhow::Result<()> {
        let path = &self.folder.path;
        for folder in path.parent().into_iter().chain([path.as_path()]) {
            let made = self.folder.storage.make_folder(folder);
            if let Err(error) = made
                && !matches!(self.folder.storage.exists(folder), Ok(true))
            {
                return Err(failed("can't create the folder", folder, error));
            }
        }
        Ok(())
    }

    /// Where the name is taken by what is not this launch's file, each claim is a file of its own.
    fn write_source(&self) -> anyhow::Result<()> {
        let Err(fault) = self.create(&self.source) else { return Ok(()) };
        match self.folder.read_once(&self.source) {
            Ok(ClaimRead::Of(claim)) if self.is_ours(&claim) => Ok(()),
            Ok(ClaimRead::Of(_) | ClaimRead::Broken) if !fault.is_named => {
                self.are_links.store(false, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(failed(fault.what, &self.source, fault.error)),
        }
    }

    /// Tries to create a claim's name, with six calls at most.
    ///
    /// # Errors
    /// [`RunMovedAway`], or an [`io::Error`] with what was tried as its context: then it is unknown which launch has the name, and a
    /// later check may find that it is this launch's.
    pub fn try_claim(&self, name: ClaimName) -> anyhow::Result<Claimed> {
        let mut trial = Trial {
            path: self.folder.path_of(name),
            round: self.folder.path_of_round(name.block.round),
            step: ClaimStep::Put,
            is_link: self.are_links.load(Ordering::Relaxed),
            is_folder_made: false,
            fault: None,
        };
        for _ in 0..MOST_CALLS {
            let claimed = match trial.step {
                ClaimStep::Put => self.put(&mut trial),
                ClaimStep::MakeFolder => {
                    self.make_round(&mut trial);
                    None
                }
                ClaimStep::LookForRun => {
                    self.look_for_run(&mut trial)?;
                    None
                }
                ClaimStep::Ask => self.ask(&mut trial)?,
            };
            if let Some(claimed) = claimed {
                return Ok(claimed);
            }
        }
        Err(trial.give_up())
    }

    fn put(&self, trial: &mut Trial) -> Option<Claimed> {
        let put = if trial.is_link { self.link(&trial.path) } else { self.create(&trial.path) };
        let Err(fault) = put else { return Some(Claimed::Ours) };
        let is_missing = fault.error.kind() == io::ErrorKind::NotFound;
        if is_missing && !trial.is_folder_made {
            trial.step = ClaimStep::MakeFolder;
        } else if trial.is_link && refuses_links(&fault.error) {
            self.are_links.store(false, Ordering::Relaxed);
            trial.is_link = false;
        } else {
            // With the folder in its place, what is missing may be the file to link.
            trial.is_link &= !is_missing;
            trial.step = ClaimStep::Ask;
        }
        trial.fault = Some(fault);
        None
    }

    fn link(&self, path: &Path) -> Result<(), PutFault> {
        let linked = self.folder.storage.link(&self.source, path);
        linked.map_err(|error| PutFault { what: "can't link", error, is_named: false })
    }

    fn create(&self, path: &Path) -> Result<(), PutFault> {
        let storage = &self.folder.storage;
        let mut file = storage.create(path).map_err(|error| PutFault {
            what: "can't create",
            error,
            is_named: false,
        })?;
        let written = storage.write(&mut file, &self.text);
        written.map_err(|error| PutFault { what: "can't write", error, is_named: true })
    }

    /// The result of the call is not trusted: the next attempt shows whether the folder exists.
    fn make_round(&self, trial: &mut Trial) {
        trial.is_folder_made = true;
        let made = self.folder.storage.make_folder(&trial.round);
        let is_missing = made.is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        trial.step = if is_missing { ClaimStep::LookForRun } else { ClaimStep::Put };
    }

    fn look_for_run(&self, trial: &mut Trial) -> anyhow::Result<()> {
        trial.step = ClaimStep::Put;
        match self.folder.storage.exists(&self.folder.path) {
            Ok(false) => Err(RunMovedAway(self.folder.path.clone()).into()),
            Ok(true) | Err(_) => Ok(()),
        }
    }

    fn ask(&self, trial: &mut Trial) -> anyhow::Result<Option<Claimed>> {
        match self.folder.read_once(&trial.path) {
            Ok(ClaimRead::Of(claim)) if self.is_ours(&claim) => return Ok(Some(Claimed::Ours)),
            Ok(ClaimRead::Missing) if trial.may_pass() => trial.step = ClaimStep::Put,
            Ok(ClaimRead::Missing) => return Err(trial.give_up()),
            Ok(ClaimRead::Broken) if trial.fault.as_ref().is_some_and(|fault| fault.is_named) => {
                return Err(trial.give_up());
            }
            Ok(read) => return Ok(Some(Claimed::Others(read))),
            Err(error) if may_pass(&error) => {}
            Err(error) => return Err(failed("can't read", &trial.path, error)),
        }
        Ok(None)
    }
}

impl Trial {
    fn may_pass(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| may_pass(&fault.error))
    }

    fn give_up(&mut self) -> anyhow::Error {
        match self.fault.take() {
            Some(PutFault { what, error, .. }) => failed(what, &self.path, error),
            None => failed("can't claim", &self.path, io::ErrorKind::TimedOut.into()),
        }
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("{what} {}", path.display()))
}

fn refuses_links(error: &io::Error) -> bool {
    knows_no_links(error) || matches!(Errno::from_io_error(error), Some(Errno::XDEV | Errno::MLINK))
}

/// Whether the same call may be answered otherwise in a moment. A name that was taken and is not there, or the other way
/// round, was seen by what was known of it before.
fn may_pass(error: &io::Error) -> bool {
    let is_busy = matches!(Errno::from_io_error(error), Some(Errno::INTR | Errno::AGAIN | Errno::BUSY));
    let is_contrary = matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound);
    is_busy || is_contrary || StorageTrouble::of(error) == StorageTrouble::Gone
}

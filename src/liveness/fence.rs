//! Keeps a launch that a newer one of its replica took over from writing anything more.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::liveness::heartbeat::HeartbeatTimes;
use crate::threads::locked;

/// Keeps a launch from writing once a newer one of its replica took over.
#[derive(Debug)]
pub struct Fence {
    /// The journal that a newer launch begins with.
    successor: PathBuf,
    recheck: Duration,
    state: Mutex<FenceState>,
}

/// Whether a newer launch began.
#[derive(Debug, Clone, Copy)]
enum FenceState {
    Unknown,
    FreeAt(Instant),
    Superseded,
}

impl Fence {
    /// For a launch whose successor would begin the journal at `successor`.
    pub fn new(successor: PathBuf, times: HeartbeatTimes) -> Self {
        Self { successor, recheck: times.recheck(), state: Mutex::new(FenceState::Unknown) }
    }

    /// Looks for a newer launch. From when there was one, there always is.
    ///
    /// # Errors
    /// When that can't be told.
    pub fn look(&self) -> Result<(), Fenced> {
        let now = Instant::now();
        let looked = self.successor.symlink_metadata();
        let mut state = locked(&self.state);
        match looked {
            _ if matches!(*state, FenceState::Superseded) => Err(Fenced::Superseded),
            Ok(_) => {
                *state = FenceState::Superseded;
                Err(Fenced::Superseded)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *state = FenceState::FreeAt(now);
                Ok(())
            }
            Err(source) => Err(Fenced::Unknown { path: self.successor.clone(), source }),
        }
    }

    /// The same, once more where it can't be told: storage may be back in a moment.
    ///
    /// # Errors
    /// When there is a newer launch, or nobody can tell.
    pub fn look_patiently(&self) -> Result<(), Fenced> {
        let begun = Instant::now();
        loop {
            match self.look() {
                Err(Fenced::Unknown { .. }) if begun.elapsed() < self.recheck => {
                    std::thread::sleep(self.recheck / 10);
                }
                looked => return looked,
            }
        }
    }

    /// Makes sure, by a look that is not old, that there is no newer launch.
    ///
    /// # Errors
    /// When there is one, or nobody can tell.
    pub fn check(&self) -> Result<(), Fenced> {
        let state = *locked(&self.state);
        match state {
            FenceState::Superseded => Err(Fenced::Superseded),
            FenceState::FreeAt(time) if time.elapsed() < self.recheck => Ok(()),
            FenceState::FreeAt(_) | FenceState::Unknown => self.look_patiently(),
        }
    }
}

/// Why a launch may not write.
#[derive(Debug, thiserror::Error)]
pub enum Fenced {
    /// A newer one began.
    #[error("a newer launch of this replica took over")]
    Superseded,
    /// Whether a newer one began can't be told.
    #[error("whether a newer launch of this replica began can't be told: can't look for {path}: {source}", path = .path.display())]
    Unknown {
        /// What it would begin with.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<Fenced> for io::Error {
    fn from(fenced: Fenced) -> Self {
        Self::other(fenced)
    }
}

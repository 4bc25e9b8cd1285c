//! Prevents a launch from writing anything more once it was replaced: a newer one of its replica took over, or its run was moved
//! away.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::journal::tail;
use crate::journal::writer::JournalWriter;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::model::provenance::Process;
use crate::store::file_id::FileId;
use crate::threads::locked;

/// How often a journal must be missing under its name to be gone: a file server may have forgotten a name for a moment.
const GONE_LOOKS: u32 = 3;

/// How far apart these looks are.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Keeps a launch from writing once it was replaced.
#[derive(Debug)]
pub struct Fence {
    journal: JournalPlace,
    /// The journal that a newer launch begins with.
    successor: PathBuf,
    recheck: Duration,
    state: Mutex<FenceState>,
}

/// Whether the launch may still write.
#[derive(Debug, Clone, Copy)]
enum FenceState {
    Unknown,
    FreeAt(Instant),
    Superseded,
    MovedAway,
}

impl Fence {
    /// For the launch that `by` began with this journal; its successor would begin the one at `successor`.
    ///
    /// # Errors
    /// When the system does not say which file the journal is.
    pub fn new(
        journal: &JournalWriter,
        by: &Process,
        successor: PathBuf,
        times: HeartbeatTimes,
    ) -> io::Result<Self> {
        let journal = JournalPlace {
            path: journal.path().to_owned(),
            file: FileId::of(&journal.file().metadata()?),
            run: journal.run().to_owned(),
            by: by.clone(),
        };
        Ok(Self { journal, successor, recheck: times.recheck(), state: Mutex::new(FenceState::Unknown) })
    }

    /// Looks for a newer launch, and whether the journal is still in its place. Once it may not write, it never may again.
    ///
    /// # Errors
    /// When it may not, or that is unknown.
    pub fn look(&self) -> Result<(), Fenced> {
        self.known()?;
        let now = Instant::now();
        let looked = self.look_at_names();
        let mut state = locked(&self.state);
        self.verdict(*state)?;
        match &looked {
            Ok(()) => *state = FenceState::FreeAt(now),
            Err(Fenced::Superseded) => *state = FenceState::Superseded,
            Err(Fenced::MovedAway { .. }) => *state = FenceState::MovedAway,
            Err(Fenced::Unknown { .. }) => {}
        }
        looked
    }

    /// The same, with a retry if it is unknown: storage may recover in a moment.
    ///
    /// # Errors
    /// As [`Self::look`].
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

    /// Makes sure, by a look that is not old, that the launch may write.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub fn check(&self) -> Result<(), Fenced> {
        let state = *locked(&self.state);
        self.verdict(state)?;
        match state {
            FenceState::FreeAt(time) if time.elapsed() < self.recheck => Ok(()),
            _ => self.look_patiently(),
        }
    }

    /// Whether a look shows that the launch may never write again.
    pub fn is_closed(&self) -> bool {
        matches!(self.look(), Err(Fenced::Superseded | Fenced::MovedAway { .. }))
    }

    fn known(&self) -> Result<(), Fenced> {
        let state = *locked(&self.state);
        self.verdict(state)
    }

    fn verdict(&self, state: FenceState) -> Result<(), Fenced> {
        match state {
            FenceState::Unknown | FenceState::FreeAt(_) => Ok(()),
            FenceState::Superseded => Err(Fenced::Superseded),
            FenceState::MovedAway => Err(Fenced::MovedAway { journal: self.journal.path.clone() }),
        }
    }

    /// Looks again where the journal seems gone, or what was known of a name is out of date.
    fn look_at_names(&self) -> Result<(), Fenced> {
        let mut looks = 1;
        loop {
            let looked = self.look_once();
            let is_doubtful = match &looked {
                Ok(()) | Err(Fenced::Superseded) => false,
                Err(Fenced::MovedAway { .. }) => true,
                Err(Fenced::Unknown { source, .. }) => source.kind() == io::ErrorKind::StaleNetworkFileHandle,
            };
            if !is_doubtful || looks == GONE_LOOKS {
                return looked;
            }
            looks += 1;
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    fn look_once(&self) -> Result<(), Fenced> {
        let unknown = |path: &Path, source| Err(Fenced::Unknown { path: path.to_owned(), source });
        match self.successor.symlink_metadata() {
            Ok(_) => return Err(Fenced::Superseded),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return unknown(&self.successor, source),
        }
        match self.journal.is_kept() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fenced::MovedAway { journal: self.journal.path.clone() }),
            Err(source) => unknown(&self.journal.path, source),
        }
    }
}

/// Which file must have a launch's name: writes to one that was removed or moved away are invisible here.
#[derive(Debug)]
struct JournalPlace {
    path: PathBuf,
    file: FileId,
    run: String,
    by: Process,
}

impl JournalPlace {
    /// Whether it is there.
    fn is_kept(&self) -> io::Result<bool> {
        let is_same = self.path.symlink_metadata().map(|there| FileId::of(&there) == self.file);
        // Some file systems make numbers up, and another one each time: then what the file says counts.
        let is_same =
            is_same.and_then(|is_same| Ok(is_same || tail::is_begun_by(&self.path, &self.run, &self.by)?));
        match is_same {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            told => told,
        }
    }
}

/// Why a launch may not write.
#[derive(Debug, thiserror::Error)]
pub enum Fenced {
    /// A newer one began.
    #[error("a newer launch of this replica took over")]
    Superseded,
    /// Its journal is not in its place.
    #[error("the run was moved away or removed: {journal} is no longer the journal of this launch", journal = .journal.display())]
    MovedAway {
        /// Where it was.
        journal: PathBuf,
    },
    /// It is unknown whether it may.
    #[error("can't tell whether a newer launch of this replica has started: can't look for {path}: {source}", path = .path.display())]
    Unknown {
        /// The path that was looked up.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl From<Fenced> for io::Error {
    fn from(fenced: Fenced) -> Self {
        Self::other(fenced)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Fence, Fenced};
    use crate::journal::event::{Event, LaunchBegun, Limits};
    use crate::journal::writer::JournalWriter;
    use crate::liveness::heartbeat::HeartbeatTimes;
    use crate::model::provenance::Process;
    use crate::store::layout::Layout;

    /// Begins the first launch of replica 1.
    fn begun(layout: &Layout, run: &str, by: &Process) -> JournalWriter {
        std::fs::create_dir_all(layout.journals()).unwrap();
        let mut journal = JournalWriter::create(&layout.journal(1, 1), run, 1).unwrap();
        journal.add(&Event::Run(Box::new(LaunchBegun {
            replica_id: 1,
            replica_count: 1,
            process: by.clone(),
            locked: true,
            options: BTreeMap::new(),
            limits: Limits { cpus: 1.0, memory_bytes: None, cpu_set: None },
            jobs: 1,
            command_files: Vec::new(),
            share: 1,
            takeover_after_s: None,
            command: None,
            by_another: false,
        })));
        journal.commit().unwrap();
        journal
    }

    fn fence(layout: &Layout, journal: &JournalWriter, by: &Process) -> Fence {
        Fence::new(journal, by, layout.successor(1, 1), HeartbeatTimes::default()).unwrap()
    }

    #[test]
    fn a_launch_whose_journal_was_moved_away_or_replaced_may_not_write_for_good() {
        let me = Process::current(None);
        for next_run in [None, Some("run"), Some("another")] {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(folder.path());
            let journal = begun(&layout, "run", &me);
            let fence = fence(&layout, &journal, &me);
            fence.check().unwrap();
            let moved = folder.path().join("moved");
            std::fs::rename(layout.journals(), &moved).unwrap();
            let other = Process { pid: me.pid + 1, ..me.clone() };
            let next = next_run.map(|run| begun(&layout, run, &other));
            assert!(fence.is_closed(), "{next_run:?}");
            if next.is_some() {
                std::fs::remove_dir_all(layout.journals()).unwrap();
            }
            std::fs::rename(&moved, layout.journals()).unwrap();
            assert!(matches!(fence.check(), Err(Fenced::MovedAway { .. })), "{next_run:?}");
        }
    }

    #[test]
    fn a_journal_that_only_has_another_number_is_the_same() {
        let me = Process::current(None);
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let journal = begun(&layout, "run", &me);
        let fence = fence(&layout, &journal, &me);
        let copy = folder.path().join("copy");
        std::fs::copy(layout.journal(1, 1), &copy).unwrap();
        std::fs::rename(&copy, layout.journal(1, 1)).unwrap();
        fence.look().unwrap();
    }

    #[test]
    fn a_journal_that_is_missing_for_a_moment_is_not_gone() {
        let me = Process::current(None);
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let journal = begun(&layout, "run", &me);
        let (fence, moved) = (fence(&layout, &journal, &me), folder.path().join("moved"));
        std::fs::rename(layout.journal(1, 1), &moved).unwrap();
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| fence.look());
            std::fs::rename(&moved, layout.journal(1, 1)).unwrap();
            looking.join().unwrap().unwrap();
        });
        std::fs::write(layout.successor(1, 1), "").unwrap();
        assert!(matches!(fence.look(), Err(Fenced::Superseded)));
    }
}

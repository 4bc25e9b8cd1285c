//! One launch of a replica at a time: who may begin the next one, and who has to stop for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};

use crate::exit_code::{CannotGoOn, CannotWrite};
use crate::journal::event::LaunchBegun;
use crate::journal::launches::launches_of;
use crate::journal::tail;
use crate::journal::writer::JournalWriter;
use crate::liveness::heartbeat::{self, GrowthWatch, HeartbeatTimes, Liveness};
use crate::model::provenance::Process;
use crate::model::replica::Replica;
use crate::record::inputs::InputList;
use crate::store::layout::Layout;
use crate::store::server_clock::{age, now_as_good_as_known};
use crate::threads::locked;

/// A replica is at work already.
#[derive(Debug, thiserror::Error)]
#[error(
    "launch {launch} on {who}. Wait for it to end, or stop it; two launches of one replica would do everything twice"
)]
pub struct AlreadyRunning {
    /// The launch that lives.
    pub launch: u32,
    /// Where that runs.
    pub who: String,
}

/// The launch was given up because this process was told to stop.
#[derive(Debug, thiserror::Error)]
#[error("stopped while waiting to learn whether an earlier launch of this replica still runs")]
pub struct GivenUp;

/// What is heard while waiting for an earlier launch to show whether it lives.
pub trait TakeoverObserver {
    /// Whether to go on waiting.
    fn keep_going(&self) -> bool;
    /// The wait for `launch` begins; it takes up to the timeout.
    fn waiting_for(&self, launch: u32, who: &str);
    /// Whether the journal was watched already and is as it was since.
    fn was_quiet(&self, _journal: &Path) -> bool {
        false
    }
}

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

/// What can be said at once of a launch.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// Dead is also one that ended in order. Where it is unknown, only watching the journal can tell.
    pub liveness: Liveness,
    /// How it began; nobody looks for that of one that ended in order.
    begun: Option<Box<LaunchBegun>>,
}

impl Probed {
    /// Which process a launch is that did not end in order.
    pub fn who(&self) -> String {
        who(self.begun.as_deref())
    }
}

/// Asks a journal, and its lock, whether its launch lives.
///
/// # Errors
/// When the journal can't be read or is of another version.
pub fn probe(journal: &Path, me: &Process) -> anyhow::Result<Probed> {
    tail::check_version(journal)?;
    probe_any_version(journal, me)
}

/// Where its first line can't be read, only watching can tell.
fn probe_any_version(journal: &Path, me: &Process) -> anyhow::Result<Probed> {
    if ended_in_order(journal)? {
        return Ok(Probed { liveness: Liveness::Dead, begun: None });
    }
    let begun = tail::begun(journal).ok().flatten();
    Ok(Probed { liveness: liveness_without_end(journal, begun.as_deref(), me), begun })
}

/// What can be said at once of a launch that began so and did not say that it ended.
pub fn liveness_without_end(journal: &Path, begun: Option<&LaunchBegun>, me: &Process) -> Liveness {
    let Some(begun) = begun else { return Liveness::Unknown };
    heartbeat::probe(journal, &begun.process, begun.locked, me).unwrap_or(Liveness::Unknown)
}

/// Begins the next launch of a replica: creates its journal and locks it.
///
/// # Errors
/// [`AlreadyRunning`] and [`GivenUp`], or when the journal can't be created.
pub fn begin(
    layout: &Layout,
    run: &str,
    replica: Replica,
    me: &Process,
    times: HeartbeatTimes,
    observer: &dyn TakeoverObserver,
) -> anyhow::Result<(JournalWriter, bool)> {
    let folder = layout.journals();
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("can't create the folder {}", folder.display()))
        .context(CannotWrite)?;
    loop {
        let last = launches_of(layout, replica.id())?.pop().unwrap_or(0);
        let Some(next) = last.checked_add(1) else {
            bail!(CannotGoOn(format!(
                "the journal {} has the highest number that a launch can have, so none can follow it; no launch of ours gets there: move the file away",
                layout.journal(replica.id(), last).display()
            )));
        };
        if last > 0 {
            make_sure_it_ended(layout, replica, last, me, times, observer)?;
        }
        let path = layout.journal(replica.id(), next);
        match JournalWriter::create(&path, run, next) {
            Ok(journal) => {
                let locked = heartbeat::lock(journal.file(), &path);
                if !is_still_there(layout, run)? {
                    // Nobody is to take it for a launch of the run that begins here next.
                    let _ = std::fs::remove_file(&path);
                    return Err(moved_away(layout, run));
                }
                return Ok((journal, locked));
            }
            // Somebody else was faster; what they began is looked at as any launch.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // The folder went with all the rest.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_still_there(layout, run)? => {
                return Err(moved_away(layout, run));
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("can't create the journal {}", path.display()))
                    .context(CannotWrite);
            }
        }
    }
}

fn make_sure_it_ended(
    layout: &Layout,
    replica: Replica,
    launch: u32,
    me: &Process,
    times: HeartbeatTimes,
    observer: &dyn TakeoverObserver,
) -> anyhow::Result<()> {
    let path = layout.journal(replica.id(), launch);
    let alive = |who| {
        let running = anyhow::Error::from(AlreadyRunning { launch, who });
        Err(running.context(CannotGoOn(format!("{replica} is running already"))))
    };
    let probed = probe(&path, me)?;
    match probed.liveness {
        Liveness::Dead => return Ok(()),
        Liveness::Alive => return alive(probed.who()),
        Liveness::Unknown if observer.was_quiet(&path) => return Ok(()),
        Liveness::Unknown => observer.waiting_for(launch, &probed.who()),
    }
    match heartbeat::watch(&path, times.timeout, &|| observer.keep_going())
        .with_context(|| format!("can't watch the journal {}", path.display()))?
    {
        GrowthWatch::Quiet | GrowthWatch::Missing => Ok(()),
        // Its last word may have been what made it grow.
        GrowthWatch::Grew if ended_in_order(&path)? => Ok(()),
        // What made it grow may have been its first line.
        GrowthWatch::Grew => alive(who(tail::begun(&path)?.as_deref())),
        GrowthWatch::Stopped => bail!(GivenUp),
    }
}

/// What to say of an error before a launch began: that `reset` moved the run away meanwhile, if it did.
pub fn or_moved_away(layout: &Layout, run: &str, error: anyhow::Error) -> anyhow::Error {
    if matches!(is_still_there(layout, run), Ok(false)) { moved_away(layout, run) } else { error }
}

fn moved_away(layout: &Layout, run: &str) -> anyhow::Error {
    let root = layout.root().display();
    let text =
        format!("the run {run} in {root} was moved away while this launch began: launch again for a new one");
    CannotGoOn(text).into()
}

fn who(begun: Option<&LaunchBegun>) -> String {
    begun.map_or_else(|| "an unknown host".to_owned(), |begun| begun.process.to_string())
}

/// Whether the list that a launch is about is in its place. `reset` moves the list first and then looks for launches that
/// began meanwhile, so that one of both sees the other.
fn is_still_there(layout: &Layout, run: &str) -> anyhow::Result<bool> {
    Ok(InputList::open(layout)?.is_some_and(|list| list.header().run == run))
}

/// Whether a journal's last whole line is a `stop`.
///
/// # Errors
/// When it can't be read.
pub fn ended_in_order(journal: &Path) -> anyhow::Result<bool> {
    Ok(tail::last_words(journal)?.is_some())
}

/// Tells at once which launches of a results directory run, as far as can be told without watching them.
#[derive(Debug)]
pub struct Prober {
    me: Process,
    /// By the file server's clock.
    now: SystemTime,
    timeout: Duration,
}

impl Prober {
    /// Of the launches in `layout`, as they are now.
    pub fn new(layout: &Layout, times: HeartbeatTimes) -> Self {
        let now = now_as_good_as_known(layout.root());
        Self { me: Process::current(None), now, timeout: times.timeout }
    }

    /// Whether it is certain that the launch that a journal belongs to has ended: it said so, or it ran on this host and
    /// its lock is free.
    pub fn has_surely_ended(&self, journal: &Path) -> bool {
        probe_any_version(journal, &self.me).is_ok_and(|probed| probed.liveness == Liveness::Dead)
    }

    /// Whether the launch that a journal belongs to runs: by its lock on its own host, else by whether it was written lately.
    pub fn is_running(&self, journal: &Path) -> bool {
        match probe_any_version(journal, &self.me).map(|probed| probed.liveness) {
            Ok(Liveness::Dead) | Err(_) => return false,
            Ok(Liveness::Alive) => return true,
            Ok(Liveness::Unknown) => {}
        }
        let written = std::fs::metadata(journal).and_then(|metadata| metadata.modified());
        written.is_ok_and(|then| age(self.now, then) < self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{TakeoverObserver, begin, or_moved_away};
    use crate::journal::event::{Event, LaunchBegun, Limits};
    use crate::journal::tail;
    use crate::journal::writer::JournalWriter;
    use crate::liveness::heartbeat::HeartbeatTimes;
    use crate::model::provenance::Process;
    use crate::model::replica::Replica;
    use crate::store::layout::Layout;

    struct Deaf;

    impl TakeoverObserver for Deaf {
        fn keep_going(&self) -> bool {
            false
        }

        fn waiting_for(&self, _: u32, _: &str) {}
    }

    #[test]
    fn a_journal_that_none_can_follow_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let stray = layout.journal(1, u32::MAX);
        std::fs::create_dir_all(layout.journals()).unwrap();
        std::fs::write(&stray, "").unwrap();
        let replica = Replica::new(1, 1).unwrap();
        let error = begin(&layout, "run", replica, &Process::current(None), HeartbeatTimes::default(), &Deaf)
            .unwrap_err();
        assert!(error.to_string().contains(stray.to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read_dir(layout.journals()).unwrap().count(), 1);
    }

    #[test]
    fn where_the_list_was_moved_away_no_launch_begins() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let replica = Replica::new(1, 1).unwrap();
        let error = begin(&layout, "run", replica, &Process::current(None), HeartbeatTimes::default(), &Deaf)
            .unwrap_err();
        assert!(error.to_string().contains("was moved away while this launch began"), "{error}");
        // What is not found for that reason is told as that.
        let told = or_moved_away(&layout, "run", std::io::Error::from(std::io::ErrorKind::NotFound).into());
        assert_eq!(told.to_string(), error.to_string());
        assert_eq!(std::fs::read_dir(layout.journals()).unwrap().count(), 0);
    }

    #[test]
    fn who_began_a_launch_is_known_however_long_its_first_line_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.1.jsonl");
        let begun = LaunchBegun {
            replica_id: 1,
            replica_count: 1,
            process: Process::current(None),
            locked: true,
            options: BTreeMap::from([("shell".to_owned(), "x".repeat(1 << 20).into())]),
            limits: Limits { cpus: 1.0, memory_bytes: None },
            jobs: 1,
            command_files: Vec::new(),
            share: 1,
        };
        let mut journal = JournalWriter::create(&path, "run", 1).unwrap();
        journal.add(&Event::Run(Box::new(begun.clone())));
        journal.commit().unwrap();
        assert_eq!(tail::begun(&path).unwrap().as_deref(), Some(&begun));
    }
}

//! One launch of a replica at a time: whether the next one may begin.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::exit_code::{CannotGoOn, CannotWrite};
use crate::journal::launches::launches_of;
use crate::journal::tail;
use crate::journal::writer::JournalWriter;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::probe::{Probed, ended_in_order, probe, who};
use crate::liveness::watch::{self, GrowthWatch, Liveness};
use crate::model::provenance::Process;
use crate::model::replica::Replica;
use crate::record::inputs::InputList;
use crate::store::layout::Layout;

/// A replica is already running.
#[derive(Debug, thiserror::Error)]
#[error(
    "launch {launch} on {who}. Wait for it to end, or stop it; two launches of one replica would run everything twice"
)]
pub struct AlreadyRunning {
    /// The launch that is alive.
    pub launch: u32,
    /// Where that runs.
    pub who: String,
    /// Whether another container acts as the replica there.
    pub by_another: bool,
}

/// The launch was given up because this process is shutting down.
#[derive(Debug, thiserror::Error)]
#[error("stopped while checking whether an earlier launch of this replica is still running")]
pub struct GivenUp;

/// Observes the wait for an earlier launch to show whether it is alive.
pub trait TakeoverObserver {
    /// Whether to keep waiting.
    fn keep_going(&self) -> bool;
    /// The wait for `launch` begins; it takes up to the timeout.
    fn waiting_for(&self, launch: u32, who: &str);
    /// Whether the journal was watched already and is as it was since.
    fn was_quiet(&self, _journal: &Path) -> bool {
        false
    }
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
                "the journal {} has the highest possible launch number, so no launch can follow it; canfar-run itself never gets that far: move the file away",
                layout.journal(replica.id(), last).display()
            )));
        };
        if last > 0 {
            match make_sure_it_ended(layout, replica, last, me, times, observer) {
                // It found that it may not begin, and took its journal away.
                Err(_) if is_gone(&layout.journal(replica.id(), last)) => continue,
                ended => ended?,
            }
        }
        let path = layout.journal(replica.id(), next);
        match JournalWriter::create(&path, run, next) {
            Ok(journal) => {
                let locked = watch::lock(journal.file(), &path);
                if !is_still_there(layout, run)? {
                    // It must not be mistaken for a launch of the run that begins here next.
                    let _ = std::fs::remove_file(&path);
                    return Err(moved_away(layout, run));
                }
                return Ok((journal, locked));
            }
            // Another launch was faster; it is checked like any other.
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

fn is_gone(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
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
        let by_another = tail::begun(&path).ok().flatten().is_some_and(|begun| begun.by_another);
        let running = anyhow::Error::from(AlreadyRunning { launch, who, by_another });
        Err(running.context(CannotGoOn(format!("{replica} is already running"))))
    };
    let mut probed = probe(&path, me)?;
    if probed.liveness == Liveness::Alive && !probed.is_process_here() {
        probed = outlived_by_its_lock(&path, me, probed)?;
    }
    match probed.liveness {
        Liveness::Dead => return Ok(()),
        Liveness::Alive => return alive(probed.who()),
        Liveness::Unknown if observer.was_quiet(&path) => return Ok(()),
        Liveness::Unknown => observer.waiting_for(launch, &probed.who()),
    }
    match watch::watch(&path, times.timeout, &|| observer.keep_going())
        .with_context(|| format!("can't watch the journal {}", path.display()))?
    {
        GrowthWatch::Quiet | GrowthWatch::Missing => Ok(()),
        // It may have grown because of its stop record.
        GrowthWatch::Grew if ended_in_order(&path)? => Ok(()),
        // What made it grow may have been its first line.
        GrowthWatch::Grew => alive(who(tail::begun(&path)?.as_deref())),
        GrowthWatch::Stopped => bail!(GivenUp),
    }
}

/// Waits for the lock of a process that is not here. One that was killed while it started a task leaves its lock to the new
/// process until that becomes the task's program; one in another PID namespace keeps it.
fn outlived_by_its_lock(journal: &Path, me: &Process, mut probed: Probed) -> anyhow::Result<Probed> {
    let until = Instant::now() + LOCK_OUTLIVES;
    while probed.liveness == Liveness::Alive && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
        probed = probe(journal, me)?;
    }
    Ok(probed)
}

/// How long a process that was forked may take, on a busy machine, until it runs another program.
const LOCK_OUTLIVES: Duration = Duration::from_secs(5);

/// What to say of an error before a launch began: that `reset` moved the run away meanwhile, if it did.
pub fn or_moved_away(layout: &Layout, run: &str, error: anyhow::Error) -> anyhow::Error {
    if matches!(is_still_there(layout, run), Ok(false)) { moved_away(layout, run) } else { error }
}

fn moved_away(layout: &Layout, run: &str) -> anyhow::Error {
    let root = layout.root().display();
    let text = format!(
        "the run {run} in {root} was moved away while this launch was starting: rerun to begin a new one"
    );
    CannotGoOn(text).into()
}

/// Whether the list that a launch is about is in its place. `reset` moves the list first and then looks for launches that
/// began meanwhile, so that one of both sees the other.
fn is_still_there(layout: &Layout, run: &str) -> anyhow::Result<bool> {
    Ok(InputList::open(layout)?.is_some_and(|list| list.header().run == run))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{TakeoverObserver, begin, or_moved_away};
    use crate::journal::event::{Event, LaunchBegun, Limits};
    use crate::journal::tail;
    use crate::journal::writer::JournalWriter;
    use crate::liveness::heartbeat::HeartbeatTimes;
    use crate::liveness::watch::lock;
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

    /// Withdraws the launch that is waited for.
    struct Withdraws<'a>(&'a Layout);

    impl TakeoverObserver for Withdraws<'_> {
        fn keep_going(&self) -> bool {
            true
        }

        fn waiting_for(&self, launch: u32, _: &str) {
            std::fs::remove_file(self.0.journal(1, launch)).unwrap();
        }
    }

    #[test]
    fn a_launch_that_withdraws_while_it_is_waited_for_holds_up_none() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        std::fs::create_dir_all(layout.journals()).unwrap();
        std::fs::write(layout.journal(1, 1), "").unwrap();
        let replica = Replica::new(1, 1).unwrap();
        let times = HeartbeatTimes::default();
        let error = begin(&layout, "run", replica, &Process::current(None), times, &Withdraws(&layout));
        // What is wrong here is that there is no list, not that a journal is gone.
        let told = error.unwrap_err().to_string();
        assert!(told.contains("was moved away while this launch was starting"), "{told}");
    }

    #[test]
    fn where_the_list_was_moved_away_no_launch_begins() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let replica = Replica::new(1, 1).unwrap();
        let error = begin(&layout, "run", replica, &Process::current(None), HeartbeatTimes::default(), &Deaf)
            .unwrap_err();
        assert!(error.to_string().contains("was moved away while this launch was starting"), "{error}");
        // What is not found for that reason is told as that.
        let told = or_moved_away(&layout, "run", std::io::Error::from(std::io::ErrorKind::NotFound).into());
        assert_eq!(told.to_string(), error.to_string());
        assert_eq!(std::fs::read_dir(layout.journals()).unwrap().count(), 0);
    }

    fn begun_by(process: Process) -> LaunchBegun {
        LaunchBegun {
            replica_id: 1,
            replica_count: 1,
            process,
            locked: true,
            options: BTreeMap::new(),
            limits: Limits { cpus: 1.0, memory_bytes: None, cpu_set: None },
            jobs: 1,
            command_files: Vec::new(),
            share: 1,
            takeover_after_s: None,
            command: None,
            by_another: false,
        }
    }

    #[test]
    fn a_lock_that_a_killed_launch_left_to_what_it_was_starting_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        std::fs::create_dir_all(layout.journals()).unwrap();
        let me = Process::current(None);
        let make_sure = || {
            let replica = Replica::new(1, 1).unwrap();
            super::make_sure_it_ended(&layout, replica, 1, &me, HeartbeatTimes::default(), &Deaf)
        };
        let mut killed = std::process::Command::new("true").spawn().unwrap();
        killed.wait().unwrap();
        let path = layout.journal(1, 1);
        let mut journal = JournalWriter::create(&path, "run", 1).unwrap();
        journal.add(&Event::Run(Box::new(begun_by(Process { pid: killed.id(), ..me.clone() }))));
        journal.commit().unwrap();
        let heir = std::fs::File::open(&path).unwrap();
        assert!(lock(&heir, &path));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(100));
                drop(heir);
            });
            make_sure().unwrap();
        });
        // One that lives is not waited for.
        std::fs::remove_file(&path).unwrap();
        let mut journal = JournalWriter::create(&path, "run", 1).unwrap();
        assert!(lock(journal.file(), &path));
        journal.add(&Event::Run(Box::new(begun_by(me.clone()))));
        journal.commit().unwrap();
        assert!(make_sure().unwrap_err().to_string().contains("is already running"));
    }

    #[test]
    fn who_began_a_launch_is_known_however_long_its_first_line_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.1.jsonl");
        let options = BTreeMap::from([("shell".to_owned(), "x".repeat(1 << 20).into())]);
        let begun = LaunchBegun { options, ..begun_by(Process::current(None)) };
        let mut journal = JournalWriter::create(&path, "run", 1).unwrap();
        journal.add(&Event::Run(Box::new(begun.clone())));
        journal.commit().unwrap();
        assert_eq!(tail::begun(&path).unwrap().as_deref(), Some(&begun));
    }
}

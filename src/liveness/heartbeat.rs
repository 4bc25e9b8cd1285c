//! Whether the process that began a file (a journal, the sign that somebody is listing) is still at it.
//!
//! Clocks of hosts differ and file locks over a network may lie, so a lock is believed only on the very host that took it,
//! and everybody else watches the file for growth by their own clock.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, flock};

use crate::provenance::Process;

/// How often signs of life are given, and when their absence means that nobody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatTimes {
    /// How often a running process lets its file grow.
    pub interval: Duration,
    /// A file that has not grown for this long has lost its writer.
    pub timeout: Duration,
}

impl Default for HeartbeatTimes {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(30) }
    }
}

impl HeartbeatTimes {
    /// A process that has not looked for a newer launch for this long may have been frozen, and looks again before it
    /// writes anything. Far below the timeout, after which a newer launch may begin.
    pub fn recheck(self) -> Duration {
        self.timeout / 10
    }
}

/// How long a watched file is left before the next look: soon at first, for who is done in no time, then seldom, since
/// each look costs the file server a call.
const LOOKS: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(500);

/// What can be said at once of a file's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// It runs on this host.
    Alive,
    /// It ran on this host and is gone.
    Gone,
    /// Only watching can tell.
    Unknown,
}

/// What watching a file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// It did not grow: nobody writes it any more.
    Quiet,
    /// It grew.
    Grew,
    /// It is not there.
    Missing,
    /// The watch was given up.
    Stopped,
}

/// Locks the file at `path` for as long as `file` stays open. `false` where the file system can't, or says that it did and
/// lets others have the lock too.
pub fn lock(file: &File, path: &Path) -> bool {
    let refuses_others = || {
        let other = File::open(path).ok()?;
        flock(&other, FlockOperation::NonBlockingLockShared).err()
    };
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
        && refuses_others() == Some(rustix::io::Errno::WOULDBLOCK)
}

/// Asks the lock of the file at `path`, which `writer` began and, as it says, locked.
///
/// # Errors
/// When the file can't be opened.
pub fn probe(path: &Path, writer: &Process, locked: bool, me: &Process) -> io::Result<Writer> {
    if !locked || !me.is_on_the_host_of(writer) {
        return Ok(Writer::Unknown);
    }
    let file = File::open(path)?;
    Ok(match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Writer::Gone,
        Err(rustix::io::Errno::WOULDBLOCK) => Writer::Alive,
        Err(_) => Writer::Unknown,
    })
}

/// Watches the file at `path` until it grows, vanishes or was quiet for `quiet`. `keep_going` is asked at every look.
///
/// # Errors
/// When the file can't be looked at.
pub fn watch(path: &Path, quiet: Duration, keep_going: &dyn Fn() -> bool) -> io::Result<Watched> {
    let length = |path: &Path| match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let Some(at_first) = length(path)? else { return Ok(Watched::Missing) };
    let begun = Instant::now();
    let mut pause = *LOOKS.start();
    while begun.elapsed() < quiet {
        if !keep_going() {
            return Ok(Watched::Stopped);
        }
        std::thread::sleep(pause.min(quiet));
        pause = (pause * 2).min(*LOOKS.end());
        match length(path)? {
            Some(now) if now == at_first => {}
            Some(_) => return Ok(Watched::Grew),
            None => return Ok(Watched::Missing),
        }
    }
    Ok(Watched::Quiet)
}

/// Watches files side by side. Gives the lengths of those that were quiet for `quiet`; none when the watch was given up.
pub fn quiet_ones(
    paths: Vec<PathBuf>,
    quiet: Duration,
    keep_going: &dyn Fn() -> bool,
) -> BTreeMap<PathBuf, u64> {
    let length = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.len());
    let at_first: Vec<_> = paths.into_iter().filter_map(|path| Some((length(&path)?, path))).collect();
    let begun = Instant::now();
    while let Some(left) = quiet.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        if !keep_going() {
            return BTreeMap::new();
        }
        std::thread::sleep(left.min(*LOOKS.start() * 5));
    }
    let is_quiet = |(before, path): &(u64, PathBuf)| length(path) == Some(*before);
    at_first.into_iter().filter(is_quiet).map(|(length, path)| (path, length)).collect()
}

/// Lets a file grow by a line end now and then while `work` goes on; gives the number of them too.
pub fn while_alive<T>(file: &mut File, every: Duration, work: impl FnOnce() -> T) -> (T, u64) {
    std::thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        let grow = move || {
            let mut grown = 0;
            while is_done.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                // Who watches takes over if this fails, and whoever writes the file next finds out why.
                grown += u64::from(file.write_all(b"\n").is_ok());
            }
            grown
        };
        // Where no thread can be had, the work is done all the same.
        let growing = std::thread::Builder::new().name("alive".into()).spawn_scoped(scope, grow);
        let result = work();
        drop(done);
        (result, growing.ok().and_then(|growing| growing.join().ok()).unwrap_or(0))
    })
}

/// How long ago something was written, by such a clock.
pub fn age(now: SystemTime, written: SystemTime) -> Duration {
    // Written after `now` was asked for, it seems to come from the future.
    now.duration_since(written).unwrap_or_else(|early| early.duration())
}

/// [`now_at_file_server`], and this host's clock where that can't be asked: to tell whether a file was written lately, a
/// clock that is a little wrong is better than none.
pub fn now_as_good_as_known(folder: &Path) -> SystemTime {
    now_at_file_server(folder).unwrap_or_else(SystemTime::now)
}

/// The file server's clock, by which times of files can be compared whatever this host's clock says; `None` where a
/// folder can't be written to.
pub fn now_at_file_server(folder: &Path) -> Option<SystemTime> {
    tempfile::tempfile_in(folder).ok()?.metadata().ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use crate::provenance::Process;

    use super::{Watched, Writer, lock, probe, watch};

    #[test]
    fn a_lock_tells_whether_the_writer_on_this_host_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let me = Process::current(None);
        let file = File::create(&path).unwrap();
        assert!(lock(&file, &path));
        assert!(!lock(&File::open(&path).unwrap(), &path));
        assert_eq!(probe(&path, &me, true, &me).unwrap(), Writer::Alive);
        assert_eq!(probe(&path, &me, false, &me).unwrap(), Writer::Unknown);
        let elsewhere = Process { host: "elsewhere".into(), ..me.clone() };
        assert_eq!(probe(&path, &elsewhere, true, &me).unwrap(), Writer::Unknown);
        drop(file);
        assert_eq!(probe(&path, &me, true, &me).unwrap(), Writer::Gone);
    }

    #[test]
    fn watching_tells_a_quiet_file_from_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert_eq!(watch(&path, Duration::from_millis(1), &|| true).unwrap(), Watched::Missing);
        File::create(&path).unwrap();
        assert_eq!(watch(&path, Duration::from_millis(1), &|| true).unwrap(), Watched::Quiet);
        assert_eq!(watch(&path, Duration::from_secs(30), &|| false).unwrap(), Watched::Stopped);
        let grown = std::cell::Cell::new(false);
        let grow = || {
            if !grown.replace(true) {
                std::fs::write(&path, "more").unwrap();
            }
            true
        };
        assert_eq!(watch(&path, Duration::from_secs(30), &grow).unwrap(), Watched::Grew);
    }
}

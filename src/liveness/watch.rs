//! Whether the writer of a file (a journal, the lock of a results directory) is still running.
//!
//! Clocks of hosts differ and file locks over a network may lie, so a lock is trusted only on the host that took it,
//! and every other observer watches the file for growth by its own clock.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::liveness::answered_time::AnsweredTime;
use crate::model::provenance::Process;

/// The pause before a watched file is checked again: short at first, for writers that finish quickly, then longer, since
/// each check costs the file server a call.
const LOOKS: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(500);

/// What is known about a file's writer without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs on this host.
    Alive,
    /// It ran on this host and is gone.
    Dead,
    /// Only watching can tell.
    Unknown,
}

/// What watching a file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrowthWatch {
    /// It did not grow: its writer is gone.
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
        && refuses_others() == Some(Errno::WOULDBLOCK)
}

/// Asks the lock of the file at `path`, which `writer` began and, as it says, locked.
///
/// # Errors
/// When the file can't be opened.
pub fn probe_lock(path: &Path, writer: &Process, locked: bool, me: &Process) -> io::Result<Liveness> {
    if !locked || !me.is_on_the_host_of(writer) {
        return Ok(Liveness::Unknown);
    }
    let file = File::open(path)?;
    Ok(match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Liveness::Dead,
        Err(Errno::WOULDBLOCK) => Liveness::Alive,
        Err(_) => Liveness::Unknown,
    })
}

/// Watches the file at `path` until it grows, vanishes or was quiet for `quiet`. `keep_going` is asked at every look.
///
/// # Errors
/// When the file can't be examined.
pub fn watch(path: &Path, quiet: Duration, keep_going: &dyn Fn() -> bool) -> io::Result<GrowthWatch> {
    let Some(at_first) = length(path)? else { return Ok(GrowthWatch::Missing) };
    let mut time = AnsweredTime::new(quiet, Instant::now());
    let mut pause = *LOOKS.start();
    while time.passed() < quiet {
        if !keep_going() {
            return Ok(GrowthWatch::Stopped);
        }
        std::thread::sleep(pause.min(quiet));
        pause = (pause * 2).min(*LOOKS.end());
        match length(path)? {
            Some(now) if now == at_first => time.note_answer(Instant::now()),
            Some(_) => return Ok(GrowthWatch::Grew),
            None => return Ok(GrowthWatch::Missing),
        }
    }
    Ok(GrowthWatch::Quiet)
}

/// Watches files side by side. Gives the lengths of those that were quiet for `quiet`; none when the watch was given up.
pub fn quiet_ones(
    paths: Vec<PathBuf>,
    quiet: Duration,
    keep_going: &dyn Fn() -> bool,
) -> BTreeMap<PathBuf, u64> {
    let length_if_told = |path: &Path| length(path).ok().flatten();
    let at_first: Vec<_> =
        paths.into_iter().filter_map(|path| Some((length_if_told(&path)?, path))).collect();
    let mut time = AnsweredTime::new(quiet, Instant::now());
    while time.passed() < quiet {
        if !keep_going() {
            return BTreeMap::new();
        }
        std::thread::sleep(quiet.saturating_sub(time.passed()).min(*LOOKS.start() * 5));
        // Any of them shows whether storage answers.
        if at_first.first().is_none_or(|(_, path)| length(path).is_ok()) {
            time.note_answer(Instant::now());
        }
    }
    let is_quiet = |(before, path): &(u64, PathBuf)| length_if_told(path) == Some(*before);
    at_first.into_iter().filter(is_quiet).map(|(length, path)| (path, length)).collect()
}

/// The length of the file at `path`; `None` where it is not there.
fn length(path: &Path) -> io::Result<Option<u64>> {
    let mut tries = 0;
    loop {
        match std::fs::metadata(path) {
            Ok(metadata) => return Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // What was known about it is out of date: check again.
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle && tries < STALE_LOOKS => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

const STALE_LOOKS: u32 = 3;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use crate::model::provenance::Process;

    use super::{GrowthWatch, Liveness, lock, probe_lock, watch};

    #[test]
    fn a_lock_tells_whether_the_writer_on_this_host_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let me = Process::current(None);
        let file = File::create(&path).unwrap();
        assert!(lock(&file, &path));
        assert!(!lock(&File::open(&path).unwrap(), &path));
        assert_eq!(probe_lock(&path, &me, true, &me).unwrap(), Liveness::Alive);
        assert_eq!(probe_lock(&path, &me, false, &me).unwrap(), Liveness::Unknown);
        let elsewhere = Process { host: "elsewhere".into(), ..me.clone() };
        assert_eq!(probe_lock(&path, &elsewhere, true, &me).unwrap(), Liveness::Unknown);
        drop(file);
        assert_eq!(probe_lock(&path, &me, true, &me).unwrap(), Liveness::Dead);
    }

    #[test]
    fn watching_tells_a_quiet_file_from_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert_eq!(watch(&path, Duration::from_millis(1), &|| true).unwrap(), GrowthWatch::Missing);
        File::create(&path).unwrap();
        assert_eq!(watch(&path, Duration::from_millis(1), &|| true).unwrap(), GrowthWatch::Quiet);
        assert_eq!(watch(&path, Duration::from_secs(30), &|| false).unwrap(), GrowthWatch::Stopped);
        let grown = std::cell::Cell::new(false);
        let grow = || {
            if !grown.replace(true) {
                std::fs::write(&path, "more").unwrap();
            }
            true
        };
        assert_eq!(watch(&path, Duration::from_secs(30), &grow).unwrap(), GrowthWatch::Grew);
    }
}

//! The lock of a results directory, `inputs.listing`: one process at a time makes the list, merges, or moves a run away.
//!
//! The lock is a file with its own nonce, which its holder keeps appending to. A process that finds a
//! stale one (its writer is gone from this host, or it did not grow for the timeout) breaks it. Neither clocks nor locks
//! of other hosts are trusted; names are, since `link(2)` has one winner on every file system that we know, including NFS and CephFS.
//!
//! A lock with nonce X is removed by one process only: the one that made X's *successor mark*, a name that contains
//! X and is made by `link(2)`. To release, the holder marks its own lock and unlinks it. To break it, another process marks
//! it with a lock of its own, and renames that over the stale one: there is no moment without a lock, and no process but the
//! winner touches the name. So:
//!
//! - *Two breakers* of X: one makes X's mark. The other one finds the mark and waits for its maker; if that one is found
//!   dead in turn, the mark itself is broken in the same way, with a mark for the mark's nonce. Nonces are never used twice, so a
//!   breaker that comes late, for whatever reason, finds a mark or another nonce and leaves a newer lock alone.
//! - *An owner that wakes up* after its lock was broken finds the mark and releases nothing. Before it publishes it calls
//!   [`RunLock::is_held`]. In addition, publishing never replaces an existing list. What no lock without a clock can
//!   exclude is a process that is frozen for longer than the timeout between this check and the next system call.
//! - *Lost replies*: `link`, `rename` and `unlink` may report an error although they succeeded. Their errors are not trusted: the
//!   nonce found under the name says which process made it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::exit_code::CannotWrite;
use crate::liveness::heartbeat::{Heartbeat, HeartbeatTimes};
use crate::liveness::watch::{self, GrowthWatch, Liveness};
use crate::model::provenance::Process;
use crate::store::atomic_file::knows_no_links;
use crate::store::layout::Layout;
use crate::store::pulse::Pulse;
use crate::store::regular;

/// Hears that the lock is waited for.
pub trait LockObserver: Sync {
    /// Whether to keep waiting.
    fn keep_going(&self) -> bool;
    /// Another process holds it.
    fn waiting_for_lock(&self, who: &str);
}

/// Does `work` while no other process lists, merges or moves a run away in a results directory.
///
/// # Errors
/// When the directory can't be written, or the wait for others was given up.
pub fn with_run_lock<T>(
    layout: &Layout,
    me: &Process,
    times: HeartbeatTimes,
    observer: &dyn LockObserver,
    work: impl FnOnce() -> T,
) -> anyhow::Result<T> {
    let _lock = RunLock::acquire(layout, me, times, observer)?;
    Ok(work())
}

/// Which process holds a lock, or is about to break one: the first line of a lock's file.
#[derive(Debug, Serialize, Deserialize)]
struct LockText {
    #[serde(flatten)]
    process: Process,
    locked: bool,
    /// Never used twice.
    #[serde(default)]
    nonce: String,
}

/// The lock of a results directory, as one process sees it.
#[derive(Debug)]
pub struct LockFiles<'a> {
    lock: PathBuf,
    me: &'a Process,
    times: HeartbeatTimes,
}

/// A lock, or the mark of a process that is about to remove it.
#[derive(Debug)]
struct LockFound {
    path: PathBuf,
    nonce: String,
    /// The text that the name of its own successor mark is made from.
    key: String,
    /// `None` while it is not written, or where it is none of ours.
    text: Option<LockText>,
    /// Another user's, without read permission.
    is_denied: bool,
}

impl<'a> LockFiles<'a> {
    /// That of `layout`.
    pub fn of(layout: &Layout, me: &'a Process, times: HeartbeatTimes) -> Self {
        Self { lock: layout.listing(), me, times }
    }

    /// A name beside the lock that is recognised as a leftover of a killed process.
    fn beside(&self, text: &str) -> PathBuf {
        let name = self.lock.file_name().unwrap_or_default().to_string_lossy();
        self.lock.with_file_name(format!(".{name}.{text}.tmp"))
    }

    /// Its maker alone may take the lock with this key off its name.
    fn mark_of(&self, key: &str) -> PathBuf {
        self.beside(&format!("{key}-successor"))
    }

    /// Takes the lock, unless another process has it.
    ///
    /// # Errors
    /// When the directory can't be written to; as an [`io::Error`] where it is not there.
    pub fn try_acquire(&self) -> anyhow::Result<Option<RunLock>> {
        let acquire = || -> io::Result<Option<RunLock>> {
            if std::fs::symlink_metadata(&self.lock).is_ok() {
                return Ok(None);
            }
            let prepared = PreparedLock::make(self)?;
            match prepared.make_exclusively(&self.lock)? {
                LockFileMade::Not => Ok(None),
                LockFileMade::Linked => prepared.hold(self, None).map(Some),
                LockFileMade::Copied(file) => prepared.hold(self, Some(file)).map(Some),
            }
        };
        acquire()
            .with_context(|| format!("can't write into the results directory {}", self.folder().display()))
            .context(CannotWrite)
    }

    fn folder(&self) -> &Path {
        self.lock.parent().unwrap_or(Path::new("."))
    }

    /// Waits until the holder has released the lock (`None`), or is found dead: then this process has it. Or until it
    /// `is_enough` (`None`).
    ///
    /// # Errors
    /// When the lock can't be watched or broken, or the wait was given up.
    pub fn wait(
        &self,
        observer: &dyn LockObserver,
        is_enough: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<RunLock>> {
        let Some(found) = self.chain()?.pop() else { return Ok(None) };
        if let Some(text) = &found.text
            && matches!(
                watch::probe_lock(&found.path, &text.process, text.locked, self.me),
                Ok(Liveness::Dead)
            )
        {
            return self.break_stale(&found);
        }
        let who = found.text.as_ref().map(|text| text.process.to_string());
        observer.waiting_for_lock(who.as_deref().unwrap_or("another process"));
        loop {
            let keep_going = || observer.keep_going() && !is_enough();
            let watched = watch::watch(&found.path, self.times.timeout, &keep_going)
                .with_context(|| format!("can't watch {}", found.path.display()))?;
            match watched {
                GrowthWatch::Grew => {}
                GrowthWatch::Missing => return Ok(None),
                GrowthWatch::Quiet => return self.break_stale(&found),
                GrowthWatch::Stopped if observer.keep_going() => return Ok(None),
                GrowthWatch::Stopped => {
                    bail!("stopped while waiting for another process that uses this results directory")
                }
            }
        }
    }

    /// Takes the place of a process that was found dead; `None` if another process did, or it was not dead after all.
    fn break_stale(&self, stale: &LockFound) -> anyhow::Result<Option<RunLock>> {
        // Without its nonce it can't be broken in a way that leaves a newer one alone.
        anyhow::ensure!(
            !stale.is_denied,
            "{} was left by another user's dead process and can't be read: remove it",
            stale.path.display()
        );
        let take_over = || -> anyhow::Result<Option<RunLock>> {
            let begun = Instant::now();
            let prepared = PreparedLock::make(self)?;
            let mark = self.mark_of(&stale.key);
            let made = prepared.make_exclusively(&mark)?;
            if matches!(made, LockFileMade::Not) {
                return Ok(None);
            }
            let chain = self.chain()?;
            let is_next = chain.last().is_some_and(|last| last.nonce == prepared.nonce);
            // This process may have been frozen meanwhile, and counted as dead in turn.
            let is_late = begun.elapsed() > self.times.timeout / 2;
            if !is_next || is_late {
                remove(&mark);
                return Ok(None);
            }
            let renamed = std::fs::rename(&prepared.own, &self.lock);
            if let Err(error) = renamed
                && !Self::is_at(&self.lock, &prepared.nonce)
            {
                remove(&mark);
                return Err(error.into());
            }
            chain.iter().skip(1).for_each(|mark| remove(&mark.path));
            Ok(Some(prepared.hold(self, None)?))
        };
        take_over()
            .with_context(|| format!("can't break {}, left by a process that died", self.lock.display()))
            .context(CannotWrite)
    }

    /// The file with this name; `None` if there is none.
    fn find(path: PathBuf) -> anyhow::Result<Option<LockFound>> {
        let read = || -> io::Result<(u64, Vec<u8>)> {
            let file = regular::open(&path)?;
            let mut text = Vec::new();
            (&file).take(LONGEST).read_to_end(&mut text)?;
            Ok((file.metadata()?.ino(), text))
        };
        let (inode, text) = match read() {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(Some(LockFound {
                    path,
                    nonce: String::new(),
                    key: String::new(),
                    text: None,
                    is_denied: true,
                }));
            }
            Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
        };
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let text: Option<LockText> = serde_json::from_slice(line).ok();
        let nonce = text.as_ref().map(|text| text.nonce.clone()).filter(|nonce| is_nonce(nonce));
        // An incomplete one is identified by its inode.
        let nonce = nonce.unwrap_or_else(|| format!("inode{inode}"));
        Ok(Some(LockFound { path, key: nonce.clone(), nonce, text, is_denied: false }))
    }

    /// Whether what has this nonce is there under a name.
    fn is_at(path: &Path, nonce: &str) -> bool {
        matches!(Self::find(path.to_owned()), Ok(Some(found)) if found.nonce == nonce)
    }

    /// The lock, the process that is about to remove it, the process that is about to replace that one, and so on.
    fn chain(&self) -> anyhow::Result<Vec<LockFound>> {
        let mut chain: Vec<LockFound> = Self::find(self.lock.clone())?.into_iter().collect();
        while let Some(last) = chain.last().filter(|last| !last.is_denied)
            && let Some(mut next) = Self::find(self.mark_of(&last.key))?
        {
            if next.nonce == last.nonce {
                // Its holder's own mark: it is about to go.
                next.key = format!("{}-released", next.nonce);
            }
            chain.push(next);
        }
        Ok(chain)
    }
}

/// More than the text of a lock, which may have grown by many heartbeats.
const LONGEST: u64 = 64 * 1024;

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn draw_nonce() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(16).collect()
}

/// What can't be removed is left: no later lock has its nonce.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// A lock's file that has no name yet that matters. Dropped, it leaves nothing.
struct PreparedLock {
    own: PathBuf,
    nonce: String,
    text: Vec<u8>,
    file: Option<File>,
}

/// Whether a name was made that was not there before.
enum LockFileMade {
    Not,
    Linked,
    /// The file system knows no links.
    Copied(File),
}

impl Drop for PreparedLock {
    fn drop(&mut self) {
        remove(&self.own);
    }
}

impl PreparedLock {
    fn make(files: &LockFiles<'_>) -> io::Result<Self> {
        let nonce = draw_nonce();
        let own = files.beside(&nonce);
        let file = OpenOptions::new().append(true).create_new(true).open(&own)?;
        let mut prepared = Self { own, nonce: nonce.clone(), text: Vec::new(), file: None };
        let locked = watch::lock(&file, &prepared.own);
        prepared.text = serde_json::to_vec(&LockText { process: files.me.clone(), locked, nonce })?;
        prepared.text.push(b'\n');
        (&file).write_all(&prepared.text)?;
        prepared.file = Some(file);
        Ok(prepared)
    }

    fn make_exclusively(&self, name: &Path) -> io::Result<LockFileMade> {
        make_exclusively(&self.own, name, &self.text, &self.nonce)
    }

    /// Lets the file under the lock's name grow from now on: this one, or its copy.
    fn hold(mut self, files: &LockFiles<'_>, copy: Option<File>) -> io::Result<RunLock> {
        let Some(file) = copy.or(self.file.take()) else { return Err(io::ErrorKind::InvalidInput.into()) };
        let pulse = LockFile { file: Arc::new(file), is_dirty: true };
        let mut lock = RunLock {
            lock: files.lock.clone(),
            mark: files.mark_of(&self.nonce),
            nonce: self.nonce.clone(),
            text: self.text.clone(),
            heartbeat: None,
        };
        lock.heartbeat = Some(Heartbeat::start(Arc::new(Mutex::new(pulse)), files.times, Box::new(|| true))?);
        Ok(lock)
    }
}

/// Links `own`, which begins with `text` and has this nonce, to a name that does not exist yet. Success is trusted,
/// an error never: then the nonce in the file with that name says which process made it.
fn make_exclusively(own: &Path, name: &Path, text: &[u8], nonce: &str) -> io::Result<LockFileMade> {
    match std::fs::hard_link(own, name) {
        Ok(()) => Ok(LockFileMade::Linked),
        Err(error) if knows_no_links(&error) => copy_exclusively(name, text),
        Err(_) if LockFiles::is_at(name, nonce) => Ok(LockFileMade::Linked),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(LockFileMade::Not),
        Err(error) => Err(error),
    }
}

fn copy_exclusively(name: &Path, text: &[u8]) -> io::Result<LockFileMade> {
    match OpenOptions::new().append(true).create_new(true).open(name) {
        Ok(file) => {
            watch::lock(&file, name);
            (&file).write_all(text)?;
            Ok(LockFileMade::Copied(file))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(LockFileMade::Not),
        Err(error) => Err(error),
    }
}

/// The lock, held until this is dropped.
pub struct RunLock {
    lock: PathBuf,
    mark: PathBuf,
    nonce: String,
    text: Vec<u8>,
    heartbeat: Option<Heartbeat<LockFile>>,
}

impl RunLock {
    /// Takes the lock of `layout`, as soon as no other process has it.
    ///
    /// # Errors
    /// When the directory can't be written, or the wait for others was given up.
    pub fn acquire(
        layout: &Layout,
        me: &Process,
        times: HeartbeatTimes,
        observer: &dyn LockObserver,
    ) -> anyhow::Result<Self> {
        let files = LockFiles::of(layout, me, times);
        loop {
            let lock = match files.try_acquire()? {
                Some(lock) => Some(lock),
                None => files.wait(observer, &|| false)?,
            };
            if let Some(lock) = lock {
                return Ok(lock);
            }
        }
    }

    /// Whether it is still held: no other process has broken it.
    ///
    /// # Errors
    /// When that is unknown.
    pub fn is_held(&self) -> anyhow::Result<bool> {
        let is_there = LockFiles::find(self.lock.clone())?.is_some_and(|found| found.nonce == self.nonce);
        Ok(is_there && LockFiles::find(self.mark.clone())?.is_none())
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // It must not be seen to grow under another name.
        self.heartbeat = None;
        // Where another process made the mark, it takes this lock off its name.
        let marked = make_exclusively(&self.lock, &self.mark, &self.text, &self.nonce);
        if !matches!(marked, Ok(LockFileMade::Linked | LockFileMade::Copied(_))) {
            return;
        }
        if LockFiles::is_at(&self.lock, &self.nonce) {
            remove(&self.lock);
        }
        remove(&self.mark);
    }
}

/// The holder's file, which grows.
#[derive(Debug)]
struct LockFile {
    file: Arc<File>,
    is_dirty: bool,
}

impl Pulse for LockFile {
    type Mark = ();

    const NAME: &str = "the lock of the results directory";

    fn beat(&mut self) -> io::Result<()> {
        self.is_dirty = true;
        (&*self.file).write_all(b"\n")
    }

    fn begin_sync(&mut self) -> Option<(Arc<File>, ())> {
        self.is_dirty.then(|| (Arc::clone(&self.file), ()))
    }

    fn end_sync(&mut self, (): (), result: &io::Result<()>) {
        self.is_dirty = result.is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{LockFiles, LockObserver, LockText, RunLock};
    use crate::liveness::heartbeat::HeartbeatTimes;
    use crate::model::provenance::Process;
    use crate::store::layout::Layout;

    struct PatientLock;

    impl LockObserver for PatientLock {
        fn keep_going(&self) -> bool {
            true
        }

        fn waiting_for_lock(&self, _: &str) {}
    }

    const QUICK: HeartbeatTimes =
        HeartbeatTimes { interval: Duration::from_millis(100), timeout: Duration::from_secs(1) };

    /// A process of another host, whose locks nobody here believes.
    fn elsewhere(number: usize) -> Process {
        Process { host: format!("host{number}"), ..Process::current(None) }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn left_by_the_dead(path: &Path, nonce: &str) {
        let text = LockText { process: elsewhere(999), locked: true, nonce: nonce.to_owned() };
        std::fs::write(path, serde_json::to_string(&text).unwrap() + "\n").unwrap();
    }

    /// Has many contend for the lock that `left` says was left; a text with a nonce each, or none that was ever written.
    fn contend(left: &[(&str, Option<&str>)]) {
        const CONTENDERS: usize = 16;
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        for (name, nonce) in left {
            let path = folder.path().join(name);
            nonce.map_or_else(|| std::fs::write(&path, "").unwrap(), |nonce| left_by_the_dead(&path, nonce));
        }
        let (holding, had) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..CONTENDERS {
                let (layout, holding, had) = (&layout, &holding, &had);
                scope.spawn(move || {
                    let me = elsewhere(number);
                    let lock = RunLock::acquire(layout, &me, QUICK, &PatientLock).unwrap();
                    assert_eq!(holding.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                    std::thread::sleep(Duration::from_millis(2));
                    assert!(lock.is_held().unwrap());
                    had.fetch_add(1, Ordering::SeqCst);
                    holding.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(had.load(Ordering::SeqCst), CONTENDERS, "{left:?}");
        assert_eq!(names(folder.path()), [""; 0], "{left:?}");
    }

    #[test]
    fn of_many_that_find_a_stale_lock_at_once_one_has_it_at_a_time() {
        const LOCK: &str = "inputs.listing";
        const MARK: &str = ".inputs.listing.A-successor.tmp";
        let all: [&[(&str, Option<&str>)]; 5] = [
            // Its holder died.
            &[(LOCK, Some("A"))],
            // Who was about to break it did, too.
            &[(LOCK, Some("A")), (MARK, Some("B"))],
            // Its holder died as it released it.
            &[(LOCK, Some("A")), (MARK, Some("A"))],
            // Its holder was of an older version.
            &[(LOCK, Some(""))],
            // Its text was never written.
            &[(LOCK, None)],
        ];
        std::thread::scope(|scope| all.iter().for_each(|left| _ = scope.spawn(|| contend(left))));
    }

    #[test]
    fn a_holder_that_was_taken_for_dead_knows_it_and_leaves_the_newer_lock_alone() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let (me, other) = (elsewhere(1), elsewhere(2));
        let first = RunLock::acquire(&layout, &me, QUICK, &PatientLock).unwrap();
        let files = LockFiles::of(&layout, &other, QUICK);
        assert!(files.try_acquire().unwrap().is_none());
        let judged = files.chain().unwrap().pop().unwrap();
        let second = files.break_stale(&judged).unwrap().unwrap();
        assert!(second.is_held().unwrap() && !first.is_held().unwrap());
        // Two that judged the same lock.
        assert!(files.break_stale(&judged).unwrap().is_none());
        assert!(second.is_held().unwrap());
        drop(first);
        assert!(second.is_held().unwrap());
        drop(second);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn who_is_about_to_take_a_lock_off_its_name_is_alone_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let (me, other) = (elsewhere(1), elsewhere(2));
        let lock = RunLock::acquire(&layout, &me, QUICK, &PatientLock).unwrap();
        let files = LockFiles::of(&layout, &other, QUICK);
        // Another process is breaking it and has not got further.
        left_by_the_dead(&files.mark_of(&lock.nonce), "B");
        assert!(!lock.is_held().unwrap());
        let mut chain = files.chain().unwrap();
        let breaker = chain.pop().unwrap();
        assert!(files.break_stale(&chain[0]).unwrap().is_none());
        drop(lock);
        assert!(layout.listing().exists());
        // It is dead, too: who breaks it has the lock.
        let third = files.break_stale(&breaker).unwrap().unwrap();
        assert!(third.is_held().unwrap());
        drop(third);
        assert_eq!(names(folder.path()), [""; 0]);
    }
}

//! Where tasks' temporary folders go: one folder per launch, with one in it for each slot, empty whenever a task begins.
//!
//! Their names are short: a socket's path has at most 107 characters, and programs put long names of their own into `TMPDIR`. A file in
//! a launch's folder says which launch owns it, and is locked as long as the launch is alive; so the next one on the host can
//! remove what dead ones left.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::model::provenance::Process;
use crate::store::remove_tree::{HANDLE, open_folder, remove_tree};

/// The beginning of a launch's folder's name.
const PREFIX: &str = "cr-";

/// The file in it that says which launch owns it.
const OWNER: &CStr = c"owner";

/// A launch's temporary folder, gone when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    root: Arc<Root>,
    /// The open owner file: closing it releases the lock.
    owner: Option<File>,
}

/// The owner of a temporary folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The run.
    pub run: String,
    /// The replica.
    pub replica_id: u32,
    /// Its launch.
    pub launch: u32,
    /// The process.
    pub process: Process,
}

impl Owner {
    /// Whether it is a launch of the same run that is certainly dead once the lock is free: one on this host, where
    /// locks can be trusted, or an earlier one of this replica, which has one launch at a time.
    fn would_be_dead(&self, me: &Self) -> bool {
        let is_predecessor = self.replica_id == me.replica_id && self.launch < me.launch;
        self.run == me.run && (is_predecessor || me.process.is_on_the_host_of(&self.process))
    }
}

/// The folder that all slots' are in.
#[derive(Debug)]
struct Root {
    /// The folder in which it is.
    home: OwnedFd,
    name: CString,
    path: PathBuf,
    /// Names given out so far.
    used: AtomicU32,
}

impl Root {
    /// Opens it, or creates it again if a task has removed or replaced it.
    fn open(&self) -> Result<OwnedFd, Errno> {
        match self.make_and_open() {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                unlinkat(&self.home, &self.name, AtFlags::empty())?;
                self.make_and_open()
            }
            opened => opened,
        }
    }

    fn make_and_open(&self) -> Result<OwnedFd, Errno> {
        match mkdirat(&self.home, &self.name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => open_folder(&self.home, &self.name),
            Err(error) => Err(error),
        }
    }

    /// Makes a new, empty folder in it; gives its name.
    fn give_out(&self) -> Result<String, Errno> {
        let root = self.open()?;
        loop {
            let name = short(self.used.fetch_add(1, Ordering::Relaxed) + 1);
            match mkdirat(&root, &*name, Mode::RWXU) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A number in as few characters as can be.
fn short(mut number: u32) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(DIGITS[number as usize % DIGITS.len()]));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// Where to look for room, best first, when `--tmp-dir` does not say: `TMPDIR`, /scratch (local, fast, wiped at the
/// end), /tmp, any that is too long for sockets, the results directory; memory-backed ones last, since what they hold counts as
/// the container's memory.
pub fn candidates(tmpdir: Option<&OsStr>, results: &Path) -> Vec<PathBuf> {
    let tmpdir = tmpdir.filter(|tmpdir| !tmpdir.is_empty()).map(PathBuf::from);
    let mut all: Vec<PathBuf> = tmpdir.into_iter().chain(["/scratch".into(), "/tmp".into()]).collect();
    all.sort_by_key(|folder| is_too_long_for_sockets(folder));
    all.push(results.to_owned());
    let (in_memory, on_disk): (Vec<_>, Vec<_>) = all.into_iter().partition(|folder| is_in_memory(folder));
    on_disk.into_iter().chain(in_memory).collect()
}

/// Whether the path of a folder leaves too little of the 107 characters that a socket's has: a task's folder in it takes 11, and
/// Python's multiprocessing 32.
pub fn is_too_long_for_sockets(folder: &Path) -> bool {
    folder.as_os_str().len() > 107 - 11 - 32
}

#[cfg(target_os = "linux")]
fn is_in_memory(folder: &Path) -> bool {
    /// Magic numbers of statfs(2).
    const TMPFS: i64 = 0x0102_1994;
    const RAMFS: i64 = 0x8584_58f6;
    rustix::fs::statfs(folder).is_ok_and(|system| {
        #[allow(clippy::useless_conversion, reason = "the width of f_type differs between architectures")]
        let kind = i64::try_from(system.f_type).unwrap_or(0);
        kind == TMPFS || kind == RAMFS
    })
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_folder: &Path) -> bool {
    false
}

impl Scratch {
    /// Makes the folder in the first of `candidates` that can be written to.
    ///
    /// # Errors
    /// When none can.
    pub fn create(candidates: &[PathBuf], owner: &Owner) -> anyhow::Result<Self> {
        let mut refused = Vec::new();
        for folder in candidates {
            match Self::create_in(folder, owner) {
                Ok(scratch) => return Ok(scratch),
                Err(error) => refused.push(format!("{}: {error}", folder.display())),
            }
        }
        anyhow::bail!(
            "no place for the tasks' temporary folders; name one with --tmp-dir. Tried:\n  {}",
            refused.join("\n  ")
        )
    }

    fn create_in(folder: &Path, owner: &Owner) -> io::Result<Self> {
        // That may be written to and not be read.
        let flags = HANDLE | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let home = open(folder, flags, Mode::empty())?;
        let path = tempfile::Builder::new().prefix(PREFIX).rand_bytes(4).tempdir_in(folder)?.keep();
        let name = path.file_name().unwrap_or_default();
        let root = Root { home, name: CString::new(name.as_bytes())?, path, used: AtomicU32::new(0) };
        let mut scratch = Self { root: Arc::new(root), owner: None };
        scratch.owner = Some(scratch.sign(owner)?);
        Ok(scratch)
    }

    /// Writes its owner, under a lock.
    fn sign(&self, owner: &Owner) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let mut file = File::from(openat(self.root.open()?, OWNER, flags, Mode::RUSR | Mode::WUSR)?);
        // Where there are no locks, only this replica's next launch can know that this one is dead.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        serde_json::to_writer(&mut file, owner)?;
        Ok(file)
    }

    /// The folder that it was made in.
    pub fn home(&self) -> Option<&Path> {
        self.path().parent()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root.path
    }

    /// The folders of one slot.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn slot(&self) -> anyhow::Result<SlotScratch> {
        SlotScratch::new(Arc::clone(&self.root))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now is the next launch's to remove, or goes with the container.
        let _ = remove_tree(self.root.home.as_fd(), &self.root.name, Some(OWNER));
    }
}

/// Removes what dead launches of `me`'s run left in a folder; gives the paths of what is gone.
pub fn remove_leftovers_of_dead(folder: &Path, me: &Owner) -> Vec<PathBuf> {
    let Ok(home) = File::open(folder) else { return Vec::new() };
    let entries = Dir::read_from(&home).into_iter().flatten().flatten();
    let ours = entries.map(|entry| entry.file_name().to_owned());
    let ours = ours.filter(|name| name.to_bytes().starts_with(PREFIX.as_bytes()));
    ours.filter(|name| remove_if_dead(home.as_fd(), name, me).unwrap_or(false))
        .map(|name| folder.join(OsStr::from_bytes(name.to_bytes())))
        .collect()
}

/// Removes the folder `name` if it belongs to a dead launch; returns whether it did.
fn remove_if_dead(home: BorrowedFd<'_>, name: &CStr, me: &Owner) -> io::Result<bool> {
    /// Larger than any owner file.
    const LONGEST: u64 = 64 * 1024;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = openat(home, name, flags | OFlags::DIRECTORY, Mode::empty())?;
    if fstat(&root)?.st_uid != geteuid().as_raw() {
        return Ok(false);
    }
    let file = File::from(openat(&root, OWNER, flags | OFlags::NONBLOCK, Mode::empty())?);
    let mut text = Vec::new();
    (&file).take(LONGEST).read_to_end(&mut text)?;
    let owner: Owner = serde_json::from_slice(&text)?;
    if !owner.would_be_dead(me) {
        return Ok(false);
    }
    // Held until all is removed: of several that come along, one does it.
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    remove_tree(home, name, Some(OWNER))?;
    Ok(true)
}

/// One slot's folders.
#[derive(Debug)]
pub struct SlotScratch {
    root: Arc<Root>,
    tmp: PathBuf,
    /// The temporary folder, open: to find it again after each task would take longer than to look into it.
    open: Option<OpenFolder>,
}

/// A folder that was given out.
#[derive(Debug)]
struct OpenFolder {
    file: File,
    identity: (u64, u64),
}

impl OpenFolder {
    /// `None` where it can't be opened, or is none.
    fn new(path: &Path) -> Option<Self> {
        let file = File::options()
            .read(true)
            .custom_flags((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed())
            .open(path)
            .ok()?;
        let identity = identity(&file.metadata().ok()?);
        Some(Self { file, identity })
    }

    /// Whether `path` still leads to it, and it is empty.
    fn is_empty_at(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok_and(|found| identity(&found) == self.identity)
            && (&self.file).rewind().is_ok()
            && holds_nothing(&self.file)
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(target_os = "linux")]
fn holds_nothing(folder: &File) -> bool {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
    let mut entries = rustix::fs::RawDir::new(folder, &mut buffer);
    let is_itself = |name: &[u8]| matches!(name, b"." | b"..");
    while let Some(entry) = entries.next() {
        if !entry.is_ok_and(|entry| is_itself(entry.file_name().to_bytes())) {
            return false;
        }
    }
    true
}

#[cfg(not(target_os = "linux"))]
fn holds_nothing(folder: &File) -> bool {
    let entries = Dir::read_from(folder);
    entries.is_ok_and(|entries| {
        entries.flatten().all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
    })
}

impl SlotScratch {
    fn new(root: Arc<Root>) -> anyhow::Result<Self> {
        let mut scratch = Self { tmp: root.path.clone(), root, open: None };
        scratch.give_out()?;
        Ok(scratch)
    }

    fn give_out(&mut self) -> anyhow::Result<()> {
        let name = self.root.give_out().map_err(io::Error::from);
        let name = name
            .with_context(|| format!("can't create the folder for a task in {}", self.root.path.display()))?;
        self.tmp = self.root.path.join(name);
        self.open = OpenFolder::new(&self.tmp);
        Ok(())
    }

    /// Other folders, for things that outlive a task.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn beside(&self) -> anyhow::Result<Self> {
        Self::new(Arc::clone(&self.root))
    }

    /// The task's own temporary folder.
    pub fn tmp(&self) -> &Path {
        &self.tmp
    }

    /// Where long output goes.
    pub fn root(&self) -> &Path {
        &self.root.path
    }

    /// The file that an attempt may write its result to. A name of its own for each, so that a process left over from an
    /// earlier one can't write into it.
    pub fn result_file(&self, index: u64, attempt: u32) -> PathBuf {
        self.root.path.join(format!("result-{index}-{attempt}.json"))
    }

    /// Makes sure that the temporary folder is there and empty. One in which something is left, perhaps by a process that
    /// still writes to it, is replaced by one of another name.
    ///
    /// # Errors
    /// When a new one can't be made.
    pub fn renew(&mut self) -> anyhow::Result<()> {
        if self.open.as_ref().is_some_and(|open| open.is_empty_at(&self.tmp)) {
            return Ok(());
        }
        // First, since a task that filled the disk left no room for another folder. A process that is still at it may keep
        // it from going; then it goes with all the others at the end.
        let name = self.tmp.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
        if let (Some(name), Ok(root)) = (name, self.root.open()) {
            let _ = remove_tree(root.as_fd(), &name, None);
        }
        self.give_out()
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Owner, Scratch, candidates, is_in_memory, remove_leftovers_of_dead, short};
    use crate::model::provenance::Process;

    fn owner(replica_id: u32, launch: u32) -> Owner {
        Owner { run: "run".into(), replica_id, launch, process: Process::current(None) }
    }

    fn create(folders: &[PathBuf]) -> Scratch {
        Scratch::create(folders, &owner(1, 1)).unwrap()
    }

    fn count(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    /// As if its launch had been killed.
    fn die(scratch: Scratch) -> PathBuf {
        let path = scratch.path().to_owned();
        std::fs::create_dir_all(path.join("1/deep")).unwrap();
        std::fs::write(path.join("1/deep/big"), "data").unwrap();
        // The lock goes with the open file; its folder is not removed.
        let mut scratch = std::mem::ManuallyDrop::new(scratch);
        scratch.owner = None;
        path
    }

    #[test]
    fn a_slot_is_empty_for_each_task_whatever_the_last_one_left() {
        let home = tempfile::tempdir().unwrap();
        let scratch = create(&[home.path().join("missing"), home.path().to_owned()]);
        let mut slot = scratch.slot().unwrap();
        let first = slot.tmp().to_owned();
        slot.renew().unwrap();
        assert_eq!(slot.tmp(), first);
        std::fs::create_dir(first.join("x")).unwrap();
        std::fs::write(first.join("x/y"), "left").unwrap();
        slot.renew().unwrap();
        assert!(slot.tmp() != first && !first.exists());
        assert_eq!(count(slot.tmp()), 0);
        std::fs::remove_dir(slot.tmp()).unwrap();
        slot.renew().unwrap();
        assert!(slot.tmp().is_dir());
        std::fs::remove_dir_all(scratch.path()).unwrap();
        slot.renew().unwrap();
        assert!(slot.tmp().is_dir());
        drop(scratch);
        assert_eq!(count(home.path()), 0);
    }

    #[test]
    fn what_a_link_in_place_of_a_folder_leads_to_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let theirs = home.path().join("theirs");
        std::fs::create_dir_all(theirs.join("folder")).unwrap();
        std::fs::write(theirs.join("folder/file"), "data").unwrap();
        std::fs::write(theirs.join("file"), "data").unwrap();
        let mode = || theirs.metadata().unwrap().permissions();
        let before = mode();
        std::os::unix::fs::symlink(".", home.path().join("here")).unwrap();
        let scratch = create(&[home.path().join("here")]);
        let (mut first, mut second) = (scratch.slot().unwrap(), scratch.slot().unwrap());
        std::fs::remove_dir(first.tmp()).unwrap();
        std::os::unix::fs::symlink(&theirs, first.tmp()).unwrap();
        std::fs::write(second.tmp().join("x"), "").unwrap();
        std::os::unix::fs::symlink(&theirs, second.tmp().join("link")).unwrap();
        for slot in [&mut first, &mut second] {
            slot.renew().unwrap();
            assert!(slot.tmp().symlink_metadata().unwrap().is_dir());
            assert_eq!(count(slot.tmp()), 0);
        }
        std::fs::remove_dir_all(scratch.path()).unwrap();
        std::os::unix::fs::symlink(&theirs, scratch.path()).unwrap();
        second.renew().unwrap();
        assert_eq!(count(&theirs), 2, "nothing was made there");
        std::fs::remove_dir_all(scratch.path()).unwrap();
        std::os::unix::fs::symlink(&theirs, scratch.path()).unwrap();
        drop(scratch);
        assert_eq!(std::fs::read(theirs.join("file")).unwrap(), b"data");
        assert_eq!(std::fs::read(theirs.join("folder/file")).unwrap(), b"data");
        assert_eq!(mode(), before);
        assert_eq!(count(home.path()), 2, "what is theirs and the way there");
    }

    #[test]
    fn without_a_writable_place_every_attempt_is_named() {
        let error = Scratch::create(&["/nowhere/a".into(), "/nowhere/b".into()], &owner(1, 1));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("/nowhere/a") && error.contains("/nowhere/b"), "{error}");
    }

    #[test]
    fn what_dead_launches_of_the_run_left_here_is_removed_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let create = |owner: Owner| Scratch::create(&[home.path().to_owned()], &owner).unwrap();
        let elsewhere = |owner: Owner| Owner {
            process: Process { host: "elsewhere".into(), ..owner.process.clone() },
            ..owner
        };
        let me = owner(2, 3);
        let mut removed =
            vec![die(create(owner(2, 1))), die(create(owner(7, 9))), die(create(elsewhere(owner(2, 2))))];
        let living = create(owner(7, 10));
        let other_run = die(create(Owner { run: "other".into(), ..owner(2, 1) }));
        let unknown = die(create(elsewhere(owner(7, 1))));
        let unsigned = home.path().join("cr-abcd");
        std::fs::create_dir(&unsigned).unwrap();
        let link = home.path().join("cr-link");
        std::os::unix::fs::symlink(&other_run, &link).unwrap();
        let mut gone = remove_leftovers_of_dead(home.path(), &me);
        gone.sort();
        removed.sort();
        assert_eq!(gone, removed);
        assert!(removed.iter().all(|path| !path.exists()));
        for path in [living.path(), &other_run, &unknown, &unsigned, &link] {
            assert!(path.exists(), "{}", path.display());
        }
        assert_eq!(remove_leftovers_of_dead(home.path(), &me), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_folder_that_is_too_long_for_sockets_comes_after_those_that_are_not() {
        let results = Path::new("/no/results");
        for (length, is_first) in [(64, true), (65, false)] {
            let tmpdir = PathBuf::from(format!("/{}", "x".repeat(length - 1)));
            let mut all = candidates(Some(tmpdir.as_os_str()), results);
            all.retain(|folder| !is_in_memory(folder));
            assert_eq!(all[0] == tmpdir, is_first || all.len() == 2, "{all:?}");
            assert_eq!(all[all.len() - 1], results);
        }
    }

    #[test]
    fn names_are_as_short_as_can_be() {
        assert_eq!([1, 35, 36, 46_655, u32::MAX].map(short), ["1", "z", "10", "zzz", "1z141z3"]);
    }
}

//! Where tasks' temporary folders go: one folder a launch, in it one a slot, empty whenever a task begins.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Seek};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::OFlags;
use tempfile::TempDir;

/// A launch's temporary folder, gone when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    root: TempDir,
}

/// Where to look for room, best first, when `--tmp-dir` does not say: `TMPDIR`, /scratch (local, fast, wiped at the
/// end), /tmp, the results directory; memory-backed ones last, since what they hold counts as the container's memory.
pub fn candidates(tmpdir: Option<&OsStr>, results: &Path) -> Vec<PathBuf> {
    let all: Vec<PathBuf> = tmpdir
        .filter(|tmpdir| !tmpdir.is_empty())
        .map(PathBuf::from)
        .into_iter()
        .chain(["/scratch".into(), "/tmp".into(), results.to_owned()])
        .collect();
    let (in_memory, on_disk): (Vec<_>, Vec<_>) = all.into_iter().partition(|folder| is_in_memory(folder));
    on_disk.into_iter().chain(in_memory).collect()
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
    pub fn create(candidates: &[PathBuf]) -> anyhow::Result<Self> {
        let mut refused = Vec::new();
        for folder in candidates {
            match tempfile::Builder::new().prefix("canfar-run-").tempdir_in(folder) {
                Ok(root) => return Ok(Self { root }),
                Err(error) => refused.push(format!("{}: {error}", folder.display())),
            }
        }
        anyhow::bail!(
            "no place for the tasks' temporary folders; say one with --tmp-dir. Tried:\n  {}",
            refused.join("\n  ")
        )
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The folders of one slot (1..=jobs).
    ///
    /// # Errors
    /// When they can't be made.
    pub fn slot(&self, slot: usize) -> anyhow::Result<SlotScratch> {
        let root = self.root.path().join(slot.to_string());
        std::fs::create_dir(&root).with_context(|| format!("can't create the folder {}", root.display()))?;
        SlotScratch::new(root)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now goes, or stays, with the container.
        let _ = remove_tree(self.root.path());
    }
}

/// One slot's folders.
#[derive(Debug)]
pub struct SlotScratch {
    root: PathBuf,
    tmp: PathBuf,
    /// The temporary folder, open: to find it again after each task would take longer than to look into it.
    open: Option<OpenFolder>,
    /// Names of folders given out so far.
    used: u32,
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
    let entries = rustix::fs::Dir::read_from(folder);
    entries.is_ok_and(|entries| {
        entries.flatten().all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
    })
}

impl SlotScratch {
    fn new(root: PathBuf) -> anyhow::Result<Self> {
        let mut scratch = Self { tmp: root.clone(), root, open: None, used: 0 };
        scratch.give_out()?;
        Ok(scratch)
    }

    fn give_out(&mut self) -> anyhow::Result<()> {
        self.used += 1;
        self.tmp = self.root.join(format!("tmp{}", self.used));
        // A task may have removed the launch's own folders; those above are not ours to make.
        for folder in self.root.parent().into_iter().chain([&*self.root, &*self.tmp]) {
            match std::fs::create_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error)
                        .with_context(|| format!("can't create the folder {}", folder.display()));
                }
                _ => {}
            }
        }
        self.open = OpenFolder::new(&self.tmp);
        Ok(())
    }

    /// Folders within those of this slot, for what lives longer than a task.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn within(&self, name: &str) -> anyhow::Result<Self> {
        Self::new(self.root.join(name))
    }

    /// The task's own temporary folder.
    pub fn tmp(&self) -> &Path {
        &self.tmp
    }

    /// Where long output goes.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that an attempt may write its result to. A name of its own for each, so that a process left over from an
    /// earlier one can't write into it.
    pub fn result_file(&self, index: u64, attempt: u32) -> PathBuf {
        self.root.join(format!("result-{index}-{attempt}.json"))
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
        let _ = remove_tree(&self.tmp);
        self.give_out()
    }
}

/// A folder that is refilled while it is emptied is given up after so many tries.
const TRIES: u32 = 3;

/// Whether a folder is one and holds what was put into it: a task may have left a link to another folder in its place,
/// or have mounted something there, and what lies behind those is nobody's to remove.
fn is_ours(folder: &Path) -> bool {
    let own = folder.symlink_metadata().ok().filter(Metadata::is_dir).map(|found| found.dev());
    own.is_some() && own == folder.parent().and_then(|parent| parent.metadata().ok()).map(|found| found.dev())
}

/// Removes a folder with all it holds, however deep and whatever its permissions: folders in it are first moved up
/// beside it, so that neither the stack, nor descriptors, nor the length of paths grow with the depth. Never follows a
/// link, nor goes to another file system.
fn remove_tree(folder: &Path) -> io::Result<()> {
    if !is_ours(folder) {
        // A link or a file; what is mounted stays.
        return std::fs::remove_file(folder);
    }
    let mut next = 0_u64;
    let mut left = vec![folder.to_owned()];
    while let Some(folder_now) = left.pop() {
        for attempt in 1.. {
            let beside = || {
                next += 1;
                let mut name = folder.as_os_str().to_owned();
                name.push(format!(".{next}"));
                PathBuf::from(name)
            };
            empty(&folder_now, beside, &mut left)?;
            match std::fs::remove_dir(&folder_now) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempt < TRIES => {}
                removed => {
                    removed?;
                    break;
                }
            }
        }
    }
    Ok(())
}

fn empty(folder: &Path, mut beside: impl FnMut() -> PathBuf, moved: &mut Vec<PathBuf>) -> io::Result<()> {
    // Needed to look into it and to remove what it holds; where it is not ours, that fails below.
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if !is_ours(&entry.path()) {
                return Err(io::Error::other("another file system is mounted here"));
            }
            // A folder can only be moved by who may write to it.
            let _ = std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o700));
            let place = beside();
            std::fs::rename(entry.path(), &place)?;
            moved.push(place);
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Scratch;

    #[test]
    fn a_slot_is_empty_for_each_task_whatever_the_last_one_left() {
        let home = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(&[home.path().join("missing"), home.path().to_owned()]).unwrap();
        let mut slot = scratch.slot(1).unwrap();
        let first = slot.tmp().to_owned();
        slot.renew().unwrap();
        assert_eq!(slot.tmp(), first);
        std::fs::create_dir(first.join("x")).unwrap();
        std::fs::write(first.join("x/y"), "left").unwrap();
        slot.renew().unwrap();
        assert!(slot.tmp() != first && !first.exists());
        assert_eq!(std::fs::read_dir(slot.tmp()).unwrap().count(), 0);
        std::fs::remove_dir(slot.tmp()).unwrap();
        slot.renew().unwrap();
        assert!(slot.tmp().is_dir());
        drop(scratch);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
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
        let scratch = Scratch::create(&[home.path().join("here")]).unwrap();
        let (mut first, mut second) = (scratch.slot(1).unwrap(), scratch.slot(2).unwrap());
        std::fs::remove_dir(first.tmp()).unwrap();
        std::os::unix::fs::symlink(&theirs, first.tmp()).unwrap();
        std::fs::write(second.tmp().join("x"), "").unwrap();
        std::os::unix::fs::symlink(&theirs, second.tmp().join("link")).unwrap();
        for slot in [&mut first, &mut second] {
            slot.renew().unwrap();
            assert!(slot.tmp().symlink_metadata().unwrap().is_dir());
            assert_eq!(std::fs::read_dir(slot.tmp()).unwrap().count(), 0);
        }
        std::fs::remove_dir_all(second.root()).unwrap();
        std::os::unix::fs::symlink(&theirs, second.root()).unwrap();
        drop(scratch);
        assert_eq!(std::fs::read(theirs.join("file")).unwrap(), b"data");
        assert_eq!(std::fs::read(theirs.join("folder/file")).unwrap(), b"data");
        assert_eq!(mode(), before);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2, "what is theirs and the way there");
    }

    #[test]
    fn without_a_writable_place_every_attempt_is_named() {
        let error = Scratch::create(&["/nowhere/a".into(), "/nowhere/b".into()]).unwrap_err().to_string();
        assert!(error.contains("/nowhere/a") && error.contains("/nowhere/b"), "{error}");
    }

    #[test]
    fn the_deepest_tree_is_removed_without_growing_with_it() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let mut folder = std::fs::File::open(&top).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&folder, "d", rustix::fs::Mode::RWXU).unwrap();
            let flags = rustix::fs::OFlags::DIRECTORY;
            folder = rustix::fs::openat(&folder, "d", flags, rustix::fs::Mode::empty()).unwrap().into();
        }
        super::remove_tree(&top).unwrap();
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}

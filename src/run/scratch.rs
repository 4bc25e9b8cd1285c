//! Where tasks' temporary folders go: one folder a launch, in it one a slot, empty whenever a task begins.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
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
        let tmp = root.join("tmp");
        std::fs::create_dir_all(&tmp)
            .with_context(|| format!("can't create the folder {}", tmp.display()))?;
        Ok(SlotScratch { root, tmp })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What a task made read-only would outlive it otherwise.
        if std::fs::remove_dir_all(self.root.path()).is_err() {
            open_up(self.root.path());
        }
    }
}

/// One slot's folders.
#[derive(Debug)]
pub struct SlotScratch {
    root: PathBuf,
    tmp: PathBuf,
}

impl SlotScratch {
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

    /// Removes what an attempt left in the temporary folder, and the folder with it where that is not empty or gone.
    ///
    /// # Errors
    /// When it can't be emptied.
    pub fn clear(&self) -> io::Result<()> {
        let is_empty = std::fs::read_dir(&self.tmp).is_ok_and(|mut entries| entries.next().is_none());
        if is_empty {
            return Ok(());
        }
        match std::fs::remove_dir_all(&self.tmp) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => {
                open_up(&self.tmp);
                std::fs::remove_dir_all(&self.tmp)?;
            }
        }
        std::fs::create_dir_all(&self.tmp)
    }
}

/// Gives folders back the permissions that removing their entries needs, before looking into them.
fn open_up(folder: &Path) {
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scratch;

    #[test]
    fn a_slot_is_empty_for_each_task_whatever_the_last_one_left() {
        let home = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(&[home.path().join("missing"), home.path().to_owned()]).unwrap();
        let slot = scratch.slot(1).unwrap();
        std::fs::create_dir(slot.tmp().join("x")).unwrap();
        std::fs::write(slot.tmp().join("x/y"), "left").unwrap();
        slot.clear().unwrap();
        assert_eq!(std::fs::read_dir(slot.tmp()).unwrap().count(), 0);
        std::fs::remove_dir(slot.tmp()).unwrap();
        slot.clear().unwrap();
        assert!(slot.tmp().is_dir());
        drop(scratch);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn without_a_writable_place_every_attempt_is_named() {
        let error = Scratch::create(&["/nowhere/a".into(), "/nowhere/b".into()]).unwrap_err().to_string();
        assert!(error.contains("/nowhere/a") && error.contains("/nowhere/b"), "{error}");
    }
}

//! Which tasks of several directories are the same, and whose record counts: ok before failed before none, then the later
//! directory. Tasks of one run are known by their index. Those of two runs are known by their file's absolute path, or by the
//! entry's text where that names no file, such as a target's name; rows and numbers of two runs are never the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::merge::index::{MergeIndex, TaskRanks};
use crate::merge::input::MergeDirectory;
use crate::template::EntryKind;

/// An entry of a list: which directory, and its index.
type ListedTask = (usize, u64);

/// Digests stand for paths: a list may have millions.
type TaskDigest = [u8; 16];

impl MergeIndex {
    /// Records of a run whose list is elsewhere, or nowhere: a directory without a list may be a copy of another one.
    pub(super) fn compare_copies(&mut self) {
        for number in 0..self.directories.len() {
            if self.directories[number].list.is_none() {
                let runs: Vec<String> = self.tasks[number].keys().cloned().collect();
                runs.iter().for_each(|run| self.compare_copy(number, run));
            }
        }
    }

    fn compare_copy(&mut self, number: usize, run: &str) {
        let has_list = |other: usize| self.directories[other].run() == Some(run);
        // Of two without a list the later one looks.
        let is_other =
            |other: &usize| has_list(*other) || (*other < number && self.tasks[*other].contains_key(run));
        let others = (0..self.directories.len()).filter(|other| *other != number).filter(is_other);
        let others: Vec<(usize, bool)> = others.map(|other| (other, has_list(other))).collect();
        if others.is_empty() {
            return;
        }
        let held: Vec<(u64, u8)> = self.tasks[number][run].held().collect();
        for (index, rank) in held {
            let standing = |other: usize| self.tasks[other].get(run).map_or(0, |tasks| tasks.standing(index));
            // Of equal ones that of the directory with the list counts, whose journals tell more.
            let is_better = |(other, has_list): &(usize, bool)| {
                if *has_list { standing(*other) >= rank } else { standing(*other) > rank }
            };
            let beaten = if others.iter().any(is_better) { &[(number, false)][..] } else { &others };
            self.proof.repeated += u64::from(beaten.iter().any(|(beaten, _)| standing(*beaten) > 0));
            for (beaten, _) in beaten {
                self.tasks[*beaten].entry(run.to_owned()).or_default().superseded.insert(index);
            }
        }
    }

    /// Files that several directories list.
    ///
    /// # Errors
    /// When a list can't be read.
    pub(super) fn compare_lists(&mut self) -> anyhow::Result<()> {
        if self.directories.iter().filter(|directory| directory.list.is_some()).count() < 2 {
            return Ok(());
        }
        let mut known = KnownEntries::default();
        for number in 0..self.directories.len() {
            let directory = &self.directories[number];
            let (Some(list), Some(run)) = (&directory.list, directory.run().map(str::to_owned)) else {
                continue;
            };
            let mut pairs = Vec::new();
            list.read(0..list.header().count, |index, entry| {
                let key = match list.header().source.entry_kind() {
                    EntryKind::Files => known.key_of(entry.path, number, &self.directories),
                    // Rows and numbers of two runs have nothing in common, whatever they are called.
                    EntryKind::Labels => digest(OsStr::new(&format!("{run} {index}"))),
                };
                let earlier = known.best.insert(key, (number, index));
                pairs.extend(earlier.map(|earlier| (key, earlier, (number, index))));
                Ok(())
            })?;
            self.tasks[number].entry(run).or_default();
            for (key, earlier, later) in pairs {
                let winner = self.settle(earlier, later);
                known.best.insert(key, winner);
            }
        }
        Ok(())
    }

    /// Which of two entries that are the same has the record that counts.
    fn settle(&mut self, earlier: ListedTask, later: ListedTask) -> ListedTask {
        let (rank_before, rank_now) = (self.rank(earlier), self.rank(later));
        self.proof.repeated += u64::from(rank_before > 0 && rank_now > 0);
        let (winner, loser) = if rank_now >= rank_before { (later, earlier) } else { (earlier, later) };
        let Some(run) = self.directories[loser.0].run().map(str::to_owned) else { return winner };
        // What a copy has of the task goes with it, unless it is the other one's, too.
        let is_one_task = self.directories[winner.0].run() == Some(&run) && winner.1 == loser.1;
        let copies = if is_one_task { Vec::new() } else { self.copies(&run) };
        for holder in copies.into_iter().chain([loser.0]) {
            if let Some(tasks) = self.tasks[holder].get_mut(&run) {
                tasks.superseded.insert(loser.1);
            }
        }
        winner
    }

    /// Directories without a list that have records of a run.
    fn copies(&self, run: &str) -> Vec<usize> {
        let is_copy =
            |other: &usize| self.directories[*other].list.is_none() && self.tasks[*other].contains_key(run);
        (0..self.directories.len()).filter(is_copy).collect()
    }

    /// Whether an entry has no ok record, and no other entry stands for it.
    pub(super) fn is_without_ok(&self, number: usize, index: u64) -> bool {
        let (Some(run), Some(tasks)) = (self.directories[number].run(), self.own_tasks(number)) else {
            return true;
        };
        if tasks.superseded.contains(index) {
            // Then it may be for the record of a failure in a copy, which has no list.
            let is_failed =
                |copy: usize| self.tasks[copy].get(run).is_some_and(|tasks| tasks.standing(index) == 1);
            return self.copies(run).into_iter().any(is_failed);
        }
        !tasks.ok.contains(index)
    }

    /// Of the best record that there is of an entry's task.
    fn rank(&self, (number, index): ListedTask) -> u8 {
        let own = self.own_tasks(number).map_or(0, |tasks| tasks.rank(index));
        let copies = self.directories[number].run().map(|run| self.copies(run)).unwrap_or_default();
        let run = self.directories[number].run().unwrap_or_default();
        let of_copies = copies.into_iter().filter_map(|copy| self.tasks[copy].get(run));
        of_copies.map(|tasks: &TaskRanks| tasks.standing(index)).fold(own, u8::max)
    }
}

/// Entries of the lists so far, as they are found again.
#[derive(Default)]
struct KnownEntries {
    /// The entry whose record counts, by what the entry is known by.
    best: HashMap<TaskDigest, ListedTask>,
    /// What relative entries are known by, and whose they are, by their text.
    texts: HashMap<TaskDigest, (TaskDigest, usize)>,
    folders: Folders,
}

impl KnownEntries {
    /// What an entry of a directory's list is known by.
    fn key_of(&mut self, entry: &OsStr, number: usize, directories: &[MergeDirectory]) -> TaskDigest {
        let text = Path::new(entry);
        let absolute = |number: usize| base_of(&directories[number]).join(text);
        let key = digest(self.folders.without_dots(&absolute(number)).as_os_str());
        if text.is_absolute() || self.best.contains_key(&key) {
            return key;
        }
        match self.texts.entry(digest(entry)) {
            Entry::Vacant(first) => {
                first.insert((key, number));
                key
            }
            Entry::Occupied(_) if absolute(number).exists() => key,
            // That one is a file, so the text is nothing that others could have in common with it.
            Entry::Occupied(mut other) if absolute(other.get().1).exists() => {
                other.insert((key, number));
                key
            }
            Entry::Occupied(other) => other.get().0,
        }
    }
}

/// What relative entries of a directory's list are relative to; nothing where the list does not say.
fn base_of(directory: &MergeDirectory) -> &Path {
    directory.list.as_ref().and_then(|list| list.header().begun_in()).unwrap_or(Path::new(""))
}

fn digest(path: &OsStr) -> TaskDigest {
    let mut digest = TaskDigest::default();
    digest.copy_from_slice(&blake3::hash(path.as_bytes()).as_bytes()[..size_of::<TaskDigest>()]);
    digest
}

/// Folders that paths go up from, looked at once each.
#[derive(Default)]
struct Folders(HashMap<PathBuf, Option<PathBuf>>);

impl Folders {
    /// The path with as few `.` and `..` as it can be said with. Links stay, but for those that are gone up from.
    fn without_dots<'p>(&mut self, path: &'p Path) -> std::borrow::Cow<'p, Path> {
        let bytes = path.as_os_str().as_bytes();
        let may_have_dots =
            [&b"//"[..], b"/./", b"/../"].iter().any(|dots| memchr::memmem::find(bytes, dots).is_some())
                || bytes.starts_with(b".")
                || bytes.ends_with(b"/")
                || bytes.ends_with(b"/.")
                || bytes.ends_with(b"/..");
        if !may_have_dots {
            return path.into();
        }
        let mut plain = PathBuf::new();
        for component in path.components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => plain = self.above(plain),
                Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(component),
            }
        }
        plain.into()
    }

    fn above(&mut self, folder: PathBuf) -> PathBuf {
        if folder.as_os_str().is_empty() || folder.ends_with("..") {
            return folder.join("..");
        }
        let real = self.0.entry(folder.clone()).or_insert_with(|| {
            let is_link = folder.is_symlink();
            is_link.then(|| folder.canonicalize().ok()).flatten()
        });
        let mut above = real.clone().unwrap_or(folder);
        above.pop();
        above
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::Folders;

    #[test]
    fn one_file_has_one_path_whatever_dots_are_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real/deep", root.join("link")).unwrap();
        let mut folders = Folders::default();
        for (path, plain) in [
            ("a/b.fits", "a/b.fits"),
            ("a/.b/c..d", "a/.b/c..d"),
            ("./a//b/./c", "a/b/c"),
            ("a/b/", "a/b"),
            ("a/../b.fits", "b.fits"),
            ("not/there/../../b", "b"),
            // Up from where the link leads.
            ("link/../b", "real/b"),
            ("link/b", "link/b"),
        ] {
            let found = folders.without_dots(&root.join(path)).into_owned();
            assert_eq!(found, root.join(plain), "{path}");
        }
        let plain = |path: &str| Folders::default().without_dots(path.as_ref()).into_owned();
        assert_eq!(plain("/../../a"), std::path::Path::new("/a"));
        assert_eq!([plain("../a"), plain("./M31")], ["../a", "M31"].map(std::path::PathBuf::from));
    }
}

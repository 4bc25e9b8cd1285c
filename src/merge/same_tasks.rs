//! Which tasks of several directories are the same, and which record counts: ok before failed before none, then the later
//! directory. Tasks of one run are identified by their index, tasks of two runs by their file's absolute path, or by the
//! entry's text where that names no file, such as a target's name; rows and numbers of two runs are never the same.

use std::ffi::OsStr;
use std::path::Path;

use crate::merge::index::{MergeIndex, TaskRanks};
use crate::merge::input::MergeDirectory;
use crate::record::known_entries::{KnownEntries, digest};
use crate::template::EntryKind;

/// An entry of a list: which directory, and its index.
type ListedTask = (usize, u64);

impl MergeIndex {
    /// Records of a run without its list here: a directory without a list may be a copy of another one.
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
            // Among equal records, the one of the directory with the list counts: its journals say more.
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
            list.read(list.header().indices(), |index, entry| {
                let key = match list.header().source.entry_kind() {
                    EntryKind::Files => {
                        known.key_of(entry.path, number, |number| base_of(&self.directories[number]))
                    }
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

/// What relative entries of a directory's list are relative to; nothing where the list does not say.
fn base_of(directory: &MergeDirectory) -> &Path {
    directory.list.as_ref().and_then(|list| list.header().begun_in()).unwrap_or(Path::new(""))
}

//! What is missing of the lists that were merged: files without a record, by replica, and replicas that left nothing.

use crate::merge::index::{MergeIndex, TaskRanks};
use crate::merge::proof::{Heard, MissingReplica};
use crate::units;

/// So many missing files of a replica are named.
const EXAMPLES: usize = 3;

impl MergeIndex {
    /// Compares the records with the lists.
    pub(super) fn find_missing(&mut self) -> anyhow::Result<()> {
        for number in 0..self.directories.len() {
            let directory = &self.directories[number];
            let Some(list) = &directory.list else { continue };
            let none = TaskRanks::default();
            let tasks = self.own_tasks(number).unwrap_or(&none);
            let is_missing = |index: &u64| tasks.rank(*index) == 0 && !tasks.superseded.contains(*index);
            let (ok, failed) = tasks.counts();
            let superseded = tasks.superseded.count();
            let is_whole = ok + failed + superseded == list.header().count;
            let mut found = Vec::new();
            for (replica_id, share) in (1..).zip(&directory.shares).filter(|_| !is_whole) {
                let missing = share.iter().filter(is_missing).count() as u64;
                if missing == 0 {
                    continue;
                }
                let mut examples = Vec::new();
                list.read(share.iter().filter(is_missing).take(EXAMPLES), |_, entry| {
                    examples.push(units::path(entry.path));
                    Ok(())
                })?;
                let state = self.state_of(number, replica_id);
                let results_dir = units::path(directory.layout.root());
                found.push(MissingReplica { results_dir, replica_id, state, missing, examples });
            }
            self.proof.counts.files += list.header().count - superseded;
            self.proof.missing += found.iter().map(|replica| replica.missing).sum::<u64>();
            self.proof.missing_replicas.extend(found);
        }
        Ok(())
    }

    fn state_of(&self, number: usize, replica_id: u32) -> Heard {
        let directory = &self.directories[number];
        let has_journal = directory.parts.iter().any(|part| part.replica() == Some(replica_id));
        match (directory.is_at_work(replica_id), has_journal) {
            (true, _) => Heard::Running,
            (false, true) => Heard::Stopped,
            (false, false) => Heard::NeverStarted,
        }
    }

    /// Without a list, a gap in the ids is all that can tell that a replica is missing.
    pub(super) fn warn_of_gaps(&mut self) {
        for directory in self.directories.iter().filter(|directory| directory.list.is_none()) {
            let root = units::path(directory.layout.root());
            if directory.has_journals {
                self.proof.problems.push(format!(
                    "{root}: there are journals, but no list of inputs (inputs.jsonl) to read them by: records that no results file holds are not merged. Put the list back"
                ));
            }
            let gaps = directory.gaps();
            if !gaps.is_empty() {
                let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
                self.proof.problems.push(format!(
                    "{root}: there is no results file of replica {}, and no list of inputs to tell whether there should be",
                    gaps.join(", ")
                ));
            }
        }
    }
}

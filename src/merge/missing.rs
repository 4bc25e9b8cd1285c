//! What is missing from the merged lists: files without a record, by replica, and replicas that left nothing.

use std::collections::BTreeMap;

use crate::merge::index::{MergeIndex, TaskRanks};
use crate::merge::proof::{Heard, MissingPart, MissingReplica};
use crate::units;

/// How many missing files of a replica are named.
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
                found.push(MissingReplica {
                    results_dir: units::path(directory.layout.root()),
                    replica_id,
                    state: self.state_of(number, replica_id),
                    missing,
                    examples,
                    held_by: self.held_by(number, share.iter().filter(is_missing)),
                    is_waited_for: self.is_waited_for(number, replica_id),
                });
            }
            self.proof.counts.files += list.header().count - superseded;
            self.proof.missing += found.iter().map(|replica| replica.missing).sum::<u64>();
            self.proof.missing_replicas.extend(found);
        }
        Ok(())
    }

    /// Which replicas have tasks without a record, in a run that shares its work.
    fn held_by(&self, number: usize, missing: impl Iterator<Item = u64>) -> Vec<MissingPart> {
        let Some(claimants) = &self.directories[number].claimants else { return Vec::new() };
        let mut parts: BTreeMap<Option<u32>, u64> = BTreeMap::new();
        for index in missing {
            *parts.entry(claimants.holder(index).map(|by| by.replica)).or_default() += 1;
        }
        let part = |(replica_id, missing): (Option<u32>, u64)| MissingPart {
            replica_id,
            state: replica_id.map(|id| self.state_of(number, id)),
            missing,
        };
        parts.into_iter().map(part).collect()
    }

    /// Whether running replicas will run the missing tasks of a share, if work is shared.
    fn is_waited_for(&self, number: usize, replica_id: u32) -> bool {
        let directory = &self.directories[number];
        match &directory.claimants {
            Some(_) => directory.has_any_at_work(),
            None => directory.is_at_work(replica_id),
        }
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

    /// Without a list, only a gap in the ids shows that a replica is missing.
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

//! How the inputs of a directory are copied into the merged results when there is a faster way than record by record.

use crate::merge::index::{MergeIndex, TaskRanks};
use crate::merge::input::{FileIdentity, MergeInputKind};
use crate::merge::output::TableOutput;
use crate::merge::reading::MergeRecord;
use crate::model::outcome::Status;
use crate::record::results::BETWEEN;

/// How many bytes of files are read into memory at a time, for several threads.
const AT_ONCE: u64 = 8 * 1024 * 1024;

/// A larger file is read on its own, record by record.
const SMALL: u64 = AT_ONCE / 2;

/// What is done next of a directory; parts are named by their number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MergeStep {
    /// All records of our own file count: they are copied unchanged.
    Copy { part: usize, records: u64, identity: FileIdentity },
    /// Several threads read one of these each, into memory.
    SideBySide(Vec<usize>),
    /// Record by record.
    Each(usize),
}

/// The records that win of one part, joined as they are in an array.
#[derive(Debug, Default)]
pub(super) struct Joined {
    pub(super) records: u64,
    pub(super) text: Vec<u8>,
    /// Records of failures.
    pub(super) failures: Vec<Vec<u8>>,
    /// NaN and Infinity that became null.
    pub(super) non_finite: u64,
}

impl MergeIndex {
    /// The steps that carry a directory over, in order.
    pub(super) fn steps(&self, number: usize, results: &TableOutput) -> Vec<MergeStep> {
        let is_array = results.is_array();
        let is_settled = self.own_tasks(number).is_some_and(TaskRanks::is_settled);
        let mut steps = Vec::new();
        let mut room = 0;
        for (part_number, part) in self.directories[number].parts.iter().enumerate() {
            if self.left_out[number].contains(&part_number) {
                continue;
            }
            let small = || {
                std::fs::metadata(&part.name).ok().map(|file| file.len()).filter(|length| *length <= SMALL)
            };
            match part.kind {
                MergeInputKind::Verified { identity, ref tasks, .. } if is_array && is_settled => {
                    steps.push(MergeStep::Copy { part: part_number, records: tasks.count(), identity });
                }
                MergeInputKind::File if is_array && let Some(length) = small() => match steps.last_mut() {
                    Some(MergeStep::SideBySide(parts)) if length <= room => {
                        parts.push(part_number);
                        room -= length;
                    }
                    _ => {
                        steps.push(MergeStep::SideBySide(vec![part_number]));
                        room = AT_ONCE - length;
                    }
                },
                _ => steps.push(MergeStep::Each(part_number)),
            }
        }
        steps
    }

    /// Reads a part into memory.
    pub(super) fn join(&self, number: usize, part_number: usize) -> anyhow::Result<Joined> {
        let length = std::fs::metadata(&self.directories[number].parts[part_number].name);
        let mut joined = Joined::default();
        // At once: a text that grows is for a moment there twice.
        joined.text.reserve(length.map_or(0, |file| usize::try_from(file.len().min(SMALL)).unwrap_or(0)));
        self.winners(number, part_number, &mut |item| {
            joined.add(item);
            Ok(())
        })?;
        Ok(joined)
    }
}

impl Joined {
    fn add(&mut self, item: &MergeRecord<'_>) {
        self.non_finite += item.non_finite;
        match item.status {
            Status::Failed => self.failures.push(item.record.to_vec()),
            Status::Ok => {
                if self.records > 0 {
                    self.text.extend_from_slice(BETWEEN);
                }
                self.records += 1;
                self.text.extend_from_slice(item.record);
            }
        }
    }
}

//! Reads the tasks of one block into the queue piece by piece, so that memory does not grow with the block.

use std::cmp::Reverse;

use crate::model::blocks::ClaimName;
use crate::model::shares::Share;
use crate::record::inputs::InputList;
use crate::run::queue::{QueuePiece, TasksByStage};

/// How many tasks are read at a time: many more than can run at once, and few enough to keep in memory.
const TASKS_AT_A_TIME: usize = 1024;

/// The tasks of a block that are still to come into the queue.
#[derive(Debug)]
pub(super) struct BlockFeed {
    claim: ClaimName,
    indices: Share,
    ordinary: std::vec::IntoIter<u32>,
    suspects: Vec<u32>,
    alone: Vec<u32>,
    at_most: Option<usize>,
}

impl BlockFeed {
    /// Of `tasks`, positions in the block, which start in the order of the run's strategy. While any of them runs, at most
    /// `at_most` tasks run at a time.
    ///
    /// # Errors
    /// When the list can't be read.
    pub(super) fn new(
        list: &InputList,
        claim: ClaimName,
        indices: Share,
        tasks: TasksByStage,
        at_most: Option<usize>,
    ) -> anyhow::Result<Self> {
        let TasksByStage { mut ordinary, suspects, alone } = tasks;
        if list.header().strategy.needs_sizes() {
            largest_first(list, &indices, &mut ordinary)?;
        }
        Ok(Self { claim, indices, ordinary: ordinary.into_iter(), suspects, alone, at_most })
    }

    /// By what the block is held.
    pub(super) fn claim(&self) -> ClaimName {
        self.claim
    }

    /// The next piece, with the positions of its tasks in it; `None` if nothing is left.
    ///
    /// # Errors
    /// When the list can't be read.
    pub(super) fn next(&mut self, list: &InputList) -> anyhow::Result<Option<(QueuePiece, TasksByStage)>> {
        let tasks = TasksByStage {
            ordinary: self.ordinary.by_ref().take(TASKS_AT_A_TIME).collect(),
            suspects: std::mem::take(&mut self.suspects),
            alone: std::mem::take(&mut self.alone),
        };
        if tasks.is_empty() {
            return Ok(None);
        }
        let mut places: Vec<u32> = tasks.iter().collect();
        places.sort_unstable();
        let indices = places.iter().filter_map(|place| self.indices.index_at(u64::from(*place)));
        let indices = Share::Listed(indices.collect());
        let entries = list.entries(&indices)?;
        let in_piece =
            |place: u32| places.binary_search(&place).map_or(0, |at| u32::try_from(at).unwrap_or_default());
        let tasks = tasks.map(in_piece);
        let piece = QueuePiece { block: Some(self.claim.block), indices, entries, at_most: self.at_most };
        Ok(Some((piece, tasks)))
    }
}

/// Sorts positions in a block by the sizes of their files; stable, so that equal ones keep the list's order.
fn largest_first(list: &InputList, indices: &Share, positions: &mut [u32]) -> anyhow::Result<()> {
    let mut sizes = Vec::new();
    list.read(indices.iter(), |_, entry| {
        sizes.push(entry.size);
        Ok(())
    })?;
    positions.sort_by_key(|position| Reverse(sizes.get(*position as usize).copied().flatten()));
    Ok(())
}

#[cfg(test)]
mod tests;

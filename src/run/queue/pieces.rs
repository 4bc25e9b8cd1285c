//! The pieces in which tasks arrive, each kept until its last task has ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::blocks::BlockId;
use crate::model::entries::Entries;
use crate::model::shares::Share;

/// Tasks that come into the queue together.
#[derive(Debug)]
pub struct QueuePiece {
    /// The block that they are of; `None` where a share is not cut into blocks.
    pub block: Option<BlockId>,
    /// The index in the list of each.
    pub indices: Share,
    /// The entry of each, in the order of the indices.
    pub entries: Entries,
    /// How many tasks of any piece may run at a time while one of this piece does, at least 1.
    pub at_most: Option<usize>,
}

#[cfg(test)]
impl QueuePiece {
    /// A piece without information about its tasks.
    pub fn without_entries(block: Option<BlockId>, at_most: Option<usize>) -> Self {
        Self { block, indices: Share::Range(0..0), entries: Entries::default(), at_most }
    }
}

/// Pieces of which tasks have not ended, by their numbers.
#[derive(Debug, Default)]
pub(super) struct OpenPieces {
    open: BTreeMap<u32, OpenPiece>,
    next: u32,
}

#[derive(Debug)]
struct OpenPiece {
    piece: Arc<QueuePiece>,
    /// Tasks that have not ended, those running included.
    left: u64,
    running: usize,
    /// None of its tasks begins any more.
    is_dropped: bool,
}

impl OpenPiece {
    fn at_most(&self) -> usize {
        self.piece.at_most.map_or(usize::MAX, |at_most| at_most.max(1))
    }
}

impl OpenPieces {
    /// Adds a piece with this many tasks; returns its number.
    pub(super) fn add(&mut self, piece: QueuePiece, tasks: u64) -> u32 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        let open = OpenPiece { piece: Arc::new(piece), left: tasks, running: 0, is_dropped: false };
        self.open.insert(number, open);
        number
    }

    pub(super) fn get(&self, number: u32) -> Option<Arc<QueuePiece>> {
        self.open.get(&number).map(|open| Arc::clone(&open.piece))
    }

    /// Tasks that have not ended, those running included.
    pub(super) fn left(&self) -> u64 {
        self.open.values().map(|piece| piece.left).sum()
    }

    pub(super) fn has_block(&self, block: BlockId) -> bool {
        self.open.values().any(|open| open.piece.block == Some(block))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How many tasks may run, given the pieces with running tasks.
    pub(super) fn at_most(&self) -> usize {
        let running = self.open.values().filter(|piece| piece.running > 0);
        running.map(OpenPiece::at_most).min().unwrap_or(usize::MAX)
    }

    /// Notes that one of its tasks begins while this many of any piece run; `false` if that is too many for it.
    pub(super) fn begin(&mut self, number: u32, running: usize) -> bool {
        let piece = self.open.get_mut(&number).filter(|piece| running < piece.at_most());
        piece.map(|piece| piece.running += 1).is_some()
    }

    /// Notes that one of its tasks does not run any more. Where the piece was dropped, the task has ended; gives whether it
    /// is still to be run.
    pub(super) fn leave(&mut self, number: u32) -> bool {
        let Some(piece) = self.open.get_mut(&number) else { return false };
        piece.running -= 1;
        if !piece.is_dropped {
            return true;
        }
        self.end(number);
        false
    }

    /// Notes that one of its tasks has ended.
    pub(super) fn end(&mut self, number: u32) {
        if let Some(piece) = self.open.get_mut(&number) {
            piece.left -= 1;
            if piece.left == 0 {
                self.open.remove(&number);
            }
        }
    }

    /// Drops the pieces of a block; returns their numbers. Only their running tasks are left.
    pub(super) fn drop_block(&mut self, block: BlockId) -> Vec<u32> {
        let of_block = self.open.iter_mut().filter(|(_, open)| open.piece.block == Some(block));
        let dropped = of_block.map(|(number, open)| {
            open.is_dropped = true;
            open.left = open.running as u64;
            *number
        });
        let dropped = dropped.collect();
        self.open.retain(|_, open| open.left > 0);
        dropped
    }
}

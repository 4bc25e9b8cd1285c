//! The blocks that a launch holds: which of them a task is in, and the counts of their tasks.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::journal::task_states::{NotedTasks, TaskNote};
use crate::model::blocks::BlockId;
use crate::model::counts::TaskCounts;
use crate::model::product::MadeProducts;
use crate::model::shares::Share;

/// Blocks that are held, with the notes on their tasks.
#[derive(Debug, Default)]
pub(super) struct HeldBlocks {
    blocks: BTreeMap<BlockId, NotedTasks>,
    places: BlockPlaces,
    /// How the tasks of all of them stand.
    counts: TaskCounts,
}

impl HeldBlocks {
    /// Adds a block.
    pub(super) fn hold(&mut self, block: BlockId, tasks: NotedTasks) {
        self.release(block);
        self.places.add(block, tasks.indices());
        self.blocks.insert(block, tasks);
        self.sum_up();
    }

    /// Gives a block away; `None` where it is not held.
    pub(super) fn release(&mut self, block: BlockId) -> Option<NotedTasks> {
        let tasks = self.blocks.remove(&block)?;
        self.places.remove(tasks.indices());
        self.sum_up();
        Some(tasks)
    }

    fn sum_up(&mut self) {
        self.counts = self.blocks.values().map(NotedTasks::counts).sum();
    }

    /// How the tasks of all of them stand.
    pub(super) fn counts(&self) -> TaskCounts {
        self.counts
    }

    /// The tasks of a block.
    pub(super) fn get(&self, block: BlockId) -> Option<&NotedTasks> {
        self.blocks.get(&block)
    }

    /// Which of them a task is in.
    pub(super) fn block_of(&self, index: u64) -> Option<BlockId> {
        self.places.of(index).find(|block| self.blocks.get(block).is_some_and(|tasks| tasks.has(index)))
    }

    /// The note on a task of theirs.
    pub(super) fn note(&self, index: u64) -> Option<TaskNote> {
        self.blocks.get(&self.block_of(index)?)?.note(index)
    }

    /// The same, to be changed in what is not counted.
    pub(super) fn note_mut(&mut self, index: u64) -> Option<&mut TaskNote> {
        let block = self.block_of(index)?;
        self.blocks.get_mut(&block)?.note_mut(index)
    }

    /// Puts a note in the place of one before.
    pub(super) fn set(&mut self, index: u64, now: TaskNote) {
        let Some(block) = self.block_of(index) else { return };
        if let Some(before) = self.blocks.get_mut(&block).and_then(|tasks| tasks.set(index, now)) {
            now.count_for(before, &mut self.counts);
        }
    }

    /// Notes what one of their tasks made.
    pub(super) fn set_products(&mut self, index: u64, now: MadeProducts) {
        let Some(tasks) = self.block_of(index).and_then(|block| self.blocks.get_mut(&block)) else { return };
        let before = tasks.set_products(index, now);
        self.counts.products.change(before, now);
    }

    /// Index and products of their tasks that are ok and have made any, in list order.
    pub(super) fn with_products(&self) -> Vec<(u64, MadeProducts)> {
        let mut all: Vec<_> = self.blocks.values().flat_map(NotedTasks::with_products).collect();
        all.sort_unstable_by_key(|(index, _)| *index);
        all
    }

    /// The tasks of all of them, in list order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (u64, TaskNote)> + '_ {
        // Blocks of shares that are not contiguous lie within each other.
        let mut blocks: Vec<_> = self.blocks.values().map(|tasks| tasks.iter().peekable()).collect();
        let first = |(which, tasks): (usize, &mut std::iter::Peekable<_>)| {
            let (index, _): &(u64, TaskNote) = tasks.peek()?;
            Some(Reverse((*index, which)))
        };
        let mut heads: BinaryHeap<Reverse<(u64, usize)>> =
            blocks.iter_mut().enumerate().filter_map(first).collect();
        std::iter::from_fn(move || {
            let mut head = heads.peek_mut()?;
            let Reverse((_, which)) = *head;
            let task = blocks[which].next();
            match blocks[which].peek() {
                Some((index, _)) => *head = Reverse((*index, which)),
                None => _ = PeekMut::pop(head),
            }
            task
        })
    }
}

/// Where blocks lie in the list. The blocks of a share are disjoint and ascend, so that of those whose indices are evenly
/// spaced only one can have a task: the last that begins before it.
#[derive(Debug, Default)]
struct BlockPlaces {
    /// Blocks of evenly spaced indices, by their distance, what an index leaves when divided by it, and the first index.
    spaced: BTreeMap<(u64, u64, u64), BlockId>,
    /// These distances: one or two of them.
    steps: BTreeSet<u64>,
    /// Of every task that is named one by one.
    listed: BTreeMap<u64, BlockId>,
}

impl BlockPlaces {
    /// The position of a block with evenly spaced indices.
    fn spaced_place(indices: &Share) -> Option<(u64, u64, u64)> {
        match indices {
            Share::Range(range) => Some((1, 0, range.start)),
            Share::Stripe { start, step, .. } => Some((*step, start % step, *start)),
            Share::Listed(_) => None,
        }
    }

    fn add(&mut self, block: BlockId, indices: &Share) {
        if indices.is_empty() {
            return;
        }
        match Self::spaced_place(indices) {
            Some(place) => {
                self.steps.insert(place.0);
                self.spaced.insert(place, block);
            }
            None => self.listed.extend(indices.iter().map(|index| (index, block))),
        }
    }

    fn remove(&mut self, indices: &Share) {
        if indices.is_empty() {
            return;
        }
        match Self::spaced_place(indices) {
            Some(place) => _ = self.spaced.remove(&place),
            None => indices.iter().for_each(|index| _ = self.listed.remove(&index)),
        }
    }

    /// The blocks that a task can be in.
    fn of(&self, index: u64) -> impl Iterator<Item = BlockId> + '_ {
        let last = move |step: &u64| {
            let remainder = index % step;
            self.spaced.range((*step, remainder, 0)..=(*step, remainder, index)).next_back()
        };
        let spaced = self.steps.iter().filter_map(last).map(|(_, block)| *block);
        spaced.chain(self.listed.get(&index).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::HeldBlocks;
    use crate::journal::task_states::{NotedTasks, TaskNote};
    use crate::model::blocks::BlockId;
    use crate::model::counts::TaskState;
    use crate::model::shares::Share;

    fn id(round: u32, share: u32) -> BlockId {
        BlockId { round, share }
    }

    /// Ways to cut twenty tasks into blocks; each has all of them once.
    fn cuts() -> Vec<Vec<Share>> {
        let stripe = |start, end| Share::Stripe { start, step: 3, end };
        vec![
            vec![Share::Range(0..7), Share::Range(7..8), Share::Range(8..8), Share::Range(8..20)],
            vec![stripe(0, 9), stripe(9, 20), stripe(1, 14), stripe(16, 20), stripe(2, 20)],
            vec![
                Share::Listed(vec![0, 7, 19]),
                Share::Listed(vec![1, 2, 8, 9, 10, 18]),
                Share::Listed(Vec::new()),
                Share::Listed(vec![3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 17]),
            ],
        ]
    }

    #[test]
    fn tasks_of_blocks_that_come_and_go_are_found_counted_and_in_list_order() {
        for cut in cuts() {
            let blocks: Vec<(BlockId, Share)> =
                (1..).map(|share| id(share % 2, share)).zip(cut.iter().cloned()).collect();
            let mut held = HeldBlocks::default();
            for (block, indices) in &blocks {
                held.hold(*block, NotedTasks::new(indices.clone()).unwrap());
            }
            for index in 0..20 {
                let home = blocks.iter().find(|(_, indices)| indices.position_of(index).is_some()).unwrap().0;
                assert_eq!(held.block_of(index), Some(home), "{index} {cut:?}");
                let state = if index % 2 == 0 { TaskState::Ok } else { TaskState::Failed };
                let mut note: TaskNote = held.note(index).unwrap();
                note.state = state;
                held.set(index, note);
            }
            assert!(held.block_of(20).is_none() && held.note(20).is_none());
            assert!(held.in_order().map(|(index, _)| index).eq(0..20), "{cut:?}");
            assert_eq!((held.counts().files, held.counts().ok, held.counts().failed), (20, 10, 10));
            for (at, (block, indices)) in blocks.iter().enumerate() {
                let gone = held.release(*block).unwrap();
                assert!(gone.iter().map(|(index, _)| index).eq(indices.iter()));
                let rest: Vec<&Share> = blocks[at + 1..].iter().map(|(_, rest)| rest).collect();
                let has = |index: &u64| rest.iter().any(|rest| rest.position_of(*index).is_some());
                let left: Vec<u64> = (0..20).filter(has).collect();
                assert!(held.in_order().map(|(index, _)| index).eq(left.iter().copied()), "{cut:?}");
                assert_eq!(held.counts().files, left.len() as u64);
                assert!((0..20).all(|index| held.block_of(index).is_some() == left.contains(&index)));
            }
            assert!(held.release(id(0, 2)).is_none());
        }
    }
}

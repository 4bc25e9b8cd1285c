//! The state of each task according to the journals: which record counts and where it is, its attempts, and launches that died with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::event::{PublishingBegun, TaskEnded};
use crate::journal::held_blocks::HeldBlocks;
use crate::journal::launch_state::RunningAttempt;
use crate::journal::writer::RecordSpan;
use crate::model::blocks::BlockId;
use crate::model::counts::{TaskCounts, TaskState};
use crate::model::outcome::Cause;
use crate::model::product::{DirectoryId, MadeProducts};
use crate::model::quarantine::Suspect;
use crate::model::shares::Share;

/// One task's note: 24 bytes, since a share may have a million.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskNote {
    offset: u64,
    bytes: u32,
    replica: u32,
    launch: u32,
    /// Attempts begun over all launches.
    pub attempts: u16,
    /// What is known.
    pub state: TaskState,
    detail: EndDetail,
}

/// What a record tells beside the state that counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum EndDetail {
    /// Nothing.
    #[default]
    None,
    /// It is ok and has no result, although one was expected.
    NoResult,
    /// Why it failed.
    Failed(Cause),
}

const _: () = assert!(size_of::<TaskNote>() == 24);

impl TaskNote {
    /// Whether a journal holds its record.
    pub fn has_record(&self) -> bool {
        self.bytes > 0
    }

    /// Whether it is ok and has no result, although one was expected.
    pub fn has_no_result(&self) -> bool {
        self.detail == EndDetail::NoResult
    }

    /// Why it failed, if it did.
    pub fn cause(&self) -> Option<Cause> {
        match (self.state, self.detail) {
            (TaskState::Lost, _) => Some(Cause::Lost),
            (TaskState::Failed, EndDetail::Failed(cause)) => Some(cause),
            _ => None,
        }
    }

    /// Of several records of a task that are read in their order, the last one of the highest weight counts: ok before failed.
    fn weight(&self) -> (bool, bool) {
        (self.state == TaskState::Ok, self.state != TaskState::Unfinished)
    }

    /// Counts this note in the place of one before.
    pub(super) fn count_for(&self, before: Self, counts: &mut TaskCounts) {
        counts.change(before.state, self.state);
        counts.without_result = (counts.without_result + u64::from(self.has_no_result()))
            .saturating_sub(u64::from(before.has_no_result()));
    }

    /// Which launch made the record: the replica and the launch.
    pub fn made_by(&self) -> (u32, u32) {
        (self.replica, self.launch)
    }

    /// Where the record lies: in the journal of which replica's which launch, and where in that.
    pub(super) fn place(&self) -> ((u32, u32), RecordSpan) {
        (self.made_by(), RecordSpan { offset: self.offset, bytes: self.bytes })
    }
}

/// Tasks that are tracked together: those of a share, or of a block.
#[derive(Debug)]
pub struct NotedTasks {
    indices: Share,
    notes: Vec<TaskNote>,
    /// What each made; empty as long as none has made anything.
    products: Vec<MadeProducts>,
    counts: TaskCounts,
}

impl NotedTasks {
    /// Of which nothing is known yet.
    ///
    /// # Errors
    /// When there are more than there can be in memory.
    pub(super) fn new(indices: Share) -> anyhow::Result<Self> {
        Ok(Self {
            notes: vec![TaskNote::default(); usize::try_from(indices.len())?],
            products: Vec::new(),
            counts: TaskCounts { files: indices.len(), ..TaskCounts::default() },
            indices,
        })
    }

    /// Which ones.
    pub fn indices(&self) -> &Share {
        &self.indices
    }

    /// How they stand.
    pub fn counts(&self) -> TaskCounts {
        self.counts
    }

    /// Whether a task is one of them.
    pub(super) fn has(&self, index: u64) -> bool {
        self.indices.position_of(index).is_some()
    }

    fn place(&self, index: u64) -> Option<usize> {
        usize::try_from(self.indices.position_of(index)?).ok()
    }

    /// The note on one of them.
    pub(super) fn note(&self, index: u64) -> Option<TaskNote> {
        self.notes.get(self.place(index)?).copied()
    }

    /// The same, to be changed in what is not counted.
    pub(super) fn note_mut(&mut self, index: u64) -> Option<&mut TaskNote> {
        let place = self.place(index)?;
        self.notes.get_mut(place)
    }

    /// Puts a note in the place of one before, and gives that; `None` where the task is none of these.
    pub(super) fn set(&mut self, index: u64, now: TaskNote) -> Option<TaskNote> {
        let before = std::mem::replace(self.note_mut(index)?, now);
        now.count_for(before, &mut self.counts);
        Some(before)
    }

    /// What one of them made.
    pub(super) fn products(&self, index: u64) -> MadeProducts {
        self.place(index).and_then(|place| self.products.get(place)).copied().unwrap_or_default()
    }

    /// Notes what one of them made, and gives what was noted before.
    pub(super) fn set_products(&mut self, index: u64, now: MadeProducts) -> MadeProducts {
        let Some(place) = self.place(index) else { return now };
        if self.products.is_empty() {
            if now.count == 0 {
                return now;
            }
            self.products = vec![MadeProducts::default(); self.notes.len()];
        }
        let before = std::mem::replace(&mut self.products[place], now);
        self.counts.products.change(before, now);
        before
    }

    /// Index and products of those that are ok and have made any, in list order.
    pub fn with_products(&self) -> impl Iterator<Item = (u64, MadeProducts)> + '_ {
        let all = self.iter().zip(self.products.iter().copied());
        let made = all.filter(|((_, note), made)| note.state == TaskState::Ok && made.count > 0);
        made.map(|((index, _), made)| (index, made))
    }

    /// Index and note of each, in list order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, TaskNote)> + '_ {
        self.indices.iter().zip(self.notes.iter().copied())
    }
}

/// A block on its way from one table to another: its tasks with all that is known of them.
#[derive(Debug)]
pub struct BlockTasks {
    tasks: NotedTasks,
    suspects: BTreeMap<u64, Suspect>,
    directories: BTreeSet<(u64, DirectoryId)>,
}

impl BlockTasks {
    /// Of which nothing is known yet.
    ///
    /// # Errors
    /// When there are more than there can be in memory.
    pub fn new(indices: Share) -> anyhow::Result<Self> {
        let tasks = NotedTasks::new(indices)?;
        Ok(Self { tasks, suspects: BTreeMap::new(), directories: BTreeSet::new() })
    }
}

/// Which tasks are tracked.
#[derive(Debug)]
enum TableScope {
    /// The tasks of a share, and any others in the journals, by index.
    Share { own: NotedTasks, others: BTreeMap<u64, TaskNote> },
    /// Only the tasks of the held blocks: they may be many.
    Blocks(HeldBlocks),
}

/// Tasks and what is known of each: those of a share and whichever others the journals tell of, or those of the blocks that
/// are held.
#[derive(Debug)]
pub struct TaskTable {
    scope: TableScope,
    /// By index, tasks that were running when a container died and have not ended since, or that ran out of memory.
    pub suspects: BTreeMap<u64, Suspect>,
    /// Directories that tasks made and that got, or were about to get, the names of products, by the task's index.
    directories: BTreeSet<(u64, DirectoryId)>,
}

impl TaskTable {
    /// Of a share, of which nothing is known yet.
    ///
    /// # Errors
    /// When the share has more tasks than there can be in memory.
    pub(super) fn new(share: Share) -> anyhow::Result<Self> {
        let scope = TableScope::Share { own: NotedTasks::new(share)?, others: BTreeMap::new() };
        Ok(Self { scope, suspects: BTreeMap::new(), directories: BTreeSet::new() })
    }

    /// Of blocks, none of which is held yet.
    pub(super) fn of_blocks() -> Self {
        let scope = TableScope::Blocks(HeldBlocks::default());
        Self { scope, suspects: BTreeMap::new(), directories: BTreeSet::new() }
    }

    /// Adds a block. A table of a share has none.
    pub fn hold(&mut self, block: BlockId, BlockTasks { tasks, suspects, directories }: BlockTasks) {
        if let TableScope::Blocks(held) = &mut self.scope {
            held.hold(block, tasks);
            self.suspects.extend(suspects);
            self.directories.extend(directories);
        }
    }

    /// Gives a block away with all that is known of its tasks; `None` where it is not held.
    pub fn release(&mut self, block: BlockId) -> Option<BlockTasks> {
        let TableScope::Blocks(held) = &mut self.scope else { return None };
        let tasks = held.release(block)?;
        let all = std::mem::take(&mut self.suspects);
        let (suspects, others) = all.into_iter().partition(|(index, _)| tasks.has(*index));
        self.suspects = others;
        let all = std::mem::take(&mut self.directories);
        let (directories, others) = all.into_iter().partition(|(index, _)| tasks.has(*index));
        self.directories = others;
        Some(BlockTasks { tasks, suspects, directories })
    }

    /// Adds newly found records of a held block, for tasks that had none.
    pub fn learn(&mut self, block: BlockId, known: &BlockTasks) {
        let TableScope::Blocks(held) = &mut self.scope else { return };
        if held.get(block).is_none() {
            return;
        }
        for (index, note) in known.tasks.iter().filter(|(_, note)| note.has_record()) {
            let before = held.note(index).unwrap_or_default();
            if note.weight() > before.weight() {
                let attempts = before.attempts.max(note.attempts);
                held.set(index, TaskNote { attempts, ..note });
                held.set_products(index, known.tasks.products(index));
                self.suspects.remove(&index);
            }
        }
    }

    /// How the tasks of the share stand, or of the blocks that are held.
    pub fn counts(&self) -> TaskCounts {
        match &self.scope {
            TableScope::Share { own, .. } => own.counts(),
            TableScope::Blocks(held) => held.counts(),
        }
    }

    /// A block that is held.
    pub fn block(&self, block: BlockId) -> Option<&NotedTasks> {
        match &self.scope {
            TableScope::Share { .. } => None,
            TableScope::Blocks(held) => held.get(block),
        }
    }

    /// Which of the blocks that are held a task is in.
    pub fn block_of(&self, index: u64) -> Option<BlockId> {
        match &self.scope {
            TableScope::Share { .. } => None,
            TableScope::Blocks(held) => held.block_of(index),
        }
    }

    /// Whether the task at this index is tracked.
    pub fn is_noted(&self, index: u64) -> bool {
        match &self.scope {
            TableScope::Share { .. } => true,
            TableScope::Blocks(held) => held.block_of(index).is_some(),
        }
    }

    /// The state of the task at an index; the default one if nothing is known about it.
    pub fn get(&self, index: u64) -> TaskNote {
        let note = match &self.scope {
            TableScope::Share { own, others } => own.note(index).or_else(|| others.get(&index).copied()),
            TableScope::Blocks(held) => held.note(index),
        };
        note.unwrap_or_default()
    }

    /// The tasks of the share: index and note, in list order. A table of blocks has none.
    pub fn of_share(&self) -> impl Iterator<Item = (u64, TaskNote)> + '_ {
        let own = match &self.scope {
            TableScope::Share { own, .. } => Some(own.iter()),
            TableScope::Blocks(_) => None,
        };
        own.into_iter().flatten()
    }

    /// All tasks that are of the share or held, and in a table of a share whichever others are known: index and note, in list
    /// order.
    pub fn all(&self) -> Box<dyn Iterator<Item = (u64, TaskNote)> + '_> {
        match &self.scope {
            TableScope::Share { own, others } => Box::new(with_others(own, others)),
            TableScope::Blocks(held) => Box::new(held.in_order()),
        }
    }

    /// The indices of tasks that are ok and have no result, although one was expected.
    pub fn without_result(&self) -> impl Iterator<Item = u64> + '_ {
        self.all().filter(|(_, note)| note.has_no_result()).map(|(index, _)| index)
    }

    /// Notes that an attempt begins; gives its number over all launches, from 1.
    pub fn begin_attempt(&mut self, index: u64) -> u32 {
        let Some(note) = self.note_mut(index) else { return 1 };
        note.attempts = note.attempts.saturating_add(1);
        u32::from(note.attempts)
    }

    /// Takes back that an attempt began.
    pub fn take_back_attempt(&mut self, index: u64) {
        if let Some(note) = self.note_mut(index) {
            note.attempts = note.attempts.saturating_sub(1);
        }
    }

    /// Notes which directories of a task are about to get their final names.
    pub fn note_directories(&mut self, announced: &PublishingBegun) {
        if self.is_noted(announced.index) {
            self.directories.extend(announced.directories().map(|directory| (announced.index, directory)));
        }
    }

    /// Whether an attempt of a task in this run made this directory.
    pub fn has_made(&self, index: u64, directory: DirectoryId) -> bool {
        let of_inode = (index, DirectoryId { born: None, ..directory })..;
        let mut of_task = self.directories.range(of_inode).take_while(|(task, _)| *task == index);
        of_task.any(|(_, known)| known.may_be(directory))
    }

    /// Notes how an attempt ended.
    pub(super) fn end_attempt(&mut self, index: u64, cause: Option<Cause>) {
        if cause != Some(Cause::Oom) {
            self.suspects.remove(&index);
        } else if self.is_noted(index) {
            self.suspects.insert(index, Suspect { is_hungry: true, ..Suspect::default() });
        }
    }

    /// Notes a record that lies in the journal of a replica's launch, read after all that were written before it.
    pub fn end(&mut self, ended: TaskEnded, (replica, launch): (u32, u32), span: RecordSpan) {
        let state = ended.state();
        if state == TaskState::Unfinished {
            return;
        }
        self.end_attempt(ended.index, ended.cause);
        let before = self.get(ended.index);
        let RecordSpan { offset, bytes } = span;
        let detail = match (state, ended.cause) {
            (TaskState::Ok, _) if ended.no_result => EndDetail::NoResult,
            (TaskState::Failed | TaskState::Lost, Some(cause)) => EndDetail::Failed(cause),
            _ => EndDetail::None,
        };
        let now = TaskNote { offset, bytes, replica, launch, state, detail, ..before };
        if now.weight() >= before.weight() {
            self.set(ended.index, now);
            let made = ended.products.filter(|_| state == TaskState::Ok);
            self.set_products(ended.index, made.unwrap_or_default());
        }
    }

    /// Notes that the record of an ok task no longer counts, since it must be run again.
    pub fn make_due_again(&mut self, index: u64) {
        let note = self.get(index);
        if note.state == TaskState::Ok {
            let now = TaskNote { state: TaskState::Unfinished, bytes: 0, detail: EndDetail::None, ..note };
            self.set(index, now);
            self.set_products(index, MadeProducts::default());
        }
    }

    /// Notes that a container died while these attempts ran in it.
    pub(super) fn note_death(&mut self, running: &BTreeMap<u64, RunningAttempt>, had_room: bool) {
        for (&index, attempt) in running {
            let note = self.get(index);
            if note.state == TaskState::Ok || !self.is_noted(index) || attempt.is_publishing {
                continue;
            }
            if attempt.alone {
                // The record of an earlier failure is not the record of this.
                self.set(index, TaskNote { state: TaskState::Lost, bytes: 0, ..note });
                self.suspects.remove(&index);
            } else {
                let suspect = self.suspects.entry(index).or_default();
                suspect.deaths += 1;
                suspect.had_room = had_room;
            }
        }
    }

    /// Removes the note that a task died alone with a container, if there is no record of it.
    pub fn forget_unwritten_loss(&mut self, index: u64) {
        let note = self.get(index);
        if note.state == TaskState::Lost && !note.has_record() {
            self.set(index, TaskNote { state: TaskState::Unfinished, ..note });
        }
    }

    /// The note of a task, to be changed in what is not counted; `None` for one that is not noted.
    fn note_mut(&mut self, index: u64) -> Option<&mut TaskNote> {
        match &mut self.scope {
            TableScope::Share { own, others } => {
                Some(own.note_mut(index).unwrap_or_else(|| others.entry(index).or_default()))
            }
            TableScope::Blocks(held) => held.note_mut(index),
        }
    }

    fn set(&mut self, index: u64, now: TaskNote) {
        match &mut self.scope {
            TableScope::Share { own, others } => {
                if own.set(index, now).is_none() {
                    others.insert(index, now);
                }
            }
            TableScope::Blocks(held) => held.set(index, now),
        }
    }

    /// Notes what a task of the share, or of a block that is held, made.
    fn set_products(&mut self, index: u64, now: MadeProducts) {
        match &mut self.scope {
            TableScope::Share { own, .. } => _ = own.set_products(index, now),
            TableScope::Blocks(held) => held.set_products(index, now),
        }
    }

    /// Index and products of the tasks of the share, or of the blocks that are held, that are ok and have made any, in list
    /// order.
    pub fn with_products(&self) -> Vec<(u64, MadeProducts)> {
        match &self.scope {
            TableScope::Share { own, .. } => own.with_products().collect(),
            TableScope::Blocks(held) => held.with_products(),
        }
    }
}

/// The tasks of a share and others, in list order.
fn with_others<'t>(
    own: &'t NotedTasks,
    others: &'t BTreeMap<u64, TaskNote>,
) -> impl Iterator<Item = (u64, TaskNote)> + 't {
    let (mut own, mut others) = (own.iter().peekable(), others.iter().peekable());
    std::iter::from_fn(move || match (own.peek(), others.peek()) {
        (Some((one, _)), Some((other, _))) if one < other => own.next(),
        (_, Some(_)) => others.next().map(|(index, note)| (*index, *note)),
        (_, None) => own.next(),
    })
}

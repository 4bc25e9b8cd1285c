//! What journals tell of each task: which record counts and where it lies, how often it was tried, what died around it.

use std::collections::BTreeMap;

use crate::journal::event::TaskEnded;
use crate::journal::launch_state::RunningAttempt;
use crate::journal::writer::RecordSpan;
use crate::model::counts::{TaskCounts, TaskState};
use crate::model::outcome::Cause;
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
    /// Whether it is ok and has no result, although one was expected.
    pub no_result: bool,
}

const _: () = assert!(size_of::<TaskNote>() == 24);

impl TaskNote {
    /// Whether a journal holds its record.
    pub fn has_record(&self) -> bool {
        self.bytes > 0
    }

    /// Of several records of a task, the one with the highest rank counts: ok before failed, then the newest.
    pub fn rank(&self) -> (bool, bool, u32, u32) {
        (self.state == TaskState::Ok, self.state != TaskState::Unfinished, self.launch, self.replica)
    }

    /// Whose launch made the record: the replica and the launch.
    pub fn made_by(&self) -> (u32, u32) {
        (self.replica, self.launch)
    }

    /// Where the record lies: in the journal of which replica's which launch, and where in that.
    pub(super) fn place(&self) -> ((u32, u32), RecordSpan) {
        (self.made_by(), RecordSpan { offset: self.offset, bytes: self.bytes })
    }
}

/// The tasks of a share, and whichever others the journals tell of.
#[derive(Debug)]
pub struct TaskTable {
    share: Share,
    own: Vec<TaskNote>,
    /// Tasks of other shares, by index.
    others: BTreeMap<u64, TaskNote>,
    counts: TaskCounts,
    /// By index, tasks that were running when a container died and have not ended since, or that ran out of memory.
    pub suspects: BTreeMap<u64, Suspect>,
}

impl TaskTable {
    /// Of which nothing is known yet.
    ///
    /// # Errors
    /// When the share has more tasks than there can be in memory.
    pub(super) fn new(share: Share) -> anyhow::Result<Self> {
        Ok(Self {
            own: vec![TaskNote::default(); usize::try_from(share.len())?],
            counts: TaskCounts { files: share.len(), ..TaskCounts::default() },
            share,
            others: BTreeMap::new(),
            suspects: BTreeMap::new(),
        })
    }

    /// How the tasks of the share stand.
    pub fn counts(&self) -> TaskCounts {
        self.counts
    }

    /// The note of the task at an index; the default one where nothing is known of it.
    pub fn get(&self, index: u64) -> TaskNote {
        match self.position(index) {
            Some(position) => self.own[position],
            None => self.others.get(&index).copied().unwrap_or_default(),
        }
    }

    /// The tasks of the share: index and note, in list order.
    pub fn of_share(&self) -> impl Iterator<Item = (u64, TaskNote)> + '_ {
        self.share.iter().zip(self.own.iter().copied())
    }

    /// All tasks that are known or of the share: index and note, in list order.
    pub fn all(&self) -> impl Iterator<Item = (u64, TaskNote)> + '_ {
        let (mut own, mut others) = (self.of_share().peekable(), self.others.iter().peekable());
        std::iter::from_fn(move || match (own.peek(), others.peek()) {
            (Some((one, _)), Some((other, _))) if one < other => own.next(),
            (_, Some(_)) => others.next().map(|(index, note)| (*index, *note)),
            (_, None) => own.next(),
        })
    }

    /// The indices of tasks that are ok and have no result, although one was expected.
    pub fn without_result(&self) -> impl Iterator<Item = u64> + '_ {
        self.all().filter(|(_, note)| note.no_result).map(|(index, _)| index)
    }

    /// Notes that an attempt begins; gives its number over all launches, from 1.
    pub fn begin_attempt(&mut self, index: u64) -> u32 {
        let attempts = &mut self.note_mut(index).attempts;
        *attempts = attempts.saturating_add(1);
        u32::from(*attempts)
    }

    /// Takes back that an attempt began.
    pub fn take_back_attempt(&mut self, index: u64) {
        let attempts = &mut self.note_mut(index).attempts;
        *attempts = attempts.saturating_sub(1);
    }

    /// Notes how an attempt ended.
    pub(super) fn end_attempt(&mut self, index: u64, cause: Option<Cause>) {
        if cause == Some(Cause::Oom) {
            self.suspects.insert(index, Suspect { is_hungry: true, ..Suspect::default() });
        } else {
            self.suspects.remove(&index);
        }
    }

    /// Notes a record that lies in the journal of a replica's launch.
    pub fn end(&mut self, ended: TaskEnded, (replica, launch): (u32, u32), span: RecordSpan) {
        let state = ended.state();
        if state == TaskState::Unfinished {
            return;
        }
        self.end_attempt(ended.index, ended.cause);
        let before = self.get(ended.index);
        let RecordSpan { offset, bytes } = span;
        let no_result = state == TaskState::Ok && ended.no_result;
        let now = TaskNote { offset, bytes, replica, launch, state, no_result, ..before };
        if now.rank() >= before.rank() {
            self.set(ended.index, now);
        }
    }

    /// Notes that a container died while these attempts ran in it.
    pub(super) fn note_death(&mut self, running: &BTreeMap<u64, RunningAttempt>, had_room: bool) {
        for (&index, attempt) in running {
            let note = self.get(index);
            if note.state == TaskState::Ok {
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

    fn position(&self, index: u64) -> Option<usize> {
        self.share.position_of(index).and_then(|position| usize::try_from(position).ok())
    }

    fn note_mut(&mut self, index: u64) -> &mut TaskNote {
        match self.position(index) {
            Some(position) => &mut self.own[position],
            None => self.others.entry(index).or_default(),
        }
    }

    fn set(&mut self, index: u64, now: TaskNote) {
        let before = std::mem::replace(self.note_mut(index), now);
        if self.share.position_of(index).is_some() {
            self.counts.change(before.state, now.state);
            self.counts.without_result += u64::from(now.no_result);
            self.counts.without_result -= u64::from(before.no_result);
        }
    }
}

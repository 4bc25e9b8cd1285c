//! The task queue. All slots take tasks from here, in list order; a retry comes when its pause is over. Tasks that may have killed
//! a container, or need all of its memory, come last. The queue may be refilled while tasks run.

use std::cmp::Reverse;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::host::shortage;
use crate::model::blocks::BlockId;
use crate::run::early_stop::EarlyStop;
use crate::run::queue::pieces::OpenPieces;
use crate::run::queue::stage::{STAGES, StageQueue};
use crate::threads::{locked, wait};

pub use crate::run::queue::pieces::QueuePiece;
pub use crate::run::queue::stage::{Stage, TasksByStage, Ticket};

mod pieces;
mod stage;

/// Whether tasks will be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// More may come soon: the later stages don't begin, and slots wait.
    Expected,
    /// Nothing more is available for now: the later stages may begin, and slots wait.
    Idle,
    /// Nothing more will come: slots end when nothing is left.
    Ended,
}

/// Whether the queue could do with more tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// At least as many wait as there are slots.
    Enough,
    /// Fewer wait than there are slots.
    More,
    /// None waits or runs.
    All,
    /// Nothing is given out any more: the queue stopped early, or its supply has ended and nothing is left.
    Over,
}

#[derive(Debug)]
struct QueueState {
    stages: [StageQueue; STAGES],
    pieces: OpenPieces,
    supply: Supply,
    /// At most this many at once, because of a shortage of processes or descriptors.
    limit: usize,
    /// At most this many at once, because of memory; at least 1.
    allowed: usize,
    /// Nothing is started before this.
    paused_until: Option<Instant>,
    backoffs: u32,
    early_stop: Option<EarlyStop>,
    /// Tasks that run by the count of their stages, and of which nothing is left but to publish what they made.
    publishing: usize,
    /// Slots that wait for a change.
    waiting: usize,
    /// The demand that the feeder waits for.
    awaited: Option<Demand>,
    /// Slots that may keep processes between tasks.
    holding: usize,
}

/// Whether a slot may keep a process alive from its last task.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HoldsWorker(bool);

/// The tasks of a launch.
#[derive(Debug)]
pub struct TaskQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
    /// For the feeder, so that not every change wakes it.
    demanded: Condvar,
    jobs: usize,
}

impl TaskQueue {
    /// For tasks that will be added, at most `jobs` at once.
    pub fn new(jobs: usize) -> Self {
        let state = QueueState {
            stages: Default::default(),
            pieces: OpenPieces::default(),
            supply: Supply::Expected,
            limit: jobs,
            allowed: jobs,
            paused_until: None,
            backoffs: 0,
            early_stop: None,
            publishing: 0,
            waiting: 0,
            awaited: None,
            holding: 0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), demanded: Condvar::new(), jobs }
    }

    /// For these tasks and no others.
    #[cfg(test)]
    pub fn of(tasks: TasksByStage, jobs: usize) -> Self {
        let queue = Self::new(jobs);
        queue.add_some(tasks);
        queue.set_supply(Supply::Ended);
        queue
    }

    /// Adds tasks without any history.
    #[cfg(test)]
    pub fn add_some(&self, tasks: TasksByStage) {
        self.add(QueuePiece::without_entries(None, None), tasks);
    }

    /// Adds tasks of a piece: those at these positions in it. They come after those that wait already, stage by stage. The
    /// piece is kept until the last of them has ended.
    pub fn add(&self, piece: QueuePiece, tasks: TasksByStage) {
        let left = tasks.len();
        if left == 0 {
            return;
        }
        self.change(|state| {
            let number = state.pieces.add(piece, left);
            state.stage(Stage::Ordinary).add(number, tasks.ordinary);
            state.stage(Stage::Suspect).add(number, tasks.suspects);
            state.stage(Stage::Alone).add(number, tasks.alone);
        });
    }

    /// Sets whether more will be added.
    pub fn set_supply(&self, supply: Supply) {
        self.change(|state| state.supply = supply);
    }

    /// Waits until fewer ordinary tasks wait than there are slots, or no more tasks start, for at most this long.
    /// Tasks in a pause before a retry do not count, nor do those of later stages. For one thread at a
    /// time.
    pub fn wait_for_demand(&self, time: Duration) -> Demand {
        self.wait_for(Demand::More, time)
    }

    /// Waits until no more tasks start, for at most this long; returns whether that is so. For the same thread.
    pub fn wait_until_over(&self, time: Duration) -> bool {
        self.wait_for(Demand::Over, time) == Demand::Over
    }

    /// The same, but also no longer than tasks run or wait, where some do now.
    pub fn wait_until_empty_or_over(&self, time: Duration) -> bool {
        let state = self.state();
        let least = if state.pieces.is_empty() { Demand::Over } else { Demand::All };
        self.wait_in(state, least, time) == Demand::Over
    }

    fn wait_for(&self, least: Demand, time: Duration) -> Demand {
        self.wait_in(self.state(), least, time)
    }

    fn wait_in(&self, mut state: MutexGuard<'_, QueueState>, least: Demand, time: Duration) -> Demand {
        let begun = Instant::now();
        loop {
            let now = Instant::now();
            let demand = state.demand(self.jobs, now);
            let left = time.saturating_sub(now - begun);
            if demand >= least || left.is_zero() {
                return demand;
            }
            state.awaited = Some(least);
            state = wait(&self.demanded, state, Some(left));
            state.awaited = None;
        }
    }

    /// Whether tasks of a block wait or run.
    pub fn has_block(&self, block: BlockId) -> bool {
        self.state().pieces.has_block(block)
    }

    /// Takes away what has not begun of a block, retries included; gives how many tasks that were. A task of it that runs
    /// does not come back: it ends with its attempt.
    pub fn drop_block(&self, block: BlockId) -> u64 {
        self.change(|state| state.drop_block(block))
    }

    /// The piece that a running task came with.
    pub fn piece(&self, ticket: Ticket) -> Option<Arc<QueuePiece>> {
        self.state().pieces.get(ticket.piece)
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        locked(&self.state)
    }

    /// Changes the state and wakes all waiting threads.
    fn change<T>(&self, change: impl FnOnce(&mut QueueState) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        self.wake(state);
        result
    }

    /// Wakes all waiting threads. Notifying is a system call even if no thread waits.
    fn wake(&self, state: MutexGuard<'_, QueueState>) {
        let somebody_waits = state.waiting > 0;
        self.wake_supplier(state);
        if somebody_waits {
            self.changed.notify_all();
        }
    }

    /// Wakes the feeder, if there is the demand that it waits for.
    fn wake_supplier(&self, mut state: MutexGuard<'_, QueueState>) {
        let is_due = state.awaited.is_some_and(|least| state.demand(self.jobs, Instant::now()) >= least);
        if is_due {
            state.awaited = None;
            drop(state);
            self.demanded.notify_all();
        }
    }

    /// Waits for a change, or for this long.
    fn wait<'s>(
        &self,
        mut state: MutexGuard<'s, QueueState>,
        time: Option<Duration>,
    ) -> MutexGuard<'s, QueueState> {
        state.waiting += 1;
        let mut state = wait(&self.changed, state, time);
        state.waiting -= 1;
        state
    }

    /// The next task, once there is one that may start; `None` when there will be none. For slots that keep nothing between
    /// tasks.
    #[cfg(test)]
    pub fn next(&self) -> Option<Ticket> {
        self.next_for(&mut HoldsWorker(false), || {}).inspect(|_| self.state().holding -= 1)
    }

    /// The same for a slot that may keep processes. It has to let go of them before a task runs alone, and while the slot is
    /// idle, since others can use the memory.
    pub fn next_for(&self, holds: &mut HoldsWorker, mut let_go: impl FnMut()) -> Option<Ticket> {
        let mut state = self.state();
        loop {
            match state.look(Instant::now(), holds) {
                QueueLook::Take(ticket) => {
                    self.wake_supplier(state);
                    return Some(ticket);
                }
                QueueLook::End => {
                    self.wake(state);
                    return None;
                }
                QueueLook::LetGo => {
                    drop(state);
                    let_go();
                    state = self.state();
                    *holds = HoldsWorker(false);
                    state.holding -= 1;
                    self.wake(state);
                    state = self.state();
                }
                QueueLook::Wait(time) => state = self.wait(state, time),
            }
        }
    }

    /// The command of a running task has ended, and another may begin in its place while its products are published. The
    /// outcome of the task is reported with the ticket that this returns.
    pub fn publish(&self, ticket: Ticket) -> Ticket {
        self.change(|state| state.publishing += 1);
        Ticket { is_publishing: true, ..ticket }
    }

    /// The task ended.
    pub fn complete(&self, ticket: Ticket) {
        self.change(|state| {
            state.end(ticket);
            state.backoffs = 0;
            state.limit = (state.limit + 1).min(self.jobs);
        });
    }

    /// The task did not run and must not be run here any more.
    pub fn abandon(&self, ticket: Ticket) {
        self.change(|state| state.end(ticket));
    }

    /// The task did not run and is still to be run. For a queue that stopped early.
    pub fn release(&self, ticket: Ticket) {
        let next = Ticket { is_publishing: false, ..ticket };
        self.change(|state| state.put_back(ticket, |line| line.returned.push_front(next)));
    }

    /// The task is due again after `pause`, unless its block was dropped: then it has ended.
    pub fn retry_after(&self, ticket: Ticket, pause: Duration) {
        let due = Instant::now() + pause;
        let next = Ticket { tried: ticket.tried + 1, is_publishing: false, ..ticket };
        self.change(|state| state.put_back(ticket, |line| line.retries.push(Reverse((due, next)))));
    }

    /// The task must run again alone in the container, once all others have ended, unless its block was dropped: then it
    /// has ended. That does not count as a try.
    pub fn retry_exclusive(&self, ticket: Ticket) {
        let next = Ticket { stage: Stage::Alone, is_publishing: false, ..ticket };
        self.change(|state| {
            if state.leave(ticket) {
                state.stage(Stage::Alone).added.push_back(next);
            }
        });
    }

    /// From now on at most this many at once, because of memory. One may always start when nothing runs.
    pub fn set_max_concurrency(&self, at_once: usize) {
        let mut state = self.state();
        let more = at_once > state.allowed;
        state.allowed = at_once.max(1);
        if more {
            self.wake(state);
        }
    }

    /// The task could not be started, since the system is short of processes, descriptors or memory: it comes again after a
    /// pause, with fewer beside it. `false` when that has not helped for a minute.
    pub fn backoff(&self, ticket: Ticket) -> bool {
        self.change(|state| {
            state.put_back(ticket, |line| line.returned.push_front(ticket));
            let running = state.running();
            state.limit = running.max(1);
            state.paused_until = Some(Instant::now() + shortage::PAUSE);
            state.backoffs = if running == 0 { state.backoffs + 1 } else { 0 };
            state.backoffs < shortage::MOST_PAUSES
        })
    }

    /// Gives nothing out any more. Of several reasons the most severe counts; `false` when that is an earlier one.
    pub fn stop_early(&self, why: EarlyStop) -> bool {
        self.change(|state| {
            let counts = why.replaces(state.early_stop.as_ref());
            if counts {
                state.early_stop = Some(why);
            }
            counts
        })
    }

    /// Why nothing is given out any more, if so.
    pub fn early_stop(&self) -> Option<EarlyStop> {
        self.state().early_stop.clone()
    }

    /// Tasks with a running command.
    pub fn running(&self) -> usize {
        self.state().running()
    }

    /// Whether the maximum number is running.
    pub fn is_busy(&self) -> bool {
        let state = self.state();
        state.stage_in_turn().is_some_and(|stage| state.running() >= state.most(stage))
    }

    /// Tasks that only have to publish their products.
    pub fn publishing(&self) -> usize {
        self.state().publishing
    }

    /// Tasks that were added and have not ended, those running included.
    pub fn left(&self) -> u64 {
        self.state().pieces.left()
    }
}

enum QueueLook {
    Take(Ticket),
    LetGo,
    Wait(Option<Duration>),
    End,
}

impl QueueState {
    fn look(&mut self, now: Instant, holds: &mut HoldsWorker) -> QueueLook {
        if self.early_stop.is_some() {
            return QueueLook::End;
        }
        let Some(stage) = self.stage_in_turn() else {
            return match self.supply {
                Supply::Ended => QueueLook::End,
                Supply::Idle if holds.0 => QueueLook::LetGo,
                Supply::Expected | Supply::Idle => QueueLook::Wait(None),
            };
        };
        let may_begin = stage == Stage::Ordinary || self.supply != Supply::Expected;
        let is_full = self.running() >= self.most(stage);
        let is_empty = !may_begin || self.stages.iter().all(|line| line.waiting() == 0);
        // What is expected comes soon, and a kept process may have taken long to start. What runs alone does so in a fresh one.
        let is_idle = is_full || (is_empty && self.supply != Supply::Expected);
        if holds.0 && (is_idle || (stage == Stage::Alone && may_begin)) {
            return QueueLook::LetGo;
        }
        if is_full || is_empty || (stage == Stage::Alone && self.holding > 0) {
            return QueueLook::Wait(None);
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return QueueLook::Wait(Some(until - now));
        }
        self.take(stage, now, holds)
    }

    fn take(&mut self, stage: Stage, now: Instant, holds: &mut HoldsWorker) -> QueueLook {
        let running = self.running();
        let line = &mut self.stages[stage as usize];
        let Some(ticket) = line.next(stage, now) else { return QueueLook::Wait(line.next_retry(now)) };
        if !self.pieces.begin(ticket.piece, running) {
            line.returned.push_front(ticket);
            return if holds.0 { QueueLook::LetGo } else { QueueLook::Wait(None) };
        }
        line.running += 1;
        self.holding += usize::from(!holds.0);
        *holds = HoldsWorker(true);
        QueueLook::Take(ticket)
    }

    /// The first stage with tasks left. A task that runs alone continues to do so whatever was added meanwhile.
    fn stage_in_turn(&self) -> Option<Stage> {
        if self.stages[Stage::Alone as usize].running > 0 {
            return Some(Stage::Alone);
        }
        let mut stages = [Stage::Ordinary, Stage::Suspect, Stage::Alone].into_iter();
        stages.find(|stage| self.stages[*stage as usize].has_unfinished())
    }

    /// How many tasks may run at once.
    fn most(&self, stage: Stage) -> usize {
        if stage == Stage::Alone {
            return 1;
        }
        self.limit.min(self.allowed).min(self.pieces.at_most())
    }

    fn demand(&self, slots: usize, now: Instant) -> Demand {
        if self.early_stop.is_some() || (self.supply == Supply::Ended && self.pieces.is_empty()) {
            Demand::Over
        } else if self.pieces.is_empty() {
            Demand::All
        } else if self.stages[Stage::Ordinary as usize].is_low(slots, now) {
            Demand::More
        } else {
            Demand::Enough
        }
    }

    fn stage(&mut self, stage: Stage) -> &mut StageQueue {
        &mut self.stages[stage as usize]
    }

    fn running(&self) -> usize {
        self.stages.iter().map(|line| line.running).sum::<usize>() - self.publishing
    }

    /// Notes that a task does not run any more; gives whether it is still to be run.
    fn leave(&mut self, ticket: Ticket) -> bool {
        self.stage(ticket.stage).running -= 1;
        self.publishing -= usize::from(ticket.is_publishing);
        self.pieces.leave(ticket.piece)
    }

    /// Notes that a running task has ended.
    fn end(&mut self, ticket: Ticket) {
        if self.leave(ticket) {
            self.pieces.end(ticket.piece);
        }
    }

    /// Notes that a task does not run any more and, if it is still to be run, where it waits in its stage.
    fn put_back(&mut self, ticket: Ticket, put: impl FnOnce(&mut StageQueue)) {
        if self.leave(ticket) {
            put(self.stage(ticket.stage));
        }
    }

    fn drop_block(&mut self, block: BlockId) -> u64 {
        let before = self.pieces.left();
        for piece in self.pieces.drop_block(block) {
            self.stages.iter_mut().for_each(|line| line.remove(piece));
        }
        before - self.pieces.left()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use crate::model::blocks::BlockId;
    use crate::run::early_stop::EarlyStop;

    use super::{Demand, HoldsWorker, QueueLook, QueuePiece, Stage, Supply, TaskQueue, TasksByStage, Ticket};

    /// What waits longer than this waits for ever.
    const DEADLINE: Duration = Duration::from_mins(1);

    fn fresh(position: u32) -> Ticket {
        Ticket::first(0, position, Stage::Ordinary)
    }

    fn queue(ordinary: &[u32], suspects: &[u32], alone: &[u32], jobs: usize) -> TaskQueue {
        let [ordinary, suspects, alone] = [ordinary, suspects, alone].map(<[u32]>::to_vec);
        TaskQueue::of(TasksByStage { ordinary, suspects, alone }, jobs)
    }

    #[test]
    fn tasks_come_in_order_retries_when_due_then_suspects_and_last_what_runs_alone() {
        let queue = queue(&[4, 7], &[8, 9], &[5], 2);
        assert_eq!(queue.left(), 5);
        assert_eq!(queue.next(), Some(fresh(4)));
        assert_eq!(queue.next(), Some(fresh(7)));
        queue.retry_after(fresh(4), Duration::ZERO);
        let retry = Ticket { tried: 1, ..fresh(4) };
        assert_eq!(queue.next(), Some(retry));
        queue.complete(retry);
        queue.complete(fresh(7));
        let suspects = [8, 9].map(|position| Ticket::first(0, position, Stage::Suspect));
        assert_eq!([queue.next(), queue.next()], suspects.map(Some));
        suspects.into_iter().for_each(|suspect| queue.complete(suspect));
        let alone = Ticket::first(0, 5, Stage::Alone);
        assert_eq!(queue.next(), Some(alone));
        queue.complete(alone);
        assert_eq!(queue.next(), None);
        assert_eq!(queue.left(), 0);
    }

    #[test]
    fn what_runs_alone_begins_when_no_slot_keeps_anything() {
        let queue = queue(&[1, 2], &[], &[3], 2);
        let (mut first, mut second) = (HoldsWorker::default(), HoldsWorker::default());
        let one = queue.next_for(&mut first, || {}).unwrap();
        let other = queue.next_for(&mut second, || {}).unwrap();
        queue.complete(other);
        queue.complete(one);
        let take = |holds: &mut HoldsWorker| {
            let mut lets_go = false;
            let ticket = queue.next_for(holds, || lets_go = true);
            ticket.into_iter().for_each(|ticket| queue.complete(ticket));
            (ticket, lets_go)
        };
        let (mine, theirs) = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| take(&mut second));
            (take(&mut first), waiting.join().unwrap())
        });
        assert_eq!((mine.1, theirs.1), (true, true), "both let go before it begins");
        // Either of them may run it, and the other finds nothing left.
        let turns: Vec<Ticket> = [mine.0, theirs.0].into_iter().flatten().collect();
        assert_eq!(turns, [Ticket::first(0, 3, Stage::Alone)]);
    }

    #[test]
    fn a_stage_begins_when_nothing_of_the_one_before_runs() {
        let queue = queue(&[1, 2], &[], &[3], 8);
        let (first, second) = (queue.next().unwrap(), queue.next().unwrap());
        queue.complete(first);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.next());
            queue.retry_exclusive(second);
            let alone = waiting.join().unwrap().unwrap();
            assert_eq!((alone, queue.running()), (Ticket::first(0, 3, Stage::Alone), 1));
            queue.complete(alone);
        });
        assert_eq!(queue.next(), Some(Ticket { stage: Stage::Alone, ..second }));
    }

    #[test]
    fn what_runs_again_alone_spends_no_try() {
        let queue = queue(&[1], &[], &[], 1);
        let first = queue.next().unwrap();
        queue.retry_after(first, Duration::ZERO);
        let second = queue.next().unwrap();
        queue.retry_exclusive(second);
        assert_eq!(queue.left(), 1);
        assert_eq!(queue.next(), Some(Ticket { tried: 1, ..Ticket::first(0, 1, Stage::Alone) }));
    }

    #[test]
    fn no_more_run_at_once_than_allowed_and_one_always_may() {
        let queue = queue(&[1, 2, 3], &[], &[], 3);
        queue.set_max_concurrency(0);
        let first = queue.next().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.next());
            queue.set_max_concurrency(2);
            assert_eq!(waiting.join().unwrap(), Some(fresh(2)));
            let waiting = scope.spawn(|| queue.next());
            queue.complete(first);
            assert_eq!(waiting.join().unwrap(), Some(fresh(3)));
        });
        assert_eq!(queue.running(), 2);
    }

    #[test]
    fn a_queue_that_stopped_early_gives_nothing_and_keeps_the_most_severe_reason() {
        let queue = queue(&[1], &[], &[], 1);
        queue.stop_early(EarlyStop::Deadline);
        queue.stop_early(EarlyStop::Superseded);
        queue.stop_early(EarlyStop::Signal(15));
        assert_eq!(queue.next(), None);
        assert_eq!(queue.early_stop(), Some(EarlyStop::Superseded));
        assert_eq!(queue.left(), 1);
    }

    #[test]
    fn what_was_given_back_is_left() {
        let queue = queue(&[1, 2], &[], &[], 1);
        let ticket = queue.next().unwrap();
        queue.stop_early(EarlyStop::Signal(15));
        queue.release(ticket);
        assert_eq!((queue.left(), queue.next()), (2, None));
    }

    #[test]
    fn when_the_system_is_short_the_task_comes_again() {
        let queue = queue(&[1, 2], &[], &[], 2);
        let (first, second) = (queue.next().unwrap(), queue.next().unwrap());
        assert!(queue.backoff(second));
        queue.complete(first);
        assert_eq!(queue.next(), Some(second));
    }
    const BLOCK: BlockId = BlockId { round: 1, share: 3 };

    fn add(queue: &TaskQueue, ordinary: &[u32], suspects: &[u32], alone: &[u32]) {
        let [ordinary, suspects, alone] = [ordinary, suspects, alone].map(<[u32]>::to_vec);
        queue.add(QueuePiece::without_entries(Some(BLOCK), None), TasksByStage { ordinary, suspects, alone });
    }

    /// The next task, if one may begin right now.
    fn next_now(queue: &TaskQueue) -> Option<Ticket> {
        let mut state = queue.state();
        let QueueLook::Take(ticket) = state.look(Instant::now(), &mut HoldsWorker(false)) else {
            return None;
        };
        state.holding -= 1;
        Some(ticket)
    }

    fn take_all_now(queue: &TaskQueue) -> Vec<Ticket> {
        std::iter::from_fn(|| next_now(queue)).collect()
    }

    #[test]
    fn pieces_come_in_order_and_are_freed_when_their_last_task_ended() {
        let queue = TaskQueue::new(9);
        add(&queue, &[5, 2], &[], &[]);
        add(&queue, &[0], &[], &[]);
        add(&queue, &[], &[], &[]);
        let tickets = take_all_now(&queue);
        let places: Vec<(u32, u32)> = tickets.iter().map(|ticket| (ticket.piece, ticket.position)).collect();
        assert_eq!(places, [(0, 5), (0, 2), (1, 0)]);
        let [first, second] = [0, 2].map(|place| Arc::downgrade(&queue.piece(tickets[place]).unwrap()));
        let is_kept = || [&first, &second].map(|piece| piece.strong_count() > 0);
        queue.complete(tickets[0]);
        queue.retry_after(tickets[1], Duration::ZERO);
        queue.complete(tickets[2]);
        assert_eq!((is_kept(), queue.left()), ([true, false], 1));
        queue.complete(next_now(&queue).unwrap());
        assert_eq!((is_kept(), queue.left()), ([false, false], 0));
        assert!(queue.piece(tickets[0]).is_none());
    }

    #[test]
    fn slots_wait_for_what_is_expected_and_end_when_nothing_more_will_come() {
        let queue = TaskQueue::new(2);
        std::thread::scope(|scope| {
            let slots = [(); 2].map(|()| {
                scope.spawn(|| {
                    std::iter::from_fn(|| queue.next().inspect(|ticket| queue.complete(*ticket))).count()
                })
            });
            for supply in [Supply::Expected, Supply::Idle, Supply::Expected] {
                queue.set_supply(supply);
                add(&queue, &[1, 2, 3], &[], &[]);
            }
            queue.set_supply(Supply::Ended);
            let ran: usize = slots.map(|slot| slot.join().unwrap()).into_iter().sum();
            assert_eq!((ran, queue.left()), (9, 0));
        });
    }

    #[test]
    fn later_stages_begin_when_nothing_is_to_be_had_and_only_suspects_have_new_company() {
        let queue = TaskQueue::new(9);
        add(&queue, &[], &[1], &[2]);
        assert_eq!(next_now(&queue), None);
        queue.set_supply(Supply::Idle);
        let suspect = next_now(&queue).unwrap();
        assert_eq!((suspect.stage, next_now(&queue)), (Stage::Suspect, None));
        queue.set_supply(Supply::Expected);
        add(&queue, &[3], &[4], &[]);
        let ordinary = next_now(&queue).unwrap();
        assert_eq!((ordinary.position, next_now(&queue)), (3, None));
        [suspect, ordinary].into_iter().for_each(|ticket| queue.complete(ticket));
        assert_eq!(next_now(&queue), None, "more is expected");
        queue.set_supply(Supply::Idle);
        queue.complete(next_now(&queue).unwrap());
        let alone = next_now(&queue).unwrap();
        add(&queue, &[5], &[], &[]);
        queue.set_supply(Supply::Expected);
        assert_eq!((alone.position, next_now(&queue)), (2, None));
        queue.complete(alone);
        assert_eq!(next_now(&queue).unwrap().position, 5);
    }

    #[test]
    fn a_slot_keeps_its_process_while_more_is_expected_and_not_where_nothing_is_to_be_had() {
        let queue = TaskQueue::new(1);
        add(&queue, &[1], &[], &[]);
        let mut holds = HoldsWorker::default();
        queue.complete(queue.next_for(&mut holds, || {}).unwrap());
        let look = |holds: &mut HoldsWorker| queue.state().look(Instant::now(), holds);
        assert!(matches!(look(&mut holds), QueueLook::Wait(None)));
        add(&queue, &[], &[2], &[3]);
        assert!(matches!(look(&mut holds), QueueLook::Wait(None)));
        queue.set_supply(Supply::Idle);
        queue.complete(queue.next_for(&mut holds, || panic!("a suspect needs no fresh process")).unwrap());
        assert!(matches!(look(&mut holds), QueueLook::LetGo));
        let mut let_go = 0;
        queue.complete(queue.next_for(&mut holds, || let_go += 1).unwrap());
        assert!(matches!(look(&mut holds), QueueLook::LetGo));
        assert_eq!(let_go, 1);
    }

    #[test]
    fn while_a_task_of_a_capped_piece_runs_few_do_and_it_waits_until_few_do() {
        let queue = TaskQueue::new(9);
        add(&queue, &[1, 2], &[], &[]);
        let capped = TasksByStage { ordinary: vec![3, 4], ..TasksByStage::default() };
        queue.add(QueuePiece::without_entries(Some(BLOCK), Some(2)), capped);
        add(&queue, &[5, 6], &[], &[]);
        let first = take_all_now(&queue);
        assert_eq!(first.iter().map(|ticket| ticket.position).collect::<Vec<_>>(), [1, 2]);
        queue.complete(first[0]);
        let third = next_now(&queue).unwrap();
        assert_eq!((third.position, next_now(&queue)), (3, None));
        queue.complete(first[1]);
        let fourth = next_now(&queue).unwrap();
        queue.complete(third);
        let fifth = next_now(&queue).unwrap();
        assert_eq!((fourth.position, fifth.position, next_now(&queue)), (4, 5, None));
        queue.complete(fourth);
        assert_eq!(next_now(&queue).unwrap().position, 6, "the capped piece has ended");
    }

    #[test]
    fn of_a_piece_capped_below_one_a_task_runs_when_nothing_else_does() {
        let queue = TaskQueue::new(9);
        let tasks = TasksByStage { ordinary: vec![1, 2], ..TasksByStage::default() };
        queue.add(QueuePiece::without_entries(Some(BLOCK), Some(0)), tasks);
        assert_eq!(take_all_now(&queue).len(), 1);
    }

    #[test]
    fn there_is_demand_where_fewer_ordinary_tasks_wait_than_there_are_slots() {
        let queue = TaskQueue::new(2);
        let demand = || queue.wait_for_demand(Duration::ZERO);
        assert_eq!(demand(), Demand::All);
        add(&queue, &[1, 2, 3], &[7, 8, 9], &[]);
        let first = next_now(&queue).unwrap();
        assert_eq!(demand(), Demand::Enough);
        let second = next_now(&queue).unwrap();
        assert_eq!(demand(), Demand::More, "suspects wait for the end");
        queue.retry_after(first, DEADLINE);
        assert_eq!(demand(), Demand::More, "its pause is not over");
        queue.retry_after(second, Duration::ZERO);
        assert_eq!(demand(), Demand::Enough);
    }

    #[test]
    fn demand_is_noticed_when_a_task_begins_and_the_end_when_it_comes() {
        let queue = TaskQueue::new(1);
        add(&queue, &[1], &[], &[]);
        std::thread::scope(|scope| {
            let feeder = scope.spawn(|| queue.wait_for_demand(DEADLINE));
            let ticket = queue.next().unwrap();
            assert_eq!(feeder.join().unwrap(), Demand::More);
            assert!(!queue.wait_until_over(Duration::ZERO));
            let feeder = scope.spawn(|| queue.wait_until_empty_or_over(DEADLINE));
            while queue.state().awaited != Some(Demand::All) {
                std::thread::yield_now();
            }
            queue.complete(ticket);
            assert!(!feeder.join().unwrap());
            assert_eq!(queue.wait_for_demand(DEADLINE), Demand::All);
            add(&queue, &[2], &[], &[]);
            let ticket = queue.next().unwrap();
            queue.set_supply(Supply::Ended);
            let feeder = scope.spawn(|| queue.wait_until_over(DEADLINE));
            queue.complete(ticket);
            assert!(feeder.join().unwrap());
        });
        let queue = TaskQueue::new(1);
        add(&queue, &[1], &[], &[]);
        std::thread::scope(|scope| {
            let feeder = scope.spawn(|| queue.wait_for_demand(DEADLINE));
            queue.stop_early(EarlyStop::Deadline);
            assert_eq!(feeder.join().unwrap(), Demand::Over);
        });
    }

    #[test]
    fn of_a_dropped_block_nothing_begins_and_nothing_comes_again() {
        let queue = TaskQueue::new(9);
        let other = BlockId { round: 2, ..BLOCK };
        add(&queue, &[1, 2, 3, 4, 5], &[6], &[7]);
        let tasks = TasksByStage { ordinary: vec![8], ..TasksByStage::default() };
        queue.add(QueuePiece::without_entries(Some(other), None), tasks);
        let running: Vec<Ticket> = (0..4).filter_map(|_| next_now(&queue)).collect();
        queue.release(running[0]);
        queue.retry_after(running[1], DEADLINE);
        // Two that were given back, one that never began, and those of the later stages.
        assert_eq!((queue.drop_block(BLOCK), queue.left()), (5, 3));
        assert_eq!((queue.drop_block(BLOCK), queue.running()), (0, 2));
        queue.retry_after(running[2], Duration::ZERO);
        queue.retry_exclusive(running[3]);
        assert_eq!((queue.left(), queue.running()), (1, 0));
        assert!(queue.piece(running[3]).is_none());
        let last = take_all_now(&queue);
        assert_eq!(last.iter().map(|ticket| ticket.position).collect::<Vec<_>>(), [8]);
        // Taken anew, it runs.
        add(&queue, &[2], &[], &[]);
        assert_eq!(next_now(&queue).unwrap().position, 2);
    }

    #[test]
    fn while_what_a_task_made_is_published_another_runs_in_its_place() {
        let queue = queue(&[1, 2], &[3], &[], 1);
        let first = next_now(&queue).unwrap();
        assert_eq!(next_now(&queue), None);
        let first = queue.publish(first);
        assert_eq!((queue.running(), queue.publishing(), queue.left()), (0, 1, 3));
        let second = next_now(&queue).unwrap();
        queue.complete(second);
        assert_eq!(next_now(&queue), None, "the first may come again, before the suspect");
        queue.retry_after(first, Duration::ZERO);
        assert_eq!((queue.running(), queue.publishing()), (0, 0));
        let again = next_now(&queue).unwrap();
        assert_eq!((again.position, again.tried, again.is_publishing), (1, 1, false));
        queue.complete(again);
        assert_eq!(next_now(&queue).unwrap().position, 3);
    }

    #[test]
    fn what_may_not_begin_after_all_is_gone() {
        let queue = TaskQueue::new(1);
        add(&queue, &[1], &[], &[]);
        queue.abandon(next_now(&queue).unwrap());
        assert_eq!((queue.left(), queue.running()), (0, 0));
    }
    /// Adds pieces of one to six tasks wherever there is demand, and drops a block now and then.
    fn feed(queue: &TaskQueue, random: &mut fastrand::Rng) {
        for share in 1..40 {
            assert!(queue.wait_for_demand(DEADLINE) >= Demand::More);
            let block = BlockId { round: 0, share };
            let mut tasks = TasksByStage::default();
            for position in 0..random.u32(1..=6) {
                let stage = [&mut tasks.ordinary, &mut tasks.suspects, &mut tasks.alone];
                stage.into_iter().nth(random.usize(0..6).saturating_sub(3)).unwrap().push(position);
            }
            queue.add(
                QueuePiece::without_entries(Some(block), random.bool().then(|| random.usize(0..4))),
                tasks,
            );
            queue.set_supply(if random.bool() { Supply::Idle } else { Supply::Expected });
            queue.drop_block(BlockId { round: 0, share: random.u32(1..40) });
        }
        queue.set_supply(Supply::Ended);
        if !queue.wait_until_over(DEADLINE) {
            queue.stop_early(EarlyStop::Deadline);
        }
    }

    /// What a slot does: of its tasks some end, and some come again or come alone.
    fn work_off(queue: &TaskQueue, mut random: fastrand::Rng) {
        let mut holds = HoldsWorker::default();
        while let Some(ticket) = queue.next_for(&mut holds, || {}) {
            assert!(queue.piece(ticket).is_some());
            assert!(!ticket.is_alone() || queue.running() == 1);
            match random.u32(0..6) {
                0 if ticket.tried < 3 => queue.retry_after(ticket, Duration::from_micros(random.u64(0..200))),
                1 if !ticket.is_alone() => queue.retry_exclusive(ticket),
                2 => queue.abandon(ticket),
                _ => queue.complete(ticket),
            }
        }
    }

    #[test]
    fn whatever_is_added_and_dropped_all_of_it_ends() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let queue = TaskQueue::new(3);
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    let random = random.fork();
                    scope.spawn(|| work_off(&queue, random));
                }
                feed(&queue, &mut random);
            });
            assert_eq!((queue.early_stop(), queue.left(), queue.running()), (None, 0, 0), "seed {seed}");
        }
    }

    #[test]
    fn a_queue_is_busy_when_as_many_run_as_may() {
        let queue = TaskQueue::of(TasksByStage { ordinary: vec![0, 1, 2], ..TasksByStage::default() }, 2);
        assert!(!queue.is_busy());
        let first = queue.next().unwrap();
        assert!(!queue.is_busy());
        queue.set_max_concurrency(1);
        assert!(queue.is_busy());
        queue.set_max_concurrency(2);
        let second = queue.next().unwrap();
        assert!(queue.is_busy());
        queue.complete(first);
        queue.complete(second);
        assert!(!queue.is_busy());
    }
}

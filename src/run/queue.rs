//! Which task is next. All slots pull from here, in list order; a retry comes when its pause is over. What may have killed
//! a container, or needs all of its memory, comes last.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::run::early_stop::EarlyStop;
use crate::threads::{locked, wait};

/// Pause after the system ran short of something.
const BACKOFF_PAUSE: Duration = Duration::from_secs(1);

/// After so many pauses in a row with nothing running, waiting does not help.
const MOST_BACKOFFS: u32 = 60;

/// When in a launch a task comes: a stage begins when nothing of the one before is left, runs or waits for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// In order, several at a time.
    Ordinary,
    /// Several at a time, after all others: it may have killed a container.
    Suspect,
    /// Last, and nothing else runs meanwhile.
    Alone,
}

const STAGES: usize = 3;

/// A task that is to be run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Its place in the share.
    pub position: u32,
    /// Attempts this launch has made of it already that count as tries.
    pub tried: u32,
    /// When it comes.
    pub stage: Stage,
}

impl Ticket {
    /// The first of a task.
    pub fn first(position: u32, stage: Stage) -> Self {
        Self { position, tried: 0, stage }
    }

    /// Whether nothing else runs meanwhile.
    pub fn is_alone(&self) -> bool {
        self.stage == Stage::Alone
    }
}

/// Positions in the share, by the stage in which they come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TasksByStage {
    /// In order, several at a time.
    pub ordinary: Vec<u32>,
    /// Then these, several at a time.
    pub suspects: Vec<u32>,
    /// Then these, one at a time.
    pub alone: Vec<u32>,
}

/// What waits in one stage, and what runs of it.
#[derive(Debug, Default)]
struct StageQueue {
    /// Before all others.
    returned: VecDeque<Ticket>,
    waiting: std::vec::IntoIter<u32>,
    /// After all others.
    added: VecDeque<Ticket>,
    retries: BinaryHeap<Reverse<(Instant, Ticket)>>,
    running: usize,
}

impl StageQueue {
    fn waiting(&self) -> usize {
        self.returned.len() + self.waiting.len() + self.added.len() + self.retries.len()
    }

    fn next(&mut self, stage: Stage, now: Instant) -> Option<Ticket> {
        if self.retries.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            return self.retries.pop().map(|Reverse((_, ticket))| ticket);
        }
        let in_order = || self.waiting.next().map(|position| Ticket::first(position, stage));
        self.returned.pop_front().or_else(in_order).or_else(|| self.added.pop_front())
    }

    fn next_retry(&self, now: Instant) -> Option<Duration> {
        self.retries.peek().map(|Reverse((due, _))| due.saturating_duration_since(now))
    }
}

#[derive(Debug)]
struct QueueState {
    stages: [StageQueue; STAGES],
    /// At most so many at once, for want of processes or descriptors.
    limit: usize,
    /// At most so many at once, for their memory; at least 1.
    allowed: usize,
    /// Nothing is started before this.
    paused_until: Option<Instant>,
    backoffs: u32,
    early_stop: Option<EarlyStop>,
    /// Slots that wait for a change.
    waiting: usize,
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
    jobs: usize,
}

impl TaskQueue {
    /// Of these tasks, at most `jobs` at once.
    pub fn new(tasks: TasksByStage, jobs: usize) -> Self {
        let line =
            |positions: Vec<u32>| StageQueue { waiting: positions.into_iter(), ..StageQueue::default() };
        let state = QueueState {
            stages: [line(tasks.ordinary), line(tasks.suspects), line(tasks.alone)],
            limit: jobs,
            allowed: jobs,
            paused_until: None,
            backoffs: 0,
            early_stop: None,
            waiting: 0,
            holding: 0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), jobs }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        locked(&self.state)
    }

    /// Changes the state and wakes all who wait.
    fn change<T>(&self, change: impl FnOnce(&mut QueueState) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        self.wake(state);
        result
    }

    /// Wakes all who wait. To notify is a system call, also where nobody waits.
    fn wake(&self, state: MutexGuard<'_, QueueState>) {
        let somebody_waits = state.waiting > 0;
        drop(state);
        if somebody_waits {
            self.changed.notify_all();
        }
    }

    /// Waits for a change, or for so long.
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
                QueueLook::Take(ticket) => return Some(ticket),
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

    /// The task ended.
    pub fn complete(&self, ticket: Ticket) {
        self.change(|state| {
            state.leave(ticket);
            state.backoffs = 0;
            state.limit = (state.limit + 1).min(self.jobs);
        });
    }

    /// The task did not run and is still to be run. For a queue that stopped early.
    pub fn release(&self, ticket: Ticket) {
        self.change(|state| state.leave(ticket).returned.push_front(ticket));
    }

    /// The task is due again after `pause`.
    pub fn retry_after(&self, ticket: Ticket, pause: Duration) {
        let due = Instant::now() + pause;
        let next = Ticket { tried: ticket.tried + 1, ..ticket };
        self.change(|state| state.leave(ticket).retries.push(Reverse((due, next))));
    }

    /// The task is to run again with the container to itself, once all others ended. That does not count as a try.
    pub fn retry_exclusive(&self, ticket: Ticket) {
        let next = Ticket { stage: Stage::Alone, ..ticket };
        self.change(|state| {
            state.leave(ticket);
            state.stage(Stage::Alone).added.push_back(next);
        });
    }

    /// From now on at most so many at once, for their memory. One may always start when nothing runs.
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
            state.leave(ticket).returned.push_front(ticket);
            let running = state.running();
            state.limit = running.max(1);
            state.paused_until = Some(Instant::now() + BACKOFF_PAUSE);
            state.backoffs = if running == 0 { state.backoffs + 1 } else { 0 };
            state.backoffs < MOST_BACKOFFS
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

    /// Tasks that run.
    pub fn running(&self) -> usize {
        self.state().running()
    }

    /// Tasks that have not ended, those running included.
    pub fn left(&self) -> u64 {
        self.state().stages.iter().map(|line| (line.waiting() + line.running) as u64).sum()
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
        let unfinished = [Stage::Ordinary, Stage::Suspect, Stage::Alone]
            .into_iter()
            .find(|stage| self.stage(*stage).waiting() + self.stage(*stage).running > 0);
        let Some(stage) = unfinished else { return QueueLook::End };
        let most = if stage == Stage::Alone { 1 } else { self.limit.min(self.allowed) };
        let is_idle = self.running() >= most || self.stages.iter().all(|line| line.waiting() == 0);
        // What runs alone does so in a fresh process, too.
        if holds.0 && (is_idle || stage == Stage::Alone) {
            return QueueLook::LetGo;
        }
        if is_idle || (stage == Stage::Alone && self.holding > 0) {
            return QueueLook::Wait(None);
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return QueueLook::Wait(Some(until - now));
        }
        let line = self.stage(stage);
        match line.next(stage, now) {
            Some(ticket) => {
                line.running += 1;
                self.holding += usize::from(!holds.0);
                *holds = HoldsWorker(true);
                QueueLook::Take(ticket)
            }
            None => QueueLook::Wait(line.next_retry(now)),
        }
    }

    fn stage(&mut self, stage: Stage) -> &mut StageQueue {
        &mut self.stages[stage as usize]
    }

    fn running(&self) -> usize {
        self.stages.iter().map(|line| line.running).sum()
    }

    /// Notes that a task does not run any more; gives the queue of its stage.
    fn leave(&mut self, ticket: Ticket) -> &mut StageQueue {
        let line = self.stage(ticket.stage);
        line.running -= 1;
        line
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::run::early_stop::EarlyStop;

    use super::{HoldsWorker, Stage, TaskQueue, TasksByStage, Ticket};

    fn fresh(position: u32) -> Ticket {
        Ticket::first(position, Stage::Ordinary)
    }

    fn queue(ordinary: &[u32], suspects: &[u32], alone: &[u32], jobs: usize) -> TaskQueue {
        let [ordinary, suspects, alone] = [ordinary, suspects, alone].map(<[u32]>::to_vec);
        TaskQueue::new(TasksByStage { ordinary, suspects, alone }, jobs)
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
        let suspects = [8, 9].map(|position| Ticket::first(position, Stage::Suspect));
        assert_eq!([queue.next(), queue.next()], suspects.map(Some));
        suspects.into_iter().for_each(|suspect| queue.complete(suspect));
        let alone = Ticket::first(5, Stage::Alone);
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
        assert_eq!(turns, [Ticket::first(3, Stage::Alone)]);
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
            assert_eq!((alone, queue.running()), (Ticket::first(3, Stage::Alone), 1));
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
        assert_eq!(queue.next(), Some(Ticket { position: 1, tried: 1, stage: Stage::Alone }));
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
}

//! Which task is next. All slots pull from here, in list order; retries come when their pause is over, and what may have
//! killed a container, or needs its memory for itself, comes last.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::run::early_stop::EarlyStop;
use crate::threads::{locked, wait};

/// Pause after the system was found short of something.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// So many pauses in a row with nothing running mean that waiting does not help.
const SHORT_PATIENCE: u32 = 60;

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
            return self.retries.pop().map(|Reverse((_, turn))| turn);
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
    lines: [StageQueue; STAGES],
    /// At most so many at once, for want of processes or descriptors.
    limit: usize,
    /// At most so many at once, for their memory; at least 1.
    allowed: usize,
    /// Nothing is started before this.
    paused_until: Option<Instant>,
    shorts: u32,
    early_stop: Option<EarlyStop>,
    /// Slots that wait for a change.
    waiting: usize,
    /// Slots that may keep processes from turn to turn.
    keeping: usize,
}

/// Whether a slot may keep something alive from its last turn.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HoldsWorker(bool);

/// The one source of tasks of a launch.
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
            lines: [line(tasks.ordinary), line(tasks.suspects), line(tasks.alone)],
            limit: jobs,
            allowed: jobs,
            paused_until: None,
            shorts: 0,
            early_stop: None,
            waiting: 0,
            keeping: 0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), jobs }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        locked(&self.state)
    }

    /// Changes the state and lets everybody look again.
    fn change<T>(&self, change: impl FnOnce(&mut QueueState) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        self.wake(state);
        result
    }

    /// Lets all look again who wait. To call them asks the system, also where nobody does.
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

    /// The next task, once there is one that may start; `None` when there will be none. For who keeps nothing from turn to
    /// turn.
    pub fn next(&self) -> Option<Ticket> {
        self.next_for(&mut HoldsWorker(false), || {}).inspect(|_| self.state().keeping -= 1)
    }

    /// The same for a slot that may keep processes. It is asked to let go of them where they would be in the way: of a task
    /// that is to be alone, or of others for their memory while this slot is not needed.
    pub fn next_for(&self, keeps: &mut HoldsWorker, mut let_go: impl FnMut()) -> Option<Ticket> {
        let mut state = self.state();
        loop {
            match state.look(Instant::now(), keeps) {
                QueueLook::Take(turn) => return Some(turn),
                QueueLook::End => {
                    self.wake(state);
                    return None;
                }
                QueueLook::LetGo => {
                    drop(state);
                    let_go();
                    state = self.state();
                    *keeps = HoldsWorker(false);
                    state.keeping -= 1;
                    self.wake(state);
                    state = self.state();
                }
                QueueLook::Wait(time) => state = self.wait(state, time),
            }
        }
    }

    /// The turn is over: the task ended.
    pub fn over(&self, turn: Ticket) {
        self.change(|state| {
            state.leave(turn);
            state.shorts = 0;
            state.limit = (state.limit + 1).min(self.jobs);
        });
    }

    /// The turn is over and the task did not end: it is still to be run. For a queue that stopped early.
    pub fn give_back(&self, turn: Ticket) {
        self.change(|state| state.leave(turn).returned.push_front(turn));
    }

    /// The turn is over and another one of the same task is due after `pause`.
    pub fn again(&self, turn: Ticket, pause: Duration) {
        let due = Instant::now() + pause;
        let next = Ticket { tried: turn.tried + 1, ..turn };
        self.change(|state| state.leave(turn).retries.push(Reverse((due, next))));
    }

    /// The turn is over, and the task is to have the container to itself once all others ended. That is no further try.
    pub fn again_alone(&self, turn: Ticket) {
        let next = Ticket { stage: Stage::Alone, ..turn };
        self.change(|state| {
            state.leave(turn);
            state.line(Stage::Alone).added.push_back(next);
        });
    }

    /// At most so many at once from now on, for their memory; one may always start when nothing runs.
    pub fn allow(&self, at_once: usize) {
        let mut state = self.state();
        let more = at_once > state.allowed;
        state.allowed = at_once.max(1);
        if more {
            self.wake(state);
        }
    }

    /// The turn could not begin, since the system is short of processes, descriptors or memory: it comes again, after a
    /// pause, with fewer beside it. `false` when that has not helped for long.
    pub fn short(&self, turn: Ticket) -> bool {
        self.change(|state| {
            state.leave(turn).returned.push_front(turn);
            let running = state.running();
            state.limit = running.max(1);
            state.paused_until = Some(Instant::now() + SHORT_PAUSE);
            state.shorts = if running == 0 { state.shorts + 1 } else { 0 };
            state.shorts < SHORT_PATIENCE
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

    /// Turns given out and not over.
    pub fn running(&self) -> usize {
        self.state().running()
    }

    /// Tasks that are not over, those running included.
    pub fn left(&self) -> u64 {
        self.state().lines.iter().map(|line| (line.waiting() + line.running) as u64).sum()
    }
}

enum QueueLook {
    Take(Ticket),
    LetGo,
    Wait(Option<Duration>),
    End,
}

impl QueueState {
    fn look(&mut self, now: Instant, keeps: &mut HoldsWorker) -> QueueLook {
        if self.early_stop.is_some() {
            return QueueLook::End;
        }
        let unfinished = [Stage::Ordinary, Stage::Suspect, Stage::Alone]
            .into_iter()
            .find(|stage| self.line(*stage).waiting() + self.line(*stage).running > 0);
        let Some(stage) = unfinished else { return QueueLook::End };
        let most = if stage == Stage::Alone { 1 } else { self.limit.min(self.allowed) };
        let is_idle = self.running() >= most || self.lines.iter().all(|line| line.waiting() == 0);
        // What runs alone does so in a fresh process, too.
        if keeps.0 && (is_idle || stage == Stage::Alone) {
            return QueueLook::LetGo;
        }
        if is_idle || (stage == Stage::Alone && self.keeping > 0) {
            return QueueLook::Wait(None);
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return QueueLook::Wait(Some(until - now));
        }
        let line = self.line(stage);
        match line.next(stage, now) {
            Some(turn) => {
                line.running += 1;
                self.keeping += usize::from(!keeps.0);
                *keeps = HoldsWorker(true);
                QueueLook::Take(turn)
            }
            None => QueueLook::Wait(line.next_retry(now)),
        }
    }

    fn line(&mut self, stage: Stage) -> &mut StageQueue {
        &mut self.lines[stage as usize]
    }

    fn running(&self) -> usize {
        self.lines.iter().map(|line| line.running).sum()
    }

    /// Takes note that a turn is over; gives the line it was of.
    fn leave(&mut self, turn: Ticket) -> &mut StageQueue {
        let line = self.line(turn.stage);
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

    fn source(ordinary: &[u32], suspects: &[u32], alone: &[u32], jobs: usize) -> TaskQueue {
        let [ordinary, suspects, alone] = [ordinary, suspects, alone].map(<[u32]>::to_vec);
        TaskQueue::new(TasksByStage { ordinary, suspects, alone }, jobs)
    }

    #[test]
    fn tasks_come_in_order_retries_when_due_then_suspects_and_last_what_runs_alone() {
        let source = source(&[4, 7], &[8, 9], &[5], 2);
        assert_eq!(source.left(), 5);
        assert_eq!(source.next(), Some(fresh(4)));
        assert_eq!(source.next(), Some(fresh(7)));
        source.again(fresh(4), Duration::ZERO);
        let retry = Ticket { tried: 1, ..fresh(4) };
        assert_eq!(source.next(), Some(retry));
        source.over(retry);
        source.over(fresh(7));
        let suspects = [8, 9].map(|position| Ticket::first(position, Stage::Suspect));
        assert_eq!([source.next(), source.next()], suspects.map(Some));
        suspects.into_iter().for_each(|suspect| source.over(suspect));
        let alone = Ticket::first(5, Stage::Alone);
        assert_eq!(source.next(), Some(alone));
        source.over(alone);
        assert_eq!(source.next(), None);
        assert_eq!(source.left(), 0);
    }

    #[test]
    fn what_runs_alone_begins_when_no_slot_keeps_anything() {
        let source = source(&[1, 2], &[], &[3], 2);
        let (mut first, mut second) = (HoldsWorker::default(), HoldsWorker::default());
        let one = source.next_for(&mut first, || {}).unwrap();
        let other = source.next_for(&mut second, || {}).unwrap();
        source.over(other);
        source.over(one);
        let take = |keeps: &mut HoldsWorker| {
            let mut lets_go = false;
            let turn = source.next_for(keeps, || lets_go = true);
            turn.into_iter().for_each(|turn| source.over(turn));
            (turn, lets_go)
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
        let source = source(&[1, 2], &[], &[3], 8);
        let (first, second) = (source.next().unwrap(), source.next().unwrap());
        source.over(first);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| source.next());
            source.again_alone(second);
            let alone = waiting.join().unwrap().unwrap();
            assert_eq!((alone, source.running()), (Ticket::first(3, Stage::Alone), 1));
            source.over(alone);
        });
        assert_eq!(source.next(), Some(Ticket { stage: Stage::Alone, ..second }));
    }

    #[test]
    fn what_runs_again_alone_spends_no_try() {
        let source = source(&[1], &[], &[], 1);
        let first = source.next().unwrap();
        source.again(first, Duration::ZERO);
        let second = source.next().unwrap();
        source.again_alone(second);
        assert_eq!(source.left(), 1);
        assert_eq!(source.next(), Some(Ticket { position: 1, tried: 1, stage: Stage::Alone }));
    }

    #[test]
    fn no_more_run_at_once_than_allowed_and_one_always_may() {
        let source = source(&[1, 2, 3], &[], &[], 3);
        source.allow(0);
        let first = source.next().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| source.next());
            source.allow(2);
            assert_eq!(waiting.join().unwrap(), Some(fresh(2)));
            let waiting = scope.spawn(|| source.next());
            source.over(first);
            assert_eq!(waiting.join().unwrap(), Some(fresh(3)));
        });
        assert_eq!(source.running(), 2);
    }

    #[test]
    fn a_queue_that_stopped_early_gives_nothing_and_keeps_the_most_severe_reason() {
        let source = source(&[1], &[], &[], 1);
        source.stop_early(EarlyStop::Deadline);
        source.stop_early(EarlyStop::Superseded);
        source.stop_early(EarlyStop::Signal(15));
        assert_eq!(source.next(), None);
        assert_eq!(source.early_stop(), Some(EarlyStop::Superseded));
        assert_eq!(source.left(), 1);
    }

    #[test]
    fn what_was_given_back_is_left() {
        let source = source(&[1, 2], &[], &[], 1);
        let turn = source.next().unwrap();
        source.stop_early(EarlyStop::Signal(15));
        source.give_back(turn);
        assert_eq!((source.left(), source.next()), (2, None));
    }

    #[test]
    fn when_the_system_is_short_the_task_comes_again() {
        let source = source(&[1, 2], &[], &[], 2);
        let (first, second) = (source.next().unwrap(), source.next().unwrap());
        assert!(source.short(second));
        source.over(first);
        assert_eq!(source.next(), Some(second));
    }
}

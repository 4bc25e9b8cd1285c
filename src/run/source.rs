//! Which task is next. All slots pull from here, in list order; retries come when their pause is over, and what may have
//! killed a container comes last, alone.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pause after the system was found short of something.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// So many pauses in a row with nothing running mean that waiting does not help.
const SHORT_PATIENCE: u32 = 60;

/// Why no more tasks are given out although there are some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// A signal.
    Signal(i32),
    /// `--deadline`.
    Deadline,
    /// `--max-failures`, with what was found.
    MaxFailures(String),
    /// Results can't be written, with the reason.
    CannotWrite(String),
    /// The command can't be started for any file, with the reason.
    CannotStart(String),
    /// A newer launch of this replica took over.
    Superseded,
}

impl Halt {
    /// Which of two reasons is to be told: who may no longer write at all, then what the exit codes' order says.
    pub fn gravity(&self) -> u8 {
        match self {
            Self::Superseded => 4,
            Self::CannotStart(_) => 3,
            Self::CannotWrite(_) => 2,
            Self::Signal(_) => 1,
            Self::Deadline | Self::MaxFailures(_) => 0,
        }
    }
}

/// A task that is to be run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// Its place in the share.
    pub position: u32,
    /// Attempts this launch has made of it already.
    pub tried: u32,
    /// Whether nothing else runs meanwhile.
    pub alone: bool,
}

#[derive(Debug)]
struct State {
    fresh: VecDeque<Turn>,
    rest: std::vec::IntoIter<u32>,
    retries: BinaryHeap<Reverse<(Instant, Turn)>>,
    suspects: VecDeque<u32>,
    running: usize,
    running_alone: bool,
    /// At most so many at once.
    limit: usize,
    /// Nothing is started before this.
    paused_until: Option<Instant>,
    shorts: u32,
    halt: Option<Halt>,
}

/// The one source of tasks of a launch.
#[derive(Debug)]
pub struct Source {
    state: Mutex<State>,
    changed: Condvar,
    jobs: usize,
}

impl Source {
    /// Of the tasks at `positions` of the share, in the order they are to start, and `suspects`, at most `jobs` at once.
    pub fn new(positions: Vec<u32>, suspects: Vec<u32>, jobs: usize) -> Self {
        let state = State {
            fresh: VecDeque::new(),
            rest: positions.into_iter(),
            retries: BinaryHeap::new(),
            suspects: suspects.into(),
            running: 0,
            running_alone: false,
            limit: jobs,
            paused_until: None,
            shorts: 0,
            halt: None,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), jobs }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task, once there is one that may start; `None` when there will be none.
    pub fn next(&self) -> Option<Turn> {
        let mut state = self.state();
        loop {
            match state.look(Instant::now()) {
                Look::Take(turn) => return Some(turn),
                Look::End => {
                    drop(state);
                    self.changed.notify_all();
                    return None;
                }
                Look::Wait(None) => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Look::Wait(Some(time)) => {
                    state = self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// The turn is over: the task ended.
    pub fn over(&self, turn: Turn) {
        let mut state = self.state();
        state.leave(turn);
        state.shorts = 0;
        state.limit = (state.limit + 1).min(self.jobs);
        drop(state);
        self.changed.notify_all();
    }

    /// The turn is over and the task did not end: it is still to be run. For a source that is halted.
    pub fn give_back(&self, turn: Turn) {
        let mut state = self.state();
        state.leave(turn);
        state.put_back(turn);
        drop(state);
        self.changed.notify_all();
    }

    /// The turn is over and another one of the same task is due after `pause`.
    pub fn again(&self, turn: Turn, pause: Duration) {
        let mut state = self.state();
        state.leave(turn);
        state.retries.push(Reverse((Instant::now() + pause, Turn { tried: turn.tried + 1, ..turn })));
        drop(state);
        self.changed.notify_all();
    }

    /// The turn could not begin, since the system is short of processes, descriptors or memory: it comes again, after a
    /// pause, with fewer beside it. `false` when that has not helped for long.
    pub fn short(&self, turn: Turn) -> bool {
        let mut state = self.state();
        state.leave(turn);
        state.put_back(turn);
        state.limit = state.running.max(1);
        state.paused_until = Some(Instant::now() + SHORT_PAUSE);
        state.shorts = if state.running == 0 { state.shorts + 1 } else { 0 };
        let patient = state.shorts < SHORT_PATIENCE;
        drop(state);
        self.changed.notify_all();
        patient
    }

    /// Gives nothing out any more. Of several reasons the gravest stays, of equally grave ones the first.
    pub fn halt(&self, why: Halt) {
        let mut state = self.state();
        if state.halt.as_ref().is_none_or(|before| why.gravity() > before.gravity()) {
            state.halt = Some(why);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Why nothing is given out any more, if so.
    pub fn halted(&self) -> Option<Halt> {
        self.state().halt.clone()
    }

    /// Turns given out and not over.
    pub fn running(&self) -> usize {
        self.state().running
    }

    /// Tasks that are not over, those running included.
    pub fn left(&self) -> u64 {
        let state = self.state();
        let waiting = state.fresh.len() + state.rest.len() + state.retries.len() + state.suspects.len();
        (waiting + state.running) as u64
    }
}

enum Look {
    Take(Turn),
    Wait(Option<Duration>),
    End,
}

impl State {
    fn look(&mut self, now: Instant) -> Look {
        if self.halt.is_some() {
            return Look::End;
        }
        let nothing_left = self.fresh.is_empty()
            && self.rest.len() == 0
            && self.retries.is_empty()
            && self.suspects.is_empty();
        if nothing_left && self.running == 0 {
            return Look::End;
        }
        if nothing_left || self.running_alone || self.running >= self.limit {
            return Look::Wait(None);
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Look::Wait(Some(until - now));
        }
        match self.choose(now) {
            Some(turn) => {
                self.running += 1;
                self.running_alone = turn.alone;
                Look::Take(turn)
            }
            None => {
                Look::Wait(self.retries.peek().map(|Reverse((due, _))| due.saturating_duration_since(now)))
            }
        }
    }

    fn choose(&mut self, now: Instant) -> Option<Turn> {
        let due = |turn: &Turn, due: Instant, running: usize| due <= now && (!turn.alone || running == 0);
        if self.retries.peek().is_some_and(|Reverse((at, turn))| due(turn, *at, self.running)) {
            return self.retries.pop().map(|Reverse((_, turn))| turn);
        }
        if let Some(turn) = self.fresh.pop_front() {
            return Some(turn);
        }
        if let Some(position) = self.rest.next() {
            return Some(Turn { position, tried: 0, alone: false });
        }
        let others_are_done = self.running == 0 && self.retries.is_empty();
        let suspect = if others_are_done { self.suspects.pop_front() } else { None };
        suspect.map(|position| Turn { position, tried: 0, alone: true })
    }

    fn put_back(&mut self, turn: Turn) {
        if turn.alone {
            self.suspects.push_front(turn.position);
        } else {
            self.fresh.push_front(turn);
        }
    }

    fn leave(&mut self, turn: Turn) {
        self.running -= 1;
        if turn.alone {
            self.running_alone = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Halt, Source, Turn};

    fn fresh(position: u32) -> Turn {
        Turn { position, tried: 0, alone: false }
    }

    #[test]
    fn tasks_come_in_order_retries_when_due_and_suspects_last_alone() {
        let source = Source::new(vec![4, 7], vec![5], 2);
        assert_eq!(source.left(), 3);
        assert_eq!(source.next(), Some(fresh(4)));
        assert_eq!(source.next(), Some(fresh(7)));
        source.again(fresh(4), Duration::ZERO);
        let retry = Turn { tried: 1, ..fresh(4) };
        assert_eq!(source.next(), Some(retry));
        source.over(retry);
        source.over(fresh(7));
        let suspect = Turn { alone: true, ..fresh(5) };
        assert_eq!(source.next(), Some(suspect));
        source.over(suspect);
        assert_eq!(source.next(), None);
        assert_eq!(source.left(), 0);
    }

    #[test]
    fn a_halted_source_gives_nothing_and_keeps_the_gravest_reason() {
        let source = Source::new(vec![1], Vec::new(), 1);
        source.halt(Halt::Deadline);
        source.halt(Halt::Superseded);
        source.halt(Halt::Signal(15));
        assert_eq!(source.next(), None);
        assert_eq!(source.halted(), Some(Halt::Superseded));
        assert_eq!(source.left(), 1);
    }

    #[test]
    fn what_was_given_back_is_left() {
        let source = Source::new(vec![1, 2], Vec::new(), 1);
        let turn = source.next().unwrap();
        source.halt(Halt::Signal(15));
        source.give_back(turn);
        assert_eq!((source.left(), source.next()), (2, None));
    }

    #[test]
    fn when_the_system_is_short_the_task_comes_again() {
        let source = Source::new(vec![1, 2], Vec::new(), 2);
        let (first, second) = (source.next().unwrap(), source.next().unwrap());
        assert!(source.short(second));
        source.over(first);
        assert_eq!(source.next(), Some(second));
    }
}

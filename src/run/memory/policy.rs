//! Which task is stopped before memory runs out, and when: decisions based on given readings.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::model::quarantine::share_of_memory;
use crate::process::registry::{Serial, Shortage};

/// At this much of the limit, percent, a task is stopped.
const NEAR: u64 = 92;

/// At this much another one is, although the memory of the one before has not come back.
const TOP: u64 = 97;

/// Usage that would reach the limit within this time at its current growth counts as near the limit.
const AHEAD: Duration = Duration::from_millis(200);

/// Growth of use is measured over about this time.
const TREND: Duration = Duration::from_millis(150);

/// How long a stopped task may take to end, whatever happens meanwhile.
const TO_COME_BACK: Duration = Duration::from_millis(200);

/// Which task grew most is a matter of this time.
const GROWTH: Duration = Duration::from_secs(1);

/// Less than this part of the limit is no growth.
const NEGLIGIBLE: u64 = 50;

/// Where tasks have less than this part of what is in use, to stop one does not help: files in memory, say, are left.
const TASKS_PART: u64 = 4;

/// The task that was stopped, until its memory is free.
#[derive(Debug)]
struct TaskStopped {
    serial: Serial,
    at: Instant,
    in_use: u64,
    /// Whether it has ended: use that is read from then on is without it.
    is_gone: bool,
}

/// Recent readings, and the task that was stopped last.
#[derive(Debug)]
pub(super) struct OomPolicy {
    limit: u64,
    /// Use of the container, oldest first.
    used: VecDeque<(Instant, u64)>,
    /// Memory of each task that runs, oldest first.
    tasks: BTreeMap<Serial, VecDeque<(Instant, u64)>>,
    stopped: Option<TaskStopped>,
}

impl OomPolicy {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: VecDeque::new(), tasks: BTreeMap::new(), stopped: None }
    }

    /// Adds a reading of memory in use. Times only grow.
    pub(super) fn note_use(&mut self, at: Instant, in_use: u64) {
        if self.stopped.as_ref().is_some_and(|stopped| stopped.is_gone) {
            self.stopped = None;
        }
        self.used.push_back((at, in_use));
        forget_before(&mut self.used, at.checked_sub(TREND));
    }

    /// Takes the memory of each running task. A task that is missing has ended.
    pub(super) fn note_tasks(&mut self, at: Instant, tasks: &[(Serial, u64)]) {
        self.tasks.retain(|serial, _| tasks.iter().any(|(named, _)| named == serial));
        if let Some(stopped) = &mut self.stopped {
            stopped.is_gone = !self.tasks.contains_key(&stopped.serial);
        }
        for (serial, bytes) in tasks {
            let past = self.tasks.entry(*serial).or_default();
            past.push_back((at, *bytes));
            forget_before(past, at.checked_sub(GROWTH));
        }
    }

    /// Whether a task should be stopped, based on the last noted usage.
    pub(super) fn is_near_the_limit(&self) -> bool {
        let Some((_, in_use)) = self.used.back() else { return false };
        *in_use >= self.percent(NEAR)
            || (*in_use >= share_of_memory(self.limit)
                && *in_use as f64 + self.trend() * AHEAD.as_secs_f64() >= self.limit as f64)
    }

    /// How fast use grows, bytes a second: the slower of two halves of a time, so that one large step is no trend.
    fn trend(&self) -> f64 {
        let (Some(first), Some(last)) = (self.used.front(), self.used.back()) else { return 0.0 };
        let is_old = |(at, _): &&(Instant, u64)| last.0.duration_since(*at) >= TREND / 2;
        let Some(middle) = self.used.iter().rev().find(is_old) else { return 0.0 };
        let speed = |from: &(Instant, u64), to: &(Instant, u64)| {
            let time = to.0.duration_since(from.0).as_secs_f64();
            if time > 0.0 { to.1.saturating_sub(from.1) as f64 / time } else { 0.0 }
        };
        speed(first, middle).min(speed(middle, last))
    }

    /// Which task to stop now, based on the last notes; `None` if none must be, or stopping one would not help.
    pub(super) fn verdict(&mut self) -> Option<(Serial, Shortage)> {
        let (at, in_use) = *self.used.back()?;
        if !self.is_near_the_limit() || self.is_waiting(at, in_use) {
            return None;
        }
        let tasks: u64 = self.tasks.values().filter_map(|past| past.back()).map(|(_, bytes)| bytes).sum();
        if tasks < in_use / TASKS_PART {
            return None;
        }
        let (serial, task) = self.grew_most()?;
        self.stopped = Some(TaskStopped { serial, at, in_use, is_gone: false });
        Some((serial, Shortage { task, in_use, limit: self.limit }))
    }

    /// Whether the memory of the one stopped last is still to come back.
    fn is_waiting(&self, at: Instant, in_use: u64) -> bool {
        let Some(stopped) = &self.stopped else { return false };
        let rises_to_the_top = in_use >= self.percent(TOP) && in_use > stopped.in_use;
        stopped.is_gone || !rises_to_the_top || at.duration_since(stopped.at) < TO_COME_BACK
    }

    /// The task that grew most, and what it has: of those that grew about as much, or where none did, the largest.
    fn grew_most(&self) -> Option<(Serial, u64)> {
        let waited_for = self.stopped.as_ref().map(|stopped| stopped.serial);
        let tasks = self.tasks.iter().filter(|(serial, _)| Some(**serial) != waited_for);
        let grown = |past: &VecDeque<(Instant, u64)>| -> Option<(u64, u64)> {
            let (begun, before) = *past.front()?;
            let (at, bytes) = *past.back()?;
            // What is younger had nothing at first.
            let before = if at.duration_since(begun) * 2 < GROWTH { 0 } else { before };
            Some((bytes, bytes.saturating_sub(before)))
        };
        let tasks: Vec<(Serial, u64, u64)> = tasks
            .filter_map(|(serial, past)| grown(past).map(|(bytes, growth)| (*serial, bytes, growth)))
            .collect();
        let most = tasks.iter().map(|(.., growth)| *growth).max()?;
        let enough = if most < self.limit / NEGLIGIBLE { 0 } else { most / 4 * 3 };
        let candidates = tasks.into_iter().filter(|(.., growth)| *growth >= enough);
        candidates.map(|(serial, bytes, _)| (serial, bytes)).max_by_key(|(_, bytes)| *bytes)
    }

    fn percent(&self, percent: u64) -> u64 {
        self.limit / 100 * percent
    }
}

/// Drops what lies before a time, but for the last one of it: so the first that is left is as old as was asked for.
fn forget_before(past: &mut VecDeque<(Instant, u64)>, time: Option<Instant>) {
    let Some(time) = time else { return };
    while past.get(1).is_some_and(|(second, _)| *second <= time) {
        past.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{OomPolicy, Serial};

    const LIMIT: u64 = 1000;
    const PACE: u64 = 50;

    /// A task of a simulation: bytes it has, so many milliseconds after the beginning; nothing once stopped.
    struct SimulatedTask {
        bytes: fn(u64) -> u64,
        stopped_at: Option<u64>,
        /// Milliseconds from its stop until its memory is back.
        takes: u64,
    }

    impl SimulatedTask {
        fn new(bytes: fn(u64) -> u64) -> Self {
            Self { bytes, stopped_at: None, takes: 30 }
        }

        fn bytes_at(&self, time: u64) -> u64 {
            match self.stopped_at {
                Some(stopped) if time >= stopped + self.takes => 0,
                Some(stopped) => (self.bytes)(stopped),
                None => (self.bytes)(time),
            }
        }

        fn is_here(&self, time: u64) -> bool {
            self.stopped_at.is_none_or(|stopped| time < stopped + self.takes)
        }
    }

    /// Who was stopped when, in order, and the most that was ever in use.
    fn simulate(tasks: &mut [SimulatedTask], others: u64, until: u64) -> (Vec<(u64, u64)>, u64) {
        let begun = Instant::now();
        let mut policy = OomPolicy::new(LIMIT);
        let (mut stops, mut top) = (Vec::new(), 0);
        for time in 0..until {
            let in_use = others + tasks.iter().map(|task| task.bytes_at(time)).sum::<u64>();
            top = top.max(in_use);
            if time % PACE != 0 {
                continue;
            }
            let at = begun + Duration::from_millis(time);
            let numbered = (0..).zip(tasks.iter()).filter(|(_, task)| task.is_here(time));
            let looked: Vec<_> =
                numbered.map(|(number, task)| (Serial(number), task.bytes_at(time))).collect();
            policy.note_use(at, in_use);
            policy.note_tasks(at, &looked);
            if let Some((serial, shortage)) = policy.verdict() {
                assert_eq!((shortage.in_use, shortage.limit), (in_use, LIMIT));
                tasks[usize::try_from(serial.0).unwrap()].stopped_at = Some(time);
                stops.push((time, serial.0));
            }
        }
        (stops, top)
    }

    #[test]
    fn one_that_takes_memory_steadily_is_stopped_before_the_limit_and_nobody_else() {
        // 5 % of the limit in 100 ms, beside two that have had far more for long.
        let mut tasks = [
            SimulatedTask::new(|_| 250),
            SimulatedTask::new(|time| 50 * time.div_ceil(100)),
            SimulatedTask::new(|_| 200),
        ];
        let (stops, top) = simulate(&mut tasks, 50, 5000);
        assert!(matches!(stops.as_slice(), [(_, 1)]), "{stops:?}");
        assert!((800..1000).contains(&top), "{top}");
    }

    #[test]
    fn fast_growth_above_the_share_is_stopped_while_there_is_still_room() {
        let mut tasks = [SimulatedTask::new(|_| 100), SimulatedTask::new(|time| time * 2)];
        let (stops, top) = simulate(&mut tasks, 50, 2000);
        assert!(matches!(stops.as_slice(), [(_, 1)]), "{stops:?}");
        assert!(top < 1000, "{top}");
    }

    #[test]
    fn a_large_step_far_from_the_limit_and_steady_use_below_it_stop_nobody() {
        let mut tasks =
            [SimulatedTask::new(|time| if time < 1000 { 100 } else { 600 }), SimulatedTask::new(|_| 210)];
        assert_eq!(simulate(&mut tasks, 50, 3000).0, []);
        let mut steady = [SimulatedTask::new(|_| 450), SimulatedTask::new(|_| 450)];
        assert_eq!(simulate(&mut steady, 10, 3000).0, []);
    }

    #[test]
    fn where_none_grows_the_largest_is_stopped() {
        let mut tasks =
            [SimulatedTask::new(|_| 300), SimulatedTask::new(|_| 400), SimulatedTask::new(|_| 200)];
        // The one beside them that grows is no task.
        assert_eq!(simulate(&mut tasks, 40, 3000).0, [(0, 1)]);
        let mut late = [
            SimulatedTask::new(|_| 290),
            SimulatedTask::new(|_| 320),
            SimulatedTask::new(|time| 300 + time / 200),
        ];
        assert_eq!(simulate(&mut late, 0, 6000).0, [(2000, 1)]);
    }

    #[test]
    fn the_memory_of_one_that_was_stopped_is_waited_for() {
        let mut tasks = [SimulatedTask::new(|_| 480), SimulatedTask::new(|_| 450)];
        tasks[0].takes = 1500;
        assert_eq!(simulate(&mut tasks, 0, 3000).0, [(0, 0)]);
    }

    #[test]
    fn another_is_stopped_when_use_rises_to_the_top_meanwhile() {
        let mut tasks = [SimulatedTask::new(|_| 480), SimulatedTask::new(|time| 450 + time / 10)];
        tasks[0].takes = 5000;
        assert_eq!(simulate(&mut tasks, 0, 2000).0, [(0, 0), (400, 1)]);
    }

    #[test]
    fn nobody_is_stopped_for_memory_that_no_task_has() {
        let mut tasks = [SimulatedTask::new(|_| 10), SimulatedTask::new(|_| 15)];
        assert_eq!(simulate(&mut tasks, 950, 2000).0, []);
        // Many small ones are another matter.
        let mut many: Vec<SimulatedTask> = (0..64).map(|_| SimulatedTask::new(|_| 15)).collect();
        assert_eq!(simulate(&mut many, 0, 2000).0.len(), 3);
    }

    #[test]
    fn of_many_that_grow_together_as_many_are_stopped_as_need_be() {
        let grows: fn(u64) -> u64 = |time| (time / 5).min(400);
        let mut tasks: Vec<SimulatedTask> = (0..8).map(|_| SimulatedTask::new(grows)).collect();
        let (stops, top) = simulate(&mut tasks, 20, 6000);
        assert_eq!(stops.len(), 6, "{stops:?}");
        assert!(top < 1000, "{top}");
    }
}

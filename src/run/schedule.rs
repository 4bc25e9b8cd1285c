//! The job slots of a launch: a pool of `jobs` threads that take tasks from one queue, and a timekeeper thread
//! (deadline, signals, newer launches, memory, progress), beside the thread that adds more tasks.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, Scope};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::host::storage::StorageError;
use crate::journal::writer::JournalWriter;
use crate::liveness::heartbeat::Heartbeat;
use crate::model::blocks::BlockId;
use crate::model::outcome::{Cause, Status};
use crate::process::registry::ProcessRegistry;
use crate::process::shutdown::Shutdown;
use crate::products::publish::{Publishing, PublishingSlot, Unpublished};
use crate::run::early_stop::EarlyStop;
use crate::run::execute::{Attempt, Execute, Executed, Execution};
use crate::run::memory::MemoryMonitor;
use crate::run::publishing::{self, AttemptEnd, Publishers, TaskGuard, ToPublish};
use crate::run::queue::{HoldsWorker, QueuePiece, Supply, TaskQueue, Ticket};
use crate::run::recorder::{Counters, NextStep, Observer, OutputKept, Recorder};
use crate::run::retries::Retries;
use crate::threads::pool_of_up_to;

/// How often to check for a newer launch.
const TICK: Duration = Duration::from_secs(1);

/// Looking at what tasks are at may take this part of the time.
const COST: u32 = 100;

/// How often observers get the progress.
const REPORT: Duration = Duration::from_secs(5);

/// A pool thread holds one child's output buffer and little else.
const STACK: usize = 512 * 1024;

/// With `--max-failures auto`, this many failures in a row end the launch.
const IN_A_ROW: u64 = 20;

/// Fewer failures than this may be accidental, however few tasks there are.
const FEWEST: u64 = 3;

/// What the limits on processes have to leave room for.
const NO_THREAD: &str = "can't start a thread that supervises tasks; the limit on processes (ulimit -u, pids.max) must leave room for at least ten";

/// `--max-failures`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxFailures {
    /// Ends a launch when its first tasks all failed, 20 or as many as there are, or when 20 in a row did.
    Auto,
    /// Never ends it.
    None,
    /// Ends it beyond that many.
    Count(u64),
    /// Ends it beyond that share of its tasks, percent.
    Percent(f64),
}

impl MaxFailures {
    /// Why a launch must end now, if so; `tasks` is how many tasks of its own share had to be run, and `most` the possible total:
    /// `None` if it takes those of others, too.
    pub fn exceeded(self, tally: &Counters, tasks: u64, most: Option<u64>) -> Option<String> {
        let failed = tally.failed;
        let first = most.map_or(IN_A_ROW, |most| IN_A_ROW.min(most)).max(FEWEST);
        match self {
            Self::Auto if tally.ok == 0 && failed >= first => {
                Some(format!("the first {failed} tasks all failed (--max-failures auto)"))
            }
            Self::Auto if tally.failed_in_a_row >= IN_A_ROW => {
                Some(format!("{} tasks in a row failed (--max-failures auto)", tally.failed_in_a_row))
            }
            Self::Count(most) if failed > most => {
                Some(format!("{failed} tasks failed (--max-failures {most})"))
            }
            Self::Percent(most) if failed as f64 > tasks as f64 * most / 100.0 => {
                Some(format!("{failed} of {tasks} tasks failed (--max-failures {most}%)"))
            }
            _ => None,
        }
    }
}

/// Adds tasks while others run.
pub trait Feed: Sync {
    /// Adds tasks to the queue until that is over: see [`TaskQueue::wait_for_demand`]. Runs on a thread of its own. When it
    /// returns, nothing more will come.
    fn run(&self);
    /// Whether a task of a block may begin. Where it may not, the block is no longer this launch's, and the task ends here
    /// without a record; the others of the block were dropped from the queue.
    fn may_begin(&self, block: BlockId) -> bool;
    /// Whether a block is still this launch's, by a look of now.
    ///
    /// # Errors
    /// When the launch ends before storage answers.
    fn is_owner(&self, block: BlockId) -> io::Result<bool>;
}

/// What a launch has to do, and how.
pub struct Work<'a> {
    /// Where tasks come from.
    pub queue: &'a TaskQueue,
    /// Adds more tasks; `None` if all are there from the start.
    pub feeder: Option<&'a dyn Feed>,
    /// How many tasks of its own share were to be run at first: `--max-failures N%` is of these.
    pub tasks: u64,
    /// Where attempts are kept.
    pub recorder: &'a Recorder,
    /// How what tasks make is published, where something was declared.
    pub publishing: Option<&'a Publishing<'a>>,
    /// Signals.
    pub stop: &'a Shutdown,
    /// Who runs.
    pub registry: &'a ProcessRegistry,
    /// Provides the memory usage for heartbeats.
    pub monitor: Option<&'a MemoryMonitor<'a>>,
    /// Extra attempts.
    pub retries: Retries,
    /// When failures end it.
    pub max_failures: MaxFailures,
    /// No new task after this.
    pub deadline: Option<Instant>,
    /// Sends heartbeats meanwhile.
    pub heartbeat: &'a Heartbeat<JournalWriter>,
    /// Notified about attempts that ended.
    pub watch: &'a dyn Observer,
    /// Notified now and then how many tasks are running.
    pub progress: &'a (dyn Fn(usize) + Sync),
}

/// Runs all tasks, with one executor per slot; the last ones stay unused if threads are not available.
/// Returns when no task runs any more.
///
/// # Errors
/// When the threads can't be started.
pub fn run<'w>(work: &'w Work<'w>, slots: Vec<Box<dyn Execute + 'w>>) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        // First, since slots may take all threads that can be had.
        let feeder = work.feeder.map(|feeder| start_feeder(scope, feeder, work.queue));
        let feeder = feeder.transpose().context(NO_THREAD)?;
        let build = |threads| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK);
            builder.thread_name(|slot| format!("slot {}", slot + 1)).build()
        };
        let pool = pool_of_up_to(slots.len(), build).context(NO_THREAD)?;
        let threads = pool.current_num_threads();
        if threads < slots.len() {
            work.watch.short_of_threads(threads);
        }
        work.check_deadline();
        // Hangs up when the last worker has closed the other end.
        let (all_gone, held) = io::pipe().context("can't make a pipe")?;
        let held = Arc::new(held);
        if let Some(begin) = feeder {
            // Its thread waits for just this.
            let _ = begin.send(());
        }
        let publishers = Publishers::start(work, scope, &held);
        pool.in_place_scope(|scope| {
            for (slot, mut executor) in (1..=threads).zip(slots) {
                let (publishers, held) = (publishers.clone(), Arc::clone(&held));
                scope.spawn(move |_| {
                    work.pull(slot, executor.as_mut(), &publishers);
                    drop((publishers, held));
                });
            }
            drop((publishers, held));
            work.keep_time(&all_gone);
        });
        Ok(())
    })
}

/// Starts the feeder's thread. It begins when the sender says so, and ends when the sender is dropped.
fn start_feeder<'s>(
    scope: &'s Scope<'s, '_>,
    feeder: &'s dyn Feed,
    queue: &'s TaskQueue,
) -> io::Result<Sender<()>> {
    let (begin, told) = channel();
    let feed = move || {
        let _ended = EndsSupply(queue);
        if told.recv().is_ok() {
            feeder.run();
        }
    };
    Builder::new().name("feeder".into()).spawn_scoped(scope, feed)?;
    Ok(begin)
}

/// Ends the supply when the feeder's thread ends, even by a panic, so that slots don't wait for ever.
struct EndsSupply<'q>(&'q TaskQueue);

impl Drop for EndsSupply<'_> {
    fn drop(&mut self) {
        self.0.set_supply(Supply::Ended);
    }
}

impl Work<'_> {
    fn pull(&self, slot: usize, executor: &mut dyn Execute, publishers: &Publishers<'_>) {
        let mut holds = HoldsWorker::default();
        let mut products = self.publishing.map(Publishing::slot);
        while let Some(ticket) = self.queue.next_for(&mut holds, || executor.let_go()) {
            // The timekeeper may be waiting for storage.
            self.check_deadline();
            if self.stop.signal().is_some() || self.queue.early_stop().is_some() {
                self.give_back(ticket);
            } else {
                self.take_turn(ticket, slot, executor, products.as_mut(), publishers);
            }
        }
        executor.let_go();
    }

    fn take_turn(
        &self,
        ticket: Ticket,
        slot: usize,
        executor: &mut dyn Execute,
        products: Option<&mut PublishingSlot<'_>>,
        publishers: &Publishers<'_>,
    ) {
        let Some(piece) = self.queue.piece(ticket) else { return self.queue.complete(ticket) };
        let entry = piece.entries.get(ticket.position as usize);
        let index = piece.indices.index_at(u64::from(ticket.position));
        let (Some(entry), Some(index)) = (entry, index) else { return self.queue.complete(ticket) };
        if !self.may_begin(&piece) {
            return self.queue.abandon(ticket);
        }
        let asked = Instant::now();
        let number = match self.recorder.begin(index, slot, ticket.is_alone()) {
            Ok(number) => number,
            Err(error) => return self.cannot_write(ticket, &error),
        };
        // While storage was hanging, others may have taken the task over.
        if asked.elapsed() >= TICK && !self.may_begin(&piece) {
            return match self.recorder.take_back(index) {
                Ok(()) => self.queue.abandon(ticket),
                Err(error) => self.cannot_write(ticket, &error),
            };
        }
        let alone = ticket.is_alone();
        let attempt = Attempt::of(entry, index, number, alone);
        let started_at = crate::clock::now();
        self.watch.begun(slot, &attempt);
        let made = match products {
            None => AttemptEnd::Over(executor.execute(&attempt)),
            Some(products) => {
                let guard = TaskGuard { work: self, block: piece.block, index };
                publishing::make(&attempt, executor, products, &guard)
            }
        };
        self.watch.left(slot);
        match made {
            AttemptEnd::Over(execution) => self.settle(ticket, &attempt, execution, started_at),
            AttemptEnd::Unpublished(why) => self.unpublished(ticket, index, why),
            AttemptEnd::ToPublish(executed, staged) => {
                publishers.take(ToPublish {
                    ticket,
                    piece: Arc::clone(&piece),
                    index,
                    number,
                    executed,
                    staged,
                    started_at,
                });
            }
        }
        // On shutdown, write results first; what is left goes with the launch's folder.
        if self.stop.signal().is_none() {
            executor.clear_up();
        }
    }

    pub(super) fn settle(
        &self,
        ticket: Ticket,
        attempt: &Attempt<'_>,
        execution: Execution,
        started_at: String,
    ) {
        match execution {
            Execution::Stopped => self.interrupted(ticket, attempt.index),
            Execution::CannotStart(why, code) => {
                self.queue.stop_early(EarlyStop::CannotStart(why, code));
                match self.recorder.take_back(attempt.index) {
                    Ok(()) => self.queue.release(ticket),
                    Err(error) => self.cannot_write(ticket, &error),
                }
            }
            Execution::Short(error) => match self.recorder.take_back(attempt.index) {
                Err(error) => self.cannot_write(ticket, &error),
                Ok(()) if self.queue.backoff(ticket) => {}
                Ok(()) => _ = self.queue.stop_early(EarlyStop::Short(error.to_string())),
            },
            Execution::Completed(executed) => self.conclude(ticket, attempt, *executed, started_at),
        }
    }

    /// The task has no record of what was made: it runs again, where it belongs.
    pub(super) fn unpublished(&self, ticket: Ticket, index: u64, why: Unpublished) {
        match why {
            Unpublished::Lost => match self.recorder.interrupted(index) {
                Ok(()) => self.queue.abandon(ticket),
                Err(error) => self.cannot_write(ticket, &error),
            },
            Unpublished::OwnerUnknown | Unpublished::Stopped => self.interrupted(ticket, index),
            Unpublished::CannotRecord(error) => self.cannot_write(ticket, &error),
            Unpublished::Short(error) => {
                self.queue.stop_early(EarlyStop::Short(error.to_string()));
                self.interrupted(ticket, index);
            }
            Unpublished::CannotStore(error) => {
                self.queue.stop_early(EarlyStop::CannotPublish(error));
                self.interrupted(ticket, index);
            }
        }
    }

    fn may_begin(&self, piece: &QueuePiece) -> bool {
        self.feeder.zip(piece.block).is_none_or(|(feeder, block)| feeder.may_begin(block))
    }

    /// Records an attempt that was made, and settles what comes of its task.
    fn conclude(&self, ticket: Ticket, attempt: &Attempt<'_>, executed: Executed, started_at: String) {
        let failed = executed.status() == Status::Failed;
        let next = self.next(ticket, &executed);
        match self.recorder.end(attempt, executed, started_at, next, self.watch) {
            Ok(OutputKept::Yes) => {}
            Ok(OutputKept::No(error)) => {
                self.cannot_store(StorageError::new("can't keep the output of tasks", &error));
            }
            Err(error) => return self.cannot_write(ticket, &error),
        }
        let most = self.feeder.is_none().then_some(self.tasks);
        let exceeded = || self.max_failures.exceeded(&self.recorder.tally(), self.tasks, most);
        if let Some(why) = failed.then(exceeded).flatten() {
            self.queue.stop_early(EarlyStop::MaxFailures(why));
        }
        match next {
            NextStep::Retry(pause) => self.queue.retry_after(ticket, pause),
            NextStep::Alone => self.queue.retry_exclusive(ticket),
            NextStep::Nothing => self.queue.complete(ticket),
        }
    }

    /// The next step for a task after an attempt. A task that ran out of memory beside others is not to blame until it had all
    /// of it; one that did so alone would do it again.
    fn next(&self, ticket: Ticket, executed: &Executed) -> NextStep {
        match &executed.failure {
            None => NextStep::Nothing,
            Some(failure) if failure.cause == Cause::Oom => {
                if ticket.is_alone() {
                    NextStep::Nothing
                } else {
                    NextStep::Alone
                }
            }
            Some(_) if self.queue.early_stop().is_some() => NextStep::Nothing,
            Some(_) => self.retries.pause(ticket.tried + 1).map_or(NextStep::Nothing, NextStep::Retry),
        }
    }

    fn interrupted(&self, ticket: Ticket, index: u64) {
        // A newer launch has already read this journal, or no launch here ever will.
        let is_superseded = self.queue.early_stop() == Some(EarlyStop::Superseded);
        let noted = if is_superseded { Ok(()) } else { self.recorder.interrupted(index) };
        match noted {
            Ok(()) => self.give_back(ticket),
            Err(error) => self.cannot_write(ticket, &error),
        }
    }

    /// The task was not run, since the launch is shutting down. The timekeeper, which stops the queue, may not have noticed yet.
    fn give_back(&self, ticket: Ticket) {
        if let Some(signal) = self.stop.signal() {
            self.queue.stop_early(EarlyStop::Signal(signal));
        }
        self.check_deadline();
        self.queue.release(ticket);
    }

    fn cannot_write(&self, ticket: Ticket, error: &io::Error) {
        self.check_successor();
        self.halt_without_journal(error);
        self.queue.release(ticket);
    }

    fn halt_without_journal(&self, error: &io::Error) {
        self.cannot_store(StorageError::new("can't write the journal", error));
    }

    fn cannot_store(&self, error: StorageError) {
        self.queue.stop_early(EarlyStop::CannotWrite(error));
    }

    /// Keeps time until all workers are gone.
    fn keep_time(&self, all_gone: &impl AsFd) {
        let mut last_report = Instant::now();
        let mut next_look = Instant::now() + pause_between_looks();
        loop {
            let signalled = self.stop.signal();
            if let Some(signal) = signalled {
                self.queue.stop_early(EarlyStop::Signal(signal));
            }
            let wakeup = self.monitor.map(MemoryMonitor::wakeup);
            let ending = signalled.is_none().then(|| self.stop.graceful());
            let watched = [Some(all_gone.as_fd()), wakeup, ending].into_iter().flatten();
            let mut polled: Vec<PollFd<'_>> =
                watched.map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN)).collect();
            let patience = self.deadline.map_or(TICK, |deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() { TICK } else { left.min(TICK) }
            });
            let patience = patience.min(next_look.saturating_duration_since(Instant::now()));
            // Interrupted or not, check everything again.
            let _ = poll(&mut polled, Timespec::try_from(patience).ok().as_ref());
            if !polled[0].revents().is_empty() {
                return;
            }
            self.tick();
            let is_memory_news = wakeup.is_some() && !polled[1].revents().is_empty();
            self.note_memory(is_memory_news);
            let now = Instant::now();
            if now >= next_look {
                self.registry.sample_activity();
                next_look = Instant::now() + pause_between_looks().max(now.elapsed() * COST);
            }
            if last_report.elapsed() >= REPORT {
                last_report = Instant::now();
                (self.progress)(self.queue.running());
            }
        }
    }

    /// Starts nothing more once the time for that has come.
    fn check_deadline(&self) {
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.queue.stop_early(EarlyStop::Deadline);
        }
        if let Some(signal) = self.stop.drain_signal()
            && self.queue.stop_early(EarlyStop::Drained(signal))
        {
            self.watch.draining(signal, self.queue.running());
        }
    }

    fn tick(&self) {
        self.check_deadline();
        if let Some(trouble) = self.heartbeat.trouble() {
            self.cannot_store(trouble);
        }
        self.check_successor();
    }

    fn check_successor(&self) {
        if self.recorder.is_superseded() {
            self.queue.stop_early(EarlyStop::Superseded);
            // What runs here will run there: it ends as in a shutdown of this launch.
            self.stop.yield_to_successor();
        }
    }

    /// Notes the memory in use for the next heartbeat, which comes at once if it is `news`.
    fn note_memory(&self, is_news: bool) {
        let Some(monitor) = self.monitor else { return };
        self.recorder.note_memory(monitor.peak());
        if is_news && let Err(error) = self.recorder.give_sign() {
            self.halt_without_journal(&error);
        }
    }
}

/// Until tasks are looked at again: at random, so that tasks that do something every second are not always met at that.
fn pause_between_looks() -> Duration {
    TICK.mul_f64(0.5 + fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::io;

    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::model::blocks::BlockId;
    use crate::run::queue::{TaskQueue, TasksByStage};

    use super::{Counters, Feed, MaxFailures, start_feeder};

    /// Adds a task.
    struct TestFeeder<'q>(&'q TaskQueue, AtomicBool);

    impl Feed for TestFeeder<'_> {
        fn run(&self) {
            self.1.store(true, Ordering::Relaxed);
            self.0.add_some(TasksByStage { ordinary: vec![7], ..TasksByStage::default() });
        }

        fn may_begin(&self, _: BlockId) -> bool {
            true
        }

        fn is_owner(&self, _: BlockId) -> io::Result<bool> {
            Ok(true)
        }
    }

    #[test]
    fn slots_end_when_the_feeder_has_or_was_never_told_to_begin() {
        for is_told in [true, false] {
            let queue = TaskQueue::new(1);
            let feeder = TestFeeder(&queue, AtomicBool::new(false));
            std::thread::scope(|scope| {
                let begin = start_feeder(scope, &feeder, &queue).unwrap();
                if is_told {
                    begin.send(()).unwrap();
                    let ticket = queue.next().unwrap();
                    assert_eq!(ticket.position, 7);
                    queue.complete(ticket);
                }
                drop(begin);
                assert_eq!(queue.next(), None);
            });
            assert_eq!(feeder.1.into_inner(), is_told);
        }
    }

    #[test]
    fn failures_end_a_launch_by_count_by_share_or_when_nothing_works() {
        assert!(
            MaxFailures::Auto.exceeded(&Counters { failed: 3, ..Counters::default() }, 3, Some(3)).is_some()
        );
        assert!(
            MaxFailures::Auto.exceeded(&Counters { failed: 3, ..Counters::default() }, 3, None).is_none()
        );
        assert!(
            MaxFailures::Auto
                .exceeded(&Counters { failed: 3, ok: 1, ..Counters::default() }, 3, Some(3))
                .is_none()
        );
        for (rule, ok, failed, failed_in_a_row, ends) in [
            (MaxFailures::Auto, 0, 19, 19, false),
            (MaxFailures::Auto, 0, 20, 20, true),
            (MaxFailures::Auto, 1, 500, 19, false),
            (MaxFailures::Auto, 900, 30, 20, true),
            (MaxFailures::None, 0, 500, 500, false),
            (MaxFailures::Count(0), 9, 1, 1, true),
            (MaxFailures::Count(5), 0, 5, 5, false),
            (MaxFailures::Percent(10.0), 0, 10, 10, false),
            (MaxFailures::Percent(10.0), 0, 11, 11, true),
        ] {
            let tally = Counters { ok, failed, failed_in_a_row, ..Counters::default() };
            assert_eq!(rule.exceeded(&tally, 100, Some(100)).is_some(), ends, "{rule:?} {tally:?}");
        }
    }
}

//! Prepares the product folders before an attempt and publishes the products after it, for every way of executing.

use std::collections::VecDeque;
use std::io::{self, PipeWriter};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, Scope};
use std::time::{Duration, Instant};

use crate::model::blocks::{BlockId, ClaimName};
use crate::model::outcome::Failure;
use crate::model::product::DirectoryId;
use crate::products::publish::{
    FolderSyncs, NotPublished, PublishGuard, PublishedProducts, PublishingSlot, StagedProducts, Unpublished,
};
use crate::run::execute::{Attempt, Execute, Executed, Execution};
use crate::run::queue::{QueuePiece, Ticket};
use crate::run::result::ResultDoubt;
use crate::run::schedule::Work;
use crate::threads::locked;
use crate::units;

/// What so many tasks made is published and recorded beside the commands of others.
const AT_ONCE: usize = 128;

/// So many products are synced at a time.
const THREADS: usize = 16;

/// The time between the moments at which products are synced, and the folders of renamed products. Both use the same moments,
/// because storage syncs many files together for little more than one.
const GATHERED: Duration = Duration::from_millis(10);

/// What a slot's thread has, which would settle the task otherwise.
const STACK: usize = 512 * 1024;

/// Once the launch is to stop, so long is left for what needs no rename any more: results are to be written, too.
const TIME_LEFT: Duration = Duration::from_secs(8);

/// Of other files beside products, at most so many are named.
const NAMED: usize = 5;

/// Watches over a task while its products are published.
pub(super) struct TaskGuard<'w> {
    pub(super) work: &'w Work<'w>,
    /// Where the run shares its work: what it is part of.
    pub(super) block: Option<BlockId>,
    pub(super) index: u64,
}

impl PublishGuard for TaskGuard<'_> {
    fn check_owner(&self) -> Result<(), Unpublished> {
        self.work.recorder.look_for_successor().map_err(Unpublished::CannotRecord)?;
        let Some((feeder, block)) = self.work.feeder.zip(self.block) else { return Ok(()) };
        match feeder.is_owner(block) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Unpublished::Lost),
            Err(_) => Err(Unpublished::OwnerUnknown),
        }
    }

    fn is_first_holder(&self) -> bool {
        let recorder = &self.work.recorder;
        let claim = self.block.and_then(|block| recorder.claim_to(block));
        claim.map_or_else(|| recorder.launch() == 1, |claim| claim == ClaimName::first(claim.block))
    }

    fn announce_directories(&self, directories: &[DirectoryId]) -> io::Result<()> {
        self.work.recorder.announce_directories(self.index, directories)
    }

    fn has_made(&self, directory: DirectoryId) -> bool {
        self.work.recorder.has_made(self.index, directory)
    }
}

/// What came of an attempt of which products are expected.
#[derive(Debug)]
pub(super) enum AttemptEnd {
    /// There is nothing to publish.
    Over(Execution),
    /// Nothing comes of it, for no fault of the task.
    Unpublished(Unpublished),
    /// It is ok but for what it made, which is to be published.
    ToPublish(Box<Executed>, StagedProducts),
}

/// Makes an attempt of which products are expected. Whoever took its task over has removed what it was writing: a failure is
/// one only while the task is still this launch's.
pub(super) fn make(
    attempt: &Attempt<'_>,
    executor: &mut dyn Execute,
    products: &mut PublishingSlot<'_>,
    guard: &TaskGuard<'_>,
) -> AttemptEnd {
    let staged = match products.stage(attempt.entry(), (attempt.index, attempt.number), guard) {
        Ok(staged) => staged,
        Err(NotPublished::Unpublished(Unpublished::Short(error))) => {
            return AttemptEnd::Over(Execution::Short(io::Error::other(error)));
        }
        Err(NotPublished::Unpublished(why)) => return AttemptEnd::Unpublished(why),
        Err(NotPublished::Failed(failure)) => {
            return AttemptEnd::Over(Execution::Completed(Box::new(Executed::not_begun(failure))));
        }
    };
    match executor.execute(&Attempt { outs: staged.outs(), ..*attempt }) {
        Execution::Completed(executed) if executed.failure.is_none() => {
            AttemptEnd::ToPublish(executed, staged)
        }
        Execution::Stopped => {
            products.remove_later(staged);
            AttemptEnd::Over(Execution::Stopped)
        }
        execution => {
            staged.remove();
            let is_failure = matches!(execution, Execution::Completed(_));
            let owner = if is_failure { guard.check_owner() } else { Ok(()) };
            owner.map_or_else(AttemptEnd::Unpublished, |()| AttemptEnd::Over(execution))
        }
    }
}

/// An attempt that is ok but for what it made.
pub(super) struct ToPublish {
    pub(super) ticket: Ticket,
    pub(super) piece: Arc<QueuePiece>,
    pub(super) index: u64,
    pub(super) number: u32,
    pub(super) executed: Box<Executed>,
    pub(super) staged: StagedProducts,
    pub(super) started_at: String,
}

/// An attempt whose products have their names. Its record waits until these last.
struct ToRecord(PublishedAttempt, PublishedProducts);

/// Of an attempt, what its record needs.
struct PublishedAttempt {
    ticket: Ticket,
    piece: Arc<QueuePiece>,
    index: u64,
    number: u32,
    executed: Box<Executed>,
    started_at: String,
}

/// Gives what attempts made to who publishes it. To sync is to wait for the storage, which does that for many at a time as
/// fast as for one: so it goes on in threads of its own beside the commands of other tasks, but never for more than
/// [`AT_ONCE`] tasks.
#[derive(Clone)]
pub(super) struct Publishers<'w> {
    work: &'w Work<'w>,
    /// `None` where nothing was declared, or no thread can be had.
    threads: Option<Sender<ToPublish>>,
}

impl<'w> Publishers<'w> {
    /// With threads that end when the last of these is dropped and all is published, and hold `held` until then.
    pub(super) fn start<'s>(work: &'w Work<'w>, scope: &'s Scope<'s, '_>, held: &Arc<PipeWriter>) -> Self
    where
        'w: 's,
    {
        if work.publishing.is_none() {
            return Self { work, threads: None };
        }
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send + 's>| {
            let held = Arc::clone(held);
            let run = move || {
                run();
                drop(held);
            };
            Builder::new().name(name.to_owned()).stack_size(STACK).spawn_scoped(scope, run)
        };
        let since = Instant::now();
        let (to_record, published) = channel();
        let mut published = Gathered::new(published, since);
        let record = move || {
            while let Some(batch) = published.next_batch() {
                work.record(batch);
            }
        };
        if spawn("recorder", Box::new(record)).is_err() {
            return Self { work, threads: None };
        }
        let (to_publish, made) = channel();
        let made = Arc::new(Mutex::new(Gathered::new(made, since)));
        let mut threads = None;
        for _ in 0..THREADS {
            let (made, to_record) = (Arc::clone(&made), to_record.clone());
            let publish = move || {
                let next = || locked(&made).next();
                while let Some(made) = next() {
                    let Some(published) = work.publish(made) else { continue };
                    if let Err(SendError(published)) = to_record.send(published) {
                        work.record(vec![published]);
                    }
                }
            };
            if spawn("publisher", Box::new(publish)).is_err() {
                break;
            }
            threads = Some(to_publish.clone());
        }
        Self { work, threads }
    }

    /// Publishes what an attempt made and settles what comes of its task, at once or beside other tasks.
    pub(super) fn take(&self, made: ToPublish) {
        let work = self.work;
        if let Err(error) = work.recorder.command_ended(made.index) {
            made.staged.remove();
            return work.unpublished(made.ticket, made.index, Unpublished::CannotRecord(error));
        }
        let has_room = !made.ticket.is_alone() && work.queue.publishing() < AT_ONCE;
        let Some(threads) = self.threads.as_ref().filter(|_| has_room) else {
            return work.record(work.publish(made).into_iter().collect());
        };
        let ticket = work.queue.publish(made.ticket);
        if let Err(SendError(made)) = threads.send(ToPublish { ticket, ..made }) {
            work.record(work.publish(made).into_iter().collect());
        }
    }
}

/// The receiver of a channel that delivers in batches, at moments that are [`GATHERED`] apart.
struct Gathered<T> {
    from: Receiver<T>,
    /// The batch of the last such moment, as far as it is not taken yet.
    ready: VecDeque<T>,
    /// The first moment.
    since: Instant,
}

impl<T> Gathered<T> {
    fn new(from: Receiver<T>, since: Instant) -> Self {
        Self { from, ready: VecDeque::new(), since }
    }

    /// Waits until something is ready; `false` when nothing more will be.
    fn gather(&mut self) -> bool {
        if self.ready.is_empty() {
            let Ok(first) = self.from.recv() else { return false };
            // A second has a whole number of these moments.
            let past = self.since.elapsed().subsec_nanos() % GATHERED.subsec_nanos();
            std::thread::sleep(GATHERED.saturating_sub(Duration::from_nanos(u64::from(past))));
            self.ready.push_back(first);
            self.ready.extend(self.from.try_iter());
        }
        true
    }

    /// The next item.
    fn next(&mut self) -> Option<T> {
        self.gather().then(|| self.ready.pop_front()).flatten()
    }

    /// The next batch, or the rest of this one.
    fn next_batch(&mut self) -> Option<Vec<T>> {
        self.gather().then(|| self.ready.drain(..).collect())
    }
}

impl Work<'_> {
    /// Gives what an attempt made its names. What can't be published is settled at once.
    fn publish(&self, made: ToPublish) -> Option<ToRecord> {
        let Some(publishing) = self.publishing else {
            self.queue.complete(made.ticket);
            return None;
        };
        let ToPublish { ticket, piece, index, number, executed, staged, started_at } = made;
        let guard = TaskGuard { work: self, block: piece.block, index };
        let products = publishing.publish(staged, &guard, &|| self.stop.is_overdue(TIME_LEFT));
        let attempt = PublishedAttempt { ticket, piece, index, number, executed, started_at };
        match products {
            Ok(products) => Some(ToRecord(attempt, products)),
            Err(not) => {
                self.settle_published(attempt, Err(not));
                None
            }
        }
    }

    /// Makes the names of products last, then writes the records of their tasks: a power loss must not leave these without those.
    fn record(&self, published: Vec<ToRecord>) {
        let each = published.iter().map(|ToRecord(_, products)| products);
        let syncs = FolderSyncs::of(each, &|| self.stop.is_overdue(TIME_LEFT));
        for ToRecord(attempt, products) in published {
            let guard = TaskGuard { work: self, block: attempt.piece.block, index: attempt.index };
            let synced = syncs.check(&products, &guard);
            self.settle_published(attempt, synced.map(|()| products));
        }
    }

    /// Settles what comes of a task whose products were to be published.
    fn settle_published(&self, made: PublishedAttempt, products: Result<PublishedProducts, NotPublished>) {
        let PublishedAttempt { ticket, piece, index, number, mut executed, started_at } = made;
        let Some(entry) = piece.entries.get(ticket.position as usize) else {
            return self.queue.complete(ticket);
        };
        match products {
            Ok(products) => executed.has_published(products),
            Err(NotPublished::Failed(failure)) => executed.has_failed(failure),
            Err(NotPublished::Unpublished(why)) => return self.unpublished(ticket, index, why),
        }
        let alone = ticket.is_alone();
        let attempt = Attempt::of(entry, index, number, alone);
        self.settle(ticket, &attempt, Execution::Completed(executed), started_at);
    }
}

impl Executed {
    /// Of an ok attempt. What it made is what it is for: without a result nothing is wrong.
    fn has_published(&mut self, PublishedProducts { products, others, unremoved, .. }: PublishedProducts) {
        self.products = products;
        if matches!(self.doubt, Some(ResultDoubt::NoResult(_) | ResultDoubt::ReturnedNone(_))) {
            self.doubt = None;
        }
        if !others.is_empty() {
            let names = others.iter().take(NAMED).map(units::path).collect();
            self.doubt = Some(ResultDoubt::OtherFiles(names));
        }
        if let Some(error) = unremoved {
            self.doubt = Some(ResultDoubt::Unremoved(error.to_string()));
        }
    }

    /// Of an attempt that was ok but for what it made.
    fn has_failed(&mut self, failure: Failure) {
        (self.failure, self.result, self.doubt) = (Some(failure), None, None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::Gathered;

    #[test]
    fn what_came_before_a_moment_is_ready_together_and_nothing_is_lost_at_the_end() {
        let (send, from) = channel();
        (0..5).for_each(|item| send.send(item).unwrap());
        let mut gathered = Gathered::new(from, Instant::now());
        assert_eq!(gathered.next(), Some(0));
        send.send(5).unwrap();
        drop(send);
        assert_eq!(gathered.next_batch(), Some(vec![1, 2, 3, 4]));
        assert_eq!(gathered.next_batch(), Some(vec![5]));
        assert_eq!((gathered.next(), gathered.next_batch()), (None, None));
    }
}

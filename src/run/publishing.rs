//! An attempt with room for its products before it, and their publishing after it: the same for every way of executing.

use std::io::{self, PipeWriter};
use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, Scope};
use std::time::Duration;

use crate::model::blocks::{BlockId, ClaimName};
use crate::model::outcome::Failure;
use crate::model::product::DirectoryId;
use crate::products::publish::{
    NotPublished, PublishGuard, PublishedProducts, PublishingSlot, StagedProducts, Unpublished,
};
use crate::run::execute::{Attempt, Execute, Executed, Execution};
use crate::run::queue::{Piece, Ticket};
use crate::run::result::ResultDoubt;
use crate::run::schedule::Work;
use crate::threads::locked;
use crate::units;

/// What so many tasks made is published beside the commands of others.
const AT_ONCE: usize = 16;

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
pub(super) enum Made {
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
) -> Made {
    let staged = match products.stage(attempt.path, attempt.rel, (attempt.index, attempt.number), guard) {
        Ok(staged) => staged,
        Err(NotPublished::Unpublished(Unpublished::Short(error))) => {
            return Made::Over(Execution::Short(io::Error::other(error)));
        }
        Err(NotPublished::Unpublished(why)) => return Made::Unpublished(why),
        Err(NotPublished::Failed(failure)) => {
            return Made::Over(Execution::Completed(Box::new(Executed::not_begun(failure))));
        }
    };
    match executor.execute(&Attempt { outs: staged.outs(), ..*attempt }) {
        Execution::Completed(executed) if executed.failure.is_none() => Made::ToPublish(executed, staged),
        Execution::Stopped => {
            products.remove_later(staged);
            Made::Over(Execution::Stopped)
        }
        execution => {
            staged.remove();
            let is_failure = matches!(execution, Execution::Completed(_));
            let owner = if is_failure { guard.check_owner() } else { Ok(()) };
            owner.map_or_else(Made::Unpublished, |()| Made::Over(execution))
        }
    }
}

/// An attempt that is ok but for what it made.
pub(super) struct ToPublish {
    pub(super) ticket: Ticket,
    pub(super) piece: Arc<Piece>,
    pub(super) index: u64,
    pub(super) number: u32,
    pub(super) executed: Box<Executed>,
    pub(super) staged: StagedProducts,
    pub(super) started_at: String,
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
        let (sender, receiver) = channel::<ToPublish>();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut threads = None;
        for _ in 0..AT_ONCE {
            let (receiver, held) = (Arc::clone(&receiver), Arc::clone(held));
            let publish = move || {
                let next = || locked(&receiver).recv();
                while let Ok(made) = next() {
                    work.publish(made);
                }
                drop(held);
            };
            let builder = Builder::new().name("publisher".to_owned()).stack_size(STACK);
            if builder.spawn_scoped(scope, publish).is_err() {
                break;
            }
            threads = Some(sender.clone());
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
        let Some(threads) = self.threads.as_ref().filter(|_| has_room) else { return work.publish(made) };
        let ticket = work.queue.publish(made.ticket);
        if let Err(SendError(made)) = threads.send(ToPublish { ticket, ..made }) {
            work.publish(made);
        }
    }
}

impl Work<'_> {
    /// Publishes what an attempt made, and settles what comes of its task.
    fn publish(&self, made: ToPublish) {
        let ToPublish { ticket, piece, index, number, mut executed, staged, started_at } = made;
        let entry = piece.entries.get(ticket.position as usize);
        let (Some(publishing), Some(entry)) = (self.publishing, entry) else {
            return self.queue.complete(ticket);
        };
        let alone = ticket.is_alone();
        let attempt = Attempt { path: entry.path, rel: entry.rel, index, number, alone, outs: &[] };
        let guard = TaskGuard { work: self, block: piece.block, index };
        match publishing.publish(staged, &guard, &|| self.stop.is_overdue(TIME_LEFT)) {
            Ok(published) => executed.has_published(published),
            Err(NotPublished::Failed(failure)) => executed.has_failed(failure),
            Err(NotPublished::Unpublished(why)) => return self.unpublished(ticket, index, why),
        }
        self.settle(ticket, &attempt, Execution::Completed(executed), started_at);
    }
}

impl Executed {
    /// Of an ok attempt. What it made is what it is for: without a result nothing is wrong.
    fn has_published(&mut self, PublishedProducts { products, others, unremoved }: PublishedProducts) {
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

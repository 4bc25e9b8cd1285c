//! An attempt with room for its products before it, and their publishing after it: the same for every way of executing.

use std::io;

use crate::model::blocks::BlockId;
use crate::model::outcome::Failure;
use crate::products::publish::{NotPublished, PublishGuard, Published, PublishingSlot, Unpublished};
use crate::run::execute::{Attempt, Execute, Executed, Execution};
use crate::run::result::ResultDoubt;
use crate::run::schedule::Work;
use crate::units;

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
    fn is_owner(&self) -> io::Result<bool> {
        self.work.recorder.look_for_successor()?;
        let owner = self.work.feeder.zip(self.block);
        Ok(owner.is_none_or(|(feeder, block)| feeder.is_owner(block)))
    }

    fn announce_directories(&self, inodes: &[u64]) -> io::Result<()> {
        self.work.recorder.announce_directories(self.index, inodes)
    }

    fn has_made(&self, inode: u64) -> bool {
        self.work.recorder.has_made(self.index, inode)
    }
}

/// Makes an attempt of which products are expected.
///
/// # Errors
/// When it can't be begun, or can't be published, for no fault of the task.
pub(super) fn make(
    attempt: &Attempt<'_>,
    executor: &mut dyn Execute,
    products: &mut PublishingSlot<'_>,
    guard: &TaskGuard<'_>,
) -> Result<Execution, Unpublished> {
    let staged = match products.stage(attempt.path, attempt.rel, (attempt.index, attempt.number), guard) {
        Ok(staged) => staged,
        Err(NotPublished::Unpublished(why)) => return Err(why),
        Err(NotPublished::Failed(failure)) => {
            return Ok(Execution::Completed(Box::new(Executed::not_begun(failure))));
        }
    };
    let execution = executor.execute(&Attempt { outs: staged.outs(), ..*attempt });
    let mut executed = match execution {
        Execution::Completed(executed) => executed,
        Execution::Stopped => {
            products.stop(staged);
            return Ok(Execution::Stopped);
        }
        Execution::Short(_) | Execution::CannotStart(..) => {
            staged.remove();
            return Ok(execution);
        }
    };
    if executed.failure.is_some() {
        staged.remove();
    } else {
        match products.publish(&staged, guard) {
            Ok(published) => executed.has_published(published),
            Err(NotPublished::Failed(failure)) => executed.has_failed(failure),
            Err(NotPublished::Unpublished(why)) => return Err(why),
        }
    }
    Ok(Execution::Completed(executed))
}

impl Executed {
    /// Of an ok attempt. What it made is what it is for: without a result nothing is wrong.
    fn has_published(&mut self, Published { products, others }: Published) {
        self.products = products;
        if matches!(self.doubt, Some(ResultDoubt::NoResult(_) | ResultDoubt::ReturnedNone(_))) {
            self.doubt = None;
        }
        if !others.is_empty() {
            let names = others.iter().take(NAMED).map(units::path).collect();
            self.doubt = Some(ResultDoubt::OtherFiles(names));
        }
    }

    /// Of an attempt that was ok but for what it made.
    fn has_failed(&mut self, failure: Failure) {
        (self.failure, self.result, self.doubt) = (Some(failure), None, None);
    }
}

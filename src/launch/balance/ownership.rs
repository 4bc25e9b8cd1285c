//! Whether the blocks that a launch has are still its own: a claim of a higher generation takes one away.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::journal::writer::JournalWriter;
use crate::launch::Launcher;
use crate::liveness::heartbeat::Heartbeat;
use crate::model::blocks::{BlockId, ClaimName};
use crate::report::launch::LaunchReport;
use crate::run::early_stop::EarlyStop;
use crate::run::queue::TaskQueue;
use crate::run::recorder::Recorder;
use crate::sharing::claims::ClaimsFolder;
use crate::terminal::console::{Tone, Verbosity};
use crate::threads::locked;
use crate::units;

/// What a launch needs to notice lost blocks and release them.
pub(super) struct Ownership<'a> {
    pub(super) launcher: &'a Launcher<'a>,
    pub(super) claims: ClaimsFolder,
    pub(super) recorder: &'a Recorder,
    pub(super) queue: &'a TaskQueue,
    pub(super) report: &'a LaunchReport<'a>,
    pub(super) heartbeat: &'a Heartbeat<JournalWriter>,
    /// When the last look that was answered began.
    pub(super) looked_at: Mutex<Instant>,
}

impl Ownership<'_> {
    /// Looks at every block that has tasks left, and gives up those that another launch took over, all of them where the
    /// claims of the run are gone.
    ///
    /// # Errors
    /// When storage gives an error; the affected blocks are kept.
    pub(super) fn look(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        // Where they are gone, no name says that something was taken over.
        if !self.claims.is_there()? {
            self.launcher.stop.yield_to_successor();
            self.queue.stop_early(EarlyStop::Superseded);
        }
        for progress in self.recorder.unended().iter().filter(|progress| progress.is_held()) {
            if !self.claims.is_highest(progress.claim)? {
                self.give_up(progress.claim);
            }
        }
        let mut looked_at = locked(&self.looked_at);
        *looked_at = begun.max(*looked_at);
        Ok(())
    }

    /// Whether a task of `block` may begin. If no recent heartbeat is known to be synced, or the last check is old,
    /// this launch may count as dead, so it checks first; it waits for storage that does not answer, as long as nothing
    /// ends the launch.
    pub(super) fn may_begin(&self, block: BlockId) -> bool {
        let lately = self.launcher.config.takeover_after / 4;
        let is_late = |at: Option<Instant>| at.is_none_or(|at| at.elapsed() >= lately);
        if is_late(self.heartbeat.last_synced()) || is_late(Some(*locked(&self.looked_at))) {
            while self.look().is_err() {
                if self.is_over_within(lately / 10) {
                    return false;
                }
            }
        }
        if self.queue.early_stop() == Some(EarlyStop::Superseded) {
            return false;
        }
        let is_ours = self.recorder.has_block(block);
        if !is_ours {
            self.report.take_away(1);
        }
        is_ours
    }

    /// Whether `block` is still this launch's, by a look of now; it waits for storage that does not answer, as long as nothing
    /// ends the tasks that run.
    ///
    /// # Errors
    /// The last storage error, once they must end.
    pub(super) fn is_owner(&self, block: BlockId) -> io::Result<bool> {
        let pause = self.launcher.config.takeover_after / 40;
        while let Some(claim) = self.recorder.claim_to(block) {
            match self.claims.is_highest(claim) {
                Ok(true) => return Ok(true),
                Ok(false) => self.give_up(claim),
                Err(error) if self.launcher.stop.begins_within(pause) || self.can_record_nothing() => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        self.report.take_away(1);
        Ok(false)
    }

    /// Whether nothing that comes of a task would be kept.
    fn can_record_nothing(&self) -> bool {
        matches!(self.queue.early_stop(), Some(EarlyStop::CannotWrite(_) | EarlyStop::Superseded))
    }

    /// Whether the launch ends, after a pause at most.
    fn is_over_within(&self, pause: Duration) -> bool {
        self.launcher.stop.begins_within(pause) || self.queue.early_stop().is_some()
    }

    fn give_up(&self, claim: ClaimName) {
        let dropped = self.queue.drop_block(claim.block);
        self.recorder.lose(claim.block);
        self.report.take_away(dropped);
        let quiet = units::duration(self.launcher.config.takeover_after);
        let by = match self.claims.read(claim.next()).ok().and_then(|read| read.by()) {
            Some(by) => format!("replica {}", by.replica),
            None => "another replica".to_owned(),
        };
        self.launcher.console.say(
            Verbosity::Normal,
            Tone::Warning,
            &format!(
                "{by} took over block {} of share {} ({} not started), because this replica sent no heartbeat for {quiet}",
                claim.block.round,
                claim.block.share,
                units::count(dropped, "file")
            ),
        );
    }
}

//! Taking over the unfinished blocks of dead replicas.

use std::error::Error;
use std::io;
use std::time::Duration;

use anyhow::Context;

use crate::exit_code::CannotWrite;
use crate::journal::reader::ReadingStopped;
use crate::journal::state::JournalState;
use crate::launch::balance::Reach;
use crate::launch::balance::block_feed::BlockFeed;
use crate::launch::balance::block_history::{
    Chain, LostTask, QuarantinedTasks, RemainingTasks, by_chain, chain, history_beside, is_deadly,
};
use crate::launch::balance::feeder::{Feeder, is_lasting};
use crate::launch::pending::{DueRule, PreviousHolder};
use crate::model::blocks::ClaimName;
use crate::model::counts::TaskState;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Rerun;
use crate::run::queue::TasksByStage;
use crate::run::recorder::{BlockDue, HeldBy};
use crate::sharing::claims::ClaimRead;
use crate::sharing::peers::PeerState;
use crate::terminal::console::Tone;
use crate::units;

/// Launches that observe the same death must not claim at the same moment.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The same for a launch that has certainly ended.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

impl Feeder<'_> {
    /// Takes over one block with tasks left from the dead launch `by`: the other blocks are left to
    /// idle launches, too. Returns whether there was any.
    pub(super) fn take_over(&mut self, by: LaunchId, claims: &[ClaimName]) -> anyhow::Result<bool> {
        let mut standing = Vec::new();
        for claim in claims {
            match self.stands(*claim, by) {
                Ok(true) => standing.push(*claim),
                Ok(false) => {}
                Err(error) => return Ok(self.note_trouble(&error)),
            }
        }
        if standing.is_empty() || !self.is_still_dead(by) {
            return Ok(false);
        }
        // Launches that observe the same death must not claim the same block.
        fastrand::shuffle(&mut standing);
        let mut taken = 0;
        for claim in standing {
            taken = self.take_standing(&[claim])?;
            if taken > 0 {
                break;
            }
        }
        if taken > 0 {
            let files = units::count(taken, "file");
            let LaunchId { replica, launch } = by;
            let text = format!("took over {files} from replica {replica} (its launch {launch} has ended)");
            self.say(Tone::Plain, &text);
        }
        Ok(taken > 0)
    }

    /// Whether a claim is the highest of its block, made by `by`, and has tasks left as far as is known.
    fn stands(&self, claim: ClaimName, by: LaunchId) -> anyhow::Result<bool> {
        if self.is_set_aside(claim) || !self.claimant.folder().is_highest(claim)? {
            return Ok(false);
        }
        Ok(self.claimant.folder().read(claim)?.by() == Some(by))
    }

    /// Whether a block is not to be taken over: there is nothing to run of it, it is left to others, or this launch has lost
    /// it and still runs some of it, whose end would count twice.
    fn is_set_aside(&self, claim: ClaimName) -> bool {
        let ClaimName { block, .. } = claim;
        self.settled.contains(&claim)
            || self.abandoned.contains(&block)
            || self.queue.has_block(block)
            || self.recorder.has_block(block)
    }

    /// Checks a launch that seems dead once more, after a random pause.
    fn is_still_dead(&mut self, by: LaunchId) -> bool {
        // A launch that stopped cleanly, or died on this host, does not wake up: there is nothing to wait for.
        let is_certain = self.ledger.peers().is_certainly_over(by);
        let longest = if is_certain { SHORT_PAUSE } else { self.launcher.config.takeover_after / 60 };
        let longest = longest.min(LONGEST_PAUSE);
        let is_over = self.queue.wait_until_over(longest.mul_f64(fastrand::f64()));
        !is_over && self.has_ended(by)
    }

    /// Whether a launch writes nothing more: it has stopped, died, was superseded by this one, or is not there.
    pub(super) fn has_ended(&mut self, by: LaunchId) -> bool {
        let is_superseded = by.replica == self.me.replica && by.launch < self.me.launch;
        let state = self.ledger.peers().look(by).state;
        is_superseded || matches!(state, PeerState::Stopped | PeerState::Dead | PeerState::Missing)
    }

    /// Takes over a block with an unreadable claim.
    pub(super) fn take_over_broken(&mut self, claim: ClaimName) -> anyhow::Result<bool> {
        let is_highest = match self.claimant.folder().is_highest(claim) {
            Ok(is_highest) => is_highest && !self.is_set_aside(claim),
            Err(error) => return Ok(self.note_trouble(&error)),
        };
        Ok(is_highest && self.take_standing(&[claim])? > 0)
    }

    /// Reads what was left of blocks and claims those with tasks to run; gives how many these are.
    fn take_standing(&mut self, standing: &[ClaimName]) -> anyhow::Result<u64> {
        let chains = match by_chain(self.claimant.folder(), standing.iter().copied()) {
            Ok(chains) => chains,
            Err(error) => {
                self.note_trouble(&error);
                return Ok(0);
            }
        };
        let mut taken = 0;
        for (chain, claims) in chains {
            let Some(mut history) = self.read(&chain, &claims) else { continue };
            for claim in claims {
                if self.reach != Reach::Leftovers && is_deadly(&history, &chain, claim.block) {
                    self.abandon(claim);
                } else {
                    taken += self.receive(claim, &chain, &mut history)?;
                }
            }
        }
        Ok(taken)
    }

    /// The state of blocks from the journals. Blocks with an unreadable journal are left to other launches: one journal
    /// must not end every launch that reads it.
    fn read(&mut self, chain: &[LaunchId], claims: &[ClaimName]) -> Option<JournalState> {
        match history_beside(self.launcher, self.blocks, chain, claims, Some(self.me)) {
            Ok(history) => {
                history.problems.iter().for_each(|problem| self.launcher.console.warn(&problem.to_string()));
                Some(history)
            }
            // The launch ends.
            Err(error) if error.is::<ReadingStopped>() => None,
            // Storage may recover later.
            Err(error) if is_passing(&error) => {
                self.note_trouble(&error);
                None
            }
            Err(error) => {
                self.abandoned.extend(claims.iter().map(|claim| claim.block));
                let blocks = units::count(claims.len() as u64, "block");
                self.say(Tone::Warning, &format!("{blocks} can't be taken over: {error:#}"));
                None
            }
        }
    }

    /// Claims a block if it has tasks without a record; returns how many must be run.
    fn receive(
        &mut self,
        claim: ClaimName,
        chain: &[LaunchId],
        history: &mut JournalState,
    ) -> anyhow::Result<u64> {
        let rest = self.remaining(claim, history);
        if rest.len() == 0 {
            self.settled.insert(claim);
            return Ok(0);
        }
        if !self.claim(claim.next())? {
            return Ok(0);
        }
        self.hold(claim.next(), chain, history, rest)
    }

    fn remaining(&self, claim: ClaimName, history: &JournalState) -> RemainingTasks {
        RemainingTasks::of(
            self.launcher,
            history,
            claim.block,
            DueRule::Rerun(Rerun::Never),
            PreviousHolder::OtherReplica,
        )
    }

    /// Adds a claimed block with what is left of it; returns how many tasks that is.
    fn hold(
        &mut self,
        claim: ClaimName,
        chain: &[LaunchId],
        history: &mut JournalState,
        rest: RemainingTasks,
    ) -> anyhow::Result<u64> {
        let Some(indices) = self.blocks.indices(claim.block) else { return Ok(0) };
        let due = rest.len();
        self.taken_over_from
            .extend(chain.iter().map(|by| by.replica).filter(|replica| *replica != self.me.replica));
        self.recorder
            .hold(claim, indices.clone(), Some(history), BlockDue::here(due), HeldBy::NewClaim)
            .context(CannotWrite)?;
        self.report.add_tasks(due);
        let RemainingTasks { tasks: TasksByStage { ordinary, suspects, alone }, lost, at_most, .. } = rest;
        let ordinary = TasksByStage { ordinary, ..TasksByStage::default() };
        self.feeds.push_back(BlockFeed::new(self.launcher.list, claim, indices, ordinary, at_most)?);
        let suspects = [suspects, alone].concat();
        if !suspects.is_empty() || !lost.is_empty() {
            self.quarantined.push(QuarantinedTasks { claim, chain: chain.to_vec(), suspects, lost });
        }
        Ok(due)
    }

    /// Finds out which launch has the blocks that this one may have claimed. Returns whether there is something to run.
    pub(super) fn settle_doubts(&mut self) -> anyhow::Result<bool> {
        let mut has_more = false;
        for claim in std::mem::take(&mut self.doubtful) {
            match self.claimant.folder().read(claim) {
                Ok(ClaimRead::Of(found)) if self.claimant.is_ours(&found) => has_more |= self.adopt(claim)?,
                Ok(found) => {
                    if found != ClaimRead::Missing {
                        self.ledger.note(claim);
                    }
                    self.recorder.not_claimed(claim);
                }
                Err(_) => self.doubtful.push(claim),
            }
        }
        Ok(has_more)
    }

    /// Continues with a block that this launch turns out to have claimed. Returns whether there is something to run.
    pub(super) fn adopt(&mut self, claim: ClaimName) -> anyhow::Result<bool> {
        self.ledger.note(claim);
        if self.made.contains(&claim) {
            return Ok(false);
        }
        let before = claim.generation.checked_sub(1).map(|generation| ClaimName { generation, ..claim });
        let chain = before.map_or(Ok(Chain::new()), |before| chain(self.claimant.folder(), before));
        let chain = match chain {
            Ok(chain) => chain,
            Err(error) => {
                self.doubtful.push(claim);
                return Ok(self.note_trouble(&error));
            }
        };
        let Some(mut history) = self.read(&chain, &[claim]) else {
            self.doubtful.push(claim);
            return Ok(false);
        };
        self.made.insert(claim);
        let rest = self.remaining(claim, &history);
        Ok(self.hold(claim, &chain, &mut history, rest)? > 0)
    }

    fn abandon(&mut self, claim: ClaimName) {
        self.abandoned.insert(claim.block);
        let files = self.blocks.indices(claim.block).map_or(0, |indices| indices.len());
        self.say(
            Tone::Warning,
            &format!(
                "five launches died while running block {} of share {} ({}), and none recorded a result: no replica tries it again by itself. To run it: `canfar-run resume {}`",
                claim.block.round,
                claim.block.share,
                units::count(files, "file"),
                self.launcher.layout.root().display()
            ),
        );
    }

    /// Handles the tasks that launches died with, once nothing else is left: a task with a record needs no other, one that died
    /// among others runs alone, and one that died alone is lost. Returns whether there is something to run.
    pub(super) fn see_to_quarantined(&mut self) -> anyhow::Result<bool> {
        let mut has_more = false;
        for mut tasks in std::mem::take(&mut self.quarantined) {
            if !self.recorder.has_claim(tasks.claim) {
                continue;
            }
            // The launch that ran it alone may only have been frozen, and may still finish it.
            let (over, open): (Vec<LostTask>, Vec<LostTask>) =
                tasks.lost.iter().copied().partition(|lost| self.has_ended(lost.by));
            if !tasks.suspects.is_empty() || !over.is_empty() {
                if !self.look_again(&mut tasks)? {
                    self.quarantined.push(tasks);
                    continue;
                }
                has_more |= self.run_suspects(&mut tasks)?;
                for LostTask { index, attempts, .. } in over {
                    if tasks.lost.iter().any(|lost| lost.index == index) {
                        self.launcher.write_loss(self.recorder, index, attempts, 1)?;
                        self.report.take_away(1);
                    }
                }
                tasks.lost.retain(|lost| open.iter().any(|other| other.index == lost.index));
            }
            if !tasks.lost.is_empty() {
                self.quarantined.push(tasks);
            }
        }
        Ok(has_more)
    }

    /// The previous owner may have recorded more before its end, or have stopped cleanly, so that no container died with
    /// the task. Returns whether that could be read.
    fn look_again(&mut self, tasks: &mut QuarantinedTasks) -> anyhow::Result<bool> {
        let others: Chain = tasks.chain.iter().copied().filter(|by| *by != self.me).collect();
        let (Some(indices), Some(mut history)) =
            (self.blocks.indices(tasks.claim.block), self.read(&others, &[tasks.claim]))
        else {
            // What is left to others for good is seen to here as far as it is known.
            return Ok(self.abandoned.contains(&tasks.claim.block));
        };
        let has_record = |index: u64| history.tasks.get(index).has_record();
        let before = tasks.suspects.len() + tasks.lost.len();
        let is_open = |position: &u32| !indices.index_at(u64::from(*position)).is_some_and(has_record);
        tasks.suspects.retain(is_open);
        tasks.lost.retain(|lost| !has_record(lost.index));
        let recorded = (before - tasks.suspects.len() - tasks.lost.len()) as u64;
        let died_alone = |lost: &LostTask| history.tasks.get(lost.index).state == TaskState::Lost;
        let (lost, stopped): (Vec<LostTask>, Vec<LostTask>) =
            tasks.lost.iter().copied().partition(died_alone);
        let position = |lost: LostTask| u32::try_from(indices.position_of(lost.index)?).ok();
        tasks.suspects.extend(stopped.into_iter().filter_map(position));
        tasks.lost = lost;
        if recorded > 0 {
            self.recorder.learn(tasks.claim.block, &mut history, recorded).context(CannotWrite)?;
            self.report.take_away(recorded);
        }
        Ok(true)
    }

    fn run_suspects(&mut self, tasks: &mut QuarantinedTasks) -> anyhow::Result<bool> {
        let alone = std::mem::take(&mut tasks.suspects);
        let indices = self.blocks.indices(tasks.claim.block).filter(|_| !alone.is_empty());
        let Some(indices) = indices else { return Ok(false) };
        let alone = TasksByStage { alone, ..TasksByStage::default() };
        self.feeds.push_back(BlockFeed::new(self.launcher.list, tasks.claim, indices, alone, None)?);
        Ok(true)
    }
}

/// Whether reading may succeed later: storage gave an error that is none of the file's.
fn is_passing(error: &anyhow::Error) -> bool {
    error.chain().any(<dyn Error>::is::<io::Error>) && !is_lasting(error)
}

//! Taking over what the dead have left of blocks.

use std::time::Duration;

use anyhow::Context;

use crate::exit_code::CannotWrite;
use crate::journal::state::JournalState;
use crate::launch::balance::Reach;
use crate::launch::balance::block_feed::BlockFeed;
use crate::launch::balance::feeder::Feeder;
use crate::launch::balance::inheritance::{Legacy, Remainder, by_chain, chain, history, is_deadly};
use crate::launch::pending::Inherited;
use crate::model::blocks::ClaimName;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Rerun;
use crate::run::queue::TasksByStage;
use crate::run::recorder::HeldBy;
use crate::sharing::claims::ClaimRead;
use crate::sharing::peers::PeerState;
use crate::terminal::console::Tone;
use crate::units;

/// Observers of one death are not to claim in the same moment.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Feeder<'_> {
    /// Takes over what has tasks left of the blocks whose claims `by`, which is dead, is said to have. Gives whether there
    /// was any.
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
        self.inherit(&standing, Some(by))
    }

    /// Whether a claim is the highest of its block, made by `by`, and has tasks left as far as is known.
    fn stands(&self, claim: ClaimName, by: LaunchId) -> anyhow::Result<bool> {
        let is_out = self.settled.contains(&claim) || self.abandoned.contains(&claim.block);
        if is_out || !self.claimant.folder().is_highest(claim)? {
            return Ok(false);
        }
        Ok(self.claimant.folder().read(claim)?.by() == Some(by))
    }

    /// One more look at a launch that seems dead, after a pause at random.
    fn is_still_dead(&mut self, by: LaunchId) -> bool {
        let longest = (self.launcher.config.takeover_after / 60).min(LONGEST_PAUSE);
        let is_over = self.queue.wait_until_over(longest.mul_f64(fastrand::f64()));
        !is_over && matches!(self.ledger.peers().look(by).state, PeerState::Stopped | PeerState::Dead)
    }

    /// Reads what was left of blocks and claims those with tasks to run. `from`: whose they were, if one launch's.
    pub(super) fn inherit(&mut self, standing: &[ClaimName], from: Option<LaunchId>) -> anyhow::Result<bool> {
        let chains = match by_chain(self.claimant.folder(), standing.iter().copied()) {
            Ok(chains) => chains,
            Err(error) => return Ok(self.note_trouble(&error)),
        };
        let mut taken = 0;
        for (chain, claims) in chains {
            let mut history = history(self.launcher, self.blocks, &chain, &claims)?;
            history.problems.iter().for_each(|problem| self.launcher.console.warn(&problem.to_string()));
            for claim in claims {
                if self.reach != Reach::Leftovers && is_deadly(&history, &chain, claim.block) {
                    self.abandon(claim);
                } else {
                    taken += self.receive(claim, &chain, &mut history)?;
                }
            }
        }
        if let (Some(from), true) = (from, taken > 0) {
            self.heirs_of.insert(from.replica);
            let files = units::count(taken, "file");
            self.say(
                Tone::Plain,
                &format!(
                    "took over {files} of replica {}, launch {} of which is no longer running",
                    from.replica, from.launch
                ),
            );
        }
        Ok(taken > 0)
    }

    /// Claims a block where it has tasks without a record; gives how many are to be run.
    fn receive(
        &mut self,
        claim: ClaimName,
        chain: &[LaunchId],
        history: &mut JournalState,
    ) -> anyhow::Result<u64> {
        let rest = self.remainder(claim, history);
        if rest.len() == 0 {
            self.settled.insert(claim);
            return Ok(0);
        }
        if !self.claim(claim.next())? {
            return Ok(0);
        }
        self.hold(claim.next(), chain, history, rest)
    }

    fn remainder(&self, claim: ClaimName, history: &JournalState) -> Remainder {
        Remainder::of(self.launcher, history, claim.block, Rerun::Never, Inherited::OtherReplica)
    }

    /// Takes in a block that was claimed, with what is left of it; gives how many tasks these are.
    fn hold(
        &mut self,
        claim: ClaimName,
        chain: &[LaunchId],
        history: &mut JournalState,
        rest: Remainder,
    ) -> anyhow::Result<u64> {
        let Some(indices) = self.blocks.indices(claim.block) else { return Ok(0) };
        let due = rest.len();
        self.recorder
            .hold(claim, indices.clone(), Some(history), due, HeldBy::NewClaim)
            .context(CannotWrite)?;
        self.report.add_tasks(due);
        let Remainder { tasks: TasksByStage { ordinary, suspects, alone }, lost, at_most } = rest;
        let ordinary = TasksByStage { ordinary, ..TasksByStage::default() };
        self.feeds.push_back(BlockFeed::new(self.launcher.list, claim.block, indices, ordinary, at_most)?);
        let suspects = [suspects, alone].concat();
        if !suspects.is_empty() || !lost.is_empty() {
            self.legacies.push(Legacy { claim, chain: chain.to_vec(), suspects, lost });
        }
        Ok(due)
    }

    /// Finds out who has what this launch may have claimed. Gives whether there is something to run.
    pub(super) fn settle_doubts(&mut self) -> anyhow::Result<bool> {
        let mut has_more = false;
        for claim in std::mem::take(&mut self.doubtful) {
            match self.claimant.folder().read(claim) {
                Ok(ClaimRead::Of(found)) if self.claimant.is_ours(&found) => {
                    self.ledger.note(claim);
                    has_more |= self.adopt(claim)?;
                }
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

    /// Goes on with a block that this launch turns out to have claimed. Gives whether there is something to run.
    fn adopt(&mut self, claim: ClaimName) -> anyhow::Result<bool> {
        let mut chain = match chain(self.claimant.folder(), claim) {
            Ok(chain) => chain,
            Err(error) => return Ok(self.note_trouble(&error)),
        };
        chain.retain(|by| *by != self.me);
        let mut history = history(self.launcher, self.blocks, &chain, &[claim])?;
        let rest = self.remainder(claim, &history);
        Ok(self.hold(claim, &chain, &mut history, rest)? > 0)
    }

    fn abandon(&mut self, claim: ClaimName) {
        self.abandoned.insert(claim.block);
        let files = self.blocks.indices(claim.block).map_or(0, |indices| indices.len());
        self.say(Tone::Warning, &format!(
            "five launches died with the block {} of share {} ({}) and none left a record of it: it is left to `canfar-run resume {}`",
            claim.block.round,
            claim.block.share,
            units::count(files, "file"),
            self.launcher.layout.root().display()
        ));
    }

    /// Sees to what launches died with, once nothing else is left here: what has a record by now needs no other, what died
    /// among others runs alone, and what died alone is lost. Gives whether there is something to run.
    pub(super) fn see_to_legacies(&mut self) -> anyhow::Result<bool> {
        let mut has_more = false;
        for mut legacy in std::mem::take(&mut self.legacies) {
            if !self.recorder.has_block(legacy.claim.block) {
                continue;
            }
            self.forget_what_was_recorded(&mut legacy)?;
            has_more |= self.run_suspects(&mut legacy)?;
            // One that was only frozen may end it yet.
            if legacy.chain.iter().all(|by| self.ledger.peers().look(*by).state != PeerState::Alive) {
                for (index, attempts) in std::mem::take(&mut legacy.lost) {
                    self.launcher.write_loss(self.recorder, index, attempts, 1)?;
                    self.report.take_away(1);
                }
            }
            if !legacy.lost.is_empty() {
                self.legacies.push(legacy);
            }
        }
        Ok(has_more)
    }

    /// Whoever had the block may have recorded more before its end.
    fn forget_what_was_recorded(&mut self, legacy: &mut Legacy) -> anyhow::Result<()> {
        let Some(indices) = self.blocks.indices(legacy.claim.block) else { return Ok(()) };
        let mut history = history(self.launcher, self.blocks, &legacy.chain, &[legacy.claim])?;
        let has_record = |index: u64| history.tasks.get(index).has_record();
        let before = legacy.suspects.len() + legacy.lost.len();
        let is_open = |position: &u32| !indices.index_at(u64::from(*position)).is_some_and(has_record);
        legacy.suspects.retain(is_open);
        legacy.lost.retain(|(index, _)| !has_record(*index));
        let recorded = before - legacy.suspects.len() - legacy.lost.len();
        if recorded > 0 {
            let recorded = recorded as u64;
            self.recorder.learn(legacy.claim.block, &mut history, recorded).context(CannotWrite)?;
            self.report.take_away(recorded);
        }
        Ok(())
    }

    fn run_suspects(&mut self, legacy: &mut Legacy) -> anyhow::Result<bool> {
        let block = legacy.claim.block;
        let alone = std::mem::take(&mut legacy.suspects);
        let Some(indices) = self.blocks.indices(block).filter(|_| !alone.is_empty()) else {
            return Ok(false);
        };
        let tasks = TasksByStage { alone, ..TasksByStage::default() };
        self.feeds.push_back(BlockFeed::new(self.launcher.list, block, indices, tasks, None)?);
        Ok(true)
    }
}

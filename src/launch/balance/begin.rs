//! The beginning of a launch of a run that shares its work: what its replica has from earlier launches.

use std::collections::VecDeque;

use anyhow::Context;

use crate::exit_code::CannotWrite;
use crate::journal::state::JournalState;
use crate::launch::Launcher;
use crate::launch::balance::Reach;
use crate::launch::balance::block_feed::BlockFeed;
use crate::launch::balance::inheritance::{Legacy, Remainder, by_chain, history};
use crate::launch::pending::Inherited;
use crate::model::blocks::{Blocks, ClaimName};
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::run::recorder::{HeldBy, Recorder};
use crate::sharing::claims::{Claimant, Claimed, ClaimsFolder};
use crate::sharing::ledger::BlockLedger;

/// What a launch begins with.
pub(in crate::launch) struct Inheritance<'a> {
    pub(super) process: Process,
    pub(super) reach: Reach,
    pub(super) blocks: &'a Blocks,
    pub(super) claimant: Claimant,
    pub(super) ledger: BlockLedger<'a>,
    pub(super) feeds: VecDeque<BlockFeed>,
    pub(super) legacies: Vec<Legacy>,
    /// Tasks of the blocks at hand that are to be run.
    pub(in crate::launch) due: u64,
    /// Of these, those that were running when a container died, or ran out of memory: they run last.
    pub(in crate::launch) last: u64,
}

impl Launcher<'_> {
    /// Goes on with what the replica has: claims anew what has tasks to run, and holds the rest as it is.
    ///
    /// # Errors
    /// When journals or claims can't be read, or can't be written.
    pub(in crate::launch) fn inherit<'b>(
        &self,
        blocks: &'b Blocks,
        recorder: &Recorder,
        me: &Process,
        reach: Reach,
    ) -> anyhow::Result<Inheritance<'b>> {
        let folder = ClaimsFolder::new(self.layout, self.run_id());
        let by = LaunchId { replica: self.id(), launch: recorder.launch() };
        let claimant = Claimant::new(folder.clone(), by, me).context(CannotWrite)?;
        let mut ledger = BlockLedger::new(self.layout, self.run_id(), blocks, me.clone());
        if by.launch > 1 {
            ledger.refresh_claims()?;
        }
        let standing = self.own_claims(&ledger);
        let mut inherited = Inheritance {
            process: me.clone(),
            reach,
            blocks,
            claimant,
            ledger,
            feeds: VecDeque::new(),
            legacies: Vec::new(),
            due: 0,
            last: 0,
        };
        for (chain, claims) in by_chain(&folder, standing)? {
            let mut history = history(self, blocks, &chain, &claims)?;
            history.problems.iter().for_each(|problem| self.console.warn(&problem.to_string()));
            for claim in claims {
                self.go_on_with(claim, &chain, &mut history, recorder, &mut inherited)?;
            }
        }
        Ok(inherited)
    }

    fn go_on_with(
        &self,
        claim: ClaimName,
        chain: &[LaunchId],
        history: &mut JournalState,
        recorder: &Recorder,
        inherited: &mut Inheritance<'_>,
    ) -> anyhow::Result<()> {
        let Some(indices) = inherited.blocks.indices(claim.block) else { return Ok(()) };
        let rerun = self.config.rerun;
        let rest = Remainder::of(self, history, claim.block, rerun, Inherited::OwnReplica);
        let due = rest.len();
        if due == 0 || inherited.reach == Reach::Results {
            return recorder.hold(claim, indices, Some(history), 0, HeldBy::OldClaim).context(CannotWrite);
        }
        recorder.announce_claim(claim.next()).context(CannotWrite)?;
        let claimed = inherited.claimant.try_claim(claim.next())?;
        inherited.ledger.note(claim.next());
        if matches!(claimed, Claimed::Others(_)) {
            recorder.not_claimed(claim.next());
            return Ok(());
        }
        recorder
            .hold(claim.next(), indices.clone(), Some(history), due, HeldBy::NewClaim)
            .context(CannotWrite)?;
        inherited.due += due;
        inherited.last += (rest.tasks.suspects.len() + rest.tasks.alone.len()) as u64;
        if !rest.lost.is_empty() {
            let legacy =
                Legacy { claim: claim.next(), chain: chain.to_vec(), suspects: Vec::new(), lost: rest.lost };
            inherited.legacies.push(legacy);
        }
        inherited.feeds.push_back(BlockFeed::new(self.list, claim.block, indices, rest.tasks, None)?);
        Ok(())
    }
}
